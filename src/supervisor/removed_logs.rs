// SPDX-License-Identifier: MPL-2.0
//! Which logs of a manager may be removed: those of proxies that are neither declared nor still in use by the
//! supervisor. A log is not opened while it is being removed, and not removed once it may be opened.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::defaults::KILL_PATIENCE;
use crate::logging::{Level, Log};
use crate::store::LogHome;

/// Whether the manager's state declares a proxy.
type IsDeclared = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// What the supervisor, its spawners and the thread of the logs know together.
pub(crate) struct RemovedLogs {
    pub(super) home: Arc<dyn LogHome>,
    log: Log,
    gate: Mutex<Gate>,
    /// Told when the logs of one are gone.
    gone: Condvar,
}

struct Gate {
    /// There until the manager ends: nothing is removed from then on.
    is_declared: Option<IsDeclared>,
    /// Whether the supervisor knows everything that an earlier agent left: nothing is removed before.
    is_open: bool,
    /// The logs of how many removed proxies stay, if not all do.
    keep: Option<u32>,
    /// Those that the supervisor has a slot for.
    in_use: HashSet<Arc<str>>,
    /// Whose logs are being removed now.
    removing: Option<String>,
    /// Whether the thread of the logs is to look at them, and has not begun.
    is_asked: bool,
    /// When it began last.
    begun: Option<Instant>,
    /// What could not be done the last time.
    said: String,
}

impl RemovedLogs {
    pub(crate) fn new(
        home: Arc<dyn LogHome>,
        log: Log,
        is_declared: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> RemovedLogs {
        let gate = Gate {
            is_declared: Some(Box::new(is_declared)),
            is_open: false,
            keep: None,
            in_use: HashSet::new(),
            removing: None,
            is_asked: false,
            begun: None,
            said: String::new(),
        };
        RemovedLogs { home, log, gate: Mutex::new(gate), gone: Condvar::new() }
    }

    /// All that an earlier agent has left is known to the supervisor, and so many may stay: whether they are to be looked at.
    pub(crate) fn allow(&self, keep: Option<u32>) -> bool {
        let mut gate = self.gate();
        let is_new = !gate.is_open || gate.keep != keep;
        (gate.is_open, gate.keep) = (true, keep);
        is_new && gate.ask()
    }

    /// The supervisor has a slot for this proxy from now on.
    pub(super) fn begin_use(&self, id: &Arc<str>) {
        self.gate().in_use.insert(id.clone());
    }

    /// The supervisor has done with a proxy that was removed: whether the logs are to be looked at.
    pub(super) fn end_use(&self, id: &str) -> bool {
        let mut gate = self.gate();
        gate.in_use.remove(id);
        gate.ask()
    }

    /// Returns when no log of a proxy, which is in use, is being removed any more.
    pub(super) fn await_removal(&self, id: &str) {
        let mut gate = self.gate();
        while gate.removing.as_deref() == Some(id) {
            gate = self.gone.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing is removed from now on: the next agent may have the directory soon. It waits for a removal that is under way, for
    /// so long as a file system may take.
    pub(crate) fn end(&self) {
        let mut gate = self.gate();
        gate.is_declared = None;
        let is_removing = |gate: &mut Gate| gate.removing.is_some();
        drop(self.gone.wait_timeout_while(gate, KILL_PATIENCE, is_removing));
    }

    /// The logs are being looked at: how many may stay, unless all may by now.
    pub(super) fn begin(&self, now: Instant) -> Option<u32> {
        let mut gate = self.gate();
        (gate.is_asked, gate.begun) = (false, Some(now));
        gate.keep.filter(|_| gate.is_declared.is_some())
    }

    /// When they were looked at last.
    pub(super) fn begun(&self) -> Option<Instant> {
        self.gate().begun
    }

    /// Whether the proxy of this id was removed and its logs are not in use, as far as is known now.
    pub(super) fn is_removed(&self, id: &str) -> bool {
        self.gate().is_removed(id)
    }

    /// Does the removal of the logs of an id, unless they are in use by now or their proxy is declared again, or another
    /// number of them may stay.
    pub(super) fn removing<T>(&self, id: &str, keep: u32, remove: impl FnOnce() -> T) -> Option<T> {
        {
            let mut gate = self.gate();
            if !gate.is_removed(id) || gate.keep != Some(keep) {
                return None;
            }
            gate.removing = Some(id.to_owned());
        }
        let _over = Over(self);
        Some(remove())
    }

    /// Says what was done, and what could not be done once for each reason.
    pub(super) fn tell(&self, removed: usize, failed: Option<String>) {
        if removed > 0 {
            self.log.write(Level::Info, format_args!("logs of removed proxies: removed those of {removed}"));
        }
        let failed = failed.unwrap_or_default();
        let is_news = std::mem::replace(&mut self.gate().said, failed.clone()) != failed;
        if is_news && !failed.is_empty() {
            self.log.write(Level::Warn, format_args!("logs of removed proxies: {failed}"));
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        // Nothing panics while it is held.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    fn is_removed(&self, id: &str) -> bool {
        let is_undeclared = self.is_declared.as_ref().is_some_and(|is_declared| !is_declared(id));
        self.is_open && is_undeclared && !self.in_use.contains(id)
    }

    /// Whether the thread has to be told.
    fn ask(&mut self) -> bool {
        let is_due = self.is_open && self.keep.is_some() && self.is_declared.is_some();
        is_due && !std::mem::replace(&mut self.is_asked, true)
    }
}

/// The end of a removal, also of one that panics.
struct Over<'a>(&'a RemovedLogs);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.gate().removing = None;
        self.0.gone.notify_all();
    }
}

impl fmt::Debug for RemovedLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemovedLogs").field("home", &self.home).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::store::LogDir;

