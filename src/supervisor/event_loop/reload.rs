// SPDX-License-Identifier: MPL-2.0
//! The event loop's handling of the reload of a proxy: sends its signal, and follows what the process reports.

use std::time::Instant;

use super::EventLoop;
use super::steering::without_process;
use super::supervised::Supervised;
use crate::deadline::after;
use crate::declaration::Reload;
use crate::error::{Error, ErrorCode, Result, excerpt};
use crate::lifecycle::ProxyState;
use crate::logging::Level;
use crate::supervisor::command_run::CommandRun;
use crate::supervisor::mailbox::{BegunReload, Slot};
use crate::supervisor::notifications::notice::Notice;
use crate::supervisor::notifications::reloads::{AwaitedReload, Missing};
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::refusals::not_managed;
use crate::sys::monotonic_time::MonotonicTime;
use crate::sys::signal::Signal;
use crate::sys::wait::ExitStatus;

impl EventLoop {
    /// A command is not run here, for this thread waits for no process.
    pub(super) fn reload(&mut self, slot: &Slot) -> Result<BegunReload> {
        let supervised = self.keys.get(slot).and_then(|key| self.slots.get(&key));
        let supervised = supervised.ok_or_else(|| not_managed(&slot.id))?;
        let Some(leader) = supervised.pid else { return Err(without_process(supervised)) };
        match supervised.spec.config.reload.clone() {
            None => {
                let what = "no reload is declared: a signal or a command by which it reloads its configuration";
                Err(Error::new(ErrorCode::InvalidConfig, format!("proxy {}: {what}", excerpt(&slot.id))))
            }
            Some(Reload::Signal(signal)) => self.signal_leader(slot, signal).map(|()| BegunReload::Signalled),
            Some(Reload::Notify(signal)) => {
                let key = supervised.key;
                self.reload_with_confirmation(slot, key, signal)
            }
            Some(Reload::Command { argv, timeout }) => {
                let log = &supervised.spec.context.log;
                log.about(Level::Info, &slot.id, format_args!("running the command that reloads pid {leader}"));
                let (spec, numbers) = (supervised.spec.clone(), supervised.numbers);
                let cgroup = supervised.cgroup_for_command();
                Ok(BegunReload::Command(CommandRun { spec, argv, leader, numbers, cgroup }, timeout))
            }
        }
    }

    /// One that is not ready may not handle the signal yet, which would end it.
    fn reload_with_confirmation(&mut self, slot: &Slot, key: ProcessKey, signal: Signal) -> Result<BegunReload> {
        let refused = |code, why: String| Error::new(code, format!("proxy {}: reload: {why}", excerpt(&slot.id)));
        let supervised = self.slots.get(&key).ok_or_else(|| not_managed(&slot.id))?;
        let state = supervised.machine.state();
        if state != ProxyState::Running {
            return Err(refused(ErrorCode::NotRunning, format!("its process is not ready, its state is {state}")));
        }
        if supervised.rare.notifications.is_none() {
            let why = "the notifications of its process are not heard, since an earlier agent has started it";
            return Err(refused(ErrorCode::NotRunning, why.to_owned()));
        }
        // ORDER: the time before the signal, of which the process is to say that it began later.
        let (asked, timeout) = (MonotonicTime::now(), supervised.spec.config.start_timeout);
        self.signal_leader(slot, signal)?;
        let (reply, answer) = crossbeam_channel::bounded(1);
        let until = after(Instant::now(), timeout);
        let reload = AwaitedReload { asked, timeout, until, missing: Missing::Reloading, reply };
        let supervised = self.slots.get_mut(&key);
        if let Some(notifications) = supervised.and_then(|supervised| supervised.rare.notifications.as_mut()) {
            notifications.reloads.add(reload);
        }
        self.arm_reloads(key);
        Ok(BegunReload::Awaited(answer))
    }

    /// What a notification says of the reloads that the process is to confirm.
    pub(super) fn tell_reloads(&mut self, key: ProcessKey, notice: &Notice) {
        let supervised = self.slots.get_mut(&key);
        let notifications = supervised.and_then(|supervised| supervised.rare.notifications.as_mut());
        if let Some(notifications) = notifications.filter(|notifications| notifications.reloads.due().is_some()) {
            notifications.reloads.hear(notice, Instant::now());
            self.arm_reloads(key);
        }
    }

    /// Gives up the reloads that are too late.
    pub(super) fn check_reloads(&mut self, key: ProcessKey, now: Instant) {
        let due = |supervised: &Supervised| supervised.rare.notifications.as_ref()?.reloads.due();
        if self.slots.get(&key).and_then(|supervised| due(supervised)).is_none_or(|due| due > now) {
            return;
        }
        // ORDER: before they are judged, what the process has sent: this thread may have stood still.
        self.read_all_notifications(key);
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        if let Some(notifications) = supervised.rare.notifications.as_mut() {
            let status = notifications.status_in_words();
            notifications.reloads.give_up(now, &status);
            self.arm_reloads(key);
        }
    }

    /// For the first of them that is left: the timer of each other one may have been left out meanwhile.
    fn arm_reloads(&mut self, key: ProcessKey) {
        let notifications = self.slots.get(&key).and_then(|supervised| supervised.rare.notifications.as_ref());
        if let Some(due) = notifications.and_then(|notifications| notifications.reloads.due()) {
            self.timers.arm(due, key);
        }
    }
}

impl Supervised {
    /// Its process has ended, and confirms nothing any more.
    pub(super) fn end_reloads(&mut self, status: ExitStatus) {
        let Some((notifications, pid)) = self.rare.notifications.as_mut().zip(self.pid) else { return };
        let ended = format!("pid {pid} has ended meanwhile: {status}");
        notifications.reloads.end(&Error::new(ErrorCode::NotRunning, ended));
    }
}
