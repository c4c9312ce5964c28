#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Robyn does not end when its port is taken: it asks its standard input for another one, also where that is /dev/null.
#
# Guess: it ends with a status that is not 0; and where it asks, the end of the standard input ends it.
# Seen with Robyn 0.88.0 on Python 3.11: with /dev/null as standard input it prints "Enter a different port: " and that this is
# no port, over and over, and lives on without listening. Only a readiness that asks for the port tells a supervisor so, and the log
# needs a limit.
#
# Needs bash, Python 3 with venv, and PyPI. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" --quiet --disable-pip-version-check install robyn==0.88.0
cd "$place"
cat >app.py <<'APP'
import sys
from robyn import Robyn

app = Robyn(__file__)

@app.get("/")
async def answer(request):
    return "yes"

if __name__ == "__main__":
    app.start(host="127.0.0.1", port=int(sys.argv.pop()))
APP
cat >try.py <<'TRY'
import socket, subprocess, sys, time

with socket.socket() as taken:
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    command = [sys.executable, "app.py", str(taken.getsockname()[1])]
    with open("output", "wb") as output:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    times, deadline = 0, time.monotonic() + 30
    while times < 5 and server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
        times = open("output", "rb").read().count(b"Enter a different port: ")
    status = server.poll()
    server.kill()
    server.wait()
print("asked", times, "times, status", status)
sys.exit(0 if times >= 5 and status is None else 1)
TRY
"$place/venv/bin/python" try.py
