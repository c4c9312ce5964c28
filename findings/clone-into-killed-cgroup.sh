#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# A process that is cloned into a cgroup (clone3 with CLONE_INTO_CGROUP) is killed at birth, if cgroup.kill was written to that
# cgroup at any time before, and be it while it was empty.
#
# Guess: cgroup.kill ends what is in the cgroup, and forks that are under way; what is put there later is not concerned.
# Seen on Linux 6.18: each child is ended by SIGKILL before it runs, as often as one is cloned; one that moves itself there by
# writing to cgroup.procs lives, and so do its children; and after rmdir and mkdir a clone lives as well. On 6.1.0-57, 6.12.117
# and 7.3.4 of Debian all of them live. The kernel counts the kills of a cgroup, to notice one that comes during a fork, and of
# a child that is cloned elsewhere it takes the count of the parent's cgroup at first: a supervisor that keeps the cgroup of a
# service over its restarts must make it anew after a kill.
#
# Needs bash, cc, root and a writable cgroup v2. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mount=$(awk '$0 ~ / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
own=$(sed -n 's/^0:://p' /proc/self/cgroup)
cat >"$place/try.c" <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static void put(const char *dir, const char *file, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        fail(path);
    close(fd);
}

static int ended(pid_t pid, const char *what)
{
    int status;
    waitpid(pid, &status, 0);
    int by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    printf("%s: %s\n", what, by ? strsignal(by) : "lived");
    fflush(stdout);
    return by;
}

static int cloned_into(const char *dir, const char *what)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)fd};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0)
        _exit(0);
    if (fd < 0 || pid < 0)
        fail("clone3");
    close(fd);
    return ended(pid, what);
}

static int moved_into(const char *dir, const char *what)
{
    pid_t pid = fork();
    if (pid == 0) {
        put(dir, "cgroup.procs", "0");
        _exit(0);
    }
    return ended(pid, what);
}

int main(int argc, char **argv)
{
    const char *dir = argv[argc - 1];
    if (mkdir(dir, 0755) != 0)
        fail(dir);
    int fresh = cloned_into(dir, "cloned into a new cgroup");
    put(dir, "cgroup.kill", "1");
    int first = cloned_into(dir, "cloned into it after cgroup.kill");
    int second = cloned_into(dir, "and once more");
    int moved = moved_into(dir, "moved into it by cgroup.procs");
    if (rmdir(dir) != 0 || mkdir(dir, 0755) != 0)
        fail(dir);
    int anew = cloned_into(dir, "cloned into one that was made anew");
    rmdir(dir);
    return fresh == 0 && first == SIGKILL && second == SIGKILL && moved == 0 && anew == 0 ? 0 : 1;
}
C
cc -Wall -O1 -o "$place/try" "$place/try.c"
uname -r
"$place/try" "$mount$own/killed-cgroup-$$"
