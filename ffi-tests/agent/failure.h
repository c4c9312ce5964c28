// SPDX-License-Identifier: MPL-2.0
/*
 * Failures. A function that can fail returns NULL when all went well, else a message of one line for the user, like
 * "operation object: reason", which its receiver frees with failure_free().
 */
#ifndef AGENT_FAILURE_H
#define AGENT_FAILURE_H

#include <proxyprocess.h>

#define MUST_USE __attribute__((warn_unused_result))

/* Makes a failure; it is never NULL. */
MUST_USE __attribute__((format(printf, 1, 2))) char *failure(const char *format, ...);

/* Makes a failure of an error of the library, which is freed. */
MUST_USE char *failure_of(proxyprocess_error *error);

/* Puts "place: " before a failure, which is freed; NULL stays NULL. */
MUST_USE char *failure_within(const char *place, char *failed);

void failure_free(char *failed);

#endif
