// SPDX-License-Identifier: MPL-2.0
//! Unusable files are not deleted: they are renamed to `<name>.corrupt-<n>`, or to `<name>.foreign-<n>` if they belong
//! to another user, a bounded number of times.

use std::ffi::{CStr, CString};

use crate::defaults::MAX_SET_ASIDE;
use crate::error::Error;
use crate::sys::fail;
use crate::sys::file::Dir;

/// Renames what cannot be used to the first free name, and says so; when there are enough of them, it is left to be
/// replaced.
pub(super) fn set_aside(dir: &Dir, name: &CStr, error: Error) -> Error {
    let moved = move_aside(dir, name, "corrupt");
    error.followed_by(told(name, moved))
}

/// Renames a file of another user to the first free name, which is returned; `None` when there are enough of them.
pub(super) fn set_foreign_aside(dir: &Dir, name: &CStr) -> std::io::Result<Option<CString>> {
    move_aside(dir, name, "foreign")
}

fn move_aside(dir: &Dir, name: &CStr, why: &str) -> std::io::Result<Option<CString>> {
    let Some(free) = free_name(dir, name, why, None)? else { return Ok(None) };
    fail::failing("aside:rename").and_then(|()| dir.rename(name, &free))?;
    Ok(Some(free))
}

/// Gives a file that is going to be replaced such a name as well. What became of it is returned.
pub(super) fn keep(dir: &Dir, name: &CStr) -> String {
    let kept = || -> std::io::Result<Option<CString>> {
        let own = dir.inode(name)?;
        let Some(free) = free_name(dir, name, "corrupt", own)? else { return Ok(None) };
        if dir.inode(&free)?.is_none() {
            dir.link(name, &free)?;
        }
        Ok(Some(free))
    };
    told(name, kept())
}

/// The first name that is free, or that this very file has already.
fn free_name(dir: &Dir, name: &CStr, why: &str, own: Option<(u64, u64)>) -> std::io::Result<Option<CString>> {
    for number in 1..=MAX_SET_ASIDE {
        let aside = CString::new([name.to_bytes(), format!(".{why}-{number}").as_bytes()].concat())?;
        let found = dir.inode(&aside)?;
        if found.is_none() || found == own {
            return Ok(Some(aside));
        }
    }
    Ok(None)
}

fn told(name: &CStr, kept: std::io::Result<Option<CString>>) -> String {
    let name = name.to_string_lossy();
    match kept {
        Ok(Some(aside)) => format!("set aside as {}", aside.to_string_lossy()),
        Ok(None) => format!("not set aside, for there are {MAX_SET_ASIDE} of {name} already"),
        Err(error) => format!("set aside {name}: {error}"),
    }
}
