#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# cgroup.kill does not end a process whose main thread has ended.
#
# Guess: "all processes located in the affected cgroup tree will be killed via SIGKILL" (cgroup-v2.rst), and this is one: cgroup.procs lists
# it, and cgroup.events says that the cgroup is populated.
# Seen on Linux 6.18: after a write to cgroup.kill it lives on, with its other threads; SIGKILL to its pid ends it. A main that ends by
# pthread_exit(3) and leaves the work to other threads is correct C. It looks as if the kernel sent SIGKILL to the first thread of each
# process and not to the process. A supervisor that waits for "populated 0" after cgroup.kill waits for ever, unless it signals as well what
# cgroup.procs lists. (Such a one that is moved to another cgroup is not even listed there, though that is populated.)
#
# Needs bash, cc, root and a writable cgroup v2. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
mount=$(awk '$0 ~ / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
own=$(sed -n 's/^0:://p' /proc/self/cgroup)
group="$mount${own%/}/kill-misses-$$"
mkdir "$group"
cat >"$place/works.c" <<'C'
#include <pthread.h>
#include <unistd.h>

static void *works(void *nothing)
{
    for (;;)
        sleep(1000);
    return nothing;
}

int main(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, works, NULL) != 0)
        return 1;
    pthread_exit(NULL);
}
C
cc -Wall -O1 -pthread -o "$place/works" "$place/works.c"

started() {
    (echo $BASHPID >"$group/cgroup.procs" && exec "$@") &
    process=$!
}
end() {
    kill -KILL "$process" || true
    wait "$process" || true
    rmdir "$group"
    rm -rf "$place"
}
process=
trap 'end 2>/dev/null' EXIT
# A process of one thread, which shows that the write does what it should.
started sleep 1000
until [[ $(<"/proc/$process/comm") == sleep ]]; do sleep 0.01; done
echo 1 >"$group/cgroup.kill"
wait "$process" 2>/dev/null && plain=0 || plain=$?
# Linux kills at birth what is cloned into a cgroup that was killed before: it is made anew.
rmdir "$group" && mkdir "$group"
started "$place/works"
until [[ $(sed -n 's/^State:.//p' "/proc/$process/status") == Z* ]]; do sleep 0.01; done
listed=$(<"$group/cgroup.procs")
echo 1 >"$group/cgroup.kill"
sleep 1
threads=$(sed -n 's/^Threads:.//p' "/proc/$process/status")
populated=$(sed -n 's/^populated //p' "$group/cgroup.events")
kill -KILL "$process"
wait "$process" 2>/dev/null && by_pid=0 || by_pid=$?
uname -sr
echo "a process of one thread after cgroup.kill: status $plain"
echo "one without its main thread: listed as $listed, it is $process; after cgroup.kill: threads $threads, populated $populated"
echo "after SIGKILL to its pid: status $by_pid"
[[ $plain == 137 && $listed == "$process" && $threads == 2 && $populated == 1 && $by_pid == 137 ]]
