// SPDX-License-Identifier: MPL-2.0
/*
 * The log on stderr: that of the library and that of the agent, a line each, as the variable RUST_LOG says: off, error,
 * warn, info, debug or trace; anything else is info.
 */
#ifndef AGENT_LOG_H
#define AGENT_LOG_H

#include "failure.h"

/* Has the library log here. */
MUST_USE char *log_start(void);

__attribute__((format(printf, 2, 3))) void log_line(proxyprocess_log_level level, const char *format, ...);

#endif
