// SPDX-License-Identifier: MPL-2.0
/* Hosts that ignore, block, steal and leak what a supervisor needs: none of it may be inherited by a process, or cost
 * one. The managed process is the program itself, as "inspect". */

#ifndef HOSTS_H
#define HOSTS_H

#include "helpers.h"

#include <sys/resource.h>

/* What a process has inherited. */
typedef struct inherited {
    uint64_t blocked, ignored;
    char descriptors[64];
    uint64_t limit;
} inherited;

static inline uint64_t mask(const char *status, const char *field)
{
    const char *found = strstr(status, field);
    CHECK(found != NULL);
    return strtoull(found + strlen(field), NULL, 16);
}

/* In a process that was started to tell what it has inherited: tells it and stays. First of all in main. */
static inline void inspect_if_told(int argc, char **argv)
{
    if (argc < 3 || strcmp(argv[1], "inspect") != 0)
        return;
    inherited own = {0};
    char status[8192];
    struct rlimit limit;
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir != NULL && getrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(dir))
            strncat(strcat(own.descriptors, " "), entry->d_name, sizeof own.descriptors - strlen(own.descriptors) - 2);
    closedir(dir);
    read_file("/proc/self/status", status, sizeof status);
    own.blocked = mask(status, "SigBlk:");
    own.ignored = mask(status, "SigIgn:");
    own.limit = limit.rlim_cur;
    int fifo = open(argv[2], O_WRONLY | O_CLOEXEC);
    CHECK_INT(write(fifo, &own, sizeof own), sizeof own);
    for (;;)
        pause();
}

/* Whether the kernel tells how a process ended that other code has waited for; the caller of the program knows. */
static inline int kernel_tells(void)
{
    const char *tells = getenv("PROXYPROCESS_KERNEL_TELLS");
    return tells != NULL && strcmp(tells, "1") == 0;
}

/* What is told of an exit is the truth, or nothing where other code has taken the status. */
static inline void is_told(proxyprocess_event exited, int32_t exit, int32_t value, int is_stolen)
{
    CHECK_INT(exited.kind, PROXYPROCESS_EVENT_EXITED);
    if (is_stolen && !kernel_tells() && exited.exit == PROXYPROCESS_EXIT_UNKNOWN)
        return;
    CHECK_INT(exited.exit, exit);
    CHECK_INT(exited.exit_value, value);
}

/* Starts the program itself, and has it say what it has inherited. */
static inline inherited inspect(void)
{
    char own[4096];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    CHECK(length > 0);
    own[length] = '\0';
    const char *const argv[] = {own, "inspect", "inherited", NULL};
    inherited found;
    int fifo = new_fifo("inherited");
    proxyprocess_daemon *daemon = new_daemon("inspect", argv);
    OK(proxyprocess_daemon_start(daemon, &error));
    CHECK(readable(fifo, DEADLINE_MS));
    CHECK_INT(read(fifo, &found, sizeof found), sizeof found);
    OK(proxyprocess_daemon_stop(daemon, &error));
    proxyprocess_daemon_free(daemon);
    close(fifo);
    CHECK_INT(unlink("inherited"), 0);
    return found;
}

/* A process starts as if no host had been there. */
static inline void starts_clean(void)
{
    inherited found = inspect();
    CHECK_INT(found.blocked, 0);
    CHECK_INT(found.ignored, 0);
    /* In the order of the kernel. */
    CHECK_TEXT(found.descriptors, " 0 1 2");
}

/* Ended by itself, killed and restarted, stopped in time and too late; adopted. */
static inline void live(int is_stolen)
{
    static const char *const exits[] = {"/bin/sh", "-c", "exit 3", NULL};
    static const char *const stubborn[] = {"/bin/sh", "-c", "trap '' INT; echo x >ready; exec sleep 1000", NULL};
    static int round;
    char text[16], data_dir[16];
    int ready = new_fifo("ready");
    /* Each time another one: who waits for any child has taken all, and who ignores SIGCHLD has none. */
    snprintf(data_dir, sizeof data_dir, "data-%d", round++);
    proxyprocess_state *state = new_state();
    proxyprocess_manager *manager = new_manager(state, data_dir);
    proxyprocess_events *events = events_of(manager);
    proxyprocess_proxy_options options = proxy(exits);
    options.restart_attempts_before_backoff = 0;
    options.restart_max_wait_ms = 3600000;
    OK(proxyprocess_state_set(state, "exits", &options, &error));
    options = proxy(stubborn);
    options.grace_period_ms = 50;
    OK(proxyprocess_state_set(state, "stubborn", &options, &error));
    OK(proxyprocess_manager_start(manager, &error));
    is_told(until(events, PROXYPROCESS_EVENT_EXITED, "exits"), PROXYPROCESS_EXIT_CODE, 3, is_stolen);
    read_text(ready, text, sizeof text);

    set(state, "web", SLEEP);
    uint32_t first = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;
    CHECK_INT(kill((pid_t)first, SIGKILL), 0);
    is_told(until(events, PROXYPROCESS_EVENT_EXITED, "web"), PROXYPROCESS_EXIT_SIGNAL, SIGKILL, is_stolen);
    uint32_t second = until(events, PROXYPROCESS_EVENT_STARTED, "web").pid;

    seen stays = look(manager, "stubborn");
    CHECK_INT(stays.status.restarts, 0);
    OK(proxyprocess_state_remove(state, "stubborn", NULL, &error));
    until(events, PROXYPROCESS_EVENT_STOPPED, "stubborn");
    CHECK(is_gone(stays.status.pid));
    OK(proxyprocess_manager_close(manager, &error));
    proxyprocess_events_free(events);
    proxyprocess_manager_free(manager);

    manager = new_manager(state, data_dir);
    OK(proxyprocess_manager_restore(manager, NULL, &error));
    CHECK_INT(look(manager, "web").status.pid, second);
    OK(proxyprocess_manager_kill(manager, &error));
    CHECK(is_gone(first) && is_gone(second));
    proxyprocess_manager_free(manager);
    proxyprocess_state_free(state);
    close(ready);
    CHECK_INT(unlink("ready"), 0);
}

#endif
