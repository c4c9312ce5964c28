// SPDX-License-Identifier: MPL-2.0
//! The proof that the library gives back what it took from its host.

use std::fs;

use super::alone::is_alone;
use super::deadline::Deadline;

/// How many descriptors each spawner keeps for its children.
pub(crate) const OF_A_SPAWNER: usize = 3;

/// The descriptors and threads of this process, to be compared with what they are later. The spawners are left out: at
/// most one a core, they are begun as work piles up, and stay.
#[derive(Debug)]
#[must_use = "it proves nothing until it is checked"]
pub(crate) struct Leak {
    descriptors: Vec<String>,
    spawners: usize,
    threads: usize,
}

impl Leak {
    /// Counts. Only in a process of the test's own, where no other test opens anything meanwhile.
    #[track_caller]
    pub(crate) fn start() -> Leak {
        assert!(is_alone(), "only within `alone` can a test count");
        Leak { descriptors: descriptors(), spawners: spawners(), threads: threads().len() }
    }

    /// Checks that all is as it was and that no zombie child is left.
    #[track_caller]
    pub(crate) fn check(self) {
        // A file that is just being written is open for an instant.
        let deadline = Deadline::of("descriptors to be closed");
        let mut found = descriptors();
        while found.len() - OF_A_SPAWNER * spawners() != self.descriptors.len() - OF_A_SPAWNER * self.spawners {
            assert!(!deadline.is_over(), "before {:#?}, now {found:#?}", self.descriptors);
            std::thread::yield_now();
            found = descriptors();
        }
        // A thread that was joined stays listed for an instant.
        let deadline = Deadline::of(format!("threads to end: {} before, now {:?}", self.threads, threads()));
        while threads().len() != self.threads {
            deadline.left();
            std::thread::yield_now();
        }
        let zombies = zombies();
        assert!(zombies.is_empty(), "zombie children: {zombies:?}");
    }
}

/// Where the open descriptors lead, the one that lists them left out.
fn descriptors() -> Vec<String> {
    let own = format!("/proc/{}/fd", std::process::id());
    let entries = fs::read_dir("/proc/self/fd").expect("list descriptors").flatten();
    let targets = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.map(|target| target.to_string_lossy().into_owned()).filter(|target| *target != own).collect()
}

/// The names of the threads but the spawners'.
fn threads() -> Vec<String> {
    all_threads().filter(|name| !is_spawner(name)).collect()
}

/// How many spawner threads this process has.
pub(crate) fn spawners() -> usize {
    all_threads().filter(|name| is_spawner(name)).count()
}

fn is_spawner(name: &str) -> bool {
    name.starts_with("proxy-spawner")
}

fn all_threads() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc/self/task").expect("list threads").flatten();
    entries.filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok())
}

/// The children of this process that have ended and are not reaped.
fn zombies() -> Vec<String> {
    let own = std::process::id().to_string();
    let stats = fs::read_dir("/proc").expect("list /proc").flatten();
    let stats = stats.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats
        .filter(|stat| {
            let fields = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
            let mut fields = fields.split(' ');
            fields.next() == Some("Z") && fields.next() == Some(&own)
        })
        .collect()
}
