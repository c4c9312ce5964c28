// SPDX-License-Identifier: MPL-2.0
/* The manager and all that a reload needs. Failures are the caller's to report; what does no harm is only logged. */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "config.h"

#include <linux/limits.h>

struct agent {
    const char *path; /* Of the configuration file. */
    /* This executable, asked for once: the kernel names a file that was replaced since "... (deleted)". */
    char program[PATH_MAX];
    struct config config; /* As it was read last. */
    proxyprocess_state *state;
    proxyprocess_manager *manager;
};

/* Reads the configuration and takes over what an earlier agent left. Call agent_free() also after a failure. */
MUST_USE char *agent_start(struct agent *agent, const char *path);

/* Reads the file again. A failure leaves everything as it is. */
MUST_USE char *agent_reload(struct agent *agent);

/* Prints {"proxies":{"<id>":{...}}} in one line on stdout. */
MUST_USE char *agent_print_status(const struct agent *agent);

/* Ends the manager; the proxies run on, or are stopped first. */
MUST_USE char *agent_end(const struct agent *agent, enum on_exit on_exit);

/* What is being stopped gets SIGKILL now, as this signal asks for. */
void agent_end_grace(const struct agent *agent, const char *signal);

void agent_free(struct agent *agent);

#endif
