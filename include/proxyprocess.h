/* SPDX-License-Identifier: MPL-2.0 */
/*
 * proxyprocess: the process supervisor that agents embed.
 *
 * An agent declares which proxy processes must run. The library starts them, restarts them with backoff, writes their
 * logs and stops them. After the agent was restarted, upgraded or killed, the next one takes over the same running
 * processes. Linux only. This header is generated; it is the specification of the C interface.
 *
 * Overview
 *
 *   proxyprocess_state     the desired set: add, replace, remove, at any time.
 *   proxyprocess_manager   applies a state: _restore, then _run or _start, at the end _close (the proxies run on for
 *                          the next agent) or _kill (they are stopped).
 *   proxyprocess_daemon    one supervised process without a manager.
 *   proxyprocess_events    what happens, read by pull; with a descriptor for event loops.
 *   proxyprocess_logs      lines of the log, read in the same way; of one manager, or of the whole library.
 *   proxyprocess_proxy_kind  a kind of proxy that the host implements, which a manager handles like the built-in ones.
 *
 * Example
 *
 *     #include <proxyprocess.h>
 *     #include <inttypes.h>
 *     #include <stdio.h>
 *
 *     static int failed(const char *what, proxyprocess_error *error)
 *     {
 *         fprintf(stderr, "%s: %s\n", what, proxyprocess_error_message(error, NULL));
 *         proxyprocess_error_free(error);
 *         return 1;
 *     }
 *
 *     int main(void)
 *     {
 *         const char *argv[] = {"sleep", "1000", NULL};
 *         proxyprocess_proxy_options proxy;
 *         proxyprocess_manager_options options;
 *         proxyprocess_event event;
 *         proxyprocess_state *state = NULL;
 *         proxyprocess_manager *manager = NULL;
 *         proxyprocess_events *events = NULL;
 *         proxyprocess_error *error = NULL;
 *         int result = 0;
 *
 *         if (proxyprocess_proxy_options_init(&proxy, sizeof proxy) != PROXYPROCESS_OK
 *             || proxyprocess_manager_options_init(&options, sizeof options) != PROXYPROCESS_OK)
 *             return 1;
 *         proxy.argv = argv;
 *         options.data_dir = "proxies";
 *         options.allow_root = 1;
 *
 *         if (proxyprocess_state_new(&state, &error) != PROXYPROCESS_OK
 *             || proxyprocess_state_set(state, "web-proxy", &proxy, &error) != PROXYPROCESS_OK
 *             || proxyprocess_manager_new(state, &options, &manager, &error) != PROXYPROCESS_OK
 *             || proxyprocess_manager_events(manager, &events, &error) != PROXYPROCESS_OK)
 *             return failed("set up", error);
 *         if (proxyprocess_manager_restore(manager, NULL, &error) != PROXYPROCESS_OK) {
 *             failed("going on without the snapshot", error);
 *             error = NULL;
 *         }
 *         if (proxyprocess_manager_start(manager, &error) != PROXYPROCESS_OK)
 *             return failed("run", error);
 *
 *         event.struct_size = sizeof event;
 *         while (proxyprocess_events_next(events, 10000, &event, &error) == PROXYPROCESS_OK
 *                && event.kind != PROXYPROCESS_EVENT_NONE) {
 *             if (event.kind == PROXYPROCESS_EVENT_STARTED || event.kind == PROXYPROCESS_EVENT_ADOPTED) {
 *                 printf("%s is process %" PRIu32 "\n", event.id, event.pid);
 *                 break;
 *             }
 *         }
 *
 *         if (proxyprocess_manager_kill(manager, &error) != PROXYPROCESS_OK)
 *             result = failed("stop", error);
 *         proxyprocess_events_free(events);
 *         proxyprocess_manager_free(manager);
 *         proxyprocess_state_free(state);
 *         return result;
 *     }
 *
 * Errors
 *
 *   A function that can fail returns int32_t: 0 (PROXYPROCESS_OK) or a negative proxyprocess_code. Its last
 *   parameter, `err`, receives an error object when it fails; it may be NULL, and is not written on success. Set your
 *   pointer to NULL before the call, and free the error with proxyprocess_error_free(). Outputs are written only on
 *   success. Each function lists its own codes; in addition, PROXYPROCESS_E_NULL_ARGUMENT,
 *   PROXYPROCESS_E_IN_CALLBACK, PROXYPROCESS_E_PANIC, PROXYPROCESS_E_ABANDONED and codes of later versions are always
 *   possible.
 *
 * Pointers
 *
 *   A pointer may be NULL only where the function says so; elsewhere NULL is an error, never a crash. Any other pointer
 *   must be valid during the call: aligned, to memory of the size that its type or the length next to it says, which no
 *   other thread writes to. Strings end with NUL, unless a length is next to them; (pointer, 0) is an empty string.
 *   Arrays of strings end with NULL. Paths, arguments and environment are bytes of any encoding; ids, tokens, JSON and
 *   messages are UTF-8. A handle must not be used after it was freed.
 *
 * Ownership
 *
 *   A handle that a function returns through a pointer belongs to the caller, who frees it with the _free function of
 *   its type; _free(NULL) does nothing. Handles can be freed in any order: each keeps what it needs. Functions copy
 *   their arguments before they return. A `char *` that a function returns through a pointer belongs to the caller, who
 *   frees it with proxyprocess_text_free(), never with free(3). A `const char *` belongs to the library, and its
 *   function or its struct says how long it is valid.
 *
 * Structs
 *
 *   A struct that the library reads begins with `struct_size`, which its _init function sets. Later versions append
 *   fields; a program that was compiled with an older header gets their defaults. Reserved fields must be 0. The _init
 *   functions have no error object: proxyprocess_code_str() returns the text for their code.
 *
 * Threads
 *
 *   All functions can be called from any thread, and on the same handle from several threads at the same time, except
 *   the _free functions (the last call with a handle), and the readers proxyprocess_events and proxyprocess_logs, which
 *   may be used by one thread at a time. No function can be called from a signal handler. The library has threads of its
 *   own. For the whole program, whatever the number of processes: a supervisor, at most three spawners (one for each
 *   processor), at most 16 more in place of spawners that hang in a file system, and one if a log has a limit. For each
 *   manager: one if it has proxies of registered kinds, one if it was started by proxyprocess_manager_start(), and one
 *   for the time of a close or a kill. They are named proxy-..., block all asynchronous signals (see Callbacks), and end
 *   when the last manager or daemon is freed.
 *
 * Callbacks
 *
 *   Callbacks are optional: events and the log can be read by pull, which is the way for languages that cannot be called
 *   on threads that they did not create. There are two kinds: the functions of a proxy kind and the log callback. Each
 *   says which functions can be called from it; others return PROXYPROCESS_E_IN_CALLBACK. Callbacks must neither unwind
 *   (C++ exceptions, panics) nor longjmp, nor wait for another thread that is in a call of this library.
 *
 *   On threads of the library all signals are blocked, except those that a thread raises by its own fault: SIGSEGV,
 *   SIGBUS, SIGFPE, SIGILL, SIGTRAP and SIGSYS reach the host's handlers, which may repair the fault and return. A process
 *   that a callback starts itself inherits the mask unless it sets another one. A callback may change the mask of the
 *   thread, and the library leaves it so: a runtime that stops its threads by signals (SIGPWR and SIGXCPU with Boehm's
 *   collector and so Guile, real-time signals with Mono) must unblock those when it attaches the thread, or its next
 *   collection waits for ever. A runtime that cannot attach a foreign thread should use no callbacks and read by pull.
 *
 * Non-local exits
 *
 *   A call of the library must end by returning: it must not be left by longjmp or siglongjmp out of a signal handler
 *   (which unsafe signals of Perl, with-timeout and Ctrl-C of SBCL, and others do), by an exception, or by pthread_exit or
 *   pthread_cancel. A host whose signals do that must call the library on a thread that blocks them, or read events with
 *   timeout 0 when their descriptor is readable. If a call is left while it waits, the consequences are limited: on that
 *   thread each further call with the handle returns PROXYPROCESS_E_ABANDONED, and _free does not free the handle. On
 *   other threads the handle works: a close, a kill or a stop that was left is completed by the library and can be waited
 *   for again; a run that was left does not follow the state any more, and counts as executing until the manager is closed
 *   or killed. A handle whose call was left at any other moment may stay locked for ever. The same code is returned to a
 *   signal handler that calls the library with a handle that its thread is using in a call; pass NULL for the error there,
 *   because its allocation could wait for what the handler has interrupted.
 *
 * Signals, fork, and what the library does not do to its host
 *
 *   It installs no signal handler, waits only for its own children, and changes neither the working directory nor the
 *   umask, environment, dispositions or limits of the process. Do not ignore SIGCHLD and do not wait for "any child";
 *   if you do, exits are still seen, and the exit status if the kernel reports it. Do not close descriptors that are not
 *   yours (closefrom, close_range) once the library is in use. A child is started with default dispositions, an empty
 *   mask, no descriptor but 0, 1 and 2, the soft descriptor limit that the program had when the library was loaded, and
 *   an oom_score_adj of 0, unless others are declared. It does not inherit variables that a service manager has set for
 *   the program itself, such as NOTIFY_SOCKET and LISTEN_FDS.
 *   A host that waits for signals (signalfd, sigwait) must block them in main before it starts threads of its own; the
 *   library's threads block all asynchronous signals themselves. After fork(2), functions return PROXYPROCESS_E_FORKED in
 *   the new process for handles that were created before; it may free them.
 *
 * Versions
 *
 *   A program that loads the library dynamically should check that proxyprocess_abi_version() is
 *   PROXYPROCESS_ABI_VERSION. Before 1.0 it may change with every version.
 */


#ifndef PROXYPROCESS_H
#define PROXYPROCESS_H

#include <stddef.h>
#include <stdint.h>

/** The version of this header; that of the library is proxyprocess_version(). */
#define PROXYPROCESS_VERSION "0.1.0"
#define PROXYPROCESS_VERSION_MAJOR 0
#define PROXYPROCESS_VERSION_MINOR 1
#define PROXYPROCESS_VERSION_PATCH 0

/** The environment variable that holds a proxy's id (EnvProxyID). */
#define PROXYPROCESS_ENV_PROXY_ID "CONNECT_PROXY_ID"
/** The environment variable that holds a proxy's token (EnvProxyToken). */
#define PROXYPROCESS_ENV_PROXY_TOKEN "CONNECT_PROXY_TOKEN"
/** The environment variable that holds the tag of the manager or daemon that a process is of: how a scan knows it. */
#define PROXYPROCESS_ENV_PROXY_ORIGIN "CONNECT_PROXY_ORIGIN"
/** The environment variable that holds the generation of a process: which of the starts of its proxy it comes from. */
#define PROXYPROCESS_ENV_PROXY_GENERATION "CONNECT_PROXY_GENERATION"
/** The environment variable that holds the epoch of a process: one more than that of the process of its proxy beside which it was started, else 0. */
#define PROXYPROCESS_ENV_PROXY_EPOCH "CONNECT_PROXY_EPOCH"
/** The environment variable that holds the id of the service that a proxy is the sidecar of (EnvSidecarFor). */
#define PROXYPROCESS_ENV_SIDECAR_FOR "CONNECT_SIDECAR_FOR"

/** The kind of proxy that is a process. */
#define PROXYPROCESS_MODE_DAEMON "daemon"
/** The kind of proxy that does nothing. */
#define PROXYPROCESS_MODE_NOOP "noop"

/* A result that tells of failure must not be dropped. */
#if defined(__GNUC__)
#define PROXYPROCESS_MUST_USE __attribute__((warn_unused_result))
#else
#define PROXYPROCESS_MUST_USE
#endif


/** Changes with every incompatible change of this interface; additions do not change it. */
#define PROXYPROCESS_ABI_VERSION 1

/**
 * A process that has run for this many milliseconds is healthy: its next exit counts as a first failure again
 * (DaemonRestartHealthy).
 */
#define PROXYPROCESS_DAEMON_RESTART_HEALTHY_MS 10000

/** Restarts in a row that are made without waiting (DaemonRestartBackoffMin). */
#define PROXYPROCESS_DAEMON_RESTART_BACKOFF_MIN 3

/** The longest wait between two attempts, in milliseconds (DaemonRestartMaxWait). */
#define PROXYPROCESS_DAEMON_RESTART_MAX_WAIT_MS 60000

/** Milliseconds between the stop signal and SIGKILL. */
#define PROXYPROCESS_DAEMON_GRACE_PERIOD_MS 5000

/** Milliseconds that a process has to become ready, if its declaration has a readiness check, before it is stopped. */
#define PROXYPROCESS_START_TIMEOUT_MS 90000

/** The backlog of a declared socket: how many connections may wait to be accepted. */
#define PROXYPROCESS_LISTEN_BACKLOG 4096

/** Changes are applied at the latest after this many milliseconds (ManagerCoalescePeriod). */
#define PROXYPROCESS_MANAGER_COALESCE_PERIOD_MS 5000

/** Changes are applied once no further change came for this many milliseconds (ManagerQuiescentPeriod). */
#define PROXYPROCESS_MANAGER_QUIESCENT_PERIOD_MS 500

/** The snapshot is rewritten at most once in this many milliseconds, and only if it changed (ManagerSnapshotPeriod). */
#define PROXYPROCESS_MANAGER_SNAPSHOT_PERIOD_MS 1000

