// SPDX-License-Identifier: MPL-2.0
#define _GNU_SOURCE /* vasprintf */

#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* What is said when there is no memory to say more. */
static char out_of_memory[] = "out of memory";

char *failure(const char *format, ...)
{
    char *text;
    va_list arguments;

    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return length < 0 ? out_of_memory : text;
}

char *failure_of(proxyprocess_error *error)
{
    char *failed = failure("%s", proxyprocess_error_message(error, NULL));
    proxyprocess_error_free(error);
    return failed;
}

char *failure_within(const char *place, char *failed)
{
    if (failed == NULL)
        return NULL;
    char *whole = failure("%s: %s", place, failed);
    failure_free(failed);
    return whole;
}

void failure_free(char *failed)
{
    if (failed != out_of_memory)
        free(failed);
}
