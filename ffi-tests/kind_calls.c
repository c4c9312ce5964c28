// SPDX-License-Identifier: MPL-2.0
/* What the functions of a kind may call, what they may not, and whom they hold up. */

#include "kinds.h"

/* What the functions below use. */
static proxyprocess_state *state;
static proxyprocess_manager *manager;
/* Written to by the functions of the kind, when they are done. */
static int done[2];

static void say(const char *what)
{
    CHECK_INT(write(done[1], what, strlen(what)), strlen(what));
}

static void is_said(const char *what)
{
    char said[64];
    read_text(done[0], said, sizeof said);
    CHECK_TEXT(said, what);
}

#define REFUSED(call) FAILS(call, PROXYPROCESS_E_IN_CALLBACK, "a function of a proxy kind")

static void managers_are_refused(void)
{
    proxyprocess_manager_options options = quick(NULL);
    proxyprocess_manager *other = NULL;
    proxyprocess_proxy_kind kind = own_kind();
    proxyprocess_status_list *list = NULL;
    proxyprocess_events *events = NULL;
    char *path = NULL;
    REFUSED(proxyprocess_manager_new(state, &options, &other, &error));
    REFUSED(proxyprocess_manager_register_kind(manager, "more", &kind, &error));
    REFUSED(proxyprocess_manager_restore(manager, NULL, &error));
    REFUSED(proxyprocess_manager_run(manager, &error));
    REFUSED(proxyprocess_manager_start(manager, &error));
    REFUSED(proxyprocess_manager_close(manager, &error));
    REFUSED(proxyprocess_manager_kill(manager, &error));
    REFUSED(proxyprocess_manager_end_grace(manager, &error));
    REFUSED(proxyprocess_manager_snapshot(manager, "copy", &error));
    REFUSED(proxyprocess_manager_snapshot_path(manager, &path, &error));
    REFUSED(proxyprocess_manager_reconfigure(manager, &options, &error));
    REFUSED(proxyprocess_manager_status(manager, &list, &error));
    REFUSED(proxyprocess_manager_status_of(manager, "web", &list, &error));
    REFUSED(proxyprocess_manager_metrics(manager, &path, NULL, &error));
    REFUSED(proxyprocess_manager_events(manager, &events, &error));
    REFUSED(proxyprocess_manager_restart(manager, "web", &error));
    REFUSED(proxyprocess_manager_retry(manager, "web", &error));
    REFUSED(proxyprocess_manager_pause(manager, "web", &error));
    REFUSED(proxyprocess_manager_resume(manager, "web", &error));
    REFUSED(proxyprocess_manager_reset_crashes(manager, "web", &error));
    REFUSED(proxyprocess_manager_reload(manager, "web", &error));
    REFUSED(proxyprocess_manager_signal(manager, "web", SIGHUP, &error));
    REFUSED(proxyprocess_manager_wait_until(manager, "web", PROXYPROCESS_WAIT_RUNNING, UINT64_MAX, &error));
    CHECK(!other && !path && !list && !events);
}

/* A proxy of a kind may well be a daemon with something around it. */
static void others_are_allowed(void)
{
    proxyprocess_daemon *daemon = new_daemon("inner", SLEEP);
    proxyprocess_subscription *changes = NULL;
    uint8_t changed = 7;
    OK(proxyprocess_state_subscribe(state, &changes, &error));
    set(state, "inner", SLEEP);
    OK(proxyprocess_subscription_wait(changes, 0, &changed, &error));
    CHECK_INT(changed, 1);
    OK(proxyprocess_state_remove(state, "inner", NULL, &error));
    proxyprocess_subscription_free(changes);
    OK(proxyprocess_daemon_start(daemon, &error));
    uint32_t pid = look_at_daemon(daemon, "inner").status.pid;
    OK(proxyprocess_daemon_end_grace(daemon, &error));
    OK(proxyprocess_daemon_stop(daemon, &error));
    CHECK(is_gone(pid));
    proxyprocess_daemon_free(daemon);
}

static int32_t calling_start(void *proxy, proxyprocess_reply *reply)
{
    (void)proxy, (void)reply;
    managers_are_refused();
    others_are_allowed();
    say("start");
    return PROXYPROCESS_OK;
}

static int32_t calling_create(void *user, const proxyprocess_proxy_context *context, void **proxy,
                              proxyprocess_reply *reply)
{
    managers_are_refused();
    others_are_allowed();
    return own_create(user, context, proxy, reply);
}

static void calling_destroy(void *proxy)
{
    managers_are_refused();
    others_are_allowed();
    own_destroy(proxy);
}

