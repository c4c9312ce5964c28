// SPDX-License-Identifier: MPL-2.0
//! What of a data directory can be told to be as it was.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::support::{Changes, Deadline, Start};

/// Everything below a path, by path: type and mode, owner, names, size, when it was changed, content.
pub(crate) fn everything(path: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    describe(path, &mut all);
    all
}

fn describe(path: &Path, all: &mut BTreeMap<PathBuf, String>) {
    let found = fs::symlink_metadata(path).expect("look at what is there");
    let content = if found.is_file() { fs::read(path).unwrap_or_default() } else { Vec::new() };
    let who = format!("{:o} {} {} {:?}", found.mode(), found.uid(), found.nlink(), found.modified());
    all.insert(path.to_owned(), format!("{who} {:?}", String::from_utf8_lossy(&content)));
    if found.is_dir() {
        for entry in fs::read_dir(path).expect("list a directory") {
            describe(&entry.expect("an entry").path(), all);
        }
    }
}

/// Waits until everything that there is of running proxies is below this directory.
#[track_caller]
pub(crate) fn wait_for_files(data_dir: &Path, starts: &[&Start]) {
    let changes = Changes::of(data_dir);
    let deadline = Deadline::of(format!("the files of {starts:?}"));
    while let Err(missing) = check_files(data_dir, starts) {
        assert!(!deadline.is_over(), "missing, or not as it should be: {missing:?} ({starts:?})");
        changes.wait(std::time::Duration::from_millis(20));
    }
}

/// The path that is not as it should be, if one is not.
fn check_files(data_dir: &Path, starts: &[&Start]) -> Result<(), PathBuf> {
    let regular = |path: PathBuf| match fs::symlink_metadata(&path) {
        Ok(found) if found.is_file() && found.nlink() == 1 && found.mode() & 0o777 == 0o600 => Ok(path),
        _ => Err(path),
    };
    let document = |path: PathBuf| -> Result<serde_json::Value, PathBuf> {
        let path = regular(path)?;
        fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).ok_or(path)
    };
    for name in ["", "logs", "pids", "records"] {
        let path = data_dir.join(name);
        let private = fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir() && found.mode() & 0o777 == 0o700);
        if !private {
            return Err(path);
        }
    }
    let snapshot = document(data_dir.join("snapshot.json"))?;
    for Start { id, pid, .. } in starts {
        let record = data_dir.join(format!("records/{id}.json"));
        let path = regular(data_dir.join(format!("pids/{id}.pid")))?;
        if fs::read_to_string(&path).ok() != Some(format!("{pid}\n")) {
            return Err(path);
        }
        if document(record.clone())?["pid"].as_u64() != Some(u64::from(*pid)) {
            return Err(record);
        }
        if snapshot["Proxies"][id].is_null() {
            return Err(data_dir.join("snapshot.json"));
        }
        for stream in ["stdout", "stderr"] {
            regular(data_dir.join(format!("logs/{id}-{stream}.log")))?;
        }
    }
    Ok(())
}