/** How many lifecycle events are kept for readers that fell behind. */
#define PROXYPROCESS_EVENT_CAPACITY 1024

/** How many log lines are kept for each reader. */
#define PROXYPROCESS_LOG_CAPACITY 1024

/** The longest period that can be set, in milliseconds: a year. A longer one is taken for a wrong unit. */
#define PROXYPROCESS_PERIOD_MAX_MS 31622400000

/**
 * The result of a call. Functions return it as int32_t: 0, one of these negative numbers, or a code of a later version
 * of the library. Numbers are only ever added.
 */
typedef enum proxyprocess_code {
    /** Success. */
    PROXYPROCESS_OK = 0,
    /** A field of a configuration, document or argument is invalid; the message names it. */
    PROXYPROCESS_E_INVALID_CONFIG = -1,
    /** The id of a proxy is empty or longer than 1024 bytes. */
    PROXYPROCESS_E_INVALID_ID = -2,
    /** A system call on a file or directory failed. */
    PROXYPROCESS_E_IO = -3,
    /** The data directory is in use by a manager that is alive; the message names its process. */
    PROXYPROCESS_E_LOCKED = -4,
    /** A file or directory has an owner, mode or type that is not trusted. */
    PROXYPROCESS_E_UNTRUSTED = -5,
    /** A snapshot cannot be read, or has an unknown version. */
    PROXYPROCESS_E_CORRUPT_SNAPSHOT = -6,
    /** The proxy was stopped for good and cannot be started again. */
    PROXYPROCESS_E_STOPPED = -7,
    /** The manager or daemon was closed or killed. */
    PROXYPROCESS_E_CLOSED = -8,
    /** Processes survived a stop; the message names them. */
    PROXYPROCESS_E_STILL_RUNNING = -9,
    /** The system has no more of a resource that the library needs (threads, descriptors, memory). */
    PROXYPROCESS_E_EXHAUSTED = -10,
    /** Proxies may not run as root (allow_root is 0). */
    PROXYPROCESS_E_ROOT_REFUSED = -11,
    /** The mode is not registered. */
    PROXYPROCESS_E_UNKNOWN_MODE = -12,
    /** A process could not be started; the message names the step that failed. */
    PROXYPROCESS_E_START_FAILED = -13,
    /** A process could not be adopted; the message says why. */
    PROXYPROCESS_E_ADOPTION_REFUSED = -14,
    /** The handle was created before a fork; its threads are in the other process. */
    PROXYPROCESS_E_FORKED = -15,
    /** A fault of the library or of the functions of a proxy kind. */
    PROXYPROCESS_E_INTERNAL = -16,
    /**
     * All processes that are proven to belong to the proxy are gone, but processes are alive that may belong to it;
     * the message names them.
     */
    PROXYPROCESS_E_UNPROVEN = -17,
    /** The manager has no proxy with this id: it is not declared, or its declaration was not applied yet. */
    PROXYPROCESS_E_NOT_FOUND = -18,
    /** The proxy has no process now, or one that cannot do what was requested yet. */
    PROXYPROCESS_E_NOT_RUNNING = -19,
    /** The wait reached its timeout. */
    PROXYPROCESS_E_TIMEOUT = -20,
    /** A command that was run for a proxy failed; the message says how it ended. */
    PROXYPROCESS_E_COMMAND_FAILED = -21,
    /** The proxy is paused, by its declaration or by a call. */
    PROXYPROCESS_E_PAUSED = -22,
    /** A pointer that must not be NULL is NULL; the message names the argument. */
    PROXYPROCESS_E_NULL_ARGUMENT = -101,
    /** A text is not valid UTF-8. */
    PROXYPROCESS_E_INVALID_UTF8 = -102,
    /** The struct_size of a struct is impossible, or a field is set that this version of the library does not know. */
    PROXYPROCESS_E_STRUCT_SIZE = -103,
    /** A number is out of range, or a reserved number is not 0; the message names the argument. */
    PROXYPROCESS_E_INVALID_ARGUMENT = -104,
    /** The function cannot be called from this callback. */
    PROXYPROCESS_E_IN_CALLBACK = -105,
    /** The program has already installed another logger. */
    PROXYPROCESS_E_LOGGER_INSTALLED = -106,
    /** A fault of the library (a panic) was caught. The handle can only be freed from now on. */
    PROXYPROCESS_E_PANIC = -107,
    /**
     * The calling thread is already in a call with this handle: the thread left that call by a non-local exit
     * (longjmp), or this call comes from a signal handler that interrupted it.
     */
    PROXYPROCESS_E_ABANDONED = -108,
} proxyprocess_code;

/** The class of an error: where its cause lies. */
typedef enum proxyprocess_class {
    /** No error. */
    PROXYPROCESS_CLASS_NONE = 0,
    /** The caller: an argument is not acceptable. */
    PROXYPROCESS_CLASS_ARGUMENT = 1,
    /** The system: a system call failed, or a resource is exhausted. proxyprocess_error_os_errno() may say more. */
    PROXYPROCESS_CLASS_SYSTEM = 2,
    /** The order of calls: not possible now, or not any more. */
    PROXYPROCESS_CLASS_STATE = 3,
    /** Files in the data directory. */
    PROXYPROCESS_CLASS_DATA = 4,
    /** A process that is or should be supervised. */
    PROXYPROCESS_CLASS_PROCESS = 5,
    /** The library itself, or a code of a later version. */
    PROXYPROCESS_CLASS_INTERNAL = 6,
} proxyprocess_class;

/** The state of a proxy. Later versions of the library may report further states. */
typedef enum proxyprocess_proxy_state {
    /**
     * Never started; or restored after its process was gone, and started when the manager runs if it is still
     * declared.
     */
    PROXYPROCESS_PROXY_IDLE = 0,
    /** A process of an earlier agent is being identified. */
    PROXYPROCESS_PROXY_ADOPTING = 1,
    /** The process is being started, or runs and is not ready yet. */
    PROXYPROCESS_PROXY_STARTING = 2,
    /** The process runs and is ready. */
    PROXYPROCESS_PROXY_RUNNING = 3,
    /** The process ended. Processes that it left are searched for and ended or waited for before it is started again. */
    PROXYPROCESS_PROXY_CLEARING = 4,
    /** Waiting until the next start is due. */
    PROXYPROCESS_PROXY_WAITING = 5,
    /** The process was asked to end. */
    PROXYPROCESS_PROXY_STOPPING = 6,
    /** The process was stopped on request and is gone. */
    PROXYPROCESS_PROXY_STOPPED = 7,
    /** The proxy cannot or may not be started as declared; or it failed and its declaration does not restart it. */
    PROXYPROCESS_PROXY_FAILED = 8,
    /** The proxy was closed: it is not supervised any more, and its process may still run. */
    PROXYPROCESS_PROXY_CLOSED = 9,
    /** The process ended as expected, and its declaration does not restart it. */
    PROXYPROCESS_PROXY_COMPLETED = 10,
    /**
     * The proxy is declared but does not run: its declaration says so (`enabled`), or proxyprocess_manager_pause() was
     * called.
     */
    PROXYPROCESS_PROXY_PAUSED = 11,
} proxyprocess_proxy_state;

/** How the process of a proxy is replaced. */
typedef enum proxyprocess_replace {
    /** The next process is started after the previous one is gone. */
    PROXYPROCESS_REPLACE_STOP_FIRST = 0,
    /** The next process is started beside the previous one, which is stopped once the next one is ready. */
    PROXYPROCESS_REPLACE_OVERLAP = 1,
} proxyprocess_replace;

/** Whether each proxy has a cgroup of its own. */
typedef enum proxyprocess_cgroup {
    /** Each has one if this process can create cgroups; the log says so when the manager is created. */
    PROXYPROCESS_CGROUP_AUTO = 0,
    /** None has. */
    PROXYPROCESS_CGROUP_OFF = 1,
    /** Each has one. A manager that cannot create cgroups is refused, and a process that cannot enter is not started. */
    PROXYPROCESS_CGROUP_REQUIRED = 2,
} proxyprocess_cgroup;

/**
 * When a proxy is started again after its process ended. Failures are: an exit that is not expected, a failed start, a
 * process that was not ready in time, and a process that did not feed its watchdog.
 */
typedef enum proxyprocess_restart_when {
    /** Always. */
    PROXYPROCESS_RESTART_ALWAYS = 0,
    /** After a failure. After an expected exit the proxy is in the state PROXYPROCESS_PROXY_COMPLETED. */
    PROXYPROCESS_RESTART_ON_FAILURE = 1,
    /**
     * Never. The proxy is then in the state PROXYPROCESS_PROXY_COMPLETED after an expected exit, else in
     * PROXYPROCESS_PROXY_FAILED.
     */
    PROXYPROCESS_RESTART_NEVER = 2,
} proxyprocess_restart_when;

/** How a process ended. */
typedef enum proxyprocess_exit {
    /** It has not ended. */
    PROXYPROCESS_EXIT_NONE = 0,
    /** It exited; the value is its exit code, 0 to 255. */
    PROXYPROCESS_EXIT_CODE = 1,
    /** It was killed by a signal; the value is the number of the signal. */
    PROXYPROCESS_EXIT_SIGNAL = 2,
    /** It was killed by a signal and dumped core; the value is the number of the signal. */
    PROXYPROCESS_EXIT_SIGNAL_CORE = 3,
    /** It is gone, and the kernel does not report how it ended; the value is 0. */
    PROXYPROCESS_EXIT_UNKNOWN = 4,
} proxyprocess_exit;

/** What made a process end. Later versions of the library may report further values. */
typedef enum proxyprocess_ended_by {
    /** No process has ended. */
    PROXYPROCESS_ENDED_BY_NONE = 0,
    /** Nothing that the library did: it exited or crashed, or something else killed it. */
    PROXYPROCESS_ENDED_BY_ITSELF = 1,
    /** A stop, or its replacement. */
    PROXYPROCESS_ENDED_BY_STOP = 2,
    /** It was stopped because it was not ready within its start_timeout_ms. */
    PROXYPROCESS_ENDED_BY_NOT_READY = 3,
    /** Its watchdog expired. */
    PROXYPROCESS_ENDED_BY_WATCHDOG = 4,
} proxyprocess_ended_by;

/** What happened. Later versions of the library may report further kinds. */
typedef enum proxyprocess_event_kind {
    /** No event: the timeout elapsed. */
    PROXYPROCESS_EVENT_NONE = 0,
    /** No further events: the manager or daemon has ended, and all its events were read. */
    PROXYPROCESS_EVENT_END = 1,
    /** The proxy was started: `pid`, 0 for kinds without a process. */
    PROXYPROCESS_EVENT_STARTED = 2,
    /** A process could not be started; `text` says why. The start is tried again. */
    PROXYPROCESS_EVENT_START_FAILED = 3,
    /** A process of an earlier agent was adopted and is supervised from now on: `pid`. */
    PROXYPROCESS_EVENT_ADOPTED = 4,
    /** A recorded process, or a process of unknown existence, was not adopted; `text` says why. */
    PROXYPROCESS_EVENT_ADOPTION_REFUSED = 5,
    /** The process ended: `pid`, `exit`, `exit_value`. */
    PROXYPROCESS_EVENT_EXITED = 6,
    /** The next start is due in `wait_ms`. */
    PROXYPROCESS_EVENT_WAITING = 7,
    /** The process was asked to end: `pid`. */
    PROXYPROCESS_EVENT_STOPPING = 8,
    /** The process was stopped on request and is gone. The status may list a removed proxy for an instant longer. */
    PROXYPROCESS_EVENT_STOPPED = 9,
    /**
     * The proxy cannot or may not be started as declared, or it failed and its declaration does not restart it; `text`
     * says why.
     */
    PROXYPROCESS_EVENT_FAILED = 10,
    /** The snapshot was written. */
    PROXYPROCESS_EVENT_SNAPSHOT_WRITTEN = 11,
    /** The snapshot could not be written, or the snapshot or a process record could not be read; `text` says why. */
    PROXYPROCESS_EVENT_SNAPSHOT_FAILED = 12,
    /** The reader fell behind and lost `missed` events. The status shows the current state. */
    PROXYPROCESS_EVENT_GAP = 13,
    /**
     * The process is gone, but other processes are alive that it may have left. They are not proven to belong to the
     * proxy and were not signalled; `text` names them.
     */
    PROXYPROCESS_EVENT_UNPROVEN = 14,
    /** The process is ready, by the check that its declaration names. */
    PROXYPROCESS_EVENT_READY = 15,
    /**
     * The process was not ready within its start timeout; `text` says why. It is stopped and started again as after a
     * crash.
     */
    PROXYPROCESS_EVENT_NOT_READY = 16,
    /**
     * The process did not feed its watchdog in time, or sent WATCHDOG=trigger; `text` says which. It gets SIGABRT and
     * is started again as after a crash.
     */
    PROXYPROCESS_EVENT_WATCHDOG_EXPIRED = 17,
    /**
     * The process ended as expected, and its declaration does not restart it: `exit`, `exit_value`. The next agent
     * reports this event again.
     */
    PROXYPROCESS_EVENT_COMPLETED = 18,
} proxyprocess_event_kind;

