#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# A unix socket that one of its holders has shut down is still a listening one for the others, refuses each connection, and cannot be
# made to listen again.
#
# Guess: shutdown(2) of a listening socket that two processes share ends the listening for both, as of TCP: accept(2) says EINVAL,
# SO_ACCEPTCONN is 0, and listen(2) heals it.
# Seen on Linux 6.18 with Python 3.11: so it is of TCP, to the same port if that was named. The unix socket has SO_ACCEPTCONN 1,
# accept says EAGAIN as if no client were there, listen succeeds, and connect is refused before and after. So a
# service that shuts down at its stop what it has inherited leaves its successor a socket that looks whole and is not: who keeps sockets
# for services has to connect to it to know, and to bind a new one.
#
# Needs bash and Python 3; installs nothing. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
uname -sr
python3 - <<'PYTHON'
import errno, os, socket, sys

def said(call, *arguments):
    try:
        call(*arguments)
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]

def attempt(family, address):
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen()
    listener.setblocking(False)
    service = os.fork()
    if service == 0:
        listener.shutdown(socket.SHUT_RDWR)
        os._exit(0)
    assert os.waitpid(service, 0)[1] == 0
    connect = lambda: socket.socket(family).connect(address)
    seen = {
        "SO_ACCEPTCONN": listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN),
        "accept": said(listener.accept),
        "connect": said(connect),
        "listen": said(listener.listen),
        "connect after it": said(connect),
    }
    print(family.name, *("%s: %s;" % item for item in seen.items()))
    return list(seen.values())

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    tcp = free.getsockname()
by_tcp = attempt(socket.AF_INET, tcp)
by_unix = attempt(socket.AF_UNIX, "socket")
is_tcp_healed = by_tcp == [0, "EINVAL", "ECONNREFUSED", "done", "done"]
sys.exit(0 if is_tcp_healed and by_unix == [1, "EAGAIN", "ECONNREFUSED", "done", "ECONNREFUSED"] else 1)
PYTHON
