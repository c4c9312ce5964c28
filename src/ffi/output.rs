// SPDX-License-Identifier: MPL-2.0
//! Strings that go to C: strings that the library owns, and strings that the caller owns.

use std::ffi::{CStr, CString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A string that belongs to the caller. In C: `char *`.
#[repr(transparent)]
pub struct OwnedText(*mut c_char);

impl OwnedText {
    /// NULL, or what CString::into_raw has returned.
    pub(super) fn of(text: *mut c_char) -> OwnedText {
        OwnedText(text)
    }

    /// Takes the string back, to free it.
    pub(super) fn take_back(self) -> Option<CString> {
        // SAFETY: `give`, the only caller of `of`, got it from CString::into_raw, and C promises not to have freed it before
        // or written to it.
        (!self.0.is_null()).then(|| unsafe { CString::from_raw(self.0) })
    }
}

/// A string that the library owns. In C: `const char *`.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct TextOut(*const c_char);

impl TextOut {
    pub(super) const NULL: TextOut = TextOut(std::ptr::null());

    /// Only C reads it, and the header says how long it is valid.
    pub(super) fn of(text: &CStr) -> TextOut {
        TextOut(text.as_ptr())
    }

    /// The string in a struct that C passes back; `None` for NULL.
    pub(super) fn read(&self) -> Option<&CStr> {
        // SAFETY: C promises that a pointer in a struct is NULL or a string that ends with NUL and stays as it is during the
        // call; `self` does not outlive the call.
        (!self.0.is_null()).then(|| unsafe { CStr::from_ptr(self.0) })
    }

    /// What C would read of a static text.
    #[cfg(test)]
    pub(super) fn text(self) -> &'static str {
        // SAFETY: only called with the results of functions that return static texts.
        unsafe { CStr::from_ptr(self.0) }.to_str().unwrap()
    }
}

/// The bytes of a path, which has no NUL.
pub(super) fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

/// A string of the library with any NUL replaced, so that C reads all of it.
pub(super) fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}
