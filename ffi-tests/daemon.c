// SPDX-License-Identifier: MPL-2.0
/* One supervised process without a manager, and its way into the hands of another. */

#include "helpers.h"

static proxyprocess_events *events_of_daemon(const proxyprocess_daemon *daemon)
{
    proxyprocess_events *events = NULL;
    OK(proxyprocess_daemon_events(daemon, &events, &error));
    return events;
}

/* Started, killed by others, back, stopped, started anew. */
static void life(void)
{
    static const char *const argv[] = {"/bin/sh", "-c", "echo out $GREETING; echo err >&2; echo x >ready; exec sleep 1000",
                                       NULL};
    static const char *const env[] = {"GREETING=hello", NULL};
    char text[256], wanted[32];
    int ready = new_fifo("ready");
    proxyprocess_proxy_options options = proxy(argv);
    proxyprocess_daemon_options files;
    proxyprocess_daemon *daemon = NULL;
    options.env = env;
    CHECK_INT(proxyprocess_daemon_options_init(&files, sizeof files), PROXYPROCESS_OK);
    files.pid_path = "pid";
    files.stdout_path = "out";
    files.stderr_path = "err";
    OK(proxyprocess_daemon_new("web", &options, &files, &daemon, &error));
    proxyprocess_events *events = events_of_daemon(daemon);
    CHECK_INT(look_at_daemon(daemon, "web").status.state, PROXYPROCESS_PROXY_IDLE);
    OK(proxyprocess_daemon_stop(daemon, &error));

    OK(proxyprocess_daemon_start(daemon, &error));
    seen first = look_at_daemon(daemon, "web");
    CHECK_INT(first.status.state, PROXYPROCESS_PROXY_RUNNING);
    CHECK_INT(first.status.last_exit, PROXYPROCESS_EXIT_NONE);
    CHECK_INT(first.status.next_start_ms, UINT64_MAX);
    CHECK_INT(first.status.adopted, 0);
    CHECK_INT(until(events, PROXYPROCESS_EVENT_STARTED, "web").pid, first.status.pid);
    read_text(ready, text, sizeof text);
    read_file("pid", text, sizeof text);
    snprintf(wanted, sizeof wanted, "%" PRIu32 "\n", first.status.pid);
    CHECK_TEXT(text, wanted);
    read_file("out", text, sizeof text);
    CHECK_TEXT(text, "out hello\n");
    read_file("err", text, sizeof text);
    CHECK_TEXT(text, "err\n");
    OK(proxyprocess_daemon_start(daemon, &error));
    CHECK_INT(look_at_daemon(daemon, "web").status.pid, first.status.pid);

    CHECK_INT(kill((pid_t)first.status.pid, SIGKILL), 0);
    proxyprocess_event exited = until(events, PROXYPROCESS_EVENT_EXITED, "web");
    CHECK_INT(exited.pid, first.status.pid);
    CHECK_INT(exited.exit, PROXYPROCESS_EXIT_SIGNAL);
    CHECK_INT(exited.exit_value, SIGKILL);
    uint32_t second = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    read_text(ready, text, sizeof text);
    seen again = look_at_daemon(daemon, "web");
    CHECK_INT(again.status.pid, second);
    CHECK_INT(again.status.restarts, 1);
    CHECK_INT(again.status.last_exit, PROXYPROCESS_EXIT_SIGNAL);
    CHECK_INT(again.status.last_exit_value, SIGKILL);
    CHECK_INT(again.status.last_exit_by, PROXYPROCESS_ENDED_BY_ITSELF);
    CHECK_INT(again.status.last_exit_expected, 0);
    CHECK_INT(again.status.other_next_start_ms, UINT64_MAX);
    CHECK_TEXT(again.last_stderr, "err");
    CHECK(again.status.uptime_ms < UINT64_MAX && again.status.state_ms < UINT64_MAX);

    OK(proxyprocess_daemon_stop(daemon, &error));
    CHECK(is_gone(first.status.pid) && is_gone(second));
    CHECK_INT(access("pid", F_OK), -1);
    until(events, PROXYPROCESS_EVENT_STOPPED, "web");
    CHECK_INT(look_at_daemon(daemon, "web").status.state, PROXYPROCESS_PROXY_STOPPED);
    OK(proxyprocess_daemon_stop(daemon, &error));
    OK(proxyprocess_daemon_start(daemon, &error));
    read_text(ready, text, sizeof text);
    OK(proxyprocess_daemon_stop(daemon, &error));
    OK(proxyprocess_daemon_close(daemon, &error));
    until(events, PROXYPROCESS_EVENT_END, NULL);
    FAILS(proxyprocess_daemon_start(daemon, &error), PROXYPROCESS_E_CLOSED, "closed");
    CHECK_INT(look_at_daemon(daemon, "web").status.state, PROXYPROCESS_PROXY_CLOSED);
    proxyprocess_events_free(events);
    proxyprocess_daemon_free(daemon);
    close(ready);
}

