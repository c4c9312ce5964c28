#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Cheroot's own command finishes a request at SIGINT and cuts it at SIGTERM, and ends by a signal both times.
#
# Guess: SIGTERM, the usual request to stop, and SIGINT do the same: no more connections, the open request is finished, status 0.
# Seen with cheroot 11.1.2 on Python 3.11: SIGTERM has no handler and ends it at once; SIGINT raises KeyboardInterrupt, at which
# the server is stopped and the request finished, and then the exception is raised again, so that the status says signal 2. A
# supervisor that drains has to send SIGINT, and to take that signal for an orderly end.
#
# Needs bash, Python 3 with venv, and PyPI. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" --quiet --disable-pip-version-check install cheroot==11.1.2
cd "$place"
cat >app.py <<'APP'
import time

def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        open("begun", "w").close()
        time.sleep(1)
    start_response("200 OK", [("Content-Length", "3")])
    return [b"yes"]
APP
cat >try.py <<'TRY'
import os, signal, socket, subprocess, sys, time

def attempt(number):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if os.path.exists("begun"):
        os.remove("begun")
    environment = dict(os.environ, PYTHONPATH=".")
    server = subprocess.Popen([sys.argv[1], "--bind", "127.0.0.1:%d" % port, "app:wsgi"], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while True:
        try:
            client = socket.create_connection(("127.0.0.1", port), 10)
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "it does not listen"
            time.sleep(0.05)
    client.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    while not os.path.exists("begun"):
        assert time.monotonic() < deadline, "the request does not begin"
        time.sleep(0.05)
    server.send_signal(number)
    answer = b""
    try:
        while part := client.recv(1000):
            answer += part
    except ConnectionError:
        pass
    return answer.endswith(b"yes"), server.wait(30)

term, interrupt = attempt(signal.SIGTERM), attempt(signal.SIGINT)
print("SIGTERM: request finished:", *term, "| SIGINT: request finished:", *interrupt)
sys.exit(0 if term == (False, -signal.SIGTERM) and interrupt == (True, -signal.SIGINT) else 1)
TRY
"$place/venv/bin/python" try.py "$place/venv/bin/cheroot"
