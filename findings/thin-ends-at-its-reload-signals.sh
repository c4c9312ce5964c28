#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Thin that runs in the foreground ends with status 1 at SIGHUP, which restarts it, and at SIGUSR1, which reopens its log.
#
# Guess: as its documentation has it, SIGHUP restarts the server under the same pid, and SIGUSR1 reopens the log, which is none in the
# foreground: nothing happens.
# Seen with thin 1.8.1 on Ruby 3.1 of Debian 12: SIGHUP finishes the open request, says "Restarting ..." and then ends with status 1, for
# only a daemon (-d) has a way to start itself anew; at SIGUSR1 it fails on log/thin.log, which is only opened by a
# daemon, and the request is cut. A supervisor that rotates logs or reloads by the documented signals ends what it has to keep.
#
# Needs bash, Python 3, and thin (Debian 12). Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
dpkg-query -W thin ruby3.1
cat >config.ru <<'RU'
run lambda { |request|
  if request["PATH_INFO"] == "/slow"
    File.write("begun", "")
    sleep 2
  end
  [200, { "Content-Type" => "text/plain" }, ["yes"]]
}
RU
cat >try.py <<'TRY'
import os, signal, socket, subprocess, sys, time

def attempt(number):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if os.path.exists("begun"):
        os.remove("begun")
    command = ["thin", "-a", "127.0.0.1", "-p", str(port), "-R", "config.ru", "start"]
    with open("output", "wb") as output:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while True:
        try:
            client = socket.create_connection(("127.0.0.1", port), 20)
            break
        except ConnectionRefusedError:
            assert server.poll() is None and time.monotonic() < deadline, "it does not listen"
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
    try:
        status = server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
        status = None
    return answer.endswith(b"yes"), status, b"Errno::ENOENT" in open("output", "rb").read()

hup, usr1 = attempt(signal.SIGHUP), attempt(signal.SIGUSR1)
print("SIGHUP: request finished: %s, status %s, no log to open: %s | SIGUSR1: %s, %s, %s" % (hup + usr1))
sys.exit(0 if hup == (True, 1, False) and usr1 == (False, 1, True) else 1)
TRY
python3 try.py
