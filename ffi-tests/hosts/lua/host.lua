-- SPDX-License-Identifier: MPL-2.0
-- host.lua DATA_DIR PROXIES TURN_MS leave|kill: see docs/hosts.md. For LuaJIT; finds libproxyprocess.so by LD_LIBRARY_PATH.
local ffi = require("ffi")
ffi.cdef [[
typedef struct { uint32_t struct_size; uint8_t allow_root; const char *data_dir; uint64_t rest[10]; } manager_options;
typedef struct { uint32_t struct_size; int32_t kind; uint64_t rest[10]; } event;
uint32_t proxyprocess_abi_version(void);
int32_t proxyprocess_manager_options_init(manager_options *, size_t);
int32_t proxyprocess_state_new(void **, void **);
int32_t proxyprocess_state_replace_all_json(void *, const char *, size_t, void **);
int32_t proxyprocess_manager_new(void *, manager_options *, void **, void **);
int32_t proxyprocess_manager_events(void *, void **, void **);
int32_t proxyprocess_manager_restore(void *, const char *, void **);
int32_t proxyprocess_manager_start(void *, void **);
int32_t proxyprocess_manager_end_grace(void *, void **);
int32_t proxyprocess_manager_kill(void *, void **);
int32_t proxyprocess_events_descriptor(void *, int32_t *, void **);
int32_t proxyprocess_events_next(void *, uint64_t, event *, void **);
int32_t proxyprocess_event_json(event *, char **, size_t *, void **);
const char *proxyprocess_error_message(void *, size_t *);
struct pollfd { int fd; short events, revents; };
int poll(struct pollfd *, unsigned long, int), fork(void), waitpid(int, int *, int);
void proxyprocess_text_free(char *), _exit(int);
]]
local lib, C = ffi.load("libproxyprocess.so"), ffi.C
local data_dir, proxies, turn_ms, ending = arg[1], arg[2], tonumber(arg[3]), arg[4]
local err, state, manager, events = ffi.new("void *[1]"), ffi.new("void *[1]"), ffi.new("void *[1]"), ffi.new("void *[1]")
local options, event, json = ffi.new("manager_options"), ffi.new("event", 88), ffi.new("char *[1]")
local descriptor, status = ffi.new("int32_t[1]"), ffi.new("int[1]")
local function check(code)
    if code ~= 0 then error(ffi.string(lib.proxyprocess_error_message(err[0], nil))) end
end
io.stdout:setvbuf("line")
assert(lib.proxyprocess_abi_version() == 1) -- what this was written for
lib.proxyprocess_manager_options_init(options, ffi.sizeof(options))
options.data_dir, options.allow_root = data_dir, 1 -- a pointer into the string, which lives in `data_dir`
check(lib.proxyprocess_state_new(state, err))
check(lib.proxyprocess_state_replace_all_json(state[0], proxies, #proxies, err))
check(lib.proxyprocess_manager_new(state[0], options, manager, err))
check(lib.proxyprocess_manager_events(manager[0], events, err)) -- before the restore, to see adoptions
check(lib.proxyprocess_events_descriptor(events[0], descriptor, err))
check(lib.proxyprocess_manager_restore(manager[0], nil, err))
check(lib.proxyprocess_manager_start(manager[0], err))
local own = 0
for _ = 1, 20 do own = own + (os.execute("./child") == 3 * 256 and 1 or 0) end
print("own " .. own .. " of 20")
local pid = C.fork()
if pid == 0 then C._exit(-lib.proxyprocess_manager_end_grace(manager[0], nil)) end -- of no use there, and no harm
C.waitpid(pid, status, 0)
print("fork " .. -bit.rshift(status[0], 8))
local function follow()
    while true do
        if C.poll(ffi.new("struct pollfd", descriptor[0], 1), 1, turn_ms) == 0 then print("turn") end -- a signal ends it
        while check(lib.proxyprocess_events_next(events[0], 0, event, err)) or event.kind > 1 do -- neither NONE nor END
            check(lib.proxyprocess_event_json(event, json, nil, err))
            print(ffi.string(json[0]))
            lib.proxyprocess_text_free(json[0])
        end
    end
end
print((select(2, pcall(follow)):gsub("^.*interrupted!$", "interrupted"))) -- what Ctrl-C raises
if ending == "kill" then check(lib.proxyprocess_manager_kill(manager[0], err)) end -- else they run on, for the next host
