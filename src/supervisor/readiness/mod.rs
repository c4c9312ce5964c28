// SPDX-License-Identifier: MPL-2.0
//! Finding out whether a started process is ready. Nothing here waits; the lifecycle, or an event on a descriptor,
//! decides when the next check is made.

mod answer;
mod connect_probe;
mod own_report;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::process_key::ProcessKey;
use super::reaper::Reaper;
use crate::declaration::Ready;
use crate::error::Error;
use crate::sys::is_exhausted;
use crate::sys::report_pipe::ReportReader;
pub(crate) use answer::Answer;
use connect_probe::ConnectProbe;
use own_report::OwnReport;

/// What is known of a process whose readiness is awaited.
#[derive(Debug)]
pub(crate) enum AwaitedReadiness {
    Connect(ConnectProbe),
    Report(OwnReport),
    /// By a command, and why the last run of it has failed.
    Command(Option<Error>),
}

impl AwaitedReadiness {
    /// Of a process that is connected to, or asked for by a command.
    pub(crate) fn of_probes(declared: &Ready) -> AwaitedReadiness {
        match declared {
            Ready::Command { .. } => AwaitedReadiness::Command(None),
            Ready::Started | Ready::Tcp(_) | Ready::Unix(_) | Ready::Fd(_) | Ready::Notify => {
                AwaitedReadiness::Connect(ConnectProbe::default())
            }
        }
    }

    /// Whether this is how such a process is asked for. One that reports does so whatever is declared by now.
    pub(crate) fn is_asked_as(&self, declared: &Ready) -> bool {
        let by_command = matches!(declared, Ready::Command { .. });
        match self {
            AwaitedReadiness::Connect(_) => !by_command,
            AwaitedReadiness::Report(_) => true,
            AwaitedReadiness::Command(_) => by_command,
        }
    }

    /// Of a process that reports to this pipe.
    pub(crate) fn of_reports(reader: ReportReader, reaper: &Arc<Reaper>, key: ProcessKey) -> AwaitedReadiness {
        AwaitedReadiness::Report(OwnReport::new(reader, reaper, key))
    }

    /// Whether the process is ready as it is declared now.
    pub(crate) fn ask(&mut self, declared: &Ready, now: Instant, reaper: &Arc<Reaper>, key: ProcessKey) -> Answer {
        match self {
            AwaitedReadiness::Connect(probe) => probe.ask(declared, now, reaper, key),
            AwaitedReadiness::Report(report) => report.ask(),
            AwaitedReadiness::Command(failure) if failure.as_ref().is_some_and(is_of_agent) => Answer::Unknown,
            AwaitedReadiness::Command(_) => Answer::NotReady,
        }
    }

    /// Why it was not ready when that was asked the last time.
    pub(crate) fn why_not(&self, declared: &Ready) -> String {
        match (self, declared) {
            (AwaitedReadiness::Report(report), Ready::Fd(number)) => report.why_not(*number),
            (AwaitedReadiness::Command(Some(failure)), _) => failure.to_string(),
            (AwaitedReadiness::Command(None), _) => "its command has not ended".to_owned(),
            (AwaitedReadiness::Connect(probe), Ready::Tcp(address)) => probe.why_not(address),
            (AwaitedReadiness::Connect(probe), Ready::Unix(path)) => probe.why_not(&path.display()),
            // What is awaited is what is declared.
            _ => String::new(),
        }
    }
}

/// Whether the agent had no descriptors or no memory to run a command.
fn is_of_agent(failure: &Error) -> bool {
    failure.errno().is_some_and(|errno| is_exhausted(&io::Error::from_raw_os_error(errno)))
}
