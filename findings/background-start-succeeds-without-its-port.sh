#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# memcached, Tinyproxy, twemproxy, Squid and Starman that put themselves into the background report success (status 0) when their
# port is taken.
#
# Guess: daemon(7) has it that the first process ends when the daemon is ready, and tells by its status whether it is; nginx, HAProxy,
# stunnel, Privoxy, unbound and lighttpd do so.
# Seen with memcached 1.6.18, tinyproxy 1.11.1, nutcracker 0.5.0, squid 5.7 and starman 0.4016 of Debian 12: status 0 with the port taken by
# another process. They detach first and bind then, so that with the port free the first process may be gone before anything listens, or a
# pid file is there, as well (memcached: in 4 of 8 starts, twemproxy 3, Tinyproxy 3). For Type=forking of systemd and init scripts
# the start of such a one never fails. In the foreground each of them ends with another status, but Starman with 0 there too, after the
# line that it cannot bind.
#
# Needs bash, Python 3, root, and the packages memcached, tinyproxy-bin, nutcracker, squid, starman and nginx of Debian 12. Exits 0 when
# it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
chmod 755 .
export PATH=$PATH:/usr/sbin
dpkg-query -W memcached tinyproxy-bin nutcracker squid starman nginx
cat >try.py <<'TRY'
import os, socket, subprocess, sys

HERE = os.getcwd()
PROGRAMS = {
    "memcached": ("memcached -d -u root -l 127.0.0.1 -p PORT", "memcached -u root -l 127.0.0.1 -p PORT", ""),
    "tinyproxy": ("tinyproxy -c c", "tinyproxy -d -c c",
                  'Port PORT\nListen 127.0.0.1\nLogFile "HERE/log"\nPidFile "HERE/pid"\n'),
    "nutcracker": ("nutcracker -d -c c -s STATS", "nutcracker -c c -s STATS",
                   "a:\n  listen: 127.0.0.1:PORT\n  servers:\n   - 127.0.0.1:9:1\n"),
    "squid": ("squid -f c", "squid --foreground -f c",
              "http_port 127.0.0.1:PORT\npid_filename HERE/pid\ncache_log HERE/log\n"
              "access_log none\ncache deny all\ncoredump_dir HERE\npinger_enable off\n"),
    "starman": ("starman -D --listen 127.0.0.1:PORT --workers 1 --error-log HERE/log app",
                "starman --listen 127.0.0.1:PORT --workers 1 app", ""),
    "nginx": ("nginx -c HERE/c -p HERE", "nginx -g daemon_off; -c HERE/c -p HERE",
              "pid HERE/pid;\nerror_log HERE/log;\nevents {}\nhttp {\n access_log off;\n"
              " client_body_temp_path HERE/1;\n proxy_temp_path HERE/2;\n fastcgi_temp_path HERE/3;\n"
              " uwsgi_temp_path HERE/4;\n scgi_temp_path HERE/5;\n"
              " server { listen 127.0.0.1:PORT; }\n}\n"),
}

def ends(words, port, stats):
    replaced = [word.replace("PORT", port).replace("STATS", stats).replace("HERE", HERE).replace("_", " ") for word in words.split()]
    return subprocess.run(replaced, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=90).returncode

with open("app", "w") as file:
    file.write('sub { [200, [], ["yes"]] }\n')
seen = {}
with socket.socket() as taken, socket.socket() as free:
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = str(taken.getsockname()[1])
    free.bind(("127.0.0.1", 0))
    stats = str(free.getsockname()[1])
    free.close()
    for name, (background, foreground, text) in PROGRAMS.items():
        with open("c", "w") as file:
            file.write(text.replace("PORT", port).replace("HERE", HERE))
        seen[name] = ends(background, port, stats), ends(foreground, port, stats)
        print("%s, port taken: status %d in the background, %d in the foreground" % (name, *seen[name]), flush=True)
right = seen.pop("nginx")
expected = {"memcached": (0, 71), "tinyproxy": (0, 71), "nutcracker": (0, 1), "squid": (0, 1), "starman": (0, 0)}
sys.exit(0 if seen == expected and right == (1, 1) else 1)
TRY
python3 try.py
