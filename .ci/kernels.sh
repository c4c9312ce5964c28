#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The test programs under real kernels: Debian's cloud kernels, in qemu without KVM. Run by hand and not by CI, for it takes
# hours: the fallbacks for older kernels are otherwise tried by system call filters alone, on the kernel of the machine.
#
#   .ci/kernels.sh [SUITE...]        all of: bullseye (5.10), bookworm (6.1), trixie (6.12), trixie-backports (7.x)
#
# It needs Debian's packages qemu-system-x86 (or any qemu-system-x86_64), debootstrap and cpio, and root for debootstrap. For arm64
# also qemu-system-arm, gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, and Rust's target aarch64-unknown-linux-gnu.
# It prints a line for each kernel and folder of tests, and fails if a test failed that is not in the list below.
# A guest has no disk and no network; it ends by itself, or after KERNELS_LIMIT.
#
#   KERNELS_WORK    where downloads, the root file system, builds and logs are kept (default: /var/tmp/proxyprocess-kernels)
#   KERNELS_ARCH    the architecture of the guest, as Debian calls it: amd64 (the default) or arm64
#   KERNELS_TESTS   folders of tests, `unit` for the unit tests; with a filter after a colon (default: see below)
#   KERNELS_USER    the user id to run them as (default: 0)
#   KERNELS_LIMIT   seconds a guest may take (default: 7200)
#   KERNELS_MEMORY  its memory in MiB (default: 3000)
#   KERNELS_JOBS    tests at a time (default: 2)
#   KERNELS_MIRROR  the archive of Debian's packages (default: that of this machine)
set -euo pipefail
cd "$(dirname "$0")/.."

suites=("$@")
((${#suites[@]})) || suites=(bullseye bookworm trixie trixie-backports)
work=${KERNELS_WORK:-/var/tmp/proxyprocess-kernels}
read -ra tests <<<"${KERNELS_TESTS:-unit agent library stops strangers hosts directory cgroups}"
user=${KERNELS_USER:-0} limit=${KERNELS_LIMIT:-7200} memory=${KERNELS_MEMORY:-3000} jobs=${KERNELS_JOBS:-2}
arch=${KERNELS_ARCH:-amd64} triple=
case $arch in
    # With la57 some kernels are slower still. The second line is the log.
    amd64) qemu=(qemu-system-x86_64 -cpu max,la57=off) tools= line=ttyS1 console=ttyS0 ;;
    arm64)
        qemu=(qemu-system-aarch64 -machine virt -cpu cortex-a76) tools=aarch64-linux-gnu- line=ttyAMA0 console=ttyAMA0
        work=$work/$arch triple=aarch64-unknown-linux-gnu
        export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=${tools}gcc
        ;;
    *) echo "$0: KERNELS_ARCH is neither amd64 nor arm64" >&2; exit 2 ;;
esac
# Where this machine has its own packages from.
mirror=${KERNELS_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)}
[[ $mirror ]] || { echo "$0: apt has no archive of Debian's packages: set KERNELS_MIRROR" >&2; exit 2; }

