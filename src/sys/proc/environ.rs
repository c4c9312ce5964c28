// SPDX-License-Identifier: MPL-2.0
//! The environment of other processes.

use std::fs::File;
use std::io::{self, Read};

use super::living_thread;

/// Reads the environment of a process by pid if it holds `wanted` anywhere.
///
/// All processes of the system are asked, so it is made for those that do not have it: nothing is allocated for them
/// that was not there before.
pub(crate) fn read_with<'a>(pid: i32, wanted: &[u8], buffer: &'a mut Vec<u8>) -> io::Result<Option<&'a [u8]>> {
    read_file_with(&format!("/proc/{pid}/environ"), wanted, buffer)
}

/// The same of a process whose first thread has ended while others run.
///
/// # Errors
/// ESRCH also when none of them runs any more.
pub(crate) fn read_of_threads_with<'a>(
    pid: i32,
    wanted: &[u8],
    buffer: &'a mut Vec<u8>,
) -> io::Result<Option<&'a [u8]>> {
    read_file_with(&living_thread::directory(pid)?.join("environ").to_string_lossy(), wanted, buffer)
}

fn read_file_with<'a>(path: &str, wanted: &[u8], buffer: &'a mut Vec<u8>) -> io::Result<Option<&'a [u8]>> {
    buffer.clear();
    File::open(path)?.read_to_end(buffer)?;
    Ok(contains(buffer, wanted).then_some(buffer.as_slice()))
}

/// Whether there is this variable, with this value, in the text of an environment.
pub(crate) fn has(environment: &[u8], name: &str, value: &str) -> bool {
    let variable = [name.as_bytes(), b"=", value.as_bytes()].concat();
    environment.split(|&byte| byte == 0).any(|entry| entry == variable)
}

/// The value of a variable in the text of an environment: of several of the name the first one, as for getenv(3).
pub(crate) fn value<'a>(environment: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    environment.split(|&byte| byte == 0).find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    // SAFETY: both pointers and lengths are of live slices, which the function only reads.
    let found = unsafe { libc::memmem(text.as_ptr().cast(), text.len(), wanted.as_ptr().cast(), wanted.len()) };
    !found.is_null()
}

/// Waits until a child, which must have been given another environment than this process has, shows it: the kernel lets the
/// parent of a vfork go on while the child still has the parent's memory, and before the kernel shows where the environment of the
/// new program is.
#[cfg(test)]
pub(crate) fn wait_until_told(child: i32) {
    let environment = |process: &dyn std::fmt::Display| std::fs::read(format!("/proc/{process}/environ")).unwrap();
    let own = environment(&"self");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let found = environment(&child);
        if !found.is_empty() && found != own {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "the program is not executed");
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::proc::without_first_thread::WithoutFirstThread;

    #[test]
    fn environment_of_a_process_whose_first_thread_has_ended_is_that_of_its_other_threads() {
        let (process, mut buffer) = (WithoutFirstThread::start(), Vec::new());
        let first = read_with(process.pid, b"PATH=", &mut buffer).ok().flatten().map(<[u8]>::to_vec);
        let others = read_of_threads_with(process.pid, b"PATH=", &mut buffer).unwrap().map(<[u8]>::to_vec);
        assert!(first.is_none() && others.is_some(), "{first:?}");
        drop(process);
        assert!(read_of_threads_with(i32::MAX, b"", &mut buffer).is_err());
    }

    #[test]
    fn an_environment_is_told_by_what_it_holds() {
        let mut child = std::process::Command::new("sleep").arg("1000").env("WANTED", "1").spawn().unwrap();
        let (pid, mut buffer) = (child.id() as i32, Vec::new());
        wait_until_told(pid);
        let found = read_with(pid, b"WANTED=1\0", &mut buffer).unwrap().map(<[u8]>::to_vec);
        let missing = read_with(pid, b"WANTED=12", &mut buffer).unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.is_some_and(|text| text.split(|byte| *byte == 0).any(|line| line == b"WANTED=1")));
        assert!(missing);
        assert!(read_with(i32::MAX, b"", &mut buffer).is_err());
    }
}
