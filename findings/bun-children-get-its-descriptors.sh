#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# A program that Bun starts has descriptors of Bun open, and the soft limit of descriptors that Bun has raised for itself.
#
# Guess: as with Node.js, all descriptors of the runtime are closed on exec, so that a child has 0, 1 and 2; and the raised limit
# is set back for children.
# Seen with Bun 1.1.42: a program of spawnSync has two descriptors of /dev/urandom open besides, and those of the memory files by
# which Bun exchanges input and output with it, and its soft limit is the hard one. By Node.js 20 it has none more, but the same
# limit. A program that counts its descriptors, or takes what is at 3 for a socket that it was given, finds what is Bun's.
#
# Needs bash, npm and node. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
npm install --silent --no-fund --no-audit --prefix "$place" bun@1.1.42 >"$place/npm" 2>&1 || { cat "$place/npm" >&2; exit 2; }
cd "$place"
cat >try.js <<'JS'
const { spawnSync } = require('child_process');
const perl = `foreach (3 .. 63) { next unless -e "/proc/$$/fd/$_"; print readlink("/proc/$$/fd/$_"), "\n" }
    print "limit ", (split " ", (grep /open files/, do { open L, "/proc/$$/limits"; <L> })[0])[3], "\n"`;
process.stdout.write(spawnSync('perl', ['-e', perl]).stdout);
JS
run() {
    # With a low soft limit, and none of the descriptors that this shell may have been given.
    prlimit --nofile=1000:2000 bash -c 'for fd in /proc/$$/fd/*; do fd=${fd##*/}; ((fd <= 2)) || eval "exec $fd<&-"; done; exec "$@"' \
        bash "$@" </dev/null
}
node_modules/.bin/bun --version
by_bun=$(run node_modules/.bin/bun try.js)
by_node=$(run node try.js)
echo "by Bun: $(tr '\n' ' ' <<<"$by_bun"); by Node.js $(node --version): $(tr '\n' ' ' <<<"$by_node")"
[[ $by_node == "limit 2000" && $by_bun == *memfd:*"limit 2000" && $by_bun == */dev/urandom* ]]
