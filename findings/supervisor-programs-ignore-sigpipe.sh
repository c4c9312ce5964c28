#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# A program that supervisord runs has SIGPIPE and SIGXFSZ ignored.
#
# Guess: supervisord starts programs with default dispositions, as each supervisor does that is written for it.
# Seen with supervisor 4.2.5 and Python 3.11: SigIgn of a program is 1001000. Python ignores the two for itself, its own subprocess
# module sets them back in children, and supervisord does not use that: it forks and executes by itself. So a shell script
# behaves otherwise than elsewhere: a writer whose reader has gone is not ended, it says "Broken pipe" or goes on for ever.
#
# Needs bash, Python 3 with venv, and PyPI. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" --quiet --disable-pip-version-check install supervisor==4.2.5 "setuptools<80"
cd "$place"
cat >supervisord.conf <<'INI'
[supervisord]
nodaemon=true
pidfile=%(here)s/pid
logfile=/dev/null
logfile_maxbytes=0

[program:looks]
command=sed -n s/^SigIgn:.//p /proc/self/status
autorestart=false
startsecs=0
stdout_logfile=%(here)s/supervised
stdout_logfile_maxbytes=0

[eventlistener:ends]
command=sh -c 'echo READY; read event; kill $PPID'
events=PROCESS_STATE_EXITED
INI
# What else would start it, and hears nothing of supervisord.
plainly=$(venv/bin/python -c 'import subprocess; subprocess.run(["sed", "-n", "s/^SigIgn:.//p", "/proc/self/status"])')
timeout 30 venv/bin/supervisord -c supervisord.conf >/dev/null 2>&1
supervised=$(cat supervised)
echo "SigIgn by supervisord: $supervised; by subprocess of Python: $plainly"
[[ $((16#$supervised & 16#7fffffff)) == $((16#1001000)) && $((16#$plainly & 16#7fffffff)) == 0 ]]
