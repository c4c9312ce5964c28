// SPDX-License-Identifier: MPL-2.0
//! Arguments and environment in the kernel's form.

use std::ffi::{CString, OsString, c_char};
use std::io;
use std::os::unix::ffi::OsStringExt;

use super::program::Variable;

/// An array of C strings, NULL-terminated, that owns them.
pub(super) struct CStrings {
    pub(super) pointers: Vec<*const c_char>,
    pub(super) owned: Vec<CString>,
}

impl CStrings {
    pub(super) fn new(strings: impl IntoIterator<Item = OsString>) -> io::Result<CStrings> {
        let owned = strings.into_iter().map(c_string).collect::<io::Result<Vec<CString>>>()?;
        let pointers = owned.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect();
        Ok(CStrings { pointers, owned })
    }
}

/// The environment in the kernel's form: most of it is borrowed.
pub(super) fn environment(variables: Vec<Variable<'_>>) -> io::Result<(Vec<*const c_char>, Vec<CString>)> {
    let (mut pointers, mut owned) = (Vec::with_capacity(variables.len() + 1), Vec::new());
    for variable in variables {
        match variable {
            Variable::Prepared(text) => pointers.push(text.as_ptr()),
            Variable::Own(text) => {
                let text = c_string(text)?;
                // The text stays where it is when the vector moves.
                pointers.push(text.as_ptr());
                owned.push(text);
            }
        }
    }
    pointers.push(std::ptr::null());
    Ok((pointers, owned))
}

pub(super) fn c_string(text: OsString) -> io::Result<CString> {
    CString::new(text.into_vec()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}