# Tests whose failure means nothing in an emulator, which is ten times slower than a machine and more, by their names in the
# output. Run one by itself before it is added.
declare -A excused=(
    [strangers::same_tick::pid_recycled_within_the_tick_is_refused]="has to be faster than a clock tick of 10 ms"
    [strangers::same_tick::without_inodes_process_that_leads_no_group_is_refused_also_within_the_tick]="has to be faster than a clock tick of 10 ms"
    [stops::bombs::a_group_that_forks_as_fast_as_it_can_is_gone_when_the_stop_is_done]="races with processes that fork as fast as they can"
    [stops::bombs::sessions_that_each_start_the_next_and_end_are_gone_or_named_when_the_stop_is_done]="races with processes that fork as fast as they can"
    [stops::bombs::sessions_that_fork_as_fast_as_they_can_are_gone_or_named_when_the_stop_is_done]="races with processes that fork as fast as they can"
    [stops::many::two_hundred_stubborn_ones_with_a_second_of_grace_are_gone_within_two]="allows two seconds for 200 processes"
    [stops::escaped::a_stop_ends_what_left_for_another_session]="allows two and a half seconds for a stop"
    [stops::escaped::a_stop_ends_what_left_an_adopted_leader_for_another_session]="allows two and a half seconds for a stop"
    [stops::escaped::a_command_that_puts_itself_into_the_background_never_has_two_of_itself]="a process has to report before the agent ends it for the next start"
    [stops::zombies::stop_does_not_wait_for_reap]="allows a second for a stop"
    [stops::crashed::leftovers_found_by_the_next_agent_with_a_leftover_grace_get_the_stop_signal_first]="allows a few seconds from the start of an agent to that of a proxy"
    [directory::copied::of_many_copies_started_at_once_one_has_the_process]="before Linux 6.9 nothing tells agents on copies apart"
    [directory::copied::processes_of_an_agent_that_is_gone_are_of_the_first_agent_that_comes]="before Linux 6.9 nothing tells agents on copies apart"
    [library::restart::agent_killed_during_restarts_leaves_at_most_one_process_to_the_next]="a process has to report before the agent restarts it"
    [stops::groups::leaders_that_leave_at_once_do_not_end_the_stop_of_their_groups]="allows two and a half seconds for a stop"
    [hosts::kernels::every_kernel_and_sandbox_means_the_same]="runs eleven agents at once, whose proxies have 100 ms to report a signal"
    [hosts::detached::detached_processes_mean_the_same_on_every_kernel_and_in_every_sandbox]="runs eleven agents at once, each of which has five seconds after SIGKILL to list all processes"
    [library::overlap::next_generation_that_is_not_ready_in_time_leaves_the_current_one_serving]="a process has to report within its start timeout of half a second"
    [agent::stop::stubborn_ones_are_killed_together_when_the_grace_period_ends]="32 processes have half a second to report a signal"
    [agent::settings::a_declared_oom_score_is_set_and_what_the_kernel_forbids_is_told]="allows a start ten seconds; passes by itself"
    [stops::steps::what_left_the_group_gets_the_signals_from_the_step_on_in_which_it_is_found]="a process has to be found within the second step; passes by itself"
    [hosts::detached::host_that_waits_for_any_child_sees_none_of_detached_processes]="allows five seconds after SIGKILL for a look at all processes; passes by itself"
    [hosts::dumpable::a_host_that_runs_proxies_as_another_user]="allows five seconds after SIGKILL for a look at all processes; passes by itself"
    [hosts::null::host_without_dev_null_runs_proxies_that_have_logs_and_names_it_for_others]="allows five seconds after SIGKILL for a look at all processes; passes by itself"
    [hosts::signals::a_host_that_ignores_all_signals]="a process that always ends must not come to its fifth start, two seconds after the fourth; passes by itself"
    [hosts::proc::host_whose_proc_has_nothing_but_processes]="a process that always ends must not come to its fifth start, two seconds after the fourth; passes by itself"
    [hosts::signals::a_host_that_blocks_all_signals]="a process that always ends must not come to its fifth start, two seconds after the fourth; passes by itself"
    [library::handover_turns::of_two_hundred_changed_at_once_no_more_than_the_limit_prepare_and_all_are_replaced_in_order]="looks while processes start; passes by itself"
    [library::overlap_faults::next_generation_that_ends_at_once_is_not_ready_by_a_probe_that_the_current_one_answers]="a program has to end within the second before it is probed"
    [stops::hung::status_is_answered_while_a_look_at_the_data_directory_hangs]="removes a directory in which the agent writes; passes by itself"
    [stops::steps::each_step_signals_an_adopted_group_once_on_every_kernel]="a process has to report a signal within a step; passes by itself"
    [hosts::proc::a_host_whose_proc_hides_other_users]="a process that always ends must not come to its fifth start, two seconds after the fourth"
    [stops::traced::traced_process_that_crashes_is_replaced_and_reaped_when_the_debugger_ends]="allows the agent a tenth of the processor"
    [stops::traced::adopted_traced_process_that_crashes_is_replaced]="allows the agent a tenth of the processor"
    [stops::traced::stop_of_traced_processes_is_answered_while_the_debugger_holds_their_zombies]="allows five seconds after SIGKILL for two looks at all processes"
    [cgroups::limits::end_for_want_of_memory_is_told_from_another_sigkill]="a process that was killed must not be started again within its first wait; passes by itself"
    [hosts::proc::crash_before_linux_6_9_is_followed_by_a_restart_without_a_list_of_processes]="a child needs /proc for its descriptors before Linux 5.11, and this test has none"
)

for tool in "${qemu[0]}" debootstrap cpio dpkg-deb apt-get "${tools}strip"; do
    command -v "$tool" >/dev/null || { echo "$0: $tool is missing" >&2; exit 2; }
done
mkdir -p "$work"/{kernels,logs,image}

