#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The example agent in real containers of podman, as PID 1 and below an init: what docs/running.md says of containers. Run by
# hand and not by CI, for it makes mounts, namespaces and, where it may, control groups.
#
#   .ci/podman.sh
#
# It needs Debian's packages podman, crun or runc, catatonit and busybox-static, and root; no registry is asked. It prints a line for
# each check, and fails if one has failed. What this machine cannot play is skipped, and said.
#
#   PODMAN_WORK        where images, containers and builds are kept (default: /var/tmp/proxyprocess-podman)
#   PODMAN_OPTIONS     more options of podman
#   PODMAN_USER        who runs containers without root (default: the first user with a number above 999)
#   PROXYPROCESS_AGENT the agent (default: a release build)
set -euo pipefail
cd "$(dirname "$0")/.."

work=${PODMAN_WORK:-/var/tmp/proxyprocess-podman}
for tool in podman catatonit busybox; do
    command -v "$tool" >/dev/null || [[ -x /usr/libexec/podman/$tool ]] || { echo "$0: $tool is missing" >&2; exit 2; }
done
mkdir -p "$work"
agent=${PROXYPROCESS_AGENT:+$(realpath "$PROXYPROCESS_AGENT")}
if [[ ! $agent ]]; then
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$work/target}
    cargo build --locked --quiet --release -p proxyprocess-agent --bin agent
    agent=$CARGO_TARGET_DIR/release/agent
fi

# Its own images, containers and volumes; conmon and the containers go with it.
state=$(mktemp -d "$work/state.XXXXXX") runtime=crun
chmod 711 "$state"
# Who runs podman: where that has its files, and by which command, if it is not as root and here.
place=$state enter=()
pod() {
    # conmon writes a file where it is started when memory is over.
    "${enter[@]}" env --chdir="$place" DISABLE_HC_SYSTEMD=true podman --root "$place/root" --runroot "$place/run" --tmpdir "$place/tmp" \
        --storage-driver vfs --cgroup-manager cgroupfs --runtime "$runtime" --events-backend file ${PODMAN_OPTIONS:-} "$@"
}
# Ends what runs in the place where podman was used last. Without root it leaves a process that keeps its namespaces.
leave() {
    pod rm --all --force --time 0 >/dev/null 2>&1 || true
    pod system migrate >/dev/null 2>&1 || true
}
holder= group=
end() {
    leave
    place=$state enter=()
    leave
    [[ ! $holder ]] || kill "$holder" 2>/dev/null || true
    [[ ! $group ]] || find "$group" -depth -type d -exec rmdir {} + || true
    rm -rf "$state" || true
}
trap end EXIT

failures=0 unit=
ok() { echo "ok: $unit: $1"; }
failed() {
    echo "FAILED: $unit: $*"
    failures=$((failures + 1))
}
skipped() { echo "skipped: $unit: $1"; }
# Waits until a command succeeds.
until_ok() {
    for _ in {1..150}; do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    return 1
}
check() {
    local what=$1
    shift
    if until_ok "$@"; then ok "$what"; else failed "$what"; fi
}
# Looks once.
check_now() {
    local what=$1
    shift
    if "$@"; then ok "$what"; else failed "$what"; fi
}
fails() { ! "$@"; }

# The agent, what it is linked with, and a shell.
image=$state/image
mkdir -p "$image"/{bin,etc,data,tmp,proc,dev,sys,run,usr/local/bin}
chmod 1777 "$image"/{data,tmp}
install "$agent" "$image/usr/local/bin/my-agent"
while read -r library; do
    mkdir -p "$image${library%/*}"
    cp -L "$library" "$image$library"
done < <(ldd "$agent" | grep -o '/[^ ]*')
install "$(command -v busybox)" "$image/bin/busybox"
for applet in sh sleep kill cat ps setsid true tail grep ls rm; do ln -s busybox "$image/bin/$applet"; done
printf 'root:x:0:0::/:/bin/sh\nmy-agent:x:1000:1000::/:/bin/sh\n' >"$image/etc/passwd"
printf 'root:x:0:\nmy-agent:x:1000:\n' >"$image/etc/group"

