// SPDX-License-Identifier: MPL-2.0
//! A debugger (ptrace(2)) and what it is attached to.

use nix::sys::ptrace::{self, Options};
use nix::unistd::Pid;
use rustix::process::{PTracer, set_ptracer};

/// Where a security module lets only parents trace (Yama), this process lets all. With `threads` there are several.
pub(crate) fn let_others_trace(threads: bool) {
    // Refused where there is no such module, and then nothing has to be allowed.
    let _ = set_ptracer(PTracer::Any);
    for _ in 0..if threads { 3 } else { 0 } {
        std::thread::spawn(|| {
            loop {
                std::thread::park();
            }
        });
    }
}

/// Attaches to all threads of a process, and stops them if that is wanted. They are let go when this thread ends.
pub(crate) fn trace(pid: &str, stop: bool) {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("list threads");
    for thread in threads {
        let name = thread.expect("list threads").file_name();
        let thread = Pid::from_raw(name.to_str().and_then(|name| name.parse().ok()).expect("a number"));
        ptrace::seize(thread, Options::empty()).expect("trace a thread");
        if stop {
            ptrace::interrupt(thread).expect("stop a thread");
        }
    }
}
