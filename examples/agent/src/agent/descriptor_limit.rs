// SPDX-License-Identifier: MPL-2.0
//! The limit of descriptors of the agent itself.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The library keeps a descriptor a process, and the usual soft limit of 1024 is for the sake of programs that use
/// select(2). It is the host's to raise; the library gives the processes the limit that the agent was started with.
pub(super) fn raise() {
    const DESCRIPTORS: Resource = Resource::RLIMIT_NOFILE;
    let raised = getrlimit(DESCRIPTORS).and_then(|(_, hard)| setrlimit(DESCRIPTORS, hard, hard));
    if let Err(error) = raised {
        log::warn!("raise descriptor limit: {error}");
    }
}
