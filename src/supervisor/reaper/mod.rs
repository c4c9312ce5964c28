//! The reaper: a table of all processes, own children and adopted ones alike, and one epoll instance that waits for
//! them; it reaps exactly those.
//!
//! Signals go through it as well, under the same lock as reaping: so no signal can reach a number that was just given
//! away, even where the kernel has no pidfds.

pub(super) mod process;

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::other_agent;
use super::process_key::{ProcessKey, WAKEUP, new_key};
use super::scan::group_scan::{GroupScan, GroupSighting};
use super::scan::spare_descriptor::SpareDescriptor;
use super::zombies::Zombie;
use crate::logging::{self, Level};
use crate::sys::epoll::{Epoll, Wakeup};
use crate::sys::non_child_exit::Ended;
use crate::sys::pid::Pid;
use crate::sys::process_identity::Identity;
use crate::sys::signal::{self, Signal};
use crate::sys::wait::{self, ExitStatus, Reap, Waited};
use crate::sys::{fail, pidfd};
use process::Process;

/// How often processes without a pidfd are looked at. Only where the kernel has none.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How often they are looked at closely, for an end that the kernel reports to a debugger alone: that takes reading a file.
const CLOSE_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long the parent of an adopted process is given to reap it, before all processes are looked at to know whether
/// others of its group live.
const REAP_PATIENCE: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WatchPhase {
    /// Waited for, and its end is reported.
    Supervised,
    /// Waited for only so that it does not stay a zombie: its owner let it go.
    Released,
    /// Ended, and not reaped yet by its parent, who is not us.
    Unreaped {
        /// As far as it is known.
        status: ExitStatus,
        /// How long that is waited for.
        until: Instant,
    },
    /// Ended; kept for the sake of its group.
    Ended {
        /// The first look of late that found no living member.
        quiet_look: Option<u64>,
    },
    /// Ended and reported, and waited for only to be reaped: its tracer has not let the zombie go.
    HeldByTracer,
}

#[derive(Debug)]
struct Watched {
    process: Process,
    phase: WatchPhase,
    /// When it was reaped: from then on its number is its own no more, unless others are in its group.
    reaped_at: Option<Instant>,
}

impl Watched {
    fn new(process: Process, phase: WatchPhase) -> Watched {
        Watched { process, phase, reaped_at: None }
    }

    /// Kills what is left of the group of a child that has ended, and reaps the child.
    ///
    /// The zombie is kept for the sake of its number, as long as its group may have to be signalled. After SIGKILL that
    /// is over: the kernel sends it to all members at once, and a fork that is under way fails. Then it tells for the price of
    /// a system call whether the group is empty, as it does not while the zombie is a member.
    fn end_group(&mut self) -> io::Result<()> {
        match self.process.signal_group(Signal::KILL) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
            _ => {}
        }
        self.reap()
    }

    fn reap(&mut self) -> io::Result<()> {
        if wait::try_wait(self.process.target(), Reap::Yes)? != Waited::Running {
            self.reaped_at = Some(Instant::now());
        }
        Ok(())
    }

    /// Whether its group has members, zombies included.
    fn group_exists(&self) -> bool {
        let pid = self.process.pid;
        match &self.process.pidfd {
            Some(fd) if pidfd::signals_groups() => pidfd::group_exists(fd.as_fd()),
            // No number is given away while there is a group of it: if a process has it now, that group is another one.
            _ if self.reaped_at.is_some() => signal::group_exists(pid) && !signal::process_exists(pid),
            _ => true,
        }
    }
}

/// What is done with what a process that has ended has left of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leftovers {
    /// The lifecycle decides, once it is told.
    Leave,
    /// The lifecycle would kill them at once.
    Kill,
}

#[derive(Debug, Default)]
struct Table {
    processes: HashMap<ProcessKey, Watched>,
    /// Released processes by pid, for one may be adopted again.
    released: HashMap<Pid, ProcessKey>,
    /// Those that no descriptor reports.
    polled: HashSet<ProcessKey>,
    /// When those are looked at closely again, and whether they are this time.
    close_look: (Option<Instant>, bool),
    /// Those that are waited for to be reaped, the first one first.
    unreaped: VecDeque<(Instant, ProcessKey)>,
    /// The last one was waited for in vain.
    reaped_late: bool,
    /// Gone, and still to be forgotten: a successor comes first.
    gone: Vec<Watched>,
    groups: GroupScan,
}

