// SPDX-License-Identifier: MPL-2.0
/* A program whose main thread runs the manager, while another one obeys SIGINT: run returns when the end is complete, with
 * its result, so that the program can exit then. */

#include "helpers.h"

#include <pthread.h>
#include <sys/prctl.h>

/* SIGINT is ignored, so that a kill takes as long as the grace period. */
static const char *const STUBBORN[] = {"/bin/sh", "-c", "trap '' INT; echo ready >ready; exec sleep 1000", NULL};

typedef int32_t (*end_function)(const proxyprocess_manager *, proxyprocess_error **);

typedef struct ending {
    proxyprocess_manager *manager;
    end_function end;
} ending;

static void *obeys(void *argument)
{
    ending *this = argument;
    sigset_t interrupt;
    int number;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    CHECK_INT(sigwait(&interrupt, &number), 0);
    /* What fails is told to the run as well. */
    if (this->end(this->manager, NULL) != PROXYPROCESS_OK)
        return this;
    return NULL;
}

/* Runs the manager, and exits with what came of it, without another look at anything. */
__attribute__((noreturn)) static void agent(end_function end)
{
    pthread_t obeying;
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    CHECK_INT(pthread_sigmask(SIG_BLOCK, &interrupt, NULL), 0);

    proxyprocess_state *state = new_state();
    proxyprocess_proxy_options web = proxy(STUBBORN);
    web.grace_period_ms = 300;
    OK(proxyprocess_state_set(state, "web", &web, &error));
    ending ending = {new_manager(state, "data"), end};
    CHECK_INT(pthread_create(&obeying, NULL, obeys, &ending), 0);
    int32_t code = proxyprocess_manager_run(ending.manager, NULL);
    _exit(-code);
}

/* How an agent exits that is told to end; `obstacle` keeps its pid file from being removed. `runs_on`: whether its process
 * does. */
static int exit_code(end_function end, int obstacle, int runs_on)
{
    int status, ready = new_fifo("ready");
    char text[32] = "";
    pid_t forked = fork();
    CHECK(forked >= 0);
    if (forked == 0)
        agent(end);
    read_text(ready, text, sizeof text);
    text[0] = '\0';
    for (int64_t since = now_ms(); text[0] == '\0'; wait_a_turn(since, "the pid file"))
        read_file("data/pids/web.pid", text, sizeof text);
    pid_t pid = (pid_t)atoi(text);
    if (obstacle) {
        CHECK_INT(unlink("data/pids/web.pid"), 0);
        CHECK_INT(mkdir("data/pids/web.pid", 0700), 0);
    }
    CHECK_INT(kill(forked, SIGINT), 0);
    CHECK_INT(waitpid(forked, &status, 0), forked);
    CHECK(WIFEXITED(status));
    CHECK_INT(is_gone((uint32_t)pid), !runs_on);
    if (runs_on) {
        CHECK_INT(kill(-pid, SIGKILL), 0);
        CHECK_INT(waitpid(pid, NULL, 0), pid);
    }
    if (obstacle)
        CHECK_INT(rmdir("data/pids/web.pid"), 0);
    close(ready);
    CHECK_INT(unlink("ready"), 0);
    return WEXITSTATUS(status);
}

int main(void)
{
    /* What the agent leaves becomes ours to wait for. */
    CHECK_INT(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    resources before = resources_now();
    CHECK_INT(exit_code(proxyprocess_manager_kill, 0, 0), 0);
    CHECK_INT(exit_code(proxyprocess_manager_kill, 1, 0), -PROXYPROCESS_E_IO);
    CHECK_INT(exit_code(proxyprocess_manager_close, 0, 1), 0);
    nothing_is_left_since(before);
    return 0;
}
