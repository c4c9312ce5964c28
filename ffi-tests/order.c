// SPDX-License-Identifier: MPL-2.0
/* Handles are freed in any order: each keeps what it needs, and none outlives the last. */

#include "helpers.h"

/* Calls `with` with every order of the numbers from 0 to `count`. */
static void for_each_order(int count, int done, int *order, void (*with)(const int *))
{
    if (done == count) {
        with(order);
        return;
    }
    for (int next = 0; next < count; next++) {
        int taken = 0;
        for (int earlier = 0; earlier < done; earlier++)
            taken |= order[earlier] == next;
        if (taken)
            continue;
        order[done] = next;
        for_each_order(count, done + 1, order, with);
    }
}

static int32_t next_kind(const proxyprocess_events *events)
{
    proxyprocess_event event = {.struct_size = sizeof event};
    OK(proxyprocess_events_next(events, 0, &event, &error));
    return event.kind;
}

static resources before;

static void manager_and_others(const int *order)
{
    static const char noop[] = "{\"mode\": \"noop\"}";
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, NULL);
    proxyprocess_events *events = events_of(manager);
    proxyprocess_status_list *list = NULL;
    OK(proxyprocess_state_set_json(state, "web", noop, sizeof noop - 1, &error));
    OK(proxyprocess_manager_start(manager, &error));
    until(events, PROXYPROCESS_EVENT_STARTED, "web");
    OK(proxyprocess_manager_status(manager, &list, &error));
    for (int at = 0; at < 4; at++) {
        switch (order[at]) {
        case 0:
            proxyprocess_state_free(state);
            break;
        case 1:
            proxyprocess_manager_free(manager);
            manager = NULL;
            /* Whatever else is not freed yet. */
            no_thread_is_left_since(before);
            break;
        case 2:
            proxyprocess_events_free(events);
            events = NULL;
            break;
        default:
            proxyprocess_status_list_free(list);
            list = NULL;
        }
        if (manager != NULL)
            CHECK_INT(look(manager, "web").status.state, PROXYPROCESS_PROXY_RUNNING);
        if (events != NULL)
            CHECK_INT(next_kind(events), manager ? PROXYPROCESS_EVENT_NONE : PROXYPROCESS_EVENT_END);
        if (list != NULL)
            CHECK_INT(proxyprocess_status_list_count(list), 1);
    }
}

static void daemon_and_others(const int *order)
{
    proxyprocess_daemon *daemon = new_daemon("web", SLEEP);
    proxyprocess_events *events = NULL;
    proxyprocess_status_list *list = NULL;
    OK(proxyprocess_daemon_events(daemon, &events, &error));
    OK(proxyprocess_daemon_start(daemon, &error));
    until(events, PROXYPROCESS_EVENT_STARTED, "web");
    OK(proxyprocess_daemon_status(daemon, &list, &error));
    OK(proxyprocess_daemon_stop(daemon, &error));
    until(events, PROXYPROCESS_EVENT_STOPPED, "web");
    for (int at = 0; at < 3; at++) {
        switch (order[at]) {
        case 0:
            proxyprocess_daemon_free(daemon);
            daemon = NULL;
            no_thread_is_left_since(before);
            break;
        case 1:
            proxyprocess_events_free(events);
            events = NULL;
            break;
        default:
            proxyprocess_status_list_free(list);
        }
        if (daemon != NULL)
            CHECK_INT(look_at_daemon(daemon, "web").status.state, PROXYPROCESS_PROXY_STOPPED);
        if (events != NULL)
            CHECK_INT(next_kind(events), daemon ? PROXYPROCESS_EVENT_NONE : PROXYPROCESS_EVENT_END);
    }
}

/* Two managers and a daemon share the threads, which are gone with the last of them. */
static void shared_threads(const int *order)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *managers[2] = {new_manager(state, NULL), new_manager(state, NULL)};
    proxyprocess_daemon *daemon = new_daemon("web", SLEEP);
    OK(proxyprocess_daemon_start(daemon, &error));
    uint32_t pid = look_at_daemon(daemon, "web").status.pid;
    OK(proxyprocess_manager_start(managers[0], &error));
    OK(proxyprocess_manager_start(managers[1], &error));
    proxyprocess_state_free(state);
    for (int at = 0; at < 3; at++) {
        if (order[at] < 2) {
            proxyprocess_manager_free(managers[order[at]]);
            continue;
        }
        CHECK_INT(look_at_daemon(daemon, "web").status.pid, pid);
        OK(proxyprocess_daemon_stop(daemon, &error));
        proxyprocess_daemon_free(daemon);
    }
    CHECK(is_gone(pid));
}

int main(void)
{
    int order[4];
    before = resources_now();
    for_each_order(4, 0, order, manager_and_others);
    for_each_order(3, 0, order, daemon_and_others);
    nothing_is_left_since(before);
    for_each_order(3, 0, order, shared_threads);
    nothing_is_left_since(before);
    return 0;
}
