// SPDX-License-Identifier: MPL-2.0
//! The identity of a process, which distinguishes it from another process with a recycled pid: within one boot, the
//! inode that the kernel gives a process is never reused.
//!
//! Where processes have no inodes (before Linux 6.9), only pid and start time are available. The start time is in ticks
//! of 10 ms, and a pid could be recycled within one tick; so a process that cannot be one of ours, because it neither
//! leads a process group nor is in the recorded one, is refused even if both match.
//!
//! Boot id and start time depend on the reader. The boot id is a file, over which containers mount another one
//! (systemd-nspawn, LXC), and which some /proc do not have. The start time is shifted by the reader's time namespace
//! (time_namespaces(7)). So a process that differs only in these may be the recorded one, but must prove it by its
//! environment, because inodes are counted from the beginning at each boot.

use std::io;
use std::sync::Arc;

use super::fail;
use super::fork_safe::SetOnce;
use super::pid::Pid;
use super::proc::stat::{self, Stat};

/// One process of one boot of one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pid: Pid,
    /// The process group that it is in: its own, unless it leads in place of the process that was started.
    pub(crate) group: Pid,
    pub(crate) start_ticks: u64,
    /// Empty where /proc does not have it.
    pub(crate) boot_id: Arc<str>,
    /// That of its pidfds, where processes have inodes.
    pub(crate) inode: Option<u64>,
}

/// What there is of a recorded process now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It runs.
    Alive,
    /// A process has its pid, and what differs from the record, as is said, may be our view of it: what it carries has to
    /// prove it.
    Doubtful(String),
    /// It has ended, as is seen by what is given.
    Ended(String),
    /// No process has its pid, and for the reason given that does not say whether it has ended.
    Absent(String),
    /// The process that has its pid now is not it, for the reason given.
    Another(String),
}

impl Identity {
    /// What there is of it when no process has its pid.
    pub(crate) fn missing(&self, boot: &str) -> Presence {
        let missing = format!("no process has pid {}", self.pid);
        match self.other_boot(boot) {
            None => Presence::Ended(missing),
            Some(how) => Presence::Absent(format!("{missing}, and {how}")),
        }
    }

    /// What there is of it when the process that has its pid has this stat and this inode: see [`super::pidfd::inode`].
    /// A caller that means to signal it has opened the pidfd first.
    ///
    /// # Errors
    /// When /proc shows other processes by these pids.
    pub(crate) fn presence(&self, boot: &str, stat: &Stat, inode: Option<u64>) -> io::Result<Presence> {
        let presence = self.compare(boot, stat, inode);
        if matches!(presence, Presence::Another(_) | Presence::Doubtful(_)) {
            stat::check_mounted()?;
        }
        Ok(presence)
    }

    fn compare(&self, boot: &str, stat: &Stat, inode: Option<u64>) -> Presence {
        let pid = self.pid;
        let other = |how: String| Presence::Another(format!("pid {pid} belongs to another process ({how})"));
        let same_ticks = stat.start_ticks == self.start_ticks;
        let ticks = || format!("started at tick {}, recorded {}", stat.start_ticks, self.start_ticks);
        let inodes = inode.zip(self.inode);
        match inodes {
            Some((found, recorded)) if found != recorded && same_ticks => {
                return other(format!("started in the same clock tick, but it has inode {found}, recorded {recorded}"));
            }
            Some((found, recorded)) if found != recorded => return other(ticks()),
            _ => {}
        }
        let doubt = match self.other_boot(boot) {
            Some(how) => Some(format!("pid {pid} is not proven to be the recorded process ({how})")),
            None if inodes.is_some() || same_ticks => None,
            None => Some(format!("pid {pid} belongs to another process ({})", ticks())),
        };
        // Ours did from before it was recorded, and a session leader cannot cease to lead its group. One that leads in place of
        // the process that was started is in the group of that, which it can leave for one of its own.
        let leads = stat.group == pid.as_raw() || stat.group == self.group.as_raw();
        match doubt {
            // Nothing shows any more whose zombie it is.
            Some(how) if stat.is_dead() => Presence::Another(format!("{how}, and it is a zombie")),
            Some(how) if leads => Presence::Doubtful(how),
            Some(how) => Presence::Another(how),
            None if stat.is_dead() => Presence::Ended(format!("pid {pid} is a zombie")),
            None if leads => Presence::Alive,
            None => Presence::Another(format!("pid {pid} leads no process group, as ours does")),
        }
    }

    /// Why it is not known to be of this boot, if it is not.
    pub(crate) fn other_boot(&self, boot: &str) -> Option<String> {
        if boot.is_empty() || self.boot_id.is_empty() {
            return Some("whether the record is of this boot cannot be known".to_owned());
        }
        (*self.boot_id != *boot).then(|| format!("the record is of another boot: {}, here {boot}", self.boot_id))
    }

    /// The stat of the process, as long as its pid was not recycled.
    pub(crate) fn stat(&self) -> io::Result<Option<Stat>> {
        Ok(stat::read(self.pid.as_raw())?.filter(|stat| stat.start_ticks == self.start_ticks))
    }

    /// The identity of the process that has this pid, and this inode if processes have any.
    pub(crate) fn of(pid: Pid, inode: Option<u64>) -> io::Result<Option<Identity>> {
        let Some(stat) = stat::read(pid.as_raw())? else { return Ok(None) };
        Ok(Some(Identity::seen(pid, &stat, boot_id()?, inode)))
    }

