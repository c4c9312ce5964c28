// SPDX-License-Identifier: MPL-2.0
//! Signals that the host ignores, blocks or handles.

use std::collections::BTreeMap;
use std::fs;

use proxyprocess::{Daemon, Signal};

use crate::hosts::life::{Told, in_a_host, live};
use crate::inside::{Place, helper};
use crate::support::{Deadline, Scene};

/// Rust's own runtime, in the helper program, ignores it.
const SIGPIPE: u64 = 1 << (13 - 1);

/// Nothing of the host's masks and dispositions is in the process that it has started.
fn starts_clean_processes() {
    let scene = Scene::of_library();
    let daemon = Daemon::new("web", helper(&scene, &["inspect"]));
    daemon.start().unwrap();
    let found = scene.reports.start("web").inspection.unwrap();
    assert_eq!((found.blocked, found.ignored), (0, SIGPIPE));
    daemon.stop().unwrap();
    scene.finish();
}

fn that_ignores_the_end_of_children(_: &Place) {
    // Bit 17: the kernel itself reaps the children of who ignores SIGCHLD.
    assert_ne!(mask(&fs::read_to_string("/proc/self/status").unwrap(), "SigIgn:") & 1 << 16, 0);
    starts_clean_processes();
    live(Told::Kernel);
}

#[test]
fn a_host_that_ignores_sigchld() {
    let ignore = ["/usr/bin/env", "--ignore-signal=CHLD"];
    in_a_host("hosts::signals::a_host_that_ignores_sigchld", &ignore, that_ignores_the_end_of_children);
}

fn that_blocks_everything(_: &Place) {
    assert_eq!(mask(&fs::read_to_string("/proc/self/status").unwrap(), "SigBlk:") & 0x7fff_ffff, 0x7ffb_feff);
    starts_clean_processes();
    live(Told::Parent);
}

#[test]
fn a_host_that_blocks_all_signals() {
    let block = ["/usr/bin/env", "--block-signal"];
    in_a_host("hosts::signals::a_host_that_blocks_all_signals", &block, that_blocks_everything);
}

fn that_ignores_everything(_: &Place) {
    starts_clean_processes();
    live(Told::Kernel);
}

#[test]
fn a_host_that_ignores_all_signals() {
    let ignore = ["/usr/bin/env", "--ignore-signal"];
    in_a_host("hosts::signals::a_host_that_ignores_all_signals", &ignore, that_ignores_everything);
}

/// The signals that a thread or the process blocks, ignores or handles, as the kernel shows them.
fn mask(status: &str, field: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a mask");
    u64::from_str_radix(line.trim(), 16).expect("a mask")
}

fn dispositions() -> [u64; 2] {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    ["SigIgn:", "SigCgt:"].map(|field| mask(&status, field))
}

fn that_handles_signals(_: &Place) {
    let child_ended = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = child_ended.clone();
    signal_hook::flag::register_usize(signal_hook::consts::SIGCHLD, counted, 1).unwrap();
    let before = (dispositions(), own_mask());
    let scene = Scene::of_library();
    let daemon = Daemon::new("web", helper(&scene, &["inspect"]));
    daemon.start().unwrap();
    let start = scene.reports.start("web");
    // Handlers are not inherited by anybody, and the host's own are as they were.
    assert_eq!((dispositions(), own_mask()), before);
    assert_eq!(start.inspection.as_ref().unwrap().ignored, SIGPIPE);

    // None of the library's threads will ever run one of them. SIGKILL and SIGSTOP cannot be blocked, the C library's own
    // two stay open for setuid, and what a fault of the host's code raises for the host's handlers.
    let (unblockable, of_libc) = ([9, 19], [32, 33]);
    let synchronous = ["ILL", "TRAP", "BUS", "FPE", "SEGV", "SYS"].map(|name| name.parse::<Signal>().unwrap().as_raw());
    let open =
        unblockable.into_iter().chain(of_libc).chain(synchronous).fold(0, |open, signal| open | 1 << (signal - 1));
    let masks = masks_of_library_threads();
    assert!(masks.len() >= 2, "{masks:?}");
    for (name, blocked) in masks {
        assert_eq!(blocked, !open, "{name}: {blocked:x}");
    }
    daemon.stop().unwrap();
    assert_eq!((dispositions(), own_mask()), before);
    let deadline = Deadline::of("the host's own handler");
    while child_ended.load(std::sync::atomic::Ordering::Relaxed) == 0 {
        deadline.left();
        std::thread::yield_now();
    }
    scene.finish();
}

fn own_mask() -> u64 {
    mask(&fs::read_to_string("/proc/thread-self/status").unwrap(), "SigBlk:")
}

fn masks_of_library_threads() -> BTreeMap<String, u64> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let statuses = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    let masks = statuses.filter_map(|status| {
        let name = status.lines().find_map(|line| line.strip_prefix("Name:"))?.trim().to_owned();
        name.starts_with("proxy-").then(|| (name, mask(&status, "SigBlk:")))
    });
    masks.collect()
}

#[test]
fn a_host_that_handles_signals() {
    in_a_host("hosts::signals::a_host_that_handles_signals", &[], that_handles_signals);
}
