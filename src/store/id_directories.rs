// SPDX-License-Identifier: MPL-2.0
//! The directories for the files of an id, below a subdirectory of the data directory: very long ids have their own.

use std::ffi::CString;
use std::io;
use std::sync::Arc;

use super::file_place::FilePlace;
use super::id_file_names::FileName;
use crate::sys::file::Dir;

/// How the temporary name of a file ends; it begins with a dot.
const TEMPORARY: &str = ".tmp";

pub(super) fn temporary(name: &FileName, place: FilePlace) -> CString {
    name.leaf(place.temporary(), TEMPORARY)
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
pub(super) fn descend(part: Arc<Dir>, name: &FileName) -> io::Result<Arc<Dir>> {
    name.parents.iter().try_fold(part, |place, parent| place.open_or_create_dir(parent).map(Arc::new))
}

/// The directory of an id's files, if it is there.
pub(super) fn descend_existing(part: Option<Arc<Dir>>, name: &FileName) -> io::Result<Option<Arc<Dir>>> {
    let Some(mut place) = part else { return Ok(None) };
    for parent in &name.parents {
        place = match place.open_dir(parent) {
            Ok(dir) => Arc::new(dir),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
    }
    Ok(Some(place))
}
