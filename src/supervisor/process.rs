//! A process that is waited for: its descriptor, who it is, how it ended, and signals to its group.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::sys::foreign::{self, Ended};
use crate::sys::identity::{Identity, Pid};
use crate::sys::pidfd;
use crate::sys::signal::{self, Signal};
use crate::sys::wait::{self, Reap, Target, Waited};

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
    pub(super) fn target(&self) -> Target<'_> {
        match &self.pidfd {
            Some(fd) => Target::Pidfd(fd.as_fd()),
            None => Target::Pid(self.pid),
        }
    }

    /// Whether its group can be signalled through its pidfd, also after it was reaped. It may have no pidfd also where
    /// others have one, for there was none left to open.
    pub(super) fn leads_by_pidfd(&self) -> bool {
        self.pidfd.is_some() && pidfd::signals_groups()
    }

    /// Who it is; `None` when it has ended.
    pub(super) fn identity(&self) -> io::Result<Option<Identity>> {
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
    pub(super) fn ended(&self, reap: Reap) -> Option<Ended> {
        match wait::try_wait(self.target(), reap) {
            Ok(Waited::Running) => None,
            Ok(Waited::Ended(status)) => Some(Ended { status, awaits_reaping: false }),
            // One that is looked at though it has a pidfd may well run, and what else tells so can fail.
            Ok(Waited::NotOurs) | Err(_) if self.pidfd.as_ref().is_some_and(|fd| !pidfd::has_ended(fd.as_fd())) => None,
            Ok(Waited::NotOurs) | Err(_) => {
                foreign::ended(self.pidfd.as_ref().map(|fd| fd.as_fd()), self.identity.as_deref())
            }
        }
    }

    /// Sends a signal to its group; ESRCH when the number may be another's by now.
    pub(super) fn signal_group(&self, signal: Signal) -> io::Result<()> {
        match (&self.pidfd, &self.identity) {
            (Some(fd), _) if pidfd::signals_groups() => pidfd::signal_group(fd.as_fd(), signal),
            (Some(fd), _) => {
                // A zombie or living leader holds the number; ESRCH says that it is held no more.
                pidfd::signal(fd.as_fd(), signal)?;
                signal::kill_group(self.pid, signal)
            }
            (None, Some(identity)) => match identity.stat()? {
                Some(_) => signal::kill_group(self.pid, signal),
                None => Err(io::Error::from_raw_os_error(libc::ESRCH)),
            },
            // As long as it is our child, and be it a zombie, nobody else has its number.
            (None, None) => match wait::try_wait(self.target(), Reap::No)? {
                Waited::Running | Waited::Ended(_) => signal::kill_group(self.pid, signal),
                Waited::NotOurs => Err(io::Error::from_raw_os_error(libc::ESRCH)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
