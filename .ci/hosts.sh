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
command -v javac >/dev/null || missing+=(default-jdk-headless)
[[ -e /usr/share/java/jna.jar ]] || missing+=(libjna-java)
command -v mcs >/dev/null || missing+=(mono-mcs)
[[ -e /usr/lib/mono/4.5/Mono.Posix.dll ]] || missing+=(libmono-posix4.0-cil)
command -v erlc >/dev/null || missing+=(erlang-base)
[[ -e /usr/include/erl_nif.h ]] || missing+=(erlang-dev)
command -v Rscript >/dev/null || missing+=(r-base-core)
[[ -e $(pg_config --includedir-server 2>/dev/null)/postgres.h ]] || missing+=(postgresql-server-dev-15)
[[ -x $(pg_config --bindir 2>/dev/null)/initdb ]] || missing+=(postgresql-15)
command -v npm >/dev/null || missing+=(nodejs npm)
if ((${#missing[@]})); then
    apt-get update
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends "${missing[@]}"
fi
modules="${CARGO_TARGET_DIR:-$PWD/target}/node"
[[ -d $modules/node_modules/koffi ]] || npm install --silent --prefix "$modules" koffi@2.9.0
export NODE_PATH="$modules/node_modules"
if (($#)); then
    exec cargo test --quiet --locked --test runtimes -- --twice "$@"
fi
exec cargo test --quiet --locked --test runtimes -- --twice --write all
