#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Unbound, Squid, Dante, rinetd and lighttpd end when the signal that reloads them finds a configuration that is wrong.
#
# Guess: the signal is a request to read the configuration anew; if that is wrong they say so and go on with the old one, as stunnel,
# SNI Proxy, Tinyproxy and nginx do.
# Seen with unbound 1.17.1, squid 5.7, dante-server 1.4.2, rinetd 0.73 and lighttpd 1.4.69 of Debian 12: a first reload succeeds; after one
# unknown word in the file the second one ends the process with status 1, or 255 of lighttpd, and its open connections with it. A
# supervisor starts them anew, which fails for the same reason: what was a proxy with an old configuration is none. So it is
# the supervisor, or who sends the signal, that has to have the file checked before (unbound-checkconf, squid -k parse, danted -V,
# lighttpd -tt; rinetd has none).
#
# Needs bash, Python 3, root, and the packages unbound, squid, dante-server, rinetd, lighttpd, stunnel4 and sniproxy of Debian 12. Exits 0
# when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
chmod 755 .
export PATH=$PATH:/usr/sbin
dpkg-query -W unbound squid dante-server rinetd lighttpd stunnel4 sniproxy
cat >try.py <<'TRY'
import os, signal, socket, subprocess, sys, time

HERE = os.getcwd()
# A name, how it is started, the signal that reloads, the configuration, and a line that is wrong.
PROGRAMS = [
    ("unbound", "unbound -d -c HERE/c", "HUP",
     "server:\n interface: 127.0.0.1\n port: PORT\n pidfile: HERE/pid\n chroot: ''\n username: ''\n"
     " directory: HERE\n use-syslog: no\nremote-control:\n control-enable: no\n", "server:\n nonsense: 1\n"),
    ("squid", "squid -N -f c", "HUP",
     "http_port 127.0.0.1:PORT\npid_filename HERE/pid\ncache_log HERE/log\naccess_log none\ncache deny all\n"
     "coredump_dir HERE\npinger_enable off\nshutdown_lifetime 1 second\n", "acl nonsense nonsense 1\n"),
    ("danted", "danted -f c", "HUP",
     "logoutput: stderr\ninternal: 127.0.0.1 port = PORT\nexternal: lo\nsocksmethod: none\nclientmethod: none\n"
     "client pass { from: 0/0 to: 0/0 }\nsocks pass { from: 0/0 to: 0/0 }\n", "nonsense\n"),
    ("rinetd", "rinetd -f -c c", "HUP", "127.0.0.1 PORT 127.0.0.1 9\n", "nonsense\n"),
    ("lighttpd", "lighttpd -D -f c", "USR1",
     'server.document-root = "HERE"\nserver.bind = "127.0.0.1"\nserver.port = PORT\n', "nonsense {\n"),
    ("stunnel", "stunnel4 c", "HUP",
     "foreground = yes\npid =\n[a]\nclient = yes\naccept = 127.0.0.1:PORT\nconnect = 127.0.0.1:9\n", "nonsense = 1\n"),
    ("sniproxy", "sniproxy -f -c c", "HUP",
     "listen 127.0.0.1:PORT {\n proto tls\n table a\n}\ntable a {\n x 127.0.0.1:9\n}\n", "nonsense {\n"),
]

def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return True
    except OSError:
        return False

def until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()

def attempt(command, number, text, wrong):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open("c", "w") as file:
        file.write(text.replace("PORT", str(port)).replace("HERE", HERE))
    words = command.replace("HERE", HERE).split()
    no = subprocess.DEVNULL
    process = subprocess.Popen(words, stdin=no, stdout=no, stderr=no, start_new_session=True)
    try:
        assert until(lambda: listens(port), 20), "it does not listen"
        # A signal that comes before a handler is there is another matter.
        time.sleep(1)
        process.send_signal(number)
        time.sleep(2)
        good = process.poll() is None and listens(port)
        with open("c", "a") as file:
            file.write(wrong)
        if process.poll() is None:
            process.send_signal(number)
        until(lambda: process.poll() is not None, 4)
        return good, process.poll()
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()

seen = []
for name, command, number, text, wrong in PROGRAMS:
    seen.append(attempt(command, getattr(signal, "SIG" + number), text, wrong))
    print("%s, SIG%s: lives after a reload: %s | status after one with a wrong line: %s" % (name, number, *seen[-1]), flush=True)
sys.exit(0 if seen == [(True, 1)] * 4 + [(True, 255)] + [(True, None)] * 2 else 1)
TRY
python3 try.py
