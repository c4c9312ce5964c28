// SPDX-License-Identifier: MPL-2.0
//! The status of all proxies: what the supervisor knows, what is declared, and which changes cannot be applied now.
//!
//! It also returns while a file system hangs. A sync that waits for the disk holds the lock of the managed set, and a
//! look at the data directory may never return: then the last known state of these is reported.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::sync::{Arc, MutexGuard, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};

use super::Manager;
use super::last_look::Unsupervised;
use super::managed_set::ManagedSet;
use crate::error::{Error, Result};
use crate::supervisor::{LogSizes, ProxyStatus, Slot, Supervisor, not_managed};

/// How long the managed set is waited for, and while that was in vain the last time: a sync that does not wait for the disk is
/// soon done.
const PATIENCE: Duration = Duration::from_millis(200);
const PATIENCE_WHEN_HELD_UP: Duration = Duration::from_millis(2);

/// How long a look at the data directory is waited for, which comes after the jobs that wait for a spawner.
const PATIENCE_FOR_LOOK: Duration = Duration::from_millis(5);

/// How long the sizes of logs are waited for: of ten thousand proxies, some tens of milliseconds.
const PATIENCE_FOR_SIZES: Duration = Duration::from_secs(1);

/// From one try to have the managed set to the next.
const TRY_AGAIN: Duration = Duration::from_micros(100);

impl Manager {
    /// The body of [`Manager::status`].
    pub(super) fn look(&self) -> Vec<ProxyStatus> {
        if self.check_usable().is_err() {
            return Vec::new(); // a worker that the host forked off has none
        }
        let supervisor = self.supervisor.get();
        let supervised = supervisor.as_ref().and_then(|supervisor| supervisor.status(self.owner).ok());
        let supervised = supervised.unwrap_or_default();
        let unsupervised = self.unsupervised(&supervised);
        let mut all = of_all(supervised, &unsupervised);
        if let Some(error) = self.trouble(supervisor.as_deref()) {
            for status in all.iter_mut().filter(|status| status.last_error.is_none()) {
                status.last_error = Some(error.to_string());
            }
            // Noticed here, it is mended there.
            self.control.nudge();
        }
        all
    }

    /// The body of [`Manager::status_of`].
    pub(super) fn look_at(&self, id: &str) -> Result<ProxyStatus> {
        self.check_usable()?;
        let supervisor = self.supervisor.get();
        let slot = Slot { owner: self.owner, id: id.into() };
        let supervised = supervisor.as_ref().map_or(Ok(None), |supervisor| supervisor.status_of(slot))?;
        let Some(mut status) = self.unsupervised_of(id, supervised) else {
            return Err(self.check_open().err().unwrap_or_else(|| not_managed(id)));
        };
        if let Some(error) = self.trouble(supervisor.as_deref()) {
            status.last_error.get_or_insert_with(|| error.to_string());
            self.control.nudge();
        }
        Ok(status)
    }

    /// What the supervisor knows of one, with what it does not know; `None` when there is nothing.
    fn unsupervised_of(&self, id: &str, supervised: Option<ProxyStatus>) -> Option<ProxyStatus> {
        let of_core = |core: &ManagedSet| {
            let declared = || core.managed.get(id).map(|managed| managed.status(id));
            (supervised.clone().or_else(declared), core.held.get(id).cloned())
        };
        let found = self.core_within(self.patience()).map(|core| of_core(&core));
        let mut last = self.last_look.lock();
        last.is_held_up = found.is_none();
        let (known, held) = found.unwrap_or_else(|| {
            let Unsupervised { declared, held } = &*last.unsupervised;
            let declared = || declared.iter().find(|(it, _)| **it == *id).map(|(_, declared)| declared.status(id));
            (supervised.clone().or_else(declared), held.iter().find(|status| status.id == id).cloned())
        });
        match (known, held) {
            (Some(known), Some(held)) => Some(ProxyStatus { last_error: held.last_error, ..known }),
            (known, held) => known.or(held),
        }
    }

    fn patience(&self) -> Duration {
        if self.last_look.lock().is_held_up { PATIENCE_WHEN_HELD_UP } else { PATIENCE }
    }

    /// How large the logs of these are; empty while a file system hangs that one of them is on.
    pub(super) fn log_sizes(&self, all: &Arc<Vec<ProxyStatus>>) -> Vec<LogSizes> {
        let Some(supervisor) = self.supervisor.get() else { return Vec::new() };
        {
            let mut last = self.last_look.lock();
            if last.late_sizes.as_ref().is_some_and(|late| late.try_recv() == Err(TryRecvError::Empty)) {
                return Vec::new();
            }
            last.late_sizes = None;
        }
        let Ok(answer) = supervisor.measure_logs(all) else { return Vec::new() };
        match answer.recv_timeout(PATIENCE_FOR_SIZES) {
            Ok(sizes) => return sizes,
            Err(RecvTimeoutError::Timeout) => self.last_look.lock().late_sizes = Some(answer),
            Err(RecvTimeoutError::Disconnected) => {}
        }
        Vec::new()
    }

