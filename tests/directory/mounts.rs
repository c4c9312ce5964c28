// SPDX-License-Identifier: MPL-2.0
//! Tests in a mount namespace of their own: what they mount is not seen elsewhere, and is gone with them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, mount_remount, unmount,
};
use rustix::process::geteuid;

use crate::support::alone_under;

/// A namespace of mounts; who is not root is root in one of users.
fn namespace() -> Vec<&'static str> {
    let mut words = vec!["unshare", "--mount"];
    if !geteuid().is_root() {
        words.extend(["--user", "--map-root-user"]);
    }
    words
}

/// Runs the body of the test of this name within this program in a process that may mount.
#[track_caller]
pub(crate) fn with_mounts(name: &str, body: impl FnOnce()) {
    let programs = namespace();
    if !crate::support::is_alone() && !works(&programs) {
        assert!(std::env::var_os("PROXYPROCESS_CI").is_none() || !geteuid().is_root(), "{programs:?} fails");
        println!("skipped: {programs:?} does not work here");
        return;
    }
    alone_under(&programs, name, || {
        let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", flags).expect("keep the mounts to this process");
        body();
    });
}

pub(crate) fn works(programs: &[&str]) -> bool {
    let mut command = Command::new(programs[0]);
    command.args(&programs[1..]).arg("true").stdin(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A mount, gone when it is dropped: the directory below is to be removed.
#[derive(Debug)]
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// A file system in memory, of so many bytes and files; it is made with its directory.
    pub(crate) fn memory(at: &Path, bytes: usize, files: usize) -> Mount {
        std::fs::create_dir_all(at).expect("make a directory to mount at");
        let options = std::ffi::CString::new(format!("mode=0700,size={bytes},nr_inodes={files}")).expect("no NUL");
        mount("none", at, "tmpfs", MountFlags::empty(), options.as_c_str()).expect("mount a tmpfs");
        Mount(at.to_owned())
    }

    /// A directory under another name; it is made with its directory.
    pub(crate) fn bind(from: &Path, at: &Path) -> Mount {
        std::fs::create_dir_all(at).expect("make a directory to mount at");
        mount_bind(from, at).expect("bind a directory");
        Mount(at.to_owned())
    }

    /// Has what is mounted be written to, or not.
    #[track_caller]
    pub(crate) fn set_writable(&self, writable: bool) {
        let readonly = if writable { MountFlags::empty() } else { MountFlags::RDONLY };
        mount_remount(&self.0, MountFlags::BIND | readonly, c"").expect("mount it again");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}
