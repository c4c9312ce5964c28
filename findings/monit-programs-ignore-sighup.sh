#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# A program that monit starts has SIGHUP ignored.
#
# Guess: monit starts programs in a session of their own with default dispositions and a short environment; it says so of the
# environment.
# Seen with monit 5.33.0 of Debian 12: SigIgn of what a `start program` runs is 1. A daemon that installs a handler for SIGHUP does
# not notice; one that only does so unless it finds the signal ignored, as nohup(1) has asked for since ever, never reloads, and
# one that is to be ended by SIGHUP is not.
#
# Needs bash, and apt-get with Debian 12. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
apt-get -qq -o APT::Sandbox::User=root download monit=1:5.33.0-1
for package in ./*.deb; do dpkg-deb -x "$package" .; done
mkfifo ignored
cat >monitrc <<RC
set daemon 1
set pidfile $place/pid
set statefile $place/state
set idfile $place/id
check process looks with pidfile $place/none
    start program = "/bin/sh -c 'sed -n s/^SigIgn:.//p /proc/self/status >$place/ignored'"
RC
chmod 600 monitrc
usr/bin/monit --version | head -n 1
usr/bin/monit -I -c monitrc >log 2>&1 &
monit=$!
trap 'kill "$monit"; wait "$monit" || true; rm -rf "$place"' EXIT
read -r -t 60 by_monit <ignored || { cat log >&2; exit 2; }
by_shell=$(sed -n 's/^SigIgn:.//p' /proc/self/status)
echo "SigIgn by monit: $by_monit; by this shell: $by_shell"
[[ $((16#$by_monit & 16#7fffffff)) == 1 && $((16#$by_shell & 1)) == 0 ]]