    fn removed_logs() -> (std::path::PathBuf, RemovedLogs) {
        let path = std::env::temp_dir().join(format!("proxyprocess-removed-{}", crate::sys::random::uuid().unwrap()));
        let home = Arc::new(LogDir::open(&path).unwrap());
        (path, RemovedLogs::new(home, Log::new(None), |id| id == "declared"))
    }

    #[test]
    fn nothing_is_removed_before_all_is_known_and_after_the_end() {
        let (path, logs) = removed_logs();
        assert!(!logs.end_use("web") && logs.removing("web", 3, || ()).is_none());
        assert!(!logs.allow(None) && logs.allow(Some(3)) && !logs.allow(Some(3)));
        // It was told, and has not begun.
        assert!(!logs.end_use("web"));
        assert_eq!(logs.begin(Instant::now()), Some(3));
        assert!(logs.end_use("web"));
        logs.begin_use(&"web".into());
        assert!(logs.removing("web", 3, || ()).is_none() && logs.removing("declared", 3, || ()).is_none());
        assert!(logs.removing("other", 3, || ()).is_some());
        logs.end();
        assert!(logs.removing("other", 3, || ()).is_none() && !logs.end_use("web"));
        assert_eq!(logs.begin(Instant::now()), None);
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn log_is_opened_after_its_removal_and_others_at_once() {
        let (path, logs) = removed_logs();
        logs.allow(Some(0));
        let is_removed = AtomicBool::new(false);
        let (begun, begins) = crossbeam_channel::bounded::<()>(0);
        let (goes_on, go_on) = crossbeam_channel::bounded::<()>(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                logs.removing("web", 0, || {
                    begun.send(()).unwrap();
                    go_on.recv().unwrap();
                    std::thread::sleep(Duration::from_millis(20));
                    is_removed.store(true, Ordering::Release);
                });
            });
            begins.recv().unwrap();
            logs.begin_use(&"web".into());
            logs.await_removal("other");
            goes_on.send(()).unwrap();
            logs.await_removal("web");
            assert!(is_removed.load(Ordering::Acquire));
        });
        std::fs::remove_dir_all(path).unwrap();
    }
}
