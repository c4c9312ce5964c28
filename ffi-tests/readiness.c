// SPDX-License-Identifier: MPL-2.0
/* Proxies that are ready some time after they were started, or not in time. */

#include "helpers.h"

#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

/* Says this to the socket that the environment names. */
static void say(const char *text)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(name != NULL && name[0] == '@' && strlen(name) < sizeof address.sun_path);
    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    CHECK_INT(sendto(sender, text, strlen(text), 0, (struct sockaddr *)&address, length), strlen(text));
    CHECK_INT(close(sender), 0);
}

/* Is the proxy: says that it is ready, and once that it has reloaded; what comes then it ignores. */
static int notify(void)
{
    sigset_t hangup;
    int signal = 0;
    char text[80];
    struct timespec now;
    CHECK_INT(sigemptyset(&hangup), 0);
    CHECK_INT(sigaddset(&hangup, SIGHUP), 0);
    CHECK_INT(sigprocmask(SIG_BLOCK, &hangup, NULL), 0);
    say("READY=1\nSTATUS=2 workers");
    CHECK_INT(sigwait(&hangup, &signal), 0);
    CHECK_INT(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    long long microseconds = now.tv_sec * 1000000LL + now.tv_nsec / 1000;
    CHECK(snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld", microseconds) > 0);
    say(text);
    say("READY=1\nSTATUS=reloaded");
    return pause();
}

/* Declares the proxy, and waits until its new process was started and this has happened to it. */
static proxyprocess_event become(proxyprocess_state *state, const proxyprocess_events *events,
                                 const proxyprocess_proxy_options *options, int32_t kind)
{
    OK(proxyprocess_state_set(state, "web", options, &error));
    until(events, PROXYPROCESS_EVENT_STARTED, "web");
    return until(events, kind, "web");
}

static void awaited(const char *program)
{
    const char *const notifies[] = {program, "notifies", NULL};
    static const char *const reports[] = {"sh", "-c", "echo >&5; exec sleep 1000", NULL};
    static const char *const hangs[] = {"sh", "-c", "ulimit -c 0; exec sleep 1000", NULL};
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    proxyprocess_proxy_options options = proxy(reports);
    OK(proxyprocess_manager_start(manager, &error));
    options.ready_fd = 5;
    become(state, events, &options, PROXYPROCESS_EVENT_READY);
    CHECK_INT(look(manager, "web").status.state, PROXYPROCESS_PROXY_RUNNING);
    CHECK_INT(look(manager, "web").status.ready, 1);

    CHECK_TEXT(look(manager, "web").status_text, "");

    options = proxy(notifies);
    options.ready_notify = 1;
    become(state, events, &options, PROXYPROCESS_EVENT_READY);
    CHECK_INT(look(manager, "web").status.ready, 1);
    CHECK_TEXT(look(manager, "web").status_text, "2 workers");
    options.reload_json = "\"notify\"";
    OK(proxyprocess_state_set(state, "web", &options, &error));
    set(state, "marker", SLEEP);
    until(events, PROXYPROCESS_EVENT_STARTED, "marker");
    OK(proxyprocess_manager_reload(manager, "web", &error));
    CHECK_TEXT(look(manager, "web").status_text, "reloaded");
    options.start_timeout_ms = 50;
    OK(proxyprocess_state_set(state, "web", &options, &error));
    set(state, "another", SLEEP);
    until(events, PROXYPROCESS_EVENT_STARTED, "another");
    FAILS(proxyprocess_manager_reload(manager, "web", &error), PROXYPROCESS_E_TIMEOUT,
          "proxy web: reload: not confirmed in 50 ms: no RELOADING=1; its status is \"reloaded\"");

    options = proxy(SLEEP);
    options.ready_unix = "/nonexistent/socket";
    options.start_timeout_ms = 50;
    CHECK_TEXT(become(state, events, &options, PROXYPROCESS_EVENT_NOT_READY).text,
               "connect to /nonexistent/socket: No such file or directory (os error 2)");
    CHECK_INT(look(manager, "web").status.ready, 0);
    CHECK_HAS(look(manager, "web").last_error, "not ready in 50 ms: connect to ");

    options = proxy(hangs);
    options.watchdog_ms = 50;
    CHECK_TEXT(become(state, events, &options, PROXYPROCESS_EVENT_WATCHDOG_EXPIRED).text, "no message for 50 ms");
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "notifies") == 0)
        return notify();
    resources before = resources_now();
    awaited(argv[0]);
    nothing_is_left_since(before);
    return 0;
}
