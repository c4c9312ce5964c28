#!/usr/bin/env bash
# The tests of the library once more as on a kernel without pidfds and close_range, and with a fork for a vfork. The C
# interface is tested so under valgrind, which has neither.
set -euo pipefail

# The crash tests are left to the other runs: they need an agent of their own, and minutes.
RUSTFLAGS="--cfg proxyprocess_no_pidfd" CARGO_TARGET_DIR="$CARGO_TARGET_DIR/no-pidfd" cargo test --locked --lib \
    --test agent --test faults --test hosts --test library --test stops --test strangers
