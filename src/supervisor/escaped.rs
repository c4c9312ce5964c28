//! Processes of a proxy that have left its group for another session (setsid(2), daemon(3)): no signal to the group
//! reaches them, and they would hold the ports of its successor.
//!
//! They are known by what they inherited: the id, the token and the origin of their proxy in their environment. So
//! they are looked for, once the group is gone, in one look at all processes that serves everybody who waits for one.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use super::progress::{Progress, Unreadable};
use crate::defaults;
use crate::sys::identity::{Pid, own_pid};
use crate::sys::signal::{self, Signal};
use crate::sys::stat::Stat;
use crate::sys::{environ, file, is_exhausted, orphans, pidfd, stat};

/// More than most environments have, in bytes, so that each is read at once.
const USUAL_ENVIRONMENT: usize = 16 * 1024;

/// After so many lists of orphans that all differ, all processes are looked at instead.
const MOST_LISTS: usize = 10;

/// By what the processes of a proxy are known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Badge {
    pub(super) id: Box<[u8]>,
    pub(super) token: Box<[u8]>,
    pub(super) origin: Box<[u8]>,
}

impl Badge {
    pub(super) fn new(id: &str, token: &str, origin: &str) -> Badge {
        let [id, token, origin] = [id, token, origin].map(|text| text.as_bytes().into());
        Badge { id, token, origin }
    }

    /// The badge in the text of an environment. Who has no origin has none.
    fn within(environment: &[u8]) -> Option<Badge> {
        let value = |name: &str| -> Option<&[u8]> {
            let mut entries = environment.split(|&byte| byte == 0);
            entries.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        };
        let origin = value(defaults::ENV_PROXY_ORIGIN).filter(|origin| !origin.is_empty())?;
        let (id, token) = (value(defaults::ENV_PROXY_ID)?, value(defaults::ENV_PROXY_TOKEN)?);
        Some(Badge { id: id.into(), token: token.into(), origin: origin.into() })
    }

    /// The badge of a process.
    ///
    /// # Errors
    /// When it cannot be known now.
    fn of(pid: Pid, buffer: &mut Vec<u8>) -> io::Result<Option<Badge>> {
        match environ::read_with(pid.as_raw(), defaults::ENV_PROXY_ORIGIN.as_bytes(), buffer) {
            Ok(environment) => Ok(environment.and_then(Badge::within)),
            // Only scarcity is a reason to ask again: whatever else one stranger's file has, it must not hold up every stop.
            Err(error) if is_exhausted(&error) => Err(error),
            // Gone meanwhile; or another user's, and then we could not signal it either.
            Err(_) => Ok(None),
        }
    }
}

/// A process that was proven to be of a proxy that is gone.
#[derive(Debug)]
pub(super) struct Escaped {
    pid: Pid,
    start_ticks: u64,
    /// Absent where the kernel has no pidfds.
    pidfd: Option<OwnedFd>,
}

impl fmt::Display for Escaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pid.fmt(f)
    }
}

impl Escaped {
    /// ORDER: the descriptor first, then the proof; so signals go to the process that the proof was of.
    fn prove(pid: Pid, badge: &Badge, reader: Reader<'_>) -> io::Result<Option<Escaped>> {
        let pidfd = match pidfd::is_supported().then(|| pidfd::open(pid)).transpose() {
            Err(error) if is_exhausted(&error) => return Err(error),
            Err(_) => return Ok(None), // gone
            Ok(pidfd) => pidfd,
        };
        let Some(stat) = stat::read(pid.as_raw())? else { return Ok(None) };
        let proven = reader.badge_of(pid, &mut Vec::new())?.as_ref() == Some(badge);
        let escaped = Escaped { pid, start_ticks: stat.start_ticks, pidfd };
        // If it lives now, the number was its own all the time.
        Ok((proven && escaped.lives()).then_some(escaped))
    }

    /// Whether it has not ended. What cannot be looked at counts as alive.
    pub(super) fn lives(&self) -> bool {
        match &self.pidfd {
            Some(fd) => !pidfd::has_ended(fd.as_fd()),
            None => {
                let lives = |stat: Stat| stat.start_ticks == self.start_ticks && !stat.is_dead();
                stat::read(self.pid.as_raw()).map_or(true, |stat| stat.is_some_and(lives))
            }
        }
    }