    /// The identity of a process with this stat.
    pub(crate) fn seen(pid: Pid, stat: &Stat, boot_id: Arc<str>, inode: Option<u64>) -> Identity {
        let group = Pid::from_raw(stat.group).unwrap_or(pid);
        Identity { pid, group, start_ticks: stat.start_ticks, boot_id, inode }
    }

    /// Whether it leads the group that it is in.
    pub(crate) fn leads_group(&self) -> bool {
        self.group == self.pid
    }
}

/// Where the random id is that the kernel drew at boot (random(4)).
pub(crate) const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The boot id; empty where it is hidden: /proc can be mounted with processes alone (subset=pid), and a sandbox can
/// refuse the rest.
///
/// # Errors
/// When it cannot be read now.
pub(crate) fn boot_id() -> io::Result<Arc<str>> {
    static KNOWN: SetOnce<Arc<str>> = SetOnce::new();
    if let Some(known) = KNOWN.get() {
        return Ok(known.clone());
    }
    match fail::failing("boot-id:read").and_then(|()| std::fs::read_to_string(BOOT_ID)) {
        Ok(text) => Ok(KNOWN.set(text.trim().into()).clone()),
        Err(error)
            if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::EACCES | libc::EPERM)) =>
        {
            // Not because there is no /proc at all.
            stat::check_mounted().map(|()| Arc::default())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;

    #[test]
    fn a_process_is_alive_and_its_impostors_are_not() {
        // Not this one, which need not lead its group.
        let mut leader = std::process::Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let follower = std::process::Command::new("sleep").arg("1000").process_group(leader.id() as i32).spawn();
        let mut follower = follower.unwrap();
        let of = |child: &std::process::Child| {
            let found = Identity::of(Pid::from_raw(child.id() as i32).unwrap(), Some(7)).unwrap().unwrap();
            // As a child records itself.
            Identity { group: found.pid, ..found }
        };
        let own = of(&leader);
        let boot = boot_id().unwrap();
        let now = |identity: &Identity, inode| {
            let stat = stat::read(identity.pid.as_raw()).unwrap();
            stat.map_or_else(|| identity.missing(&boot), |stat| identity.presence(&boot, &stat, inode).unwrap())
        };
        let in_its_group = Identity { group: own.pid, ..of(&follower) };
        for same in [own.clone(), Identity { inode: None, ..own.clone() }, in_its_group] {
            assert_eq!(now(&same, Some(7)), Presence::Alive);
            assert_eq!(now(&same, None), Presence::Alive);
        }
        // As the time namespace of its agent shows it.
        let shifted = Identity { start_ticks: own.start_ticks + 1, ..own.clone() };
        assert_eq!(now(&shifted, Some(7)), Presence::Alive);
        let elsewhere = Identity { boot_id: "elsewhere".into(), ..own.clone() };
        let unknown = Identity { boot_id: "".into(), ..own.clone() };
        let without_process =
            |identity: &Identity| Identity { pid: Pid::from_raw(i32::MAX).unwrap(), ..identity.clone() };
        let impostors = [
            (shifted.clone(), None, "Doubtful", "belongs to another process (started at"),
            (
                Identity { inode: None, ..shifted.clone() },
                Some(7),
                "Doubtful",
                "belongs to another process (started at",
            ),
            (
                elsewhere.clone(),
                Some(7),
                "Doubtful",
                "not proven to be the recorded process (the record is of another boot",
            ),
            (
                elsewhere.clone(),
                None,
                "Doubtful",
                "not proven to be the recorded process (the record is of another boot",
            ),
            (unknown.clone(), Some(7), "Doubtful", "whether the record is of this boot cannot be known"),
            (own.clone(), Some(8), "Another", "belongs to another process (started in the same clock tick"),
            (shifted, Some(8), "Another", "belongs to another process (started at"),
            (elsewhere.clone(), Some(8), "Another", "belongs to another process (started in the same clock tick"),
            (of(&follower), Some(7), "Another", "leads no process group"),
            (without_process(&own), None, "Ended", "no process has pid 2147483647"),
            (without_process(&elsewhere), None, "Absent", "the record is of another boot"),
            (without_process(&unknown), None, "Absent", "whether the record is of this boot cannot be known"),
        ];
        let check = |presence: Presence, kind: &str, why: &str| {
            let shown = format!("{presence:?}");
            assert!(shown.starts_with(kind) && shown.contains(why), "{shown} instead of {kind} {why}");
        };
        for (identity, inode, kind, why) in &impostors {
            check(now(identity, *inode), kind, why);
        }
        follower.kill().unwrap();
        follower.wait().unwrap();
        leader.kill().unwrap();
        while stat::is_alive(leader.id() as i32) {
            std::thread::yield_now();
        }
        check(now(&own, Some(7)), "Ended", "is a zombie");
        // Nothing shows any more whose zombie it is.
        check(now(&elsewhere, Some(7)), "Another", "is a zombie");
        leader.wait().unwrap();
    }

    #[test]
    fn hidden_boot_id_is_of_no_boot() {
        let stat = Stat { state: b'S', parent: 1, group: 7, threads: 1, start_ticks: 9, ..Stat::default() };
        let of = |boot: &str| Identity {
            pid: Pid::from_raw(7).unwrap(),
            group: Pid::from_raw(7).unwrap(),
            start_ticks: 9,
            boot_id: boot.into(),
            inode: Some(3),
        };
        assert_eq!(of("b").compare("b", &stat, Some(3)), Presence::Alive);
        for (recorded, now) in [("", "b"), ("b", ""), ("", "")] {
            assert!(matches!(of(recorded).compare(now, &stat, Some(3)), Presence::Doubtful(_)), "{recorded} {now}");
        }
    }
}
