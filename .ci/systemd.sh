#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The example agent under a real systemd, which is PID 1 of namespaces of its own: the units of docs/running.md as they stand
# there, the first one also without its hardening, and the agent in scopes of a user. Run by hand and not by CI, for it mounts,
# makes control groups and downloads.
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
# The last two are what a user's own systemd needs.
packages=systemd,systemd-sysv,dbus,procps,libpam-systemd,dbus-user-session
if [[ $(cat "$root/usr/local/.complete" 2>/dev/null) != "$packages" ]]; then
    rm -rf "$root"
    debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror" >&2
    chroot "$root" useradd --system my-agent
    chroot "$root" useradd --create-home --uid 1000 --shell /bin/sh someone
    # Its systemd runs from boot on, without a login.
    mkdir -p "$root/var/lib/systemd/linger"
    touch "$root/var/lib/systemd/linger/someone"
    echo "$packages" >"$root/usr/local/.complete"
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

# As whom the agent runs, and by which systemd.
as_root() { inside "$@"; }
as_user() {
    nsenter -t "$init" -a setpriv --reuid=1000 --regid=1000 --init-groups \
        env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/home/someone XDG_RUNTIME_DIR=/run/user/1000 "$@"
}
as=as_root ctl=(systemctl) data=/var/lib/my-agent file=/etc/my-agent.json
control() { "$as" "${ctl[@]}" --no-pager "$@"; }
ask() { "$as" my-agent "$@" --data-dir "$data"; }

pid_of() { ask status --json "$1" | sed -nE 's/.*"id":"'"$1"'".*"pid":([0-9]+),"ready".*/\1/p'; }
main_pid() { control show -P MainPID my-agent; }
runs() { [[ $(control is-active my-agent) == active && $(pid_of "$1") ]]; }
is_same() { runs web && [[ $(pid_of web) == "$web" ]]; }
# is_in WHAT ID: whether the process of a proxy is in a cgroup of its own below that of a unit.
is_in() { inside cat "/proc/$(pid_of "$2")/cgroup" | grep -q "/$1/proxyprocess-[^/]*/$2.proxy\$"; }
has_cgroup() { is_in my-agent.service "$1"; }
is_alive() { inside sh -c "kill -0 $web"; }
fails() { ! "$@"; }

# The configuration, with more proxies.
configure() {
    cat >"$root$file" <<JSON
{
  "data_dir": "$data", "allow_root": true, "on_exit": "$on_exit", "cgroup": "$cgroup",
  "proxies": {
    "web": { "command": ["/bin/sh", "-c", "trap 'echo SIGINT >$data/said; exit' INT; while :; do sleep 0.2; done"] },
    "says": { "command": ["/bin/sh", "-c", "echo '<4>a line of says'; exec sleep 1000"], "output": { "stdout": "journal" } }$*
  }
}
JSON
}
# Its child has left its group, and nothing tells whose it is.
leaves=', "leaves": { "command": ["/bin/sh", "-c", "setsid env -i /bin/sleep 4567 & exec sleep 1000"] }'
is_there() { inside pgrep -f 'sleep 4567'; }

