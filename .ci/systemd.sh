#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The example agent under a real systemd, which is PID 1 of namespaces of its own: the unit of docs/running.md as it stands
# there, and the same without its hardening. Run by hand and not by CI, for it mounts, makes control groups and downloads.
#
#   .ci/systemd.sh
#
# It needs Debian's packages debootstrap and util-linux, a mount of cgroup2, and root. It prints a line for each check, and
# fails if one has failed. What this machine cannot play is skipped, and said.
#
#   SYSTEMD_WORK       where the root file system and builds are kept (default: /var/tmp/proxyprocess-systemd)
#   SYSTEMD_SUITE      the release of Debian in it (default: bookworm)
#   SYSTEMD_MIRROR     the archive of its packages (default: that of this machine)
#   PROXYPROCESS_AGENT the agent (default: it is built)
set -euo pipefail
cd "$(dirname "$0")/.."

work=${SYSTEMD_WORK:-/var/tmp/proxyprocess-systemd} suite=${SYSTEMD_SUITE:-bookworm}
mirror=${SYSTEMD_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)}
root=$work/$suite
cgroup2=$(awk '$0 ~ / - cgroup2 / {print $5; exit}' /proc/self/mountinfo)
[[ $cgroup2 ]] || { echo "$0: cgroup2 is not mounted" >&2; exit 2; }
group=$cgroup2/proxyprocess-systemd-$$
for tool in debootstrap unshare nsenter pivot_root; do
    command -v "$tool" >/dev/null || { echo "$0: $tool is missing" >&2; exit 2; }
done

mkdir -p "$work"
if [[ ! -e $root/usr/local/.complete ]]; then
    rm -rf "$root"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,procps "$suite" "$root" "$mirror" >&2
    chroot "$root" useradd --system my-agent
    touch "$root/usr/local/.complete"
fi
agent=${PROXYPROCESS_AGENT:-}
if [[ ! $agent ]]; then
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$work/target}
    cargo build --locked --quiet -p proxyprocess-agent --bin agent
    agent=$CARGO_TARGET_DIR/debug/agent
fi
install "$agent" "$root/usr/local/bin/my-agent"

init= failures=0
end() {
    [[ ! $init ]] || kill -KILL "$init" 2>/dev/null || true
    [[ ! -d $group ]] || for _ in {1..50}; do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.1
    done
}
trap end EXIT

# Becomes PID 1 of the namespaces.
cat >"$work/init" <<'INIT'
set -e
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root"/dev/{pts,shm}
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
touch "$root/dev/console"
cd "$root"
mkdir -p .old
pivot_root . .old
umount -l /.old
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=journal --show-status=false
INIT

