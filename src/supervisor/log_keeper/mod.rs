// SPDX-License-Identifier: MPL-2.0
//! Keeps logs within their limits and removes those of removed proxies, on a thread of its own that is started when
//! there is something to do. If it hangs in a file system, no start and no stop is delayed.

mod keeper;
mod pace;
mod request;
mod sweep;
mod watched_log;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use super::process_key::ProcessKey;
use super::removed_logs::RemovedLogs;
use crate::defaults::KILL_PATIENCE;
use crate::logging::{self, Level};
use crate::store::LogPositions;
use crate::sys::epoll::Wakeup;
use crate::sys::thread;
use keeper::Keeper;
pub(crate) use request::KeptLogs;
use request::Request;

/// The thread, if there is one, and the way to it.
#[derive(Debug)]
pub(crate) struct LogKeeper {
    positions: Arc<LogPositions>,
    running: Option<Running>,
    /// What it is to be told as soon as it could be started.
    untold: HashMap<ProcessKey, KeptLogs>,
    /// That it could not be started was said.
    is_failure_said: bool,
}

#[derive(Debug)]
struct Running {
    requests: Sender<Request>,
    wakeup: Arc<Wakeup>,
    thread: JoinHandle<()>,
    /// Closes when it ends.
    ended: Receiver<()>,
}

impl LogKeeper {
    pub(crate) fn new(positions: Arc<LogPositions>) -> LogKeeper {
        LogKeeper { positions, running: None, untold: HashMap::new(), is_failure_said: false }
    }

    /// Keeps these logs, those of a process that may write to them, within their limits from now on, and no others of it.
    pub(crate) fn keep(&mut self, key: ProcessKey, kept: KeptLogs) {
        if let Some(running) = &self.running {
            return running.send(Request::Keep(key, kept));
        }
        if kept.logs.is_empty() {
            self.untold.remove(&key);
            return;
        }
        self.untold.insert(key, kept);
        // The next start of a process tries it again.
        self.have_thread();
    }

    /// Has a look at which proxies were removed, and removes the logs of those that are too many.
    pub(crate) fn sweep(&mut self, removed: Arc<RemovedLogs>) {
        match self.have_thread() {
            Some(running) => running.send(Request::Sweep(removed)),
            // Only the next agent does then, unless another proxy is removed.
            None => drop(removed.begin(Instant::now())),
        }
    }

    /// Starts the thread, if it is not there yet and can be had.
    fn have_thread(&mut self) -> Option<&Running> {
        if self.running.is_none() {
            match self.start() {
                Ok(running) => {
                    self.untold.drain().for_each(|(key, kept)| running.send(Request::Keep(key, kept)));
                    self.running = Some(running);
                }
                Err(_) if self.is_failure_said => {}
                Err(error) => {
                    self.is_failure_said = true;
                    logging::write(Level::Error, format_args!("start the thread of the logs: {error}"));
                }
            }
        }
        self.running.as_ref()
    }

    fn start(&self) -> io::Result<Running> {
        let (requests, received) = crossbeam_channel::unbounded();
        let wakeup = Arc::new(Wakeup::new()?);
        let keeper = Keeper::new(received, wakeup.clone(), self.positions.clone())?;
        let (ends, ended) = crossbeam_channel::bounded(0);
        let thread = thread::start("proxy-logs", move || {
            keeper.run();
            drop(ends);
        })?;
        Ok(Running { requests, wakeup, thread, ended })
    }
}

impl Running {
    fn send(&self, request: Request) {
        // A thread that has panicked, which is logged, takes none.
        let _ = self.requests.send(request);
        self.wakeup.wake();
    }
}

/// Ends the thread. Only one that hangs in a file system is left behind, as a spawner is.
impl Drop for LogKeeper {
    fn drop(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.send(Request::End);
        match running.ended.recv_timeout(KILL_PATIENCE) {
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => {
                logging::write(
                    Level::Error,
                    format_args!("the thread of the logs is stuck in a file system: left behind"),
                );
            }
            // One that panicked has been logged by the panic hook.
            _ => drop(running.thread.join()),
        }
    }
}
