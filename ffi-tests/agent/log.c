// SPDX-License-Identifier: MPL-2.0
#define _GNU_SOURCE /* vasprintf */

#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

static const char *const LEVELS[] = {
    [PROXYPROCESS_LOG_OFF] = "OFF",
    [PROXYPROCESS_LOG_ERROR] = "ERROR",
    [PROXYPROCESS_LOG_WARN] = "WARN",
    [PROXYPROCESS_LOG_INFO] = "INFO",
    [PROXYPROCESS_LOG_DEBUG] = "DEBUG",
    [PROXYPROCESS_LOG_TRACE] = "TRACE",
};

/* Written by log_start() only, before there is another thread. */
static int32_t wanted = PROXYPROCESS_LOG_INFO;

static int32_t wanted_level(void)
{
    const char *name = getenv("RUST_LOG");

    for (int32_t level = PROXYPROCESS_LOG_OFF; name != NULL && level <= PROXYPROCESS_LOG_TRACE; level++) {
        if (strcasecmp(name, LEVELS[level]) == 0)
            return level;
    }
    return PROXYPROCESS_LOG_INFO;
}

/* Called on any thread, and on several at the same time: one call of fprintf is one line. */
static void put(int32_t level, const char *message, size_t length, void *user)
{
    char stamp[sizeof "2000-01-01T00:00:00Z"];
    struct tm utc;
    time_t now = time(NULL);

    (void)length;
    (void)user;
    if (gmtime_r(&now, &utc) == NULL || strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        stamp[0] = '\0';
    fprintf(stderr, "[%s %-5s] %s\n", stamp, LEVELS[level], message);
}

char *log_start(void)
{
    proxyprocess_error *error = NULL;

    wanted = wanted_level();
    if (proxyprocess_log_set_callback(wanted, put, NULL, NULL, &error) != PROXYPROCESS_OK)
        return failure_of(error);
    return NULL;
}

void log_line(proxyprocess_log_level level, const char *format, ...)
{
    char *message;
    va_list arguments;

    if ((int32_t)level > wanted)
        return;
    va_start(arguments, format);
    int length = vasprintf(&message, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    put((int32_t)level, message, (size_t)length, NULL);
    free(message);
}