    /// Sends a signal, and SIGCONT after it. One that has ended gets none, which is no error.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        for signal in [signal, Signal::CONT] {
            let sent = match &self.pidfd {
                Some(fd) => pidfd::signal(fd.as_fd(), signal),
                None if self.lives() => signal::kill_process(self.pid, signal),
                None => Ok(()),
            };
            match sent {
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads badges, which can take for ever, and lets others see at whose it is.
#[derive(Debug, Clone, Copy)]
struct Reader<'a> {
    progress: &'a Progress,
    unreadable: &'a Unreadable,
}

impl Reader<'_> {
    fn badge_of(self, pid: Pid, buffer: &mut Vec<u8>) -> io::Result<Option<Badge>> {
        let badge = self.progress.read(pid, || Badge::of(pid, buffer));
        self.unreadable.remove(pid);
        badge
    }
}

/// One look at the processes that nobody supervises: who has which badge.
#[derive(Debug)]
pub(super) struct Look<'a> {
    reader: Reader<'a>,
    seen: HashMap<Badge, Vec<Pid>>,
    buffer: Vec<u8>,
}

impl<'a> Look<'a> {
    /// Looks. What belongs to the group or session of one of the `supervised` is passed over: asking for these costs two
    /// system calls, and reading an environment ten times as much.
    ///
    /// What children of ours have left is looked for among those who have lost their parent; who ends first among them
    /// leaves its children there in turn. Only `of_others`, who were children of an earlier agent, may have left it to
    /// somebody who has nothing to do with us.
    pub(super) fn at_all_but(
        supervised: &HashSet<i32>,
        of_others: bool,
        progress: &'a Progress,
        unreadable: &'a Unreadable,
    ) -> io::Result<Look<'a>> {
        let reader = Reader { progress, unreadable };
        let mut look = Look { reader, seen: HashMap::new(), buffer: Vec::with_capacity(USUAL_ENVIRONMENT) };
        if of_others || !look.at_orphans(supervised)? {
            look.seen.clear();
            for seen in stat::sessions(supervised)? {
                look.examine(seen, supervised)?;
            }
        }
        Ok(look)
    }

    /// Looks at those who have lost their parent, until nobody came or went from one list of them to the next: who ends
    /// before it is examined has left its children to the same heir; and a list that is read while somebody in it ends
    /// can lack another one (proc_tid_children(5)). Who is about to end may have no environment any more and its
    /// children still. False when there is no end of that, or no such list.
    fn at_orphans(&mut self, supervised: &HashSet<i32>) -> io::Result<bool> {
        let (mut last, mut examined) = (None, HashSet::new());
        for _ in 0..MOST_LISTS {
            let Some(orphans) = orphans::candidates()? else { return Ok(false) };
            if last.as_ref() == Some(&orphans) {
                return Ok(true);
            }
            let mut settled = true;
            for &pid in &orphans {
                if supervised.contains(&pid) || examined.contains(&pid) {
                    continue;
                }
                let Some(seen) = stat::with_session(pid) else { continue };
                let known = self.examine(seen, supervised)?;
                if known || !stat::read(pid)?.is_some_and(|stat| stat.is_exiting && !stat.is_dead()) {
                    examined.insert(pid);
                } else {
                    settled = false;
                }
            }
            last = settled.then_some(orphans);
        }
        Ok(false)
    }

    /// Takes note of who a process is; false when it has no badge.
    fn examine(&mut self, (pid, group, session): (i32, i32, i32), supervised: &HashSet<i32>) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(pid).filter(|pid| *pid != own_pid()) else { return Ok(false) };
        if supervised.contains(&group) || supervised.contains(&session) {
            return Ok(true);
        }
        if self.reader.unreadable.contains(pid)? {
            return Ok(false);
        }
        let Some(badge) = self.reader.badge_of(pid, &mut self.buffer)? else { return Ok(false) };
        self.seen.entry(badge).or_default().push(pid);
        Ok(true)
    }

    /// Who was seen with this badge, and has it now.
    pub(super) fn with(&self, badge: &Badge) -> io::Result<Sighting> {
        let seen = self.seen.get(badge).map(Vec::as_slice).unwrap_or_default();
        let escaped = seen.iter().filter_map(|pid| Escaped::prove(*pid, badge, self.reader).transpose());
        Ok(Sighting { seen: !seen.is_empty(), escaped: escaped.collect::<io::Result<_>>()? })
    }
}

