// SPDX-License-Identifier: MPL-2.0
/* Checks that say where and what, and the proof that a program gives back all that it took. */

#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE

#include <proxyprocess.h>

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long anything may take before the program fails. Nothing that works comes near it, also under valgrind. */
#define DEADLINE_MS 60000

/* What the calls of this thread fail with; the checks below free it. */
static _Thread_local proxyprocess_error *error;

/* Is `truth`? */
#define CHECK(truth) check_that(__FILE__, __LINE__, (truth) ? NULL : #truth)
/* Is the number `found` the number `wanted`? */
#define CHECK_INT(found, wanted) check_int(__FILE__, __LINE__, #found, (intmax_t)(found), (intmax_t)(wanted))
/* Is the text `found` the text `wanted`? Either may be NULL. */
#define CHECK_TEXT(found, wanted) check_text(__FILE__, __LINE__, #found, (found), (wanted))
/* Is `part` in the text `found`? */
#define CHECK_HAS(found, part) check_has(__FILE__, __LINE__, #found, (found), (part))
/* Does the call, with &error as its last argument, go well? */
#define OK(call) check_ok(__FILE__, __LINE__, #call, (call))
/* Does it fail with this code, and `part` in its message? */
#define FAILS(call, code, part) check_fails(__FILE__, __LINE__, #call, (call), (code), (part))

__attribute__((noreturn, format(printf, 3, 4))) static inline void check_failed(const char *file, int line,
                                                                               const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    flockfile(stderr);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(arguments);
    /* Not exit(3): other threads run, and what they use must not be torn down. */
    _exit(1);
}

static inline void check_that(const char *file, int line, const char *untrue)
{
    if (untrue != NULL)
        check_failed(file, line, "not so: %s", untrue);
}

static inline void check_int(const char *file, int line, const char *what, intmax_t found, intmax_t wanted)
{
    if (found != wanted)
        check_failed(file, line, "%s is %" PRIdMAX ", not %" PRIdMAX, what, found, wanted);
}

static inline void check_text(const char *file, int line, const char *what, const char *found, const char *wanted)
{
    if (found == NULL || wanted == NULL ? found != wanted : strcmp(found, wanted) != 0)
        check_failed(file, line, "%s is \"%s\", not \"%s\"", what, found ? found : "(NULL)", wanted ? wanted : "(NULL)");
}

static inline void check_has(const char *file, int line, const char *what, const char *found, const char *part)
{
    if (found == NULL || strstr(found, part) == NULL)
        check_failed(file, line, "%s is \"%s\", without \"%s\"", what, found ? found : "(NULL)", part);
}

static inline void check_ok(const char *file, int line, const char *call, int32_t code)
{
    if (code != PROXYPROCESS_OK)
        check_failed(file, line, "%s: %" PRId32 " (%s): %s", call, code, proxyprocess_code_str(code),
                     proxyprocess_error_message(error, NULL));
    if (error != NULL)
        check_failed(file, line, "%s: went well and left an error", call);
}

static inline void check_fails(const char *file, int line, const char *call, int32_t code, int32_t wanted,
                               const char *part)
{
    const char *message = proxyprocess_error_message(error, NULL);
    if (code != wanted)
        check_failed(file, line, "%s: %" PRId32 " (%s), not %" PRId32 " (%s): %s", call, code,
                     proxyprocess_code_str(code), wanted, proxyprocess_code_str(wanted), message);
    if (proxyprocess_error_code(error) != code)
        check_failed(file, line, "%s: the error has the code %" PRId32, call, proxyprocess_error_code(error));
    check_has(file, line, call, message, part);
    if (strchr(message, '\n') != NULL)
        check_failed(file, line, "%s: a message of several lines: %s", call, message);
    proxyprocess_error_free(error);
    error = NULL;
}

static inline int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Lets others run; fails when something is waited for in vain. Only where nothing can be waited for by a descriptor. */
static inline void wait_a_turn(int64_t since_ms, const char *what)
{
    if (now_ms() - since_ms > DEADLINE_MS)
        check_failed(__FILE__, __LINE__, "waited in vain for %s", what);
    sched_yield();
}

/* How many entries a directory has, its own two left out. */
static inline int entries(const char *path)
{
    int count = 0;
    DIR *dir = opendir(path);
    CHECK(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2;
}

/* What a program has open and running. */
typedef struct resources {
    int descriptors, threads;
} resources;

static inline resources resources_now(void)
{
    return (resources){entries("/proc/self/fd"), entries("/proc/self/task")};
}

/* Are there no more threads? One that was joined stays listed for an instant. */
static inline void no_thread_is_left_since(resources before)
{
    int64_t since = now_ms();
    while (entries("/proc/self/task") != before.threads)
        wait_a_turn(since, "threads to end");
}

/* Is all as it was, and no child left, not even a dead one? */
static inline void nothing_is_left_since(resources before)
{
    siginfo_t child;
    no_thread_is_left_since(before);
    CHECK_INT(entries("/proc/self/fd"), before.descriptors);
    CHECK_INT(waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT), -1);
    CHECK_INT(errno, ECHILD);
}

#endif
