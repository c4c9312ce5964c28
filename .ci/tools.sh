#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The fuzz targets are built here for fuzz.sh, and then cargo-c for install.sh, which takes minutes: on what the tests leave
# of the cores (SCHED_IDLE).
set -euo pipefail

done="$CARGO_TARGET_DIR/tools/done"
mkdir -p "$CARGO_TARGET_DIR/tools"
rm -f "$done"
if command -v cargo-cinstall >/dev/null; then
    echo 0 >"$done"
    exit
fi
build() {
    local result=0
    # The newest that the oldest supported compiler of CI builds.
    CARGO_TARGET_DIR="$CARGO_TARGET_DIR/tools/build" CARGO_PROFILE_DEV_DEBUG=0 chrt --idle 0 cargo install --debug --locked \
        --root "$CARGO_TARGET_DIR/tools" cargo-c --version 0.10.24+cargo-0.98.0 || result=$?
    rm -rf "$CARGO_TARGET_DIR/tools/build"
    echo "$result" >"$done"
}
build_fuzz_targets() {
    # What fails here fails again, and is seen, in fuzz.sh.
    nice -n 10 .ci/fuzz.sh build || true
}
{
    build_fuzz_targets
    build
} >"$CARGO_TARGET_DIR/tools/log" 2>&1 </dev/null &
