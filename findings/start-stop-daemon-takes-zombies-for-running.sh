#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# start-stop-daemon of dpkg takes a zombie for a running program: it is "running", is not started anew, and cannot be stopped.
#
# Guess: the pid in the pid file is of a process that has ended and waits for its parent, which is no running program: --status gives 1,
# "pid file exists, program dead", and --stop --retry succeeds at once.
# Seen with dpkg 1.21.22 of Debian 12: --status gives 0, --start does nothing and gives 1, and --stop --retry=TERM/1/KILL/1 waits the two
# seconds, says "refused to die" and gives 2. An init script under a supervisor, or in a container whose PID 1 does not reap, can neither
# stop nor restart its program until the parent has reaped it.
#
# Needs bash, Python 3 and dpkg 1.21 (Debian 12); installs nothing. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
export PATH=$PATH:/sbin:/usr/sbin
start-stop-daemon --version | head -n 1
cat >try.py <<'TRY'
import os, subprocess, sys, time

child = os.fork()
if child == 0:
    os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
with open("pid", "w") as file:
    file.write(str(child))

def asked(*words):
    begin = time.monotonic()
    done = subprocess.run(words, capture_output=True, text=True)
    took = time.monotonic() - begin
    print(" ".join(words), "| status", done.returncode, "| %.0f s |" % took, (done.stdout + done.stderr).strip())
    return done.returncode, took > 1.5

dpkg = "start-stop-daemon"
seen = [
    asked(dpkg, "--status", "--pidfile", "pid"),
    asked(dpkg, "--start", "--pidfile", "pid", "--startas", "/bin/true"),
    asked(dpkg, "--stop", "--pidfile", "pid", "--retry=TERM/1/KILL/1"),
]
sys.exit(0 if seen == [(0, False), (1, False), (2, True)] else 1)
TRY
python3 try.py