/// What a look tells of one proxy.
#[derive(Debug)]
pub(super) struct Sighting {
    /// Whether anybody was seen. Who has ended since may have left children that were not.
    pub(super) seen: bool,
    pub(super) escaped: Vec<Escaped>,
}

/// A descriptor that is given up for a look where there is no other: a stop must not hang on a host that has none left.
#[derive(Debug)]
pub(super) struct Spare(Mutex<Option<OwnedFd>>);

impl Spare {
    pub(super) fn new() -> io::Result<Spare> {
        Ok(Spare(Mutex::new(Some(file::open_null()?))))
    }

    /// Does what needs one descriptor at a time.
    pub(super) fn lend<T>(&self, what: impl Fn() -> io::Result<T>) -> io::Result<T> {
        let done = what();
        if !done.as_ref().is_err_and(is_exhausted) {
            return done;
        }
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *spare = None;
        let done = what();
        *spare = file::open_null().ok();
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"A=1\0CONNECT_PROXY_ID=web\0CONNECT_PROXY_TOKEN=t\0CONNECT_PROXY_ORIGIN=o\0B=2\0";

    #[test]
    fn a_badge_is_whole_or_none() {
        assert_eq!(Badge::within(WHOLE), Some(Badge::new("web", "t", "o")));
        for missing in ["CONNECT_PROXY_ID=web\0", "CONNECT_PROXY_TOKEN=t\0", "CONNECT_PROXY_ORIGIN=o\0", "o"] {
            let text = String::from_utf8(WHOLE.to_vec()).unwrap().replacen(missing, "", 1);
            assert_eq!(Badge::within(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Badge::within(b""), None);
    }

    #[test]
    fn only_who_has_the_very_badge_is_found_and_nobody_of_a_supervised_session() {
        use std::os::unix::process::CommandExt;
        let start = |origin: &str| {
            let mut command = std::process::Command::new("sleep");
            let variables =
                [("CONNECT_PROXY_ID", "web"), ("CONNECT_PROXY_TOKEN", "t"), ("CONNECT_PROXY_ORIGIN", origin)];
            let child = command.arg("1000").envs(variables).process_group(0).spawn().unwrap();
            environ::wait_until_told(child.id() as i32);
            child
        };
        pidfd::probe().unwrap();
        let badge = Badge::new("web", "t", &crate::sys::random::uuid().unwrap());
        let origin = String::from_utf8(badge.origin.to_vec()).unwrap();
        let (mut ours, mut others) = (start(&origin), start("another agent's"));
        let (progress, unreadable) = (Progress::default(), Unreadable::default());
        let look = |supervised: &[i32]| {
            let supervised = supervised.iter().copied().collect();
            Look::at_all_but(&supervised, true, &progress, &unreadable).unwrap()
        };
        let found: Vec<String> =
            look(&[]).with(&badge).unwrap().escaped.iter().map(|found| found.to_string()).collect();
        assert_eq!(found, [ours.id().to_string()]);
        assert!(!look(&[ours.id() as i32]).with(&badge).unwrap().seen);
        let pid = Pid::from_raw(ours.id() as i32).unwrap();
        let held_up = Progress::default();
        held_up.read(pid, || unreadable.insert(pid, &held_up)).unwrap();
        assert!(!look(&[]).with(&badge).unwrap().seen, "it is passed over");
        unreadable.remove(pid);
        let seen = look(&[]);
        ours.kill().unwrap();
        ours.wait().unwrap();
        let sighting = seen.with(&badge).unwrap();
        assert!(sighting.seen && sighting.escaped.is_empty(), "it has ended since");
        others.kill().unwrap();
        others.wait().unwrap();
    }
}
