//! Fail points: places at which a test can have the agent die or a thread of it stand still. Compiled in with the
//! feature `fail-points` only, which nobody but the tests sets; else each is nothing at all.
//!
//! The agent under test is told by its environment: `PROXYPROCESS_FAIL=<point>#<n>=<what>` acts when the point is passed
//! for the n-th time, and `PROXYPROCESS_FAIL_TRACE=<file>` has every point that is passed appended to a file, a line
//! each. `die` is SIGKILL, as from outside; `stall` leaves the thread where it is for ever; `fail:<errno>` is for the
//! points that can fail ([`failing`]): the system call behind them is not made and has failed so.

/// Passes a point.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub(crate) fn point(_name: &'static str) {}

/// Passes a point of the child between clone and exec, at which the agent may die, but never the child.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub(crate) fn child_point(_number: u32) {}

/// Passes a point at which a system call may fail.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub(crate) fn failing(_name: &'static str) -> std::io::Result<()> {
    Ok(())
}

/// Prepares the points of the next child, before it is cloned.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub(crate) fn arm_child() {}

/// The points of the child, by number; `child:<name>` in the environment.
pub(crate) mod child {
    pub(crate) const BEGUN: u32 = 1;
    pub(crate) const SESSION: u32 = 2;
    pub(crate) const RECORD_OPENED: u32 = 3;
    pub(crate) const RECORD_WRITTEN: u32 = 4;
    pub(crate) const RECORD_RENAMED: u32 = 5;
    pub(crate) const BEFORE_EXEC: u32 = 6;
    #[cfg(feature = "fail-points")]
    pub(super) const NAMES: [(&str, u32); 6] = [
        ("child:begun", BEGUN),
        ("child:session", SESSION),
        ("child:record-opened", RECORD_OPENED),
        ("child:record-written", RECORD_WRITTEN),
        ("child:record-renamed", RECORD_RENAMED),
        ("child:before-exec", BEFORE_EXEC),
    ];
}

#[cfg(feature = "fail-points")]
pub(crate) use active::{arm_child, child_point, failing, point};

#[cfg(feature = "fail-points")]
mod active {
    use std::collections::HashMap;
    use std::fs::File;
    use std::io::Write;
    use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
    use std::sync::{LazyLock, Mutex, PoisonError};

    use super::super::identity::own_pid;
    use super::super::signal::{Signal, kill_process};
    use super::child;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum What {
        Die,
        Stall,
        Fail(i32),
    }

    struct Plan {
        /// Each acts once: at which passing of which point, and what happens there.
        actions: Vec<(String, u32, What)>,
        passed: Mutex<HashMap<&'static str, u32>>,
        trace: Option<Mutex<File>>,
    }

    static PLAN: LazyLock<Plan> = LazyLock::new(|| {
        let text = std::env::var("PROXYPROCESS_FAIL").unwrap_or_default();
        let actions = text.split(',').filter(|text| !text.is_empty()).map(|text| parse(text).expect(text)).collect();
        let trace = std::env::var_os("PROXYPROCESS_FAIL_TRACE").map(|path| {
            Mutex::new(File::options().append(true).create(true).open(path).expect("open the trace of fail points"))
        });
        Plan { actions, passed: Mutex::default(), trace }
    });

    fn parse(text: &str) -> Option<(String, u32, What)> {
        let (point, what) = text.split_once('=')?;
        let (name, count) = point.split_once('#')?;
        let what = match what.split_once(':') {
            None if what == "die" => What::Die,
            None if what == "stall" => What::Stall,
            Some(("fail", errno)) => What::Fail(errno.parse().ok()?),
            _ => return None,
        };
        Some((name.to_owned(), count.parse().ok()?, what))
    }

    fn pass(name: &'static str) -> Option<What> {
        let plan = &*PLAN;
        let mut passed = plan.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let count = passed.entry(name).or_default();
        *count += 1;
        let what = plan.actions.iter().find(|(at, nth, _)| at == name && nth == count).map(|(_, _, what)| *what);
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
            Some(What::Fail(_)) | None => {}
        }
    }

    pub(crate) fn failing(name: &'static str) -> std::io::Result<()> {
        match pass(name) {
            Some(What::Die) => die(),
            Some(What::Stall) => stall(),
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

    /// At which point of the child the agent dies, and who that is; the child may look at nothing but these.
    static CHILD_POINT: AtomicU32 = AtomicU32::new(0);
    static AGENT: AtomicI32 = AtomicI32::new(0);

    pub(crate) fn arm_child() {
        let due = child::NAMES.into_iter().filter(|(name, _)| pass(name) == Some(What::Die));
        let number = due.map(|(_, number)| number).last().unwrap_or(0);
        AGENT.store(own_pid().as_raw(), Ordering::Relaxed);
        CHILD_POINT.store(number, Ordering::Relaxed);
    }

    /// CHILD: atomics and one system call.
    pub(crate) fn child_point(number: u32) {
        if CHILD_POINT.load(Ordering::Relaxed) == number {
            // SAFETY: no pointers are passed.
            unsafe { libc::syscall(libc::SYS_kill, AGENT.load(Ordering::Relaxed), libc::SIGKILL) };
        }
    }
}
