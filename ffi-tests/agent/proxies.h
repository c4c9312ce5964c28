// SPDX-License-Identifier: MPL-2.0
/* The declarations of the proxies. The library reads them; here is what this agent adds and demands of its own. */
#ifndef AGENT_PROXIES_H
#define AGENT_PROXIES_H

#include "failure.h"

#include <jansson.h>

/*
 * Puts the path of this program in place of each first word "{self}". What is no command is left for the library to
 * refuse; `proxies` may be anything, and NULL.
 */
MUST_USE char *proxies_expand_self(json_t *proxies, const char *program);

/* Checks the declarations, of which `text` is the JSON. Nothing is changed by it. */
MUST_USE char *proxies_check(json_t *proxies, const char *text);

#endif