/** How much is logged: a level includes all levels above it. */
typedef enum proxyprocess_log_level {
    /** Nothing. */
    PROXYPROCESS_LOG_OFF = 0,
    /** Failures. */
    PROXYPROCESS_LOG_ERROR = 1,
    /** Unexpected exits and refused adoptions. */
    PROXYPROCESS_LOG_WARN = 2,
    /** Starts, adoptions, stops and waits. */
    PROXYPROCESS_LOG_INFO = 3,
    /** For developers of the library. */
    PROXYPROCESS_LOG_DEBUG = 4,
    /** For developers of the library, in full detail. */
    PROXYPROCESS_LOG_TRACE = 5,
} proxyprocess_log_level;

/** What proxyprocess_manager_wait_until() waits for. Numbers are only ever added. */
typedef enum proxyprocess_wait_for {
    /** The proxy is in the state PROXYPROCESS_PROXY_RUNNING. */
    PROXYPROCESS_WAIT_RUNNING = 1,
    /** The proxy is in the state PROXYPROCESS_PROXY_COMPLETED, which it never is with PROXYPROCESS_RESTART_ALWAYS. */
    PROXYPROCESS_WAIT_COMPLETED = 2,
    /** The proxy is in the state PROXYPROCESS_PROXY_PAUSED: nothing of it runs. */
    PROXYPROCESS_WAIT_PAUSED = 3,
} proxyprocess_wait_for;

/**
 * Keeps one process running without a manager: starts it, restarts it with backoff when it ends, and stops it. Unlike
 * a manager, it generates no token when none is declared, and it may run as root. All functions except _free can be
 * called from any thread, several at the same time, and from the functions of a proxy kind.
 */
typedef struct proxyprocess_daemon proxyprocess_daemon;

/**
 * What went wrong in a call. The call creates it; the caller frees it with proxyprocess_error_free(). It never
 * changes, and any thread can read it.
 */
typedef struct proxyprocess_error proxyprocess_error;

/**
 * A reader of lifecycle events. A slow reader delays nothing; events that it loses are reported as a gap. One thread
 * at a time may use it.
 */
typedef struct proxyprocess_events proxyprocess_events;

/**
 * A reader of log lines that are written after its creation: those of one manager, or of the whole library. It works
 * with or without a log callback, and the library calls no function of the host, so that any language can use it. A
 * slow reader delays nothing: the last 1024 lines (PROXYPROCESS_LOG_CAPACITY) are kept for each reader, and the next
 * read reports how many older lines it lost. One thread at a time may use it.
 */
typedef struct proxyprocess_logs proxyprocess_logs;

/**
 * Starts, stops, snapshots and restores the proxies of a state. It ends once: by proxyprocess_manager_close(), which
 * leaves the proxies running for the next agent, or by proxyprocess_manager_kill(), which stops them; the second of these
 * calls does nothing. All functions except _free can be called from any threads at the same time, and none of them from
 * a callback.
 */
typedef struct proxyprocess_manager proxyprocess_manager;

/**
 * A proxy that does nothing, for tests or in place of a proxy that is switched off. In a declaration it is the mode
 * "noop".
 */
typedef struct proxyprocess_noop proxyprocess_noop;

/** Where a function of a kind leaves text: an error message or a snapshot. It is valid until the function returns. */
typedef struct proxyprocess_reply proxyprocess_reply;

/**
 * The desired set: which proxies should run. It is the source of truth for a manager. A change never waits for the
 * manager and starts or stops nothing by itself: a running manager applies it shortly after the last change
 * (PROXYPROCESS_MANAGER_QUIESCENT_PERIOD_MS, PROXYPROCESS_MANAGER_COALESCE_PERIOD_MS). All functions can be called
 * from any thread, several at the same time.
 */
typedef struct proxyprocess_state proxyprocess_state;

/**
 * The status of several proxies at one moment, sorted by id. It never changes, and can be read from any thread,
 * several at the same time.
 */
typedef struct proxyprocess_status_list proxyprocess_status_list;

/** Reports changes of a state. */
typedef struct proxyprocess_subscription proxyprocess_subscription;

/**
 * Receives one line of the log.
 *
 * It is called on any thread, including threads of the library, and on several threads at the same time. While it
 * runs, supervision may stand still: it must return quickly, must not unwind or longjmp, and must not call functions
 * of this library that return a code.
 *
 * `level`: a value of proxyprocess_log_level.
 *
 * `message`: UTF-8 without a newline, ends with NUL, valid until the callback returns.
 *
 * `length`: the length of the message without its NUL.
 *
 * `user`: as passed to proxyprocess_log_set_callback().
 *
 * `user`: as it was given to proxyprocess_log_set_callback().
 */
typedef void (*proxyprocess_log_fn)(int32_t level, const char *message, size_t length, void *user);

/** Called exactly once, after the last call that gets `user`, when `user` is no longer needed. */
typedef void (*proxyprocess_destroy_fn)(void *user);

/**
 * The declaration of one proxy. Set it up with proxyprocess_proxy_options_init(), then set `argv`; all other fields
 * may keep their defaults. A call copies everything that the struct points to.
 *
 * The same declaration as JSON, which proxyprocess_state_set_json() and other functions take, is an object with the
 * fields command, dir, env, unset_env, clear_env, token, target_service, stop_signal ("SIGTERM", "SIGRTMIN+3" or 15),
 * grace_period_ms, stop [{signal or command, for_ms, leader_only}], leftover_grace_ms, credentials {uid, gid, groups},
 * user, group, descriptor_limit, oom_score_adj, rlimits {core, nofile, ...: a number, "unlimited" or {soft, hard}},
 * nice, cpu_affinity [0, "2-5"], umask ("0027"), no_new_privs, argv0, output {stdout, stderr, owner, max_bytes, keep},
 * detached, ready ("started", "notify", {tcp}, {unix}, {fd} or {command, timeout_ms}), start_timeout_ms, listen,
 * watchdog_ms, fd_store_max, limits {memory_max, memory_high, pids_max, cpu_max, io_weight}, reload ("notify",
 * {signal, notify} or {command, timeout_ms}), replace ("stop-first" or "overlap"), restart {healthy_after_ms,
 * attempts_before_backoff, max_wait_ms, jitter, policy ("always", "on-failure" or "never"), give_up_after {failures,
 * within_ms}}, expected_exit, enabled, mode and options.
 *
 * A value in parentheses in the description of a field is its default.
 * max_wait_ms, jitter, policy ("always", "on-failure" or "never"), give_up_after {failures, within_ms}}, expected_exit, enabled, mode and options.
 */
typedef struct proxyprocess_proxy_options {
    /** The size of this struct as the caller was compiled with it. */
    uint32_t struct_size;
    /** The signal that asks the process group to end, 1 to 64 (SIGINT). */
    int32_t stop_signal;
    /** The kind of the proxy, ASCII; NULL means "daemon". */
    const char *mode;
    /**
     * Program and arguments, any bytes; the last element is NULL. Required for a daemon. A program without a slash is
     * searched for in the PATH that the process will have.
     */
    const char *const *argv;
    /** The working directory, any bytes; NULL means that of the agent. */
    const char *dir;
    /** Additional environment variables, each NAME=value in any bytes; the last element is NULL. NULL means none. */
    const char *const *env;
    /** The secret by which the proxy identifies itself, UTF-8; if NULL, a state generates one. */
    const char *token;
    /** The id of the service that the proxy is the sidecar of, UTF-8; NULL means none. */
    const char *target_service;
    /** The configuration for a kind that the host registered: a JSON object; NULL means none. */
    const char *options_json;
    /** The time between the stop signal and SIGKILL, in milliseconds. */
    uint64_t grace_period_ms;
    /** A process that ran this long resets the backoff, in milliseconds. */
    uint64_t restart_healthy_after_ms;
    /** The longest wait before a restart, in milliseconds. */
    uint64_t restart_max_wait_ms;
    /** The fraction of each wait that is random, 0 to 1 (0). */
    double restart_jitter;
    /** How many restarts in a row are made without waiting. */
    uint32_t restart_attempts_before_backoff;
    /**
     * 1: the process runs as `uid`, `gid` and `groups`, which requires privileges. 0: it runs as the agent, and these
     * three are ignored.
     */
    uint8_t has_credentials;
    /** Reserved, 0. */
    uint8_t reserved[3];
    /** The user. */
    uint32_t uid;
    /** The group. */
    uint32_t gid;
    /** All supplementary groups; may be NULL if there are none. */
    const uint32_t *groups;
    /** The number of `groups`. */
    size_t group_count;
    /**
     * Names of environment variables that the process does not inherit from the agent or from the manager's proxy_env,
     * any bytes; the last element is NULL. NULL means none. None of them may be in `env`.
     */
    const char *const *unset_env;
    /**
     * When the process crashed: the time between the stop signal to the processes that are left in its group and
     * SIGKILL, in milliseconds (0: SIGKILL at once).
     */
    uint64_t leftover_grace_ms;
    /**
     * The soft limit on open descriptors (RLIMIT_NOFILE), at most the hard limit; 0 means the soft limit that the
     * agent had when the library was loaded.
     */
    uint64_t descriptor_limit;
    /**
     * The oom_score_adj of the process (proc(5)), an absolute value from -1000 to 1000; ignored without
     * `has_oom_score_adj`. A value below the agent's requires CAP_SYS_RESOURCE.
     */
    int32_t oom_score_adj;
    /** 1: the process gets `oom_score_adj`. 0: it gets 0 if the kernel permits that, else the agent's value (0). */
    uint8_t has_oom_score_adj;
    /**
     * 1: the process inherits nothing of the agent's environment; it gets only the manager's proxy_env, `env`, and
     * what the library sets (0).
     */
    uint8_t clear_env;
    /**
     * 1: the process is started as an orphan instead of as a child of the agent. For a program that asks to be killed
     * when its parent ends (PR_SET_PDEATHSIG), as Envoy does: as a child it would end with the agent, and when the
     * last manager or daemon of the program is closed (0).
     */
    uint8_t detached;
    /** Reserved, 0. */
    uint8_t reserved_2[1];
    /**
     * Ready when a TCP connect to this address succeeds, like "127.0.0.1:8080", ASCII, with an IPv6 address in
     * brackets; NULL means none. It must not be an address of `listen_json`; the same holds for `ready_unix`. At most
     * one of the five `ready_` fields may be set; without one, the process is ready once it is started.
     */
    const char *ready_tcp;
    /** Ready when a connect to the stream socket at this absolute path succeeds, any bytes; NULL means none. */
    const char *ready_unix;
    /** Ready when the process writes a newline to this descriptor, 3 to 1023, which is opened for it; 0 means none. */
    uint32_t ready_fd;
    /**
     * 1: ready when the process sends READY=1 to the socket named by NOTIFY_SOCKET in its environment (sd_notify(3)).
     * 0: not used.
     */
    uint8_t ready_notify;
    /** Reserved, 0. */
    uint8_t reserved_3[3];
    /**
     * The longest time from the start until the process is ready, in milliseconds, not 0. A process that is not ready
     * by then is stopped and started again as after a crash.
     */
    uint64_t start_timeout_ms;
    /**
     * The steps of a stop, at most 16. Each is a signal or a command, with the time that the processes have to end
     * before the next step; SIGKILL follows the last step. A JSON list like [{"command": ["drain", "--now"], "for_ms":
     * 30000}, {"signal": "SIGUSR1", "for_ms": 5000, "leader_only": true}, {"signal": "SIGTERM", "for_ms": 2000}]. NULL
     * means one step, `stop_signal` for `grace_period_ms`; with a list these two must keep their defaults.
     */
    const char *stop_json;
    /**
     * The sockets that the process gets from descriptor 3 on, a JSON list: ["tcp:127.0.0.1:8080",
     * "unix:/run/web.sock"]. An element may also be an object with address and any of name, backlog, reuse_port,
     * ipv6_only and mode. The sockets are open as long as the proxy is declared. NULL means none.
     */
    const char *listen_json;
    /**
     * How proxyprocess_manager_reload() makes the process reload its configuration, JSON: {"signal": "SIGHUP"}, sent
     * to the leader; "notify" (with its quotes), SIGHUP that the process confirms by its notifications; {"signal":
     * "SIGUSR1", "notify": true}, the same with another signal; or {"command": ["program", "argument"], "timeout_ms":
     * 30000}. NULL means none.
     */
    const char *reload_json;
    /**
     * When the process is ready, JSON, as `ready` of a declaration. Needed only for a command, which has no field of
     * its own: {"command": ["program", "argument"], "timeout_ms": 10000}. The command is run again until it exits with
     * code 0. NULL means none.
     */
    const char *ready_json;
    /**
     * The watchdog period, in milliseconds. A process that is ready and sends no WATCHDOG=1 to the socket named by
     * NOTIFY_SOCKET (sd_notify(3)) for this long gets SIGABRT and is started again as after a crash. 0 means no
     * watchdog.
     */
    uint64_t watchdog_ms;
    /** How the process is replaced: a value of proxyprocess_replace. */
    int32_t replace;
    /**
     * How many descriptors the process can store with FDSTORE=1 at the socket named by NOTIFY_SOCKET (sd_notify(3)),
     * at most 512. They are kept while the proxy is declared, and each next process gets them after the sockets of
     * `listen_json`. 0 means none.
     */
    uint32_t fd_store_max;
    /**
     * The resource limits of the process by their names in getrlimit(2), JSON: {"core": 0, "memlock": "unlimited",
     * "nproc": {"soft": 64, "hard": 128}}. A number or "unlimited" sets the soft and the hard limit; "soft" without
     * "hard" keeps the agent's hard limit. NULL means the agent's limits. "nofile" excludes `descriptor_limit`.
     */
    const char *rlimits_json;
    /** The CPUs on which the process may run, a JSON list like [0, "2-5"]; NULL means those of the agent. */
    const char *cpu_affinity_json;
    /**
     * The name that the process gets in place of `argv[0]`, any bytes; the executed program is still `argv[0]`. NULL
     * means `argv[0]`.
     */
    const char *argv0;
    /** The nice value, -20 to 19; ignored without `has_nice`. A value below the agent's requires CAP_SYS_NICE. */
    int32_t nice;
    /** The umask, at most 0777; ignored without `has_umask`. */
    uint32_t umask;
    /** 1: the process gets `nice`. 0: it gets the agent's nice value (0). */
    uint8_t has_nice;
    /** 1: the process gets `umask`. 0: it gets the agent's umask (0). */
    uint8_t has_umask;
    /**
     * 1: neither the process nor its descendants gain privileges by executing a program (PR_SET_NO_NEW_PRIVS). 0: as
     * for the agent (0).
     */
    uint8_t no_new_privs;
    /** Reserved, 0. */
    uint8_t reserved_4[5];
    /**
     * The name of the user that the process runs as, UTF-8. It is looked up at each start; the process gets the groups
     * of that user, and HOME, USER and LOGNAME in its environment. NULL means none. Excludes `has_credentials`.
     */
    const char *user;
    /** The name of the group that replaces the primary group of `user`, UTF-8; NULL means the primary group. */
    const char *group;
    /** When the proxy is started again after its process ended: a value of proxyprocess_restart_when. */
    int32_t restart_policy;
    /**
     * The proxy is not started again after this many failures within `restart_give_up_within_ms`, at most 1000; 0
     * means no limit.
     */
    uint32_t restart_give_up_failures;
    /** The period for `restart_give_up_failures`, in milliseconds; 0 without that. */
    uint64_t restart_give_up_within_ms;
    /**
     * Expected exits besides exit code 0, a JSON list of exit codes and of signal names: [64, "SIGTERM"]. An expected
     * exit is no failure. NULL means none.
     */
    const char *expected_exit_json;
    /**
     * Where standard output and error go, JSON: {"stdout": "null", "stderr": "journal"}. Each is "file" (the log in
     * the data directory), "inherit" (where the agent's goes), "null", "journal", or an absolute path to append to.
     * "owner": "proxy" makes the logs belong to the user that the process runs as, for a program that opens
     * /dev/stdout. "max_bytes", 65536 to 2^50: the size limit of each file, above which the oldest lines are removed
     * while the process keeps writing. "keep", 0 to 99: how many files with older lines are kept beside each. NULL
     * means "file" for both.
     */
    const char *output_json;
    /** 1: the proxy runs (1). 0: it is declared but does not run; its state is PROXYPROCESS_PROXY_PAUSED. */
    uint8_t enabled;
    /** Reserved, 0. */
    uint8_t reserved_5[7];
    /**
     * A descriptor for standard output, open for writing: a file, pipe, socket or terminal. The call duplicates it, so
     * the caller may close it afterwards; each start gets it. The next agent does not have it: processes that it
     * starts before the proxy is declared again write to the log. Ignored without `has_stdout_fd`.
     */
    int32_t stdout_fd;
    /** The same for standard error; ignored without `has_stderr_fd`. */
    int32_t stderr_fd;
    /** 1: standard output goes to `stdout_fd`; `output_json` must not have "stdout" (0). */
    uint8_t has_stdout_fd;
    /** 1: standard error goes to `stderr_fd`; `output_json` must not have "stderr" (0). */
    uint8_t has_stderr_fd;
    /** Reserved, 0. */
    uint8_t reserved_6[6];
    /**
     * Limits on what all processes of the proxy use together, enforced by its own cgroup (`cgroup` of
     * proxyprocess_manager_options): a JSON object with "memory_max" and "memory_high" in bytes, at least 1048576,
     * "pids_max", 1 to 4194304, "cpu_max" in percent of one processor, 1 to 100000, and "io_weight", 1 to 10000, where
     * 100 is the kernel's default. NULL means no limits. A change takes effect at once, without a new process. If a
     * limit cannot be set, no process is started.
     */
    const char *limits_json;
} proxyprocess_proxy_options;

