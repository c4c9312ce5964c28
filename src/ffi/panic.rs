// SPDX-License-Identifier: MPL-2.0
//! What C gets at a panic: a code. No panic of the library unwinds into its caller.

use super::error::proxyprocess_code;
use super::failure::Failure;
use crate::host_code;

/// Runs the body of a call and makes a failure with [`proxyprocess_code::PROXYPROCESS_E_PANIC`] of a panic. What the panic
/// may have left half changed is the caller's to use no more: a handle is poisoned.
pub(super) fn caught(body: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    host_code::caught(body).unwrap_or_else(|panic| {
        let message = format!("fault of the library: {}", panic.message());
        Err(Failure::new(proxyprocess_code::PROXYPROCESS_E_PANIC, message))
    })
}
