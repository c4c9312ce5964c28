# SPDX-License-Identifier: MPL-2.0
# host.pl DATA_DIR PROXIES TURN_MS leave|kill: see docs/hosts.md. Finds libproxyprocess.so by LD_LIBRARY_PATH.
use strict;
use warnings;
use FFI::Platypus 2.00;
use FFI::Platypus::Memory qw(strdup);

$| = 1;
my ($data_dir, $proxies, $turn_ms, $end) = @ARGV;
my $ffi = FFI::Platypus->new(api => 2, lib => 'libproxyprocess.so');
die "another ABI\n" if $ffi->function(proxyprocess_abi_version => [] => 'uint32')->call != 1;    # what this was written for
my %types = (
    state_new => 'opaque*', state_replace_all_json => 'opaque string size_t', manager_new => 'opaque opaque opaque*',
    manager_events => 'opaque opaque*', events_descriptor => 'opaque sint32*', manager_restore => 'opaque string',
    manager_start => 'opaque', events_next => 'opaque uint64 opaque', event_json => 'opaque opaque* opaque',
    manager_end_grace => 'opaque', manager_kill => 'opaque');
my %functions = map { $_ => $ffi->function("proxyprocess_$_" => [split(' ', $types{$_}), 'opaque*'] => 'sint32') } keys %types;
my $message = $ffi->function(proxyprocess_error_message => ['opaque', 'opaque'] => 'string');
my $text_free = $ffi->function(proxyprocess_text_free => ['opaque'] => 'void');
my $options_init = $ffi->function(proxyprocess_manager_options_init => ['opaque', 'size_t'] => 'sint32');

sub call {
    my ($name, @arguments) = @_;
    my $code = $functions{$name}->call(@arguments, \my $error);
    die $message->call($error, undef), "\n" if $code;
}

my ($options, $event) = ("\0" x 96, pack('L x84', 88));
my ($options_at, $event_at) = map { unpack 'J', pack 'P', $_ } $options, $event;    # their addresses: they stay
$options_init->call($options_at, 96);
substr($options, 4, 1) = "\1";                                     # allow_root
substr($options, 8, 8) = pack 'J', strdup($data_dir);              # data_dir
call(state_new => \my $state);
call(state_replace_all_json => $state, $proxies, length $proxies);
call(manager_new => $state, $options_at, \my $manager);
call(manager_events => $manager, \my $events);                     # before the restore, to see adoptions
call(events_descriptor => $events, \my $descriptor);
call(manager_restore => $manager, undef);
call(manager_start => $manager);
my $interrupted = 0;
$SIG{INT} = sub { $interrupted = 1 };    # runs between two operations, never within a call of the library
my $own = grep { my $said = `./child`; $? == 3 << 8 } 1 .. 20;
print "own $own of 20\n";
my $pid = fork // die "fork: $!\n";
POSIX::_exit(-$functions{manager_end_grace}->call($manager, undef)) if $pid == 0 && require POSIX;
waitpid $pid, 0;
print 'fork ', -($? >> 8), "\n";
while (!$interrupted) {
    vec(my $ready = '', $descriptor, 1) = 1;
    my $count = select $ready, undef, undef, $turn_ms / 1000;    # a signal ends it
    print "turn\n" if $count == 0;
    while ($count > 0) {
        call(events_next => $events, 0, $event_at);
        last if unpack('x4 l', $event) <= 1;                     # NONE or END
        call(event_json => $event_at, \my $json, undef);
        print $ffi->cast(opaque => 'string', $json), "\n";
        $text_free->call($json);
    }
}
print "interrupted\n";
call(manager_kill => $manager) if $end eq 'kill';                  # else the proxies run on, for the next host