/**
 * The settings of a manager. Set it up with proxyprocess_manager_options_init(); all that it points to is copied by the
 * call that gets it.
 */
typedef struct proxyprocess_manager_options {
    /** The size of this struct as the caller knows it. */
    uint32_t struct_size;
    /**
     * Whether proxies may run as root: 0 or 1 (0). If not, and the agent is root, proxies that declare no other user
     * are not started; each such failure is logged and in the status.
     */
    uint8_t allow_root;
    /** 0. */
    uint8_t reserved[3];
    /**
     * The directory of logs, pid files, process records and the snapshot, any bytes; created with mode 0700. NULL: nothing is
     * written except logs to a `log_dir` (without it the output of the proxies is lost), and no later agent takes them over.
     */
    const char *data_dir;
    /**
     * Environment variables for all proxies, over the agent's own and under each proxy's: NAME=value of any bytes,
     * with a NULL at the end; NULL is none.
     */
    const char *const *proxy_env;
    /** The snapshot is rewritten at most once in so many milliseconds, when it changed. */
    uint64_t snapshot_period_ms;
    /** Changes of the state are applied at the latest after so many milliseconds. */
    uint64_t coalesce_period_ms;
    /** Changes of the state are applied once nothing changed for so many milliseconds. */
    uint64_t quiescent_period_ms;
    /** How many lifecycle events are kept for readers that fall behind. */
    uint64_t event_capacity;
    /**
     * How many proxies may prepare their next process (PROXYPROCESS_REPLACE_OVERLAP) at the same time, from its start until
     * it is ready, 1 to 1048576 (one for each processor, up to 3). The others wait for their turn in the order of their
     * changes, while their current processes keep serving. A proxy that waits after a failure loses its turn.
     */
    uint64_t max_handovers;
    /**
     * A directory for logs only, for a manager without a data directory, any bytes; created with mode 0700, an existing one
     * keeps its mode. NULL is none. Must be NULL with `data_dir`, which has its own logs.
     */
    const char *log_dir;
    /**
     * Of how many removed proxies the logs are kept, the ones that were written to last, with their files of older lines. The
     * others are deleted once no process of their proxy runs any more. Ignored without `has_keep_removed`: then all are kept.
     */
    uint32_t keep_removed;
    /** Whether `keep_removed` counts: 0 or 1 (0). */
    uint8_t has_keep_removed;
    /** 0. */
    uint8_t reserved_removed[3];
    /**
     * The directory of the cgroup below which the manager creates its own, any bytes. NULL: the cgroup of this process, or its
     * parent if systemd has delegated that (`DelegateSubgroup=`). Must be NULL with PROXYPROCESS_CGROUP_OFF.
     */
    const char *cgroup_base;
    /**
     * Whether each proxy has a cgroup (version 2) of its own, a value of proxyprocess_cgroup (PROXYPROCESS_CGROUP_AUTO). All
     * its processes are in it, whatever they do, so that a stop ends all of them.
     */
    int32_t cgroup;
    /** 0. */
    uint32_t reserved_2;
} proxyprocess_manager_options;

/**
 * The files of a daemon that has no manager. Set it up with proxyprocess_daemon_options_init(); all that it points to
 * is copied by the call that gets it.
 */
typedef struct proxyprocess_daemon_options {
    /** The size of this struct as the caller knows it. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /**
     * A file that holds its pid and a newline while it runs, any bytes; NULL is none. When it cannot be written, the
     * process runs nevertheless and the error is logged.
     */
    const char *pid_path;
    /** A file to which its standard output is appended, any bytes; with NULL it is lost. */
    const char *stdout_path;
    /** A file to which its standard error is appended, any bytes; with NULL it is lost. */
    const char *stderr_path;
} proxyprocess_daemon_options;

/**
 * The status of one proxy at one moment. Set `struct_size` to the `sizeof` of the struct before a call fills it. The
 * pointers are valid until the list is freed.
 */
typedef struct proxyprocess_proxy_status {
    /** The size of this struct as the caller was compiled with it. */
    uint32_t struct_size;
    /** A value of proxyprocess_proxy_state. */
    int32_t state;
    /** The id, UTF-8. */
    const char *id;
    /** The kind (mode), ASCII. */
    const char *mode;
    /**
     * The last error, UTF-8, kept until the next start succeeds; NULL if there is none. If that start stopped waiting
     * for a zombie, the zombie stays named until the start after it.
     */
    const char *last_error;
    /** How many times a process was started after the first start or adoption. */
    uint64_t restarts;
    /** Milliseconds until the next start if one is scheduled, else UINT64_MAX. */
    uint64_t next_start_ms;
    /** The pid; 0 while there is no process, also while processes that it left are being ended. */
    uint32_t pid;
    /** 1 if an earlier agent started the process, else 0. */
    uint8_t adopted;
    /** Reserved, 0. */
    uint8_t reserved[3];
    /** How the last process ended: a value of proxyprocess_exit. */
    int32_t last_exit;
    /** The exit code or the signal. */
    int32_t last_exit_value;
    /**
     * Processes that are alive and that the proxy may have left, but that are not proven to belong to it (they were
     * not signalled), UTF-8 on one line: "pid 7 (nginx: why)", separated by commas; NULL if there are none.
     */
    const char *unproven;
    /** Advice about the declaration if the exits suggest some, one sentence of UTF-8; else NULL. */
    const char *hint;
    /** How the last process ended as text, like "exit code 1" or "signal SIGKILL", UTF-8; NULL if none has ended. */
    const char *last_exit_text;
    /**
     * 1 if the process runs and was ready once since its last start (or if the declaration has no readiness check). 0
     * otherwise, and while it reports that it reloads or stops.
     */
    uint8_t ready;
    /** Reserved, 0. */
    uint8_t reserved_2[7];
    /**
     * The generation of the process, or of the last one: 1 for the first process of the proxy, one more for each later
     * one. The next agent continues the count; it starts again at 1 only if no record of the last process is left. 0
     * before the first start, and for a process that an earlier version of the library started.
     */
    uint64_t generation;
    /**
     * What the process reports about itself (`STATUS=`, sd_notify(3)), UTF-8, one line of at most 512 bytes; NULL if
     * it reports nothing.
     */
    const char *status_text;
    /**
     * The generation of the other process during a handover (PROXYPROCESS_REPLACE_OVERLAP): greater than `generation`
     * for the next process, which is not ready yet; smaller for the previous process, which is being stopped. 0 before
     * the next process was started, for a process that an earlier version of the library started, and if there is no
     * other process; `other_state` tells these apart.
     */
    uint64_t other_generation;
    /** The last error of the other process, UTF-8; NULL if there is none. */
    const char *other_error;
    /** The state of the other process: a value of proxyprocess_proxy_state; PROXYPROCESS_PROXY_IDLE if there is none. */
    int32_t other_state;
    /** The pid of the other process; 0 while there is none. */
    uint32_t other_pid;
    /** Milliseconds since the last change of `state`; UINT64_MAX for a kind that the host registered. */
    uint64_t state_ms;
    /**
     * Milliseconds since the process was started, by this agent or an earlier one, if it is alive and the time is
     * known; else UINT64_MAX.
     */
    uint64_t uptime_ms;
    /**
     * The last lines that the last process wrote to its standard error, UTF-8, separated by newlines: at most 10 lines
     * and 4096 bytes, without empty lines, control characters replaced. NULL if a stop ended the process, if it wrote
     * none or not to a log, and for a moment after the end until the lines are read.
     */
    const char *last_stderr;
    /** The path of the file that standard output goes to; NULL if there is none. */
    const char *stdout_log;
    /** The same for standard error. */
    const char *stderr_log;
    /** What made the last process end: a value of proxyprocess_ended_by. */
    int32_t last_exit_by;
    /** Reserved, 0. */
    uint8_t reserved_3[4];
    /** Milliseconds until the next start of the other generation if one is scheduled, else UINT64_MAX. */
    uint64_t other_next_start_ms;
    /**
     * For a next generation: how many processes were started in this handover to take over, including those of
     * declarations that were replaced meanwhile. 0 for a previous generation.
     */
    uint64_t other_attempts;
    /** How the last process of the other generation ended as text, UTF-8; NULL if none has ended. */
    const char *other_last_exit_text;
    /** The last lines that it wrote to its standard error, as `last_stderr`. */
    const char *other_last_stderr;
    /** How it ended: a value of proxyprocess_exit. */
    int32_t other_last_exit;
    /** The exit code or the signal. */
    int32_t other_last_exit_value;
    /** What made it end: a value of proxyprocess_ended_by. */
    int32_t other_last_exit_by;
    /** 1 if that end was expected, as `last_exit_expected`; else 0. */
    uint8_t other_last_exit_expected;
    /**
     * 1 if the end of the last process was expected: caused by a stop or a replacement, or an exit that the
     * declaration expects (expected_exit). Else 0, also if none has ended.
     */
    uint8_t last_exit_expected;
    /**
     * 1 if the kernel killed the last process, or another process of the proxy before it, for lack of memory. Else 0,
     * also where this is not counted: it is counted where the memory of the proxy's cgroup is controlled, as with
     * `limits_json`.
     */
    uint8_t last_exit_oom;
    /** The same for the last process of the other generation. */
    uint8_t other_last_exit_oom;
    /**
     * The directory of the cgroup of the processes, now or before they ended; NULL if the proxy has no cgroup of its
     * own.
     */
    const char *cgroup;
} proxyprocess_proxy_status;

