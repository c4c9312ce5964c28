#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# `deno task` ends with status 1 when a signal has ended its program.
#
# Guess: 137 after SIGKILL, as `npm run`, `bun run` and each shell give it.
# Seen with Deno 2.1.4: 1 after SIGKILL and after SIGTERM; an exit code is handed on as it is, and Deno.Command tells the signal.
# The shell of `deno task` is one of its own. A supervisor that has an agent started so cannot tell a crash, or
# an end for want of memory, from a failure.
#
# Needs bash and npm. Exits 0 when it was so again, else 1.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
npm install --silent --no-fund --no-audit --prefix "$place" deno@2.1.4 >"$place/npm" 2>&1 || { cat "$place/npm" >&2; exit 2; }
cd "$place"
rm -rf package.json package-lock.json
cat >deno.json <<'JSON'
{"tasks": {"killed": "sh killed", "terminated": "sh terminated", "exits": "sh exits"}}
JSON
echo 'kill -KILL $$' >killed
echo 'kill -TERM $$' >terminated
echo 'exit 9' >exits
ends() {
    local status=0
    DENO_DIR="$place/cache" node_modules/.bin/deno task --quiet "$1" >/dev/null 2>&1 || status=$?
    echo "$status"
}
node_modules/.bin/deno --version | head -n 1
said="SIGKILL $(ends killed), SIGTERM $(ends terminated), exit code 9 $(ends exits)"
echo "$said"
[[ $said == "SIGKILL 1, SIGTERM 1, exit code 9 9" ]]
