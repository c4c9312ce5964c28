//! The two ends of a manager: close, which leaves the proxies to the next agent, and kill, which stops them.

use std::collections::BTreeSet;

use crossbeam_channel::Receiver;

use super::Manager;
use super::core::{Core, Managed};
use super::others::{Call, Worker};
use super::sync;
use crate::error::{Error, ErrorCode, Result};
use crate::lifecycle::ProxyState;
use crate::logging::{self, Level};
use crate::supervisor::{Command, Owner, ProxyStatus, StopReply, Supervisor};
use crate::sys::fail;

impl Manager {
    /// The body of [`Manager::close`].
    pub(super) fn end_by_closing(&self) -> Result<()> {
        let mut core = self.core();
        let renewed = core.renew_files(self.owner, false);
        // What the processes are is in the records; what was declared is written for the last time. A manager that
        // never followed the state knows nothing better than what is there.
        let written = if core.synced { core.write_snapshot() } else { Ok(()) };
        fail::point("close:written");
        let released = match core.supervisor.take() {
            Some(supervisor) => {
                self.warn_of_orphans(&supervisor);
                supervisor.release(self.owner)
            }
            None => Ok(()),
        };
        fail::point("close:released");
        let closed = close_others(&mut core);
        self.finish(&mut core);
        renewed.and(written).and(released).and(closed)
    }

    /// Without a data directory nobody knows later which processes there were, and whoever declares them again has two
    /// of each.
    fn warn_of_orphans(&self, supervisor: &Supervisor) {
        if self.data_dir.is_some() {
            return;
        }
        // Those that are being started run when the close is done. What cannot be counted is an error of the release.
        // What is being ended may have outlived its leader.
        let may_run = [ProxyState::Starting, ProxyState::Stopping, ProxyState::Clearing];
        let left = |status: &ProxyStatus| status.pid.is_some() || may_run.contains(&status.state);
        let count = supervisor.status(self.owner).unwrap_or_default().into_iter().filter(left).count();
        let (who, them) = match count {
            0 => return,
            1 => ("process runs", "it"),
            _ => ("processes run", "them"),
        };
        let lost = format_args!("without a data directory no later agent finds {them}, unless by a snapshot elsewhere");
        logging::write(Level::Warn, format_args!("close: {count} {who} on, and {lost}"));
    }

    /// The body of [`Manager::kill`].
    pub(super) fn end_by_killing(&self) -> Result<()> {
        fail::point("kill:begun");
        let killed = self.stop_all();
        fail::point("kill:stopped");
        let mut core = self.core();
        // Whoever is still there stays in the snapshot: the next agent knows of it.
        let written = core.write_snapshot();
        fail::point("kill:written");
        self.finish(&mut core);
        killed.and(written)
    }

    fn stop_all(&self) -> Result<()> {
        let mut left = Vec::new();
        let (supervisor, stops) = {
            let mut core = self.core();
            left.extend(self.restore_again(&mut core).err());
            if core.supervisor.is_none() && core.unclaimed.is_empty() && core.strays.is_empty() {
                left.extend(stop_others(&mut core).err());
                return summary(left, Some(ErrorCode::StillRunning));
            }
            let supervisor = core.supervisor()?;
            let stops = begin_stop(&mut core, self.owner, &supervisor)?;
            fail::point("kill:asked");
            (supervisor, stops)
        };
        // Not under the lock: until the last one is gone the status can be asked.
        left.extend(stops.into_iter().filter_map(|(_, result)| result.err()));
        let mut core = self.core();
        // What was restored and never started has no slot, and nothing to stop.
        let stuck: BTreeSet<String> = supervisor.status(self.owner)?.into_iter().map(|status| status.id).collect();
        core.managed.retain(|id, managed| as_other(managed).is_some() || stuck.contains(&**id));
        left.extend(stop_others(&mut core).err());
        core.supervisor = None;
        let released = supervisor.release(self.owner);
        summary(left, Some(ErrorCode::StillRunning)).and(released)
    }

    fn finish(&self, core: &mut Core) {
        core.managed.clear();
        core.held.clear();
        core.unclaimed.clear();
        core.strays.clear();
        if let Some(data_dir) = &self.data_dir {
            data_dir.unlock();
            fail::point("end:unlocked");
        }
        self.events.end();
    }
}

/// Stops every process of the manager at the same time, those of proxies that were removed before and are still being
/// stopped among them. What is left of one arrives at the receiver, which closes when they are gone.
fn begin_stop(core: &mut Core, owner: Owner, supervisor: &Supervisor) -> Result<Receiver<StopReply>> {
    sync::claim_unclaimed(core, owner, supervisor)?;
    let (left, stops) = crossbeam_channel::unbounded();
    supervisor.send(Command::StopAll { owner, left })?;
    Ok(stops)
}

fn stop_others(core: &mut Core) -> Result<()> {
    end_others(core, |other, reply| Call::Stop(other, Some(reply)), Some(ErrorCode::StillRunning))
}

fn close_others(core: &mut Core) -> Result<()> {
    end_others(core, Call::Close, None)
}

/// Makes one last call to every proxy of a registered kind, and ends their thread.
fn end_others(
    core: &mut Core,
    call: impl Fn(super::others::Other, crossbeam_channel::Sender<Result<()>>) -> Call,
    several: Option<ErrorCode>,
) -> Result<()> {
    let others: Vec<_> = core.managed.values().filter_map(as_other).collect();
    let (reply, answers) = crossbeam_channel::unbounded();
    if !others.is_empty() {
        let worker = core.worker()?;
        for other in others {
            worker.call(call(other, reply.clone()));
        }
    }
    drop(reply);
    if let Some(worker) = core.worker.take() {
        Worker::finish(worker);
    }
    core.managed.retain(|_, managed| as_other(managed).is_none());
    summary(answers.into_iter().filter_map(Result::err).collect(), several)
}

fn as_other(managed: &Managed) -> Option<super::others::Other> {
    match managed {
        Managed::Other(other) => Some((**other).clone()),
        Managed::Daemon(_) => None,
    }
}

/// One error that names all that failed; `several` is its code when they are more than one, else that of the first.
fn summary(errors: Vec<Error>, several: Option<ErrorCode>) -> Result<()> {
    let Some(code) = errors.first().map(Error::code) else { return Ok(()) };
    let texts: Vec<String> = errors.iter().map(Error::to_string).collect();
    let code = if errors.len() == 1 { code } else { several.unwrap_or(code) };
    Err(Error::new(code, texts.join("; ")))
}
