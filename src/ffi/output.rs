//! Strings that go to C: lent, or given away.

use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;

use super::failure::Failure;

/// A string that belongs to the caller. In C: `char *`.
#[repr(transparent)]
pub struct OwnedText(*mut c_char);

impl OwnedText {
    /// Takes the string back, to free it.
    pub(super) fn take_back(self) -> Option<CString> {
        // SAFETY: `give`, the only maker of these pointers, got it from CString::into_raw, and C promises not to have
        // freed it before or written to it.
        (!self.0.is_null()).then(|| unsafe { CString::from_raw(self.0) })
    }
}

/// A string that stays with the library. In C: `const char *`.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct TextOut(*const c_char);

impl TextOut {
    pub(super) const NULL: TextOut = TextOut(std::ptr::null());

    /// Only C looks at it, and is told how long it may.
    pub(super) fn of(text: &CStr) -> TextOut {
        TextOut(text.as_ptr())
    }

    /// What C would read of a static text.
    #[cfg(test)]
    pub(super) fn text(self) -> &'static str {
        // SAFETY: only asked of functions that return static texts.
        unsafe { CStr::from_ptr(self.0) }.to_str().unwrap()
    }
}

/// Where a string is put.
pub type OwnedTextOut<'a> = Option<&'a mut MaybeUninit<OwnedText>>;

/// Gives a string away, and its length where it is asked for.
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
    out.write(OwnedText(text));
    if let Some(length) = length {
        length.write(bytes);
    }
    Ok(())
}

/// A string of the library's with any NUL replaced, for C to read up to its end.
pub(super) fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}
