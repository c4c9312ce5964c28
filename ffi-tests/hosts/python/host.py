# SPDX-License-Identifier: MPL-2.0
"""host.py DATA_DIR PROXIES TURN_MS leave|kill: see docs/hosts.md. Finds libproxyprocess.so by LD_LIBRARY_PATH."""
import asyncio
import ctypes as c
import os
import signal
import sys

lib = c.CDLL("libproxyprocess.so")  # a CDLL releases the GIL for the time of a call, a PyDLL does not
lib.proxyprocess_error_message.restype = c.c_char_p
assert lib.proxyprocess_abi_version() == 1  # what this was written for


class Options(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("allow_root", c.c_uint8), ("data_dir", c.c_char_p), ("rest", c.c_uint64 * 10)]


class Event(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("kind", c.c_int32), ("rest", c.c_uint64 * 10)]


class Line(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("level", c.c_int32), ("numbers", c.c_uint64 * 3), ("message", c.c_char_p),
                ("rest", c.c_uint64 * 2)]


def call(name, *arguments):
    error = c.c_void_p()
    if getattr(lib, "proxyprocess_" + name)(*arguments, c.byref(error)):
        raise RuntimeError(lib.proxyprocess_error_message(error, None).decode())


def log(logs):
    line = Line(c.sizeof(Line))
    while call("logs_next", logs, c.c_uint64(0), c.byref(line)) is None and line.level > 0:
        print(line.message.decode(), file=sys.stderr)


def drain(events):
    event, json = Event(c.sizeof(Event)), c.c_char_p()
    while call("events_next", events, c.c_uint64(0), c.byref(event)) is None and event.kind > 1:  # neither NONE nor END
        call("event_json", c.byref(event), c.byref(json), None)
        print(json.value.decode(), flush=True)
        lib.proxyprocess_text_free(json)


async def main(data_dir, proxies, turn_ms, end):
    state, manager, events, logs, descriptor = c.c_void_p(), c.c_void_p(), c.c_void_p(), c.c_void_p(), c.c_int32()
    options, proxies, code, stop, loop = Options(), proxies.encode(), [], asyncio.Event(), asyncio.get_running_loop()
    lib.proxyprocess_manager_options_init(c.byref(options), c.c_size_t(c.sizeof(options)))
    options.data_dir, options.allow_root = os.fsencode(data_dir), 1
    call("logs_new", c.c_int32(3), c.byref(logs))  # from PROXYPROCESS_LOG_INFO on
    call("logs_descriptor", logs, c.byref(descriptor))
    loop.add_reader(descriptor.value, log, logs)
    call("state_new", c.byref(state))
    call("state_replace_all_json", state, proxies, c.c_size_t(len(proxies)))
    call("manager_new", state, c.byref(options), c.byref(manager))
    call("manager_events", manager, c.byref(events))  # before the restore, to see adoptions
    call("events_descriptor", events, c.byref(descriptor))
    call("manager_restore", manager, None)
    call("manager_start", manager)
    # A binding lets go of its handles here: in a forked process they are of no use, and say so.
    os.register_at_fork(after_in_child=lambda: code.append(lib.proxyprocess_manager_end_grace(manager, None)))
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_reader(descriptor.value, drain, events)
    ends = [await (await asyncio.create_subprocess_exec("./child")).wait() for _ in range(20)]
    print("own", ends.count(3), "of 20", flush=True)
    pid = os.fork() or os._exit(-code[0])
    print("fork", -os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    waits = asyncio.ensure_future(stop.wait())
    while not (await asyncio.wait([waits], timeout=turn_ms / 1000))[0]:
        print("turn", flush=True)
    print("interrupted", flush=True)
    if end == "kill":
        call("manager_kill", manager)  # else the proxies run on, for the next host

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