# The kernel image of a suite, downloaded once. Its package is the one that linux-image-cloud-* depends on; since Linux 7
# that is empty and depends on linux-binary-*.
kernel_of() {
    local suite=$1 dir=$work/kernels/$1 image=$work/kernels/$1/vmlinuz
    [[ -e $image ]] && return
    rm -rf "$dir"
    mkdir -p "$dir"/{lists/partial,archives/partial,package}
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$dir/sources.list"
    touch "$dir/status"
    local apt=(-q -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State="$dir"
        -o Dir::State::status="$dir/status" -o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir"
        -o Dir::Cache::Archives="$dir/archives" -o APT::Architecture="$arch" -o APT::Sandbox::User=root)
    apt-get "${apt[@]}" update >&2
    local package
    package=$(apt-cache "${apt[@]}" depends "linux-image-cloud-$arch" |
        sed -nE 's/.*Depends: (linux-image-[0-9].*-cloud-'$arch')$/\1/p' | head -n 1)
    [[ $package ]] || { echo "$0: no kernel in $suite" >&2; exit 2; }
    local binary=linux-binary-${package#linux-image-}
    if apt-cache "${apt[@]}" show "$binary" >/dev/null 2>&1; then package=$binary; fi
    (cd "$dir/package" && apt-get "${apt[@]}" download "$package" >&2)
    dpkg-deb -x "$dir"/package/*.deb "$dir/package/unpacked"
    local found
    found=$(find "$dir/package/unpacked" -name 'vmlinuz*' -type f -size +1M | head -n 1)
    [[ $found ]] || { echo "$0: no kernel image in $package" >&2; exit 2; }
    mv "$found" "$image"
    rm -rf "$dir"/{lists,archives,package,pkgcache.bin,srcpkgcache.bin}
}

# Packs what find(1) names below a directory, for the kernel to unpack into its first file system.
pack() { (cd "$1" && find . -xdev "${@:3}" -print0 | cpio --null --quiet -o -H newc >"$work/image/$2.cpio"); }

if [[ ! -e $work/image/root.cpio ]]; then
    rm -rf "$work/root"
    # Packages of another architecture are unpacked alone: their scripts cannot be run here.
    debootstrap --arch="$arch" ${triple:+--foreign} --variant=minbase --include=iproute2 bookworm "$work/root" "$mirror" >&2
    if [[ $triple ]]; then
        for package in "$work"/root/var/cache/apt/archives/*.deb; do dpkg-deb --fsys-tarfile "$package" | tar -C "$work/root" -x --keep-directory-symlink; done
        cp "$work/root/usr/share/base-passwd/passwd.master" "$work/root/etc/passwd"
        cp "$work/root/usr/share/base-passwd/group.master" "$work/root/etc/group"
        ln -sf mawk "$work/root/usr/bin/awk"
    fi
    without=()
    for path in proc sys dev run tmp boot var home root usr/share/doc usr/share/locale usr/share/man usr/share/info; do
        without+=(-path "./$path" -prune -o)
    done
    pack "$work/root" root.new "${without[@]}"
    mv "$work/image/root.new.cpio" "$work/image/root.cpio"
    rm -rf "$work/root"
fi

# The test programs, with more patience; in the guest they are where they were built, for they look for each other there.
export CARGO_TARGET_DIR=$work/target PROXYPROCESS_WATCHDOG=240
built_in=$work/target${triple:+/$triple}
cargo build --locked --quiet ${triple:+--target "$triple"} --bin agent --example test-helper
cargo build --locked --quiet ${triple:+--target "$triple"} -p proxyprocess-agent --bin agent --features fail-points \
    --target-dir "$work/target/fail-points"
wanted=()
for test in "${tests[@]}"; do
    if [[ ${test%%:*} == unit ]]; then target=(--lib); else target=(--test integration); fi
    # Not twice, which Cargo refuses.
    [[ " ${wanted[*]} " == *" ${target[*]} "* ]] || wanted+=("${target[@]}")
done
cargo test --locked --no-run ${triple:+--target "$triple"} "${wanted[@]}" 2>&1 | tee "$work/logs/build.log" >&2
mapfile -t built < <(sed -n 's/^ *Executable .*(\(.*\))$/\1/p' "$work/logs/build.log")
rm -rf "$work/image/programs" "$work/image/init"
mkdir -p "$work"/image/{programs,init/{proc,sys,dev,run,root,tmp,scratch,home/tests}}
# add FILE [PATH]: a program, with the path that it has in the guest.
add() {
    local to=$work/image/programs/${2:-$1}
    mkdir -p "$(dirname "$to")"
    "${tools}strip" --strip-debug -o "$to" "$1"
}
add "$built_in/debug/agent"
# In the folder where the tests look for it.
add "$work/target/fail-points/${triple:+$triple/}debug/agent" "$built_in/fail-points/debug/agent"
add "$built_in/debug/examples/test-helper"
commands=$work/image/init/tests
for test in "${tests[@]}"; do
    name=${test%%:*} filter=
    [[ $test == *:* ]] && filter=${test#*:}
    if [[ $name == unit ]]; then target=proxyprocess; else target=integration filter=$name::$filter; fi
    program=
    for candidate in "${built[@]}"; do
        [[ $candidate == */deps/"$target"-* ]] && program=$candidate
    done
    [[ $program ]] || { echo "$0: no test program $name" >&2; exit 2; }
    [[ -e $work/image/programs/$program ]] || add "$program"
    printf 'play %q %q --test-threads=%q %q\n' "$test" "$program" "$jobs" "$filter" >>"$commands"
