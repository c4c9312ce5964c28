// SPDX-License-Identifier: MPL-2.0
//! `/proc/<pid>/stat`, parsed without allocation: the child between clone and exec reads its own.

use std::collections::HashMap;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::sys::fail;
use crate::sys::pid::own_pid;

/// Flags of the kernel's (linux/sched.h), the same since there were flags.
const PF_EXITING: u64 = 0x4;
const PF_FORKNOEXEC: u64 = 0x40;

/// The fields of proc_pid_stat(5) that the library uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Field 3: `Z` is a zombie, `X` a process that is just going away.
    pub(crate) state: u8,
    /// Field 4: the parent; 0 when it is outside of the pid namespace.
    pub(crate) parent: i32,
    /// Field 5: the process group.
    pub(crate) group: i32,
    /// Field 9, PF_EXITING: it is on its way out, and may have no memory and no environment any more.
    pub(crate) is_exiting: bool,
    /// Field 9, not PF_FORKNOEXEC: it has executed a program, so its memory is not that of the process that cloned it.
    pub(crate) has_executed: bool,
    /// Field 20: how many threads there are, ended ones included that their tracer has not waited for. 1 if all of a
    /// process that was [`read`] have ended.
    pub(crate) threads: i64,
    /// Field 22: start time in clock ticks after boot.
    pub(crate) start_ticks: u64,
    /// Field 26, not 0: it has memory, and the kernel shows where the program and its environment are in it, which it
    /// does last when it executes one.
    pub(crate) has_code: bool,
    /// Field 52: the wait status of a zombie, to processes that may trace it; else 0.
    pub(crate) wait_status: i32,
}

impl Stat {
    /// Parses the file's text. The command name (field 2) may hold anything, so fields count from the last `)`.
    pub(crate) fn parse(text: &[u8]) -> Option<Stat> {
        let name_end = text.iter().rposition(|&byte| byte == b')')?;
        let rest = text.get(name_end + 1..)?;
        let mut stat = Stat::default();
        let mut number = 2;
        for word in rest.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            number += 1;
            match number {
                3 => stat.state = *word.first()?,
                4 => stat.parent = integer(word)?,
                5 => stat.group = integer(word)?,
                9 => {
                    let flags = integer::<u64>(word)?;
                    stat.is_exiting = flags & PF_EXITING != 0;
                    stat.has_executed = flags & PF_FORKNOEXEC == 0;
                }
                20 => stat.threads = integer(word)?,
                22 => stat.start_ticks = integer(word)?,
                26 => stat.has_code = word != b"0",
                52 => stat.wait_status = integer(word)?,
                _ => {}
            }
        }
        (number >= 22).then_some(stat)
    }

    /// Whether the process has ended, reaped or not. A first thread that has ended looks like a zombie while others of
    /// the process run.
    pub(crate) fn is_dead(&self) -> bool {
        self.first_thread_ended() && self.threads <= 1
    }

    /// Whether the first thread of a process has ended, and others run on.
    pub(crate) fn outlives_first_thread(&self) -> bool {
        self.first_thread_ended() && !self.is_dead()
    }

    fn first_thread_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

pub(crate) fn integer<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Reads the stat of a process by pid; `None` when there is no such process.
pub(crate) fn read(pid: i32) -> io::Result<Option<Stat>> {
    match read_file(&format!("/proc/{pid}/stat"))? {
        Some(stat) if stat.first_thread_ended() && stat.threads > 1 => {
            let threads = if all_threads_ended(pid)? { 1 } else { stat.threads };
            Ok(Some(Stat { threads, ..stat }))
        }
        Some(stat) => Ok(Some(stat)),
        None => no_process(),
    }
}

/// Reads one stat file, of a process or of a thread; `None` when it is gone.
fn read_file(path: &str) -> io::Result<Option<Stat>> {
    match fail::failing("stat:read").and_then(|()| read_text(path)) {
        Ok(text) => match Stat::parse(&text) {
            Some(stat) => Ok(Some(stat)),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "unexpected format")),
        },
        // A process that goes away while its file is read gives ESRCH.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The text of a file of /proc. To [`std::fs::read`], which asks for its size, it has none, and is read in small pieces.
fn read_text(path: &str) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(1024);
    std::fs::File::open(path)?.take(u64::MAX).read_to_end(&mut text)?;
    Ok(text)
}

