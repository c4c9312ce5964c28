// SPDX-License-Identifier: MPL-2.0
//! The threads of the spawners, at most one a core. One that is stuck, in a file system that hangs, in an exec from it or in
//! a user database that does not answer, holds up only the proxy that it works for: another one is started in its place.
//!
//! No thread ends before the library does, also not when stuck ones come back and there are more than a core needs: a
//! program can ask to be killed when the thread that started it ends (PR_SET_PDEATHSIG, prctl(2)). What came back counts
//! as one that works, so their number is bounded by how many were ever stuck at the same time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::busy_timer::BusyTimer;
use super::job::{Job, ScanRequest, Work};
use super::known_host::Heard;
use super::spawn_tools::SpawnTools;
use super::work::Spawner;
use crate::defaults::KILL_PATIENCE;
use crate::error::Error;
use crate::logging::{self, Level};
use crate::store::{DataDir, LogPositions};
use crate::supervisor::mailbox::Mailbox;
use crate::supervisor::reaper::Reaper;
use crate::supervisor::scan::stalled_scan::ScanProgress;
use crate::supervisor::status::{LogSizes, ProxyStatus};
use crate::sys::pid::Pid;
use crate::sys::{fail, thread};

/// More would only queue for the same kernel locks; and with the supervisor, a manager's and the host's own thread they
/// are six.
const MAX_THREADS: usize = 3;

/// After so long at one piece of work a thread counts as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// How many threads there can be in place of stuck ones. So many hung file systems, or more, hold up all.
const MAX_STAND_INS: usize = 16;

/// How many threads there are at most, as long as none is stuck.
pub(crate) fn most_spawners() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get()).min(MAX_THREADS)
}

/// The threads and the way to them.
#[derive(Debug)]
pub(crate) struct Spawners {
    /// There until the end. With each piece how much had been heard of the host.
    work: Option<Sender<(u64, Work)>>,
    shared: Arc<Shared>,
    threads: Vec<SpawnerThread>,
    limit: usize,
    /// When a thread may be stuck for which work waits, if any does.
    check_at: Option<Instant>,
}

/// One of the threads.
#[derive(Debug)]
struct SpawnerThread {
    thread: JoinHandle<()>,
    busy: Arc<BusyTimer>,
    /// Closes when it ends.
    ended: Receiver<()>,
}

impl SpawnerThread {
    fn is_stuck(&self) -> bool {
        self.busy.length() >= STUCK_AFTER
    }
}

/// What they have in common.
#[derive(Debug)]
struct Shared {
    waiting: Receiver<(u64, Work)>,
    heard: Heard,
    spawner: Spawner,
    /// Threads that wait for a job, or are about to.
    idle: AtomicI64,
}

impl Spawners {
    /// Starts the first thread; others follow when there is work for them.
    pub(crate) fn start(mailbox: Mailbox, reaper: Arc<Reaper>, positions: Arc<LogPositions>) -> io::Result<Spawners> {
        let (work, waiting) = crossbeam_channel::unbounded();
        let (spawner, idle) = (Spawner::new(mailbox, reaper, positions)?, AtomicI64::new(0));
        let shared = Arc::new(Shared { waiting, heard: Heard::default(), spawner, idle });
        let (threads, limit) = (Vec::new(), most_spawners());
        let mut spawners = Spawners { work: Some(work), shared, threads, limit, check_at: None };
        spawners.add_thread()?;
        Ok(spawners)
    }

    /// The host has asked for something: what is submitted from now on follows from it.
    pub(crate) fn host_has_asked(&self) {
        self.shared.heard.add_one();
    }

    pub(crate) fn submit(&mut self, job: Job) {
        self.hand_over(Work::Job(job));
    }

    /// Has one scan of processes made for all of these.
    pub(crate) fn scan(&mut self, all: Vec<ScanRequest>, progress: Arc<ScanProgress>) {
        self.hand_over(Work::Scan(all, progress));
    }

    /// Has a look at a data directory.
    pub(crate) fn look_at(&mut self, data_dir: Arc<DataDir>, reply: Sender<Option<Error>>) {
        self.hand_over(Work::LookAt(data_dir, reply));
    }

    /// Has the logs of these measured.
    pub(crate) fn measure_logs(&mut self, all: Arc<Vec<ProxyStatus>>, reply: Sender<Vec<LogSizes>>) {
        self.hand_over(Work::MeasureLogs(all, reply));
    }

