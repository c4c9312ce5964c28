//! Which process a record means: the inode that the kernel has given it, and the boot, name one process for ever.
//!
//! Where processes have no inodes (before Linux 6.9), pid and start time are all there is. The start time is told in
//! ticks of 10 ms, and a number could be given away within the tick that it was given in; so whoever cannot have been
//! one of ours, because it leads no process group, is refused even then.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use super::fail;
use super::stat::{self, Stat};

/// A process id: at least 1, so that 0 (own group) and -1 (everybody) can never reach a kill.
///
/// It is a number, not a handle: the process can end, and the number be given to another, at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pid(i32);

impl Pid {
    pub(crate) fn from_raw(pid: i32) -> Option<Pid> {
        (pid >= 1).then_some(Pid(pid))
    }

    pub(crate) fn as_raw(self) -> i32 {
        self.0
    }

    pub(crate) fn as_u32(self) -> u32 {
        self.0.unsigned_abs()
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One process of one boot of one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pid: Pid,
    pub(crate) start_ticks: u64,
    pub(crate) boot_id: Arc<str>,
    /// That of its pidfds, where processes have inodes.
    pub(crate) inode: Option<u64>,
}

/// What there is of a recorded process now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It runs.
    Alive,
    /// It has ended, as is seen by what is given.
    Ended(String),
    /// Whoever has its number now is not it, for the reason given.
    Another(String),
}

impl Identity {
    /// Whether the process runs. Where the caller means to signal it has opened a pidfd first, and says what inode
    /// that has: see [`super::pidfd::inode`].
    ///
    /// # Errors
    /// When it cannot be known now: /proc is unreadable, descriptors are exhausted.
    pub(crate) fn presence(&self, inode: Option<u64>) -> io::Result<Presence> {
        let boot = boot_id()?;
        if self.boot_id != *boot {
            return Ok(Presence::Ended(format!("the record is of another boot ({})", self.boot_id)));
        }
        let pid = self.pid;
        let Some(stat) = stat::read(pid.as_raw())? else {
            return Ok(Presence::Ended(format!("no process has pid {pid}")));
        };
        let other = |how: String| Ok(Presence::Another(format!("pid {pid} belongs to another process ({how})")));
        if stat.start_ticks != self.start_ticks || stat.group != pid.as_raw() {
            // Unless each number is another's than here.
            stat::check_mounted()?;
        }
        if stat.start_ticks != self.start_ticks {
            return other(format!("started at tick {}, recorded {}", stat.start_ticks, self.start_ticks));
        }
        match (inode, self.inode) {
            (Some(found), Some(recorded)) if found != recorded => {
                return other(format!("started in the same clock tick, but it has inode {found}, recorded {recorded}"));
            }
            _ => {}
        }
        if stat.is_dead() {
            return Ok(Presence::Ended(format!("pid {pid} is a zombie")));
        }
        // Ours did from before it was recorded, and who leads a session cannot cease to.
        if stat.group != pid.as_raw() {
            return Ok(Presence::Another(format!("pid {pid} leads no process group, as ours does")));
        }
        Ok(Presence::Alive)
    }

    /// The stat of the process, as long as its number is still its own.
    pub(crate) fn stat(&self) -> io::Result<Option<Stat>> {
        Ok(stat::read(self.pid.as_raw())?.filter(|stat| stat.start_ticks == self.start_ticks))
    }

    /// The identity of the process that has this number, and this inode if processes have any.
    pub(crate) fn of(pid: Pid, inode: Option<u64>) -> io::Result<Option<Identity>> {
        let Some(stat) = stat::read(pid.as_raw())? else { return Ok(None) };
        Ok(Some(Identity { pid, start_ticks: stat.start_ticks, boot_id: boot_id()?.clone(), inode }))
    }
}

/// The random id that the kernel drew at boot (random(4)).
pub(crate) fn boot_id() -> io::Result<&'static Arc<str>> {
    static BOOT_ID: OnceLock<Arc<str>> = OnceLock::new();
    if let Some(known) = BOOT_ID.get() {
        return Ok(known);
    }
    fail::failing("boot-id:read")?;
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(BOOT_ID.get_or_init(|| text.trim().into()))
}

/// This process.
pub(crate) fn own_pid() -> Pid {
    // SAFETY: getpid has no preconditions and cannot fail.
    Pid(unsafe { libc::getpid() })
}

/// The effective user of this process.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
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
        let of = |child: &std::process::Child| Identity::of(Pid(child.id() as i32), Some(7)).unwrap().unwrap();
        let own = of(&leader);
        for same in [own.clone(), Identity { inode: None, ..own.clone() }] {
            assert_eq!(same.presence(Some(7)).unwrap(), Presence::Alive);
            assert_eq!(same.presence(None).unwrap(), Presence::Alive);
        }
        let impostors = [
            (Identity { start_ticks: own.start_ticks + 1, ..own.clone() }, "belongs to another process (started at"),
            (Identity { inode: Some(8), ..own.clone() }, "belongs to another process (started in the same clock tick"),
            (Identity { boot_id: "elsewhere".into(), ..own.clone() }, "another boot"),
            (Identity { pid: Pid(i32::MAX), ..own }, "no process"),
            (of(&follower), "leads no process group"),
        ];
        for (identity, expected) in impostors {
            let (why, ended) = match identity.presence(Some(7)).unwrap() {
                Presence::Alive => panic!("{identity:?} taken for alive"),
                Presence::Ended(why) => (why, true),
                Presence::Another(why) => (why, false),
            };
            assert!(why.contains(expected), "{why}");
            assert_eq!(ended, ["another boot", "no process"].contains(&expected), "{why}");
        }
        for child in [&mut leader, &mut follower] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn zero_and_everybody_are_no_pids() {
        assert!([0, -1, i32::MIN].into_iter().all(|raw| Pid::from_raw(raw).is_none()));
    }
}
