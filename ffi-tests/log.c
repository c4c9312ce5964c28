// SPDX-License-Identifier: MPL-2.0
/* The log callback: what it gets, how much, and when it is let go. */

#include "helpers.h"

#include <pthread.h>
#include <stdatomic.h>

/* What one callback got; its address is the user word. */
typedef struct record {
    atomic_int lines, destroyed, worst;
    atomic_int refused;
    proxyprocess_state *to_free;
} record;

static void take_line(int32_t level, const char *message, size_t length, void *user)
{
    record *record = user;
    CHECK(level >= PROXYPROCESS_LOG_ERROR && level <= PROXYPROCESS_LOG_TRACE);
    CHECK_INT(strlen(message), length);
    CHECK(length > 0 && strchr(message, '\n') == NULL);
    CHECK_INT(atomic_load(&record->destroyed), 0);
    atomic_fetch_add(&record->lines, 1);
    if (level > atomic_load(&record->worst))
        atomic_store(&record->worst, level);
}

static void destroyed(void *user)
{
    record *record = user;
    atomic_fetch_add(&record->destroyed, 1);
}

/* What goes well is logged for who wants to know. */
static void log_a_start(void)
{
    proxyprocess_daemon *daemon = new_daemon("web", SLEEP);
    OK(proxyprocess_daemon_start(daemon, &error));
    OK(proxyprocess_daemon_stop(daemon, &error));
    proxyprocess_daemon_free(daemon);
}

static void levels(void)
{
    static record some, all, none;
    OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_ERROR, take_line, &some, destroyed, &error));
    log_a_start();
    CHECK_INT(atomic_load(&some.lines), 0);
    log_a_failure("web");
    CHECK(atomic_load(&some.lines) > 0);
    CHECK_INT(atomic_load(&some.worst), PROXYPROCESS_LOG_ERROR);
    /* An id of several lines is in one line of the log. */
    log_a_failure("a\nb");

    CHECK_INT(atomic_load(&some.destroyed), 0);
    OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_TRACE, take_line, &all, destroyed, &error));
    CHECK_INT(atomic_load(&some.destroyed), 1);
    int lines = atomic_load(&some.lines);
    log_a_start();
    CHECK(atomic_load(&all.worst) >= PROXYPROCESS_LOG_INFO);
    CHECK_INT(atomic_load(&some.lines), lines);

    OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_OFF, take_line, &none, NULL, &error));
    CHECK_INT(atomic_load(&all.destroyed), 1);
    log_a_failure("web");
    CHECK_INT(atomic_load(&none.lines), 0);

    /* What is refused changes nothing. */
    FAILS(proxyprocess_log_set_callback(6, take_line, &all, destroyed, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "level");
    FAILS(proxyprocess_log_set_callback(-1, NULL, NULL, NULL, &error), PROXYPROCESS_E_INVALID_ARGUMENT, "level");
    CHECK_INT(atomic_load(&all.destroyed), 1);
    OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_TRACE, NULL, NULL, NULL, &error));
    log_a_failure("web");
    CHECK_INT(atomic_load(&some.destroyed) + atomic_load(&all.destroyed), 2);
}

/* A callback may end a handle, but ask nothing of the library. */
static void call_back(int32_t level, const char *message, size_t length, void *user)
{
    record *record = user;
    proxyprocess_state *state = record->to_free;
    take_line(level, message, length, user);
    if (state == NULL)
        return;
    record->to_free = NULL;
    FAILS(proxyprocess_state_remove(state, "web", NULL, &error), PROXYPROCESS_E_IN_CALLBACK, "log callback");
    FAILS(proxyprocess_log_set_callback(PROXYPROCESS_LOG_OFF, NULL, NULL, NULL, &error), PROXYPROCESS_E_IN_CALLBACK,
          "log callback");
    proxyprocess_state_free(state);
    atomic_fetch_add(&record->refused, 1);
}

static void from_within(void)
{
    static record record;
    record.to_free = new_state();
    OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_ERROR, call_back, &record, NULL, &error));
    log_a_failure("web");
    CHECK_INT(atomic_load(&record.refused), 1);
    OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_OFF, NULL, NULL, NULL, &error));
}

static atomic_int loggers;

static void *keep_logging(void *unused)
{
    while (atomic_load(&loggers) > 0)
        log_a_failure("web");
    return unused;
}

/* Replaced while others log: each of them is destroyed once, and never called after that. */
static void replaced(void)
{
    enum { ROUNDS = 5 };
    static record records[ROUNDS];
    pthread_t threads[2];
    atomic_store(&loggers, 1);
    for (int index = 0; index < 2; index++)
        CHECK_INT(pthread_create(&threads[index], NULL, keep_logging, NULL), 0);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t since = now_ms();
        OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_TRACE, take_line, &records[round], destroyed, &error));
        if (round > 0)
            CHECK_INT(atomic_load(&records[round - 1].destroyed), 1);
        while (atomic_load(&records[round].lines) == 0)
            wait_a_turn(since, "a line of the log");
    }
    OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_TRACE, NULL, NULL, NULL, &error));
    atomic_store(&loggers, 0);
    for (int index = 0; index < 2; index++)
        CHECK_INT(pthread_join(threads[index], NULL), 0);
    for (int round = 0; round < ROUNDS; round++)
        CHECK_INT(atomic_load(&records[round].destroyed), 1);
}

static pthread_barrier_t barrier;

static void *unset(void *rounds)
{
    for (int round = 0; round < *(int *)rounds; round++) {
        pthread_barrier_wait(&barrier);
        OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_OFF, NULL, NULL, NULL, &error));
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

/* Set by two at once, one of them counts, with its level. */
static void contended(void)
{
    static record records[50];
    int rounds = sizeof records / sizeof *records;
    pthread_t other;
    CHECK_INT(pthread_barrier_init(&barrier, NULL, 2), 0);
    CHECK_INT(pthread_create(&other, NULL, unset, &rounds), 0);
    for (int round = 0; round < rounds; round++) {
        record *own = &records[round];
        pthread_barrier_wait(&barrier);
        OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_ERROR, take_line, own, destroyed, &error));
        pthread_barrier_wait(&barrier);
        if (atomic_load(&own->destroyed) == 0) {
            log_a_failure("web");
            CHECK(atomic_load(&own->lines) > 0);
        }
    }
    CHECK_INT(pthread_join(other, NULL), 0);
    OK(proxyprocess_log_set_callback(PROXYPROCESS_LOG_OFF, NULL, NULL, NULL, &error));
    for (int round = 0; round < rounds; round++)
        CHECK_INT(atomic_load(&records[round].destroyed), 1);
    pthread_barrier_destroy(&barrier);
}

int main(void)
{
    resources before = resources_now();
    /* Before the first call it goes nowhere. */
    log_a_failure("web");
    levels();
    from_within();
    replaced();
    contended();
    nothing_is_left_since(before);
    return 0;
}
