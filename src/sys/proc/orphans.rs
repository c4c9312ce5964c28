// SPDX-License-Identifier: MPL-2.0
//! Where processes go that have lost their parent: the kernel moves them to the nearest subreaper among the ancestors
//! of that parent, or to the first process of the pid namespace (prctl(2), PR_SET_CHILD_SUBREAPER).
//!
//! So every process that a child of ours has left is a child of one of our ancestors, or descends from one: few
//! processes compared with all of a system. `/proc/<pid>/task/<tid>/children` (proc_tid_children(5)) names them.

use std::io;

use super::stat::{self, integer};
use crate::sys::pid::own_pid;
use crate::sys::{fail, is_exhausted};

/// The children of those that may have been given what a child of ours has left; `None` where that cannot be known: the
/// kernel was built without these files, or /proc hides the processes of others.
///
/// It needs one descriptor at a time.
///
/// # Errors
/// When descriptors or memory are exhausted.
pub(crate) fn list() -> io::Result<Option<Vec<i32>>> {
    fail::failing("orphans:list")?;
    let Some(heirs) = unless_unknown(heirs())? else { return Ok(None) };
    let mut orphans = Vec::new();
    for heir in heirs {
        // One that has ended has given its children to another one, which may have been read before.
        let Some(children) = unless_unknown(children(heir).map(Some))? else { return Ok(None) };
        orphans.extend(children);
    }
    Ok(Some(orphans))
}

/// This process and its ancestors, as far as they are known: the kernel lists them among the children of each other, and
/// none of them was left by a child of ours.
///
/// # Errors
/// When descriptors or memory are exhausted.
pub(crate) fn ancestors() -> io::Result<Vec<i32>> {
    let heirs = unless_unknown(heirs())?.unwrap_or_else(|| vec![1]);
    Ok(heirs.into_iter().chain([own_pid().as_raw()]).collect())
}

/// Only scarcity passes; whatever else goes wrong, there is another way to look.
fn unless_unknown<T>(found: io::Result<Option<T>>) -> io::Result<Option<T>> {
    match found {
        Err(error) if is_exhausted(&error) => Err(error),
        Err(_) => Ok(None),
        found => found,
    }
}

/// Our ancestors, the first process of the namespace even where it is none of them, and this process itself if it is
/// given such children.
fn heirs() -> io::Result<Option<Vec<i32>>> {
    let own = own_pid().as_raw();
    let mut heirs = vec![1];
    if own != 1 && is_subreaper()? {
        heirs.push(own);
    }
    let mut pid = own;
    while pid > 1 {
        let Some(stat) = stat::read(pid)? else { return Ok(None) };
        pid = stat.parent;
        if pid > 1 {
            heirs.push(pid);
        }
    }
    Ok(Some(heirs))
}

fn is_subreaper() -> io::Result<bool> {
    let mut answer: libc::c_int = 0;
    // SAFETY: the pointer is to a live int, which is what this operation writes.
    crate::sys::check(i64::from(unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut answer) }))?;
    Ok(answer != 0)
}

fn children(pid: i32) -> io::Result<Vec<i32>> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"))?;
    let threads: Vec<_> = threads.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    let mut children = Vec::new();
    for thread in threads {
        // A thread that has ended has given them to another one of its process, which may have been asked before.
        let text = std::fs::read(thread.join("children"))?;
        children.extend(text.split(u8::is_ascii_whitespace).filter_map(integer::<i32>));
    }
    Ok(children)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    /// Its parent ends before it has said who it is.
    #[test]
    fn a_process_that_has_lost_its_parent_is_in_the_list_of_orphans() {
        if unless_unknown(children(own_pid().as_raw()).map(Some)).unwrap().is_none() {
            return; // a kernel without these files: another way is taken
        }
        let mut shell = Command::new("/bin/sh");
        let shell =
            shell.args(["-c", "exec 3<&0; (read x <&3) & echo $!"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let (input, mut line) = (child.stdin.take(), String::new());
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        child.wait().unwrap();
        let orphan: i32 = line.trim().parse().unwrap();
        assert!(stat::read(orphan).unwrap().is_some_and(|stat| stat.parent != child.id() as i32));
        assert!(list().unwrap().unwrap().contains(&orphan));
        drop(input);
    }

    #[test]
    fn our_own_ancestors_are_heirs() {
        let heirs = heirs().unwrap().unwrap();
        assert!(
            heirs.contains(&1) && heirs.contains(&(std::os::unix::process::parent_id() as i32).max(1)),
            "{heirs:?}"
        );
    }
}
