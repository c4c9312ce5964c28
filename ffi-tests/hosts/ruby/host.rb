# SPDX-License-Identifier: MPL-2.0
# host.rb DATA_DIR PROXIES TURN_MS leave|kill: see docs/hosts.md. Finds libproxyprocess.so by LD_LIBRARY_PATH.
require 'fiddle/import'

module Proxies
  extend Fiddle::Importer
  dlload 'libproxyprocess.so'
  extern 'unsigned int proxyprocess_abi_version()'
  extern 'int proxyprocess_manager_options_init(void *, size_t)'
  extern 'int proxyprocess_state_new(void *, void *)'
  extern 'int proxyprocess_state_replace_all_json(void *, void *, size_t, void *)'
  extern 'int proxyprocess_manager_new(void *, void *, void *, void *)'
  extern 'int proxyprocess_manager_events(void *, void *, void *)'
  extern 'int proxyprocess_manager_restore(void *, void *, void *)'
  extern 'int proxyprocess_manager_start(void *, void *)'
  extern 'int proxyprocess_manager_end_grace(void *, void *)'
  extern 'int proxyprocess_manager_kill(void *, void *)'
  extern 'int proxyprocess_events_descriptor(void *, void *, void *)'
  extern 'int proxyprocess_events_next(void *, unsigned long long, void *, void *)'
  extern 'int proxyprocess_event_json(void *, void *, void *, void *)'
  extern 'const char *proxyprocess_error_message(void *, void *)'
  extern 'void proxyprocess_text_free(void *)'

  def self.call(name, *arguments)
    code = send("proxyprocess_#{name}", *arguments, error = "\0" * 8)
    raise proxyprocess_error_message(error.unpack1('J'), nil).to_s unless code.zero?
  end
end

abort 'another ABI' unless Proxies.proxyprocess_abi_version == 1 # what this was written for
$stdout.sync = true
data_dir, proxies, turn_ms, ending = ARGV
state, manager, events, json, descriptor, options = [8, 8, 8, 8, 8, 96].map { |size| [].pack("x#{size}") }
Proxies.proxyprocess_manager_options_init(options, options.bytesize)
options[4], options[8, 8] = "\1", [data_dir].pack('p') # allow_root, data_dir
Proxies.call(:state_new, state)
Proxies.call(:state_replace_all_json, state.unpack1('J'), proxies, proxies.bytesize)
Proxies.call(:manager_new, state.unpack1('J'), options, manager)
Proxies.call(:manager_events, manager = manager.unpack1('J'), events) # before the restore, to see adoptions
Proxies.call(:events_descriptor, events = events.unpack1('J'), descriptor)
Proxies.call(:manager_restore, manager, nil)
Proxies.call(:manager_start, manager)
puts "own #{20.times.count { system('./child') || $?.exitstatus == 3 }} of 20"
pid = fork { exit!(-Proxies.proxyprocess_manager_end_grace(manager, nil)) } # the handles are of no use there, and do no harm
puts "fork #{-Process.wait2(pid)[1].exitstatus}"
readable, event = IO.for_fd(descriptor.unpack1('l'), autoclose: false), [88].pack('Lx84')
begin
  loop do # other threads run during a select, and a signal ends it
    puts 'turn' unless IO.select([readable], nil, nil, turn_ms.to_i / 1000.0)
    while Proxies.call(:events_next, events, 0, event).nil? && event.unpack1('x4l') > 1 # neither NONE nor END
      Proxies.call(:event_json, event, json, nil)
      puts Fiddle::Pointer[json.unpack1('J')].to_s
      Proxies.proxyprocess_text_free(json.unpack1('J'))
    end
  end
rescue Interrupt
  puts 'interrupted'
end
Proxies.call(:manager_kill, manager) if ending == 'kill' # else the proxies run on, for the next host
