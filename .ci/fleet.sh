#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The fleet agent with a real etcd on the loopback.
#
#   .ci/fleet.sh           its tests, and a small fleet in one program
#   .ci/fleet.sh long      and with 100 MB of keys
#   .ci/fleet.sh measure   a thousand nodes with 50000 declarations, with a release build: some minutes, and 4 GB of memory
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:-test}
[[ $mode =~ ^(test|long|measure)$ ]] || { sed -n 's/^#   //p' "$0" >&2; exit 2; }
for program in etcd etcdctl go ip strace; do
    command -v "$program" >/dev/null || { echo "fleet: $program is missing: .ci/packages.sh installs it" >&2; exit 1; }
done
[[ -d /usr/share/gocode/src/go.etcd.io/etcd/clientv3 ]] || {
    echo "fleet: the client of etcd is missing (golang-etcd-server-dev): .ci/packages.sh installs it" >&2
    exit 1
}
out=$(realpath -m "${CARGO_TARGET_DIR:-target}")/ffi-tests

case $mode in
test | long)
    [[ $mode == test ]] || export FLEET_LONG=1
    make --no-print-directory -C ffi-tests fleet-test
    "$out/fleet-sim" -nodes 50 -per-node 10 -real 5 -changes 1 -calm 1s -idle 1s -outage 6s
    ;;
measure)
    cargo build --locked --quiet --release -p proxyprocess --lib
    make --no-print-directory -C ffi-tests fleet FLEET_LIBRARY=release
    # A thousand nodes have a thousand disks; etcd has that of this machine.
    "$out/fleet-sim" -nodes-dir /dev/shm "${@:2}"
    ;;
esac
