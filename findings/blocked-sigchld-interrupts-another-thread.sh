#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# In a program that has no handler of any signal, the end of a child makes epoll_wait(2) of one thread fail with EINTR if another
# thread, which started the child, blocks SIGCHLD.
#
# Guess: a signal whose default is to be ignored, and that nothing handles, is dropped when it is sent; no thread is woken by it, and
# nothing fails with EINTR. Threads of a library that block all signals keep out of what concerns the program.
# Seen on Linux 6.18: the kernel drops it only if the thread that it is for does not block it, as that might install a handler before
# it unblocks it. For SIGCHLD this is the thread that called fork(2), and not the main thread. If that one blocks it, the signal is
# queued for the process, and any thread that does not block it is woken: it finds nothing to handle, but epoll_wait, unlike poll(2), is not
# restarted. So a thread that starts processes does the rest of the program no favour by blocking SIGCHLD while nothing handles it.
#
# Needs bash and cc. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cat >"$place/try.c" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

static int begin[2], end[2];

/* Starts a child that ends once the main thread waits, and is reaped after that has gone on. */
static void *start(void *blocks)
{
    sigset_t child;
    char byte;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (blocks)
        pthread_sigmask(SIG_BLOCK, &child, NULL);
    if (read(begin[0], &byte, 1) == 1 && fork() == 0) {
        usleep(200000);
        _exit(0);
    }
    while (read(end[0], &byte, 1) != 1)
        ;
    wait(NULL);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    struct epoll_event event;
    struct pollfd none = {.fd = -1};
    int waited, polls = argc > 2, queue = epoll_create1(0);

    if (queue < 0 || pipe(begin) != 0 || pipe(end) != 0 ||
        pthread_create(&thread, NULL, start, strcmp(argv[1], "blocks") == 0 ? argv : NULL) != 0)
        return 2;
    if (write(begin[1], "", 1) != 1)
        return 2;
    waited = polls ? poll(&none, 1, 1000) : epoll_wait(queue, &event, 1, 1000);
    printf("%s\n", waited < 0 ? strerrorname_np(errno) : "timeout");
    if (write(end[1], "", 1) != 1)
        return 2;
    pthread_join(thread, NULL);
    return 0;
}
C
cc -Wall -O1 -pthread -o "$place/try" "$place/try.c"
uname -sr
blocked=$("$place/try" blocks)
open=$("$place/try" does-not)
poll=$("$place/try" blocks poll)
echo "SIGCHLD blocked by the thread that forks: epoll_wait: $blocked, poll: $poll; not blocked: epoll_wait: $open"
[[ $blocked == EINTR && $open == timeout && $poll == timeout ]]
