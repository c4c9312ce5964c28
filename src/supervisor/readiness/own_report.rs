// SPDX-License-Identifier: MPL-2.0
//! Whether a process has reported that it is ready, by a newline in a pipe.

use std::sync::Arc;

use super::answer::Answer;
use crate::supervisor::process_key::{ProcessKey, readiness_of};
use crate::supervisor::reaper::Reaper;
use crate::supervisor::reaper::awaited_descriptor::AwaitedDescriptor;
use crate::sys::report_pipe::{Report, ReportReader};

/// The pipe of one process, or why nothing will come of it.
#[derive(Debug)]
pub(crate) enum OwnReport {
    Awaited(AwaitedDescriptor<ReportReader>),
    /// epoll does not take the pipe: it is read when the time is over.
    Unwatched(ReportReader),
    Never(String),
}

impl OwnReport {
    pub(super) fn new(reader: ReportReader, reaper: &Arc<Reaper>, key: ProcessKey) -> OwnReport {
        match AwaitedDescriptor::readable(reader, reaper, readiness_of(key)) {
            Ok(reader) => OwnReport::Awaited(reader),
            Err((reader, _)) => OwnReport::Unwatched(reader),
        }
    }

    pub(super) fn ask(&mut self) -> Answer {
        let reader = match self {
            OwnReport::Awaited(reader) => reader.get(),
            OwnReport::Unwatched(reader) => reader,
            OwnReport::Never(_) => return Answer::NotReady,
        };
        let why_never = match reader.read() {
            Ok(Report::Ready) => return Answer::Ready,
            Ok(Report::Nothing) => return Answer::NotReady,
            Ok(Report::Closed) => "was closed without a newline".to_owned(),
            Ok(Report::Endless) => "was written to without a newline".to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        };
        // From now on it would be readable for ever.
        *self = OwnReport::Never(why_never);
        Answer::NotReady
    }

    /// Why it was not ready the last time.
    pub(super) fn why_not(&self, number: u32) -> String {
        match self {
            OwnReport::Awaited(_) | OwnReport::Unwatched(_) => format!("no newline on descriptor {number}"),
            OwnReport::Never(why) => format!("descriptor {number} {why}"),
        }
    }
}
