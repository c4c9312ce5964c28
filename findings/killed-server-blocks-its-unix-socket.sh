#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# stunnel, SNI Proxy, Ncat and nginx that listen at a unix socket do not start again after they were killed.
#
# Guess: the path that a SIGKILL has left behind is nothing that listens, so the next start replaces it, as HAProxy, lighttpd,
# twemproxy and memcached do: else one crash would be the last.
# Seen with stunnel4 5.68, sniproxy 0.6.0, ncat 7.93 and nginx 1.22.1 of Debian 12: each later start ends with status 1, or 2 of Ncat,
# and "Address already in use", although a connect says that it is refused. A supervisor restarts them in vain until the path is removed: by
# what is executed before, or it keeps the socket itself.
#
# Needs bash, Python 3, root, and the packages stunnel4, sniproxy, ncat, nginx, haproxy, lighttpd and nutcracker of Debian 12. Exits 0
# when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
chmod 755 .
export PATH=$PATH:/usr/sbin
dpkg-query -W stunnel4 sniproxy ncat nginx haproxy lighttpd nutcracker
cat >try.py <<'TRY'
import os, signal, socket, subprocess, sys, time

PATH = os.path.abspath("socket")
PROGRAMS = {
    "stunnel": ("stunnel4 c", "foreground = yes\npid =\n[a]\nclient = yes\naccept = PATH\nconnect = 127.0.0.1:9\n"),
    "sniproxy": ("sniproxy -f -c c", "listen unix:PATH {\n proto tls\n table a\n}\ntable a {\n x 127.0.0.1:9\n}\n"),
    "ncat": ("ncat -l -k -U PATH", ""),
    "nginx": ("nginx -g daemon_off; -c HERE/c -p HERE", "pid HERE/pid;\nevents {}\nhttp {\n access_log off;\n"
              " client_body_temp_path HERE/1;\n proxy_temp_path HERE/2;\n fastcgi_temp_path HERE/3;\n"
              " uwsgi_temp_path HERE/4;\n scgi_temp_path HERE/5;\n server { listen unix:PATH; }\n}\n"),
    "haproxy": ("haproxy -db -f c", "defaults\n mode tcp\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n"
                "listen a\n bind unix@PATH\n"),
    "lighttpd": ("lighttpd -D -f c", 'server.document-root = "HERE"\nserver.bind = "PATH"\n'),
    "nutcracker": ("nutcracker -c c -s STATS", "a:\n  listen: PATH 0666\n  servers:\n   - 127.0.0.1:9:1\n"),
}

def connects():
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(PATH)
            return True
        except OSError:
            return False

def started(words):
    no = subprocess.DEVNULL
    server = subprocess.Popen(words, stdin=no, stdout=no, stderr=no, start_new_session=True)
    deadline = time.monotonic() + 30
    while not connects() and server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    return server, connects()

def killed(server):
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    return server.wait()

def attempt(command, text, stats):
    def filled(words):
        return words.replace("PATH", PATH).replace("HERE", os.getcwd()).replace("STATS", stats)

    if os.path.exists(PATH):
        os.remove(PATH)
    with open("c", "w") as file:
        file.write(filled(text))
    words = [filled(word).replace("daemon_off", "daemon off") for word in command.split()]
    first, listens = started(words)
    killed(first)
    assert listens, "it does not listen"
    # A worker may end a moment after what is waited for.
    while connects():
        time.sleep(0.1)
    second, again = started(words)
    status = second.poll()
    killed(second)
    return again, status

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    stats = str(free.getsockname()[1])
seen = {}
for name, (command, text) in PROGRAMS.items():
    seen[name] = attempt(command, text, stats)
    print("%s after a SIGKILL: listens again: %s, status %s" % (name, *seen[name]), flush=True)
expected = {"stunnel": (False, 1), "sniproxy": (False, 1), "ncat": (False, 2), "nginx": (False, 1)}
expected.update((name, (True, None)) for name in ("haproxy", "lighttpd", "nutcracker"))
sys.exit(0 if seen == expected else 1)
TRY
python3 try.py
