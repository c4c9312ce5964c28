// SPDX-License-Identifier: MPL-2.0
//! Strings that the caller owns.

use std::ffi::CString;
use std::mem::MaybeUninit;

use super::failure::Failure;
use super::output::OwnedText;

/// Where a string is stored.
pub type OwnedTextOut<'a> = Option<&'a mut MaybeUninit<OwnedText>>;

/// Stores a string, or NULL for none, where the caller wants it, and its length if that is requested.
pub(super) fn give(
    name: &str,
    out: OwnedTextOut<'_>,
    length: Option<&mut MaybeUninit<usize>>,
    text: Option<Vec<u8>>,
) -> Result<(), Failure> {
    let out = out.ok_or_else(|| Failure::null(name))?;
    let bytes = text.as_ref().map_or(0, Vec::len);
    let text = match text {
        Some(text) => CString::new(text).map_err(|_| Failure::internal("text with a NUL byte"))?.into_raw(),
        None => std::ptr::null_mut(),
    };
    out.write(OwnedText::of(text));
    if let Some(length) = length {
        length.write(bytes);
    }
    Ok(())
}
