// SPDX-License-Identifier: MPL-2.0
//! Calls into C. Each is marked on its thread, so that a nested call that would wait for itself is refused.

use std::ffi::c_void;

use super::failure::Failure;
use crate::host_code;
pub(super) use crate::host_code::{Inside, within};

/// Fails on a thread that executes code of the host nested deeper than `innermost`.
pub(super) fn allowed_within(innermost: Inside) -> Result<(), Failure> {
    Ok(host_code::allowed_within(innermost)?)
}

/// A word of the host that is passed back unchanged: a pointer or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct UserWord(pub(super) *mut c_void);

// SAFETY: the word is never dereferenced here; the header requires that the host's functions accept it on any thread.
unsafe impl Send for UserWord {}
// SAFETY: as above.
unsafe impl Sync for UserWord {}
