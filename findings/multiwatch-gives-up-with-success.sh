#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# multiwatch ends with status 0 when it has given up on its program, and asks programs to stop by SIGUSR1 when it gets SIGTERM.
#
# Guess: it ends with another status when a program has died so often that it starts it no more, as what started it has to know that; and
# it hands SIGTERM on.
# Seen with multiwatch 1.0.0-rc1 of Debian 12: a program that ends at once is started four times, and then multiwatch has status 0, as after
# an orderly stop: Restart=on-failure of systemd leaves it there. After SIGTERM its program gets SIGUSR1 (the manual names it as the
# default of -s), which ends what has no handler for it, without the stop that it has for SIGTERM.
#
# Needs bash, and apt-get with Debian 12. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
apt-get -qq -o APT::Sandbox::User=root download multiwatch=1.0.0-rc1+really1.0.0-1+b1 libev4
for package in ./*.deb; do dpkg-deb -x "$package" .; done
export LD_LIBRARY_PATH=$place/usr/lib/x86_64-linux-gnu
usr/bin/multiwatch --version
cat >fails <<'SH'
#!/bin/sh
echo started >>starts
exit 3
SH
# Perl, for it tells the name of the signal without a wait for a child.
cat >told <<'PERL'
#!/usr/bin/perl
for my $name (qw(TERM USR1 INT HUP)) { $SIG{$name} = sub { open my $got, ">", "got" or die; print $got $name; close $got; exit 0 } }
open my $ready, ">", "ready" or die;
close $ready;
sleep 1 while 1;
PERL
chmod +x fails told
usr/bin/multiwatch -f 1 -- "$place/fails" 2>log && gave_up=0 || gave_up=$?
starts=$(wc -l <starts)
usr/bin/multiwatch -f 1 -- "$place/told" 2>>log &
watch=$!
until [[ -e ready ]]; do sleep 0.1; done
sleep 1
kill -TERM "$watch"
wait "$watch" && stopped=0 || stopped=$?
echo "after $starts starts that failed: status $gave_up; after SIGTERM: status $stopped, the program got SIG$(<got)"
[[ $gave_up == 0 && $starts == 4 && $stopped == 0 && $(<got) == USR1 ]]