/// The table and the way to wait for all of it; every thread may use it, one waits.
#[derive(Debug)]
pub(crate) struct Reaper {
    epoll: Epoll,
    wakeup: Wakeup,
    table: Mutex<Table>,
    /// For a look at all processes, where ends of groups are seen by that.
    spare: Option<SpareDescriptor>,
}

/// The end of a supervised process.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) pid: Pid,
    pub(crate) status: ExitStatus,
    /// Whether others of its group outlive it.
    pub(crate) group_left: bool,
    /// Itself, if its parent, which is not this process, or its debugger has yet to reap it.
    pub(crate) zombie: Option<Zombie>,
}

/// What is left of the group of a process that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Alive,
    /// None of it lives.
    Gone,
}

/// Children that outlived the supervisor that started them: the next one reaps them.
static LEFT_BEHIND: Mutex<Vec<Process>> = Mutex::new(Vec::new());

impl Reaper {
    pub(crate) fn new() -> io::Result<Reaper> {
        pidfd::probe()?;
        let (epoll, wakeup) = (Epoll::new()?, Wakeup::new()?);
        epoll.add(wakeup.fd(), WAKEUP)?;
        let spare = if pidfd::signals_groups() { None } else { Some(SpareDescriptor::new()?) };
        let reaper = Reaper { epoll, wakeup, table: Mutex::new(Table::default()), spare };
        reaper.take_left_behind();
        Ok(reaper)
    }

    /// Waits from now on for the children of supervisors that have ended.
    pub(crate) fn take_left_behind(&self) {
        let mut table = self.lock();
        for process in std::mem::take(&mut *left_behind()) {
            let key = new_key();
            table.released.insert(process.pid, key);
            table.processes.insert(key, Watched::new(process, WatchPhase::Released));
            self.watch_in(&mut table, key);
        }
    }

    /// Takes a process into the table, so that it can be signalled. Its end is reported from [`Reaper::watch`] on.
    pub(crate) fn insert(&self, key: ProcessKey, process: Process) {
        let mut table = self.lock();
        // An own child that was let go and is adopted again has one watcher, or they would race for its status.
        if let Some(earlier) = table.released.remove(&process.pid).and_then(|key| table.take_out(key)) {
            self.stop_watching(&earlier.process);
        }
        table.processes.insert(key, Watched::new(process, WatchPhase::Supervised));
    }

    /// Begins to wait for a process of the table.
    pub(crate) fn watch(&self, key: ProcessKey) {
        self.watch_in(&mut self.lock(), key);
    }

    fn watch_in(&self, table: &mut Table, key: ProcessKey) {
        let Some(watched) = table.processes.get(&key) else { return };
        let held = watched.phase == WatchPhase::HeldByTracer;
        let add = |fd: &OwnedFd| {
            fail::failing("watch:add")?;
            // The pidfd of a zombie is readable for as long as it is held.
            if held { self.epoll.add_changes(fd.as_fd(), key) } else { self.epoll.add(fd.as_fd(), key) }
        };
        let watching = watched.process.pidfd.as_ref().map(add);
        match watching {
            Some(Ok(())) => {}
            // Without a pidfd, or when the kernel has no memory for one more entry.
            failed => {
                if let Some(Err(error)) = failed {
                    let pid = watched.process.pid;
                    logging::write(
                        Level::Warn,
                        format_args!("pid {pid} is looked at now and then: epoll_ctl: {error}"),
                    );
                }
                table.polled.insert(key);
                self.wakeup.wake();
            }
        }
    }

