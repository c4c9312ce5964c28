// SPDX-License-Identifier: MPL-2.0
//! The executable file of a process, and the file that a declared program names.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::living_thread;

/// Where programs without a `/` are searched for when there is no `PATH`, as the C library assumes.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A file by device and inode: the same under every name, and also when it was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

impl FileId {
    /// The executable file of a process, whose first thread may have ended.
    ///
    /// # Errors
    /// EACCES when this process may not know it (ptrace(2), "Ptrace access mode checking"); ENOENT for a process that has
    /// ended.
    pub(crate) fn of_process(pid: i32) -> io::Result<FileId> {
        std::fs::metadata(living_thread::directory(pid)?.join("exe")).map(|file| FileId(file.dev(), file.ino()))
    }
}

/// How a declaration names its program.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ProgramName {
    /// The first word of the command.
    pub(crate) word: OsString,
    /// The `PATH` that the process has, if any.
    pub(crate) path: Option<OsString>,
    /// The working directory of the process, if one is declared.
    pub(crate) dir: Option<PathBuf>,
}

impl ProgramName {
    /// The file that is there now under this name. It may be another one than was executed: a newer version.
    pub(crate) fn file(&self) -> Option<FileId> {
        let dir = self.dir.as_deref().unwrap_or(Path::new(""));
        let files = search_paths(&self.word, self.path.as_deref().map(OsStr::as_bytes));
        let found = files.iter().find_map(|file| std::fs::metadata(dir.join(file)).ok().filter(|file| file.is_file()));
        found.map(|file| FileId(file.dev(), file.ino()))
    }
}

/// Where a program is searched for: as named when it has a slash, else in each directory of the `PATH`.
pub(crate) fn search_paths(word: &OsStr, path: Option<&[u8]>) -> Vec<OsString> {
    if word.as_bytes().contains(&b'/') {
        return vec![word.to_owned()];
    }
    let dirs = path.unwrap_or(DEFAULT_PATH.as_bytes()).split(|&byte| byte == b':');
    dirs.map(|dir| Path::new(OsStr::from_bytes(if dir.is_empty() { b"." } else { dir })).join(word).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(word: &str, path: Option<&str>, dir: Option<&Path>) -> Option<FileId> {
        ProgramName { word: word.into(), path: path.map(OsString::from), dir: dir.map(Path::to_owned) }.file()
    }

    #[test]
    fn a_program_is_found_as_it_is_executed() {
        let own = FileId::of_process(std::process::id() as i32).unwrap();
        let program = std::env::current_exe().unwrap();
        let (dir, name) = (program.parent().unwrap(), program.file_name().unwrap().to_str().unwrap());
        let in_path = format!("/nonexistent:{}", dir.display());
        assert_eq!(named(program.to_str().unwrap(), None, None), Some(own));
        assert_eq!(named(name, Some(&in_path), None), Some(own));
        assert_eq!(named(&format!("./{name}"), None, Some(dir)), Some(own));
        assert_eq!(named(name, Some(""), Some(dir)), Some(own), "an empty entry is the working directory");
        assert_eq!(named(name, Some("/nonexistent"), Some(dir)), None);
        assert_eq!(named("/", None, None), None, "a directory is no program");
        assert_ne!(named("sh", None, None), Some(own));
    }
}
