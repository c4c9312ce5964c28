// SPDX-License-Identifier: MPL-2.0
/* The same handles in the hands of many threads: every call says 0 or what overtook it, and the end comes once. */

#include "helpers.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 3 };

static proxyprocess_state *state;
static proxyprocess_manager *manager;
static proxyprocess_daemon *daemon_handle;
static atomic_int ended;

/* A call goes well, or another thread has seen to it that it cannot. */
static void ok_or(int32_t code, int32_t overtaken)
{
    if (code == overtaken) {
        CHECK_INT(proxyprocess_error_code(error), overtaken);
        proxyprocess_error_free(error);
        error = NULL;
        return;
    }
    OK(code);
}

static void look_around(void)
{
    proxyprocess_status_list *list = NULL;
    proxyprocess_events *events = NULL;
    proxyprocess_event event = {.struct_size = sizeof event};
    char *text = NULL;
    OK(proxyprocess_manager_status(manager, &list, &error));
    OK(proxyprocess_status_list_json(list, &text, NULL, &error));
    proxyprocess_text_free(text);
    proxyprocess_status_list_free(list);
    OK(proxyprocess_manager_events(manager, &events, &error));
    OK(proxyprocess_events_next(events, 0, &event, &error));
    proxyprocess_events_free(events);
    OK(proxyprocess_state_list_json(state, &text, NULL, &error));
    proxyprocess_text_free(text);
}

static void *use(void *name)
{
    char path[32];
    proxyprocess_manager_options options = quick("data");
    snprintf(path, sizeof path, "copy-%s", (char *)name);
    while (!atomic_load(&ended)) {
        set(state, name, SLEEP);
        look_around();
        ok_or(proxyprocess_manager_snapshot(manager, path, &error), PROXYPROCESS_E_CLOSED);
        ok_or(proxyprocess_manager_reconfigure(manager, &options, &error), PROXYPROCESS_E_CLOSED);
        ok_or(proxyprocess_manager_start(manager, &error), PROXYPROCESS_E_CLOSED);
        OK(proxyprocess_manager_end_grace(manager, &error));
        int32_t restarted = proxyprocess_manager_restart(manager, name, &error);
        ok_or(restarted, restarted == PROXYPROCESS_E_CLOSED ? restarted : PROXYPROCESS_E_NOT_FOUND);
        OK(proxyprocess_state_remove(state, name, NULL, &error));
        set(state, "web", SLEEP);
        /* Under valgrind the threads take turns: those of the library need some to end processes in time. */
        poll(NULL, 0, 1);
    }
    /* And on and on: nothing is there any more, and nothing crashes. */
    look_around();
    FAILS(proxyprocess_manager_start(manager, &error), PROXYPROCESS_E_CLOSED, "closed");
    FAILS(proxyprocess_manager_run(manager, &error), PROXYPROCESS_E_CLOSED, "closed");
    FAILS(proxyprocess_manager_snapshot(manager, path, &error), PROXYPROCESS_E_CLOSED, "closed");
    return NULL;
}

static pthread_barrier_t barrier;

/* Every second one kills, if not all do. */
static void *end(void *how)
{
    pthread_barrier_wait(&barrier);
    OK(how ? proxyprocess_manager_kill(manager, &error) : proxyprocess_manager_close(manager, &error));
    /* Whichever thread won, its process has ended. */
    FAILS(proxyprocess_manager_run(manager, &error), PROXYPROCESS_E_CLOSED, "closed");
    OK(proxyprocess_manager_close(manager, &error));
    atomic_store(&ended, 1);
    return NULL;
}

/* What a closed manager has left behind is the next one's to stop. */
static void stop_the_rest(void)
{
    proxyprocess_manager *next = new_manager(state, "data");
    OK(proxyprocess_manager_restore(next, NULL, &error));
    OK(proxyprocess_manager_kill(next, &error));
    proxyprocess_manager_free(next);
}

static void managers(int all_kill)
{
    static char names[THREADS][2] = {"a", "b", "c"};
    pthread_t users[THREADS], enders[THREADS];
    atomic_store(&ended, 0);
    state = new_state();
    manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    set(state, "web", SLEEP);
    CHECK_INT(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
    for (int index = 0; index < THREADS; index++) {
        CHECK_INT(pthread_create(&users[index], NULL, use, names[index]), 0);
        CHECK_INT(pthread_create(&enders[index], NULL, end, all_kill || index % 2 ? state : NULL), 0);
    }
    uint32_t pid = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    pthread_barrier_wait(&barrier);
    for (int index = 0; index < THREADS; index++) {
        CHECK_INT(pthread_join(users[index], NULL), 0);
        CHECK_INT(pthread_join(enders[index], NULL), 0);
    }
    until(events, PROXYPROCESS_EVENT_END, NULL);
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    if (all_kill)
        CHECK(is_gone(pid));
    stop_the_rest();
    CHECK(is_gone(pid));
    proxyprocess_state_free(state);
    pthread_barrier_destroy(&barrier);
}

static void *use_daemon(void *unused)
{
    char *snapshot = NULL;
    for (int round = 0; round < 3; round++) {
        uint8_t equal = 7;
        ok_or(proxyprocess_daemon_start(daemon_handle, &error), PROXYPROCESS_E_STOPPED);
        look_at_daemon(daemon_handle, "web");
        OK(proxyprocess_daemon_marshal_snapshot(daemon_handle, &snapshot, NULL, &error));
        proxyprocess_text_free(snapshot);
        OK(proxyprocess_daemon_equal(daemon_handle, daemon_handle, &equal, &error));
        CHECK_INT(equal, 1);
        OK(proxyprocess_daemon_stop(daemon_handle, &error));
    }
    return unused;
}

static void *end_daemon(void *unused)
{
    OK(proxyprocess_daemon_close(daemon_handle, &error));
    FAILS(proxyprocess_daemon_start(daemon_handle, &error), PROXYPROCESS_E_CLOSED, "closed");
    OK(proxyprocess_daemon_stop(daemon_handle, &error));
    return unused;
}

/* Runs it on all threads. */
static void on_all_threads(void *(*what)(void *))
{
    pthread_t users[THREADS];
    for (int index = 0; index < THREADS; index++)
        CHECK_INT(pthread_create(&users[index], NULL, what, NULL), 0);
    for (int index = 0; index < THREADS; index++)
        CHECK_INT(pthread_join(users[index], NULL), 0);
}

static void daemons(void)
{
    daemon_handle = new_daemon("web", SLEEP);
    on_all_threads(use_daemon);
    OK(proxyprocess_daemon_stop(daemon_handle, &error));
    CHECK_INT(look_at_daemon(daemon_handle, "web").status.pid, 0);
    on_all_threads(end_daemon);
    proxyprocess_daemon_free(daemon_handle);
}

int main(void)
{
    resources before = resources_now();
    managers(0);
    managers(1);
    daemons();
    nothing_is_left_since(before);
    return 0;
}
