#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Pike waits for any child of its process, also for those that it has not started: their exit status is lost to whatever has.
#
# Guess: Process.create_process keeps the pids of what it has started, and waits for those; most runtimes do (waitpid with a pid).
# Seen with Pike 8.0.1738: a child that a program has started before it became Pike by exec is a zombie until the first
# Process.create_process, and is gone after it. A module in C that starts processes in Pike gets ECHILD for them. So do Erlang, which
# ignores SIGCHLD, and gawk at close(); Tcl, Guile, SBCL, CHICKEN, Emacs, Raku, Bun and Deno leave the zombie where it is.
#
# Needs bash, Pike 8.0 (pike8.0-core of Debian 12) and Tcl (tcl8.6), which is looked at beside it. Exits 0 when it was so again,
# else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cat >"$place/try.pike" <<'PIKE'
int main(int argc, array(string) argv)
{
    write("before: %s\n", state(argv[1]));
    Process.create_process(({ "true" }))->wait();
    write("after: %s\n", state(argv[1]));
}

string state(string pid)
{
    string stat = Stdio.read_file("/proc/" + pid + "/stat");
    return stat ? (stat / " ")[2] : "gone";
}
PIKE
cat >"$place/try.tcl" <<'TCL'
proc state {pid} {
    if {[catch {open /proc/$pid/stat} file]} { return gone }
    lindex [split [read $file]] 2
}
set pid [lindex $argv 0]
puts "before: [state $pid]"
exec true
puts "after: [state $pid]"
TCL
# Becomes a program, with the pid of a child that it has and does not know, and that has ended.
as_parent() {
    perl -e 'my $child = fork // die; exit 7 if $child == 0;
        for (my $state = ""; $state ne "Z"; select undef, undef, undef, 0.01) {
            open my $stat, "<", "/proc/$child/stat" or die; $state = (split " ", <$stat>)[2];
        }
        exec @ARGV, $child or die' "$@" | tr '\n' ' '
}
pike --version 2>&1 | head -n 1
by_pike=$(as_parent pike "$place/try.pike")
by_tcl=$(as_parent tclsh8.6 "$place/try.tcl")
echo "a child that is not its own: with Pike $by_pike; with Tcl $by_tcl"
[[ $by_pike == "before: Z after: gone " && $by_tcl == "before: Z after: Z " ]]
