// SPDX-License-Identifier: MPL-2.0
/* Events: waited for, announced by a descriptor, missed, and their end. */

#include "helpers.h"

#include <pthread.h>
#include <sys/epoll.h>

static const char NOOP[] = "{\"mode\": \"noop\"}";

static void set_noop(const proxyprocess_state *state, const char *id)
{
    OK(proxyprocess_state_set_json(state, id, NOOP, sizeof NOOP - 1, &error));
}

static proxyprocess_event next(const proxyprocess_events *events, uint64_t timeout_ms)
{
    proxyprocess_event event;
    memset(&event, 0xee, sizeof event);
    event.struct_size = sizeof event;
    OK(proxyprocess_events_next(events, timeout_ms, &event, &error));
    CHECK_INT(event.struct_size, sizeof event);
    CHECK_INT(event.reserved, 0);
    return event;
}

static int descriptor_of(const proxyprocess_events *events)
{
    int32_t descriptor = -1;
    OK(proxyprocess_events_descriptor(events, &descriptor, &error));
    CHECK(descriptor > 2);
    return descriptor;
}

/* Reads all that is there, until nothing is any more; false at the end. */
static int drain(const proxyprocess_events *events)
{
    for (;;) {
        proxyprocess_event event = next(events, 0);
        if (event.kind == PROXYPROCESS_EVENT_NONE || event.kind == PROXYPROCESS_EVENT_END)
            return event.kind == PROXYPROCESS_EVENT_NONE;
    }
}

