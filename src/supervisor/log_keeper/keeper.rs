// SPDX-License-Identifier: MPL-2.0
//! The log thread: waits until a log is written to, checks its size until writing stops, and waits again. In between it
//! removes the logs of removed proxies.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Receiver;

use super::request::{KeptLogs, Request};
use super::sweep::Sweep;
use super::watched_log::{Next, UNWATCHED, WatchedLog};
use crate::host_code::caught;
use crate::logging::{self, Level};
use crate::store::{FileId, LogPositions};
use crate::supervisor::process_key::ProcessKey;
use crate::sys::epoll::{Epoll, Wakeup};
use crate::sys::inotify::{Inotify, Watch};

/// One of the logs of a process.
type LogKey = (ProcessKey, usize);

const WAKEUP: u64 = 0;
const WRITTEN: u64 = 1;

/// The thread's state.
pub(super) struct Keeper {
    requests: Receiver<Request>,
    wakeup: Arc<Wakeup>,
    epoll: Epoll,
    /// Without it logs are looked at now and then.
    inotify: Option<Inotify>,
    positions: Arc<LogPositions>,
    logs: HashMap<ProcessKey, Vec<WatchedLog>>,
    due: BTreeSet<(Instant, LogKey)>,
    /// Several processes may write to the same file.
    watched: HashMap<Watch, Vec<LogKey>>,
    users: HashMap<FileId, usize>,
    sweeps: Vec<Sweep>,
}

impl Keeper {
    pub(super) fn new(
        requests: Receiver<Request>,
        wakeup: Arc<Wakeup>,
        positions: Arc<LogPositions>,
    ) -> io::Result<Keeper> {
        let (epoll, inotify) = (Epoll::new()?, Inotify::new());
        epoll.add(wakeup.fd(), WAKEUP)?;
        let inotify = inotify.and_then(|inotify| epoll.add(inotify.as_fd(), WRITTEN).map(|()| inotify));
        let inotify = inotify.inspect_err(|error| {
            let message = format_args!("logs with a limit are looked at every {UNWATCHED:?}: inotify(7): {error}");
            logging::write(Level::Warn, message);
        });
        let inotify = inotify.ok();
        let (logs, due, watched, users) = (HashMap::new(), BTreeSet::new(), HashMap::new(), HashMap::new());
        let sweeps = Vec::new();
        Ok(Keeper { requests, wakeup, epoll, inotify, positions, logs, due, watched, users, sweeps })
    }

    pub(super) fn run(mut self) {
        let mut ready = Vec::new();
        loop {
            let sweep = self.sweeps.iter().map(|sweep| sweep.at);
            let next = self.due.first().map(|(at, _)| *at).into_iter().chain(sweep).min();
            let patience = next.map(|at| at.saturating_duration_since(Instant::now()));
            if let Err(error) = self.epoll.wait(patience, &mut ready) {
                // Only a host that closed our descriptor can cause this.
                return logging::write(Level::Error, format_args!("wait for logs that are written to: {error}"));
            }
            self.wakeup.drain();
            while let Ok(request) = self.requests.try_recv() {
                match request {
                    Request::Keep(key, logs) => self.keep(key, logs),
                    Request::Sweep(removed) => self.sweeps.push(Sweep::new(removed, Instant::now())),
                    Request::End => return,
                }
            }
            if ready.contains(&WRITTEN) {
                self.note_written();
            }
            self.look_at_due();
            self.sweep();
        }
    }

    /// Does a piece of each sweep that is due.
    fn sweep(&mut self) {
        let now = Instant::now();
        // As with a log: a fault with one is the end of that one alone.
        self.sweeps.retain_mut(|sweep| sweep.at > now || caught(|| sweep.go_on(now)).unwrap_or(false));
    }

    fn keep(&mut self, key: ProcessKey, KeptLogs { logs, counters }: KeptLogs) {
        for number in 0..self.logs.get(&key).map_or(0, Vec::len) {
            self.leave((key, number));
        }
        let gone = self.logs.remove(&key).into_iter().flatten().filter_map(|log| log.file).collect::<Vec<_>>();
        if !logs.is_empty() {
            let (now, count) = (Instant::now(), logs.len());
            self.logs.insert(key, logs.into_iter().map(|log| WatchedLog::new(log, counters.clone(), now)).collect());
            (0..count).for_each(|number| self.look((key, number)));
        }
        // ORDER: after the new ones, which are mostly the same files, and places in these are known.
        for file in gone {
            self.release(file);
        }
    }

    /// Forgets what is to be done with a log.
    fn leave(&mut self, key: LogKey) {
        let Some(log) = self.logs.get(&key.0).and_then(|logs| logs.get(key.1)) else { return };
        match log.next {
            Next::Watched(watch) => {
                let others = self.watched.get_mut(&watch);
                let is_last = others.is_none_or(|keys| {
                    keys.retain(|it| *it != key);
                    keys.is_empty()
                });
                if is_last {
                    self.watched.remove(&watch);
                    self.inotify.iter().for_each(|inotify| inotify.forget(watch));
                }
            }
            Next::Look(at) => drop(self.due.remove(&(at, key))),
            Next::Nothing => {}
        }
    }

    fn release(&mut self, file: FileId) {
        let Some(users) = self.users.get_mut(&file) else { return };
        *users -= 1;
        if *users == 0 {
            self.users.remove(&file);
            self.positions.forget(file);
        }
    }

    fn note_written(&mut self) {
        let mut written = Vec::new();
        if !self.inotify.as_ref().is_none_or(|inotify| inotify.written(&mut written)) {
            // Too many at once: it may be any.
            written = self.watched.keys().copied().collect();
        }
        let now = Instant::now();
        let keys = written.into_iter().filter_map(|watch| self.watched.remove(&watch)).flatten();
        for key in keys.collect::<Vec<_>>() {
            let Some(log) = self.logs.get_mut(&key.0).and_then(|logs| logs.get_mut(key.1)) else { continue };
            log.written(now);
            self.plan(key);
        }
    }

    fn look_at_due(&mut self) {
        let now = Instant::now();
        while let Some((at, key)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, key));
            self.look(key);
        }
    }

    fn look(&mut self, key: LogKey) {
        let Some(log) = self.logs.get_mut(&key.0).and_then(|logs| logs.get_mut(key.1)) else { return };
        let before = log.file;
        let (inotify, positions) = (self.inotify.as_ref(), &self.positions);
        // A fault of this library with one log must not leave all others without a limit.
        if caught(|| log.look(inotify, positions)).is_err() {
            log.next = Next::Nothing;
        }
        let after = log.file;
        if before != after {
            after.into_iter().for_each(|file| *self.users.entry(file).or_default() += 1);
            before.into_iter().for_each(|file| self.release(file));
        }
        self.plan(key);
    }

    fn plan(&mut self, key: LogKey) {
        let Some(log) = self.logs.get(&key.0).and_then(|logs| logs.get(key.1)) else { return };
        match log.next {
            Next::Watched(watch) => self.watched.entry(watch).or_default().push(key),
            Next::Look(at) => drop(self.due.insert((at, key))),
            Next::Nothing => {}
        }
    }
}
