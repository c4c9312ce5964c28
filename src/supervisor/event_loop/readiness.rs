// SPDX-License-Identifier: MPL-2.0
//! The event loop's handling of the readiness of a process: has it checked, and reports the result.

use std::time::Instant;

use super::EventLoop;
use super::supervised::Supervised;
use crate::declaration::Ready;
use crate::error::{Error, ErrorCode};
use crate::lifecycle::machine_event::MachineEvent;
use crate::logging::Level;
use crate::supervisor::events::ProxyOccurrence;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::readiness::{Answer, AwaitedReadiness};
use crate::sys::report_pipe::ReportReader;

impl EventLoop {
    /// The process was started with a pipe to report to.
    pub(super) fn await_report(&mut self, key: ProcessKey, reader: ReportReader) {
        let reaper = &self.reaper;
        if let Some(supervised) = self.slots.get_mut(&key) {
            supervised.rare.readiness = Some(AwaitedReadiness::of_reports(reader, reaper, key));
        }
    }

    /// A descriptor by which it is known has something to tell.
    pub(super) fn check_ready(&mut self, key: ProcessKey) {
        if self.ask(key) == Answer::Ready {
            self.drive(key, MachineEvent::Ready);
        }
    }

    /// It is time to ask.
    pub(super) fn probe_ready(&mut self, key: ProcessKey) {
        if self.slots.get(&key).is_some_and(|supervised| supervised.is_ready_by_notification()) {
            self.read_notifications(key);
            return self.drive(key, MachineEvent::NotReady { known: true });
        }
        let declared = self.slots.get(&key).map(|supervised| supervised.spec.config.ready.clone());
        let answer = self.ask(key);
        if let Some(Ready::Command { argv, timeout }) = declared {
            self.run_ready(key, argv, timeout);
        }
        let event = match answer {
            Answer::Ready => MachineEvent::Ready,
            Answer::NotReady => MachineEvent::NotReady { known: true },
            Answer::Unknown => MachineEvent::NotReady { known: false },
        };
        self.drive(key, event);
    }

    fn ask(&mut self, key: ProcessKey) -> Answer {
        let reaper = &self.reaper;
        let awaits = |supervised: &&mut Box<Supervised>| supervised.machine.awaits_ready();
        let Some(supervised) = self.slots.get_mut(&key).filter(awaits) else { return Answer::Unknown };
        let spec = supervised.spec.clone();
        let readiness = supervised.rare.readiness.take_if(|awaited| awaited.is_asked_as(&spec.config.ready));
        let readiness = readiness.unwrap_or_else(|| AwaitedReadiness::of_probes(&spec.config.ready));
        let readiness = supervised.rare.readiness.insert(readiness);
        readiness.ask(&spec.config.ready, Instant::now(), reaper, key)
    }
}

impl Supervised {
    /// Nothing is awaited that is decided.
    pub(super) fn tidy_readiness(&mut self) {
        if self.rare.readiness.is_some() && !self.machine.awaits_ready() {
            self.rare.readiness = None;
        }
    }

    /// What went wrong before is over once the start has gone well, which one that is not ready yet has not; what is said for
    /// as long as the process runs is said from now on.
    pub(super) fn begins_well(&mut self) {
        if self.spec.config.ready == Ready::Started {
            self.rare.last_error = self.rare.beside.take();
        } else if let Some(beside) = self.rare.beside.clone() {
            self.rare.last_error = Some(beside);
        }
    }

    /// The process is ready.
    pub(super) fn announce_ready(&mut self) {
        self.rare.last_error = self.rare.beside.take();
        let after = self.machine.running_since().filter(|_| !self.adopted).map(|since| since.elapsed());
        let happened = ProxyOccurrence::Ready { generation: self.numbers.generation, after };
        self.spec.context.publisher.of_proxy(&self.slot.id, happened);
    }

    /// It was not ready in time: why.
    pub(super) fn announce_not_ready(&mut self) {
        let config = &self.spec.config;
        let notifications = self.rare.notifications.as_ref().filter(|_| self.is_ready_by_notification());
        let reason = match (notifications, &self.rare.readiness) {
            (Some(notifications), _) => notifications.why_not(),
            (None, Some(readiness)) => readiness.why_not(&config.ready),
            (None, None) => String::new(),
        };
        let message = format!("not ready in {} ms: {reason}", config.start_timeout.as_millis());
        let error = Error::new(ErrorCode::StartFailed, message);
        let happened = ProxyOccurrence::NotReady { error: &error, reason, generation: self.numbers.generation };
        self.spec.context.publisher.of_proxy(&self.slot.id, happened);
        self.rare.last_error = Some(error);
    }

    /// A process that was adopted is taken as ready if it reports that by itself: it did so to the agent that started it, or
    /// would have.
    pub(super) fn say_taken_as_ready(&self) {
        let what = match self.spec.config.ready {
            Ready::Fd(number) => format!("read descriptor {number}"),
            Ready::Notify => "hear its READY=1".to_owned(),
            Ready::Started | Ready::Tcp(_) | Ready::Unix(_) | Ready::Command { .. } => return,
        };
        let what = format_args!("taken as ready: only the agent that started it could {what}");
        self.spec.context.log.about(Level::Info, &self.slot.id, what);
    }
}
