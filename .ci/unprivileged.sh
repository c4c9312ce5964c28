#!/usr/bin/env bash
# The same tests, but the documentation's, as an ordinary user.
set -euo pipefail

home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
chown 65534:65534 "$home"

mapfile -t tests < <(cargo test --locked --no-run 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
((${#tests[@]} > 3)) || { echo "found only ${#tests[@]} test programs" >&2; exit 1; }
chmod -R a+rX "$CARGO_TARGET_DIR"

cd "$home"
for program in "${tests[@]}"; do
    echo "--- ${program##*/}"
    setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all \
        env HOME="$home" TMPDIR="$home" PROXYPROCESS_AGENT="$CARGO_TARGET_DIR/debug/examples/agent" "$program"
done
