// SPDX-License-Identifier: MPL-2.0
//! For tests: a process that is held between its clone and its exec.

use std::ffi::CStr;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;

use super::stat;
use crate::sys::pid::Pid;
use crate::sys::signal::{self, Signal};

/// A process that is to execute `sleep`, in the session of a leader that has ended. Until it is released it shows the
/// memory of this process, as a child does that another agent has just cloned.
#[derive(Debug)]
pub(crate) struct HeldExec {
    pub(crate) pid: Pid,
    pub(crate) leader: Pid,
    gate: std::io::PipeWriter,
}

impl HeldExec {
    pub(crate) fn new(environment: &[&CStr]) -> HeldExec {
        let (waits, gate) = std::io::pipe().unwrap();
        let (mut tells, told) = std::io::pipe().unwrap();
        let argv = [c"/bin/sleep".as_ptr(), c"1000".as_ptr(), std::ptr::null()];
        let environment: Vec<_> = environment.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
        // SAFETY: the children make system calls only.
        let leader = unsafe { libc::fork() };
        if leader == 0 {
            hold(&waits, &gate, &told, &argv, &environment);
        }
        let mut pid = [0; size_of::<i32>()];
        tells.read_exact(&mut pid).unwrap();
        // SAFETY: a null pointer for the status, which is not asked for.
        assert_eq!(unsafe { libc::waitpid(leader, std::ptr::null_mut(), 0) }, leader);
        let [pid, leader] = [i32::from_ne_bytes(pid), leader].map(|pid| Pid::from_raw(pid).unwrap());
        HeldExec { pid, leader, gate }
    }

    pub(crate) fn release(&self) {
        (&self.gate).write_all(b"x").unwrap();
    }

    pub(crate) fn has_executed(&self) -> bool {
        stat::name(self.pid.as_raw()).as_deref() == Some("sleep")
            && stat::read(self.pid.as_raw()).unwrap().is_some_and(|stat| stat.has_executed && stat.has_code)
    }
}

impl Drop for HeldExec {
    fn drop(&mut self) {
        signal::kill_process(self.pid, Signal::KILL).unwrap();
        while stat::is_alive(self.pid.as_raw()) {
            std::thread::yield_now();
        }
    }
}

/// In the leader: its child waits for the gate and executes; it tells the pid of that one, and ends.
fn hold(
    waits: &std::io::PipeReader,
    gate: &std::io::PipeWriter,
    told: &std::io::PipeWriter,
    argv: &[*const libc::c_char],
    environment: &[*const libc::c_char],
) -> ! {
    // SAFETY: no pointers are passed.
    unsafe { libc::setsid() };
    // SAFETY: the child makes system calls only.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let mut byte = 0u8;
        // SAFETY: the descriptor is of a copy that nothing drops: the child executes or exits.
        unsafe { libc::close(gate.as_raw_fd()) };
        // SAFETY: one byte of live memory.
        unsafe { libc::read(waits.as_raw_fd(), (&raw mut byte).cast(), 1) };
        // SAFETY: both end with a null pointer, and the strings are literals or live in the caller's frame.
        unsafe { libc::execve(argv[0], argv.as_ptr(), environment.as_ptr()) };
    } else {
        // SAFETY: as many bytes as `pid` has.
        unsafe { libc::write(told.as_raw_fd(), (&raw const pid).cast(), size_of::<i32>()) };
    }
    // SAFETY: ends the process without running anything of the parent's.
    unsafe { libc::_exit(0) }
}
