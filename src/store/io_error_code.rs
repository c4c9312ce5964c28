// SPDX-License-Identifier: MPL-2.0
//! The error code for an I/O error on the data directory.

use crate::error::ErrorCode;

/// What the kernel refuses by itself is Io; what we refuse has no errno.
pub(crate) fn code_of(error: &std::io::Error) -> ErrorCode {
    match error.raw_os_error() {
        None => ErrorCode::Untrusted,
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => ErrorCode::Exhausted,
        Some(_) => ErrorCode::Io,
    }
}
