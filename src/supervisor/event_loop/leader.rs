// SPDX-License-Identifier: MPL-2.0
//! The leader of the processes of a slot, and what identifies those processes.

use std::path::Path;
use std::sync::Arc;

use crate::supervisor::scan::process_tag::ProcessTag;
use crate::supervisor::spec::Spec;
use crate::sys::pid::Pid;

/// The last process that was started or adopted, or whose adoption was refused because it is gone.
#[derive(Debug)]
pub(crate) struct Leader {
    /// Its pid, unless that was recycled; that of its group if it leads in place of the process that was started.
    pub(crate) pid: Option<Pid>,
    pub(crate) source: Source,
    /// Where all of its processes are, if it began in a cgroup of its own.
    pub(crate) cgroup: Option<Arc<Path>>,
}

/// What a leader was started from, or found by.
#[derive(Debug)]
pub(crate) enum Source {
    Started(Arc<Spec>),
    Claimed(Box<ProcessTag>),
}

/// Another process is being proven that was named as the leader.
#[derive(Debug, Default)]
pub(crate) struct LeaderChange {
    /// The last one that was named meanwhile.
    pub(crate) then: Option<Pid>,
}

impl Leader {
    /// By what its processes are known.
    pub(crate) fn tag(&self) -> ProcessTag {
        match &self.source {
            Source::Started(spec) => ProcessTag::of(&spec.id, spec.config.token.as_deref(), &spec.context.owner_tag),
            Source::Claimed(tag) => (**tag).clone(),
        }
    }
}
