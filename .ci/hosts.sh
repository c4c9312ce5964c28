#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Runs the programs of ffi-tests/hosts, which have the library in other languages: those whose runtimes packages.sh installs, once,
# and fails where docs/hosts.md has it otherwise. With `all` every one, of which it installs what is missing, twice, and the table
# of docs/hosts.md is written anew: by hand. Names of runtimes after that are those that are run in place of all.
set -euo pipefail
cd "$(dirname "$0")/.."

# As the tests do, so that it takes the same features of the dependencies.
cargo build --quiet --locked -p proxyprocess -p proxyprocess-agent --lib --example test-helper
if [[ ${1-} != all ]]; then
    exec cargo test --quiet --locked --test runtimes -- c go python perl ruby php lua
fi
shift

missing=()
command -v ocamlopt >/dev/null || missing+=(ocaml-nox)
if ((${#missing[@]})); then
    apt-get update
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends "${missing[@]}"
fi
if (($#)); then
    exec cargo test --quiet --locked --test runtimes -- --twice "$@"
fi
exec cargo test --quiet --locked --test runtimes -- --twice --write all