/**
 * One event. Set `struct_size` to the `sizeof` of the struct before a call fills it. The pointers are valid until the
 * next call with the same reader.
 */
typedef struct proxyprocess_event {
    /** The size of this struct as the caller was compiled with it. */
    uint32_t struct_size;
    /** A value of proxyprocess_event_kind. */
    int32_t kind;
    /**
     * Increases by one with each event of the manager or daemon. A gap has the number of the last event that it
     * covers.
     */
    uint64_t number;
    /** When it happened, in nanoseconds since 1970-01-01 00:00 UTC. */
    uint64_t at_unix_ns;
    /** The id of the proxy, UTF-8; NULL if the event is about no proxy. */
    const char *id;
    /** An error or a reason, UTF-8; NULL if there is none. */
    const char *text;
    /** Milliseconds until the next start. */
    uint64_t wait_ms;
    /** How many events were lost. */
    uint64_t missed;
    /** The pid, or 0. */
    uint32_t pid;
    /** How it ended: a value of proxyprocess_exit. */
    int32_t exit;
    /** The exit code or the signal. */
    int32_t exit_value;
    /** Reserved, 0. */
    uint32_t reserved;
    /** How it ended as text, like "exit code 1" or "signal SIGKILL", UTF-8; NULL if it has not ended. */
    const char *exit_text;
    /** The generation of the process that the event is about, or 0: see proxyprocess_proxy_status. */
    uint64_t generation;
} proxyprocess_event;

/**
 * One line of the log. Set `struct_size` to the `sizeof` of the struct before a call fills it. The pointer is valid
 * until the next call with the same reader.
 */
typedef struct proxyprocess_log_line {
    /** The size of this struct as the caller was compiled with it. */
    uint32_t struct_size;
    /** The severity: a value of proxyprocess_log_level. PROXYPROCESS_LOG_OFF if there is no line. */
    int32_t level;
    /** Increases by one with each line of the reader's level. */
    uint64_t number;
    /** When it was written, in nanoseconds since 1970-01-01 00:00 UTC. */
    uint64_t at_unix_ns;
    /**
     * How many lines the reader lost because it fell behind. `message` says so as well, and `number` is that of the
     * last lost line. 0 for every other line.
     */
    uint64_t missed;
    /**
     * The message, UTF-8 without a newline, at most 4096 bytes: a longer one is cut and ends with "...". NULL if there
     * is no line.
     */
    const char *message;
    /** The length of the message without its NUL. */
    size_t message_length;
    /** 1 if no line will come any more, because the manager has ended and all its lines were read; else 0. */
    uint8_t ended;
    /** Reserved, 0. */
    uint8_t reserved[7];
} proxyprocess_log_line;

/** What a proxy of a kind is created from. The pointers are valid until the function returns. */
typedef struct proxyprocess_proxy_context {
    /** The size of this struct as the library was compiled with it. */
    uint32_t struct_size;
    /** Reserved, 0. */
    uint32_t reserved;
    /** The id of the proxy, UTF-8. */
    const char *id;
    /** The mode under which the kind is registered, ASCII. */
    const char *mode;
    /**
     * The declaration as a JSON object, with its token and its "options". NULL if the proxy is created to be restored:
     * `unmarshal_snapshot` is called next, and later `equal` decides whether the proxy is still what is declared.
     */
    const char *declaration_json;
    /** The length of the declaration. */
    size_t declaration_json_length;
} proxyprocess_proxy_context;

/**
 * A kind of proxy that the host implements. A manager creates, compares, stores and restores its proxies like the
 * built-in ones. Set it up with proxyprocess_proxy_kind_init(), set the functions, and register it with
 * proxyprocess_manager_register_kind().
 *
 * The functions may be called on any thread, those of one proxy on several threads at the same time. start, stop and
 * close are called one after the other on a thread of the library. They may block: this delays other proxies of
 * registered kinds, but no daemon. A function must not unwind or longjmp, and must not call proxyprocess_manager_*(),
 * which would return PROXYPROCESS_E_IN_CALLBACK; all other functions are allowed.
 *
 * A function that returns a code returns 0 or a negative code; it may add a message with proxyprocess_reply_text().
 */
typedef struct proxyprocess_proxy_kind {
    /** The size of this struct as the caller was compiled with it. */
    uint32_t struct_size;
    /** Reserved, 0. */
    uint32_t reserved;
    /** Passed to `create` and `destroy_user` unchanged: a pointer or a number. */
    void *user;
    /** Called once, after the last proxy was destroyed, when `user` is no longer needed; may be NULL. */
    proxyprocess_destroy_fn destroy_user;
    /** Creates a proxy that is not started, and stores it in `*proxy`: a pointer or a number. Required. */
    int32_t (*create)(void *user,
                      const struct proxyprocess_proxy_context *context,
                      void **proxy,
                      struct proxyprocess_reply *reply);
    /**
     * Frees a proxy that `create` made. Called once, after all other calls; it neither stops nor closes the proxy.
     * Required.
     */
    void (*destroy)(void *proxy);
    /**
     * Starts the proxy. It must fail only if the proxy can never work as configured; the proxy itself must retry after
     * any other failure. Starting a started proxy is no error. Required.
     */
    int32_t (*start)(void *proxy, struct proxyprocess_reply *reply);
    /**
     * Stops the proxy for good, frees its resources, and returns when it is gone. Stopping twice is no error.
     * Required.
     */
    int32_t (*stop)(void *proxy, struct proxyprocess_reply *reply);
    /** Frees the resources of this proxy and leaves it running. Only one of `close` and `stop` is called. Required. */
    int32_t (*close)(void *proxy, struct proxyprocess_reply *reply);
    /**
     * Returns 1 if `other`, a proxy of the same kind, has the same declaration, so that this proxy may keep running in
     * its place; else 0. Required.
     */
    uint8_t (*equal)(void *proxy, void *other);
    /**
     * Returns by proxyprocess_reply_text() the state from which `unmarshal_snapshot` restores the proxy: a JSON
     * object. The manager stores the id itself. Required.
     */
    int32_t (*marshal_snapshot)(void *proxy, struct proxyprocess_reply *reply);
    /**
     * Restores a proxy that `create` has just made from a stored state: a JSON object that ends with NUL. A failure is
     * logged, and the stored state is lost. Required.
     */
    int32_t (*unmarshal_snapshot)(void *proxy, const char *json, size_t json_length, struct proxyprocess_reply *reply);
    /**
     * Begins to stop without waiting. It is called on all proxies that must stop, before `stop` is called on them one
     * after the other, so that slow proxies stop at the same time. May be NULL.
     */
    void (*request_stop)(void *proxy);
} proxyprocess_proxy_kind;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Returns the version of the linked library, like "0.1.0"; static. The version of the header is PROXYPROCESS_VERSION.
 *
 * Since 0.1.0.
 */
const char *proxyprocess_version(void);

/**
 * Returns the ABI version of the linked library. A program that was compiled with a different PROXYPROCESS_ABI_VERSION
 * must not go on.
 *
 * Since 0.1.0.
 */
uint32_t proxyprocess_abi_version(void);

/**
 * Returns the code, as the call returned it; PROXYPROCESS_OK for NULL.
 *
 * Since 0.1.0.
 */
int32_t proxyprocess_error_code(const struct proxyprocess_error *error);

/**
 * Returns the class of the code: a value of proxyprocess_class; PROXYPROCESS_CLASS_NONE for NULL.
 *
 * Since 0.1.0.
 */
int32_t proxyprocess_error_class(const struct proxyprocess_error *error);

/**
 * Returns the errno of the system call that failed; 0 if none failed, and for NULL.
 *
 * Since 0.1.0.
 */
int32_t proxyprocess_error_os_errno(const struct proxyprocess_error *error);

/**
 * Returns the message: one line of UTF-8 like "chdir /x: No such file or directory (os error 2)"; valid until the
 * error is freed. "" for NULL.
 *
 * `length`: receives its length without the NUL; may be NULL.
 *
 * Since 0.1.0.
 */
const char *proxyprocess_error_message(const struct proxyprocess_error *error, size_t *length);

/**
 * Frees an error.
 *
 * `error`: may be NULL, which does nothing.
 *
 * Since 0.1.0.
 */
void proxyprocess_error_free(struct proxyprocess_error *error);

/**
 * Returns a short text for a code, like "data directory is locked"; static. "unknown code" for a code of a later
 * version.
 *
 * Since 0.1.0.
 */
const char *proxyprocess_code_str(int32_t code);

/**
 * Returns the class of a code: a value of proxyprocess_class; PROXYPROCESS_CLASS_INTERNAL for a code of a later
 * version.
 *
 * Since 0.1.0.
 */
int32_t proxyprocess_code_class(int32_t code);

/**
 * Frees a string that a function of this library returned to the caller. Never use free(3) for it.
 *
 * `text`: may be NULL, which does nothing.
 *
 * Since 0.1.0.
 */
void proxyprocess_text_free(char *text);

/**
 * Fills a struct with the defaults.
 *
 * `options`: need not be initialized.
 *
 * `struct_size`: `sizeof *options`.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_proxy_options_init(proxyprocess_proxy_options *options,
                                        size_t struct_size);

/**
 * Fills a struct with the defaults.
 *
 * `options`: need not be initialized.
 *
 * `struct_size`: `sizeof *options`.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_options_init(proxyprocess_manager_options *options,
                                          size_t struct_size);

/**
 * Fills a struct with the defaults.
 *
 * `options`: need not be initialized.
 *
 * `struct_size`: `sizeof *options`.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_daemon_options_init(proxyprocess_daemon_options *options,
                                         size_t struct_size);

/**
 * Creates an empty set.
 *
 * `state`: receives the handle; free it with proxyprocess_state_free().
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE int32_t proxyprocess_state_new(struct proxyprocess_state **state, proxyprocess_error **err);

/**
 * Frees the handle. Managers that were created with it keep the set.
 *
 * `state`: may be NULL, which does nothing.
 *
 * Since 0.1.0.
 */
void proxyprocess_state_free(struct proxyprocess_state *state);

/**
 * Adds a proxy, or replaces the one with this id. If the declaration has no token, the proxy keeps the token that was
 * generated for this id before, or gets a new one. A proxy that is added again after proxyprocess_state_remove() gets
 * a new one.
 *
 * `id`: 1 to 1024 bytes of UTF-8.
 *
 * `options`: the declaration.
 *
 * Returns 0; PROXYPROCESS_E_INVALID_ID, PROXYPROCESS_E_INVALID_CONFIG, PROXYPROCESS_E_INVALID_ARGUMENT,
 * PROXYPROCESS_E_INVALID_UTF8, PROXYPROCESS_E_STRUCT_SIZE, naming the field: the declaration can never work;
 * PROXYPROCESS_E_IO: no random token could be generated. On failure nothing is changed.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_state_set(const struct proxyprocess_state *state,
                               const char *id,
                               const proxyprocess_proxy_options *options,
                               proxyprocess_error **err);

/**
 * Adds a proxy, or replaces the one with this id, from the JSON form of a declaration.
 *
 * `id`: 1 to 1024 bytes of UTF-8.
 *
 * `json`, `json_length`: an object like {"command": ["/bin/a"]}; it need not end with NUL.
 *
 * Returns 0, or the codes of proxyprocess_state_set().
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_state_set_json(const struct proxyprocess_state *state,
                                    const char *id,
                                    const char *json,
                                    size_t json_length,
                                    proxyprocess_error **err);

/**
 * Removes a proxy.
 *
 * `removed`: receives 1 if there was a proxy with this id, else 0; may be NULL.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_INVALID_UTF8.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_state_remove(const struct proxyprocess_state *state,
                                  const char *id,
                                  uint8_t *removed,
                                  proxyprocess_error **err);

/**
 * Replaces the whole set in one step.
 *
 * `json`, `json_length`: an object of declarations by id, like {"web-proxy": {"command": ["/bin/a"]}}; it need not end
 * with NUL.
 *
 * Returns 0; PROXYPROCESS_E_INVALID_CONFIG, PROXYPROCESS_E_INVALID_ID, naming the field, as in "proxies.web.command:
 * expected a list of strings, got nothing"; PROXYPROCESS_E_INVALID_UTF8; PROXYPROCESS_E_IO. On failure nothing is
 * changed.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_state_replace_all_json(const struct proxyprocess_state *state,
                                            const char *json,
                                            size_t json_length,
                                            proxyprocess_error **err);

/**
 * Returns the declaration of one proxy as JSON, with its token and without fields that have their default value.
 *
 * `json`: receives the text, or NULL if there is no proxy with this id; free it with proxyprocess_text_free().
 *
 * `json_length`: receives its length; may be NULL.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_INVALID_UTF8.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_state_get_json(const struct proxyprocess_state *state,
                                    const char *id,
                                    char **json,
                                    size_t *json_length,
                                    proxyprocess_error **err);

/**
 * Returns all declarations as one JSON object by id, which proxyprocess_state_replace_all_json() accepts.
 *
 * `json`: receives the text; free it with proxyprocess_text_free().
 *
 * `json_length`: receives its length; may be NULL.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_state_list_json(const struct proxyprocess_state *state,
                                     char **json,
                                     size_t *json_length,
                                     proxyprocess_error **err);

/**
 * Creates a subscription that reports changes from now on.
 *
 * `subscription`: receives the handle; free it with proxyprocess_subscription_free().
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_state_subscribe(const struct proxyprocess_state *state,
                                     struct proxyprocess_subscription **subscription,
                                     proxyprocess_error **err);

/**
 * Waits for a change. All changes since the last wait are reported as one.
 *
 * `timeout_ms`: the longest wait; 0 does not wait.
 *
 * `changed`: receives 1 if there was a change, else 0. Once no change can come any more, because the state was freed
 * and all its managers were closed or killed, 0 is returned without waiting.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_subscription_wait(const struct proxyprocess_subscription *subscription,
                                       uint64_t timeout_ms,
                                       uint8_t *changed,
                                       proxyprocess_error **err);

/**
 * Returns a descriptor that is readable while there is a change that proxyprocess_subscription_wait() has not
 * reported, and permanently once no change can come any more. Wait for it with poll(2) or epoll(7) and never read from
 * it. Then call proxyprocess_subscription_wait() with timeout 0, which reports the change and makes the descriptor
 * unreadable again.
 *
 * `descriptor`: receives its number. It belongs to the subscription, is closed with it, and must not be closed by the
 * caller.
 *
 * Returns 0; PROXYPROCESS_E_EXHAUSTED: no descriptor is left; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_subscription_descriptor(const struct proxyprocess_subscription *subscription,
                                             int32_t *descriptor,
                                             proxyprocess_error **err);

/**
 * Frees a subscription, before or after the state.
 *
 * `subscription`: may be NULL, which does nothing.
 *
 * Since 0.1.0.
 */
