#!/usr/bin/env bash
# The Debian packages that the tests use.
set -euo pipefail

missing=()
command -v haproxy >/dev/null || missing+=(haproxy)
command -v nginx >/dev/null || missing+=(nginx-light)
command -v setpriv >/dev/null || missing+=(util-linux)
if ((${#missing[@]})); then
    apt-get update
    # Only the programs: no service of theirs may start and take a port.
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends "${missing[@]}"
fi
