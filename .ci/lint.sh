#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Formatting, lints, documentation, and what no lint knows.
set -euo pipefail

cargo fmt --all --check
rustfmt --check --edition 2024 fuzz/fuzz_targets/*.rs
cargo clippy --locked --all-targets -- -D warnings
cargo clippy --locked --test runtimes -- -D warnings
cargo clippy --locked --features fail-points -- -D warnings
# What only the fuzz targets use.
RUSTFLAGS="--cfg fuzzing" cargo check --locked --lib --target-dir "${CARGO_TARGET_DIR:-target}/fuzzing"
cargo clippy --locked -p proxyprocess-benches --all-targets -- -D warnings
cargo clippy --locked -p proxyprocess-compat --all-targets -- -D warnings
# By itself, for it has the library without the C interface.
cargo clippy --locked -p proxyprocess-agent --features fail-points -- -D warnings
# The library alone without the C interface: the agent's dependencies may turn features on that it does not have.
cargo clippy --locked --lib --no-default-features -- -D warnings
# The other architecture that the library has code for, where its standard library is to be had.
if rustup target add aarch64-unknown-linux-gnu 2>/dev/null; then
    cargo clippy --locked --target aarch64-unknown-linux-gnu --lib -- -D warnings
fi
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

# The lints let `unsafe` be allowed by any file; only these two places may.
if grep -rlE 'allow\(unsafe_code\)' src examples tests benches 2>/dev/null | grep -vE '^src/(sys|ffi)/mod.rs$'; then
    echo "unsafe code outside src/sys and src/ffi" >&2
    exit 1
fi

# The library's own dependencies are a promise.
allowed='crossbeam-channel|crossbeam-utils|libc|log|serde|serde_core|serde_derive|serde_json|itoa|memchr|ryu|zmij|proc-macro2|quote|syn|unicode-ident|proxyprocess'
if cargo tree --locked -p proxyprocess --edges normal --prefix none | awk '{print $1}' | sort -u | grep -vxE "$allowed"; then
    echo "a dependency that is not in the list" >&2
    exit 1
fi
