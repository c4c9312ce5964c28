// SPDX-License-Identifier: MPL-2.0
/* An exec that does not come to an end, as on a file system that hangs, holds up its own proxy and no other. A stop
 * says so, and the program can end. Here a lease (fcntl(2), F_SETLEASE) holds up each open of the program. */

#include "helpers.h"

/* More than there are spawners. */
#define HUNG 4

static void copy_program(const char *from, const char *to)
{
    static char buffer[1 << 16];
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    CHECK(in >= 0 && out >= 0);
    for (ssize_t length; (length = read(in, buffer, sizeof buffer)) != 0;)
        CHECK(length > 0 && write(out, buffer, (size_t)length) == length);
    CHECK(close(in) == 0 && close(out) == 0);
}

/* A program that cannot be opened before the lease is given back. */
static int hold(const char *program)
{
    /* The kernel tells the holder that another process wants it. */
    CHECK(signal(SIGIO, SIG_IGN) != SIG_ERR);
    int held = open(program, O_RDONLY | O_CLOEXEC);
    CHECK(held >= 0);
    CHECK_INT(fcntl(held, F_SETLEASE, F_WRLCK), 0);
    return held;
}

static void set_path(const proxyprocess_state *state, const char *id, const char *program)
{
    const char *const argv[] = {program, "1000", NULL};
    proxyprocess_proxy_options options = proxy(argv);
    options.grace_period_ms = 10;
    OK(proxyprocess_state_set(state, id, &options, &error));
}

static int all_are_starting(const proxyprocess_manager *manager)
{
    proxyprocess_status_list *list = NULL;
    proxyprocess_proxy_status status = {.struct_size = sizeof status};
    int starting = 0;
    OK(proxyprocess_manager_status(manager, &list, &error));
    for (size_t index = 0; index < proxyprocess_status_list_count(list); index++) {
        OK(proxyprocess_status_list_get(list, index, &status, &error));
        starting += status.state == PROXYPROCESS_PROXY_STARTING;
    }
    proxyprocess_status_list_free(list);
    return starting == HUNG;
}

int main(void)
{
    char program[4096], id[] = "hung0";
    resources before = resources_now();
    CHECK(getcwd(program, sizeof program - 16) != NULL);
    strcat(program, "/program");
    copy_program("/bin/sleep", program);
    int held = hold(program);

    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, "data");
    proxyprocess_events *events = events_of(manager);
    for (int number = 0; number < HUNG; number++) {
        id[4] = (char)('0' + number);
        set_path(state, id, program);
    }
    OK(proxyprocess_manager_start(manager, &error));
    for (int64_t since = now_ms(); !all_are_starting(manager);)
        wait_a_turn(since, "starts that hang");

    /* Others are started, started again and stopped. */
    set(state, "other", SLEEP);
    uint32_t first = until(events, PROXYPROCESS_EVENT_STARTED, "other").pid;
    CHECK_INT(kill((pid_t)first, SIGKILL), 0);
    uint32_t second = until(events, PROXYPROCESS_EVENT_STARTED, "other").pid;
    OK(proxyprocess_state_remove(state, "other", NULL, &error));
    until(events, PROXYPROCESS_EVENT_STOPPED, "other");
    CHECK(is_gone(first) && is_gone(second));

    /* The end names those that are not gone, and no process is waited for longer. */
    FAILS(proxyprocess_manager_kill(manager, &error), PROXYPROCESS_E_STILL_RUNNING, "its start has not come to an end");
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);

    /* A process of a start that is not waited for any more is ended at once. */
    CHECK_INT(fcntl(held, F_SETLEASE, F_UNLCK), 0);
    CHECK_INT(close(held), 0);
    for (int number = 0; number < HUNG; number++) {
        int status = 0;
        CHECK(waitpid(-1, &status, 0) > 0);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    no_thread_is_left_since(before);
    int64_t since = now_ms();
    while (entries("data/pids") + entries("data/records") != 0)
        wait_a_turn(since, "the files to be removed");
    return 0;
}
