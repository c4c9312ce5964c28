// SPDX-License-Identifier: MPL-2.0
//! The commands that run for a process while its lifecycle waits for their result: a spawner starts them, the reaper
//! waits for them, and they are killed with their group when the result is not needed any more.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::EventLoop;
use super::supervised::Supervised;
use crate::deadline::after;
use crate::declaration::Ready;
use crate::error::{Error, Result};
use crate::lifecycle::StopAction;
use crate::lifecycle::machine_event::MachineEvent;
use crate::logging::Level;
use crate::supervisor::command_run::{AwaitedCommand, CommandPurpose, CommandRun, name_of, succeeded, too_late};
use crate::supervisor::process_key::{ProcessKey, new_key};
use crate::supervisor::readiness::AwaitedReadiness;
use crate::supervisor::reaper::Leftovers;
use crate::supervisor::spawner::job::Job;
use crate::sys::signal::Signal;

impl EventLoop {
    /// Has the command of a step of a stop run.
    pub(super) fn run_stop(&mut self, key: ProcessKey, step: usize) {
        let Some(supervised) = self.slots.get(&key) else { return };
        if let Some(StopAction::Command(argv)) = supervised.spec.config.stop.step(step).map(|step| step.action) {
            self.run_command(key, argv, CommandPurpose::StopStep(step), None);
        }
    }

    /// Has a command run for a process, to find out whether it is ready, unless the last one has not ended.
    pub(super) fn run_ready(&mut self, key: ProcessKey, argv: Vec<OsString>, timeout: Duration) {
        self.revoke_commands(key);
        let is_running = |command: &AwaitedCommand| command.purpose == CommandPurpose::Readiness;
        if !self.slots.get(&key).is_some_and(|supervised| supervised.rare.commands.iter().any(is_running)) {
            let limit = Some((timeout, after(Instant::now(), timeout)));
            self.run_command(key, argv, CommandPurpose::Readiness, limit);
        }
    }

    /// Has a command run for a process.
    fn run_command(
        &mut self,
        key: ProcessKey,
        argv: Vec<OsString>,
        purpose: CommandPurpose,
        limit: Option<(Duration, Instant)>,
    ) {
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let Some(leader) = supervised.pid else { return };
        let (spec, numbers) = (supervised.spec.clone(), supervised.numbers);
        let (command, name) = (new_key(), name_of(&argv));
        let cgroup = supervised.cgroup_for_command();
        let run = CommandRun { spec, argv: argv.clone(), leader, numbers, cgroup };
        supervised.spec.context.log.about(Level::Debug, &supervised.slot.id, format_args!("running {name}: {purpose}"));
        supervised.rare.commands.push(AwaitedCommand {
            key: command,
            purpose,
            argv,
            limit,
            started: false,
            revoked: false,
        });
        self.processes_of_commands.insert(command, key);
        self.submit(key, Job::Run { key, run, command });
    }

    /// Kills the commands that are run for what is not awaited any more.
    pub(super) fn revoke_commands(&mut self, key: ProcessKey) {
        let Some(supervised) = self.slots.get_mut(&key).filter(|supervised| !supervised.rare.commands.is_empty())
        else {
            return;
        };
        let mut commands = std::mem::take(&mut supervised.rare.commands);
        let now = Instant::now();
        for command in &mut commands {
            if command.revoked || supervised.awaits(command, now) {
                continue;
            }
            command.revoked = true;
            supervised.note_revoked(command, now);
            if command.started {
                supervised.kill_command(command, self.reaper.signal_group(command.key, Signal::KILL));
            }
        }
        // One that no spawner has begun with is not started at all.
        let is_of = |job: &Job, key: ProcessKey| matches!(job, Job::Run { command, .. } if *command == key);
        commands.retain(|command| {
            let queued = &mut supervised.rare.queued;
            let at = queued.iter().position(|job| command.revoked && is_of(job, command.key));
            let is_unbegun = at.and_then(|at| queued.remove(at)).is_some();
            if is_unbegun {
                self.processes_of_commands.remove(&command.key);
            }
            !is_unbegun
        });
        supervised.rare.commands = commands;
    }

