// SPDX-License-Identifier: MPL-2.0
//! The cgroups that a manager had below another base. They are in a directory with the name of its own, which no other manager has,
//! for it is that of the data directory.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::defaults::CGROUP_REMOVAL_PATIENCE;
use crate::logging::{Level, Log};
use crate::sys::cgroup::directory;

/// How many cgroups of the machine are looked at: a machine with thousands of containers has so many, which takes some ten
/// milliseconds.
const MOST: usize = 16_384;

/// The directories that the manager of this one had below other bases.
pub(super) fn find(home: &Path) -> Vec<PathBuf> {
    let top = home.ancestors().skip(1).take_while(|path| directory::is_cgroup(path)).last();
    let Some((top, name)) = top.zip(home.file_name()) else { return Vec::new() };
    let id_of = |path: &Path| fs::metadata(path).map(|directory| (directory.dev(), directory.ino())).ok();
    let own = id_of(home);
    directory::search(top, name, MOST).into_iter().filter(|found| id_of(found) != own).collect()
}

/// Removes of these what no process is in, and says what stays. Once it was said that processes are in some, that is no news.
pub(super) fn remove(homes: &[PathBuf], is_news: bool, log: &Log) {
    for home in homes.iter().filter(|home| home.exists()) {
        let (removed, shown) = (remove_soon(home), home.display());
        let by_hand = format_args!("by hand: rmdir {shown}/*/ {shown}");
        match removed {
            Ok(in_use) if in_use.is_empty() => {
                log.write(Level::Info, format_args!("cgroup: {shown}, of an earlier base, is removed"));
            }
            Ok(in_use) if is_news => {
                let in_use = in_use.join(", ");
                let when = "when this agent or the next one ends, or the next one begins, and they have ended";
                log.write(
                    Level::Info,
                    format_args!(
                        "cgroup: {shown}, of an earlier base, stays, for processes are in {in_use}: it is removed {when}, or {by_hand}"
                    ),
                );
            }
            Ok(_) => {}
            Err(error) => {
                let message = format_args!("remove cgroup {shown}, of an earlier base: {error}; {by_hand}");
                log.write(Level::Warn, message);
            }
        }
    }
}

/// The same as [`remove_unused`], once what has just ended does not count any more.
fn remove_soon(home: &Path) -> io::Result<Vec<String>> {
    let until = Instant::now() + CGROUP_REMOVAL_PATIENCE;
    loop {
        let in_use = remove_unused(home)?;
        if in_use.is_empty() || !directory::processes(home)?.is_empty() || Instant::now() >= until {
            return Ok(in_use);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// The names of those in it that processes are in, for which it stays.
fn remove_unused(home: &Path) -> io::Result<Vec<String>> {
    match directory::remove_children(home).and_then(|()| directory::remove_empty(home)) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::ENOTEMPTY)) => {
            let name = |path: &PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
            let mut names: Vec<String> = directory::below(home)?.iter().filter_map(name).collect();
            names.sort();
            if names.is_empty() {
                // Nothing of a manager is in it but its proxies: what is, was moved there.
                names.push("it".to_owned());
            }
            Ok(names)
        }
        removed => removed.map(|()| Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::sys::cgroup::hierarchy::{Whose, directory_of};
    use crate::sys::random::uuid;

    #[test]
    fn cgroup_with_a_process_of_its_own_is_not_said_to_be_removed() {
        let Some(own) = directory_of(Whose::Own).unwrap() else { return };
        let home = own.join(format!("proxyprocess-test-{}", uuid().unwrap()));
        if directory::make(&home).is_err() {
            return; // not as this user
        }
        let mut child = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
        fs::write(home.join("cgroup.procs"), child.id().to_string()).unwrap();
        directory::make(&home.join("web.proxy")).unwrap();
        assert_eq!(remove_soon(&home).unwrap(), ["it"]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(remove_soon(&home).unwrap().is_empty() && !home.exists());
        assert!(remove_soon(&home).unwrap().is_empty(), "nor is what is gone an error");
    }
}
