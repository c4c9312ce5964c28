// SPDX-License-Identifier: MPL-2.0
//! Fail points: places where a test can kill the agent, halt one of its threads or make a call fail. Compiled in only
//! with the feature `fail-points`, which only the tests set; otherwise each is empty.
//!
//! The agent under test has these variables in its environment:
//!
//! - `PROXYPROCESS_FAIL=<point>#<n>=<what>,...` acts when the point is passed for the n-th time, or with `#<n>-<m>`
//!   each time from the n-th to the m-th. `die` is SIGKILL, as from outside; `stall` leaves the thread where it is for
//!   ever, and `hold` until there is the file that is named below; `fail:<errno>` is for the points that can fail
//!   ([`failing`]): the system call behind them is not made and has failed so.
//! - `PROXYPROCESS_FAIL_TRACE=<file>` has every point that is passed appended to a file, a line each.
//! - `PROXYPROCESS_FAIL_RELEASE=<file>` ends what `hold` says. And a child between clone and exec never dies, and never
//!   outlasts its test; at its points `die` kills the agent and the child goes on, `stall` kills the agent and the
//!   child goes on when there is this file.

/// Passes a point.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub(crate) fn point(_name: &'static str) {}

/// Passes a point at which a system call may fail.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub(crate) fn failing(_name: &'static str) -> std::io::Result<()> {
    Ok(())
}

/// What happens at the points of one child between clone and exec.
#[cfg(not(feature = "fail-points"))]
#[derive(Debug)]
pub(crate) struct ChildPlan;

#[cfg(not(feature = "fail-points"))]
impl ChildPlan {
    /// Decided by the parent, for the child may read nothing.
    #[inline(always)]
    pub(super) fn of_next_child(_is_detached: bool) -> ChildPlan {
        ChildPlan
    }

    /// CHILD: passes a point; the errno with which the system call behind it has failed, or 0.
    #[inline(always)]
    pub(super) fn point(&self, _number: u32) -> std::ffi::c_int {
        0
    }
}

/// The points of the child, by number.
pub(super) mod child_points {
    pub(in crate::sys) const BEGUN: u32 = 1;
    pub(in crate::sys) const SESSION: u32 = 2;
    pub(in crate::sys) const RECORD_OPEN: u32 = 3;
    pub(in crate::sys) const RECORD_WRITE: u32 = 4;
    pub(in crate::sys) const RECORD_RENAME: u32 = 5;
    pub(in crate::sys) const RECORD_RENAMED: u32 = 6;
    pub(in crate::sys) const EXECUTE: u32 = 7;
    pub(in crate::sys) const DIVIDE: u32 = 8;
    /// Of the intermediate child of a process that is detached.
    pub(in crate::sys) const BETWEEN: u32 = 9;
    pub(in crate::sys) const CLONED: u32 = 10;
    #[cfg(feature = "fail-points")]
    pub(super) const NAMES: [(&str, u32); 10] = [
        ("child:between", BETWEEN),
        ("child:cloned", CLONED),
        ("child:begun", BEGUN),
        ("child:divide", DIVIDE),
        ("child:session", SESSION),
        ("child:record-open", RECORD_OPEN),
        ("child:record-write", RECORD_WRITE),
        ("child:record-rename", RECORD_RENAME),
        ("child:record-renamed", RECORD_RENAMED),
        ("child:execute", EXECUTE),
    ];
}

#[cfg(feature = "fail-points")]
pub(super) use active::ChildPlan;
#[cfg(feature = "fail-points")]
pub(crate) use active::{failing, point};

#[cfg(feature = "fail-points")]
mod active {
    use std::collections::HashMap;
    use std::ffi::{CString, OsStr, c_int};
    use std::fs::File;
    use std::io::Write;
    use std::ops::RangeInclusive;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::Path;
    use std::sync::{LazyLock, Mutex, PoisonError};
    use std::time::Duration;

    use super::child_points;
    use crate::sys::pid::own_pid;
    use crate::sys::signal::{Signal, kill_process};

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum What {
        Die,
        Stall,
        Hold,
        Fail(c_int),
    }

    struct Plan {
        /// At which passings of which point, and what happens there.
        actions: Vec<(String, RangeInclusive<u32>, What)>,
        passed: Mutex<HashMap<&'static str, u32>>,
        trace: Option<Mutex<File>>,
        release: Option<CString>,
    }

