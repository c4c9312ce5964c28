#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# memcached cuts a request that is under way at SIGUSR1, its "graceful" stop, and leaves its pid file there.
#
# Guess: it says "Gracefully stopping", so it takes no more connections, finishes what clients have begun, and ends with status 0; SIGTERM
# is the quick way.
# Seen with memcached 1.6.18 of Debian 12: the half of a `set` that was sent is lost with its connection within two seconds, as by SIGTERM,
# and the status is 0 both times. Grace is for the items in the memory, which a next process may take over (-e), and not for clients. A
# supervisor that drains has to do that in front of it, by whatever sends the requests. The file of -P stays both times.
#
# Needs bash, Python 3, and apt-get with Debian 12. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
apt-get -qq -o APT::Sandbox::User=root download memcached=1.6.18-1+deb12u1 libevent-2.1-7 libsasl2-2
for package in ./*.deb; do dpkg-deb -x "$package" .; done
export LD_LIBRARY_PATH=$place/usr/lib/x86_64-linux-gnu
usr/bin/memcached --version
cat >try.py <<'TRY'
import os, signal, socket, subprocess, sys, time

def attempt(number):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pid = os.path.abspath("pid")
    words = ["usr/bin/memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-P", pid]
    server = subprocess.Popen(words + (["-u", "root"] if os.getuid() == 0 else []), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while True:
        try:
            client = socket.create_connection(("127.0.0.1", port), 10)
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "it does not listen"
            time.sleep(0.05)
    # It has seen this connection, and has the beginning of a request.
    client.sendall(b"version\r\n")
    assert client.recv(100).startswith(b"VERSION")
    client.sendall(b"set key 0 0 10\r\n12345")
    time.sleep(0.5)
    server.send_signal(number)
    time.sleep(2)
    try:
        client.sendall(b"67890\r\n")
        answer = client.recv(100)
    except OSError:
        answer = b""
    status = server.wait(20)
    there = os.path.exists(pid)
    os.remove(pid)
    return answer == b"STORED\r\n", status, there

seen = []
for number in signal.SIGUSR1, signal.SIGTERM:
    seen.append(attempt(number))
    print("%s: request finished: %s, status %s, pid file there: %s" % (number.name, *seen[-1]))
sys.exit(0 if seen == [(False, 0, True)] * 2 else 1)
TRY
python3 try.py
