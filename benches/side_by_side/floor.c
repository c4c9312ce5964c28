// SPDX-License-Identifier: MPL-2.0
/* The least that any supervisor has to do, which is the floor under all of them: one thread that clones without copying
 * its memory, waits for all processes by their descriptors at once, and starts again at once what has ended. It declares,
 * remembers and refuses nothing.
 *
 * usage: floor N PROGRAM DIRECTORY [files]
 *   runs PROGRAM 0 .. PROGRAM N-1 until SIGTERM, then kills them all
 *   files     writes what it takes to have logs, and to find the processes again after a crash: each
 *             process appends to two logs, and records its own pid by renaming a new file, which is removed when it was
 *             stopped
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

enum { STACK_BYTES = 64 * 1024, EVENTS = 64 };
/* What epoll says instead of a number of a process. */
#define STOP UINT32_MAX

struct process {
    pid_t pid;
    int pidfd;
};

/* What a child is started from; it shares the memory, so that there is one. */
static struct {
    char *program, *directory;
    char id[16];
    char out[4096], err[4096], record[4096], new_record[4096];
    int files, null;
} start;
static char *stack;
static int poller;

static void must(int good, const char *what)
{
    if (!good) {
        perror(what);
        exit(1);
    }
}

static void record_self(void)
{
    char text[16];
    const int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    const int file = open(start.new_record, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (write(file, text, (size_t)length) != length || rename(start.new_record, start.record) != 0)
        _exit(126);
    close(file);
}

static void append_to(const char *path, int target)
{
    const int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    if (dup2(file, target) < 0)
        _exit(126);
    close(file);
}

static int child(void *unused)
{
    char *const arguments[] = {start.program, start.id, NULL};
    sigset_t none;

    (void)unused;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    dup2(start.null, 0);
    if (start.files) {
        record_self();
        append_to(start.out, 1);
        append_to(start.err, 2);
    } else {
        dup2(start.null, 1);
        dup2(start.null, 2);
    }
    execv(start.program, arguments);
    _exit(127);
}

static void run(struct process *process, uint32_t number)
{
    struct epoll_event wanted = {.events = EPOLLIN, .data.u32 = number};

    snprintf(start.id, sizeof start.id, "%u", (unsigned)number);
    if (start.files) {
        snprintf(start.out, sizeof start.out, "%s/%s-stdout.log", start.directory, start.id);
        snprintf(start.err, sizeof start.err, "%s/%s-stderr.log", start.directory, start.id);
        snprintf(start.record, sizeof start.record, "%s/%s.pid", start.directory, start.id);
        snprintf(start.new_record, sizeof start.new_record, "%s/.%s.pid", start.directory, start.id);
    }
    process->pid = clone(child, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, NULL,
                         &process->pidfd);
    must(process->pid > 0, "clone");
    must(epoll_ctl(poller, EPOLL_CTL_ADD, process->pidfd, &wanted) == 0, "epoll_ctl");
}

static void stop(const struct process *processes, uint32_t count)
{
    uint32_t i;

    for (i = 0; i < count; i++)
        syscall(SYS_pidfd_send_signal, processes[i].pidfd, SIGKILL, NULL, 0);
    for (i = 0; i < count; i++) {
        waitpid(processes[i].pid, NULL, 0);
        if (start.files) {
            snprintf(start.record, sizeof start.record, "%s/%u.pid", start.directory, (unsigned)i);
            unlink(start.record);
        }
    }
}

static int wait_for_stop(void)
{
    struct epoll_event wanted = {.events = EPOLLIN, .data.u32 = STOP};
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &wanted);
}

int main(int argc, char **argv)
{
    struct process *processes;
    uint32_t count, i;

    if (argc < 4)
        return 2;
    count = (uint32_t)atoi(argv[1]);
    start.program = argv[2];
    start.directory = argv[3];
    start.files = argc > 4 && strcmp(argv[4], "files") == 0;
    start.null = open("/dev/null", O_RDWR | O_CLOEXEC);
    stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    poller = epoll_create1(EPOLL_CLOEXEC);
    processes = calloc(count, sizeof *processes);
    must(stack != MAP_FAILED && poller >= 0 && processes, "set up");
    must(wait_for_stop() == 0, "signalfd");
    for (i = 0; i < count; i++)
        run(&processes[i], i);
    for (;;) {
        struct epoll_event events[EVENTS];
        const int ready = epoll_wait(poller, events, EVENTS, -1);
        int j;

        for (j = 0; j < ready; j++) {
            const uint32_t number = events[j].data.u32;

            if (number == STOP) {
                stop(processes, count);
                return 0;
            }
            waitpid(processes[number].pid, NULL, 0);
            close(processes[number].pidfd);
            run(&processes[number], number);
        }
    }
}