    fn unsupervised(&self, supervised: &[ProxyStatus]) -> Arc<Unsupervised> {
        let found = self.core_within(self.patience()).map(|core| Arc::new(core.unsupervised(supervised)));
        let mut last = self.last_look.lock();
        last.is_held_up = found.is_none();
        if let Some(found) = found {
            last.unsupervised = found;
        }
        last.unsupervised.clone()
    }

    fn core_within(&self, patience: Duration) -> Option<MutexGuard<'_, ManagedSet>> {
        let by = Instant::now() + patience;
        loop {
            match self.core.anywhere().try_lock() {
                Ok(core) => return Some(core),
                // As for a lock that waits.
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() >= by => return None,
                Err(TryLockError::WouldBlock) => thread::sleep(TRY_AGAIN),
            }
        }
    }

    /// What is wrong with the data directory, if anything is.
    fn trouble(&self, supervisor: Option<&Supervisor>) -> Option<Error> {
        let data_dir = self.data_dir.as_ref()?;
        // Nothing has begun yet, and there are no threads for what may hang.
        let Some(supervisor) = supervisor else { return data_dir.removed() };
        {
            let mut last = self.last_look.lock();
            match last.late.as_ref().map(Receiver::try_recv) {
                Some(Err(TryRecvError::Empty)) => return last.trouble.clone(),
                Some(Ok(found)) => (last.late, last.trouble) = (None, found),
                Some(Err(TryRecvError::Disconnected)) | None => last.late = None,
            }
        }
        let answer = supervisor.look_at(data_dir).ok()?;
        let found = answer.recv_timeout(PATIENCE_FOR_LOOK);
        let mut last = self.last_look.lock();
        match found {
            Ok(found) => last.trouble = found,
            Err(RecvTimeoutError::Timeout) => last.late = Some(answer),
            Err(RecvTimeoutError::Disconnected) => {}
        }
        last.trouble.clone()
    }
}

/// All by id: what the supervisor knows is better than what is merely declared.
fn of_all(supervised: Vec<ProxyStatus>, unsupervised: &Unsupervised) -> Vec<ProxyStatus> {
    let Unsupervised { declared, held } = unsupervised;
    let declared = declared.iter().map(|(id, declared)| (&**id, declared));
    let all = merged(supervised, declared, |id, declared| declared.status(id), |_, _| {});
    // What goes on under the same id is reported, and why it is not what is wanted.
    let held = held.iter().map(|status| (status.id.as_str(), status));
    merged(all, held, |_, held| held.clone(), |known, held| known.last_error.clone_from(&held.last_error))
}

/// Those of both, of which the others become a status; of the same id the first one, as `meet` has it.
fn merged<'a, T: Copy>(
    all: Vec<ProxyStatus>,
    more: impl ExactSizeIterator<Item = (&'a str, T)>,
    status: impl Fn(&str, T) -> ProxyStatus,
    meet: impl Fn(&mut ProxyStatus, T),
) -> Vec<ProxyStatus> {
    if more.len() == 0 {
        return all;
    }
    let mut told = Vec::with_capacity(all.len() + more.len());
    let mut all = all.into_iter().peekable();
    for (id, other) in more {
        match take_until(&mut told, &mut all, id) {
            Some(known) => meet(known, other),
            None => told.push(status(id, other)),
        }
    }
    told.extend(all);
    told
}

/// Skips all entries before an id, and returns the entry of that id.
fn take_until<'to>(
    to: &'to mut Vec<ProxyStatus>,
    from: &mut Peekable<impl Iterator<Item = ProxyStatus>>,
    id: &str,
) -> Option<&'to mut ProxyStatus> {
    loop {
        let order = from.peek()?.id.as_str().cmp(id);
        if order == Ordering::Greater {
            return None;
        }
        to.extend(from.next());
        if order == Ordering::Equal {
            return to.last_mut();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::ExecMode;
    use crate::lifecycle::ProxyState;

    #[test]
    fn what_comes_before_an_id_is_moved_and_what_has_it_is_found() {
        let status = |id: &&str| ProxyStatus::new(id, &ExecMode::DAEMON, ProxyState::Running);
        let mut from = ["a", "b", "d"].iter().map(status).peekable();
        let mut to = Vec::new();
        assert_eq!(take_until(&mut to, &mut from, "b").map(|found| found.id.clone()).as_deref(), Some("b"));
        assert_eq!(take_until(&mut to, &mut from, "c"), None);
        assert_eq!(to.len(), 2);
        assert_eq!(take_until(&mut to, &mut from, "e"), None);
        assert_eq!(to.iter().map(|status| status.id.as_str()).collect::<Vec<_>>(), ["a", "b", "d"]);
    }
}
