#!/usr/bin/env bash
# The README's test command: unit, integration and documentation tests.
set -euo pipefail

cargo test --locked
