#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The README's first command.
set -euo pipefail

cargo run --locked -p proxyprocess-agent -- demo
