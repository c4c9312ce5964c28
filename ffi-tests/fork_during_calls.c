// SPDX-License-Identifier: MPL-2.0
/* A host forks while other threads of it are in the library: a worker waits for none of the locks that they hold. */

#include "helpers.h"

#include <pthread.h>
#include <stdatomic.h>

/* A worker that waits for a thread that it does not have is ended by SIGALRM. */
enum { WORKERS = 120, DEADLINE_S = 60 };

static int entered[2], leave[2];
static atomic_int destroyed, stops;

static void ends_well(pid_t worker)
{
    int status;
    CHECK(worker > 0);
    CHECK_INT(waitpid(worker, &status, 0), worker);
    CHECK_INT(status, 0);
}

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

/* Stays in the first call until it is told to leave. */
static void stays(int32_t level, const char *message, size_t length, void *user)
{
    static atomic_int calls;
    (void)level, (void)message, (void)length, (void)user;
    if (atomic_fetch_add(&calls, 1) == 0) {
        pipe_tell(entered);
        pipe_wait(leave);
    }
}

static void is_destroyed(void *user)
{
    (void)user;
    atomic_fetch_add(&destroyed, 1);
}

static void counts(int32_t level, const char *message, size_t length, void *user)
{
    (void)level, (void)message, (void)length;
    atomic_fetch_add((atomic_int *)user, 1);
}

/* Returns when the callback does. */
static void *starts(void *daemon)
{
    OK(proxyprocess_daemon_start(daemon, &error));
    return NULL;
}

/* The callback is executing at the fork. The worker has it as well, and replaces it. */
static void while_the_log_callback_executes(void)
{
    OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_TRACE, stays, NULL, is_destroyed, &error));
    proxyprocess_daemon *daemon = new_daemon("web", SLEEP);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, starts, daemon), 0);
    pipe_wait(entered);
    pid_t worker = fork();
    if (worker == 0) {
        atomic_int lines = 0;
        alarm(DEADLINE_S);
        OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_TRACE, counts, &lines, NULL, &error));
        CHECK_INT(atomic_load(&destroyed), 1);
        has_its_own();
        CHECK(atomic_load(&lines) > 0);
        OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_OFF, NULL, NULL, NULL, &error));
        _exit(0);
    }
    ends_well(worker);
    CHECK_INT(atomic_load(&destroyed), 0);
    pipe_tell(leave);
    CHECK_INT(pthread_join(thread, NULL), 0);
    OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_OFF, NULL, NULL, NULL, &error));
    CHECK_INT(atomic_load(&destroyed), 1);
    OK(proxyprocess_daemon_stop(daemon, &error));
    proxyprocess_daemon_free(daemon);
}

static void *starts_and_frees_daemons(void *nothing)
{
    static const char *const missing[] = {"/is/not/there", NULL};
    (void)nothing;
    while (!atomic_load(&stops)) {
        proxyprocess_daemon *daemon = new_daemon("d", missing);
        OK(proxyprocess_daemon_start(daemon, &error));
        OK(proxyprocess_daemon_stop(daemon, &error));
        proxyprocess_daemon_free(daemon);
    }
    return NULL;
}

/* The threads of the library begin with the first handle that is used and end with the last one. */
static void while_its_threads_begin_and_end(void)
{
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, starts_and_frees_daemons, NULL), 0);
    for (int count = 0; count < WORKERS; count++) {
        pid_t worker = fork();
        if (worker == 0) {
            alarm(DEADLINE_S);
            has_its_own();
            _exit(0);
        }
        ends_well(worker);
    }
    atomic_store(&stops, 1);
    CHECK_INT(pthread_join(thread, NULL), 0);
}

int main(void)
{
    resources before = resources_now();
    CHECK_INT(pipe2(entered, O_CLOEXEC), 0);
    CHECK_INT(pipe2(leave, O_CLOEXEC), 0);
    while_the_log_callback_executes();
    while_its_threads_begin_and_end();
    for (int end = 0; end < 2; end++) {
        close(entered[end]);
        close(leave[end]);
    }
    nothing_is_left_since(before);
    return 0;
}
