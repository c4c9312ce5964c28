#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# A program that catatonit runs has SIGTSTP, SIGTTIN and SIGTTOU blocked.
#
# Guess: an init for containers blocks signals for itself, to forward them, and starts its program with the mask that it was given,
# as tini and dumb-init do.
# Seen with catatonit 0.1.7 of Debian 12: SigBlk of the program is 380000, and it lives on, unstopped, after a SIGTSTP; under tini
# 0.19.0 SigBlk is 0. The child makes itself the foreground group of the terminal, for which the three have to be blocked,
# and then sets the mask for good with them in it. It hands that on to all that it starts: there is no Ctrl-Z.
#
# Needs bash, and apt-get with Debian 12. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
apt-get -qq -o APT::Sandbox::User=root download catatonit=0.1.7-1+b2 tini=0.19.0-1+b3
for package in ./*.deb; do dpkg-deb -x "$package" .; done
# No shell: dash clears its mask when it starts.
blocked() { "$@" sed -n 's/^SigBlk:.//p' /proc/self/status; }
by_catatonit=$(blocked usr/bin/catatonit --)
by_tini=$(blocked usr/bin/tini -s --)
# The state a moment after a stop that should have come at once: it would be T.
state=$(usr/bin/catatonit -- perl -e 'kill "TSTP", $$; open S, "/proc/self/stat"; print +(split " ", <S>)[2]')
echo "SigBlk under catatonit: $by_catatonit; under tini: $by_tini; after SIGTSTP: $state"
[[ $((16#$by_catatonit)) == $((16#380000)) && $((16#$by_tini)) == 0 && $state == R ]]
