// SPDX-License-Identifier: MPL-2.0
/* The agent at work: signals tell it what to do. */
#ifndef AGENT_RUN_H
#define AGENT_RUN_H

#include "failure.h"

/*
 * Runs the agent until a signal ends it. It fails when it cannot start; what fails later is logged. `status` is where
 * the exit code is put.
 */
MUST_USE char *run(const char *path, int *status);

#endif