static void numbers(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, NULL);
    proxyprocess_events *events = events_of(manager);
    CHECK_INT(next(events, 0).kind, PROXYPROCESS_EVENT_NONE);
    int64_t since = now_ms();
    CHECK_INT(next(events, 20).kind, PROXYPROCESS_EVENT_NONE);
    CHECK(now_ms() - since >= 19);

    struct timespec began, now;
    clock_gettime(CLOCK_REALTIME, &began);
    set_noop(state, "a");
    set_noop(state, "b");
    OK(proxyprocess_manager_start(manager, &error));
    proxyprocess_event first = next(events, UINT64_MAX);
    clock_gettime(CLOCK_REALTIME, &now);
    CHECK_INT(first.kind, PROXYPROCESS_EVENT_STARTED);
    CHECK_TEXT(first.id, "a");
    CHECK(first.text == NULL);
    CHECK_INT(first.pid, 0);
    CHECK_INT(first.number, 1);
    CHECK(first.at_unix_ns >= (uint64_t)began.tv_sec * 1000000000 + (uint64_t)began.tv_nsec);
    CHECK(first.at_unix_ns <= (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
    proxyprocess_event second = next(events, UINT64_MAX);
    CHECK_TEXT(second.id, "b");
    CHECK_INT(second.number, 2);
    OK(proxyprocess_manager_kill(manager, &error));
    CHECK_INT(next(events, 0).kind, PROXYPROCESS_EVENT_STOPPED);
    CHECK_INT(next(events, 0).kind, PROXYPROCESS_EVENT_STOPPED);
    CHECK_INT(next(events, UINT64_MAX).kind, PROXYPROCESS_EVENT_END);
    CHECK_INT(next(events, 0).kind, PROXYPROCESS_EVENT_END);
    proxyprocess_events_free(events);
    /* Who comes late hears of the end at once. */
    events = events_of(manager);
    CHECK_INT(next(events, UINT64_MAX).kind, PROXYPROCESS_EVENT_END);
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

static void gap(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager_options options = quick(NULL);
    proxyprocess_manager *manager = NULL;
    options.event_capacity = 1;
    OK(proxyprocess_manager_new(state, &options, &manager, &error));
    proxyprocess_events *slow = events_of(manager), *fast = events_of(manager);
    set_noop(state, "a");
    OK(proxyprocess_manager_start(manager, &error));
    until(fast, PROXYPROCESS_EVENT_STARTED, "a");
    set_noop(state, "b");
    until(fast, PROXYPROCESS_EVENT_STARTED, "b");
    set_noop(state, "c");
    until(fast, PROXYPROCESS_EVENT_STARTED, "c");
    proxyprocess_event missed = next(slow, 0), last = next(slow, 0);
    CHECK_INT(missed.kind, PROXYPROCESS_EVENT_GAP);
    CHECK_INT(missed.missed, 2);
    CHECK_INT(missed.number, 2);
    CHECK(missed.id == NULL);
    CHECK_INT(last.kind, PROXYPROCESS_EVENT_STARTED);
    CHECK_INT(last.number, 3);
    CHECK_TEXT(last.id, "c");
    CHECK_INT(next(slow, 0).kind, PROXYPROCESS_EVENT_NONE);
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_events_free(slow);
    proxyprocess_events_free(fast);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

static void is_json(const proxyprocess_event *event, const char *wanted)
{
    char *json = NULL;
    size_t length = 0;
    OK(proxyprocess_event_json(event, &json, &length, &error));
    CHECK_TEXT(json, wanted);
    CHECK_INT(strlen(json), length);
    proxyprocess_text_free(json);
}

/* Texts and JSON of what a process does, and of structs that no call has filled. */
static void texts(void)
{
    static const char *const ends[] = {"sh", "-c", "exit 3", NULL};
    static const char *const killed[] = {"sh", "-c", "kill -KILL $$", NULL};
    static const char *const *const programs[] = {ends, killed};
    static const char *const exits[] = {"exit code 3", "signal SIGKILL"};
    char wanted[256];
    for (int index = 0; index < 2; index++) {
        proxyprocess_proxy_options options = proxy(programs[index]);
        proxyprocess_daemon *daemon = NULL;
        /* No restart comes before the stop. */
        options.restart_attempts_before_backoff = 0;
        OK(proxyprocess_daemon_new("web", &options, NULL, &daemon, &error));
        proxyprocess_events *events = NULL;
        OK(proxyprocess_daemon_events(daemon, &events, &error));
        OK(proxyprocess_daemon_start(daemon, &error));
        proxyprocess_event event = until(events, PROXYPROCESS_EVENT_STARTED, "web");
        CHECK(event.exit_text == NULL);
        event = until(events, PROXYPROCESS_EVENT_EXITED, "web");
        CHECK_TEXT(event.exit_text, exits[index]);
        CHECK_INT(event.generation, 1);
        snprintf(wanted, sizeof wanted,
                 "{\"number\":%" PRIu64 ",\"at_unix_ns\":%" PRIu64 ",\"id\":\"web\",\"kind\":\"exited\",\"pid\":%" PRIu32
                 ",\"exit\":\"%s\",\"wait_ms\":null,\"text\":null,\"missed\":null,\"generation\":1}",
                 event.number, event.at_unix_ns, event.pid, exits[index]);
        is_json(&event, wanted);
        OK(proxyprocess_daemon_stop(daemon, &error));

        proxyprocess_status_list *list = NULL;
        proxyprocess_proxy_status status = {.struct_size = sizeof status};
        char *json = NULL;
        OK(proxyprocess_daemon_status(daemon, &list, &error));
        OK(proxyprocess_status_list_get(list, 0, &status, &error));
        CHECK_TEXT(status.last_exit_text, exits[index]);
        CHECK(status.generation >= 1);
        OK(proxyprocess_status_list_get_json(list, 0, &json, NULL, &error));
        snprintf(wanted, sizeof wanted, "\"last_exit\":\"%s\",\"last_exit_kind\":\"", exits[index]);
        CHECK_HAS(json, wanted);
        CHECK_HAS(json, "{\"id\":\"web\",\"mode\":\"daemon\",\"state\":\"stopped\",\"pid\":null,\"adopted\":false,\"restarts\":");
        proxyprocess_text_free(json);
        json = NULL;
        FAILS(proxyprocess_status_list_get_json(list, 1, &json, NULL, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "index");
        FAILS(proxyprocess_status_list_get_json(list, SIZE_MAX, &json, NULL, &error), PROXYPROCESS_E_INVALID_ARGUMENT,
              "index");
        CHECK(json == NULL);
        proxyprocess_status_list_free(list);
        proxyprocess_events_free(events);
        proxyprocess_daemon_free(daemon);
    }

    static const char *const names[] = {
        "none",     "end",     "started", "start_failed",     "adopted",         "adoption_refused",
        "exited",   "waiting", "stopping", "stopped",         "failed",          "snapshot_written",
        "snapshot_failed", "gap", "unproven", "ready",        "not_ready",
        "watchdog_expired", "completed",
    };
    for (int32_t kind = 0; kind < (int32_t)(sizeof names / sizeof *names); kind++)
        CHECK_TEXT(proxyprocess_event_kind_str(kind), names[kind]);
    CHECK_TEXT(proxyprocess_event_kind_str(19), "unknown");
    CHECK_TEXT(proxyprocess_event_kind_str(INT32_MIN), "unknown");

    proxyprocess_event made = {.struct_size = sizeof made, .kind = PROXYPROCESS_EVENT_NONE};
    char *json = NULL;
    is_json(&made, "{\"number\":0,\"at_unix_ns\":0,\"id\":null,\"kind\":\"none\",\"pid\":null,\"exit\":null,"
                   "\"wait_ms\":null,\"text\":null,\"missed\":null,\"generation\":null}");
    made.kind = 99;
    FAILS(proxyprocess_event_json(&made, &json, NULL, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "event.kind");
    made.kind = PROXYPROCESS_EVENT_FAILED;
    made.text = "\xff";
    FAILS(proxyprocess_event_json(&made, &json, NULL, &error), PROXYPROCESS_E_INVALID_UTF8, "event.text");
    made.text = NULL;
    made.exit = -1;
    FAILS(proxyprocess_event_json(&made, &json, NULL, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "event.exit");
    made.struct_size = 0;
    FAILS(proxyprocess_event_json(&made, &json, NULL, &error), PROXYPROCESS_E_STRUCT_SIZE, "struct_size");
    CHECK(json == NULL);
}

/* A host with an event loop waits for the descriptor, and reads until there is nothing. */
static void loops(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, NULL);
    proxyprocess_events *polled = events_of(manager), *watched = events_of(manager);
    int poll_fd = descriptor_of(polled), watch_fd = descriptor_of(watched), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event interest = {.events = EPOLLIN | EPOLLET, .data = {.fd = watch_fd}}, found;
    CHECK(epoll >= 0);
    CHECK_INT(epoll_ctl(epoll, EPOLL_CTL_ADD, watch_fd, &interest), 0);
    CHECK_INT(descriptor_of(polled), poll_fd);
    CHECK(poll_fd != watch_fd && (fcntl(poll_fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(!readable(poll_fd, 0));
    CHECK_INT(epoll_wait(epoll, &found, 1, 0), 0);
    OK(proxyprocess_manager_start(manager, &error));
    for (int round = 0; round < 3; round++) {
        char id[] = {(char)('a' + round), '\0'};
        set_noop(state, id);
        CHECK(readable(poll_fd, DEADLINE_MS));
        CHECK(readable(poll_fd, 0));
        CHECK(drain(polled) && !readable(poll_fd, 0));
        CHECK_INT(epoll_wait(epoll, &found, 1, DEADLINE_MS), 1);
        CHECK_INT(found.data.fd, watch_fd);
        CHECK(drain(watched));
        CHECK_INT(epoll_wait(epoll, &found, 1, 0), 0);
    }
    OK(proxyprocess_manager_close(manager, &error));
    CHECK(readable(poll_fd, 0) && !drain(polled) && readable(poll_fd, 0));
    CHECK_INT(epoll_wait(epoll, &found, 1, 0), 1);
    CHECK(!drain(watched));
    CHECK_INT(epoll_ctl(epoll, EPOLL_CTL_DEL, watch_fd, NULL), 0);
    close(epoll);
    proxyprocess_events_free(polled);
    CHECK_INT(fcntl(poll_fd, F_GETFD), -1);
    proxyprocess_manager_free(manager);
    CHECK(readable(watch_fd, 0));
    proxyprocess_events_free(watched);
    proxyprocess_state_free(state);
}

static void *wait_for_the_end(void *events)
{
    while (next(events, UINT64_MAX).kind != PROXYPROCESS_EVENT_END) {
    }
    return NULL;
}

/* A reader without a deadline is woken by the end, also when it is not asked for: the manager is freed. */
static void woken(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, NULL);
    proxyprocess_events *events = events_of(manager);
    pthread_t reader;
    CHECK_INT(pthread_create(&reader, NULL, wait_for_the_end, events), 0);
    set_noop(state, "a");
    OK(proxyprocess_manager_start(manager, &error));
    proxyprocess_manager_free(manager);
    CHECK_INT(pthread_join(reader, NULL), 0);
    proxyprocess_events_free(events);
    proxyprocess_state_free(state);
}

int main(void)
{
    resources before = resources_now();
    numbers();
    gap();
    texts();
    loops();
    woken();
    proxyprocess_events_free(NULL);
    nothing_is_left_since(before);
    return 0;
}
