// SPDX-License-Identifier: MPL-2.0
#define _POSIX_C_SOURCE 200809L /* dprintf, readlink */

#include "agent.h"

#include "log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char *find_program(struct agent *agent)
{
    ssize_t length = readlink("/proc/self/exe", agent->program, sizeof agent->program - 1);

    if (length < 0)
        return failure("find own executable: %s", strerror(errno));
    agent->program[length] = '\0';
    return NULL;
}

/*
 * The library keeps a descriptor a process, and the usual soft limit of 1024 is for the sake of programs that use
 * select(2). It is the host's to raise; the library gives the processes the limit that the agent was started with.
 */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
            return;
    }
    log_line(PROXYPROCESS_LOG_WARN, "raise descriptor limit: %s", strerror(errno));
}

static char *declare(const struct agent *agent, const struct config *config)
{
    proxyprocess_error *error = NULL;

    if (proxyprocess_state_replace_all_json(agent->state, config->proxies, strlen(config->proxies), &error)
        != PROXYPROCESS_OK)
        return failure_of(error);
    return NULL;
}

char *agent_start(struct agent *agent, const char *path)
{
    proxyprocess_error *error = NULL;

    *agent = (struct agent){.path = path};
    char *failed = find_program(agent);
    if (failed == NULL)
        failed = config_load(path, agent->program, &agent->config);
    if (failed != NULL)
        return failed;
    raise_descriptor_limit();
    /* ORDER: what is wanted comes before the manager runs, else it would stop all that it restored. */
    if (proxyprocess_state_new(&agent->state, &error) != PROXYPROCESS_OK)
        return failure_of(error);
    failed = declare(agent, &agent->config);
    if (failed != NULL)
        return failed;
    if (proxyprocess_manager_new(agent->state, &agent->config.options, &agent->manager, &error) != PROXYPROCESS_OK)
        return failure_of(error);
    if (proxyprocess_manager_restore(agent->manager, NULL, &error) != PROXYPROCESS_OK) {
        log_line(PROXYPROCESS_LOG_ERROR, "restore: %s", proxyprocess_error_message(error, NULL));
        proxyprocess_error_free(error);
    }
    return NULL;
}

/* Whether both are the same path, or both none. */
static bool same_path(const char *one, const char *other)
{
    return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

static char *apply(const struct agent *agent, const struct config *config)
{
    proxyprocess_error *error = NULL;

    if (!same_path(config->options.data_dir, agent->config.options.data_dir))
        return failure("%s: data_dir: expected no change while the agent runs", agent->path);
    /*
     * ORDER: new options hold at once, so they come last: a proxy whose command and environment both changed is
     * replaced once, and one that is no longer wanted is not started again first.
     */
    char *failed = declare(agent, config);
    if (failed == NULL
        && proxyprocess_manager_reconfigure(agent->manager, &config->options, &error) != PROXYPROCESS_OK)
        failed = failure_of(error);
    return failed;
}

char *agent_reload(struct agent *agent)
{
    struct config config;
    char *failed = config_load(agent->path, agent->program, &config);

    if (failed != NULL)
        return failed;
    failed = apply(agent, &config);
    if (failed != NULL) {
        config_free(&config);
        return failed;
    }
    config_free(&agent->config);
    agent->config = config;
    return NULL;
}

char *agent_print_status(const struct agent *agent)
{
    proxyprocess_status_list *list = NULL;
    proxyprocess_error *error = NULL;
    char *proxies = NULL;
    char *failed = NULL;

    if (proxyprocess_manager_status(agent->manager, &list, &error) != PROXYPROCESS_OK
        || proxyprocess_status_list_json(list, &proxies, NULL, &error) != PROXYPROCESS_OK)
        failed = failure_of(error);
    /* Not by stdio, which would keep what cannot be written now and print it later. */
    else if (dprintf(STDOUT_FILENO, "{\"proxies\":%s}\n", proxies) < 0)
        failed = failure("%s", strerror(errno));
    proxyprocess_text_free(proxies);
    proxyprocess_status_list_free(list);
    return failed;
}

char *agent_end(const struct agent *agent, enum on_exit on_exit)
{
    proxyprocess_error *error = NULL;
    bool stop = on_exit == ON_EXIT_STOP;
    int32_t code = stop ? proxyprocess_manager_kill(agent->manager, &error)
                        : proxyprocess_manager_close(agent->manager, &error);

    if (code != PROXYPROCESS_OK)
        return failure_of(error);
    log_line(PROXYPROCESS_LOG_INFO, stop ? "ended, all proxies are stopped" : "ended, proxies run on");
    return NULL;
}

void agent_end_grace(const struct agent *agent, const char *signal)
{
    proxyprocess_error *error = NULL;

    log_line(PROXYPROCESS_LOG_WARN, "%s during the stop: what is left gets SIGKILL now", signal);
    if (proxyprocess_manager_end_grace(agent->manager, &error) != PROXYPROCESS_OK) {
        log_line(PROXYPROCESS_LOG_ERROR, "end grace: %s", proxyprocess_error_message(error, NULL));
        proxyprocess_error_free(error);
    }
}

void agent_free(struct agent *agent)
{
    proxyprocess_manager_free(agent->manager);
    proxyprocess_state_free(agent->state);
    config_free(&agent->config);
}