/* What it ends with is told, and what cannot be started says why. */
static void ends(void)
{
    static const char *const argv[] = {"/bin/sh", "-c", "exit 3", NULL}, *const missing[] = {"/is/not/there", NULL};
    proxyprocess_proxy_options options = proxy(argv);
    proxyprocess_daemon *daemon = NULL;
    options.restart_attempts_before_backoff = 0;
    options.restart_max_wait_ms = 3600000;
    OK(proxyprocess_daemon_new("web", &options, NULL, &daemon, &error));
    proxyprocess_events *events = events_of_daemon(daemon);
    OK(proxyprocess_daemon_start(daemon, &error));
    proxyprocess_event exited = until(events, PROXYPROCESS_EVENT_EXITED, "web");
    CHECK_INT(exited.exit, PROXYPROCESS_EXIT_CODE);
    CHECK_INT(exited.exit_value, 3);
    CHECK(until(events, PROXYPROCESS_EVENT_WAITING, "web").wait_ms > 0);
    seen waiting = look_at_daemon(daemon, "web");
    CHECK_INT(waiting.status.state, PROXYPROCESS_PROXY_WAITING);
    CHECK(waiting.status.next_start_ms <= 3600000);
    OK(proxyprocess_daemon_stop(daemon, &error));
    proxyprocess_events_free(events);
    proxyprocess_daemon_free(daemon);

    daemon = new_daemon("web", missing);
    events = events_of_daemon(daemon);
    OK(proxyprocess_daemon_start(daemon, &error));
    CHECK_HAS(until(events, PROXYPROCESS_EVENT_START_FAILED, "web").text, "No such file or directory");
    CHECK_HAS(look_at_daemon(daemon, "web").last_error, "/is/not/there");
    proxyprocess_events_free(events);
    proxyprocess_daemon_free(daemon);
}

static char *marshal(const proxyprocess_daemon *daemon)
{
    char *json = NULL;
    size_t length = 0;
    OK(proxyprocess_daemon_marshal_snapshot(daemon, &json, &length, &error));
    CHECK_INT(length, strlen(json));
    return json;
}