void proxyprocess_subscription_free(struct proxyprocess_subscription *subscription);

/**
 * Returns the name of a state, like "running"; static. "unknown" for a number that this version does not know.
 *
 * `state`: a value of proxyprocess_proxy_state.
 *
 * Since 0.1.0.
 */
const char *proxyprocess_proxy_state_str(int32_t state);

/**
 * Returns the name of what made a process end, like "watchdog"; static. "none" for PROXYPROCESS_ENDED_BY_NONE,
 * "unknown" for a number that this version does not know.
 *
 * `by`: a value of proxyprocess_ended_by.
 *
 * Since 0.1.0.
 */
const char *proxyprocess_ended_by_str(int32_t by);

/**
 * Returns the number of proxies in the list; 0 for NULL.
 *
 * Since 0.1.0.
 */
size_t proxyprocess_status_list_count(const struct proxyprocess_status_list *list);

/**
 * Returns one proxy of the list.
 *
 * `index`: from 0.
 *
 * `status`: the struct to fill; its `struct_size` is set.
 *
 * Returns 0; PROXYPROCESS_E_INVALID_ARGUMENT: the index is out of range; PROXYPROCESS_E_NULL_ARGUMENT,
 * PROXYPROCESS_E_STRUCT_SIZE.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_status_list_get(const struct proxyprocess_status_list *list,
                                     size_t index,
                                     proxyprocess_proxy_status *status,
                                     proxyprocess_error **err);

/**
 * Returns one proxy of the list as a JSON object with the keys id, mode, state, pid, adopted, restarts, last_exit (as
 * text), last_exit_kind ("code", "signal" or "unknown"), last_exit_value (the exit code, or the number of the signal),
 * last_exit_core_dumped (for a signal), next_start_ms, last_error, unproven (a list of objects with pid, program and
 * why), hint, ready, generation, status_text, other (an object with generation, state, pid, last_error, attempts,
 * next_start_ms, and the keys that begin with last_exit, and last_stderr), state_ms, uptime_ms, last_exit_by
 * ("itself", "stop", "not-ready" or "watchdog"), last_exit_expected, last_exit_oom, last_stderr (a list of lines),
 * stdout_log, stderr_log and cgroup, in this order. A missing value is null.
 *
 * `index`: from 0.
 *
 * `json`: receives the text; free it with proxyprocess_text_free().
 *
 * `json_length`: receives its length; may be NULL.
 *
 * Returns 0; PROXYPROCESS_E_INVALID_ARGUMENT: the index is out of range; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_status_list_get_json(const struct proxyprocess_status_list *list,
                                          size_t index,
                                          char **json,
                                          size_t *json_length,
                                          proxyprocess_error **err);

/**
 * Returns the list as one JSON object by id. Each value has the keys of proxyprocess_status_list_get_json() except the
 * id; a missing value is null.
 *
 * `json`: receives the text; free it with proxyprocess_text_free().
 *
 * `json_length`: receives its length; may be NULL.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_status_list_json(const struct proxyprocess_status_list *list,
                                      char **json,
                                      size_t *json_length,
                                      proxyprocess_error **err);

/**
 * Frees a list.
 *
 * `list`: may be NULL, which does nothing.
 *
 * Since 0.1.0.
 */
void proxyprocess_status_list_free(struct proxyprocess_status_list *list);

/**
 * Returns the name of an event kind, like "started" or "snapshot_failed"; static. "none" for PROXYPROCESS_EVENT_NONE,
 * "end" for PROXYPROCESS_EVENT_END, and "unknown" for a number that this version does not know.
 *
 * `kind`: a value of proxyprocess_event_kind.
 *
 * Since 0.1.0.
 */
const char *proxyprocess_event_kind_str(int32_t kind);

/**
 * Returns an event as one JSON object with the keys number, at_unix_ns, id, kind (its name), pid, exit (as text),
 * wait_ms, text, missed and generation, in this order. A value that the kind does not have is null.
 *
 * `event`: as filled by proxyprocess_events_next().
 *
 * `json`: receives the text; free it with proxyprocess_text_free().
 *
 * `json_length`: receives its length; may be NULL.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE; PROXYPROCESS_E_INVALID_ARGUMENT: `kind` or
 * `exit` is not a known number; PROXYPROCESS_E_INVALID_UTF8.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_event_json(const proxyprocess_event *event,
                                char **json,
                                size_t *json_length,
                                proxyprocess_error **err);

/**
 * Waits for the next event and returns it.
 *
 * `timeout_ms`: the longest wait; 0 does not wait, UINT64_MAX waits without a limit.
 *
 * `event`: the struct to fill; its `struct_size` is set. `kind` is PROXYPROCESS_EVENT_NONE if the timeout elapsed, and
 * PROXYPROCESS_EVENT_END if no event will come any more.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE: these lose no event.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_events_next(const struct proxyprocess_events *events,
                                 uint64_t timeout_ms,
                                 proxyprocess_event *event,
                                 proxyprocess_error **err);

/**
 * Returns a descriptor that is readable while there is an event to read, and permanently once no event will come any
 * more, for hosts with their own event loop. Wait for it with poll(2) or epoll(7) and never read from it. Then call
 * proxyprocess_events_next() with timeout 0 until it returns PROXYPROCESS_EVENT_NONE: poll again; or
 * PROXYPROCESS_EVENT_END: remove the descriptor from the loop, because it stays readable.
 *
 * `descriptor`: receives its number. It belongs to the reader, is closed with it, and must not be closed by the
 * caller.
 *
 * Returns 0; PROXYPROCESS_E_EXHAUSTED: no descriptor is left; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_events_descriptor(const struct proxyprocess_events *events,
                                       int32_t *descriptor,
                                       proxyprocess_error **err);

/**
 * Frees a reader, before or after the manager or daemon.
 *
 * `events`: may be NULL, which does nothing.
 *
 * Since 0.1.0.
 */
void proxyprocess_events_free(struct proxyprocess_events *events);

/**
 * Creates a manager of the proxies of a state, which may be filled before or after. It opens the data directory and
 * holds its lock until the manager is closed or killed. If the lock is held, it waits up to a second for it, or up to ten
 * seconds if only a process that a dead agent was starting holds it. Nothing is started or stopped yet. The environment
 * that the proxies inherit is read now: no other thread may change it meanwhile (setenv(3)).
 *
 * `state`: may be freed at any time; the manager keeps the set.
 *
 * `options`: NULL for the defaults, which have no data directory.
 *
 * `manager`: where the handle is put; free it with proxyprocess_manager_free().
 *
 * Returns 0; PROXYPROCESS_E_INVALID_CONFIG, PROXYPROCESS_E_INVALID_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE naming the
 * option; PROXYPROCESS_E_LOCKED: another manager has the data directory, and the message names its process;
 * PROXYPROCESS_E_UNTRUSTED: the data directory, or something in it, belongs to another user or is writable by others;
 * PROXYPROCESS_E_IO, PROXYPROCESS_E_EXHAUSTED: it cannot be created or read.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_new(const struct proxyprocess_state *state,
                                 const proxyprocess_manager_options *options,
                                 struct proxyprocess_manager **manager,
                                 proxyprocess_error **err);

/**
 * Frees a manager. If it was neither closed nor killed, it is closed, and an error of that is only logged. No other call
 * on it may be executing.
 *
 * `manager`: may be NULL, which does nothing.
 *
 * Since 0.1.0.
 */
void proxyprocess_manager_free(struct proxyprocess_manager *manager);

