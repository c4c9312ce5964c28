// SPDX-License-Identifier: MPL-2.0
//! Calls into C: each is marked on its thread, so that a call back that would wait for itself is refused.

use std::ffi::c_void;

use super::failure::Failure;
use crate::host_code;
pub(super) use crate::host_code::{Inside, within};

/// Fails on a thread that is in code of the host beyond `innermost`.
pub(super) fn allowed_within(innermost: Inside) -> Result<(), Failure> {
    Ok(host_code::allowed_within(innermost)?)
}

/// A word of the host, handed back to it untouched: a pointer or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct UserWord(pub(super) *mut c_void);

// SAFETY: the word is never looked through here; that the host's functions take it on any thread is what the header
// demands of them.
unsafe impl Send for UserWord {}
// SAFETY: as above.
unsafe impl Sync for UserWord {}
