#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# forever, nodemon and nf, which start and restart programs, end at SIGTERM and leave their programs running, without any signal.
#
# Guess: SIGTERM, the usual request to stop, is handed on to the program, and the supervisor ends after it, as honcho and foreman of
# Ruby do; SIGINT does the same.
# Seen with forever 4.0.3, nodemon 3.1.14 (with --exec) and foreman 3.0.1 (nf) on Node.js 20: after SIGTERM the supervisor is gone at
# once (by the signal, nodemon with status 143), and the program runs on as an orphan that has heard nothing: nodemon signals only the
# shell that it has put between. After SIGINT those of nodemon and nf get that and end; that of forever runs on. So what
# supervises such a supervisor has to signal the whole group, or a second program finds the port taken.
#
# Needs bash, Node.js with npm, Python 3, and the registry of npm. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
export HOME=$place
npm install --silent --no-audit --no-fund --prefix "$place" forever@4.0.3 nodemon@3.1.14 foreman@3.0.1 >/dev/null 2>&1
node --version
cat >app.js <<'APP'
const fs = require("fs");
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"])
  process.on(signal, () => { fs.writeFileSync("got", signal); process.exit(0); });
setInterval(() => {}, 1000);
fs.writeFileSync("new", String(process.pid));
fs.renameSync("new", "pid");
APP
echo "app: exec node app.js" >Procfile
cat >try.py <<'TRY'
import os, select, signal, subprocess, sys, time

def attempt(words, number):
    for name in "got", "pid":
        if os.path.exists(name):
            os.remove(name)
    output = open("output", "wb")
    supervisor = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + 60
    while not os.path.exists("pid"):
        assert supervisor.poll() is None and time.monotonic() < deadline, "the program does not start"
        time.sleep(0.05)
    program = os.pidfd_open(int(open("pid").read()))
    time.sleep(1)
    supervisor.send_signal(number)
    status = supervisor.wait(30)
    # Three seconds for a signal that comes late.
    lives = not select.select([program], [], [], 3)[0]
    if lives:
        signal.pidfd_send_signal(program, signal.SIGKILL)
    try:
        os.killpg(supervisor.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.close(program)
    return status, lives, open("got").read() if os.path.exists("got") else "nothing"

commands = [
    ["node_modules/.bin/forever", "app.js"],
    ["node_modules/.bin/nodemon", "--watch", "Procfile", "--exec", "node app.js"],
    ["node_modules/.bin/nf", "start"],
]
seen = {}
for command in commands:
    for number in signal.SIGTERM, signal.SIGINT:
        name = os.path.basename(command[0])
        seen[name, number] = attempt(command, number)
        print("%s, %s: status %s, program lives: %s, it got: %s" % (name, number.name, *seen[name, number]), flush=True)
at_term = [seen[name, signal.SIGTERM] for name in ("forever", "nodemon", "nf")]
at_int = [seen[name, signal.SIGINT][1:] for name in ("forever", "nodemon", "nf")]
ok = at_term == [(-15, True, "nothing"), (143, True, "nothing"), (-15, True, "nothing")]
sys.exit(0 if ok and at_int == [(True, "nothing"), (False, "SIGINT"), (False, "SIGINT")] else 1)
TRY
python3 try.py