inside() { nsenter -t "$init" -a env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

# Waits until a command succeeds.
until_ok() {
    for _ in {1..150}; do
        "$@" >/dev/null 2>&1 && return
        sleep 0.2
    done
    return 1
}

check() {
    local what=$1
    shift
    if until_ok "$@"; then
        echo "ok: $unit: $what"
    else
        echo "FAILED: $unit: $what"
        failures=$((failures + 1))
    fi
}

boot() {
    mkdir "$group"
    # ORDER: in its group before the namespace of groups is made, whose root that becomes.
    (
        echo "$BASHPID" >"$group/cgroup.procs"
        exec unshare --pid --fork --mount --uts --ipc --net --cgroup /bin/bash "$work/init" "$root"
    ) </dev/null >"$work/boot.log" 2>&1 &
    outer=$!
    is_systemd() {
        init=$(awk '{print $1}' "/proc/$outer/task/$outer/children")
        [[ $init && $(<"/proc/$init/comm") == systemd ]]
    }
    for _ in {1..50}; do is_systemd 2>/dev/null && break; sleep 0.2; done
    is_running() { [[ $(inside systemctl is-system-running 2>/dev/null) =~ ^(running|degraded)$ ]]; }
    check "systemd $(chroot "$root" systemctl --version | awk 'NR == 1 {print $2}') runs" is_running
}

pid_of() { inside my-agent status --json --data-dir /var/lib/my-agent "$1" | sed -nE 's/.*"id":"'"$1"'".*"pid":([0-9]+),"ready".*/\1/p'; }
main_pid() { inside systemctl show -P MainPID my-agent; }
runs() { [[ $(inside systemctl is-active my-agent) == active && $(pid_of "$1") ]]; }
is_same() { runs web && [[ $(pid_of web) == "$web" ]]; }
has_cgroup() { inside cat "/proc/$(pid_of "$1")/cgroup" | grep -q "/my-agent.service/proxyprocess-[^/]*/$1.proxy\$"; }
is_alive() { inside sh -c "kill -0 $web"; }
fails() { ! "$@"; }

# The configuration, with more proxies.
configure() {
    cat >"$root/etc/my-agent.json" <<JSON
{
  "data_dir": "/var/lib/my-agent", "allow_root": true, "on_exit": "$on_exit", "cgroup": "$cgroup",
  "proxies": {
    "web": { "command": ["/bin/sh", "-c", "trap 'echo SIGINT >/var/lib/my-agent/said; exit' INT; while :; do sleep 0.2; done"] },
    "says": { "command": ["/bin/sh", "-c", "echo '<4>a line of says'; exec sleep 1000"], "output": { "stdout": "journal" } }$*
  }
}
JSON
}

# What a unit has to do, from its start to the shutdown of the machine.
play() {
    unit=$1 on_exit=$2 cgroup=$3
    rm -rf "$root/var/lib/my-agent" "$root"/var/log/journal
    configure
    boot
    check "starts, and says when it runs" inside systemctl start my-agent
    check "its proxies run" runs web
    web=$(pid_of web)
    has_line() { [[ $(inside journalctl -q -t says -p 4 -o cat) == *"a line of says"* ]]; }
    check "output of a proxy is in the journal under its id, with its priority" has_line

    if [[ $cgroup == required ]]; then
        check "each proxy has a cgroup of its own in that of the unit" has_cgroup web
        in_tree() { inside systemctl status my-agent | grep -q 'web\.proxy$'; }
        check "which systemctl status shows" in_tree
    fi

    check "restart" inside systemctl restart my-agent
    check "the next agent has the same processes" is_same
    local main
    main=$(main_pid)
    inside sh -c "kill -KILL $main"
    is_another() { [[ $(main_pid) != "$main" && $(main_pid) != 0 ]]; }
    check "an agent that is killed is started again" is_another
    check "which has the same processes" is_same
    [[ $cgroup == off ]] || check "in its cgroup" has_cgroup web
    check "stop" inside systemctl stop my-agent
    check "proxies live without the agent" is_alive
    check "start" inside systemctl start my-agent
    check "the next agent has the same processes" is_same
    check "daemon-reexec" inside systemctl daemon-reexec
    check "changes nothing" is_same

    # Its child has left its group, and nothing tells whose it is.
    if [[ $cgroup == required ]]; then
        configure ', "leaves": { "command": ["/bin/sh", "-c", "setsid env -i /bin/sleep 4567 & exec sleep 1000"] }'
        inside systemctl reload my-agent
        is_there() { inside pgrep -f 'sleep 4567'; }
        check "a process leaves its group" is_there
        configure
        inside systemctl reload my-agent
        check "and is gone with its proxy" fails is_there
        is_removed() { fails inside sh -c 'ls -d /sys/fs/cgroup/system.slice/my-agent.service/proxyprocess-*/leaves.proxy'; }
        check "whose cgroup is removed" is_removed
    fi

    configure ', "more": { "command": ["/bin/sleep", "1000"] }'
    check "reload" inside systemctl reload my-agent
    check "starts what is new" runs more
    configure ', "more": {'
    check "reload of a bad file fails" fails inside systemctl reload my-agent
    check "and changes nothing" is_same
    configure

    if [[ " $(inside cat /sys/fs/cgroup/cgroup.controllers) " == *" memory "* ]]; then
        inside systemctl set-property --runtime my-agent MemoryMax=100M MemorySwapMax=0
        main=$(main_pid)
        configure ', "eats": { "command": ["/usr/bin/tail", "/dev/zero"] }'
        inside systemctl reload my-agent
        is_killed() { inside my-agent status --json --data-dir /var/lib/my-agent eats | grep -q '"last_exit":"signal SIGKILL"'; }
        check "a proxy that takes too much memory is killed" is_killed
        goes_on() { is_same && [[ $(main_pid) == "$main" ]]; }
        check "and the agent goes on" goes_on
    else
        echo "skipped: $unit: out of memory: the controller is not one of cgroup2 here"
    fi

    inside systemctl poweroff >/dev/null 2>&1 || true
    is_off() { ! kill -0 "$outer" 2>/dev/null; }
    check "shutdown" is_off
    has_said() { [[ $(<"$root/var/lib/my-agent/said") == SIGINT ]]; }
    check "sent the proxies their stop signal" has_said
    kill -KILL "$init" 2>/dev/null || true
    init=
    end
}

# The unit of the documentation, and the same for root, whose agent finds out by itself that the machine is shut down.
service=$root/etc/systemd/system/my-agent.service
sed -n '/^\[Unit\]$/,/^```$/p' docs/running.md | sed '$d' >"$service"
grep -q '^User=my-agent$' "$service"
play hardened leave off
sed -i -e '/^# Hardening/,/^$/d' -e '/^ExecStop=/d' "$service"
play root auto off
sed -i -e 's/^\[Service\]$/&\nDelegate=yes\nDelegateSubgroup=agent/' "$service"
play delegated auto required

((failures == 0)) || { echo "$failures failed" >&2; exit 1; }
