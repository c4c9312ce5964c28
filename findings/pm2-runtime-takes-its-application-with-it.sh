#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The application of pm2-runtime ends at once when pm2-runtime is killed, without the signal that stops it in order.
#
# Guess: SIGKILL gives pm2-runtime no chance to stop anything, so the application lives on as an orphan and keeps its port, as
# those of other supervisors do.
# Seen with pm2 7.0.4 on Node.js 20: what pm2 runs in fork mode is the application inside of a wrapper of its own, which ends when the
# channel to pm2 closes. No handler of SIGINT or SIGTERM of the application runs, and connections are cut. So a crash of pm2-runtime
# leaves nothing that holds a port, and it cannot be replaced under a living application.
#
# Needs bash, Node.js with npm, Python 3, and the registry of npm. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
npm install --silent --no-audit --no-fund --prefix "$place" pm2@7.0.4 >/dev/null 2>&1
cat >app.js <<'APP'
const fs = require("fs");
for (const signal of ["SIGINT", "SIGTERM"])
  process.on(signal, () => { fs.appendFileSync("said", signal); process.exit(0); });
require("http").createServer((_, answer) => answer.end("yes")).listen(+process.env.PORT, "127.0.0.1");
APP
cat >try.py <<'TRY'
import os, signal, socket, subprocess, sys, time

def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return True
    except ConnectionRefusedError:
        return False

def until(condition):
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
environment = dict(os.environ, PORT=str(port), PM2_HOME=os.path.abspath("home"))
output = open("output", "wb")
pm2 = subprocess.Popen(
    [sys.argv[1], "app.js"], env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
)
try:
    assert until(lambda: listens(port)), "it does not listen"
    pm2.send_signal(signal.SIGKILL)
    pm2.wait()
    has_ended = until(lambda: not listens(port))
finally:
    try:
        os.killpg(pm2.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
said = open("said").read() if os.path.exists("said") else "no signal"
print("application ended:", has_ended, "| it got:", said)
sys.exit(0 if has_ended and said == "no signal" else 1)
TRY
python3 try.py "$place/node_modules/.bin/pm2-runtime"
