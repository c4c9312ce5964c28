// SPDX-License-Identifier: MPL-2.0
/* Workers that fork again, as a shell's $(a | b) and every daemon do: descriptors that a worker has opened are its own and
 * stay open in its children, whatever numbers they have. */

#include "helpers.h"

#include <sys/prctl.h>
#include <sys/syscall.h>

/* As many as reuse every number that the library has closed. */
enum { OPENED = 16 };

static proxyprocess_state *state;
static proxyprocess_manager *manager;

/* What a worker opens is written to by a child of its, and by a child of that one. */
static void children_keep_what_is_opened(int generations)
{
    int opened[OPENED];
    int status;
    for (int index = 0; index < OPENED; index++) {
        opened[index] = open("/dev/null", O_WRONLY);
        CHECK(opened[index] >= 0);
    }
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        for (int index = 0; index < OPENED; index++)
            CHECK_INT(write(opened[index], "x", 1), 1);
        if (generations > 1)
            children_keep_what_is_opened(generations - 1);
        _exit(0);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
}

static void ends_well(pid_t child)
{
    int status;
    CHECK(child > 0);
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
}

static void worker_forks(void)
{
    pid_t worker = fork();
    if (worker == 0) {
        children_keep_what_is_opened(3);
        _exit(0);
    }
    ends_well(worker);
}

/* No handler has run in it, so the numbers are still ours when it closes them, and its own when it forks. */
static void worker_without_the_c_library_forks(void)
{
    pid_t worker = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (worker == 0) {
        for (int descriptor = 3; descriptor < 64; descriptor++)
            close(descriptor);
        children_keep_what_is_opened(2);
        _exit(0);
    }
    ends_well(worker);
}

/* A worker that uses the library itself is a host like any other: its handles outlive the inherited ones, and its own
 * workers do not keep its lock. */
static void worker_has_a_manager(void)
{
    int ready[2], hold[2];
    char byte;
    CHECK_INT(pipe2(ready, O_CLOEXEC), 0);
    CHECK_INT(pipe2(hold, O_CLOEXEC), 0);
    pid_t worker = fork();
    if (worker == 0) {
        proxyprocess_state *own_state = new_state();
        new_manager(own_state, "own");
        proxyprocess_manager_free(manager);
        proxyprocess_state_free(state);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            pid_t self = getpid();
            CHECK_INT(write(ready[1], &self, sizeof self), sizeof self);
            close(hold[1]);
            CHECK_INT(read(hold[0], &byte, 1), 0);
            _exit(0);
        }
        /* Until it is killed. */
        for (;;)
            pause();
    }
    pid_t orphan = 0;
    CHECK(readable(ready[0], DEADLINE_MS));
    CHECK_INT(read(ready[0], &orphan, sizeof orphan), sizeof orphan);
    CHECK_INT(kill(worker, SIGKILL), 0);
    CHECK_INT(waitpid(worker, NULL, 0), worker);

    /* The child of the worker lives, and the lock is free. */
    proxyprocess_state *next_state = new_state();
    proxyprocess_manager *next = new_manager(next_state, "own");
    proxyprocess_manager_free(next);
    proxyprocess_state_free(next_state);

    close(hold[1]);
    ends_well(orphan);
    close(hold[0]);
    close(ready[0]);
    close(ready[1]);
}

int main(void)
{
    CHECK_INT(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    resources before = resources_now();
    state = new_state();
    manager = new_manager(state, "data");
    set(state, "web", SLEEP);
    proxyprocess_events *events = events_of(manager);
    OK(proxyprocess_manager_start(manager, &error));
    until(events, PROXYPROCESS_EVENT_STARTED, "web");

    worker_forks();
    worker_without_the_c_library_forks();
    worker_has_a_manager();

    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
    nothing_is_left_since(before);
    return 0;
}
