// SPDX-License-Identifier: MPL-2.0
//! Reads what a process said before it ended, and looks for what it complains of. All of it is for people: what cannot be
//! read is not told.

use crate::lifecycle::hints::taken_port;
use crate::store::LogPart;
use crate::supervisor::mailbox::{Done, LastWords};
use crate::supervisor::spec::Spec;
use crate::sys::proc::port_holder;

/// What the process said last that has ended before this job, which is done.
pub(super) fn last_words(spec: &Spec, unread: LogPart, done: &Done) -> LastWords {
    let next_begins = if let Done::Started(started) = done { started.output_begins } else { None };
    let lines = spec.last_lines(unread, next_begins).unwrap_or_default();
    // A look at the descriptors of all processes: only where the next start waits anyway.
    let taken_port = match done {
        Done::CleanedUp(_) => {
            port_holder::of_any(&taken_port::ports(&lines, spec.config.command.argv())).ok().flatten()
        }
        _ => None,
    };
    LastWords { lines, taken_port }
}
