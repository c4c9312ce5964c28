#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The short form of the measurement of docs/gapless.md: where the library keeps the socket, nothing is refused, reset or cut.
set -euo pipefail

# Built with the tests already.
cargo test --locked --quiet -p proxyprocess-benches --bench gapless -- --bench --inherited-only --check \
    --programs haproxy,nginx,agent --replacements 5 --agent-kills 2 --crashes 3
