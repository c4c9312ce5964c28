// SPDX-License-Identifier: MPL-2.0
/* A worker that the host forks has the handles but none of the threads: it is told so at every call, may free them, and
 * keeps nothing of the agent's alive, the lock of the data directory least of all. */

#include "helpers.h"

#include <sys/prctl.h>

/* What the agent has made before it forks. */
static proxyprocess_state *state;
static proxyprocess_manager *manager;
static proxyprocess_daemon *daemon_handle;
static proxyprocess_events *events;
static proxyprocess_status_list *list;
static proxyprocess_subscription *changes;
static proxyprocess_noop *noop;
static proxyprocess_logs *library_logs, *manager_logs;
static proxyprocess_error *failure;

/* The worker tells the agent, and the agent tells the test, that it is done; it lives until no process can write to
 * the last one. */
static int worker_done[2], agent_done[2], hold[2];

#define FORKED(call) FAILS(call, PROXYPROCESS_E_FORKED, "forked")

static void managers_are_forked(void)
{
    proxyprocess_manager_options options = quick("data");
    proxyprocess_status_list *other_list = NULL;
    proxyprocess_events *other_events = NULL;
    proxyprocess_logs *other_logs = NULL;
    char *text = NULL;
    FORKED(proxyprocess_manager_restore(manager, NULL, &error));
    FORKED(proxyprocess_manager_run(manager, &error));
    FORKED(proxyprocess_manager_start(manager, &error));
    FORKED(proxyprocess_manager_snapshot(manager, "copy", &error));
    FORKED(proxyprocess_manager_snapshot_path(manager, &text, &error));
    FORKED(proxyprocess_manager_reconfigure(manager, &options, &error));
    FORKED(proxyprocess_manager_status(manager, &other_list, &error));
    FORKED(proxyprocess_manager_status_of(manager, "web", &other_list, &error));
    FORKED(proxyprocess_manager_metrics(manager, &text, NULL, &error));
    FORKED(proxyprocess_manager_events(manager, &other_events, &error));
    FORKED(proxyprocess_manager_logs(manager, PROXYPROCESS_LOG_INFO, &other_logs, &error));
    FORKED(proxyprocess_manager_reload(manager, "web", &error));
    FORKED(proxyprocess_manager_restart(manager, "web", &error));
    FORKED(proxyprocess_manager_retry(manager, "web", &error));
    FORKED(proxyprocess_manager_pause(manager, "web", &error));
    FORKED(proxyprocess_manager_resume(manager, "web", &error));
    FORKED(proxyprocess_manager_reset_crashes(manager, "web", &error));
    FORKED(proxyprocess_manager_signal(manager, "web", SIGHUP, &error));
    FORKED(proxyprocess_manager_wait_until(manager, "web", PROXYPROCESS_WAIT_RUNNING, UINT64_MAX, &error));
    FORKED(proxyprocess_manager_close(manager, &error));
    FORKED(proxyprocess_manager_kill(manager, &error));
    FORKED(proxyprocess_manager_end_grace(manager, &error));
    CHECK(!other_list && !other_events && !other_logs && !text);
}

static void others_are_forked(void)
{
    proxyprocess_proxy_options options = proxy(SLEEP);
    proxyprocess_event event = {.struct_size = sizeof event};
    proxyprocess_proxy_status status = {.struct_size = sizeof status};
    proxyprocess_log_line line = {.struct_size = sizeof line};
    proxyprocess_logs *other_logs = NULL;
    proxyprocess_manager *other = NULL;
    int32_t descriptor = -1;
    uint8_t flag = 7;
    char *text = NULL;
    FORKED(proxyprocess_daemon_start(daemon_handle, &error));
    FORKED(proxyprocess_daemon_stop(daemon_handle, &error));
    FORKED(proxyprocess_daemon_end_grace(daemon_handle, &error));
    FORKED(proxyprocess_daemon_close(daemon_handle, &error));
    FORKED(proxyprocess_daemon_equal(daemon_handle, daemon_handle, &flag, &error));
    FORKED(proxyprocess_daemon_marshal_snapshot(daemon_handle, &text, NULL, &error));
    FORKED(proxyprocess_events_next(events, UINT64_MAX, &event, &error));
    FORKED(proxyprocess_events_descriptor(events, &descriptor, &error));
    FORKED(proxyprocess_state_set(state, "more", &options, &error));
    FORKED(proxyprocess_state_list_json(state, &text, NULL, &error));
    FORKED(proxyprocess_manager_new(state, NULL, &other, &error));
    FORKED(proxyprocess_subscription_wait(changes, UINT64_MAX, &flag, &error));
    FORKED(proxyprocess_subscription_descriptor(changes, &descriptor, &error));
    FORKED(proxyprocess_logs_new(PROXYPROCESS_LOG_INFO, &other_logs, &error));
    FORKED(proxyprocess_logs_next(library_logs, UINT64_MAX, &line, &error));
    FORKED(proxyprocess_logs_next(manager_logs, UINT64_MAX, &line, &error));
    FORKED(proxyprocess_logs_descriptor(library_logs, &descriptor, &error));
    FORKED(proxyprocess_status_list_get_json(list, 0, &text, NULL, &error));
    FORKED(proxyprocess_status_list_get(list, 0, &status, &error));
    FORKED(proxyprocess_noop_start(noop, &error));
    CHECK(!other && !other_logs && !text && flag == 7 && descriptor == -1);
    /* What is only read is as it was. */
    CHECK_INT(proxyprocess_status_list_count(list), 1);
    CHECK_INT(proxyprocess_error_code(failure), PROXYPROCESS_E_CORRUPT_SNAPSHOT);
}

