// SPDX-License-Identifier: MPL-2.0
/* The configuration file: options of the manager, and the proxies, which the library reads itself. */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include "failure.h"

#include <jansson.h>

/* What the agent does with its proxies when SIGINT or SIGTERM ends it. */
enum on_exit {
    ON_EXIT_LEAVE, /* They keep running, and the next agent adopts them. */
    ON_EXIT_STOP,  /* They are stopped first. */
};

/* A configuration that was read and checked whole; or empty, when all of it is 0. */
struct config {
    proxyprocess_manager_options options;
    enum on_exit on_exit;
    char *proxies; /* The JSON object of the proxies, for proxyprocess_state_replace_all_json(). */

    /* Where the options point into. */
    json_t *document;
    const char **proxy_env;
};

/*
 * Reads the file at `path`; `program` is what a first word "{self}" stands for. A failure says which field is wrong and
 * what was expected, or why the file cannot be read, and leaves `config` empty.
 */
MUST_USE char *config_load(const char *path, const char *program, struct config *config);

/* Frees what it holds, and makes it empty. */
void config_free(struct config *config);

#endif
