#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The tests of the library once more as on a kernel without pidfds and close_range, and with a fork for a vfork. The C
# interface is tested so under valgrind, which has neither. And as where no cgroups can be made, as root, who can read all.
set -euo pipefail

# The crash tests are left to the other runs: they need an agent of their own, and minutes.
export PROXYPROCESS_TEST_CGROUP=off RUSTFLAGS="--cfg proxyprocess_no_pidfd" CARGO_TARGET_DIR="$CARGO_TARGET_DIR/no-pidfd"
cargo test --locked --lib
cargo test --locked --test integration -- agent:: faults:: hosts:: library:: listen:: readiness:: stops:: strangers:: \
    --skip other_agents:: --skip c_abi::
