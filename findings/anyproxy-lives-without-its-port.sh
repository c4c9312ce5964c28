#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# AnyProxy lives on when its port is taken, without a socket for clients.
#
# Guess: as other programs for Node.js it has no handler of that error, and ends with status 1.
# Seen with anyproxy 4.1.3 on Node.js 20: it prints EADDRINUSE and lives on; its web interface, which is another
# socket, may listen, so that not even "it has a socket" tells that it works. A supervisor needs a readiness that asks for the port of
# the proxy itself.
#
# Needs bash, Node.js with npm, Python 3, and the registry of npm. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
export HOME=$place
npm install --silent --no-audit --no-fund --prefix "$place" anyproxy@4.1.3 >/dev/null 2>&1
cat >try.py <<'TRY'
import socket, subprocess, sys, time

with socket.socket() as taken, socket.socket() as free:
    taken.bind(("0.0.0.0", 0))
    taken.listen()
    free.bind(("127.0.0.1", 0))
    web = free.getsockname()[1]
    free.close()
    with open("output", "wb") as output:
        command = [sys.argv[1], "--port", str(taken.getsockname()[1]), "--web", str(web)]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    said, deadline = b"", time.monotonic() + 60
    while b"EADDRINUSE" not in said and server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
        said = open("output", "rb").read()
    try:
        status = server.wait(5)
    except subprocess.TimeoutExpired:
        status = None
    server.kill()
    server.wait()
print("said EADDRINUSE:", b"EADDRINUSE" in said, "| status:", status)
sys.exit(0 if b"EADDRINUSE" in said and status is None else 1)
TRY
python3 try.py "$place/node_modules/.bin/anyproxy"