    /// A spawner has started a command, or could not.
    pub(super) fn command_started(
        &mut self,
        key: ProcessKey,
        command: ProcessKey,
        started: Result<()>,
    ) -> Option<MachineEvent> {
        let supervised = self.slots.get_mut(&key)?;
        let at = supervised.rare.commands.iter().position(|one| one.key == command)?;
        let Err(error) = started else {
            let awaited = &mut supervised.rare.commands[at];
            awaited.started = true;
            if awaited.revoked {
                let killed = self.reaper.signal_group(command, Signal::KILL);
                supervised.kill_command(&supervised.rare.commands[at], killed);
            }
            return None;
        };
        self.processes_of_commands.remove(&command);
        let AwaitedCommand { purpose, revoked, .. } = supervised.rare.commands.remove(at);
        if revoked { None } else { supervised.command_failed(purpose, error) }
    }

    /// Looks whether a command has ended that is run for a process, and what follows.
    pub(super) fn check_command(&mut self, command: ProcessKey, key: ProcessKey) {
        let Some(exit) = self.reaper.take_exit(command, Leftovers::Leave) else { return };
        // What it has left of its group is ended with the process, as what left the group of that.
        self.reaper.release(command);
        self.processes_of_commands.remove(&command);
        let Some(supervised) = self.slots.get_mut(&key) else { return };
        let Some(at) = supervised.rare.commands.iter().position(|one| one.key == command) else { return };
        let AwaitedCommand { purpose, argv, revoked, .. } = supervised.rare.commands.remove(at);
        let name = name_of(&argv);
        let event = match succeeded(&name, exit.status) {
            _ if revoked => None,
            Ok(()) => supervised.command_succeeded(purpose, &name),
            Err(error) => supervised.command_failed(purpose, error),
        };
        if let Some(event) = event {
            self.drive(key, event);
        }
        self.drop_if_done(key);
    }
}

impl Supervised {
    /// Whether what such a command is run for is awaited.
    fn awaits(&self, command: &AwaitedCommand, now: Instant) -> bool {
        if self.rare.released.is_some() || command.limit.is_some_and(|(_, until)| now >= until) {
            return false;
        }
        match (command.purpose, &self.spec.config.ready) {
            (CommandPurpose::StopStep(step), _) => self.machine.stop_step() == Some(step),
            (CommandPurpose::Readiness, Ready::Command { argv, .. }) => {
                self.machine.awaits_ready() && *argv == command.argv
            }
            (CommandPurpose::Readiness, _) => false,
        }
    }

    /// Says of a command that is killed what has to be said.
    fn note_revoked(&mut self, command: &AwaitedCommand, now: Instant) {
        match (command.purpose, command.limit.filter(|(_, until)| now >= *until)) {
            (CommandPurpose::StopStep(_), _) if self.machine.awaits_end() => {
                self.tell_command(Level::Warn, command, "killed before it has ended");
            }
            (CommandPurpose::Readiness, Some((timeout, _))) => {
                self.note_not_ready(too_late(&name_of(&command.argv), timeout));
            }
            (CommandPurpose::StopStep(_) | CommandPurpose::Readiness, _) => {}
        }
    }

    /// Why the command that finds out whether the process is ready has failed.
    fn note_not_ready(&mut self, error: Error) {
        if self.machine.awaits_ready() {
            self.rare.readiness = Some(AwaitedReadiness::Command(Some(error)));
        }
    }

    fn command_succeeded(&mut self, purpose: CommandPurpose, name: &str) -> Option<MachineEvent> {
        match purpose {
            CommandPurpose::StopStep(_) => {
                self.spec.context.log.about(
                    Level::Debug,
                    &self.slot.id,
                    format_args!("{purpose}: {name} has succeeded"),
                );
                None
            }
            CommandPurpose::Readiness => Some(MachineEvent::Ready),
        }
    }

    fn command_failed(&mut self, purpose: CommandPurpose, error: Error) -> Option<MachineEvent> {
        match purpose {
            CommandPurpose::StopStep(step) => {
                let error = error.within(purpose);
                self.spec.context.log.about(Level::Error, &self.slot.id, format_args!("{error}"));
                self.rare.last_error = Some(error);
                Some(MachineEvent::StopCommandFailed { step })
            }
            CommandPurpose::Readiness => {
                self.note_not_ready(error);
                None
            }
        }
    }

    fn kill_command(&self, command: &AwaitedCommand, killed: std::io::Result<bool>) {
        if let Err(error) = killed {
            self.tell_command(Level::Error, command, format_args!("kill: {error}"));
        }
    }

    fn tell_command(&self, level: Level, command: &AwaitedCommand, what: impl std::fmt::Display) {
        let (purpose, name) = (command.purpose, name_of(&command.argv));
        self.spec.context.log.about(level, &self.slot.id, format_args!("{purpose}: {name}: {what}"));
    }
}
