// SPDX-License-Identifier: MPL-2.0
/* What the programs do with the library again and again. */

#ifndef HELPERS_H
#define HELPERS_H

#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

static const char *const SLEEP[] = {"sleep", "1000", NULL};

/* The declaration of a daemon. */
static inline proxyprocess_proxy_options proxy(const char *const *argv)
{
    proxyprocess_proxy_options options;
    CHECK_INT(proxyprocess_proxy_options_init(&options, sizeof options), PROXYPROCESS_OK);
    options.argv = argv;
    /* Declared, so that the next manager knows the proxy. */
    options.token = "a declared token";
    return options;
}

/* A manager that follows at once, also as root. */
static inline proxyprocess_manager_options quick(const char *data_dir)
{
    proxyprocess_manager_options options;
    CHECK_INT(proxyprocess_manager_options_init(&options, sizeof options), PROXYPROCESS_OK);
    options.data_dir = data_dir;
    options.allow_root = 1;
    options.snapshot_period_ms = 20;
    options.coalesce_period_ms = 100;
    options.quiescent_period_ms = 5;
    return options;
}

static inline proxyprocess_state *new_state(void)
{
    proxyprocess_state *state = NULL;
    OK(proxyprocess_state_new(&state, &error));
    return state;
}

static inline void set(const proxyprocess_state *state, const char *id, const char *const *argv)
{
    proxyprocess_proxy_options options = proxy(argv);
    OK(proxyprocess_state_set(state, id, &options, &error));
}

static inline proxyprocess_manager *new_manager(const proxyprocess_state *state, const char *data_dir)
{
    proxyprocess_manager_options options = quick(data_dir);
    proxyprocess_manager *manager = NULL;
    OK(proxyprocess_manager_new(state, &options, &manager, &error));
    return manager;
}

static inline proxyprocess_events *events_of(const proxyprocess_manager *manager)
{
    proxyprocess_events *events = NULL;
    OK(proxyprocess_manager_events(manager, &events, &error));
    return events;
}

static inline proxyprocess_daemon *new_daemon(const char *id, const char *const *argv)
{
    proxyprocess_proxy_options options = proxy(argv);
    proxyprocess_daemon *daemon = NULL;
    OK(proxyprocess_daemon_new(id, &options, NULL, &daemon, &error));
    return daemon;
}

/* Has one line of the level error logged: a daemon whose program is not there. */
static inline void log_a_failure(const char *id)
{
    static const char *const missing[] = {"/is/not/there", NULL};
    proxyprocess_daemon *daemon = new_daemon(id, missing);
    OK(proxyprocess_daemon_start(daemon, &error));
    OK(proxyprocess_daemon_stop(daemon, &error));
    proxyprocess_daemon_free(daemon);
}

/* Waits for an event of a kind; `id` NULL is any proxy or none. Others are read over. */
static inline proxyprocess_event until(const proxyprocess_events *events, int32_t kind, const char *id)
{
    proxyprocess_event event;
    event.struct_size = sizeof event;
    for (;;) {
        OK(proxyprocess_events_next(events, DEADLINE_MS, &event, &error));
        if (event.kind == kind && (id == NULL || (event.id != NULL && strcmp(event.id, id) == 0)))
            return event;
        if (event.kind == PROXYPROCESS_EVENT_NONE || event.kind == PROXYPROCESS_EVENT_END)
            check_failed(__FILE__, __LINE__, "waited in vain for event %" PRId32 " of %s, got %" PRId32, kind,
                         id ? id : "any", event.kind);
    }
}

/* What one proxy is doing; the text is the caller's. */
typedef struct seen {
    proxyprocess_proxy_status status;
    char last_error[256];
    char status_text[64];
    char last_stderr[256];
} seen;

