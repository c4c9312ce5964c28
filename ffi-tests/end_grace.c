// SPDX-License-Identifier: MPL-2.0
/* A stop with an hour of grace is under way in one thread, and another thread ends the grace. */

#include "helpers.h"

#include <pthread.h>

/* SIGINT is ignored. */
static const char *const STUBBORN[] = {"/bin/sh", "-c", "trap '' INT; echo ready >ready; exec sleep 1000", NULL};

static proxyprocess_proxy_options patient(void)
{
    proxyprocess_proxy_options options = proxy(STUBBORN);
    options.grace_period_ms = 3600000;
    return options;
}

/* Ends when the process ignores SIGINT. */
static void await_ready(int ready)
{
    char text[16];
    read_text(ready, text, sizeof text);
}

static void *kills(void *manager)
{
    OK(proxyprocess_manager_kill(manager, &error));
    return NULL;
}

static void *stops(void *daemon)
{
    OK(proxyprocess_daemon_stop(daemon, &error));
    return NULL;
}

static void was_killed(const proxyprocess_events *events, uint32_t pid)
{
    proxyprocess_event exited = until(events, PROXYPROCESS_EVENT_EXITED, "web");
    CHECK_INT(exited.pid, pid);
    CHECK_INT(exited.exit, PROXYPROCESS_EXIT_SIGNAL);
    CHECK_INT(exited.exit_value, SIGKILL);
}

static void of_a_manager(int ready)
{
    pthread_t killing;
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    proxyprocess_proxy_options options = patient();
    OK(proxyprocess_state_set(state, "web", &options, &error));
    OK(proxyprocess_manager_end_grace(manager, &error));
    OK(proxyprocess_manager_start(manager, &error));
    uint32_t first = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    await_ready(ready);
    /* Nothing is being stopped. */
    OK(proxyprocess_manager_end_grace(manager, &error));
    CHECK_INT(look(manager, "web").status.state, PROXYPROCESS_PROXY_RUNNING);
    OK(proxyprocess_manager_restart(manager, "web", &error));
    until(events, PROXYPROCESS_EVENT_STOPPING, "web");
    OK(proxyprocess_manager_end_grace(manager, &error));
    was_killed(events, first);
    uint32_t second = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    await_ready(ready);
    CHECK_INT(pthread_create(&killing, NULL, kills, manager), 0);
    until(events, PROXYPROCESS_EVENT_STOPPING, "web");
    OK(proxyprocess_manager_end_grace(manager, &error));
    OK(proxyprocess_manager_end_grace(manager, &error));
    was_killed(events, second);
    CHECK_INT(pthread_join(killing, NULL), 0);
    CHECK(is_gone(first) && is_gone(second));
    OK(proxyprocess_manager_end_grace(manager, &error));
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

static void of_a_daemon(int ready)
{
    pthread_t stopping;
    proxyprocess_proxy_options options = patient();
    proxyprocess_daemon *daemon = NULL;
    proxyprocess_events *events = NULL;
    OK(proxyprocess_daemon_new("web", &options, NULL, &daemon, &error));
    OK(proxyprocess_daemon_events(daemon, &events, &error));
    OK(proxyprocess_daemon_end_grace(daemon, &error));
    OK(proxyprocess_daemon_start(daemon, &error));
    uint32_t pid = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    await_ready(ready);
    OK(proxyprocess_daemon_end_grace(daemon, &error));
    CHECK_INT(look_at_daemon(daemon, "web").status.state, PROXYPROCESS_PROXY_RUNNING);
    CHECK_INT(pthread_create(&stopping, NULL, stops, daemon), 0);
    until(events, PROXYPROCESS_EVENT_STOPPING, "web");
    OK(proxyprocess_daemon_end_grace(daemon, &error));
    was_killed(events, pid);
    CHECK_INT(pthread_join(stopping, NULL), 0);
    CHECK(is_gone(pid));
    OK(proxyprocess_daemon_close(daemon, &error));
    OK(proxyprocess_daemon_end_grace(daemon, &error));
    proxyprocess_events_free(events);
    proxyprocess_daemon_free(daemon);
}

int main(void)
{
    resources before = resources_now();
    int ready = new_fifo("ready");
    of_a_manager(ready);
    of_a_daemon(ready);
    close(ready);
    CHECK_INT(unlink("ready"), 0);
    nothing_is_left_since(before);
    return 0;
}
