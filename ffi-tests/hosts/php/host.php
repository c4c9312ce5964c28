<?php // SPDX-License-Identifier: MPL-2.0
// host.php DATA_DIR PROXIES TURN_MS leave|kill: see docs/hosts.md. Finds libproxyprocess.so by LD_LIBRARY_PATH.
$lib = FFI::cdef('
typedef struct { uint32_t struct_size; uint8_t allow_root; const char *data_dir; uint64_t rest[10]; } manager_options;
typedef struct { uint32_t struct_size; int32_t kind; uint64_t rest[10]; } event;
int32_t proxyprocess_manager_options_init(manager_options *, size_t), proxyprocess_state_new(void **, void **),
    proxyprocess_state_replace_all_json(void *, const char *, size_t, void **),
    proxyprocess_manager_new(void *, manager_options *, void **, void **),
    proxyprocess_manager_events(void *, void **, void **), proxyprocess_manager_restore(void *, const char *, void **),
    proxyprocess_manager_start(void *, void **), proxyprocess_manager_end_grace(void *, void **),
    proxyprocess_manager_kill(void *, void **), proxyprocess_events_descriptor(void *, int32_t *, void **),
    proxyprocess_events_next(void *, uint64_t, event *, void **), proxyprocess_event_json(event *, char **, size_t *, void **);
const char *proxyprocess_error_message(void *, size_t *);
void proxyprocess_text_free(char *);
', 'libproxyprocess.so');
[, $data_dir, $proxies, $turn_ms, $end] = $argv;
[$error, $state, $manager, $events] = array_map(fn () => $lib->new('void *'), range(1, 4));
[$options, $event, $json, $descriptor] = array_map($lib->new(...), ['manager_options', 'event', 'char *', 'int32_t']);
$call = function (string $name, ...$arguments) use ($lib, $error): void {
    if ($lib->{"proxyprocess_$name"}(...[...$arguments, FFI::addr($error)]) !== 0) {
        throw new RuntimeException($lib->proxyprocess_error_message($error, null));
    }
};
$lib->proxyprocess_manager_options_init(FFI::addr($options), FFI::sizeof($options));
$path = $lib->new('char[' . strlen($data_dir) + 1 . ']');
FFI::memcpy($path, $data_dir, strlen($data_dir));
[$options->allow_root, $options->data_dir, $event->struct_size] = [1, $lib->cast('char *', $path), FFI::sizeof($event)];
$call('state_new', FFI::addr($state));
$call('state_replace_all_json', $state, $proxies, strlen($proxies));
$call('manager_new', $state, FFI::addr($options), FFI::addr($manager));
$call('manager_events', $manager, FFI::addr($events)); // before the restore, to see adoptions
$call('events_descriptor', $events, FFI::addr($descriptor));
$call('manager_restore', $manager, null);
$call('manager_start', $manager);
$own = count(array_filter(range(1, 20), fn () => proc_close(proc_open(['./child'], [], $pipes)) === 3));
echo "own $own of 20\n";
if (($pid = pcntl_fork()) === 0) { // the handles are of no use there, and do no harm
    exit(-$lib->proxyprocess_manager_end_grace($manager, null));
}
pcntl_waitpid($pid, $status);
echo 'fork -', pcntl_wexitstatus($status), "\n";
pcntl_async_signals(true);
pcntl_signal(SIGINT, function () use (&$interrupted) { $interrupted = true; });
$readable = fopen("php://fd/$descriptor->cdata", 'r'); // a duplicate, never read
while (!$interrupted) {
    $ready = [$readable];
    if (@stream_select($ready, $none, $none, intdiv($turn_ms, 1000), $turn_ms % 1000 * 1000) === 0) { // a signal ends it
        echo "turn\n";
    }
    for (;;) {
        $call('events_next', $events, 0, FFI::addr($event));
        if ($event->kind <= 1) break; // NONE or END
        $call('event_json', FFI::addr($event), FFI::addr($json), null);
        echo FFI::string($json), "\n";
        $lib->proxyprocess_text_free($json);
    }
}
echo "interrupted\n";
if ($end === 'kill') { // else the proxies run on, for the next host
    $call('manager_kill', $manager);
}