/// Whether all threads of a process have ended. They stay, each a zombie, until their tracer has waited for them
/// (ptrace(2)), and until then the kernel does not report the end of the process to others.
fn all_threads_ended(pid: i32) -> io::Result<bool> {
    let ended = match threads(pid) {
        Ok(threads) => {
            let stats = threads.iter().map(|thread| read_file(&thread.join("stat").to_string_lossy()));
            let stats = stats.collect::<io::Result<Vec<_>>>()?;
            stats.iter().flatten().filter(|stat| stat.first_thread_ended()).count()
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(true),
        Err(error) => return Err(error),
    };
    // ORDER: the number of threads after the list, which misses a thread that is created while it is read.
    let now = read_file(&format!("/proc/{pid}/stat"))?;
    Ok(now.is_none_or(|now| i64::try_from(ended) == Ok(now.threads)))
}

/// The directories of the threads of a process. The list is closed before any of them is read, for there may be one descriptor.
pub(super) fn threads(pid: i32) -> io::Result<Vec<PathBuf>> {
    std::fs::read_dir(format!("/proc/{pid}/task"))?.map(|thread| Ok(thread?.path())).collect()
}

/// Whether the thread with this directory has not ended.
pub(super) fn runs(thread: &Path) -> io::Result<bool> {
    let stat = read_file(&thread.join("stat").to_string_lossy())?;
    Ok(stat.is_some_and(|stat| !stat.first_thread_ended()))
}

/// An unmounted /proc looks like a missing process; only the latter may be believed.
fn no_process() -> io::Result<Option<Stat>> {
    check_mounted().map(|()| None)
}

/// Whether /proc is there, and shows the processes by the numbers that they have for us: in a pid namespace that was
/// entered without mounting its own, each number is another's.
pub(crate) fn check_mounted() -> io::Result<()> {
    let shown = std::fs::read_link("/proc/self")
        .map_err(|error| io::Error::new(error.kind(), "the proc file system is not mounted"))?;
    if integer::<i32>(shown.as_os_str().as_bytes()) == Some(own_pid().as_raw()) {
        return Ok(());
    }
    Err(io::Error::other("the proc file system is of another pid namespace"))
}

/// The processes that exist, zombies included, by their process group. It asks the kernel for each group by number:
/// reading every stat file would take ten times as long.
pub(crate) fn groups() -> io::Result<HashMap<i32, Vec<i32>>> {
    fail::failing("proc:list")?;
    check_mounted()?;
    let mut groups: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = integer::<i32>(entry?.file_name().as_bytes()) else { continue };
        // SAFETY: no pointers are passed.
        let group = unsafe { libc::getpgid(pid) };
        // A process that has ended meanwhile has none.
        if group > 0 {
            groups.entry(group).or_default().push(pid);
        }
    }
    Ok(groups)
}

/// The pid that was given last to a process or a thread of this pid namespace (proc_loadavg(5)); `None` when
/// that cannot be known now.
pub(crate) fn last_pid() -> Option<i32> {
    let text = std::fs::read("/proc/loadavg").ok()?;
    integer(text.trim_ascii_end().rsplit(|&byte| byte == b' ').next()?)
}

/// The processes that exist. Only some of those that are started or end meanwhile are among them.
pub(crate) fn processes() -> io::Result<Vec<i32>> {
    fail::failing("processes:list")?;
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        all.extend(integer::<i32>(entry?.file_name().as_bytes()));
    }
    if !all.contains(&own_pid().as_raw()) {
        return Err(io::Error::other("/proc does not show the processes of this pid namespace"));
    }
    Ok(all)
}

/// A process with its group and session, which are 0 where they are outside of this pid namespace, and for the kernel's
/// own processes; `None` when there is no such process.
pub(crate) fn with_session(pid: i32) -> Option<(i32, i32, i32)> {
    // SAFETY: no pointers are passed.
    let group = unsafe { libc::getpgid(pid) };
    // SAFETY: no pointers are passed.
    let session = unsafe { libc::getsid(pid) };
    (group >= 0 && session >= 0).then_some((pid, group, session))
}