/* Looks for a proxy in a list, and frees the list. */
static inline seen find(proxyprocess_status_list *list, const char *id)
{
    seen found;
    size_t count = proxyprocess_status_list_count(list);
    found.status.struct_size = sizeof found.status;
    for (size_t index = 0; index < count; index++) {
        OK(proxyprocess_status_list_get(list, index, &found.status, &error));
        if (strcmp(found.status.id, id) != 0)
            continue;
        snprintf(found.last_error, sizeof found.last_error, "%s",
                 found.status.last_error ? found.status.last_error : "");
        snprintf(found.status_text, sizeof found.status_text, "%s",
                 found.status.status_text ? found.status.status_text : "");
        snprintf(found.last_stderr, sizeof found.last_stderr, "%s",
                 found.status.last_stderr ? found.status.last_stderr : "");
        found.status.last_stderr = found.status.stdout_log = found.status.stderr_log = NULL;
        found.status.status_text = found.status.last_exit_text = NULL;
        found.status.other_error = found.status.other_last_exit_text = found.status.other_last_stderr = NULL;
        found.status.id = found.status.mode = found.status.last_error = NULL;
        found.status.unproven = found.status.hint = found.status.cgroup = NULL;
        proxyprocess_status_list_free(list);
        return found;
    }
    check_failed(__FILE__, __LINE__, "no proxy %s among %zu", id, count);
}

static inline seen look(const proxyprocess_manager *manager, const char *id)
{
    proxyprocess_status_list *list = NULL;
    OK(proxyprocess_manager_status(manager, &list, &error));
    return find(list, id);
}

static inline seen look_at_daemon(const proxyprocess_daemon *daemon, const char *id)
{
    proxyprocess_status_list *list = NULL;
    OK(proxyprocess_daemon_status(daemon, &list, &error));
    return find(list, id);
}

/* The beginning of a file, as a string; empty when there is none. */
static inline void read_file(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "re");
    size_t length = file ? fread(text, 1, size - 1, file) : 0;
    text[length] = '\0';
    if (file)
        fclose(file);
}

/* Whether a process was started by this program or by a process of it: it is a child or an orphan, or is in the directory
 * that the program has for itself alone. */
static inline int is_of_this_program(pid_t pid)
{
    char path[32], stat[512], own[4096], its[4096];
    int parent;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    read_file(path, stat, sizeof stat);
    const char *end = strrchr(stat, ')');
    if (end == NULL || sscanf(end, ") %*c %d", &parent) != 1)
        return 0;
    if (parent == getpid() || parent == getppid() || parent == 1)
        return 1;
    snprintf(path, sizeof path, "/proc/%d/cwd", (int)pid);
    ssize_t length = readlink(path, its, sizeof its - 1);
    if (length < 0)
        return 0;
    its[length] = '\0';
    return getcwd(own, sizeof own) != NULL && strcmp(own, its) == 0;
}

/* Whether nothing of a process is left, not even a zombie. Its pid may be recycled by then: by another test program. */
static inline int is_gone(uint32_t pid)
{
    return (kill((pid_t)pid, 0) == -1 && errno == ESRCH) || !is_of_this_program((pid_t)pid);
}

/* A descriptor from which nothing can be read until others write to the FIFO of this name. */
static inline int new_fifo(const char *name)
{
    CHECK_INT(mkfifo(name, 0600), 0);
    /* For reading and writing, so that there is never an end of file. */
    int fifo = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    CHECK(fifo >= 0);
    return fifo;
}

static inline int readable(int descriptor, int timeout_ms)
{
    struct pollfd polled = {.fd = descriptor, .events = POLLIN};
    int ready = poll(&polled, 1, timeout_ms);
    CHECK(ready >= 0);
    return ready == 1 && (polled.revents & POLLIN) != 0;
}

/* Lets the process or thread go on that waits at the other end of a pipe. */
static inline void pipe_tell(const int *pipe)
{
    CHECK_INT(write(pipe[1], "x", 1), 1);
}

static inline void pipe_wait(const int *pipe)
{
    char byte;
    CHECK(readable(pipe[0], DEADLINE_MS));
    CHECK_INT(read(pipe[0], &byte, 1), 1);
}

/* Reads what was written in one go, as a string. */
static inline void read_text(int descriptor, char *text, size_t size)
{
    CHECK(readable(descriptor, DEADLINE_MS));
    ssize_t length = read(descriptor, text, size - 1);
    CHECK(length > 0);
    text[length] = '\0';
}

#endif