/* The process goes on when its daemon is closed, and the next one takes it over. */
static void takeover(void)
{
    static const char json[] = "{\"command\": [\"sleep\", \"1000\"], \"token\": \"a declared token\"}";
    proxyprocess_daemon *first = new_daemon("web", SLEEP), *next = NULL;
    uint8_t equal = 7;
    OK(proxyprocess_daemon_start(first, &error));
    uint32_t pid = look_at_daemon(first, "web").status.pid;
    char *snapshot = marshal(first);
    CHECK_HAS(snapshot, "\"token\":\"a declared token\"");
    OK(proxyprocess_daemon_close(first, &error));
    OK(proxyprocess_daemon_stop(first, &error));
    OK(proxyprocess_daemon_close(first, &error));
    CHECK_INT(kill((pid_t)pid, 0), 0);

    OK(proxyprocess_daemon_new_json("web", json, sizeof json - 1, NULL, &next, &error));
    OK(proxyprocess_daemon_equal(first, next, &equal, &error));
    CHECK_INT(equal, 1);
    OK(proxyprocess_daemon_equal(next, next, &equal, &error));
    CHECK_INT(equal, 1);
    proxyprocess_daemon_free(first);
    proxyprocess_daemon *other = new_daemon("other", SLEEP);
    OK(proxyprocess_daemon_equal(other, next, &equal, &error));
    CHECK_INT(equal, 0);
    proxyprocess_daemon_free(other);

    proxyprocess_events *events = events_of_daemon(next);
    OK(proxyprocess_daemon_unmarshal_snapshot(next, snapshot, strlen(snapshot), &error));
    CHECK_INT(until(events, PROXYPROCESS_EVENT_ADOPTED, "web").pid, pid);
    seen adopted = look_at_daemon(next, "web");
    CHECK_INT(adopted.status.pid, pid);
    CHECK_INT(adopted.status.adopted, 1);
    CHECK_INT(adopted.status.state, PROXYPROCESS_PROXY_RUNNING);
    FAILS(proxyprocess_daemon_unmarshal_snapshot(next, snapshot, strlen(snapshot), &error),
          PROXYPROCESS_E_INVALID_CONFIG, "started");
    OK(proxyprocess_daemon_start(next, &error));
    CHECK_INT(look_at_daemon(next, "web").status.pid, pid);
    OK(proxyprocess_daemon_stop(next, &error));
    CHECK(is_gone(pid));
    proxyprocess_events_free(events);
    proxyprocess_daemon_free(next);

    /* Of a process that is gone, only the declaration comes back. */
    proxyprocess_daemon *last = new_daemon("other", SLEEP);
    OK(proxyprocess_daemon_unmarshal_snapshot(last, snapshot, strlen(snapshot), &error));
    CHECK_INT(look_at_daemon(last, "web").status.pid, 0);
    FAILS(proxyprocess_daemon_unmarshal_snapshot(last, "{\"id\": 7}", 9, &error), PROXYPROCESS_E_INVALID_CONFIG, "id");
    proxyprocess_daemon_free(last);
    proxyprocess_text_free(snapshot);
}