# What a unit has to do, from its start to the shutdown of the machine.
play() {
    unit=$1 on_exit=$2 cgroup=$3
    rm -rf "$root$data" "$root"/var/log/journal
    configure
    boot
    # The systemd of a user runs a moment later.
    check "starts, and says when it runs" control start my-agent
    check "its proxies run" runs web
    web=$(pid_of web)
    has_line() { [[ $(inside journalctl -q -t says -p 4 -o cat) == *"a line of says"* ]]; }
    check "output of a proxy is in the journal under its id, with its priority" has_line

    if [[ $cgroup != off ]]; then
        check "each proxy has a cgroup of its own in that of the unit" has_cgroup web
        in_tree() { control status my-agent | grep -q 'web\.proxy$'; }
        check "which systemctl status shows" in_tree
    fi

    check "restart" control restart my-agent
    check "the next agent has the same processes" is_same
    local main
    main=$(main_pid)
    inside sh -c "kill -KILL $main"
    is_another() { [[ $(main_pid) != "$main" && $(main_pid) != 0 ]]; }
    check "an agent that is killed is started again" is_another
    check "which has the same processes" is_same
    [[ $cgroup == off ]] || check "in its cgroup" has_cgroup web
    check "stop" control stop my-agent
    check "proxies live without the agent" is_alive
    check "start" control start my-agent
    check "the next agent has the same processes" is_same
    check "daemon-reexec" control daemon-reexec
    check "changes nothing" is_same

    if [[ $cgroup != off ]]; then
        configure "$leaves"
        control reload my-agent
        check "a process leaves its group" is_there
        configure
        control reload my-agent
        check "and is gone with its proxy" fails is_there
        is_removed() { [[ ! $(inside find /sys/fs/cgroup -name leaves.proxy) ]]; }
        check "whose cgroup is removed" is_removed
    fi

    configure ', "more": { "command": ["/bin/sleep", "1000"] }'
    check "reload" control reload my-agent
    check "starts what is new" runs more
    configure ', "more": {'
    check "reload of a bad file fails" fails control reload my-agent
    check "and changes nothing" is_same
    configure

    if [[ " $(inside cat /sys/fs/cgroup/cgroup.controllers) " == *" memory "* ]]; then
        control set-property --runtime my-agent MemoryMax=100M MemorySwapMax=0
        main=$(main_pid)
        configure ', "eats": { "command": ["/usr/bin/tail", "/dev/zero"] }'
        control reload my-agent
        is_killed() { ask status --json eats | grep -q '"last_exit":"signal SIGKILL"'; }
        check "a proxy that takes too much memory is killed" is_killed
        goes_on() { is_same && [[ $(main_pid) == "$main" ]]; }
        check "and the agent goes on" goes_on
    else
        echo "skipped: $unit: out of memory: the controller is not one of cgroup2 here"
    fi

    inside systemctl poweroff >/dev/null 2>&1 || true
    is_off() { ! kill -0 "$outer" 2>/dev/null; }
    check "shutdown" is_off
    has_said() { [[ $(<"$root$data/said") == SIGINT ]]; }
    check "sent the proxies their stop signal" has_said
    kill -KILL "$init" 2>/dev/null || true
    init=
    end
}

# An agent in a scope of a user, which each agent has anew.
play_scope() {
    unit=scope on_exit=leave cgroup=auto
    rm -rf "$root$data"
    configure "$leaves"
    boot
    begin() { (as_user systemd-run --user --scope --unit="$1" -p Delegate=yes my-agent run "$file" >"$work/$1.log" 2>&1 &); }
    check "the systemd of the user runs" control is-system-running
    begin first
    is_of() { is_in "$1.scope" "$2"; }
    check "each proxy has a cgroup of its own in that of the scope" is_of first web
    check "a process leaves its group" is_there
    web=$(pid_of web)
    inside pkill -KILL my-agent
    begin second
    is_adopted() { [[ $(pid_of web) == "$web" ]]; }
    check "the agent of the next scope has the same processes" is_adopted
    check "in the cgroup of the first" is_of first web
    ask restart web >/dev/null
    check "what it starts is in its own" is_of second web
    (control stop second.scope &)
    is_gone() { [[ ! $(inside pgrep my-agent) ]]; }
    check "stop of the scope ends the agent" is_gone
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

# The unit of a user, as it stands there, and without Delegate=, which its systemd does not mark.
as=as_user ctl=(systemctl --user) data=/home/someone/agent file=/home/someone/.config/my-agent.json
service=$root/home/someone/.config/systemd/user/my-agent.service
mkdir -p "$(dirname "$service")"
sed -n '/^# ~\/.config\/systemd\/user\/my-agent.service$/,/^```$/p' docs/running.md | sed '$d' >"$service"
grep -q '^WantedBy=default.target$' "$service"
chroot "$root" chown -R someone: /home/someone
play user leave auto
sed -i '/^Delegate/d' "$service"
play "user, not delegated" leave auto
play_scope

((failures == 0)) || { echo "$failures failed" >&2; exit 1; }
