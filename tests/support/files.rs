// SPDX-License-Identifier: MPL-2.0
//! Waiting for something that shows in files: woken by the kernel when they change.

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify;

use super::process::readable;

/// A directory and those in it, watched for any change.
#[derive(Debug)]
pub(crate) struct Changes {
    fd: OwnedFd,
    root: PathBuf,
}

impl Changes {
    /// Watches from now on: what is looked at after this and changes later is not missed.
    pub(crate) fn of(root: &Path) -> Changes {
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).expect("inotify");
        let changes = Changes { fd, root: root.to_owned() };
        changes.watch();
        changes
    }

    /// Watches the directories that are there by now.
    fn watch(&self) {
        let below = fs::read_dir(&self.root).into_iter().flatten().flatten().map(|entry| entry.path());
        let parent = self.root.parent().map(Path::to_owned);
        for dir in below.chain([self.root.clone()]).chain(parent).filter(|path| path.is_dir()) {
            let what = inotify::WatchFlags::CREATE
                | inotify::WatchFlags::DELETE
                | inotify::WatchFlags::MOVE
                | inotify::WatchFlags::MODIFY;
            // One that has gone meanwhile has nothing to watch.
            let _ = inotify::add_watch(&self.fd, dir, what);
        }
    }

    /// Waits for a change, at most this long.
    pub(crate) fn wait(&self, at_most: Duration) {
        if !readable(self.fd.as_fd(), at_most) {
            return;
        }
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.fd, &mut buffer);
        while events.next().is_ok() {}
        self.watch();
    }
}
