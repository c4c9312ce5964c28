#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# What daemonize(1) starts has all descriptors of its caller open, and daemonize reports success, with a pid file, for a program that
# could not be executed.
#
# Guess: it closes what is open, for the manual has that as the first thing that a daemon does, and says that daemonize forces a program to
# be one; and its status is 1 when the program cannot be executed.
# Seen with daemonize 1.7.8 of Debian 12: the lock of a descriptor 7 that the caller has closed long since is held by the daemon as long as
# it lives; so are listening sockets and ends of pipes, whose readers wait for ever. A path that is not executable gives status 1; a script
# whose interpreter is missing gives 0 and a pid file with a pid that nothing has: it executes the program after its first process has
# ended. A supervisor that starts something by it closes its own descriptors before, and looks at the pid.
#
# Needs bash, flock of util-linux, and apt-get with Debian 12. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
apt-get -qq -o APT::Sandbox::User=root download daemonize=1.7.8-3
dpkg-deb -x daemonize_*.deb .
dpkg-deb -f daemonize_*.deb Package Version
cat >waits <<'SH'
#!/bin/sh
exec sleep 1000
SH
printf '#!/no/interpreter\n' >script
chmod +x waits script
locked() { flock --nonblock lock true && echo no || echo yes; }

exec 7>lock
flock 7
usr/bin/daemonize -p "$place/pid" "$place/waits"
exec 7>&-
# It comes after the first process has ended.
until [[ -s pid ]]; do sleep 0.1; done
daemon=$(<pid)
trap 'kill "$daemon" 2>/dev/null || true; rm -rf "$place"' EXIT
until [[ $(<"/proc/$daemon/comm") == sleep ]]; do sleep 0.1; done
during=$(locked)
kill "$daemon"
while [[ -e /proc/$daemon ]]; do sleep 0.1; done
after=$(locked)
usr/bin/daemonize -p "$place/none" "$place/absent" 2>log && absent=0 || absent=$?
usr/bin/daemonize -p "$place/none" "$place/script" 2>>log && script=0 || script=$?
until [[ -s none && ! -e /proc/$(<none) ]]; do sleep 0.1; done
echo "caller has closed it, locked: $during; daemon has ended, locked: $after"
echo "a missing program: status $absent; a missing interpreter: status $script, pid file of a process that is gone"
[[ $during == yes && $after == no && $absent == 1 && $script == 0 ]]
