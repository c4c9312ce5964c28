#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# A receiver with SO_PASSPIDFD that has no free descriptor gets the message with -24 for a pidfd, and no flag that something is missing.
#
# Guess: as of descriptors that are sent by SCM_RIGHTS: no control message, and MSG_CTRUNC in the flags.
# Seen on Linux 6.18 with Python 3.11: recvmsg(2) succeeds, the flags are 0, and the control message SCM_PIDFD holds -EMFILE in the place of
# a descriptor. SCM_RIGHTS in the same state: no descriptor, MSG_CTRUNC. A program that looks whether there is an SCM_PIDFD, and
# not at the number, takes -24 for the pidfd of a sender.
#
# Needs bash, Python 3 and Linux 6.5 or later; installs nothing. Exits 0 when it was so again, else 1.
set -euo pipefail
uname -sr
python3 - <<'PYTHON'
import array, os, resource, socket, struct, sys

SO_PASSPIDFD, SCM_PIDFD = 76, 4

def received():
    data, control, flags, _ = receiver.recvmsg(100, 100)
    kinds = {SCM_PIDFD: "SCM_PIDFD", socket.SCM_RIGHTS: "SCM_RIGHTS"}
    return data.decode(), [(kinds[kind], struct.unpack("i", value)[0]) for _, kind, value in control], int(flags)

sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, SO_PASSPIDFD, 1)
sender.send(b"with descriptors left")
before = received()
full = os.dup(0)
resource.setrlimit(resource.RLIMIT_NOFILE, (full, full))
sender.send(b"with none left")
pidfd = received()
receiver.setsockopt(socket.SOL_SOCKET, SO_PASSPIDFD, 0)
sender.sendmsg([b"SCM_RIGHTS"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))])
rights = received()
for seen in before, pidfd, rights:
    print(*seen)
is_pidfd = len(before[1]) == 1 and before[1][0][0] == "SCM_PIDFD" and before[1][0][1] >= 0
sys.exit(0 if is_pidfd and pidfd[1:] == ([("SCM_PIDFD", -24)], 0) and rights[1:] == ([], socket.MSG_CTRUNC) else 1)
PYTHON
