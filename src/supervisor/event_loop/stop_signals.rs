// SPDX-License-Identifier: MPL-2.0
//! Sends the signals of a stop: to the leader or its group, and to processes that left the group.

use std::io;

use super::EventLoop;
use super::pending_repair::{RepairTask, StopSignal};
use crate::error::{Error, ErrorCode};
use crate::lifecycle::StopAction;
use crate::logging::Level;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::scan::escaped_process::Escaped;
use crate::sys::fail;
use crate::sys::signal::Signal;

impl EventLoop {
    pub(super) fn send_stop_signal(&mut self, key: ProcessKey, which: StopSignal) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let (step, signal, leader_only) = match which {
            StopSignal::Kill => (None, Signal::KILL, false),
            StopSignal::Abort => (None, Signal::ABRT, true),
            StopSignal::OfStep(index) => match supervised.spec.config.stop.step(index).map(|step| step.action) {
                Some(StopAction::Signal { signal, leader_only }) => (Some(index), signal, leader_only),
                // It is done again, and by now there are fewer steps, or other ones.
                Some(StopAction::Command(_)) | None => return,
            },
        };
        // What could not be sent before is superseded.
        supervised.rare.repair.take_if(|repair| matches!(repair.what, RepairTask::Signal(_)));
        supervised.spec.context.log.about(Level::Debug, &supervised.slot.id, format_args!("sending {signal}"));
        fail::point("signal:decided");
        let to_leader = if leader_only { self.reaper.stop_leader(key, signal) } else { Ok(false) };
        let whom = match (&to_leader, supervised.pid) {
            (Ok(false), _) | (_, None) => supervised.group_name(),
            (_, Some(pid)) => format!("pid {pid}"),
        };
        let sent = match to_leader {
            // Its end is reported, and what it has left is killed then.
            Ok(false) if which == StopSignal::Abort => Ok(()),
            // A step for the leader alone is for all that is left when that is gone: nothing else would end the rest before
            // SIGKILL.
            Ok(false) => self.reaper.signal_group(key, signal).map(|sent| {
                if let Some(told) = supervised.group.zip(step).filter(|_| sent && signal != Signal::KILL) {
                    supervised.rare.told = Some(told);
                }
            }),
            sent => sent.map(drop),
        };
        // To many programs a second stop signal means "at once".
        let told = supervised.rare.told.filter(|(_, told)| Some(*told) == step && signal != Signal::KILL);
        // SIGCONT it needs all the same: to the group it is sent after the signal, when the leader may be gone already.
        let due = |escaped: &Escaped| match told {
            Some((leader, _)) if escaped.is_in_group_of(leader) => Signal::CONT,
            _ => signal,
        };
        let each = supervised.rare.escaped.iter().map(|escaped| escaped.signal(due(escaped)));
        let mut sent: io::Result<()> = each.fold(sent, |sent, one| sent.and(one));
        if signal == Signal::KILL {
            sent = sent.and(supervised.kill_cgroup());
        }
        fail::point("signal:sent");
        let failed = |error| Error::os(ErrorCode::Io, format_args!("send {signal} to {whom}"), &error);
        supervised.note(RepairTask::Signal(which), sent.map_err(failed));
        self.arm_repair(key);
    }
}