    static PLAN: LazyLock<Plan> = LazyLock::new(|| {
        let text = std::env::var("PROXYPROCESS_FAIL").unwrap_or_default();
        let actions = text.split(',').filter(|text| !text.is_empty()).map(|text| parse(text).expect(text)).collect();
        let trace = std::env::var_os("PROXYPROCESS_FAIL_TRACE").map(|path| {
            Mutex::new(File::options().append(true).create(true).open(path).expect("open the trace of fail points"))
        });
        let release = std::env::var_os("PROXYPROCESS_FAIL_RELEASE");
        let release = release.map(|path| CString::new(path.into_vec()).expect("a path"));
        Plan { actions, passed: Mutex::default(), trace, release }
    });

    fn parse(text: &str) -> Option<(String, RangeInclusive<u32>, What)> {
        let (point, what) = text.split_once('=')?;
        let (name, count) = point.split_once('#')?;
        let (from, to) = count.split_once('-').unwrap_or((count, count));
        let what = match what.split_once(':') {
            None if what == "die" => What::Die,
            None if what == "stall" => What::Stall,
            None if what == "hold" => What::Hold,
            Some(("fail", errno)) => What::Fail(errno.parse().ok()?),
            _ => return None,
        };
        Some((name.to_owned(), from.parse().ok()?..=to.parse().ok()?, what))
    }

    fn pass(name: &'static str) -> Option<What> {
        let plan = &*PLAN;
        let mut passed = plan.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let count = passed.entry(name).or_default();
        *count += 1;
        let due = plan.actions.iter().find(|(at, passings, _)| at == name && passings.contains(count));
        let what = due.map(|(_, _, what)| *what);
        drop(passed);
        if let Some(trace) = &plan.trace {
            // In one write, so that a reader sees whole lines.
            let _ = trace.lock().unwrap_or_else(PoisonError::into_inner).write_all(format!("{name}\n").as_bytes());
        }
        what
    }

    pub(crate) fn point(name: &'static str) {
        match pass(name) {
            Some(What::Die) => die(),
            Some(What::Stall) => stall(),
            Some(What::Hold) => hold(),
            Some(What::Fail(_)) | None => {}
        }
    }

    pub(crate) fn failing(name: &'static str) -> std::io::Result<()> {
        match pass(name) {
            Some(What::Die) => die(),
            Some(What::Stall) => stall(),
            Some(What::Hold) => hold(),
            Some(What::Fail(errno)) => return Err(std::io::Error::from_raw_os_error(errno)),
            None => {}
        }
        Ok(())
    }

    fn die() -> ! {
        let _ = kill_process(own_pid(), Signal::KILL);
        stall()
    }

    fn stall() -> ! {
        loop {
            std::thread::park();
        }
    }

    fn hold() {
        let release = PLAN.release.as_deref().map(|path| Path::new(OsStr::from_bytes(path.to_bytes())));
        while !release.is_some_and(Path::exists) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A test that has failed releases no child.
    const LONGEST_STALL_MS: u32 = 60_000;

    #[derive(Debug)]
    pub(crate) struct ChildPlan {
        action: Option<(u32, What)>,
        agent: c_int,
        release: *const std::ffi::c_char,
    }

    impl ChildPlan {
        pub(crate) fn of_next_child(is_detached: bool) -> ChildPlan {
            let mut action = None;
            for (name, number) in
                child_points::NAMES.into_iter().filter(|(_, number)| is_detached || *number < child_points::BETWEEN)
            {
                action = pass(name).map(|what| (number, what)).or(action);
            }
            let release = PLAN.release.as_ref().map_or(std::ptr::null(), |path| path.as_ptr());
            ChildPlan { action, agent: own_pid().as_raw(), release }
        }

        /// CHILD: system calls only.
        pub(crate) fn point(&self, number: u32) -> c_int {
            let Some((at, what)) = self.action else { return 0 };
            if at != number {
                return 0;
            }
            if let What::Fail(errno) = what {
                return errno;
            }
            if what != What::Hold {
                // SAFETY: no pointers are passed.
                unsafe { libc::syscall(libc::SYS_kill, self.agent, libc::SIGKILL) };
            }
            for _ in 0..LONGEST_STALL_MS {
                if what == What::Die || self.is_released() {
                    break;
                }
                let pause = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
                // SAFETY: `pause` lives through the call, and what is left of it is not asked for.
                unsafe { libc::syscall(libc::SYS_nanosleep, &raw const pause, std::ptr::null_mut::<libc::timespec>()) };
            }
            0
        }

        fn is_released(&self) -> bool {
            // SAFETY: null, which fails, or a NUL-terminated path that lives as long as the program.
            unsafe { libc::syscall(libc::SYS_faccessat, libc::AT_FDCWD, self.release, libc::F_OK) == 0 }
        }
    }
}
