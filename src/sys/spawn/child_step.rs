// SPDX-License-Identifier: MPL-2.0
//! The steps of a child between clone and exec, and what all of them use: system calls only.

use std::ffi::c_int;

use crate::command::Resource;
use crate::sys::fail::ChildPlan;

/// A step of the child, by the number in [`ChildOutcome`](super::child_report::ChildOutcome).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChildStep {
    Clone,
    OpenPidfd,
    Session,
    Descriptors,
    Cgroup,
    StartTime,
    Inode,
    Record,
    StandardStreams,
    CloseDescriptors,
    ChangeDirectory,
    OomScore,
    Groups,
    Group,
    User,
    Sockets,
    DescriptorLimit,
    ResourceLimit(Resource),
    Nice,
    CpuAffinity,
    ReportDescriptor,
    NoNewPrivs,
    Execute,
}

/// The steps but those of [`ChildStep::ResourceLimit`], which are numbered after them.
const STEPS: [ChildStep; 22] = [
    ChildStep::Clone,
    ChildStep::OpenPidfd,
    ChildStep::Session,
    ChildStep::Descriptors,
    ChildStep::Cgroup,
    ChildStep::StartTime,
    ChildStep::Inode,
    ChildStep::Record,
    ChildStep::StandardStreams,
    ChildStep::CloseDescriptors,
    ChildStep::ChangeDirectory,
    ChildStep::OomScore,
    ChildStep::Groups,
    ChildStep::Group,
    ChildStep::User,
    ChildStep::Sockets,
    ChildStep::DescriptorLimit,
    ChildStep::Nice,
    ChildStep::CpuAffinity,
    ChildStep::ReportDescriptor,
    ChildStep::NoNewPrivs,
    ChildStep::Execute,
];

impl ChildStep {
    /// CHILD: its number, from 1 on.
    pub(crate) fn number(self) -> u32 {
        (1..).zip(ChildStep::all()).find(|(_, step)| *step == self).map_or(0, |(number, _)| number)
    }

    pub(crate) fn from_number(number: u32) -> Option<ChildStep> {
        ChildStep::all().nth(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    pub(crate) fn all() -> impl Iterator<Item = ChildStep> {
        STEPS.into_iter().chain(Resource::ALL.into_iter().map(ChildStep::ResourceLimit))
    }
}

/// A failed step, on its way to [`ChildOutcome`](super::child_report::ChildOutcome).
pub(crate) struct Failed(pub(crate) ChildStep, pub(crate) c_int);

/// CHILD: passes a fail point; what comes after it is `before`.
pub(crate) fn pass(plan: &ChildPlan, point: u32, before: ChildStep) -> Result<(), Failed> {
    match plan.point(point) {
        0 => Ok(()),
        errno => Err(Failed(before, errno)),
    }
}

/// The result of a system call of this step, which is -1 if it has failed.
pub(crate) fn step(step: ChildStep, result: i64) -> Result<(), Failed> {
    if result == -1 { Err(Failed(step, errno())) } else { Ok(()) }
}

/// The errno of the last system call.
pub(crate) fn errno() -> c_int {
    // SAFETY: the function has no preconditions.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: it is this thread's errno, which the child shares with the waiting spawner thread only, or its copy.
    unsafe { *place }
}
