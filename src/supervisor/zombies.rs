// SPDX-License-Identifier: MPL-2.0
//! Zombies of a process that is gone: processes that ended and were not reaped yet by a parent other than this process.
//!
//! The pid of a zombie is still taken: a program that finds it in its own pid file (kill(2) with signal 0) reports that
//! it is already running, and ends. So a start waits for the reaping, but not forever: some parents never do it.

use std::fmt;

use crate::sys::pid::Pid;
use crate::sys::proc::stat::{self, Stat};

/// A process that has ended and was not reaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Zombie {
    pid: Pid,
    start_ticks: u64,
}

impl Zombie {
    /// The zombie with this pid, if there is one. What cannot be read is none.
    pub(super) fn of(pid: Pid) -> Option<Zombie> {
        let stat = stat::read(pid.as_raw()).ok().flatten().filter(Stat::is_dead)?;
        Some(Zombie { pid, start_ticks: stat.start_ticks })
    }

    /// The same, of the process that was started at this time.
    pub(super) fn of_process(pid: Pid, start_ticks: u64) -> Option<Zombie> {
        Zombie::of(pid).filter(|zombie| zombie.start_ticks == start_ticks)
    }

    fn stat(&self) -> std::io::Result<Option<Stat>> {
        let is_it = |stat: &Stat| stat.is_dead() && stat.start_ticks == self.start_ticks;
        Ok(stat::read(self.pid.as_raw())?.filter(is_it))
    }

    /// Whether it was not reaped yet, or that cannot be known now.
    pub(super) fn is_there(&self) -> bool {
        self.stat().map_or(true, |stat| stat.is_some())
    }

    /// The process that has to reap it first: a debugger, or else its parent.
    fn holder(&self) -> Option<Holder> {
        let stat = self.stat().ok().flatten()?;
        let tracer = stat::tracer(self.pid.as_raw());
        Some(tracer.map_or(Holder { pid: stat.parent, traces: false }, |pid| Holder { pid, traces: true }))
    }
}

/// What is said of a zombie, in the log and in the status.
impl fmt::Display for Zombie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} has ended and is a zombie: ", self.pid)?;
        match self.holder() {
            Some(holder) => write!(f, "{holder}"),
            None => f.write_str("it was not reaped"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holder {
    pid: i32,
    traces: bool,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.traces { "its debugger" } else { "its parent" };
        if self.pid == 0 {
            return write!(f, "{who}, outside of this pid namespace, has not reaped it");
        }
        let name = stat::name(self.pid).map(|name| format!(" ({name})")).unwrap_or_default();
        write!(f, "{who}, pid {}{name}, has not reaped it", self.pid)
    }
}

/// The zombies that were waited for in vain, one of each parent.
#[derive(Debug, Default)]
pub(super) struct UnreapedInTime(Vec<Zombie>);

impl UnreapedInTime {
    /// Whether it is useless to wait for this one: its parent has not even reaped an earlier one yet.
    pub(super) fn is_useless(&mut self, zombie: &Zombie) -> bool {
        self.0.retain(Zombie::is_there);
        let holder = zombie.holder();
        self.0.iter().any(|earlier| earlier != zombie && holder.is_some() && earlier.holder() == holder)
    }

    pub(super) fn add(&mut self, zombie: Zombie) {
        if !self.is_useless(&zombie) && !self.0.contains(&zombie) {
            self.0.push(zombie);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::pid::own_pid;
    use std::process::{Child, Command};

    fn zombie() -> (Child, Zombie) {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32).unwrap();
        assert_eq!(Zombie::of(pid), None, "it lives");
        child.kill().unwrap();
        let zombie = loop {
            if let Some(zombie) = Zombie::of(pid) {
                break zombie;
            }
            std::thread::yield_now();
        };
        (child, zombie)
    }

    #[test]
    fn zombie_is_there_until_it_is_reaped_and_names_its_parent() {
        let (mut child, zombie) = zombie();
        assert!(zombie.is_there() && Zombie::of_process(zombie.pid, zombie.start_ticks) == Some(zombie));
        assert_eq!(Zombie::of_process(zombie.pid, zombie.start_ticks + 1), None, "another process");
        let said = zombie.to_string();
        let start = format!("pid {} has ended and is a zombie: its parent, pid {} (", zombie.pid, own_pid());
        assert!(said.starts_with(&start) && said.ends_with("), has not reaped it"), "{said}");
        child.wait().unwrap();
        assert!(!zombie.is_there());
    }

    #[test]
    fn wait_is_useless_while_an_earlier_zombie_of_the_parent_is_there() {
        let ((mut one, first), (mut other, second)) = (zombie(), zombie());
        let mut in_vain = UnreapedInTime::default();
        assert!(!in_vain.is_useless(&second));
        in_vain.add(first);
        in_vain.add(second);
        assert_eq!(in_vain.0, [first], "one is enough");
        assert!(in_vain.is_useless(&second) && !in_vain.is_useless(&first));
        one.wait().unwrap();
        assert!(!in_vain.is_useless(&second), "the parent does reap");
        other.wait().unwrap();
    }
}
