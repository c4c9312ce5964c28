#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The README's test command: unit, integration and documentation tests.
set -euo pipefail

cargo test --locked
