#!/usr/bin/env bash
# The tests once more as on a kernel without pidfds and close_range, and with a fork for a vfork.
set -euo pipefail

RUSTFLAGS="--cfg proxyprocess_no_pidfd" CARGO_TARGET_DIR="$CARGO_TARGET_DIR/no-pidfd" cargo test --locked --lib --tests -- \
    --skip valgrind