# A proxy that says by which signal it was asked to end.
read -r -d '' web <<'SH' || true
trap 'echo SIGINT >>/data/said; exit' INT; echo line of web; while :; do sleep 0.1; done
SH
# Processes of two forks: a hundred that end at once, and one that lives and has left session and environment.
read -r -d '' orphans <<'SH' || true
i=0; while [ $i -lt 100 ]; do (sleep 0.3 &); i=$((i + 1)); done; exec sleep 100000
SH
configure() {
    local file=$state/etc/agent.json
    mkdir -p "$state/etc"
    cat >"$file" <<JSON
{
  "data_dir": "/data/agent", "allow_root": true, "on_exit": "$1",
  "proxies": {
    "web": { "command": ["/bin/sh", "-c", "$web"], "output": { "stdout": "inherit" } }${2:+, $2}
  }
}
JSON
    chmod -R a+rX "$state/etc"
}

# Options of a container: with or without an init.
init=()
# run NAME OPTION...: the agent in a container, whose data directory is in the volume of that name.
run() {
    local name=$1
    shift
    pod run --detach --name "$name" --network none "${init[@]}" "${limits[@]}" "${groups[@]}" --volume "$state/etc:/etc/agent:ro" \
        --volume "$name:/data" "$@" my-agent /usr/local/bin/my-agent run /etc/agent/agent.json >/dev/null
}
inside() { pod exec "$@"; }
status() { inside "$1" my-agent status --json --data-dir /data/agent "${2:-web}"; }
pid_of() { status "$@" | sed -nE 's/.*"pid":([0-9]+),.*/\1/p'; }
field() { status "$1" | grep -o "\"$2\":[^,]*" | head -n 1; }
runs() { [[ $(field "$1" state) == '"state":"running"' ]]; }
has_ended() { [[ $(pod inspect --format '{{.State.Status}}' "$1") == exited ]]; }
code_of() { pod inspect --format '{{.State.ExitCode}}' "$1"; }
logs() { pod logs "$1" 2>&1; }
log_has() { logs "$1" | grep -qF -- "$2"; }
count_in_log() { logs "$1" | grep -cF -- "$2" || true; }
processes() { inside "$1" ps -o pid,stat,args; }
said() { cat "$(pod volume inspect --format '{{.Mountpoint}}' "$1")/said" 2>/dev/null || true; }
remove() {
    pod rm --force --time 0 "$1" >/dev/null
    pod volume rm --force "$1" >/dev/null 2>&1 || true
}
seconds_of() {
    local begun=$EPOCHREALTIME
    "$@" >/dev/null 2>&1
    awk -v a="$begun" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.1f", b - a}'
}

configure stop
unit=podman
import() {
    tar --owner=0 --group=0 -C "$image" -c . | pod import - my-agent >/dev/null 2>"$state/import.log" || { cat "$state/import.log" >&2; return 2; }
}
import
# Limits that may be set in a sandbox too. The runtimes differ in which control groups they can use.
limits=(--ulimit nofile=1024:4096 --ulimit nproc=4096:4096)
works() { pod run --rm --network none "${limits[@]}" "${groups[@]}" my-agent /bin/true 2>"$state/run.log"; }
find_runtime() {
    local without
    for without in "" disabled; do
        groups=(${without:+--cgroups "$without"})
        for runtime in crun runc; do
            command -v "$runtime" >/dev/null && works && return
            sed "s/^/$runtime${without:+ without control groups}: /" "$state/run.log" >&2
        done
    done
    return 1
}
find_runtime || exit 2
ok "$(podman --version), $("$runtime" --version | head -n 1)${groups[*]:+, without control groups}"

# What `podman stop` does, by what "on_exit" says.
stops() {
    local name=stops on_exit=$1
    configure "$on_exit"
    run "$name"
    check "\"$on_exit\": web runs" runs "$name"
    local took
    took=$(seconds_of pod stop --time 20 "$name")
    check "\"$on_exit\": podman stop ends the container ($took s)" has_ended "$name"
    check_now "\"$on_exit\": with exit code 0" test "$(code_of "$name")" = 0
    if [[ $on_exit == leave ]]; then
        check_now "\"$on_exit\": web is killed without its stop signal" test "$(said "$name")" = ""
    else
        check_now "\"$on_exit\": web has had its stop signal" test "$(said "$name")" = SIGINT
    fi
    pod start "$name" >/dev/null
    check "\"$on_exit\": web runs in the container that is started again" runs "$name"
    starts_anew "$name" "\"$on_exit\"" 2
    remove "$name"
}

