//! The reaper: one thread that waits for every process, own children and adopted ones alike, and reaps exactly those.
//!
//! Signals go through it as well, under the same lock as reaping: so no signal can reach a number that was just given
//! away, even where the kernel has no pidfds.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::mailbox::{Message, ProcessKey, WAKEUP, new_key};
use crate::logging::{self, Level};
use crate::sys::epoll::{Epoll, Wakeup};
use crate::sys::fail;
use crate::sys::identity::{Identity, Pid};
use crate::sys::signal::{self, Signal};
use crate::sys::wait::{self, ExitStatus, Reap, Target, Waited};
use crate::sys::{foreign, pidfd, stat, thread};

/// How often processes without a pidfd are looked at. Only where the kernel has none.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How long a look at all processes of the system is good for, at the least; at most half of the time goes into looking.
const SCAN_INTERVAL: Duration = Duration::from_millis(1);

/// A process to wait for.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: Pid,
    /// Absent where the kernel has no pidfds; the process is looked at now and then.
    pub(super) pidfd: Option<OwnedFd>,
    /// Known of adopted processes, and of all that have no pidfd.
    pub(super) identity: Option<Box<Identity>>,
}

impl Process {
    fn target(&self) -> Target<'_> {
        match &self.pidfd {
            Some(fd) => Target::Pidfd(fd.as_fd()),
            None => Target::Pid(self.pid),
        }
    }

    /// Whether its group can be signalled through its pidfd, also after it was reaped. It may have no pidfd also where
    /// others have one, for there was none left to open.
    fn leads_by_pidfd(&self) -> bool {
        self.pidfd.is_some() && pidfd::signals_groups()
    }

    /// Who it is; `None` when it has ended.
    fn identity(&self) -> io::Result<Option<Identity>> {
        if let Some(known) = &self.identity {
            return Ok(Some((**known).clone()));
        }
        let Some(fd) = &self.pidfd else { return Identity::of(self.pid, None) };
        let found = Identity::of(self.pid, pidfd::inode(fd.as_fd())?)?;
        // ORDER: the host may have reaped it and the number be given away before we were told of the end; but it was
        // its own as long as this process lives.
        Ok(if pidfd::has_ended(fd.as_fd()) { None } else { found })
    }

    /// How the process ended, if it has. Where a group can only be signalled while its leader is unreaped, the
    /// zombie is left.
    fn ended(&self, reap: Reap) -> Option<ExitStatus> {
        match wait::try_wait(self.target(), reap) {
            Ok(Waited::Running) => None,
            Ok(Waited::Ended(status)) => Some(status),
            // One that is looked at though it has a pidfd may well run, and what else tells so can fail.
            Ok(Waited::NotOurs) | Err(_) if self.pidfd.as_ref().is_some_and(|fd| !pidfd::has_ended(fd.as_fd())) => None,
            Ok(Waited::NotOurs) | Err(_) => {
                foreign::ended(self.pidfd.as_ref().map(|fd| fd.as_fd()), self.identity.as_deref())
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waited for, and its end is reported.
    Supervised,
    /// Waited for only so that it does not stay a zombie: its owner let it go.
    Released,
    /// Ended; kept for the sake of its group.
    Ended {
        /// The first look of late that found no living member.
        quiet_scan: Option<u64>,
    },
}

#[derive(Debug)]
struct Watched {
    process: Process,
    phase: Phase,
}

#[derive(Debug, Default)]
struct Table {
    processes: HashMap<ProcessKey, Watched>,
    /// Released processes by pid, for one may be adopted again.
    released: HashMap<Pid, ProcessKey>,
    /// Those that no descriptor reports.
    polled: HashSet<ProcessKey>,
    scan: Scan,
}

/// One look at all processes of the system.
#[derive(Debug, Default)]
struct Scan {
    /// Counts the looks.
    number: u64,
    good_until: Option<Instant>,
    /// Who was in which group.
    members: HashMap<i32, Vec<i32>>,
}

/// The reaper's side that other threads use.
#[derive(Debug)]
pub(super) struct Reaper {
    epoll: Epoll,
    wakeup: Wakeup,
    table: Mutex<Table>,
    stopping: AtomicBool,
}

/// Children that outlived the supervisor that started them: the next one reaps them.
static LEFT_BEHIND: Mutex<Vec<Process>> = Mutex::new(Vec::new());

impl Reaper {
    /// Starts the thread.
    pub(super) fn start(mailbox: Sender<Message>) -> io::Result<(Arc<Reaper>, JoinHandle<()>)> {
        pidfd::probe()?;
        let (epoll, wakeup) = (Epoll::new()?, Wakeup::new()?);
        epoll.add(wakeup.fd(), WAKEUP)?;
        let table = Mutex::new(Table::default());
        let reaper = Arc::new(Reaper { epoll, wakeup, table, stopping: AtomicBool::new(false) });
        let runner = reaper.clone();
        let handle = thread::start("proxy-reaper", move || runner.run(&mailbox))?;
        reaper.take_left_behind();
        Ok((reaper, handle))
    }

    /// Waits from now on for the children of supervisors that have ended.
    pub(super) fn take_left_behind(&self) {
        let mut table = self.lock();
        for process in std::mem::take(&mut *left_behind()) {
            let key = new_key();
            table.released.insert(process.pid, key);
            table.processes.insert(key, Watched { process, phase: Phase::Released });
            self.watch_in(&mut table, key);
        }
    }

    /// Takes a process into the table, so that it can be signalled. Its end is reported from [`Reaper::watch`] on.
    pub(super) fn insert(&self, key: ProcessKey, process: Process) {
        let mut table = self.lock();
        // An own child that was let go and is adopted again has one watcher, or they would race for its status.
        if let Some(earlier) = table.released.remove(&process.pid) {
            self.remove_in(&mut table, earlier);
        }
        table.processes.insert(key, Watched { process, phase: Phase::Supervised });
    }

    /// Begins to wait for a process of the table.
    pub(super) fn watch(&self, key: ProcessKey) {
        self.watch_in(&mut self.lock(), key);
    }

    fn watch_in(&self, table: &mut Table, key: ProcessKey) {
        let Some(watched) = table.processes.get(&key) else { return };
        let add = |fd: &OwnedFd| fail::failing("watch:add").and_then(|()| self.epoll.add(fd.as_fd(), key));
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
    /// Nobody left to signal is no error.
    pub(super) fn signal_group(&self, key: ProcessKey, signal: Signal) -> io::Result<()> {
        let table = self.lock();
        let Some(watched) = table.processes.get(&key) else { return Ok(()) };
        for signal in [signal, Signal::CONT] {
            match fail::failing("signal:send").and_then(|()| send_to_group(&watched.process, signal)) {
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether others of its group outlive an ended process. If none do, it is forgotten.
    ///
    /// # Errors
    /// When that cannot be known now: "somebody is left" is the answer that harms nobody.
    pub(super) fn group_left(&self, key: ProcessKey) -> io::Result<bool> {
        let mut table = self.lock();
        let Some(watched) = table.processes.get(&key) else { return Ok(false) };
        let Phase::Ended { quiet_scan } = watched.phase else { return Ok(false) };
        let pid = watched.process.pid;
        let signalable = match &watched.process.pidfd {
            Some(fd) if pidfd::signals_groups() => pidfd::group_exists(fd.as_fd()),
            _ => true,
        };
        if !signalable {
            fail::point("group:gone");
            self.remove_in(&mut table, key);
            return Ok(false);
        }
        // Zombies count as members until their parent reaps them, which a careless init may never do. They are told
        // from the living by looking at all processes: twice, because one look can miss one that is just being forked.
        let (scan, lives) = table.group_lives(pid)?;
        let seen_before = quiet_scan.is_some_and(|earlier| earlier != scan);
        if !lives && seen_before {
            fail::point("group:gone");
            self.remove_in(&mut table, key);
            return Ok(false);
        }
        if let Some(watched) = table.processes.get_mut(&key) {
            watched.phase = Phase::Ended { quiet_scan: if lives { None } else { quiet_scan.or(Some(scan)) } };
        }
        Ok(true)
    }

    /// The living members of the group of a process, itself included.
    pub(super) fn members(&self, key: ProcessKey) -> Vec<i32> {
        let mut table = self.lock();
        let Some(leader) = table.processes.get(&key).map(|watched| watched.process.pid) else { return Vec::new() };
        table.living_members(leader)
    }

    /// The leaders of all groups that are looked after.
    pub(super) fn leaders(&self) -> HashSet<i32> {
        self.lock().processes.values().map(|watched| watched.process.pid.as_raw()).collect()
    }

    /// Lets a process go: it runs on, nobody is told of its end, and it is reaped if it is our child.
    pub(super) fn release(&self, key: ProcessKey) {
        let mut table = self.lock();
        let Some(watched) = table.processes.get_mut(&key) else { return };
        if let Phase::Ended { .. } = watched.phase {
            self.remove_in(&mut table, key);
            return;
        }
        watched.phase = Phase::Released;
        fail::point("release:done");
        let pid = watched.process.pid;
        table.released.insert(pid, key);
    }

    /// Who a process of the table is; `None` when it has ended.
    ///
    /// # Errors
    /// When that cannot be known now.
    pub(super) fn identity(&self, key: ProcessKey) -> io::Result<Option<Identity>> {
        let table = self.lock();
        match table.processes.get(&key) {
            // Reaped, so that the number may be another's by now.
            None | Some(Watched { phase: Phase::Ended { .. }, .. }) => Ok(None),
            Some(Watched { process, .. }) => process.identity(),
        }
    }

    /// Ends the thread; call once nothing is supervised any more.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wakeup.wake();
    }

    fn run(&self, mailbox: &Sender<Message>) {
        let mut ready = Vec::new();
        loop {
            let timeout = (!self.lock().polled.is_empty()).then_some(POLL_INTERVAL);
            if let Err(error) = self.epoll.wait(timeout, &mut ready) {
                // Only a host that closed our descriptor can cause this; it must not cost it a processor.
                logging::write(Level::Error, format_args!("wait for processes: {error}"));
                std::thread::sleep(POLL_INTERVAL);
            }
            if ready.contains(&WAKEUP) {
                self.wakeup.drain();
            }
            if timeout.is_some() {
                fail::point("watch:polled");
            }
            ready.extend(self.lock().polled.iter().copied());
            for &key in ready.iter().filter(|key| **key != WAKEUP) {
                fail::point("exit:seen");
                if let Some(message) = self.look_at(key) {
                    // Without a supervisor thread nobody needs to know.
                    let _ = mailbox.send(message);
                }
            }
            if self.stopping.load(Ordering::Acquire) {
                break;
            }
        }
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

    /// Looks whether a process has ended, and what there is to say then.
    fn look_at(&self, key: ProcessKey) -> Option<Message> {
        let mut table = self.lock();
        let watched = table.processes.get(&key)?;
        if let Phase::Ended { .. } = watched.phase {
            return None;
        }
        let reap = if watched.process.leads_by_pidfd() { Reap::Yes } else { Reap::No };
        let status = watched.process.ended(reap)?;
        fail::point("exit:reaped");
        let (pid, supervised) = (watched.process.pid, watched.phase == Phase::Supervised);
        table.polled.remove(&key);
        let group_left = supervised && self.group_outlives(&table, key);
        if !group_left {
            self.remove_in(&mut table, key);
        } else if let Some(watched) = table.processes.get_mut(&key) {
            watched.phase = Phase::Ended { quiet_scan: None };
            if let Some(fd) = &watched.process.pidfd {
                self.epoll.remove(fd.as_fd());
            }
        }
        supervised.then_some(Message::Exited { key, pid, status, group_left })
    }

    fn group_outlives(&self, table: &Table, key: ProcessKey) -> bool {
        let Some(watched) = table.processes.get(&key) else { return false };
        match &watched.process.pidfd {
            Some(fd) if pidfd::signals_groups() => pidfd::group_exists(fd.as_fd()),
            // The number of a leader that somebody else reaps is not held: its group cannot be signalled safely.
            _ if matches!(wait::try_wait(watched.process.target(), Reap::No), Ok(Waited::NotOurs)) => false,
            // Whoever is alive is waited for; an older look may have missed it, and the next one finds it.
            _ => true,
        }
    }

    /// Forgets a process, reaping it if that was held back.
    fn remove_in(&self, table: &mut Table, key: ProcessKey) {
        table.polled.remove(&key);
        let Some(watched) = table.processes.remove(&key) else { return };
        if table.released.get(&watched.process.pid) == Some(&key) {
            table.released.remove(&watched.process.pid);
        }
        if let Some(fd) = &watched.process.pidfd {
            self.epoll.remove(fd.as_fd());
        }
        if !watched.process.leads_by_pidfd() {
            // Not our child, or reaped by the host: then there is nothing to reap.
            let _ = wait::try_wait(watched.process.target(), Reap::Yes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it is held.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Whether a living process is in the group, and by which look. One look serves all groups for a short time.
    fn group_lives(&mut self, leader: Pid) -> io::Result<(u64, bool)> {
        self.look()?;
        Ok((self.scan.number, !self.seen_in(leader).is_empty()))
    }

    /// Who lives in the group, as far as that can be known now.
    fn living_members(&mut self, leader: Pid) -> Vec<i32> {
        if self.look().is_ok() { self.seen_in(leader) } else { Vec::new() }
    }

    fn seen_in(&self, leader: Pid) -> Vec<i32> {
        let members = self.scan.members.get(&leader.as_raw()).into_iter().flatten();
        members.copied().filter(|pid| stat::is_alive(*pid)).collect()
    }

    fn look(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if self.scan.good_until.is_none_or(|end| now >= end) {
            let members = stat::groups()?;
            let good_until = Some(Instant::now() + now.elapsed().max(SCAN_INTERVAL));
            self.scan = Scan { number: self.scan.number + 1, good_until, members };
        }
        Ok(())
    }
}

fn send_to_group(process: &Process, signal: Signal) -> io::Result<()> {
    match (&process.pidfd, &process.identity) {
        (Some(fd), _) if pidfd::signals_groups() => pidfd::signal_group(fd.as_fd(), signal),
        (Some(fd), _) => {
            // A zombie or living leader holds the number; ESRCH says that it is held no more.
            pidfd::signal(fd.as_fd(), signal)?;
            signal::kill_group(process.pid, signal)
        }
        (None, Some(identity)) => match identity.stat()? {
            Some(_) => signal::kill_group(process.pid, signal),
            None => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        },
        // As long as it is our child, and be it a zombie, nobody else has its number.
        (None, None) => match wait::try_wait(process.target(), Reap::No)? {
            Waited::Running | Waited::Ended(_) => signal::kill_group(process.pid, signal),
            Waited::NotOurs => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        },
    }
}

fn left_behind() -> MutexGuard<'static, Vec<Process>> {
    LEFT_BEHIND.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    /// As where the last descriptor was gone when the process had been started: also on a kernel that signals groups
    /// through pidfds, this one's can be signalled only while its leader is unreaped.
    #[test]
    #[expect(clippy::zombie_processes, reason = "the reaper reaps it")]
    fn the_group_of_a_process_without_a_pidfd_is_not_forgotten() {
        let (mailbox, messages) = crossbeam_channel::unbounded();
        let (reaper, thread) = Reaper::start(mailbox).unwrap();
        let mut shell = Command::new("/bin/sh");
        let shell = shell.args(["-c", "sleep 1000 & echo $!; wait"]).process_group(0).stdout(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let mut member = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut member).unwrap();
        let (pid, key) = (Pid::from_raw(child.id() as i32).unwrap(), new_key());
        reaper.insert(key, Process { pid, pidfd: None, identity: Identity::of(pid, None).unwrap().map(Box::new) });
        reaper.watch(key);
        child.kill().unwrap();
        let Message::Exited { group_left, .. } = messages.recv().unwrap() else { panic!("an exit") };
        assert!(group_left && reaper.group_left(key).unwrap());
        assert!(stat::is_alive(member.trim().parse().unwrap()));
        reaper.signal_group(key, Signal::KILL).unwrap();
        while reaper.group_left(key).unwrap() {
            std::thread::sleep(SCAN_INTERVAL);
        }
        assert!(!stat::is_alive(member.trim().parse().unwrap()));
        assert_eq!(wait::try_wait(Target::Pid(pid), Reap::Yes).unwrap(), Waited::NotOurs, "a zombie is left");
        reaper.stop();
        thread.join().unwrap();
    }

    /// A host that waits for any child can have reaped it, and the number been given away.
    #[test]
    fn a_number_that_was_given_away_is_not_taken_for_an_identity() {
        if !pidfd::is_supported() {
            return; // without pidfds the identity is known from the start
        }
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let opened = || Some(pidfd::open(Pid::from_raw(child.id() as i32).unwrap()).unwrap());
        let process = Process { pid: Pid::from_raw(child.id() as i32).unwrap(), pidfd: opened(), identity: None };
        assert_eq!(process.identity().unwrap().unwrap().pid, process.pid);
        // The one who has the number now is this process.
        let given_away = Process { pid: crate::sys::identity::own_pid(), ..process };
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(given_away.identity().unwrap(), None);
    }
}
