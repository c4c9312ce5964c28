// SPDX-License-Identifier: MPL-2.0
//! A process that is waited for: its descriptor, its identity, how it ended, and signals to it and to its group.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::sys::non_child_exit::{self, Ended};
use crate::sys::pid::{Pid, own_pid};
use crate::sys::pidfd;
use crate::sys::proc::stat;
use crate::sys::process_identity::Identity;
use crate::sys::signal::{self, Signal};
use crate::sys::wait::{self, Reap, Target, Waited};

/// A process to wait for.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    /// Absent where the kernel has no pidfds; the process is polled.
    pub(crate) pidfd: Option<OwnedFd>,
    /// Known for adopted processes, and for all processes without a pidfd.
    pub(crate) identity: Option<Box<Identity>>,
}

impl Process {
    pub(crate) fn target(&self) -> Target<'_> {
        match &self.pidfd {
            Some(fd) => Target::Pidfd(fd.as_fd()),
            None => Target::Pid(self.pid),
        }
    }

    /// Whether its group can be signalled through its pidfd, also after it was reaped. It may have no pidfd also where
    /// others have one, for there was none left to open.
    pub(crate) fn leads_by_pidfd(&self) -> bool {
        self.pidfd.is_some() && pidfd::signals_groups() && self.leads_group()
    }

    /// Whether it leads a process group. One that leads in place of the process that was started may be in the group of that.
    pub(crate) fn leads_group(&self) -> bool {
        self.identity.as_ref().is_none_or(|identity| identity.leads_group())
    }

    /// The group that it is in; that of a process which does not lead it is known as long as the process was not reaped. It is
    /// never that of the agent, which would be signalled.
    pub(crate) fn group(&self) -> Option<Pid> {
        if self.leads_group() {
            return Some(self.pid);
        }
        let group_of = |pid: Pid| stat::with_session(pid.as_raw()).and_then(|(_, group, _)| Pid::from_raw(group));
        group_of(self.pid).filter(|group| group_of(own_pid()) != Some(*group))
    }

    /// Who it is; `None` when it has ended.
    pub(crate) fn identity(&self) -> io::Result<Option<Identity>> {
        if let Some(known) = &self.identity {
            return Ok(Some((**known).clone()));
        }
        let Some(fd) = &self.pidfd else { return Identity::of(self.pid, None) };
        let found = Identity::of(self.pid, pidfd::inode(fd.as_fd())?)?;
        // ORDER: the host may have reaped it and the pid be recycled before the end was reported here; but the pid was
        // its own as long as the process lives.
        Ok(if pidfd::has_ended(fd.as_fd()) { None } else { found })
    }

    /// How the process ended, if it has. Where a group can only be signalled while its leader is unreaped, the
    /// zombie is left.
    ///
    /// `closely` also finds an end that the kernel reports to a debugger alone, which takes reading a file.
    pub(crate) fn ended(&self, reap: Reap, closely: bool) -> Option<Ended> {
        let waited = wait::try_wait(self.target(), reap);
        if let Ok(Waited::Ended(status)) = waited {
            return Some(Ended { status, awaits_reaping: false, held_by_tracer: false });
        }
        // ORDER: asked after waitid, which reports an ordinary end as soon as the pidfd does.
        let reported = self.pidfd.as_ref().map(|fd| pidfd::has_ended(fd.as_fd()));
        let (has_ended, runs) = (reported == Some(true), reported == Some(false));
        match waited {
            _ if runs && !closely => None,
            Ok(Waited::Running) if has_ended || closely => non_child_exit::hidden(self.pid, has_ended),
            Ok(Waited::Running) => None,
            // Every other way to know it can fail.
            _ if runs && !self.is_zombie() => None,
            _ => non_child_exit::ended(self.pidfd.as_ref().map(|fd| fd.as_fd()), self.identity.as_deref()),
        }
    }

    /// Whether all of its threads have ended, though its pidfd does not say so.
    fn is_zombie(&self) -> bool {
        let stat = self.identity.as_ref().and_then(|identity| identity.stat().ok().flatten());
        stat.is_some_and(|stat| stat.is_dead())
    }

    /// Sends a signal to the process alone; ESRCH when it has ended, so that its pid may be recycled.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let lives = match (&self.pidfd, &self.identity) {
            (Some(fd), _) if pidfd::has_ended(fd.as_fd()) => false,
            (Some(fd), _) => return pidfd::signal(fd.as_fd(), signal),
            (None, Some(identity)) => identity.stat()?.is_some_and(|stat| !stat.is_dead()),
            // As long as it is our child, its pid is not recycled.
            (None, None) => wait::try_wait(self.target(), Reap::No)? == Waited::Running,
        };
        if lives { signal::kill_process(self.pid, signal) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
    }

    /// Sends a signal to its group; ESRCH when the pid may be recycled.
    pub(crate) fn signal_group(&self, signal: Signal) -> io::Result<()> {
        // ORDER: before it is asked for whether the pid is its own.
        let group = self.group().ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        match (&self.pidfd, &self.identity) {
            (Some(fd), _) if self.leads_by_pidfd() => pidfd::signal_group(fd.as_fd(), signal),
            // A zombie or living leader holds the pid; ESRCH says that it is held no more. The leader may be one that
            // may not be signalled, and others of its group may.
            (Some(fd), _) => match pidfd::check_signal(fd.as_fd()) {
                Err(error) if error.raw_os_error() != Some(libc::EPERM) => Err(error),
                _ => signal::kill_group(group, signal),
            },
            (None, Some(identity)) => match identity.stat()? {
                Some(_) => signal::kill_group(group, signal),
                None => Err(io::Error::from_raw_os_error(libc::ESRCH)),
            },
            // While it is our child, even as a zombie, its pid is not recycled.
            (None, None) => match wait::try_wait(self.target(), Reap::No)? {
                Waited::Running | Waited::Ended(_) => signal::kill_group(group, signal),
                Waited::NotOurs => Err(io::Error::from_raw_os_error(libc::ESRCH)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ended and unreaped, so that its pid is certainly its own: what is not sent to it is sent to no other process.
    #[test]
    fn signal_to_a_process_that_has_ended_is_not_sent() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32).unwrap();
        let pidfd = pidfd::is_supported().then(|| pidfd::open(pid).unwrap());
        let identity = Identity::of(pid, None).unwrap().map(Box::new);
        let known_by = [
            Process { pid, pidfd, identity: None },
            Process { pid, pidfd: None, identity },
            Process { pid, pidfd: None, identity: None },
        ];
        for process in &known_by {
            process.signal(Signal::from_raw(libc::SIGWINCH).unwrap()).unwrap();
        }
        known_by[0].signal(Signal::KILL).unwrap();
        // Waits for the end, and leaves the zombie.
        while !matches!(wait::try_wait(Target::Pid(pid), Reap::No).unwrap(), Waited::Ended(_)) {
            std::thread::yield_now();
        }
        for process in &known_by {
            let sent = process.signal(Signal::INT).unwrap_err();
            assert_eq!(sent.raw_os_error(), Some(libc::ESRCH), "{process:?}");
        }
        child.wait().unwrap();
        for process in &known_by {
            assert!(process.signal(Signal::INT).is_err(), "{process:?}");
        }
    }

    /// As a record could say that names another process of its session.
    #[test]
    fn group_of_the_agent_is_not_signalled() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32).unwrap();
        let process = Process { pid, pidfd: None, identity: Identity::of(pid, None).unwrap().map(Box::new) };
        assert!(!process.leads_group() && process.group().is_none());
        let sent = process.signal_group(Signal::from_raw(libc::SIGWINCH).unwrap()).unwrap_err();
        assert_eq!(sent.raw_os_error(), Some(libc::ESRCH));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// A host that waits for any child can have reaped it, and the pid been recycled.
    #[test]
    fn recycled_pid_is_not_taken_for_an_identity() {
        if !pidfd::is_supported() {
            return; // without pidfds the identity is known from the start
        }
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let opened = || Some(pidfd::open(Pid::from_raw(child.id() as i32).unwrap()).unwrap());
        let process = Process { pid: Pid::from_raw(child.id() as i32).unwrap(), pidfd: opened(), identity: None };
        assert_eq!(process.identity().unwrap().unwrap().pid, process.pid);
        // This process stands for the one that has the recycled pid.
        let given_away = Process { pid: crate::sys::pid::own_pid(), ..process };
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(given_away.identity().unwrap(), None);
    }
}