# A process of the container's life before is neither adopted, nor taken for a living one.
starts_anew() {
    check_now "$2: as a new process (pid $(pid_of "$1")), and nothing is adopted" test "$(field "$1" adopted)" = '"adopted":false'
    check_now "$2: started so often: $3" test "$(count_in_log "$1" "proxy web: started, pid")" = "$3"
    # Between fork and exec a child of it looks the same.
    is_one() { [[ $(processes "$1" | grep -c 'line of web') == 1 ]]; }
    check "$2: one of it" is_one "$1"
    check_now "$2: nothing is unproven, no error" test "$(field "$1" unproven) $(field "$1" last_error)" = '"unproven":[] "last_error":null'
}

kills() {
    local name=kills pid before
    configure auto
    run "$name"
    check "web runs" runs "$name"
    before=$(pid_of "$name")
    pid=$(inside "$name" cat /data/agent/lock)
    if ! ((${#init[@]})); then
        inside "$name" kill -KILL 1 || true
        check_now "SIGKILL from inside does nothing to PID 1" runs "$name"
    fi
    inside "$name" kill -KILL "$pid" || true
    check "SIGKILL of the agent (pid $pid) ends the container" has_ended "$name"
    check_now "with exit code 137" test "$(code_of "$name")" = 137
    check_now "web has had no stop signal" test "$(said "$name")" = ""
    pod start "$name" >/dev/null
    check "web runs in the container that is started again" runs "$name"
    starts_anew "$name" "after SIGKILL (it was $before)" 2
    pod stop --time 20 "$name" >/dev/null
    check_now "and is stopped as usual" test "$(said "$name")" = SIGINT
    remove "$name"
}

orphans() {
    local name=orphans
    configure auto "\"forks\": { \"command\": [\"/bin/sh\", \"-c\", \"$orphans\"] }, \"flees\": { \"command\": [\"/bin/sh\", \"-c\", \"(setsid sleep 100001 &); exec sleep 100000\"] }"
    run "$name"
    check "web runs" runs "$name"
    no_short() { [[ $(processes "$name" | grep -c 'sleep 0.3') == 0 ]]; }
    check "a hundred orphans have ended" no_short
    no_zombie() { [[ $(processes "$name" | awk '$2 ~ /^Z/' | wc -l) == 0 ]]; }
    check "none is left as a zombie" no_zombie
    check_now "the agent answers, web runs" runs "$name"
    has_fled() { processes "$name" | grep -q 'sleep 100001'; }
    check "a process has left the session of its proxy" has_fled
    inside "$name" my-agent stop flees --data-dir /data/agent >/dev/null
    is_gone() { ! processes "$name" | awk '$2 !~ /^Z/' | grep -q 'sleep 100001'; }
    check "and is ended with it by agent stop" is_gone
    local took
    took=$(seconds_of pod stop --time 20 "$name")
    check_now "the container stops in time ($took s)" test "$(code_of "$name")" = 0
    remove "$name"
}

for with in "" --init; do
    init=(${with:+"$with"})
    unit=${with:-no init}
    for on_exit in stop auto leave; do stops "$on_exit"; done
    kills
    orphans
done
init=(--init)

unit="stop timeout"
configure stop '"stubborn": { "command": ["/bin/sh", "-c", "trap : INT; while :; do sleep 0.1; done"], "grace_period_ms": 4000 }'
run patience
check "a stubborn proxy runs" runs patience stubborn
pod stop --time 1 patience >/dev/null 2>&1
check_now "shorter than a grace period: the container is killed (137)" test "$(code_of patience)" = 137
pod start patience >/dev/null
check "and starts again" runs patience
starts_anew patience "after it" 2
pod stop --time 20 patience >/dev/null
check_now "longer: the stubborn one is killed by the agent, which ends with 0" test "$(code_of patience)" = 0
remove patience

unit="two containers"
configure auto
run first
check "the first runs web" runs first
if pod run --rm --network none "${limits[@]}" "${groups[@]}" --volume "$state/etc:/etc/agent:ro" --volume first:/data my-agent \
    /usr/local/bin/my-agent run /etc/agent/agent.json >"$state/second.log" 2>&1; then
    failed "the second runs with the same data directory"
else
    check_now "the second with the same data directory is refused" grep -q "in use by a process that cannot be seen from here" "$state/second.log"
fi
check_now "the first goes on" runs first
remove first

unit="read-only"
configure auto
run readonly --read-only --read-only-tmpfs=false
check "web runs, of a root file system that cannot be written" runs readonly
check_now "which it is" fails inside readonly /bin/sh -c 'echo >/etc/x' 2>/dev/null
check_now "commands of the agent work" inside readonly my-agent restart web --data-dir /data/agent
pod stop --time 20 readonly >/dev/null
check_now "it stops" test "$(code_of readonly)" = 0
remove readonly

unit="user 1000"
configure auto
sed -i 's/ "allow_root": true,//' "$state/etc/agent.json"
run user --user 1000:1000 --cap-drop all --security-opt no-new-privileges
check "web runs, without any capability" runs user
check_now "as that user" test "$(inside user /bin/sh -c "cat /proc/$(pid_of user)/status" | awk '/^Uid:/ {print $2}')" = 1000
has_no_warning() { [[ $(inside user my-agent check /etc/agent/agent.json 2>&1) == *"no error" ]]; }
check_now "without a warning about root" has_no_warning
pod stop --time 20 user >/dev/null
check_now "it stops" test "$(code_of user) $(said user)" = "0 SIGINT"
remove user

unit="pids limit"
if ((${#groups[@]})); then
    skipped "no control groups for containers here"
else
    many=$(for i in {1..40}; do echo "\"z$i\": { \"command\": [\"/bin/sleep\", \"100000\"] }"; done | paste -sd,)
    configure auto "$many"
    if run pids --pids-limit 40 2>"$state/run.log"; then
        # An exec needs processes of the container too: the agent is asked from here, by its socket in the volume.
        socket_of() { "$agent" status --data-dir "$(pod volume inspect --format '{{.Mountpoint}}' pids)/agent" "$@"; }
        is_said() { socket_of | grep -q "Resource temporarily unavailable"; }
        check "proxies beyond the limit say why they wait" is_said
        web_runs() { socket_of web | grep -q "running"; }
        check "and web runs" web_runs
        pod stop --time 20 pids >/dev/null
        check_now "and stops" test "$(code_of pids)" = 0
    else
        skipped "$(tail -n 1 "$state/run.log")"
    fi
    remove pids
fi

unit=memory
if ((${#groups[@]})); then
    skipped "no control groups for containers here"
else
    configure auto '"eats": { "command": ["/bin/tail", "/dev/zero"] }'
    if run memory --memory 64m 2>"$state/run.log"; then
        is_killed() { status memory eats | grep -q '"last_exit":"signal SIGKILL"'; }
        check "a proxy that takes too much memory is killed" is_killed
        check_now "and the agent and web go on" runs memory
    else
        skipped "$(tail -n 1 "$state/run.log")"
    fi
    remove memory
fi

unit=cgroups
hierarchy=$(findmnt --noheadings --output TARGET --types cgroup2 | head -n 1)
if [[ ! $hierarchy ]]; then
    skipped "no cgroup v2 on this machine"
else
    # contains OPTION...: a container with these has a cgroup for each proxy.
    contains() {
        local flees='(env -i /bin/busybox setsid /bin/busybox sleep 100002 &); exec sleep 100000' tag
        configure auto "\"flees\": { \"command\": [\"/bin/sh\", \"-c\", \"$flees\"] }"
        run contained "$@"
        check "web runs" runs contained
        check_now "in a cgroup of its own: $(field contained cgroup)" grep -q '^"cgroup":"/sys/fs/cgroup/.*/web.proxy"$' <<<"$(field contained cgroup)"
        lives() { processes contained | awk '$2 !~ /^Z/' | grep -q 'sleep 100002'; }
        check "a process has left the session of its proxy, with a cleared environment" lives
        inside contained my-agent stop flees --data-dir /data/agent >/dev/null
        check_now "and is ended with it by agent stop" fails lives
        tag=$(field contained cgroup | sed -E 's|.*/(proxyprocess-[^/]*)/web.proxy".*|\1|')
        pod stop --time 20 contained >/dev/null
        check_now "it stops" test "$(code_of contained)" = 0
        check_now "and leaves no cgroup ($tag)" test "$(find "$hierarchy" -name "$tag")" = ""
        remove contained
    }
    contains --cgroupns host --volume "$hierarchy:/sys/fs/cgroup:rw"

    # Podman takes a machine where a part of the hierarchies is of version 1 for one of that: it finds the other alone here.
    unshare --mount sh -c 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec sleep infinity' &
    holder=$!
    until_ok nsenter --mount --target "$holder" test -e /sys/fs/cgroup/cgroup.controllers
    group=$hierarchy/proxyprocess-podman-$$
    mkdir -p "$group/outer"
    # in_version_2 PLACE COMMAND...: podman is run there, by this command.
    in_version_2() {
        # Not longer: podman has a limit.
        place=$1
        mkdir -p "$place"
        enter=(nsenter --mount --target "$holder" sh -c 'echo 0 >"$0/cgroup.procs" && exec "$@"' "/sys/fs/cgroup/${group##*/}/outer" "${@:2}")
        import
    }
    unit="cgroups of version 2"
    in_version_2 "$state/v2"
    # Where no controller is of version 2, none can limit the processes.
    groups_before=("${groups[@]}") runtime_before=$runtime groups=(--pids-limit 0)
    for runtime in crun runc; do if works; then break; fi; done
    if works; then
        contains --security-opt unmask=/sys/fs/cgroup
    else
        skipped "$(tail -n 1 "$state/run.log")"
    fi
    leave

    unit=rootless
    user=${PODMAN_USER:-$(awk -F: '$3 >= 1000 && $3 < 60000 {print $1; exit}' /etc/passwd)}
    if [[ ! $user ]]; then
        skipped "no user but root"
    else
        home=$state/me
        mkdir -p "$home/runtime"
        # As systemd delegates it.
        chown -R "$user" "$home" "$group" 2>/dev/null
        in_version_2 "$home" setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups \
            env -i PATH="$PATH" HOME="$home" XDG_RUNTIME_DIR="$home/runtime"
        groups=()
        for runtime in crun runc; do if works; then break; fi; done
        if works; then
            check_now "podman has no root" test "$(pod info --format '{{.Host.Security.Rootless}}')" = true
            contains --security-opt unmask=/sys/fs/cgroup
            configure auto
            run plain
            check "web runs where /sys/fs/cgroup is read-only" runs plain
            check_now "in the cgroup of the agent" test "$(field plain cgroup)" = '"cgroup":null'
            check "and the log says why" log_has plain "cgroup: auto: proxies have none of their own"
            pod stop --time 20 plain >/dev/null
            check_now "it stops" test "$(code_of plain) $(said plain)" = "0 SIGINT"
            remove plain
        else
            skipped "$(tail -n 1 "$state/run.log")"
        fi
        # Podman moves itself into another cgroup for that, also into those of version 1.
        if grep -q '^[1-9]' /proc/self/cgroup; then
            skipped "--cgroups=split: a part of the hierarchies of this machine is of version 1"
        else
            contains --cgroups=split --security-opt unmask=/sys/fs/cgroup
        fi
        leave
    fi
    place=$state enter=() groups=("${groups_before[@]}") runtime=$runtime_before
fi

unit=logs
configure auto
run output
check "web runs" runs output
check "its output is in podman logs" log_has output "line of web"
check_now "and so is the agent's own log" log_has output "proxy web: started, pid"
remove output

unit=healthcheck
configure auto '"later": { "command": ["/bin/sh", "-c", "while [ ! -e /data/go ]; do sleep 0.1; done; echo >&3; exec sleep 100000"], "ready": { "fd": 3 } }'
run health --health-cmd 'my-agent wait later ready --timeout 1s --data-dir /data/agent'
check "web runs" runs health
is_healthy() { pod healthcheck run health >/dev/null; }
check_now "unhealthy as long as a proxy is not ready" fails is_healthy
inside health /bin/sh -c 'echo >/data/go'
check "healthy when it is" is_healthy
remove health

((failures == 0)) || { echo "$failures failed" >&2; exit 1; }
