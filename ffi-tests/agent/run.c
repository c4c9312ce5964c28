// SPDX-License-Identifier: MPL-2.0
#define _POSIX_C_SOURCE 200809L /* kill, pthread_sigmask */

#include "run.h"

#include "agent.h"
#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Sent by the agent to itself. From anybody else it ends the agent as well, like any program that has no use for it. */
#define MANAGER_HAS_ENDED SIGUSR2

/* From now on signals wait to be read from a descriptor. */
static char *take_signals(int *signals)
{
    static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, MANAGER_HAS_ENDED};
    sigset_t taken;

    sigemptyset(&taken);
    for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++)
        sigaddset(&taken, numbers[index]);
    int code = pthread_sigmask(SIG_BLOCK, &taken, NULL);
    if (code != 0)
        return failure("block signals: %s", strerror(code));
    *signals = signalfd(-1, &taken, SFD_CLOEXEC);
    return *signals >= 0 ? NULL : failure("open signalfd: %s", strerror(errno));
}

/* Runs the manager on a thread of its own, which returns the failure. */
static void *run_manager(void *manager)
{
    proxyprocess_error *error = NULL;
    char *failed = NULL;

    if (proxyprocess_manager_run(manager, &error) != PROXYPROCESS_OK) {
        /* A signal may end the manager before it begins to run. */
        if (proxyprocess_error_code(error) == PROXYPROCESS_E_CLOSED)
            proxyprocess_error_free(error);
        else
            failed = failure_of(error);
    }
    kill(getpid(), MANAGER_HAS_ENDED);
    return failed;
}

static void reload(struct agent *agent)
{
    char *failed = agent_reload(agent);

    if (failed == NULL)
        log_line(PROXYPROCESS_LOG_INFO, "reloaded %s", agent->path);
    else
        log_line(PROXYPROCESS_LOG_ERROR, "reload, nothing changed: %s", failed);
    failure_free(failed);
}

static void print_status(const struct agent *agent)
{
    char *failed = agent_print_status(agent);

    if (failed != NULL)
        log_line(PROXYPROCESS_LOG_WARN, "print status: %s", failed);
    failure_free(failed);
}

/* Does what signals ask for, until one ends the agent; `on_exit` is what becomes of the proxies. */
static char *obey_signals(struct agent *agent, int signals, enum on_exit *on_exit)
{
    struct signalfd_siginfo signal;

    *on_exit = ON_EXIT_LEAVE;
    while (read(signals, &signal, sizeof signal) == sizeof signal) {
        switch (signal.ssi_signo) {
        case SIGHUP:
            reload(agent);
            break;
        case SIGUSR1:
            print_status(agent);
            break;
        case SIGQUIT:
            *on_exit = ON_EXIT_STOP;
            return NULL;
        case SIGINT:
        case SIGTERM:
            *on_exit = agent->config.on_exit;
            return NULL;
        case MANAGER_HAS_ENDED:
            return NULL;
        }
    }
    return failure("read signals: %s", strerror(errno));
}

struct impatience {
    const struct agent *agent;
    int signals;
};

/* While the proxies are stopped, another SIGINT or SIGQUIT ends their grace. Until the manager has ended. */
static void *obey_impatience(void *argument)
{
    const struct impatience *this = argument;
    struct signalfd_siginfo signal;

    while (read(this->signals, &signal, sizeof signal) == sizeof signal && signal.ssi_signo != MANAGER_HAS_ENDED)
        if (signal.ssi_signo == SIGINT || signal.ssi_signo == SIGQUIT)
            agent_end_grace(this->agent, signal.ssi_signo == SIGINT ? "SIGINT" : "SIGQUIT");
    return NULL;
}

/* Ends the manager, and obeys impatience meanwhile where there is something to wait for. */
static char *end(const struct agent *agent, int signals, enum on_exit on_exit)
{
    struct impatience impatience = {agent, signals};
    pthread_t obeying;
    bool obeys = false;

    if (on_exit == ON_EXIT_STOP) {
        int code = pthread_create(&obeying, NULL, obey_impatience, &impatience);
        obeys = code == 0;
        if (!obeys)
            log_line(PROXYPROCESS_LOG_WARN, "start thread for signals: %s", strerror(code));
    }
    char *failed = agent_end(agent, on_exit);
    if (obeys)
        pthread_join(obeying, NULL);
    return failed;
}

/* Logs a failure, which is freed, if there is one. */
static void report(char *failed)
{
    if (failed != NULL)
        log_line(PROXYPROCESS_LOG_ERROR, "%s", failed);
    failure_free(failed);
}

/* Has a thread run the manager, and obeys signals meanwhile. */
static char *serve(struct agent *agent, int signals, int *status)
{
    pthread_t runner;
    void *ran = NULL;
    enum on_exit on_exit;
    int code = pthread_create(&runner, NULL, run_manager, agent->manager);

    if (code != 0)
        return failure("start thread of the manager: %s", strerror(code));
    log_line(PROXYPROCESS_LOG_INFO, "running %s", agent->path);
    char *obeyed = obey_signals(agent, signals, &on_exit);
    char *ended = end(agent, signals, on_exit);
    pthread_join(runner, &ran);
    *status = obeyed == NULL && ended == NULL && ran == NULL ? EXIT_SUCCESS : EXIT_FAILURE;
    if (ran != NULL && ended != NULL && strcmp(ran, ended) == 0) {
        /* The run has the result of the end. */
        failure_free(ran);
        ran = NULL;
    }
    report(obeyed);
    report(ran);
    report(ended);
    return NULL;
}

char *run(const char *path, int *status)
{
    struct agent agent = {0};
    int signals = -1;

    /* ORDER: before there is another thread, which would not have them blocked, and before there is a process. */
    char *failed = take_signals(&signals);
    if (failed == NULL)
        failed = log_start();
    if (failed == NULL)
        failed = agent_start(&agent, path);
    if (failed == NULL)
        failed = serve(&agent, signals, status);
    agent_free(&agent);
    if (signals >= 0)
        close(signals);
    return failed;
}
