#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Twisted's `twist` ends by the signal that stopped it, after an orderly shutdown.
#
# Guess: it handles SIGTERM (its log says that the server is shut down), and so its status is 0, as that of twistd.
# Seen with Twisted 26.10.0 on Python 3.11: it shuts down in order, with the line "Main loop terminated.", restores the
# handler of the signal and sends it to itself: the status is signal 15, or 2 after SIGINT. A supervisor has to expect these ends, or it
# takes each stop for a failure.
#
# Needs bash, Python 3 with venv, and PyPI. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" --quiet --disable-pip-version-check install twisted==26.10.0
cd "$place"
cat >try.py <<'TRY'
import signal, socket, subprocess, sys, time

def attempt(number):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.argv[1], "web", "--listen", "tcp:%d:interface=127.0.0.1" % port]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 10).close()
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "it does not listen"
            time.sleep(0.05)
    server.send_signal(number)
    said = server.communicate(timeout=30)[0]
    return server.returncode, b"Main loop terminated." in said

term, interrupt = attempt(signal.SIGTERM), attempt(signal.SIGINT)
print("status after SIGTERM:", *term, "| after SIGINT:", *interrupt)
sys.exit(0 if term == (-signal.SIGTERM, True) and interrupt == (-signal.SIGINT, True) else 1)
TRY
"$place/venv/bin/python" try.py "$place/venv/bin/twist"
