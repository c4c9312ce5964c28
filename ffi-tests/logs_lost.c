// SPDX-License-Identifier: MPL-2.0
/* A reader of lines of the log that does not read loses the oldest ones, and is told how many. */

#include "helpers.h"

static proxyprocess_log_line next(const proxyprocess_logs *logs)
{
    proxyprocess_log_line line;
    line.struct_size = sizeof line;
    OK(proxyprocess_logs_next(logs, 0, &line, &error));
    return line;
}

int main(void)
{
    resources before = resources_now();
    enum { MORE = 3 };
    proxyprocess_logs *logs = NULL;
    OK(proxyprocess_logs_new(PROXYPROCESS_LOG_ERROR, &logs, &error));
    for (int count = 0; count < (int)PROXYPROCESS_LOG_CAPACITY + MORE; count++)
        log_a_failure("web");
    proxyprocess_log_line line = next(logs);
    CHECK_INT(line.missed, MORE);
    CHECK_INT(line.number, MORE);
    CHECK_INT(line.level, PROXYPROCESS_LOG_WARN);
    CHECK_TEXT(line.message, "3 lines of the log are lost: the reader fell behind");
    for (int count = 0; count < (int)PROXYPROCESS_LOG_CAPACITY; count++) {
        line = next(logs);
        CHECK(line.number == (uint64_t)(MORE + 1 + count) && line.missed == 0);
    }
    CHECK_INT(next(logs).level, PROXYPROCESS_LOG_OFF);
    proxyprocess_logs_free(logs);
    nothing_is_left_since(before);
    return 0;
}
