#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Builds the fuzz targets and runs each from its seeds. With no argument that is for a number of inputs which are nearly the same each
# time (the order in hash maps differs, and what libFuzzer makes of it), so that a change is seldom refused for a fault that was
# there before. With a number each runs for so many seconds with any inputs: to look for faults, by hand. With `build` it only
# builds, which tools.sh has done beside the other steps. cargo-fuzz is not needed: these are the flags that it gives, but for
# the sanitizer.
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
# With --target, so that the programs that run during the build are built as usual.
host=$(rustc -vV | sed -n 's/^host: //p')
(
    cd fuzz
    CARGO_TARGET_DIR="$target" RUSTFLAGS="--cfg fuzzing $coverage" cargo build --quiet --locked --release --target "$host"
)
[[ "${1-}" != build ]] || exit 0

if [[ -n ${1-} ]]; then
    extent="-max_total_time=$1"
else
    extent="-seed=1 -runs=50000"
fi
found="$target/found"
rm -rf "$found"
mkdir -p "$found"
fuzz() {
    local name=$1
    # shellcheck disable=SC2086 # several arguments
    if "$target/$host/release/$name" $extent -timeout=10 -rss_limit_mb=1024 -max_len=16384 -dict=fuzz/json.dict \
        -artifact_prefix="$found/$name-" "$(mktemp -d "$found/corpus.XXXXXX")" "fuzz/seeds/$name" >"$found/$name.log" 2>&1; then
        echo "--- $name: $(grep -aw DONE "$found/$name.log")"
    else
        tail -n 60 "$found/$name.log" >&2
        echo "--- $name failed: $(echo "$found/$name-"*)" >&2
        return 1
    fi
}
export -f fuzz
export target host found extent
sed -n 's/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml | grep -v '^proxyprocess-fuzz$' | xargs -P 2 -I NAME bash -c 'fuzz NAME'