    /// Sends a signal to the whole group of a process, and SIGCONT after it so that stopped ones can obey.
    ///
    /// False when no process was left to signal, which is no error.
    pub(crate) fn signal_group(&self, key: ProcessKey, signal: Signal) -> io::Result<bool> {
        let mut table = self.lock();
        let Some(watched) = table.processes.get_mut(&key) else { return Ok(false) };
        let send = |signal| match fail::failing("signal:send").and_then(|()| watched.process.signal_group(signal)) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            sent => sent.map(|()| true),
        };
        let sent = send(signal)?;
        send(Signal::CONT)?;
        let has_ended = matches!(watched.phase, WatchPhase::Ended { .. });
        if signal == Signal::KILL && has_ended && watched.reaped_at.is_none() {
            watched.end_group()?;
        }
        Ok(sent)
    }

    /// Whether others of its group outlive an ended process. If none do, it is forgotten.
    ///
    /// # Errors
    /// When that cannot be known now: "somebody is left" is the answer that harms nobody.
    pub(crate) fn group_left(&self, key: ProcessKey) -> io::Result<Group> {
        let mut table = self.lock();
        let Some(watched) = table.processes.get(&key) else { return Ok(Group::Gone) };
        let WatchPhase::Ended { quiet_look } = watched.phase else { return Ok(Group::Gone) };
        let (pid, reaped_at) = (watched.process.pid, watched.reaped_at);
        if !watched.group_exists() {
            fail::point("group:gone");
            self.remove_in(&mut table, key);
            return Ok(Group::Gone);
        }
        // What was killed is given a moment, for a look at all processes takes longer.
        if reaped_at.is_some_and(|at| at.elapsed() < REAP_PATIENCE) && !pidfd::signals_groups() {
            return Ok(Group::Alive);
        }
        // Zombies count as members until their parent reaps them, which a careless init may never do. They are told
        // from the living by looking at all processes.
        let GroupSighting { look, lives, exact } = self.look_for_group(&mut table, pid)?;
        let seen_before = quiet_look.is_some_and(|earlier| earlier != look);
        if !lives && (exact || seen_before) {
            fail::point("group:gone");
            self.remove_in(&mut table, key);
            return Ok(Group::Gone);
        }
        if let Some(watched) = table.processes.get_mut(&key) {
            watched.phase = WatchPhase::Ended { quiet_look: if lives { None } else { quiet_look.or(Some(look)) } };
        }
        Ok(Group::Alive)
    }

    fn look_for_group(&self, table: &mut Table, leader: Pid) -> io::Result<GroupSighting> {
        let look = || table.groups.look_for(leader);
        match &self.spare {
            Some(spare) => spare.lend(look),
            None => table.groups.look_for(leader),
        }
    }

    /// The living members of the group of a process, itself included.
    pub(crate) fn members(&self, key: ProcessKey) -> Vec<i32> {
        let mut table = self.lock();
        let Some(leader) = table.processes.get(&key).map(|watched| watched.process.pid) else { return Vec::new() };
        table.groups.living_members(leader)
    }

    /// The leaders of all groups that are looked after.
    pub(crate) fn leaders(&self) -> HashSet<i32> {
        let table = self.lock();
        let leading = table.processes.values().filter(|watched| watched.phase != WatchPhase::HeldByTracer);
        leading.map(|watched| watched.process.pid.as_raw()).collect()
    }

    /// Lets a process go: it runs on, nobody is told of its end, and it is reaped if it is our child.
    pub(crate) fn release(&self, key: ProcessKey) {
        let mut table = self.lock();
        let Some(watched) = table.processes.get_mut(&key) else { return };
        if let WatchPhase::Ended { .. } | WatchPhase::Unreaped { .. } = watched.phase {
            self.remove_in(&mut table, key);
            return;
        }
        watched.phase = WatchPhase::Released;
        watched.process.pidfd.as_ref().into_iter().for_each(|fd| other_agent::release(fd.as_fd()));
        fail::point("release:done");
        let pid = watched.process.pid;
        table.released.insert(pid, key);
    }

    /// Who a process of the table is; `None` when it has ended.
    ///
    /// # Errors
    /// When that cannot be known now.
    pub(crate) fn identity(&self, key: ProcessKey) -> io::Result<Option<Identity>> {
        let table = self.lock();
        match table.processes.get(&key) {
            // Reaped, so that the number may be another's by now.
            None | Some(Watched { phase: WatchPhase::Ended { .. } | WatchPhase::Unreaped { .. }, .. }) => Ok(None),
            Some(Watched { process, .. }) => process.identity(),
        }
    }

    /// Ends a wait that is under way, or else the next one.
    pub(crate) fn wake(&self) {
        self.wakeup.wake();
    }

    /// Waits until a process has ended, or until it is woken, at most for `patience`. What may have ended is in
    /// `ready` then; [`Reaper::look_at`] tells.
    pub(crate) fn wait(&self, patience: Option<Duration>, ready: &mut Vec<ProcessKey>) {
        let (polls, until) = {
            let table = self.lock();
            (!table.polled.is_empty(), table.unreaped.front().map(|(until, _)| *until))
        };
        let until = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = [patience, polls.then_some(POLL_INTERVAL), until].into_iter().flatten().min();
        if let Err(error) = self.epoll.wait(timeout, ready) {
            // Only a host that closed our descriptor can cause this; it must not cost it a processor.
            logging::write(Level::Error, format_args!("wait for processes: {error}"));
            std::thread::sleep(POLL_INTERVAL);
        }
        if let Some(at) = ready.iter().position(|key| *key == WAKEUP) {
            ready.swap_remove(at);
            self.wakeup.drain();
        }
        if polls {
            fail::point("watch:polled");
        }
        let mut table = self.lock();
        let now = Instant::now();
        if polls {
            let (due, _) = table.close_look;
            let closely = due.is_none_or(|due| due <= now);
            table.close_look = (if closely { Some(now + CLOSE_LOOK_INTERVAL) } else { due }, closely);
        }
        ready.extend(table.polled.iter().copied());
        let due = table.unreaped.iter().take_while(|(until, _)| *until <= now).count();
        let due: Vec<_> = table.unreaped.drain(..due).collect();
        // One that was reaped in time has been told, and its successor can have the key by now.
        let awaited = |(at, key): &(Instant, ProcessKey)| {
            let phase = table.processes.get(key).map(|watched| watched.phase);
            matches!(phase, Some(WatchPhase::Unreaped { until, .. }) if until == *at)
        };
        ready.extend(due.iter().filter(|entry| awaited(entry)).map(|(_, key)| key));
    }

    /// Looks whether a process has ended, and what there is to say then: nothing of one that was let go.
    pub(crate) fn look_at(&self, key: ProcessKey, leftovers: Leftovers) -> Option<Exit> {
        let mut table = self.lock();
        let watched = table.processes.get(&key)?;
        match watched.phase {
            WatchPhase::Ended { .. } => return None,
            WatchPhase::HeldByTracer => {
                self.reap_held(&mut table, key);
                return None;
            }
            WatchPhase::Supervised | WatchPhase::Released | WatchPhase::Unreaped { .. } => {}
        }
        let reap = if watched.process.leads_by_pidfd() { Reap::Yes } else { Reap::No };
        let closely = !table.polled.contains(&key) || table.close_look.1;
        let ended = watched.process.ended(reap, closely)?;
        fail::point("exit:reaped");
        if ended.awaits_reaping && self.awaits_reaping_in(&mut table, key, ended.status) {
            return None;
        }
        table.reaped_late = ended.awaits_reaping;
        let watched = table.processes.get_mut(&key)?;
        if reap == Reap::Yes && !ended.held_by_tracer {
            watched.reaped_at = Some(Instant::now());
        }
        let (pid, supervised) = (watched.process.pid, watched.phase != WatchPhase::Released);
        // A zombie has told what the kernel may not tell of one that is reaped.
        let status = match (ended.status, watched.phase) {
            (ExitStatus::Unknown, WatchPhase::Unreaped { status, .. }) => status,
            (status, _) => status,
        };
        let zombie = if supervised { zombie_of(&watched.process, &ended) } else { None };
        table.polled.remove(&key);
        let is_zombie = ended.awaits_reaping || ended.held_by_tracer;
        let group_left = supervised && self.group_outlives(&mut table, key, is_zombie, leftovers);
        if !group_left {
            let gone = table.take_out(key);
            table.gone.extend(gone);
        } else if let Some(watched) = table.processes.get_mut(&key) {
            watched.phase = WatchPhase::Ended { quiet_look: None };
            if let Some(fd) = &watched.process.pidfd {
                self.epoll.remove(fd.as_fd());
            }
        }
        supervised.then_some(Exit { pid, status, group_left, zombie })
    }

    /// Whether it is worth to wait for the parent of a zombie to reap it: once that is done, the kernel says at once
    /// whether others of its group are left. An init may never do it.
    fn awaits_reaping_in(&self, table: &mut Table, key: ProcessKey, status: ExitStatus) -> bool {
        let Some(watched) = table.processes.get_mut(&key) else { return false };
        match (watched.phase, &watched.process.pidfd) {
            (WatchPhase::Unreaped { until, .. }, _) => Instant::now() < until,
            (WatchPhase::Supervised, Some(fd)) if pidfd::signals_groups() && !table.reaped_late => {
                if self.epoll.await_hang_up(fd.as_fd(), key).is_err() {
                    return false;
                }
                let until = Instant::now() + REAP_PATIENCE;
                watched.phase = WatchPhase::Unreaped { status, until };
                table.unreaped.push_back((until, key));
                true
            }
            _ => false,
        }
    }

    /// Gives up what there is: children that live are left to the next supervisor of the program.
    pub(crate) fn leave_all_behind(&self) {
        let mut table = self.lock();
        for (_, watched) in table.processes.drain() {
            if let Some(fd) = &watched.process.pidfd {
                self.epoll.remove(fd.as_fd());
            }
            if matches!(wait::try_wait(watched.process.target(), Reap::Yes), Ok(Waited::Running)) {
                left_behind().push(watched.process);
            }
        }
    }

    fn group_outlives(&self, table: &mut Table, key: ProcessKey, is_zombie: bool, leftovers: Leftovers) -> bool {
        let Some(watched) = table.processes.get_mut(&key) else { return false };
        match &watched.process.pidfd {
            Some(fd) if pidfd::signals_groups() => {
                let alone = |seen: io::Result<GroupSighting>| seen.is_ok_and(|seen| seen.exact && !seen.lives);
                pidfd::group_exists(fd.as_fd()) && !(is_zombie && alone(table.groups.look_for(watched.process.pid)))
            }
            // The number of a leader that somebody else reaps is not held: its group cannot be signalled safely.
            _ if matches!(wait::try_wait(watched.process.target(), Reap::No), Ok(Waited::NotOurs)) => false,
            // Whoever is alive is waited for; an older look may have missed it, and the next one finds it.
            _ if leftovers == Leftovers::Leave => true,
            _ => {
                // If they cannot be signalled now, the lifecycle tries again.
                let _ = watched.end_group();
                watched.group_exists()
            }
        }
    }

    /// Forgets those of which [`Reaper::look_at`] has told the end. Before the next wait, which would report them again.
    pub(crate) fn forget_gone(&self) {
        let mut table = self.lock();
        while let Some(watched) = table.gone.pop() {
            self.forget(&mut table, watched);
        }
    }

    fn remove_in(&self, table: &mut Table, key: ProcessKey) {
        if let Some(watched) = table.take_out(key) {
            self.forget(table, watched);
        }
    }

    /// Forgets a process that has ended, reaping it if that was held back. If a tracer holds the zombie, it is reaped when
    /// that lets it go.
    fn forget(&self, table: &mut Table, watched: Watched) {
        let Watched { process, reaped_at, .. } = watched;
        self.stop_watching(&process);
        // ORDER: asked only of one that was not reaped, for the number of another is anybody's. Not our child, or reaped
        // by the host: then there is nothing to reap.
        if reaped_at.is_none() && matches!(wait::try_wait(process.target(), Reap::Yes), Ok(Waited::Running)) {
            let (key, pid) = (new_key(), process.pid);
            logging::write(
                Level::Info,
                format_args!("pid {pid} has ended and is a zombie until its debugger lets it go"),
            );
            table.processes.insert(key, Watched::new(process, WatchPhase::HeldByTracer));
            self.watch_in(table, key);
        }
    }

    fn reap_held(&self, table: &mut Table, key: ProcessKey) {
        let target = table.processes.get(&key).map(|watched| watched.process.target());
        let held = target.is_some_and(|target| matches!(wait::try_wait(target, Reap::Yes), Ok(Waited::Running)));
        if held {
            return;
        }
        if let Some(held) = table.take_out(key) {
            self.stop_watching(&held.process);
        }
    }

    fn stop_watching(&self, process: &Process) {
        if let Some(fd) = &process.pidfd {
            self.epoll.remove(fd.as_fd());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it is held.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn take_out(&mut self, key: ProcessKey) -> Option<Watched> {
        self.polled.remove(&key);
        let watched = self.processes.remove(&key)?;
        if self.released.get(&watched.process.pid) == Some(&key) {
            self.released.remove(&watched.process.pid);
        }
        Some(watched)
    }
}

/// The process itself, if it is a zombie that is not ours to reap, or not now.
fn zombie_of(process: &Process, ended: &Ended) -> Option<Zombie> {
    if ended.held_by_tracer {
        return Zombie::of(process.pid);
    }
    // Of own children it is not known when they were started, unless they have no pidfd: those are asked for.
    let identity = process.identity.as_deref()?;
    let is_own = || matches!(wait::try_wait(process.target(), Reap::No), Ok(Waited::Ended(_)));
    Zombie::of_process(process.pid, identity.start_ticks).filter(|_| ended.awaits_reaping || !is_own())
}

fn left_behind() -> MutexGuard<'static, Vec<Process>> {
    LEFT_BEHIND.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
