// SPDX-License-Identifier: MPL-2.0
//! The limits of the kernel that bound how many processes an agent can have, and how a host within them sets them.

use std::collections::BTreeSet;
use std::fs::{self, File};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::inside::Place;

/// Numbers below are not given again once all have been given (RESERVED_PIDS).
const LOWEST_PID: u64 = 300;
const PID_MAX: &str = "/proc/sys/kernel/pid_max";
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";
/// Enough of them for everything here.
const MANY_PIDS: u64 = 4096;

/// Where the control group of the host is.
pub(crate) const CONTROL_GROUP: &str = "PROXYPROCESS_TEST_CONTROL_GROUP";

/// A start has so many descriptors open at the same time, of which one stays: that of the process.
const DESCRIPTORS_OF_A_START: u64 = 4;

/// Far above those that are used here is one that the runner of tests has inherited.
const OF_THE_HARNESS: u64 = 200;

/// What bounds the number of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// RLIMIT_NOFILE of the host, which has a descriptor for each process.
    Descriptors,
    /// RLIMIT_NPROC of the user that host and processes are of.
    Processes,
    /// RLIMIT_NPROC of the user that the processes become. The host is root, for whom it does not hold.
    ProcessesOfTheirUser,
    /// kernel.pid_max of the pid namespace.
    Pids,
    /// pids.max of the control group.
    ControlGroup,
}

impl Limit {
    /// What a start says that finds no room: operation, object, reason.
    pub(crate) fn refuses_by(self, error: &str) -> bool {
        match self {
            // Whichever of them a start needs first.
            Limit::Descriptors => error.ends_with(": Too many open files (os error 24)"),
            // The kernel looks at it when the program is executed, for setuid(2) must not fail.
            Limit::ProcessesOfTheirUser => {
                error.starts_with("execute /") && error.ends_with(": Resource temporarily unavailable (os error 11)")
            }
            Limit::Processes | Limit::Pids | Limit::ControlGroup => {
                error == "clone: Resource temporarily unavailable (os error 11)"
            }
        }
    }

    /// Whether a start that is refused takes room of others for a moment.
    pub(crate) fn is_disputed(self) -> bool {
        matches!(self, Limit::Descriptors | Limit::ProcessesOfTheirUser)
    }

    /// What has to be done before the first process.
    pub(crate) fn prepare(self) {
        match self {
            Limit::ControlGroup => fs::write(control("cgroup.procs"), "0").expect("join the control group"),
            // From now on no number below is given: not to the first process, and to none that takes its place.
            Limit::Pids => fs::write(LAST_PID, (LOWEST_PID - 1).to_string()).expect("choose the next pid"),
            _ => {}
        }
    }

    /// Leaves room for so many processes beside those that live, while nothing is being started; until that is lifted
    /// and what is returned dropped.
    pub(crate) fn leave_room(self, for_more: u64, alive: u64) -> Vec<File> {
        let mut taken = Vec::new();
        match self {
            Limit::Descriptors => {
                // The limit is of numbers. Below the highest one none is left free.
                let own = descriptors().into_iter().filter(|number| *number < OF_THE_HARNESS);
                let highest = own.max().unwrap_or_default();
                while descriptors().range(..highest).count() < usize::try_from(highest).expect("a small number") {
                    taken.push(File::open("/dev/null").expect("take a descriptor"));
                }
                set(Resource::Nofile, Some(highest + 1 + for_more + DESCRIPTORS_OF_A_START - 1));
            }
            Limit::Processes => set(Resource::Nproc, Some(numbers("/proc/self/task").len() as u64 + alive + for_more)),
            // One is not refused before there is one too many.
            Limit::ProcessesOfTheirUser => set(Resource::Nproc, Some(alive + for_more - 1)),
            Limit::Pids => {
                let most = free(&pids(), LOWEST_PID, for_more);
                fs::write(PID_MAX, most.to_string()).expect("set pid_max");
                fs::write(LAST_PID, LOWEST_PID.to_string()).expect("choose the next pid");
            }
            Limit::ControlGroup => {
                let current = fs::read_to_string(control("pids.current")).expect("read pids.current");
                let current: u64 = current.trim().parse().expect("a number");
                fs::write(control("pids.max"), (current + for_more).to_string()).expect("set pids.max");
            }
        }
        taken
    }

    /// Leaves room for all that come.
    pub(crate) fn lift(self) {
        match self {
            Limit::Descriptors => set(Resource::Nofile, getrlimit(Resource::Nofile).maximum),
            Limit::Processes | Limit::ProcessesOfTheirUser => set(Resource::Nproc, getrlimit(Resource::Nproc).maximum),
            Limit::Pids => fs::write(PID_MAX, MANY_PIDS.to_string()).expect("set pid_max"),
            Limit::ControlGroup => fs::write(control("pids.max"), "max").expect("set pids.max"),
        }
    }
}

fn set(which: Resource, soft: Option<u64>) {
    let maximum = getrlimit(which).maximum;
    setrlimit(which, Rlimit { current: soft, maximum }).expect("set a limit");
}

fn control(file: &str) -> std::path::PathBuf {
    std::path::PathBuf::from(std::env::var_os(CONTROL_GROUP).expect("a control group")).join(file)
}

/// The number below which so many are free.
fn free(taken: &BTreeSet<u64>, from: u64, count: u64) -> u64 {
    let mut free = (from..).filter(|number| !taken.contains(number));
    free.nth(usize::try_from(count).expect("a few")).expect("a number")
}

/// The entries of a directory that are numbers.
fn numbers(dir: &str) -> BTreeSet<u64> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The open descriptors, without the one that lists them.
fn descriptors() -> BTreeSet<u64> {
    let listed = numbers("/proc/self/fd").into_iter();
    listed.filter(|number| fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok()).collect()
}

/// The numbers of all processes and threads of the namespace.
fn pids() -> BTreeSet<u64> {
    numbers("/proc").into_iter().flat_map(|pid| numbers(&format!("/proc/{pid}/task"))).collect()
}

/// A control group of the test's own that counts processes; gone at the end.
#[derive(Debug)]
pub(crate) struct ControlGroup(std::path::PathBuf);

impl ControlGroup {
    /// `None` where none can be made, with the reason.
    pub(crate) fn new(place: &std::path::Path) -> Result<ControlGroup, String> {
        let name = place.file_name().expect("a name");
        // Version 1 has a hierarchy for them; of version 2 it is the one that there is.
        let parents = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(std::path::Path::new);
        let mut reasons = Vec::new();
        for parent in parents {
            let group = ControlGroup(parent.join(name));
            match fs::create_dir(&group.0) {
                Ok(()) if group.0.join("pids.max").exists() => return Ok(group),
                Ok(()) => reasons.push(format!("{} does not count processes", parent.display())),
                Err(error) => reasons.push(format!("create a directory in {}: {error}", parent.display())),
            }
        }
        Err(reasons.join(", "))
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Where the helper is that any user can execute.
pub(crate) fn helper_for_all(place: &Place) -> std::path::PathBuf {
    place.path("helper")
}
