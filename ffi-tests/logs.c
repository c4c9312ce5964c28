// SPDX-License-Identifier: MPL-2.0
/* Readers of lines of the log: of the whole library and of one manager, by wait and by descriptor. */

#include "helpers.h"

#include <pthread.h>
#include <sys/epoll.h>

static proxyprocess_log_line next(const proxyprocess_logs *logs, uint64_t timeout_ms)
{
    proxyprocess_log_line line;
    memset(&line, 0xee, sizeof line);
    line.struct_size = sizeof line;
    OK(proxyprocess_logs_next(logs, timeout_ms, &line, &error));
    CHECK_INT(line.struct_size, sizeof line);
    if (line.level == PROXYPROCESS_LOG_OFF) {
        CHECK(line.message == NULL && line.message_length == 0 && line.number == 0 && line.missed == 0);
    } else {
        CHECK(line.level >= PROXYPROCESS_LOG_ERROR && line.level <= PROXYPROCESS_LOG_TRACE);
        CHECK_INT(strlen(line.message), line.message_length);
        CHECK(line.message_length > 0 && line.message_length <= 4096 && strchr(line.message, '\n') == NULL);
        CHECK_INT(line.ended, 0);
    }
    return line;
}

static proxyprocess_logs *logs_of_library(int32_t level)
{
    proxyprocess_logs *logs = NULL;
    OK(proxyprocess_logs_new(level, &logs, &error));
    return logs;
}

static proxyprocess_logs *logs_of(const proxyprocess_manager *manager, int32_t level)
{
    proxyprocess_logs *logs = NULL;
    OK(proxyprocess_manager_logs(manager, level, &logs, &error));
    return logs;
}

static int descriptor_of(const proxyprocess_logs *logs)
{
    int32_t descriptor = -1, again = -1;
    OK(proxyprocess_logs_descriptor(logs, &descriptor, &error));
    OK(proxyprocess_logs_descriptor(logs, &again, &error));
    CHECK(descriptor > 2 && descriptor == again);
    return descriptor;
}

/* Waits for a line with this in it; others are read over. */
static proxyprocess_log_line until_line(const proxyprocess_logs *logs, const char *part)
{
    for (;;) {
        proxyprocess_log_line line = next(logs, DEADLINE_MS);
        if (line.level == PROXYPROCESS_LOG_OFF)
            check_failed(__FILE__, __LINE__, "waited in vain for a line with \"%s\"", part);
        if (strstr(line.message, part) != NULL)
            return line;
    }
}