/// Whether a pid is that of a thread and not of a process; /proc has both, and lists only the latter.
///
/// # Errors
/// When it cannot be known now.
pub(crate) fn is_thread(pid: i32) -> io::Result<bool> {
    match std::fs::read_to_string(format!("/proc/{pid}/status")) {
        Ok(status) => Ok(thread_group(&status).is_some_and(|process| process != pid)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {
            check_mounted().map(|()| false)
        }
        Err(error) => Err(error),
    }
}

/// Whether a user is the real, effective, saved or file system user of a process. `/proc/<pid>` itself is root's when the
/// process may not be traced.
pub(crate) fn is_of_user(pid: i32, uid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    user_ids(&status).any(|user| user == uid)
}

fn user_ids(status: &str) -> impl Iterator<Item = u32> {
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    ids.split_ascii_whitespace().filter_map(|id| id.parse().ok())
}

/// The process of a thread, from the text of its status.
pub(crate) fn thread_group(status: &str) -> Option<i32> {
    status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())
}

/// The debugger that is attached to a process, zombies included (`TracerPid` of proc_pid_status(5)).
pub(crate) fn tracer(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")?.trim().parse().ok())?;
    (tracer != 0).then_some(tracer)
}

/// The name of a process, as ps(1) shows it (proc_pid_comm(5)), for messages. Any user may read it.
pub(crate) fn name(pid: i32) -> Option<String> {
    let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(name.trim_ascii_end()).escape_debug().to_string())
}

/// Whether a process is there and not a zombie. One that cannot be read counts as alive.
#[cfg(test)]
pub(crate) fn is_alive(pid: i32) -> bool {
    read(pid).map_or(true, |stat| stat.is_some_and(|stat| !stat.is_dead()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::proc::without_first_thread::WithoutFirstThread;
    use proptest::prelude::*;
    use std::os::unix::process::CommandExt;

    /// Field 1 is a pid, field 2 a name made to confuse; 5, 9, 20, 22, 26 and 52 have values of their own.
    fn line() -> String {
        let value = |field| match field {
            3 => "Z",
            4 => "7",
            5 => "42",
            9 => "4194368",
            20 => "1",
            22 => "12345",
            26 => "94001",
            52 => "2304",
            _ => "0",
        };
        let fields: Vec<&str> = (3..=52).map(value).collect();
        format!("7 (a) b) {}\n", fields.join(" "))
    }

    #[test]
    fn fields_count_from_the_last_parenthesis() {
        let stat = Stat::parse(line().as_bytes()).unwrap();
        assert_eq!(
            stat,
            Stat {
                state: b'Z',
                parent: 7,
                group: 42,
                is_exiting: false,
                has_executed: false,
                threads: 1,
                start_ticks: 12345,
                has_code: true,
                wait_status: 2304
            }
        );
        assert!(stat.is_dead());
    }

    #[test]
    fn any_of_the_four_users_of_a_process_counts() {
        let status = "Name:\tUid: 5\nUid:\t1000\t0\t7\t8\nGid:\t9\t9\t9\t9\n";
        assert_eq!(user_ids(status).collect::<Vec<_>>(), [1000, 0, 7, 8]);
        assert_eq!(user_ids("").count(), 0);
        let own = std::process::id() as i32;
        assert!(is_of_user(own, crate::sys::pid::effective_uid()) && !is_of_user(i32::MAX, 0));
    }

    #[test]
    fn own_stat_is_read_and_a_missing_process_is_none() {
        let own = read(std::process::id() as i32).unwrap().unwrap();
        assert!(!own.is_dead() && own.start_ticks > 0 && own.has_executed && own.has_code);
        assert_eq!(read(i32::MAX).unwrap(), None);
    }

    #[test]
    fn a_process_is_found_in_its_group_and_lives() {
        // Not this one: its group may be led from outside the pid namespace, and then has no number here.
        let mut child = std::process::Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let pid = child.id() as i32;
        assert!(groups().unwrap()[&pid].contains(&pid));
        assert!(is_alive(pid) && !is_alive(i32::MAX));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_lives() {
        let process = WithoutFirstThread::start();
        let stat = read(process.pid).unwrap().unwrap();
        assert!(is_alive(process.pid) && !stat.is_dead() && stat.outlives_first_thread(), "{stat:?}");
        let own = read(std::process::id() as i32).unwrap().unwrap();
        assert!(!own.outlives_first_thread());
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(text in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..200) {
            let _ = Stat::parse(&text);
            let line = line();
            let _ = Stat::parse(&line.as_bytes()[..cut.min(line.len())]);
        }
    }
}