/* A process with this environment, in a group of its own, as Consul has started it. */
static pid_t start_as_consul(char *const env[])
{
    char *const argv[] = {"sleep", "1000", NULL};
    char byte;
    int executed[2];
    CHECK_INT(pipe2(executed, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        execve("/bin/sleep", argv, env);
        _exit(127);
    }
    CHECK(pid > 0);
    close(executed[1]);
    CHECK_INT(read(executed[0], &byte, 1), 0);
    close(executed[0]);
    return pid;
}

/* What Consul's Daemon.MarshalSnapshot returned, as Go's encoding/json writes it. */
static void consuls(void)
{
    static const char *const same = "{\"command\":[\"sleep\",\"1000\"],\"token\":\"secret\",\"env\":[\"ADDR=old\"]}",
                            *const changed = "{\"command\":[\"sleep\",\"1000\"],\"token\":\"secret\",\"env\":[\"ADDR=new\"]}";
    char *const env[] = {"ADDR=old", "CONNECT_PROXY_ID=web", "CONNECT_PROXY_TOKEN=secret", NULL};
    char snapshot[512];
    uint8_t equal = 7;
    proxyprocess_daemon *daemon = new_daemon("other", SLEEP), *declared = NULL;
    pid_t pid = start_as_consul(env);
    snprintf(snapshot, sizeof snapshot,
             "{\"CommandArgs\":[\"sleep\",\"1000\"],\"CommandDir\":\"\",\"CommandEnv\":[\"ADDR=old\"],"
             "\"CommandPath\":\"/bin/sleep\",\"Pid\":%d,\"ProxyID\":\"web\",\"ProxyToken\":\"secret\"}", (int)pid);
    proxyprocess_events *events = events_of_daemon(daemon);
    OK(proxyprocess_daemon_unmarshal_snapshot(daemon, snapshot, strlen(snapshot), &error));
    CHECK_INT(until(events, PROXYPROCESS_EVENT_ADOPTED, "web").pid, pid);
    CHECK_INT(look_at_daemon(daemon, "web").status.pid, pid);

    OK(proxyprocess_daemon_new_json("web", same, strlen(same), NULL, &declared, &error));
    OK(proxyprocess_daemon_equal(daemon, declared, &equal, &error));
    CHECK_INT(equal, 1);
    proxyprocess_daemon_free(declared);
    OK(proxyprocess_daemon_new_json("web", changed, strlen(changed), NULL, &declared, &error));
    OK(proxyprocess_daemon_equal(declared, daemon, &equal, &error));
    CHECK_INT(equal, 0);
    proxyprocess_daemon_free(declared);

    OK(proxyprocess_daemon_stop(daemon, &error));
    CHECK(is_gone((uint32_t)pid));
    FAILS(proxyprocess_daemon_unmarshal_snapshot(daemon, "{\"CommandPath\": 7}", 18, &error),
          PROXYPROCESS_E_INVALID_CONFIG, "CommandPath");
    proxyprocess_events_free(events);
    proxyprocess_daemon_free(daemon);
}

/* State and parent of a process: that of a zombie is 'Z'. Whose child it is has to reap it. */
static char state_of(uint32_t pid, int *parent)
{
    char path[64], text[512], state = 'Z';
    snprintf(path, sizeof path, "/proc/%" PRIu32 "/stat", pid);
    read_file(path, text, sizeof text);
    const char *name_end = strrchr(text, ')');
    if (name_end != NULL)
        CHECK_INT(sscanf(name_end, ") %c %d", &state, parent), 2);
    return state;
}

/* It is no child of this process, and supervised as one. */
static void detached(void)
{
    proxyprocess_proxy_options options = proxy(SLEEP);
    proxyprocess_daemon *daemon = NULL;
    int parent = 0;
    options.detached = 1;
    OK(proxyprocess_daemon_new("web", &options, NULL, &daemon, &error));
    proxyprocess_events *events = events_of_daemon(daemon);
    OK(proxyprocess_daemon_start(daemon, &error));
    uint32_t first = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    CHECK(state_of(first, &parent) != 'Z' && parent != getpid());
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_INT(errno, ECHILD);

    CHECK_INT(kill((pid_t)first, SIGKILL), 0);
    CHECK_INT(until(events, PROXYPROCESS_EVENT_EXITED, "web").pid, first);
    uint32_t second = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    CHECK(state_of(second, &parent) != 'Z' && parent != getpid());
    OK(proxyprocess_daemon_stop(daemon, &error));
    CHECK(state_of(second, &parent) == 'Z');
    proxyprocess_events_free(events);
    proxyprocess_daemon_free(daemon);
}

/* Freed without a word, it is closed: its process runs on. */
static void freed(void)
{
    proxyprocess_daemon *daemon = new_daemon("web", SLEEP), *next = new_daemon("web", SLEEP);
    OK(proxyprocess_daemon_start(daemon, &error));
    uint32_t pid = look_at_daemon(daemon, "web").status.pid;
    char *snapshot = marshal(daemon);
    proxyprocess_daemon_free(daemon);
    CHECK_INT(kill((pid_t)pid, 0), 0);
    OK(proxyprocess_daemon_unmarshal_snapshot(next, snapshot, strlen(snapshot), &error));
    OK(proxyprocess_daemon_stop(next, &error));
    CHECK(is_gone(pid));
    proxyprocess_daemon_free(next);
    proxyprocess_text_free(snapshot);
    proxyprocess_daemon_free(NULL);
}

int main(void)
{
    resources before = resources_now();
    life();
    ends();
    takeover();
    consuls();
    detached();
    freed();
    nothing_is_left_since(before);
    return 0;
}
