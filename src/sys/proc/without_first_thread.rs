// SPDX-License-Identifier: MPL-2.0
//! For tests: a process whose first thread has ended while another one runs on, as in a program that calls
//! pthread_exit(3) in main.

use super::stat;
use crate::sys::spawn::child_stack::ChildStack;

/// A child in a session of its own, until it is dropped.
#[derive(Debug)]
pub(crate) struct WithoutFirstThread {
    pub(crate) pid: i32,
}

impl WithoutFirstThread {
    pub(crate) fn start() -> WithoutFirstThread {
        WithoutFirstThread::start_when(|_| ())
    }

    /// The first thread ends when this was done with the pid.
    pub(crate) fn start_when(ready: impl FnOnce(i32)) -> WithoutFirstThread {
        extern "C" fn stay(_: *mut libc::c_void) -> libc::c_int {
            loop {
                // SAFETY: no pointers are passed. Not every architecture has a call to pause.
                unsafe { libc::syscall(libc::SYS_ppoll, 0, 0, 0, 0, 0) };
            }
        }
        let mut stack = ChildStack::new().unwrap();
        let top = stack.top();
        let as_thread = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
        // SAFETY: the child makes system calls only.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: no pointers are passed.
            unsafe { libc::setsid() };
            // SAFETY: no pointers are passed.
            unsafe { libc::raise(libc::SIGSTOP) };
            // SAFETY: the stack is the child's copy, which nothing else uses, and `stay` makes system calls only.
            unsafe { libc::clone(stay, top, as_thread, std::ptr::null_mut()) };
            // SAFETY: ends this thread alone.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        let process = WithoutFirstThread { pid };
        while stat::read(pid).unwrap().unwrap().state != b'T' {
            std::thread::yield_now();
        }
        ready(pid);
        // SAFETY: no pointers are passed; the child is not reaped, so the number is its own.
        unsafe { libc::kill(pid, libc::SIGCONT) };
        while stat::read(pid).unwrap().unwrap().state != b'Z' {
            std::thread::yield_now();
        }
        process
    }
}

impl Drop for WithoutFirstThread {
    fn drop(&mut self) {
        // SAFETY: no pointers are passed; the child is not reaped, so the number is its own.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        // SAFETY: no pointers are passed.
        let _ = unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
    }
}
