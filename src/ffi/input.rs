// SPDX-License-Identifier: MPL-2.0
//! Pointers that come from C. Only C creates them. That they are NULL or valid during the call is what the section
//! "Pointers" of the header requires; the unsafe blocks here rely on nothing else.

use std::ffi::{CStr, OsStr, OsString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::proxyprocess_code;
use super::failure::Failure;

/// A string that ends with NUL, or NULL. In C: `const char *`.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Text(*const c_char);

impl Text {
    /// No string: the value of an option before the caller sets it.
    pub(super) const NULL: Text = Text(std::ptr::null());

    /// The string without its NUL; `None` for NULL.
    pub(super) fn get(&self) -> Option<&CStr> {
        // SAFETY: C made the pointer, and promises that it is NULL or a string that ends with NUL and stays as it is
        // during the call; `self` does not outlive the call.
        (!self.0.is_null()).then(|| unsafe { CStr::from_ptr(self.0) })
    }

    /// The string, which is required.
    pub(super) fn bytes(&self, name: &str) -> Result<&[u8], Failure> {
        self.get().map(CStr::to_bytes).ok_or_else(|| Failure::null(name))
    }

    /// The string, which is required and must be UTF-8.
    pub(super) fn utf8(&self, name: &str) -> Result<&str, Failure> {
        self.bytes(name).and_then(|bytes| utf8(name, bytes))
    }

    /// The string if there is one; it must be UTF-8.
    pub(super) fn optional_utf8(&self, name: &str) -> Result<Option<String>, Failure> {
        self.get().map(|text| utf8(name, text.to_bytes()).map(str::to_owned)).transpose()
    }

    /// The path, which is required.
    pub(super) fn path(&self, name: &str) -> Result<&Path, Failure> {
        self.bytes(name).map(|bytes| Path::new(OsStr::from_bytes(bytes)))
    }

    /// The path if there is one.
    pub(super) fn optional_path(&self) -> Option<PathBuf> {
        self.get().map(|path| PathBuf::from(OsStr::from_bytes(path.to_bytes())))
    }

    /// A text of this many bytes, which need not end with NUL and must be UTF-8.
    pub(super) fn utf8_of_length(&self, name: &str, length: usize) -> Result<&str, Failure> {
        if length == 0 {
            return Ok("");
        }
        if self.0.is_null() {
            return Err(Failure::null(name));
        }
        check_length(name, length)?;
        // SAFETY: C made the pointer, which is not NULL, and promises that `length` bytes are behind it and stay as
        // they are during the call; the length is one that memory can have.
        utf8(name, unsafe { std::slice::from_raw_parts(self.0.cast::<u8>(), length) })
    }
}

/// An array of strings that ends with a NULL, or NULL. In C: `const char *const *`.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct TextList(*const Text);

impl TextList {
    pub(super) const NULL: TextList = TextList(std::ptr::null());

    /// The strings, copied; none for NULL.
    pub(super) fn words(&self) -> Vec<OsString> {
        let mut words = Vec::new();
        let mut at = self.0;
        while !at.is_null() {
            // SAFETY: C made the pointer, and promises an array that ends with a NULL, before which `at` still is.
            let word = unsafe { at.read() };
            let Some(word) = word.get() else { break };
            words.push(OsStr::from_bytes(word.to_bytes()).to_owned());
            // SAFETY: what was read was not the NULL at the end, so there is a next element.
            at = unsafe { at.add(1) };
        }
        words
    }
}

/// An array of numbers with its length, or NULL. In C: `const uint32_t *`.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Numbers(*const u32);

impl Numbers {
    pub(super) const NULL: Numbers = Numbers(std::ptr::null());

    pub(super) fn of_length(&self, name: &str, length: usize) -> Result<&[u32], Failure> {
        if length == 0 {
            return Ok(&[]);
        }
        if self.0.is_null() {
            return Err(Failure::null(name));
        }
        check_length(name, length)?;
        // SAFETY: C made the pointer, which is not NULL, and promises that `length` aligned numbers are behind it and
        // stay as they are during the call; the length is one that memory can have.
        Ok(unsafe { std::slice::from_raw_parts(self.0, length) })
    }
}

/// A boolean: 0 or 1.
pub(super) fn boolean(name: &str, value: u8) -> Result<bool, Failure> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Failure::argument(format!("{name}: expected 0 or 1, got {other}"))),
    }
}

/// A longer length is a mistake, such as a converted negative number: nothing here needs that much.
fn check_length(name: &str, length: usize) -> Result<(), Failure> {
    const MOST: usize = 1 << 30;
    if length > MOST {
        return Err(Failure::argument(format!("{name}: expected a length of at most {MOST}, got {length}")));
    }
    Ok(())
}

pub(super) fn utf8<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, Failure> {
    std::str::from_utf8(bytes).map_err(|error| {
        let message = format!("{name}: expected UTF-8, got something else at offset {}", error.valid_up_to());
        Failure::new(proxyprocess_code::PROXYPROCESS_E_INVALID_UTF8, message)
    })
}