static void calls_from_within(void)
{
    proxyprocess_proxy_kind kind = own_kind();
    kind.create = calling_create;
    kind.start = calling_start;
    kind.destroy = calling_destroy;
    state = new_state();
    manager = new_manager(state, NULL);
    OK(proxyprocess_manager_register_kind(manager, "own", &kind, &error));
    set_own(state, "web", 1, "");
    OK(proxyprocess_manager_start(manager, &error));
    is_said("start");
    OK(proxyprocess_manager_kill(manager, &error));
    /* Here it is no callback any more. */
    proxyprocess_status_list *list = NULL;
    OK(proxyprocess_manager_status(manager, &list, &error));
    proxyprocess_status_list_free(list);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

static int32_t freeing_start(void *proxy, proxyprocess_reply *reply)
{
    (void)proxy, (void)reply;
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
    manager = NULL;
    state = NULL;
    return PROXYPROCESS_OK;
}

static int32_t freeing_create(void *user, const proxyprocess_proxy_context *context, void **proxy,
                              proxyprocess_reply *reply)
{
    CHECK_INT(freeing_start(NULL, reply), PROXYPROCESS_OK);
    return own_create(user, context, proxy, reply);
}

static void saying_destroy_user(void *user)
{
    own_destroy_user(user);
    say("destroyed");
}

static void *run(void *manager)
{
    OK(proxyprocess_manager_run(manager, &error));
    return NULL;
}

/* The manager may be freed by one of its own proxies, in `create` or in `start`: that is done a moment later. */
static void freed_from_within(resources before, int in_create, int by_own_thread)
{
    pthread_t runner;
    proxyprocess_proxy_kind kind = own_kind();
    kind.destroy_user = saying_destroy_user;
    if (in_create)
        kind.create = freeing_create;
    else
        kind.start = freeing_start;
    atomic_store(&users_destroyed, 0);
    state = new_state();
    manager = new_manager(state, NULL);
    OK(proxyprocess_manager_register_kind(manager, "own", &kind, &error));
    set_own(state, "web", 1, "");
    if (by_own_thread) {
        CHECK_INT(pthread_create(&runner, NULL, run, manager), 0);
        CHECK_INT(pthread_join(runner, NULL), 0);
    } else {
        OK(proxyprocess_manager_start(manager, &error));
    }
    is_said("destroyed");
    CHECK_INT(atomic_load(&users_destroyed), 1);
    nothing_is_left_since(before);
}

static int held[2];

static int32_t holding_start(void *proxy, proxyprocess_reply *reply)
{
    char byte;
    (void)proxy, (void)reply;
    say("start");
    CHECK_INT(read(held[0], &byte, 1), 1);
    return PROXYPROCESS_OK;
}

/* One that takes long holds up no daemon. */
static void slow_start(void)
{
    proxyprocess_proxy_kind kind = own_kind();
    kind.start = holding_start;
    atomic_store(&users_destroyed, 0);
    state = new_state();
    manager = new_manager(state, NULL);
    OK(proxyprocess_manager_register_kind(manager, "own", &kind, &error));
    proxyprocess_events *events = events_of(manager);
    set_own(state, "slow", 1, "");
    OK(proxyprocess_manager_start(manager, &error));
    is_said("start");
    CHECK_INT(look(manager, "slow").status.state, PROXYPROCESS_PROXY_STARTING);
    set(state, "web", SLEEP);
    uint32_t pid = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    CHECK_INT(kill((pid_t)pid, SIGKILL), 0);
    CHECK(until(events, PROXYPROCESS_EVENT_STARTED, "web").pid != pid);
    OK(proxyprocess_state_remove(state, "web", NULL, &error));
    until(events, PROXYPROCESS_EVENT_STOPPED, "web");
    CHECK_INT(write(held[1], "x", 1), 1);
    until(events, PROXYPROCESS_EVENT_STARTED, "slow");
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

static void releasing_request_stop(void *proxy)
{
    CHECK_INT(write(held[1], proxy == NULL ? "" : "x", 1), 1);
}

static int32_t waiting_stop(void *proxy, proxyprocess_reply *reply)
{
    char byte;
    (void)proxy, (void)reply;
    /* Both have been asked, or will be without waiting for this one. */
    for (int count = 0; count < 2; count++) {
        CHECK(readable(held[0], DEADLINE_MS));
        CHECK_INT(read(held[0], &byte, 1), 1);
    }
    CHECK_INT(write(held[1], "xx", 2), 2);
    return PROXYPROCESS_OK;
}

/* Slow ones stop at the same time: all are asked before one is waited for. */
static void slow_stops(void)
{
    char bytes[4];
    proxyprocess_proxy_kind kind = own_kind();
    kind.request_stop = releasing_request_stop;
    kind.stop = waiting_stop;
    atomic_store(&users_destroyed, 0);
    state = new_state();
    manager = new_manager(state, NULL);
    OK(proxyprocess_manager_register_kind(manager, "own", &kind, &error));
    proxyprocess_events *events = events_of(manager);
    set_own(state, "a", 1, "");
    set_own(state, "b", 1, "");
    OK(proxyprocess_manager_start(manager, &error));
    until(events, PROXYPROCESS_EVENT_STARTED, "b");
    OK(proxyprocess_manager_kill(manager, &error));
    CHECK_INT(read(held[0], bytes, sizeof bytes), 2);
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

int main(void)
{
    resources before = resources_now(), with_pipes;
    CHECK_INT(pipe2(done, O_CLOEXEC), 0);
    CHECK_INT(pipe2(held, O_CLOEXEC), 0);
    with_pipes = resources_now();
    calls_from_within();
    for (int which = 0; which < 4; which++)
        freed_from_within(with_pipes, which & 1, which & 2);
    slow_start();
    slow_stops();
    for (int end = 0; end < 2; end++) {
        close(done[end]);
        close(held[end]);
    }
    nothing_is_left_since(before);
    return 0;
}
