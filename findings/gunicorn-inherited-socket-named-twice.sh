#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# gunicorn that gets a socket by LISTEN_FDS and is also told its number by --bind fd://3 does not start.
#
# Guess: both name the same listening socket, so one of them is redundant, and gunicorn serves on it. Each of them alone works.
# Seen with gunicorn 27.0.1 on Python 3.11: by --bind alone it serves; with LISTEN_FDS and LISTEN_PID beside it, it ends with
# status 1 and "OSError: [Errno 9] Bad file descriptor". It takes the descriptors of LISTEN_FDS first, which closes number 3,
# and then opens fd://3. A supervisor that always sets LISTEN_FDS has to leave out --bind.
#
# Needs bash, Python 3 with venv, and PyPI. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" --quiet --disable-pip-version-check install gunicorn==27.0.1
cd "$place"
cat >app.py <<'APP'
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"yes"]
APP
cat >try.py <<'TRY'
import os, socket, subprocess, sys, urllib.request

def attempt(with_listen_fds):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    os.dup2(listener.fileno(), 3, inheritable=True)
    def variables():
        if with_listen_fds:
            os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
            os.execv(sys.argv[1], [sys.argv[1], "--bind", "fd://3", "app:app"])
    arguments = [sys.argv[1], "--bind", "fd://3", "app:app"]
    child = subprocess.Popen(arguments, pass_fds=[3], preexec_fn=variables, stderr=subprocess.PIPE, text=True)
    try:
        url = "http://127.0.0.1:%d/" % listener.getsockname()[1]
        answer = urllib.request.urlopen(url, timeout=5).read().decode()
    except OSError:
        answer = None
    ended = child.poll()
    child.terminate()
    last = child.communicate()[1].strip().splitlines()[-1:]
    return answer, ended, last

plain, both = attempt(False), attempt(True)
print("--bind fd://3:", plain[0], "| with LISTEN_FDS too:", both[0], both[1], both[2])
sys.exit(0 if plain[0] == "yes" and both[0] is None and both[1] == 1 and "Bad file descriptor" in both[2][0] else 1)
TRY
"$place/venv/bin/python" try.py "$place/venv/bin/gunicorn"