done
chmod -R a+rX "$work/image/programs"
pack "$work/image/programs" programs

cat >"$work/image/init/init" <<'INIT'
#!/bin/bash
# The first process of the guest. /proc/sysrq-trigger ends it, without a shutdown.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/home/tests TMPDIR=/scratch LANG=C.UTF-8 TERM=dumb
mount -t proc proc /proc
mount -t sysfs sys /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
for at in /dev/shm /scratch; do mount -t tmpfs -o mode=1777 tmp "$at"; done
mount -t tmpfs run /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for controller in pids memory; do echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control; done 2>/dev/null
[[ -e /dev/fd ]] || ln -s /proc/self/fd /dev/fd
for at in 0:stdin 1:stdout 2:stderr; do [[ -e /dev/${at#*:} ]] || ln -s "/proc/self/fd/${at%:*}" "/dev/${at#*:}"; done
chmod 755 /
chmod 1777 /tmp
# As systemd has them.
echo 1 >/proc/sys/fs/protected_symlinks
echo 1 >/proc/sys/fs/protected_hardlinks
ip link set lo up
line=/dev/$(cat /line)
stty -F "$line" raw -echo
exec </dev/null >"$line" 2>&1
echo "### kernel $(uname -r)"
cd "$HOME"
as=()
user=$(cat /user)
if ((user)); then
    chown "$user:$user" .
    as=(setpriv "--reuid=$user" "--regid=$user" --clear-groups --inh-caps=-all)
fi
play() {
    echo "### begin $1"
    # The first process of a kernel has neither a session nor a group.
    setsid --wait "${as[@]}" "${@:2}"
    echo "### end $1 $?"
}
source /tests
echo "### the end"
sleep 1
echo b >/proc/sysrq-trigger
sleep 60
INIT
chmod +x "$work/image/init/init"
echo "$user" >"$work/image/init/user"
echo "$line" >"$work/image/init/line"
# No empty filter, which would be a word.
sed -i "s/ ''\$//" "$commands"
pack "$work/image/init" init
cat "$work"/image/{root,programs,init}.cpio >"$work/image/initrd"

# One line for each test program of a guest, out of its log.
report() {
    awk '
        /^### kernel / { kernel = $3 }
        /^### begin /  { test = $3; passed = failed = ignored = 0 }
        /^test result: / { passed = $4; failed = $6; ignored = $8 }
        /^### end /    { printf "%s %s %d %d %d %s\n", kernel, test, passed, failed, ignored, $4 }
    ' "$1"
}

bad=0
for suite in "${suites[@]}"; do
    kernel_of "$suite"
    log=$work/logs/$suite.log console_log=$work/logs/$suite.console
    rm -f "$log" "$console_log"
    # Where there is one line alone, the kernel has it too, and says little.
    serial=(-serial "file:$console_log" -serial "file:$log")
    [[ $line != "$console" ]] || serial=(-serial "file:$log")
    timeout "$limit" "${qemu[@]}" -accel tcg -smp 1 -m "$memory" -nodefaults -display none \
        -no-reboot -kernel "$work/kernels/$suite/vmlinuz" -initrd "$work/image/initrd" \
        -append "console=$console quiet panic=-1 mitigations=off nokaslr tsc=reliable" \
        "${serial[@]}" || echo "$suite: qemu ended with $?" >&2
    sed -i 's/\r$//' "$log"
    while read -r kernel test passed failed ignored code; do
        printf '%-30s %-12s %4d passed %3d failed %3d ignored\n' "$kernel" "$test" "$passed" "$failed" "$ignored"
        ((code == 0 || failed > 0)) || { echo "    $test ended with $code"; bad=1; }
    done < <(report "$log")
    while read -r name; do
        if [[ ${excused[$name]:-} ]]; then
            echo "    excused: $name: ${excused[$name]}"
        else
            echo "    FAILED: $name"
            bad=1
        fi
    done < <(sed -nE 's/^    ([a-z0-9_]+(::[a-z0-9_]+)*)$/\1/p' "$log" | sort -u)
    grep -q '^### the end' "$log" || { echo "    the guest did not come to its end: $console_log"; bad=1; }
done
exit "$bad"