static void levels(void)
{
    proxyprocess_logs *errors = logs_of_library(PROXYPROCESS_LOG_ERROR), *all = logs_of_library(PROXYPROCESS_LOG_TRACE);
    proxyprocess_logs *none = logs_of_library(PROXYPROCESS_LOG_OFF), *refused = NULL;
    struct timespec began, now;
    int64_t since = now_ms();
    CHECK_INT(next(errors, 20).level, PROXYPROCESS_LOG_OFF);
    CHECK(now_ms() - since >= 19);
    clock_gettime(CLOCK_REALTIME, &began);
    /* An id of several lines is in one line of the log. */
    log_a_failure("a\nb");
    clock_gettime(CLOCK_REALTIME, &now);
    proxyprocess_log_line line = next(errors, 0);
    CHECK_INT(line.level, PROXYPROCESS_LOG_ERROR);
    CHECK_INT(line.number, 1);
    CHECK_HAS(line.message, "proxy a\\nb: ");
    CHECK_HAS(line.message, "/is/not/there");
    CHECK(line.at_unix_ns >= (uint64_t)began.tv_sec * 1000000000 + (uint64_t)began.tv_nsec);
    CHECK(line.at_unix_ns <= (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
    CHECK_INT(next(errors, 0).level, PROXYPROCESS_LOG_OFF);
    CHECK_INT(until_line(all, "stopped").level, PROXYPROCESS_LOG_INFO);
    line = next(none, 0);
    CHECK(line.level == PROXYPROCESS_LOG_OFF && line.ended == 0);
    FAILS(proxyprocess_logs_new(6, &refused, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "level");
    FAILS(proxyprocess_logs_new(-1, &refused, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "level");
    CHECK(refused == NULL);
    proxyprocess_logs_free(errors);
    proxyprocess_logs_free(all);
    proxyprocess_logs_free(none);
    proxyprocess_logs_free(NULL);
}

/* Each manager has its own lines, and their end. */
static void managers(void)
{
    proxyprocess_state *state = new_state(), *other_state = new_state();
    proxyprocess_manager *manager = new_manager(state, NULL), *other = new_manager(other_state, NULL);
    proxyprocess_logs *logs = logs_of(manager, PROXYPROCESS_LOG_INFO), *others = logs_of(other, PROXYPROCESS_LOG_INFO);
    proxyprocess_logs *library = logs_of_library(PROXYPROCESS_LOG_INFO), *refused = NULL;
    FAILS(proxyprocess_manager_logs(manager, 6, &refused, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "level");
    CHECK(refused == NULL);
    set(state, "mine", SLEEP);
    set(other_state, "other", SLEEP);
    OK(proxyprocess_manager_start(manager, &error));
    CHECK_HAS(until_line(logs, "proxy mine: started, pid ").message, "pid");
    OK(proxyprocess_manager_start(other, &error));
    until_line(others, "proxy other: started, pid ");
    OK(proxyprocess_manager_kill(manager, &error));
    proxyprocess_log_line line;
    while ((line = next(logs, UINT64_MAX)).level != PROXYPROCESS_LOG_OFF)
        CHECK(strstr(line.message, "other") == NULL);
    CHECK_INT(line.ended, 1);
    CHECK_INT(next(logs, UINT64_MAX).ended, 1);
    CHECK(readable(descriptor_of(logs), 0));
    /* Who comes late hears of the end at once. */
    proxyprocess_logs *late = logs_of(manager, PROXYPROCESS_LOG_ERROR);
    CHECK_INT(next(late, UINT64_MAX).ended, 1);
    proxyprocess_logs_free(late);
    proxyprocess_manager_free(manager);
    CHECK_INT(next(logs, UINT64_MAX).ended, 1);
    OK(proxyprocess_manager_kill(other, &error));
    proxyprocess_manager_free(other);
    until_line(library, "proxy mine: stopped");
    until_line(library, "proxy other: stopped");
    line = next(library, 0);
    CHECK(line.level != PROXYPROCESS_LOG_OFF || line.ended == 0);
    proxyprocess_logs_free(logs);
    proxyprocess_logs_free(others);
    proxyprocess_logs_free(library);
    proxyprocess_state_free(state);
    proxyprocess_state_free(other_state);
}

/* A host with an event loop waits for the descriptor, and reads until there is nothing. */
static void loops(void)
{
    proxyprocess_logs *logs = logs_of_library(PROXYPROCESS_LOG_ERROR);
    int descriptor = descriptor_of(logs), loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event wanted = {.events = EPOLLIN | EPOLLET}, found;
    CHECK(loop >= 0);
    CHECK_INT(epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &wanted), 0);
    for (int round = 0; round < 3; round++) {
        CHECK_INT(epoll_wait(loop, &found, 1, 0), 0);
        log_a_failure("web");
        log_a_failure("db");
        CHECK_INT(epoll_wait(loop, &found, 1, DEADLINE_MS), 1);
        CHECK_INT(next(logs, 0).level, PROXYPROCESS_LOG_ERROR);
        CHECK(readable(descriptor, 0));
        CHECK_INT(next(logs, 0).level, PROXYPROCESS_LOG_ERROR);
        CHECK(!readable(descriptor, 0));
    }
    CHECK_INT(close(loop), 0);
    proxyprocess_logs_free(logs);
}

static void *wait_for_line(void *logs)
{
    CHECK_HAS(until_line(logs, "/is/not/there").message, "web");
    return NULL;
}

/* A waiting reader is woken by a line, and readers come and go while lines are written. */
static void threads(void)
{
    pthread_t waiting;
    proxyprocess_logs *logs = logs_of_library(PROXYPROCESS_LOG_ERROR);
    CHECK_INT(pthread_create(&waiting, NULL, wait_for_line, logs), 0);
    for (int count = 0; count < 20; count++) {
        proxyprocess_logs *short_lived = logs_of_library(PROXYPROCESS_LOG_TRACE);
        log_a_failure("web");
        CHECK(next(short_lived, 0).level != PROXYPROCESS_LOG_OFF);
        proxyprocess_logs_free(short_lived);
    }
    CHECK_INT(pthread_join(waiting, NULL), 0);
    proxyprocess_logs_free(logs);
}

int main(void)
{
    resources before = resources_now();
    levels();
    managers();
    loops();
    threads();
    nothing_is_left_since(before);
    return 0;
}