    /// Has later scans skip a process that stalls them.
    pub(crate) fn skip_in_scans(&self, pid: Pid, scan: &ScanProgress) {
        self.shared.spawner.skip_in_scans(pid, scan);
    }

    fn hand_over(&mut self, work: Work) {
        if self.shared.idle.load(Ordering::Acquire) <= 0 {
            self.add_thread_unless_enough();
        }
        if let Some(waiting) = &self.work {
            // The receiver lives in `shared`, so the channel is open.
            let _ = waiting.send((self.shared.heard.count(), work));
        }
    }

    /// When [`Spawners::reinforce`] is due, if anything waits for a thread.
    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        match self.shared.waiting.is_empty() {
            true => self.check_at = None,
            false => self.check_at = self.check_at.or_else(|| Some(Instant::now() + STUCK_AFTER)),
        }
        self.check_at
    }

    /// Starts one more thread for what waits while the threads that should do it are stuck.
    pub(crate) fn reinforce(&mut self, now: Instant) {
        if self.check_at.take_if(|at| *at <= now).is_some() {
            self.add_thread_unless_enough();
        }
    }

    fn add_thread_unless_enough(&mut self) {
        for at in (0..self.threads.len()).rev() {
            if self.threads[at].thread.is_finished() {
                // One that panicked has been logged by the panic hook.
                let _ = self.threads.swap_remove(at).thread.join();
            }
        }
        let stuck = self.threads.iter().filter(|member| member.is_stuck()).count();
        if self.threads.len() - stuck >= self.limit || stuck > MAX_STAND_INS {
            return;
        }
        if stuck > 0 {
            let stuck = format_args!(
                "spawner threads stuck in a file system, the user database or an exec: {stuck}; one more is started"
            );
            logging::write(Level::Warn, stuck);
        }
        // One more is a help, not a need: if there is none to be had, those that there are do the work.
        if let Err(error) = self.add_thread() {
            logging::write(Level::Warn, format_args!("start one more spawner thread: {error}"));
        }
    }

    fn add_thread(&mut self) -> io::Result<()> {
        let tools = SpawnTools::new(self.shared.heard.clone())?;
        let (shared, busy) = (self.shared.clone(), Arc::new(BusyTimer::new()));
        let name = format!("proxy-spawner-{}", self.threads.len() + 1);
        let ((ends, ended), its_timer) = (crossbeam_channel::bounded(0), busy.clone());
        let thread = thread::start(&name, move || {
            shared.run(tools, &its_timer);
            drop(ends);
        })?;
        self.threads.push(SpawnerThread { thread, busy, ended });
        // Counted here and not by the thread: until it runs, the job that it was started for is its own.
        self.shared.idle.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

/// Ends the threads once the jobs are done. Also when the supervisor thread cannot be had that was to give them some: a
/// thread that is left behind would run on in a library that its host has unloaded.
///
/// Only one that is stuck is left behind nevertheless, for its host could not end either. (A thread of Rust has values of
/// its own, which keep the library from being unloaded before it ends.)
impl Drop for Spawners {
    fn drop(&mut self) {
        self.work = None;
        while let Some(SpawnerThread { thread, busy, ended }) = self.threads.pop() {
            let wait = || ended.recv_timeout(KILL_PATIENCE.saturating_sub(busy.length()));
            let mut end = wait();
            while end == Err(RecvTimeoutError::Timeout) && busy.length() < KILL_PATIENCE {
                end = wait();
            }
            if end == Err(RecvTimeoutError::Timeout) {
                self.shared.spawner.close();
                let message = format_args!(
                    "a spawner thread is stuck in a file system, the user database or an exec: left behind"
                );
                logging::write(Level::Error, message);
            } else {
                // One that panicked has been logged by the panic hook.
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn run(&self, mut tools: SpawnTools, busy: &BusyTimer) {
        while let Ok((heard, work)) = self.waiting.recv() {
            self.idle.fetch_sub(1, Ordering::AcqRel);
            busy.begin();
            fail::point("job:taken");
            tools.begin(heard);
            self.spawner.do_work(work, &mut tools);
            busy.end();
            self.idle.fetch_add(1, Ordering::AcqRel);
        }
    }
}
