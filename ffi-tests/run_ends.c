/* A program whose main thread runs the manager, while another one obeys SIGINT: run returns when the end is complete, with
 * its result, so that the program can exit then. */

#include "helpers.h"

#include <pthread.h>
#include <sys/prctl.h>

/* SIGINT is ignored, so that a kill takes as long as the grace period. */
static const char *const STUBBORN[] = {"/bin/sh", "-c", "trap '' INT; while :; do sleep 0.1; done", NULL};

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

/* Tells the pid of its proxy, runs the manager, and exits with what came of it, without another look at anything. */
__attribute__((noreturn)) static void agent(int told, end_function end)
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
    CHECK_INT(write(told, "x", 1), 1);
    int32_t code = proxyprocess_manager_run(ending.manager, NULL);
    _exit(-code);
}

/* How an agent exits that is told to end; `obstacle` keeps its pid file from being removed. `runs_on`: whether its process
 * does. */
static int exit_code(end_function end, int obstacle, int runs_on)
{
    int told[2], status;
    char byte, text[32] = "";
    CHECK_INT(pipe2(told, O_CLOEXEC), 0);
    pid_t forked = fork();
    CHECK(forked >= 0);
    if (forked == 0)
        agent(told[1], end);
    CHECK_INT(read(told[0], &byte, 1), 1);
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
        /* What the shell was waiting for. */
        while (waitpid(-1, NULL, 0) > 0)
            ;
    }
    if (obstacle)
        CHECK_INT(rmdir("data/pids/web.pid"), 0);
    close(told[0]);
    close(told[1]);
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
