#!/usr/bin/env bash
# The tests of the library once more as on a kernel without pidfds and close_range, and with a fork for a vfork. The C
# interface is tested so under valgrind, which has neither.
set -euo pipefail

# The crash tests have had their minute with pidfds.
export PROXYPROCESS_SWEEP_PART=10 PROXYPROCESS_CAMPAIGN_ROUNDS=20
RUSTFLAGS="--cfg proxyprocess_no_pidfd" CARGO_TARGET_DIR="$CARGO_TARGET_DIR/no-pidfd" cargo test --locked --lib \
    --test agent --test crashes --test faults --test hosts --test library --test stops --test strangers
