#!/usr/bin/env bash
# The README's first command.
set -euo pipefail

cargo run --locked -p proxyprocess-agent -- demo
