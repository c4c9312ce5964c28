//! Where the files of an id are, below a part of the data directory: for very long ids in directories of their own.

use std::ffi::CString;
use std::io;

use super::data_dir::Part;
use super::encode::FileName;
use crate::sys::file::Dir;

/// How the temporary name of a file ends; it begins with a dot.
const TEMPORARY: &str = ".tmp";

pub(super) fn temporary(name: &FileName) -> CString {
    name.leaf(".", TEMPORARY)
}

/// Removes what [`temporary`] has named, also in the directories of very long ids.
pub(super) fn remove_temporaries(dir: &Dir) -> io::Result<()> {
    for name in dir.list()? {
        let name = name.as_encoded_bytes();
        let leaf = CString::new(name)?;
        if name.starts_with(b".") && name.ends_with(TEMPORARY.as_bytes()) {
            dir.remove(&leaf)?;
        } else if name.starts_with(b"%") && name.ends_with(b"+") {
            remove_temporaries(&dir.open_dir(&leaf)?)?;
        }
    }
    Ok(())
}

/// The directory of an id's files, made if it is not there.
pub(super) fn descend(part: Dir, name: &FileName) -> io::Result<Dir> {
    name.parents.iter().try_fold(part, |place, parent| place.open_or_create_dir(parent))
}

/// The directory of an id's files, if it is there.
pub(super) fn descend_existing(root: &Dir, part: Part, name: &FileName) -> io::Result<Option<Dir>> {
    let names = std::iter::once(part.name()).chain(name.parents.iter().map(CString::as_c_str));
    let mut place = None;
    for name in names {
        place = match place.as_ref().unwrap_or(root).open_dir(name) {
            Ok(dir) => Some(dir),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
    }
    Ok(place)
}
