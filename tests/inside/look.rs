// SPDX-License-Identifier: MPL-2.0
//! Looking at processes, threads, descriptors and files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Changes, Deadline, OF_A_SPAWNER, spawners};

/// A JSON document.
#[track_caller]
pub(crate) fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("read {text:?}: {error}"))
}

/// Waits for something that shows in files below a directory.
#[track_caller]
pub(crate) fn wait_until(dir: &Path, what: &str, holds: impl Fn() -> bool) {
    let changes = Changes::of(dir);
    let deadline = Deadline::of(what);
    while !holds() {
        changes.wait(deadline.left());
    }
}

/// Lets a moment pass, to act at ever other moments of what goes on elsewhere; never to wait for it.
pub(crate) fn spin(moment: Duration) {
    let until = Instant::now() + moment;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// When a process or thread was started, in the kernel's ticks.
#[track_caller]
pub(crate) fn start_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("read stat");
    let (_, rest) = stat.rsplit_once(") ").expect("a name in parentheses");
    rest.split(' ').nth(19).and_then(|ticks| ticks.parse().ok()).expect("field 22")
}

/// How many descriptors of this process are open.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("list descriptors").count() - 1
}

/// The same without those of the spawner threads, which are begun as work piles up and stay: as many as there are for a
/// while, for what is just being done may have some.
#[track_caller]
pub(crate) fn settled_descriptors() -> usize {
    let count = || descriptors() - OF_A_SPAWNER * spawners();
    let deadline = Deadline::of("a number of descriptors that stays the same");
    let (mut last, mut same) = (count(), 0);
    while same < 20 {
        deadline.left();
        std::thread::yield_now();
        let now = count();
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

/// The names of the library's threads in this process, and of the thread that runs the manager.
pub(crate) fn library_threads() -> Vec<String> {
    tasks().into_values().map(|(name, _)| name).collect()
}

/// Waits for the library's threads to be gone: a thread that was joined is listed for a moment longer.
#[track_caller]
pub(crate) fn no_library_thread_is_left() {
    let deadline = Deadline::of("the end of the library's threads");
    while !library_threads().is_empty() {
        deadline.left();
        std::thread::yield_now();
    }
}

/// How often each of these threads went to sleep so far, by number and name.
pub(crate) fn context_switches() -> BTreeMap<String, (String, u64)> {
    tasks()
}

fn tasks() -> BTreeMap<String, (String, u64)> {
    let entries = fs::read_dir("/proc/self/task").expect("list threads").flatten();
    let tasks = entries.filter_map(|entry| {
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let name = field("Name:")?.to_owned();
        let switches = field("voluntary_ctxt_switches:")?.parse().ok()?;
        let number = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("proxy-").then_some((number, (name, switches)))
    });
    tasks.collect()
}

/// Whether this kernel tells how a process ended that is not a child (Linux 6.15).
pub(crate) fn kernel_tells_status_of_strangers() -> bool {
    if cfg!(proxyprocess_no_pidfd) {
        return false;
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers =
        release.split(|character: char| !character.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (6, 15)
}