/**
 * Registers a kind of proxy under the name that declarations and snapshots have as their mode. Call it before
 * proxyprocess_manager_restore() and proxyprocess_manager_run().
 *
 * `mode`: 1 to 64 of the characters a-z, 0-9, - and _.
 *
 * `kind`: the functions of the kind, copied. After a failure its `destroy_user` is not called.
 *
 * Returns 0; PROXYPROCESS_E_INVALID_CONFIG: the mode is already registered, as "daemon" and "noop" always are, or is not
 * a valid name; PROXYPROCESS_E_NULL_ARGUMENT naming the missing function; PROXYPROCESS_E_STRUCT_SIZE.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_register_kind(const struct proxyprocess_manager *manager,
                                           const char *mode,
                                           const proxyprocess_proxy_kind *kind,
                                           proxyprocess_error **err);

/**
 * Takes over the proxies of an earlier manager of the same data directory: call it with `path` NULL, after
 * proxyprocess_manager_new() and before proxyprocess_manager_run(). When it returns, living processes that are proven to be
 * the recorded ones are supervised; nothing is started. Generated tokens are put back into the state. If there is nothing to
 * take over, it does nothing.
 *
 * A snapshot of the data directory that cannot be read is renamed to snapshot.json.corrupt-N; the process records are
 * not changed, and the run still finds the processes by them. So an agent should log an error and go on.
 *
 * `path`: NULL is the manager's own snapshot, proxyprocess_manager_snapshot_path(); without a data directory it does nothing
 * then. Another path is for a change of directory or of agent: snapshots that proxyprocess_manager_snapshot() wrote, and those
 * of Consul 1.2 to 1.4. The snapshot of another data directory names no processes; the records beside it do, and are only
 * read. If there are none that can be trusted, each proxy gets a PROXYPROCESS_EVENT_ADOPTION_REFUSED and a last error with the
 * reason, and the run starts another process for each declared proxy.
 *
 * Returns 0; PROXYPROCESS_E_CORRUPT_SNAPSHOT: the document cannot be used; PROXYPROCESS_E_LOCKED: it is in the data directory
 * of a living manager, which the message names; PROXYPROCESS_E_INVALID_CONFIG: a run has already begun;
 * PROXYPROCESS_E_CLOSED, PROXYPROCESS_E_IO, PROXYPROCESS_E_EXHAUSTED. An error does not change the manager.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_restore(const struct proxyprocess_manager *manager,
                                     const char *path,
                                     proxyprocess_error **err);

/**
 * Follows the state on the calling thread until another thread closes or kills the manager, and returns when that is
 * complete, with its result; the program can then exit. While another run is executing it returns 0 at once. The first
 * sync happens at once, later ones once there are no more changes for a while. Fill the state first: the first sync stops
 * restored or recorded processes that are not declared in it.
 *
 * Returns 0; PROXYPROCESS_E_CLOSED: the manager was closed or killed before; PROXYPROCESS_E_EXHAUSTED: the threads of
 * the library cannot be started, and run can be called again; or the error of proxyprocess_manager_close() or
 * proxyprocess_manager_kill(), which both callers get.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_run(const struct proxyprocess_manager *manager,
                                 proxyprocess_error **err);

/**
 * Follows the state on a thread of the library, named proxy-manager, and returns at once; if that thread already runs, it
 * does nothing. If the run ends by a fault of the library, this is logged, and returned by proxyprocess_manager_close() or
 * proxyprocess_manager_kill(), after which the thread is gone. An agent that must know at once can call
 * proxyprocess_manager_run() on a thread of its own.
 *
 * Returns 0; PROXYPROCESS_E_EXHAUSTED: the threads of the library cannot be started; PROXYPROCESS_E_CLOSED: the manager
 * was closed or killed before.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_start(const struct proxyprocess_manager *manager,
                                   proxyprocess_error **err);

/**
 * Ends the manager and leaves the proxies running. When it returns, no start is in flight, every process is recorded, the
 * snapshot is written, and the data directory is free for the next manager. The thread of proxyprocess_manager_start() is
 * gone, and proxyprocess_manager_run() returns as well. After proxyprocess_manager_kill(), or called again, it does
 * nothing; if several threads call it, each call returns when the manager has ended.
 *
 * Without a data directory no later manager finds the processes, except by a snapshot that
 * proxyprocess_manager_snapshot() wrote just before; their number is logged as a warning.
 *
 * Returns 0; PROXYPROCESS_E_IO if the snapshot could not be written; or the error of a proxy kind or of the run of
 * proxyprocess_manager_start(). The manager is closed nevertheless.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_close(const struct proxyprocess_manager *manager,
                                   proxyprocess_error **err);

/**
 * Ends the manager and stops all proxies at the same time, including restored and recorded ones without a declaration. It
 * returns when they are gone, and so does proxyprocess_manager_run(). After proxyprocess_manager_close(), or called again,
 * it does nothing.
 *
 * Returns 0; PROXYPROCESS_E_STILL_RUNNING: processes outlived SIGKILL, or may live; the message names them and everything
 * else that failed; PROXYPROCESS_E_UNPROVEN: none did, and the message names others that may belong to a proxy and were not
 * signalled; PROXYPROCESS_E_IO: they are gone, but the snapshot could not be written, or the named pid files or records
 * could not be removed; or the error of a proxy kind or of the run of proxyprocess_manager_start(). The manager has ended
 * nevertheless.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_kill(const struct proxyprocess_manager *manager,
                                  proxyprocess_error **err);

/**
 * Ends the grace period of all current stops: their remaining processes get SIGKILL at once, whatever time and steps they
 * have. A process that is still being started or adopted, only to be stopped, gets it as soon as it exists. With this call an
 * agent that is asked twice to end need not wait for a grace period of an hour.
 *
 * It applies to proxyprocess_manager_kill(), proxyprocess_manager_pause(), proxyprocess_manager_restart() and stops by the
 * state; to the generations of a handover that are being stopped; to the remains of a crash; and to a process that writes its
 * core. Commands of a stop are killed. Later stops have their full grace period, and without a current stop it does nothing.
 * It does not affect proxies of registered kinds, which are stopped by their own functions.
 *
 * It returns at once. The stop returns when all processes are gone, at the latest about five seconds later, with
 * PROXYPROCESS_E_STILL_RUNNING if any outlives SIGKILL. It can be called from any thread, while others run, kill or close the
 * manager, and any number of times; not from a signal handler.
 *
 * Returns 0, also after the end of the manager.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_end_grace(const struct proxyprocess_manager *manager,
                                       proxyprocess_error **err);

/**
 * Writes a snapshot to a path, atomically. Unlike the one that the manager keeps in its data directory, it names the
 * living processes, so that it can be restored by a manager of another data directory. Needed only for that: the
 * manager writes its own whenever something changed.
 *
 * `path`: any bytes.
 *
 * Returns 0; PROXYPROCESS_E_IO: an existing file is not changed; PROXYPROCESS_E_CLOSED.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_snapshot(const struct proxyprocess_manager *manager,
                                      const char *path,
                                      proxyprocess_error **err);

/**
 * Where the manager keeps its snapshot. The file may not exist yet.
 *
 * `path`: where the path is put, or NULL without a data directory; free it with proxyprocess_text_free().
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_snapshot_path(const struct proxyprocess_manager *manager,
                                           char **path,
                                           proxyprocess_error **err);

/**
 * Changes settings, at once: periods, environment, `allow_root`, `max_handovers` and `keep_removed`. A changed `proxy_env`
 * replaces every proxy whose environment changes by it; `allow_root` starts proxies that were refused.
 *
 * `options`: all options; `data_dir`, `log_dir`, `cgroup`, `cgroup_base` and `event_capacity` must be unchanged.
 *
 * Returns 0; PROXYPROCESS_E_INVALID_CONFIG and others as proxyprocess_manager_new(), naming the option;
 * PROXYPROCESS_E_CLOSED. An error changes nothing.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_reconfigure(const struct proxyprocess_manager *manager,
                                         const proxyprocess_manager_options *options,
                                         proxyprocess_error **err);

/**
 * What every proxy is doing, at one moment, by id. Empty after the end.
 *
 * `list`: where the list is put; free it with proxyprocess_status_list_free().
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_status(const struct proxyprocess_manager *manager,
                                    struct proxyprocess_status_list **list,
                                    proxyprocess_error **err);

/**
 * What one proxy is doing: its entry in proxyprocess_manager_status(), without the cost of all others.
 *
 * `id`: UTF-8.
 *
 * `list`: where a list of this one is put; free it with proxyprocess_status_list_free().
 *
 * Returns 0; PROXYPROCESS_E_NOT_FOUND: there is no proxy with this id; a removed proxy exists until its stop is complete;
 * PROXYPROCESS_E_CLOSED: the manager has ended.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_status_of(const struct proxyprocess_manager *manager,
                                       const char *id,
                                       struct proxyprocess_status_list **list,
                                       proxyprocess_error **err);

/**
 * A reader of the manager's lifecycle events from now on. Create it before proxyprocess_manager_restore() to receive the
 * events of adoptions.
 *
 * `events`: where the handle is put; free it with proxyprocess_events_free(), before or after the manager.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_events(const struct proxyprocess_manager *manager,
                                    struct proxyprocess_events **events,
                                    proxyprocess_error **err);

/**
 * A reader of the log lines about this manager and its proxies, from now on. It does not have lines that concern all managers
 * of the program (about shared threads, and about opening a data directory); proxyprocess_logs_new() has those as well.
 *
 * `level`: how much, a value of proxyprocess_log_level; PROXYPROCESS_LOG_OFF is nothing.
 *
 * `logs`: where the handle is put; free it with proxyprocess_logs_free(), before or after the manager.
 *
 * Returns 0; PROXYPROCESS_E_INVALID_ARGUMENT: no such level; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_logs(const struct proxyprocess_manager *manager,
                                  int32_t level,
                                  struct proxyprocess_logs **logs,
                                  proxyprocess_error **err);

/**
 * Restarts one proxy with its current declaration. The process is stopped as after a changed declaration (stop signal to its
 * group, grace period, SIGKILL), and started again when all its processes are gone; with PROXYPROCESS_REPLACE_OVERLAP the next
 * process is started first, and this one is stopped when the next one is ready.
 *
 * Returns when the restart has begun, and waits neither for the stop nor for the start: proxyprocess_manager_wait_until()
 * does, and events report both. The backoff is reset, and a proxy that waits for its next start, or has failed, is started at
 * once; a start that waits for remaining processes of its predecessor keeps waiting for them. A process that is being started
 * or adopted is replaced once it runs; one that is already being stopped to be started again is not stopped twice. A proxy of
 * a registered kind is created again; then the old one is stopped and the new one started.
 *
 * `id`: UTF-8.
 *
 * Returns 0; PROXYPROCESS_E_NOT_FOUND: no proxy with this id is managed, as before the first sync of the run;
 * PROXYPROCESS_E_CLOSED; for a proxy of a registered kind the error of its `create`, and PROXYPROCESS_E_IO if the snapshot
 * cannot be written: the old one goes on.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_restart(const struct proxyprocess_manager *manager,
                                     const char *id,
                                     proxyprocess_error **err);

/**
 * Tries at once what one proxy waits for: its next start, or the identification of a process that may live. It also starts a
 * proxy that has failed or was given up, whose failures are then counted from zero. The backoff continues where it was.
 *
 * It has no effect on a proxy that runs, is being started or stopped, or has completed, and a start that is delayed by a
 * living process stays delayed. Returns when it has begun. A proxy of a registered kind that has failed is restarted. Setting
 * the same declaration again retries nothing.
 *
 * `id`: UTF-8.
 *
 * Returns as proxyprocess_manager_restart().
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_retry(const struct proxyprocess_manager *manager,
                                   const char *id,
                                   proxyprocess_error **err);

/**
 * Forgets how often one proxy has crashed and how often its starts have failed: the backoff and the count of failures for
 * giving up start at zero, and `restarts` of its status is 0. A current wait goes on, and a proxy that has failed stays
 * failed: see proxyprocess_manager_retry().
 *
 * `id`: UTF-8.
 *
 * Returns 0; PROXYPROCESS_E_NOT_FOUND: no proxy with this id is managed, as before the first sync of the run;
 * PROXYPROCESS_E_CLOSED.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_reset_crashes(const struct proxyprocess_manager *manager,
                                           const char *id,
                                           proxyprocess_error **err);

/**
 * Pauses one proxy: its process is stopped as declared, and not started again, while the proxy stays declared and is shown as
 * PROXYPROCESS_PROXY_PAUSED. Its `listen` sockets are closed, and what its processes have stored is forgotten. Returns when the
 * stop has begun; proxyprocess_manager_wait_until() waits for its end.
 *
 * It is paused until proxyprocess_manager_resume(), also under a changed declaration and, with a data directory, by the next
 * agent; until it is removed; or until it is declared with `enabled` 0, which holds from then on. A proxy that is paused stays so.
 *
 * `id`: UTF-8.
 *
 * Returns 0; PROXYPROCESS_E_NOT_FOUND: no proxy of this id is managed, as before the first sync of the run;
 * PROXYPROCESS_E_INVALID_CONFIG: it is of another kind than "daemon"; PROXYPROCESS_E_IO: that could not be written down for the
 * next agent, and nothing is stopped; PROXYPROCESS_E_CLOSED.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_pause(const struct proxyprocess_manager *manager,
                                   const char *id,
                                   proxyprocess_error **err);

/**
 * Runs one proxy again that proxyprocess_manager_pause() has paused, with a backoff that begins anew. Returns when that has
 * begun. A proxy that is not paused stays as it is.
 *
 * `id`: UTF-8.
 *
 * Returns as proxyprocess_manager_pause(), and PROXYPROCESS_E_PAUSED: it is declared with `enabled` 0.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_resume(const struct proxyprocess_manager *manager,
                                    const char *id,
                                    proxyprocess_error **err);

/**
 * Sends a signal to the process of one proxy, for example SIGHUP to reload or SIGUSR1 to reopen its logs. Only the leader gets
 * it, no other process of its group, and never a process with a recycled pid.
 *
 * Returns when the kernel has accepted the signal. A process that ends by it is restarted as after a crash. The process of a
 * proxy that is being stopped can be signalled too, also if the proxy was removed from the state.
 *
 * `id`: UTF-8.
 *
 * `signal`: 1 to 64.
 *
 * Returns 0; PROXYPROCESS_E_INVALID_ARGUMENT: no such signal; PROXYPROCESS_E_NOT_FOUND: there is no proxy with this id;
 * PROXYPROCESS_E_NOT_RUNNING: it has no process now, or is of a registered kind; PROXYPROCESS_E_IO: the kernel refused, with
 * EPERM if the agent may not signal the process; PROXYPROCESS_E_CLOSED.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_signal(const struct proxyprocess_manager *manager,
                                    const char *id,
                                    int32_t signal,
                                    proxyprocess_error **err);

/**
 * Makes the process of one proxy reload its configuration as declared (`reload`): by a signal to its leader, with or without
 * a confirmation, or by a command, which is run with the environment, directory and credentials of the proxy, and with the pid
 * of the leader in MAINPID. The output of the command goes to the logs of the proxy.
 *
 * Returns when the kernel has accepted the signal, when the process has confirmed the reload by its notifications ("notify"),
 * or when the command has exited; this thread waits for it. Without a confirmation it is not known what the process does with
 * the signal. The current declaration is used. A stop of the proxy that comes meanwhile ends the command, a close does not.
 * The process is not replaced, whether it confirms or not.
 *
 * `id`: UTF-8.
 *
 * Returns 0: the signal was sent or the reload confirmed, or the command has exited with code 0; PROXYPROCESS_E_COMMAND_FAILED:
 * it ended otherwise; PROXYPROCESS_E_TIMEOUT: it took longer than its timeout_ms and was killed with its group, or the process
 * has not confirmed its reload within the declared start_timeout_ms; PROXYPROCESS_E_STILL_RUNNING: the command outlived that;
 * PROXYPROCESS_E_START_FAILED and PROXYPROCESS_E_ROOT_REFUSED: it was not started;
 * PROXYPROCESS_E_INVALID_CONFIG: the proxy declares no `reload`; PROXYPROCESS_E_NOT_FOUND: there is no proxy with this id;
 * PROXYPROCESS_E_NOT_RUNNING: it has no process now, or is of a registered kind; or, with a confirmation, its process is not
 * ready, or has ended before it confirmed; PROXYPROCESS_E_IO: the kernel refused the signal, or a log cannot be opened;
 * PROXYPROCESS_E_CLOSED, also when the manager is closed before the process has confirmed.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_reload(const struct proxyprocess_manager *manager,
                                    const char *id,
                                    proxyprocess_error **err);

/**
 * Waits until one proxy has reached `what`, with its declaration at the time of the call: earlier changes are applied first.
 * So after proxyprocess_state_set() it waits for the new process, and after proxyprocess_manager_restart() for the next one.
 * The state is not polled, and no change is missed. Before the run no declaration is applied, so it waits for the first sync.
 *
 * `id`: UTF-8.
 *
 * `what`: a value of proxyprocess_wait_for.
 *
 * `timeout_ms`: 0 does not wait; UINT64_MAX waits without limit.
 *
 * Returns 0; PROXYPROCESS_E_TIMEOUT; PROXYPROCESS_E_INVALID_ARGUMENT: `what` is none of the values; PROXYPROCESS_E_NOT_FOUND:
 * the proxy is not declared, or was removed meanwhile; the code with which the proxy has failed, such as
 * PROXYPROCESS_E_ROOT_REFUSED and PROXYPROCESS_E_START_FAILED: it cannot be started as it is declared;
 * PROXYPROCESS_E_NOT_RUNNING: it has completed instead of running, or has failed with its exit and is not started again;
 * PROXYPROCESS_E_CLOSED, also when the manager is closed or killed meanwhile.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_wait_until(const struct proxyprocess_manager *manager,
                                        const char *id,
                                        int32_t what,
                                        uint64_t timeout_ms,
                                        proxyprocess_error **err);

/**
 * Returns metrics of the manager and its proxies in the text format of Prometheus, version 0.0.4 (content type
 * "text/plain; version=0.0.4"). The names of all metrics begin with "proxyprocess_". Counters of the manager start at
 * 0 when it is created; those of a proxy, which have the label "proxy", start at 0 with each of its processes.
 *
 * `text`: receives the text, UTF-8; free it with proxyprocess_text_free().
 *
 * `text_length`: receives its length; may be NULL.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_manager_metrics(const struct proxyprocess_manager *manager,
                                     char **text,
                                     size_t *text_length,
                                     proxyprocess_error **err);

/**
 * Creates a daemon and does not start it.
 *
 * `id`: 1 to 1024 bytes of UTF-8.
 *
 * `options`: the declaration. A declaration that can never work is reported by proxyprocess_daemon_start().
 *
 * `files`: where the pid file and the output of the process are written; NULL for no files.
 *
 * `daemon`: receives the handle; free it with proxyprocess_daemon_free().
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_INVALID_CONFIG, PROXYPROCESS_E_INVALID_ARGUMENT,
 * PROXYPROCESS_E_INVALID_UTF8, PROXYPROCESS_E_STRUCT_SIZE, naming the field.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_daemon_new(const char *id,
                                const proxyprocess_proxy_options *options,
                                const proxyprocess_daemon_options *files,
                                struct proxyprocess_daemon **daemon,
                                proxyprocess_error **err);

/**
 * Creates a daemon from the JSON form of a declaration and does not start it.
 *
 * `json`, `json_length`: an object like {"command": ["/bin/a"]}; it need not end with NUL.
 *
 * Other parameters and return values: as for proxyprocess_daemon_new().
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_daemon_new_json(const char *id,
                                     const char *json,
                                     size_t json_length,
                                     const proxyprocess_daemon_options *files,
                                     struct proxyprocess_daemon **daemon,
                                     proxyprocess_error **err);

/**
 * Frees a daemon. A daemon that was neither stopped nor closed is closed: its process keeps running. No other call on
 * the daemon may be executing.
 *
 * `daemon`: may be NULL, which does nothing.
 *
 * Since 0.1.0.
 */
