#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# A program that glibc's posix_spawn(3) has started, and so one of system(3) and popen(3), has the signals 32 and 33 ignored, and
# so has all that it starts in turn.
#
# Guess: a child is started with the dispositions that its parent has, handlers aside, so that SigIgn in /proc/PID/status is 0
# where the parent ignores nothing, as after fork(2) and execve(2).
# Seen with glibc 2.36: SigIgn is 180000000 after posix_spawn, 0 after fork. The two are the library's own (for pthread_cancel and
# setuid); it resets its handlers for the time in which parent and child share their memory by ignoring them, and an ignored signal
# stays so over execve. sigaction(2) of the C library refuses both numbers, so that neither POSIX_SPAWN_SETSIGDEF nor
# `env --default-signal` undoes it. A supervisor that checks that its processes ignore nothing has to leave these two out.
#
# Needs bash, cc and env of coreutils 8.31 or later. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cat >"$place/try.c" <<'C'
#define _GNU_SOURCE
#include <gnu/libc-version.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char *words[] = {"sh", "-c", "sed -n s/^SigIgn:.//p /proc/$$/status", NULL};
    char *reset[] = {"env", "--default-signal", "sh", "-c", words[2], NULL};
    int status, is_spawn = strcmp(argv[argc - 1], "fork") != 0, is_reset = strcmp(argv[argc - 1], "reset") == 0;
    char **command = is_reset ? reset : words;
    pid_t child;
    if (strcmp(argv[argc - 1], "version") == 0)
        return printf("glibc %s\n", gnu_get_libc_version()) < 0;
    if (is_spawn)
        return posix_spawnp(&child, command[0], NULL, NULL, command, environ) != 0 || waitpid(child, &status, 0) < 0;
    if ((child = fork()) == 0)
        return execvp(command[0], command);
    return waitpid(child, &status, 0) < 0;
}
C
cc -Wall -O1 -o "$place/try" "$place/try.c"
# A shell starts it, by fork: it ignores nothing itself.
"$place/try" version
forked=$("$place/try" fork)
spawned=$("$place/try" spawn)
reset=$("$place/try" reset)
echo "SigIgn after fork: $forked; after posix_spawn: $spawned; with env --default-signal: $reset"
[[ $((16#$forked & 16#180000000)) == 0 && $((16#$spawned)) == $((16#180000000)) && $reset == "$spawned" ]]
