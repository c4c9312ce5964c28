#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The systemd of a user does not mark the cgroup of a unit with Delegate=yes: only that of the machine sets the attributes
# user.delegate and trusted.delegate, by which a program can tell whether it may make cgroups below its own.
#
# Guess: user.delegate, which came with systemd 251 for programs without root, is on each unit with Delegate=yes, whichever systemd
# runs it.
# Seen with systemd 252 of Debian 12, and by the same steps with 257 of Debian 13: a service of the machine with Delegate=yes
# and User= has user.delegate=1; a service and a scope of that user with Delegate=yes have no attribute at all, though `systemctl
# --user show` says Delegate=yes. user@UID.service above them has it. A program that asks for the attribute takes each unit of a user
# for one that was not delegated; all that can be seen is that the directory belongs to the user, and so does that of a unit
# without Delegate=.
#
# Needs bash, debootstrap, util-linux, python3, root and a mount of cgroup2. FINDING_SUITE: another release of Debian. Exits 0 when it
# was so again, else 1.
set -euo pipefail
place=$(mktemp -d) suite=${FINDING_SUITE:-bookworm} init=
root=$place/root
cgroup2=$(awk '$0 ~ / - cgroup2 / {print $5; exit}' /proc/self/mountinfo)
group=$cgroup2/user-unit-$$
end() {
    [[ ! $init ]] || kill -KILL "$init" 2>/dev/null || true
    for _ in {1..50}; do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break; sleep 0.1; done
    rm -rf "$place"
}
trap end EXIT
debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,libpam-systemd,dbus-user-session "$suite" "$root" >"$place/log"
chroot "$root" useradd --create-home --uid 1000 someone
mkdir -p "$root/var/lib/systemd/linger"
touch "$root/var/lib/systemd/linger/someone"
cat >"$place/init" <<'INIT'
set -e
cd "$1"
mount --make-rprivate /
mount --bind . .
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for at in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$at"; done
for node in null zero full random urandom tty; do touch "dev/$node"; mount --bind "/dev/$node" "dev/$node"; done
mkdir .old
pivot_root . .old
umount -l /.old
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=journal --show-status=false
INIT
mkdir "$group"
(
    echo "$BASHPID" >"$group/cgroup.procs"
    exec unshare --pid --fork --mount --uts --ipc --net --cgroup /bin/bash "$place/init" "$root"
) </dev/null >"$place/boot.log" 2>&1 &
outer=$!
soon() { for _ in {1..150}; do if "$@" >/dev/null 2>&1; then return; fi; sleep 0.2; done; return 1; }
is_systemd() {
    init=$(awk '{print $1}' "/proc/$outer/task/$outer/children")
    [[ $init && $(<"/proc/$init/comm") == systemd ]]
}
soon is_systemd
machine() { nsenter -t "$init" -a env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
user() { machine setpriv --reuid=1000 --regid=1000 --init-groups env XDG_RUNTIME_DIR=/run/user/1000 "$@"; }
soon user systemctl --user is-system-running
machine systemd-run --quiet --unit=machine -p Delegate=yes -p User=someone sleep 1000
user systemd-run --quiet --user --unit=user -p Delegate=yes sleep 1000
(user systemd-run --quiet --user --scope --unit=user -p Delegate=yes sleep 1000 >"$place/scope.log" 2>&1 &)
soon user systemctl --user is-active user.scope
machine systemctl --version | head -n 1
user systemctl --user show -p Delegate user.service user.scope
python3 - "$group" <<'PYTHON'
import os, sys

seen = {}
for path, _, _ in os.walk(sys.argv[1]):
    name = os.path.basename(path)
    if name in ("machine.service", "user@1000.service", "user.service", "user.scope"):
        marks = {mark: os.getxattr(path, mark) for mark in os.listxattr(path) if mark.endswith(".delegate")}
        seen[name] = marks.get("user.delegate") == b"1", len(os.listxattr(path)) > 0
        print(f"{name}: user {os.stat(path).st_uid}, {marks}")
expected = {"machine.service": (True, True), "user@1000.service": (True, True), "user.service": (False, False), "user.scope": (False, False)}
sys.exit(0 if seen == expected else 1)
PYTHON
