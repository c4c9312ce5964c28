#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# A controller is enabled for the cgroups below one that has a process of its own. For some controllers the kernel does that, and
# from then on no process can be put below it.
#
# Guess: writing +pids to cgroup.subtree_control fails with EBUSY, as "no internal processes" of cgroup-v2.rst has it, and
# nothing has changed.
# Seen on Linux 6.1.0-50, 6.12.117 and 7.3.4 of Debian: +memory fails so. +pids succeeds where no process is below yet: the cgroup is
# the root of a threaded subtree then ("domain threaded"), what is made below it is "domain invalid", and a write to the
# cgroup.procs of such a one fails with EOPNOTSUPP. A service manager that enables pids or cpu in its own cgroup, where it is itself, has
# made that useless for its services, and sees an error only when it starts one. -pids undoes it. (cgroup-v2.rst says so under "Threads", far
# from the rule above.)
#
# Needs bash, root, and a cgroup v2 that has the controllers memory and pids (not those of a hybrid machine). Exits 0 when it was so
# again, else 1, and 2 where it cannot be tried.
set -uo pipefail
mount=$(awk '$0 ~ / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
own=$(sed -n 's/^0:://p' /proc/self/cgroup)
top="$mount${own%/}"
for controller in memory pids; do
    grep -qw "$controller" "$top/cgroup.controllers" || { echo "no controller $controller in $top" >&2; exit 2; }
    grep -qw "$controller" "$top/cgroup.subtree_control" || echo "+$controller" >"$top/cgroup.subtree_control" || exit 2
done
inner="$top/thread-root-$$"
mkdir "$inner"
sleep 1000 &
process=$!
trap 'kill $process; wait $process; rmdir "$inner/below" "$inner"' EXIT 2>/dev/null
echo $process >"$inner/cgroup.procs"

put() { echo "$2" 2>/dev/null >"$inner/$1" && echo "$2 to $1: done" || echo "$2 to $1: refused"; }
said=$(
    put cgroup.subtree_control +memory
    put cgroup.subtree_control +pids
    echo "type: $(cat "$inner/cgroup.type")"
    mkdir "$inner/below"
    echo "type below: $(cat "$inner/below/cgroup.type")"
    put below/cgroup.procs $BASHPID
    put cgroup.subtree_control -pids
    echo "type: $(cat "$inner/cgroup.type")"
    put below/cgroup.procs $BASHPID
    echo $BASHPID >"$top/cgroup.procs"
)
uname -r
echo "$said"
expected="+memory to cgroup.subtree_control: refused
+pids to cgroup.subtree_control: done
type: domain threaded
type below: domain invalid
PID to below/cgroup.procs: refused
-pids to cgroup.subtree_control: done
type: domain
PID to below/cgroup.procs: done"
[[ $(sed -E 's/^[0-9]+ /PID /' <<<"$said") == "$expected" ]]
