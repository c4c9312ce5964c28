// SPDX-License-Identifier: MPL-2.0
//! Finding out whether a process that was started is ready. Nothing here waits; when it is asked again is decided by the
//! lifecycle, or by a descriptor that has something to tell.

mod answer;
mod connect_probe;
mod own_report;

use std::sync::Arc;
use std::time::Instant;

use super::process_key::ProcessKey;
use super::reaper::Reaper;
use crate::declaration::Ready;
use crate::sys::report_pipe::ReportReader;
pub(crate) use answer::Answer;
use connect_probe::ConnectProbe;
use own_report::OwnReport;

/// What is known of a process whose readiness is awaited.
#[derive(Debug)]
pub(crate) enum AwaitedReadiness {
    Connect(ConnectProbe),
    Report(OwnReport),
}

impl AwaitedReadiness {
    /// Of a process that is connected to.
    pub(crate) fn of_probes() -> AwaitedReadiness {
        AwaitedReadiness::Connect(ConnectProbe::default())
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
        }
    }

    /// Why it was not ready when that was asked the last time.
    pub(crate) fn why_not(&self, declared: &Ready) -> String {
        match (self, declared) {
            (AwaitedReadiness::Report(report), Ready::Fd(number)) => report.why_not(*number),
            (AwaitedReadiness::Connect(probe), Ready::Tcp(address)) => probe.why_not(address),
            (AwaitedReadiness::Connect(probe), Ready::Unix(path)) => probe.why_not(&path.display()),
            // What is awaited is what is declared.
            _ => String::new(),
        }
    }
}