static void frees_all(void)
{
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_daemon_free(daemon_handle);
    proxyprocess_state_free(state);
    proxyprocess_status_list_free(list);
    proxyprocess_subscription_free(changes);
    proxyprocess_noop_free(noop);
    proxyprocess_logs_free(library_logs);
    proxyprocess_logs_free(manager_logs);
    proxyprocess_error_free(failure);
}

/* Handles of its own work as ever. */
static void has_its_own(void)
{
    proxyprocess_daemon *own = new_daemon("own", SLEEP);
    OK(proxyprocess_daemon_start(own, &error));
    uint32_t pid = look_at_daemon(own, "own").status.pid;
    CHECK_INT(kill((pid_t)pid, 0), 0);
    OK(proxyprocess_daemon_stop(own, &error));
    CHECK(is_gone(pid));
    proxyprocess_daemon_free(own);
}

static void worker(void)
{
    char byte;
    managers_are_forked();
    others_are_forked();
    frees_all();
    has_its_own();
    pipe_tell(worker_done);
    close(hold[1]);
    CHECK_INT(read(hold[0], &byte, 1), 0);
    _exit(0);
}

/* An agent with a proxy and a daemon, until it is killed. */
static void agent(void)
{
    FILE *file;
    state = new_state();
    OK(proxyprocess_state_subscribe(state, &changes, &error));
    manager = new_manager(state, "data");
    events = events_of(manager);
    OK(proxyprocess_logs_new(PROXYPROCESS_LOG_INFO, &library_logs, &error));
    OK(proxyprocess_manager_logs(manager, PROXYPROCESS_LOG_INFO, &manager_logs, &error));
    file = fopen("data/snapshot.json", "we");
    CHECK(file != NULL && fputs("{", file) >= 0 && fclose(file) == 0);
    CHECK_INT(proxyprocess_manager_restore(manager, NULL, &failure), PROXYPROCESS_E_CORRUPT_SNAPSHOT);
    set(state, "web", SLEEP);
    OK(proxyprocess_manager_start(manager, &error));
    daemon_handle = new_daemon("alone", SLEEP);
    OK(proxyprocess_daemon_start(daemon_handle, &error));
    OK(proxyprocess_daemon_status(daemon_handle, &list, &error));
    OK(proxyprocess_noop_new(&noop, &error));
    uint32_t pid = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    pid_t forked = fork();
    CHECK(forked >= 0);
    if (forked == 0)
        worker();
    pipe_wait(worker_done);

    /* What the worker did is not to be seen here. */
    CHECK_INT(look(manager, "web").status.pid, pid);
    seen alone = look_at_daemon(daemon_handle, "alone");
    CHECK_INT(alone.status.state, PROXYPROCESS_PROXY_RUNNING);
    OK(proxyprocess_daemon_stop(daemon_handle, &error));
    CHECK(is_gone(alone.status.pid));
    pipe_tell(agent_done);
    for (;;)
        pause();
}

int main(void)
{
    int children = 0;
    /* What the agent leaves behind becomes ours to wait for. */
    CHECK_INT(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    resources before = resources_now();
    CHECK_INT(pipe2(worker_done, O_CLOEXEC), 0);
    CHECK_INT(pipe2(agent_done, O_CLOEXEC), 0);
    CHECK_INT(pipe2(hold, O_CLOEXEC), 0);
    pid_t forked = fork();
    CHECK(forked >= 0);
    if (forked == 0)
        agent();
    pipe_wait(agent_done);
    CHECK_INT(kill(forked, SIGKILL), 0);
    CHECK_INT(waitpid(forked, NULL, 0), forked);

    /* The worker lives, and the lock is free. */
    state = new_state();
    manager = new_manager(state, "data");
    set(state, "web", SLEEP);
    events = events_of(manager);
    OK(proxyprocess_manager_start(manager, &error));
    uint32_t pid = until(events, PROXYPROCESS_EVENT_ADOPTED, "web").pid;
    OK(proxyprocess_manager_kill(manager, &error));
    CHECK_INT(kill((pid_t)pid, SIGKILL) == -1 || waitpid((pid_t)pid, NULL, 0) == (pid_t)pid, 1);
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);

    close(hold[1]);
    for (int status = 0; waitpid(-1, &status, 0) > 0; children++)
        CHECK_INT(status, 0);
    CHECK_INT(children, 1);
    close(hold[0]);
    for (int end = 0; end < 2; end++) {
        close(worker_done[end]);
        close(agent_done[end]);
    }
    nothing_is_left_since(before);
    return 0;
}
