// SPDX-License-Identifier: MPL-2.0
/* Steering one proxy of a manager. */

#include "helpers.h"

#include <pthread.h>

static void restart(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    set(state, "web", SLEEP);
    FAILS(proxyprocess_manager_restart(manager, "web", &error), PROXYPROCESS_E_NOT_FOUND, "proxy web: not managed");
    OK(proxyprocess_manager_start(manager, &error));
    uint32_t first = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    set(state, "another", SLEEP);
    uint32_t another = until(events, PROXYPROCESS_EVENT_STARTED, "another").pid;
    OK(proxyprocess_manager_restart(manager, "web", &error));
    uint32_t second = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    CHECK(second != first);
    CHECK(is_gone(first));
    CHECK_INT(look(manager, "web").status.pid, second);
    CHECK_INT(look(manager, "another").status.pid, another);
    FAILS(proxyprocess_manager_restart(manager, "", &error), PROXYPROCESS_E_NOT_FOUND, "");
    CHECK_INT(look(manager, "web").status.restarts, 1);
    OK(proxyprocess_manager_reset_crashes(manager, "web", &error));
    CHECK_INT(look(manager, "web").status.restarts, 0);
    FAILS(proxyprocess_manager_reset_crashes(manager, "none", &error), PROXYPROCESS_E_NOT_FOUND, "proxy none");
    FAILS(proxyprocess_manager_reset_crashes(manager, "a\xff", &error), PROXYPROCESS_E_INVALID_UTF8, "id");
    OK(proxyprocess_manager_retry(manager, "web", &error));
    CHECK_INT(look(manager, "web").status.pid, second);
    FAILS(proxyprocess_manager_retry(manager, "none", &error), PROXYPROCESS_E_NOT_FOUND, "proxy none");
    FAILS(proxyprocess_manager_retry(manager, "a\xff", &error), PROXYPROCESS_E_INVALID_UTF8, "id");
    FAILS(proxyprocess_manager_restart(manager, "a\xff", &error), PROXYPROCESS_E_INVALID_UTF8, "id");
    OK(proxyprocess_manager_kill(manager, &error));
    FAILS(proxyprocess_manager_restart(manager, "web", &error), PROXYPROCESS_E_CLOSED, "closed");
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

static void signals(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    proxyprocess_proxy_options nothing = proxy(NULL);
    nothing.mode = PROXYPROCESS_MODE_NOOP;
    OK(proxyprocess_state_set(state, "nothing", &nothing, &error));
    set(state, "web", SLEEP);
    FAILS(proxyprocess_manager_signal(manager, "web", SIGHUP, &error), PROXYPROCESS_E_NOT_FOUND, "proxy web");
    OK(proxyprocess_manager_start(manager, &error));
    uint32_t first = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    OK(proxyprocess_manager_signal(manager, "web", SIGUSR1, &error));
    proxyprocess_event exited = until(events, PROXYPROCESS_EVENT_EXITED, "web");
    CHECK_INT(exited.pid, first);
    CHECK_TEXT(exited.exit_text, "signal SIGUSR1");
    uint32_t second = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    FAILS(proxyprocess_manager_signal(manager, "web", 0, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "signal: ");
    FAILS(proxyprocess_manager_signal(manager, "web", -1, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "signal: ");
    FAILS(proxyprocess_manager_signal(manager, "web", 65, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "signal: ");
    FAILS(proxyprocess_manager_signal(manager, "a\xff", SIGHUP, &error), PROXYPROCESS_E_INVALID_UTF8, "id");
    FAILS(proxyprocess_manager_signal(manager, "nothing", SIGHUP, &error), PROXYPROCESS_E_NOT_RUNNING, "nothing");
    FAILS(proxyprocess_manager_signal(manager, "another", SIGHUP, &error), PROXYPROCESS_E_NOT_FOUND, "another");
    CHECK_INT(look(manager, "web").status.pid, second);
    OK(proxyprocess_manager_kill(manager, &error));
    FAILS(proxyprocess_manager_signal(manager, "web", SIGHUP, &error), PROXYPROCESS_E_CLOSED, "closed");
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

static void reloads(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    proxyprocess_proxy_options web = proxy(SLEEP);
    FAILS(proxyprocess_manager_reload(manager, "web", &error), PROXYPROCESS_E_NOT_FOUND, "proxy web");
    OK(proxyprocess_state_set(state, "web", &web, &error));
    OK(proxyprocess_manager_start(manager, &error));
    uint32_t pid = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    FAILS(proxyprocess_manager_reload(manager, "web", &error), PROXYPROCESS_E_INVALID_CONFIG, "no reload is declared: ");
    web.reload_json = "{\"command\": [\"true\"]}";
    OK(proxyprocess_state_set(state, "web", &web, &error));
    set(state, "marker", SLEEP);
    until(events, PROXYPROCESS_EVENT_STARTED, "marker");
    OK(proxyprocess_manager_reload(manager, "web", &error));
    web.reload_json = "{\"command\": [\"false\"]}";
    OK(proxyprocess_state_set(state, "web", &web, &error));
    set(state, "another", SLEEP);
    until(events, PROXYPROCESS_EVENT_STARTED, "another");
    FAILS(proxyprocess_manager_reload(manager, "web", &error), PROXYPROCESS_E_COMMAND_FAILED, "exit code 1");
    FAILS(proxyprocess_manager_reload(manager, "a\xff", &error), PROXYPROCESS_E_INVALID_UTF8, "id");
    CHECK_INT(look(manager, "web").status.pid, pid);
    OK(proxyprocess_manager_kill(manager, &error));
    FAILS(proxyprocess_manager_reload(manager, "web", &error), PROXYPROCESS_E_CLOSED, "closed");
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

/* The current process serves while the next one, which does not become ready, is started beside it. */
static void overlaps(void)
{
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    proxyprocess_proxy_options web = proxy(SLEEP);
    CHECK_INT(web.replace, PROXYPROCESS_REPLACE_STOP_FIRST);
    web.replace = PROXYPROCESS_REPLACE_OVERLAP;
    OK(proxyprocess_state_set(state, "web", &web, &error));
    OK(proxyprocess_manager_start(manager, &error));
    uint32_t current = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    proxyprocess_proxy_status status = look(manager, "web").status;
    CHECK_INT(status.other_state, PROXYPROCESS_PROXY_IDLE);
    CHECK_INT(status.other_generation, 0);
    web.ready_fd = 3;
    OK(proxyprocess_state_set(state, "web", &web, &error));
    uint32_t next = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    status = look(manager, "web").status;
    CHECK_INT(status.pid, current);
    CHECK_INT(status.generation, 1);
    CHECK_INT(status.other_pid, next);
    CHECK_INT(status.other_generation, 2);
    CHECK_INT(status.other_state, PROXYPROCESS_PROXY_STARTING);
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

/* Waits without limit while another thread ends the manager. */
static void *wait_for_the_end(void *manager)
{
    FAILS(proxyprocess_manager_wait_until(manager, "late", PROXYPROCESS_WAIT_RUNNING, UINT64_MAX, &error),
          PROXYPROCESS_E_CLOSED, "closed");
    return NULL;
}

static void waits(void)
{
    static const char *const missing[] = {"/is/not/there", NULL};
    const int32_t running = PROXYPROCESS_WAIT_RUNNING;
    pthread_t waiter;
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_proxy_options late = proxy(missing);
    FAILS(proxyprocess_manager_wait_until(manager, "web", running, 0, &error), PROXYPROCESS_E_NOT_FOUND, "proxy web");
    set(state, "web", SLEEP);
    FAILS(proxyprocess_manager_wait_until(manager, "web", running, 0, &error), PROXYPROCESS_E_TIMEOUT, "not running");
    OK(proxyprocess_manager_start(manager, &error));
    OK(proxyprocess_manager_wait_until(manager, "web", running, DEADLINE_MS, &error));
    uint32_t first = look(manager, "web").status.pid;
    CHECK(first != 0);
    OK(proxyprocess_manager_wait_until(manager, "web", running, 0, &error));
    OK(proxyprocess_manager_restart(manager, "web", &error));
    OK(proxyprocess_manager_wait_until(manager, "web", running, UINT64_MAX, &error));
    CHECK(look(manager, "web").status.pid != first);
    late.restart_max_wait_ms = DEADLINE_MS;
    OK(proxyprocess_state_set(state, "late", &late, &error));
    FAILS(proxyprocess_manager_wait_until(manager, "late", running, 1, &error), PROXYPROCESS_E_TIMEOUT, "after 1ms");
    FAILS(proxyprocess_manager_wait_until(manager, "web", 0, 1, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "what: ");
    FAILS(proxyprocess_manager_wait_until(manager, "web", 99, 1, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "what: ");
    FAILS(proxyprocess_manager_wait_until(manager, "\xff", running, 1, &error), PROXYPROCESS_E_INVALID_UTF8, "id");
    CHECK_INT(pthread_create(&waiter, NULL, wait_for_the_end, manager), 0);
    OK(proxyprocess_manager_kill(manager, &error));
    CHECK_INT(pthread_join(waiter, NULL), 0);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

static void one_shots(void)
{
    static const char *const exits[] = {"/bin/sh", "-c", "exit 64", NULL};
    const int32_t completed = PROXYPROCESS_WAIT_COMPLETED;
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    proxyprocess_proxy_options web = proxy(exits);
    CHECK_INT(web.restart_policy, PROXYPROCESS_RESTART_ALWAYS);
    web.restart_policy = PROXYPROCESS_RESTART_NEVER;
    OK(proxyprocess_state_set(state, "fails", &web, &error));
    web.expected_exit_json = "[64]";
    OK(proxyprocess_state_set(state, "web", &web, &error));
    web.expected_exit_json = NULL;
    web.restart_policy = PROXYPROCESS_RESTART_ON_FAILURE;
    web.restart_give_up_failures = 2;
    web.restart_give_up_within_ms = DEADLINE_MS;
    OK(proxyprocess_state_set(state, "given-up", &web, &error));
    OK(proxyprocess_manager_start(manager, &error));
    OK(proxyprocess_manager_wait_until(manager, "web", completed, DEADLINE_MS, &error));
    CHECK_INT(look(manager, "web").status.state, PROXYPROCESS_PROXY_COMPLETED);
    FAILS(proxyprocess_manager_wait_until(manager, "web", PROXYPROCESS_WAIT_RUNNING, DEADLINE_MS, &error),
          PROXYPROCESS_E_NOT_RUNNING, "completed");
    FAILS(proxyprocess_manager_wait_until(manager, "fails", completed, DEADLINE_MS, &error),
          PROXYPROCESS_E_NOT_RUNNING, "not restarted, for its restart policy is never: exit code 64");
    FAILS(proxyprocess_manager_wait_until(manager, "given-up", completed, DEADLINE_MS, &error),
          PROXYPROCESS_E_NOT_RUNNING, "gave up after 2 failures within");
    OK(proxyprocess_manager_restart(manager, "web", &error));
    for (int32_t times = 0; times < 2; times++) {
        proxyprocess_event event = until(events, PROXYPROCESS_EVENT_COMPLETED, "web");
        CHECK_INT(event.exit, PROXYPROCESS_EXIT_CODE);
        CHECK_INT(event.exit_value, 64);
    }
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

static void pauses(void)
{
    const int32_t paused = PROXYPROCESS_WAIT_PAUSED;
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_proxy_options web = proxy(SLEEP);
    CHECK_INT(web.enabled, 1);
    OK(proxyprocess_state_set(state, "web", &web, &error));
    OK(proxyprocess_manager_start(manager, &error));
    OK(proxyprocess_manager_wait_until(manager, "web", PROXYPROCESS_WAIT_RUNNING, DEADLINE_MS, &error));
    uint32_t first = look(manager, "web").status.pid;
    OK(proxyprocess_manager_pause(manager, "web", &error));
    OK(proxyprocess_manager_wait_until(manager, "web", paused, DEADLINE_MS, &error));
    CHECK(is_gone(first));
    CHECK_INT(look(manager, "web").status.state, PROXYPROCESS_PROXY_PAUSED);
    FAILS(proxyprocess_manager_restart(manager, "web", &error), PROXYPROCESS_E_PAUSED, "proxy web: it is paused");
    OK(proxyprocess_manager_resume(manager, "web", &error));
    OK(proxyprocess_manager_wait_until(manager, "web", PROXYPROCESS_WAIT_RUNNING, DEADLINE_MS, &error));
    web.enabled = 0;
    OK(proxyprocess_state_set(state, "web", &web, &error));
    OK(proxyprocess_manager_wait_until(manager, "web", paused, DEADLINE_MS, &error));
    FAILS(proxyprocess_manager_resume(manager, "web", &error), PROXYPROCESS_E_PAUSED, "proxy web: it is paused");
    FAILS(proxyprocess_manager_pause(manager, "none", &error), PROXYPROCESS_E_NOT_FOUND, "proxy none");
    FAILS(proxyprocess_manager_pause(manager, "a\xff", &error), PROXYPROCESS_E_INVALID_UTF8, "id");
    FAILS(proxyprocess_manager_resume(manager, "a\xff", &error), PROXYPROCESS_E_INVALID_UTF8, "id");
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
}

int main(void)
{
    resources before = resources_now();
    restart();
    signals();
    reloads();
    overlaps();
    waits();
    one_shots();
    pauses();
    nothing_is_left_since(before);
    return 0;
}
