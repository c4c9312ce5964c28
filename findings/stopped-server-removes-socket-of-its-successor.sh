#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Starman, Thin and start_server take the path of their unix socket from a living server, and a stop removes that path whosever it is: a
# successor that was started before the old one stopped is not reached by anyone.
#
# Guess: a second start at the path of a living server fails, as of a port, or at least the old one sees at its stop that the path is no
# longer its own, and leaves it.
# Seen with starman 0.4016, thin 1.8.1 and Server::Starter 0.35 of Debian 12: the second one binds anew at the path, the first one lives on
# and gets no more connections; when that is stopped it removes the path, and the second one, which lives, is gone for clients.
# memcached 1.6.18 and HAProxy 2.6.12 take the path as well, and leave it at a stop: there a new one beside the old one works. nginx,
# puma, unicorn, stunnel and twemproxy refuse to start. A replacement that overlaps needs another path for each process, or a socket that
# the supervisor keeps.
#
# Needs bash, Python 3, root, and the packages starman, thin, libserver-starter-perl, memcached and haproxy of Debian 12. Exits 0 when it
# was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
export PATH=$PATH:/usr/sbin
dpkg-query -W starman thin libserver-starter-perl memcached haproxy
echo 'sub { [200, [], ["yes"]] }' >app
echo 'run lambda { |request| [200, {}, ["yes"]] }' >config.ru
cat >haproxy.cfg <<CFG
defaults
 mode tcp
 timeout client 1s
 timeout server 1s
 timeout connect 1s
listen a
 bind unix@$place/socket
CFG
cat >try.py <<'TRY'
import os, signal, socket, struct, subprocess, sys, time

PATH = os.path.abspath("socket")
COMMANDS = {
    "starman": "starman --listen PATH --workers 1 app",
    "thin": "thin -S PATH -R config.ru start",
    "start_server": "start_server --path PATH -- sleep 1000",
    "memcached": "memcached -u root -s PATH",
    "haproxy": "haproxy -db -f haproxy.cfg",
}

def behind_path():
    """The pid of what listens there."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(PATH)
        except OSError:
            return None
        return struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

def started(words, others):
    no = subprocess.DEVNULL
    server = subprocess.Popen(words, stdin=no, stdout=no, stderr=no, start_new_session=True)
    deadline = time.monotonic() + 30
    while behind_path() in (None, *others):
        if server.poll() is not None or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    # So that its handlers are there as well.
    time.sleep(1)
    return server

def attempt(command):
    if os.path.exists(PATH):
        os.remove(PATH)
    words = command.replace("PATH", PATH).split()
    first = started(words, ())
    second = started(words, (first.pid,))
    try:
        taken = behind_path() == second.pid and first.poll() is None
        first.send_signal(signal.SIGTERM)
        first.wait(20)
        return taken, second.poll() is None, behind_path() == second.pid
    finally:
        for server in first, second:
            try:
                os.killpg(server.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            server.wait()

seen = {}
for name, command in COMMANDS.items():
    seen[name] = attempt(command)
    print("%s: the second one has the path: %s; after the stop of the first it lives: %s, is reached: %s" % (name, *seen[name]), flush=True)
removes, leaves = (True, True, False), (True, True, True)
expected = {"starman": removes, "thin": removes, "start_server": removes, "memcached": leaves, "haproxy": leaves}
sys.exit(0 if seen == expected else 1)
TRY
python3 try.py