void proxyprocess_daemon_free(struct proxyprocess_daemon *daemon);

/**
 * Starts the process and keeps it running. Starting a daemon that is already started does nothing; a stopped daemon is
 * started again.
 *
 * Returns as soon as the first attempt succeeded. If it failed for a reason that may pass (missing program, process
 * limit reached, disk full), the call also succeeds: the next attempt is scheduled, and the failure is in the status
 * and the log.
 *
 * Returns 0; PROXYPROCESS_E_INVALID_CONFIG, PROXYPROCESS_E_INVALID_ID: the declaration can never work;
 * PROXYPROCESS_E_CLOSED; PROXYPROCESS_E_STOPPED: another thread stopped the daemon during the call;
 * PROXYPROCESS_E_EXHAUSTED: the library cannot start its own threads.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_daemon_start(const struct proxyprocess_daemon *daemon,
                                  proxyprocess_error **err);

/**
 * Stops the process: sends the stop signal to its process group, and SIGKILL after the grace period. Returns when the
 * whole group is gone. Stopping a daemon that is not started, or stopping it twice, is no error. After
 * proxyprocess_daemon_close() the call has no effect. proxyprocess_daemon_start() starts the daemon again.
 *
 * Returns 0; PROXYPROCESS_E_STILL_RUNNING: processes survived SIGKILL, and the message names them;
 * PROXYPROCESS_E_UNPROVEN: all processes that are proven to belong to the proxy are gone, and the message names others
 * that may belong to it and were not signalled; PROXYPROCESS_E_IO: all processes are gone, but the pid file could not
 * be removed.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_daemon_stop(const struct proxyprocess_daemon *daemon,
                                 proxyprocess_error **err);

/**
 * Cuts short the grace period of a proxyprocess_daemon_stop() that is executing in another thread, as
 * proxyprocess_manager_end_grace() does: the remaining processes get SIGKILL now. Does nothing if no process is being
 * stopped.
 *
 * Returns 0.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_daemon_end_grace(const struct proxyprocess_daemon *daemon,
                                      proxyprocess_error **err);

/**
 * Ends the supervision and leaves the process running. From then on proxyprocess_daemon_stop() has no effect.
 *
 * Returns 0; PROXYPROCESS_E_FORKED.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_daemon_close(const struct proxyprocess_daemon *daemon,
                                  proxyprocess_error **err);

/**
 * Compares what two daemons declare about their process: id, command, directory, environment, token, credentials and
 * files. Stop and restart settings and the agent's own environment are not compared. A daemon restored from a Consul
 * snapshot is equal to one whose declared variables are in the environment of its process; further variables there do
 * not count.
 *
 * `equal`: receives 1 or 0.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_daemon_equal(const struct proxyprocess_daemon *daemon,
                                  const struct proxyprocess_daemon *other,
                                  uint8_t *equal,
                                  proxyprocess_error **err);

/**
 * Returns what proxyprocess_daemon_unmarshal_snapshot() needs to take over the process, also in another agent: a JSON
 * object with the declaration, the token in clear text, and the process if one is alive.
 *
 * `json`: receives the text; free it with proxyprocess_text_free().
 *
 * `json_length`: receives its length; may be NULL.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_daemon_marshal_snapshot(const struct proxyprocess_daemon *daemon,
                                             char **json,
                                             size_t *json_length,
                                             proxyprocess_error **err);

/**
 * Turns this daemon into the daemon of a snapshot. If the process of the snapshot is alive and proven to be the same
 * process, it is supervised immediately; if it is gone, proxyprocess_daemon_start() starts it.
 *
 * `json`, `json_length`: a snapshot from proxyprocess_daemon_marshal_snapshot(), or from Daemon.MarshalSnapshot of
 * Consul 1.2 to 1.4 (`CommandArgs`, `CommandDir`, `CommandEnv`, `CommandPath`, `Pid`, `ProxyID`, `ProxyToken`).
 * Consul's names no files; the daemon then keeps its own. The text need not end with NUL.
 *
 * Returns 0; PROXYPROCESS_E_INVALID_CONFIG, naming the field, or because this daemon was already started;
 * PROXYPROCESS_E_INVALID_UTF8; PROXYPROCESS_E_IO and PROXYPROCESS_E_EXHAUSTED if the process of a Consul snapshot
 * cannot be examined now. On failure nothing is changed.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_daemon_unmarshal_snapshot(const struct proxyprocess_daemon *daemon,
                                               const char *json,
                                               size_t json_length,
                                               proxyprocess_error **err);

/**
 * Returns the status of the daemon, as a list with one entry.
 *
 * `list`: receives the list; free it with proxyprocess_status_list_free().
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_daemon_status(const struct proxyprocess_daemon *daemon,
                                   struct proxyprocess_status_list **list,
                                   proxyprocess_error **err);

/**
 * Creates a reader of the daemon's lifecycle events, starting now.
 *
 * `events`: receives the handle; free it with proxyprocess_events_free(), before or after the daemon.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_daemon_events(const struct proxyprocess_daemon *daemon,
                                   struct proxyprocess_events **events,
                                   proxyprocess_error **err);

/**
 * Creates a proxy that does nothing.
 *
 * `noop`: receives the handle; free it with proxyprocess_noop_free().
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE int32_t proxyprocess_noop_new(struct proxyprocess_noop **noop, proxyprocess_error **err);

/**
 * Frees the handle.
 *
 * `noop`: may be NULL, which does nothing.
 *
 * Since 0.1.0.
 */
void proxyprocess_noop_free(struct proxyprocess_noop *noop);

/**
 * Does nothing. Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_noop_start(const struct proxyprocess_noop *noop,
                                proxyprocess_error **err);

/**
 * Does nothing. Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE int32_t proxyprocess_noop_stop(const struct proxyprocess_noop *noop, proxyprocess_error **err);

/**
 * Does nothing. Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_noop_close(const struct proxyprocess_noop *noop,
                                proxyprocess_error **err);

/**
 * Two proxies that do nothing are always equal: `equal` receives 1. Returns 0; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_noop_equal(const struct proxyprocess_noop *noop,
                                const struct proxyprocess_noop *other,
                                uint8_t *equal,
                                proxyprocess_error **err);

/**
 * Returns the empty JSON object; free the text with proxyprocess_text_free(). `json_length` may be NULL. Returns 0;
 * PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_noop_marshal_snapshot(const struct proxyprocess_noop *noop,
                                           char **json,
                                           size_t *json_length,
                                           proxyprocess_error **err);

/**
 * Accepts any JSON object. Returns 0; PROXYPROCESS_E_INVALID_CONFIG, PROXYPROCESS_E_INVALID_UTF8 if the text is not
 * one.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_noop_unmarshal_snapshot(const struct proxyprocess_noop *noop,
                                             const char *json,
                                             size_t json_length,
                                             proxyprocess_error **err);

/**
 * Fills a struct with no functions.
 *
 * `kind`: need not be initialized.
 *
 * `struct_size`: `sizeof *kind`.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE int32_t proxyprocess_proxy_kind_init(proxyprocess_proxy_kind *kind, size_t struct_size);

/**
 * Passes text from a function of a proxy kind to the library: the snapshot of a `marshal_snapshot` that returns 0, or
 * an error message. A later call replaces the text.
 *
 * `reply`: as passed to the function.
 *
 * `text`, `length`: UTF-8, copied; it need not end with NUL.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_INVALID_UTF8.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_reply_text(struct proxyprocess_reply *reply,
                                const char *text,
                                size_t length);

/**
 * Sets where the log of the whole program goes; before the first call it goes nowhere. A later call replaces the
 * callback; when it returns, the earlier callback is not executing any more and its `destroy` was called.
 *
 * `level`: how much is logged, a value of proxyprocess_log_level.
 *
 * `callback`: NULL means none; `user` and `destroy` are then ignored.
 *
 * `user`: passed to the callback unchanged.
 *
 * `destroy`: called when the callback is replaced; may be NULL. It is not called after a failure.
 *
 * Returns 0; PROXYPROCESS_E_LOGGER_INSTALLED: the program's Rust code has installed another logger;
 * PROXYPROCESS_E_INVALID_ARGUMENT: unknown level; PROXYPROCESS_E_IN_CALLBACK.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_log_set_callback(int32_t level,
                                      proxyprocess_log_fn callback,
                                      void *user,
                                      proxyprocess_destroy_fn destroy,
                                      proxyprocess_error **err);

/**
 * Creates a reader of all lines of the library, from all managers and daemons, starting now.
 *
 * `level`: how much, a value of proxyprocess_log_level; PROXYPROCESS_LOG_OFF means nothing.
 *
 * `logs`: receives the handle; free it with proxyprocess_logs_free().
 *
 * Returns 0; PROXYPROCESS_E_INVALID_ARGUMENT: unknown level; PROXYPROCESS_E_FORKED: this process was forked by one
 * that had such a reader (proxyprocess_manager_logs() of a new manager works there); PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_logs_new(int32_t level,
                              struct proxyprocess_logs **logs,
                              proxyprocess_error **err);

/**
 * Waits for the next line and returns it.
 *
 * `timeout_ms`: the longest wait; 0 does not wait, UINT64_MAX waits without a limit.
 *
 * `line`: the struct to fill; its `struct_size` is set. `level` is PROXYPROCESS_LOG_OFF if the timeout elapsed. Once
 * no line will come any more, the call returns this at once, with `ended` 1.
 *
 * Returns 0; PROXYPROCESS_E_NULL_ARGUMENT, PROXYPROCESS_E_STRUCT_SIZE: these lose no line.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_logs_next(const struct proxyprocess_logs *logs,
                               uint64_t timeout_ms,
                               proxyprocess_log_line *line,
                               proxyprocess_error **err);

/**
 * Returns a descriptor that is readable while there is a line to read, and permanently once no line will come any
 * more, for hosts with their own event loop. Wait for it with poll(2) or epoll(7) and never read from it. Then call
 * proxyprocess_logs_next() with timeout 0 until `level` is PROXYPROCESS_LOG_OFF.
 *
 * `descriptor`: receives its number. It belongs to the reader, is closed with it, and must not be closed by the
 * caller.
 *
 * Returns 0; PROXYPROCESS_E_EXHAUSTED: no descriptor is left; PROXYPROCESS_E_NULL_ARGUMENT.
 *
 * Since 0.1.0.
 */
PROXYPROCESS_MUST_USE
int32_t proxyprocess_logs_descriptor(const struct proxyprocess_logs *logs,
                                     int32_t *descriptor,
                                     proxyprocess_error **err);

/**
 * Frees a reader, before or after the manager.
 *
 * `logs`: may be NULL, which does nothing.
 *
 * Since 0.1.0.
 */
void proxyprocess_logs_free(struct proxyprocess_logs *logs);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /*PROXYPROCESS_H */
