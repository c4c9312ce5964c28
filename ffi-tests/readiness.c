// SPDX-License-Identifier: MPL-2.0
/* Proxies that are ready some time after they were started, or not in time. */

#include "helpers.h"

/* Declares the proxy, and waits until its new process was started and this has happened to it. */
static proxyprocess_event become(proxyprocess_state *state, const proxyprocess_events *events,
                                 const proxyprocess_proxy_options *options, int32_t kind)
{
    OK(proxyprocess_state_set(state, "web", options, &error));
    until(events, PROXYPROCESS_EVENT_STARTED, "web");
    return until(events, kind, "web");
}

static void awaited(void)
{
    static const char *const reports[] = {"sh", "-c", "echo >&5; exec sleep 1000", NULL};
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    proxyprocess_proxy_options options = proxy(reports);
    OK(proxyprocess_manager_start(manager, &error));
    options.ready_fd = 5;
    become(state, events, &options, PROXYPROCESS_EVENT_READY);
    CHECK_INT(look(manager, "web").status.state, PROXYPROCESS_PROXY_RUNNING);
    CHECK_INT(look(manager, "web").status.ready, 1);

    options = proxy(SLEEP);
    options.ready_unix = "/nonexistent/socket";
    options.start_timeout_ms = 50;
    CHECK_TEXT(become(state, events, &options, PROXYPROCESS_EVENT_NOT_READY).text,
               "connect to /nonexistent/socket: No such file or directory (os error 2)");
    CHECK_INT(look(manager, "web").status.ready, 0);
    CHECK_HAS(look(manager, "web").last_error, "not ready in 50 ms: connect to ");
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

int main(void)
{
    resources before = resources_now();
    awaited();
    nothing_is_left_since(before);
    return 0;
}
