// SPDX-License-Identifier: MPL-2.0
//! Descriptors that the host leaks, and those that it is short of.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use proxyprocess::{Command, Daemon, ErrorCode, EventKind, ProxyConfig, ProxyState};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::hosts::life::{Told, in_a_host, live};
use crate::inside::{Exhausted, Host, Place, helper, quick, wait_until};
use crate::support::{HELPER, Scene, Start};

/// How many a host may have inherited.
const INHERITED: u64 = 10_000;

/// How long a start may take, at its best, though a child has to mark all of them.
const START: Duration = Duration::from_secs(1);

fn that_leaks_descriptors(_: &Place) {
    let limit = getrlimit(Resource::Nofile);
    let most = INHERITED + 1000;
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }).expect("raise the limit");
    let leaked: Vec<OwnedFd> = (0..INHERITED)
        .map(|_| {
            let file = OwnedFd::from(File::open("/dev/zero").unwrap());
            fcntl_setfd(&file, FdFlags::empty()).unwrap();
            file
        })
        .collect();
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["inspect"]));
    host.run();
    let mut fastest = Duration::MAX;
    for _ in 0..3 {
        let (begun, start) = (Instant::now(), scene.reports.start("web"));
        fastest = fastest.min(begun.elapsed());
        let found = start.inspection.unwrap().fds;
        let logs = scene.data_dir().join("logs");
        let log = |stream| logs.join(format!("web-{stream}.log")).to_str().unwrap().to_owned();
        let expected = [(0, "/dev/null".to_owned()), (1, log("stdout")), (2, log("stderr"))];
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
        start.process.kill();
    }
    scene.reports.start("web");
    assert!(fastest < START, "a start takes {fastest:?}");
    host.kill();
    // And they are still the host's.
    assert!(leaked.iter().all(|fd| std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).is_ok()));
    scene.finish();
    live(Told::Parent);
}

fn can_have_them() -> bool {
    let possible = getrlimit(Resource::Nofile).maximum.is_none_or(|most| most >= INHERITED + 1000);
    if !possible {
        eprintln!("skipped: the limit of descriptors is too low");
        assert!(std::env::var_os("PROXYPROCESS_CI").is_none(), "raise it with ulimit -Hn");
    }
    possible
}

#[test]
fn a_host_that_leaks_descriptors() {
    if can_have_them() {
        in_a_host("hosts::descriptors::a_host_that_leaks_descriptors", &[], that_leaks_descriptors);
    }
}

/// A child has to look for them in /proc, and there are more than fit into one look.
#[test]
fn a_host_that_leaks_descriptors_without_close_range() {
    let name = "hosts::descriptors::a_host_that_leaks_descriptors_without_close_range";
    if can_have_them() {
        in_a_host(name, &[*HELPER, "sandbox", "close_range=ENOSYS"], that_leaks_descriptors);
    }
}

/// What the program was started with, by a shell.
const SOFT: u64 = 300;

fn that_raises_its_limit(_: &Place) {
    let at_start = getrlimit(Resource::Nofile);
    assert_eq!(at_start.current, Some(SOFT));
    // As the runtime of Go does, before it runs any code of the program.
    setrlimit(Resource::Nofile, Rlimit { current: at_start.maximum, maximum: at_start.maximum }).unwrap();
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["inspect"]));
    host.run();
    let found = scene.reports.start("web").inspection.unwrap().descriptors;
    assert_eq!(found, (Some(SOFT), at_start.maximum));
    assert_eq!(getrlimit(Resource::Nofile).current, at_start.maximum, "the host's own is as the host has set it");

    // Who lowers the hard limit means it for its children as well.
    let lower = Some(SOFT - 50);
    setrlimit(Resource::Nofile, Rlimit { current: lower, maximum: lower }).unwrap();
    host.set("other", helper(&scene, &["inspect"]));
    assert_eq!(scene.reports.start("other").inspection.unwrap().descriptors, (lower, lower));
    host.kill();
    scene.finish();
}

#[test]
fn a_host_that_raises_its_limit_of_descriptors() {
    let lower = format!("ulimit -Sn {SOFT}; exec \"$@\"");
    let programs = ["/bin/sh", "-c", &lower, "sh"];
    in_a_host("hosts::descriptors::a_host_that_raises_its_limit_of_descriptors", &programs, that_raises_its_limit);
}

/// So many the host has open while the library begins, and so many it may have afterwards.
const AT_FIRST: usize = 300;
const LATER: u64 = 200;

fn that_lowers_its_limit_below_what_is_open(_: &Place) {
    let zeros: Vec<File> = (0..AT_FIRST).map(|_| File::open("/dev/zero").unwrap()).collect();
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["inspect"]));
    host.run();
    let mut web = scene.reports.start("web");
    assert_eq!(host.events.started("web"), web.pid);
    drop(zeros);
    setrlimit(Resource::Nofile, Rlimit { current: Some(LATER), maximum: getrlimit(Resource::Nofile).maximum }).unwrap();
    let logs = ["stdout", "stderr"].map(|stream| scene.data_dir().join(format!("logs/web-{stream}.log")));
    for _ in 0..3 {
        web.process.kill();
        web = scene.reports.start("web");
        assert_eq!(host.events.started("web"), web.pid);
        let found = web.inspection.as_ref().unwrap().fds.values().map(Into::into).collect::<Vec<std::path::PathBuf>>();
        assert_eq!(found, ["/dev/null".into(), logs[0].clone(), logs[1].clone()]);
        // Those that the library keeps for children lead to no log between two starts.
        let own = || std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let is_log = |fd: std::fs::DirEntry| std::fs::read_link(fd.path()).is_ok_and(|path| logs.contains(&path));
        wait_until(&scene.data_dir(), "the logs to be closed", || !own().any(is_log));
    }
    host.kill();
    scene.finish();
}

#[test]
fn a_host_that_lowers_its_limit_below_what_is_open() {
    let name = "hosts::descriptors::a_host_that_lowers_its_limit_below_what_is_open";
    in_a_host(name, &[], that_lowers_its_limit_below_what_is_open);
}

/// As one does whose proxy is in memory, or was opened before its file was replaced.
fn that_executes_what_it_has_open(_: &Place) {
    // Above all that the library opens.
    let zeros: Vec<File> = (0..AT_FIRST).map(|_| File::open("/dev/zero").unwrap()).collect();
    let (program, dir) = (File::open(*HELPER).unwrap(), File::open("/usr").unwrap());
    drop(zeros);
    let by_number = |file: &File| format!("/proc/self/fd/{}", file.as_raw_fd());
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let mut config = helper(&scene, &["run"]);
    let command = Command::new(by_number(&program)).arg("run").dir(by_number(&dir));
    config.command = scene.env().into_iter().fold(command, |command, (name, value)| command.env(name, value));
    host.set("web", config);
    host.run();
    for _ in 0..3 {
        let web = scene.reports.start("web");
        assert_eq!(std::fs::read_link(format!("/proc/{}/cwd", web.pid)).unwrap().to_str(), Some("/usr"));
        web.process.kill();
    }
    scene.reports.start("web");
    host.kill();
    scene.finish();
}

#[test]
fn a_host_that_executes_what_it_has_open() {
    in_a_host("hosts::descriptors::a_host_that_executes_what_it_has_open", &[], that_executes_what_it_has_open);
}

/// A proxy that is tried again soon, and its first process.
fn with_a_proxy(scene: &Scene) -> (Host, Start) {
    let mut host = Host::new(quick(&scene.data_dir()));
    let mut config = helper(scene, &["run"]);
    config.restart.max_wait = Duration::from_millis(50);
    host.set("web", config);
    host.run();
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    (host, start)
}

/// It is seen to end, cannot be started, says why, and is tried again.
fn is_tried_again(host: &mut Host) {
    for _ in 0..3 {
        let says = |error: &str| error.contains("Too many open files");
        let failed = |kind: &EventKind| matches!(kind, EventKind::StartFailed { error } if says(error));
        host.events.until("the failure", |event| failed(&event.kind));
    }
    let status = host.status("web");
    assert!(status.pid.is_none() && status.state != ProxyState::Running, "{status:?}");
}

/// The process ends while nothing can be opened.
fn dies_while_there_are_none(scene: &Scene, host: &mut Host, running: &Start) -> Start {
    let exhausted = Exhausted::begin();
    running.process.kill();
    is_tried_again(host);
    exhausted.end();
    let next = scene.reports.start("web");
    assert_eq!(host.events.started("web"), next.pid);
    assert!(running.process.is_reaped());
    next
}

fn that_has_none_left(_: &Place) {
    let scene = Scene::of_library();
    let (mut host, first) = with_a_proxy(&scene);
    first.process.kill();
    let second = scene.reports.start("web");
    assert_eq!(host.events.started("web"), second.pid);
    let third = dies_while_there_are_none(&scene, &mut host, &second);
    // Without pidfds a pid is proven by its start time before it is signalled, which needs a descriptor.
    let exhausted = (!cfg!(proxyprocess_no_pidfd)).then(Exhausted::begin);
    let begun = Instant::now();
    host.kill();
    assert!(begun.elapsed() < proxyprocess::defaults::DAEMON_GRACE_PERIOD, "the end of its group was not seen");
    exhausted.into_iter().for_each(Exhausted::end);
    assert!(third.process.is_gone());
    scene.finish();
}

#[test]
fn a_host_that_has_no_descriptors_left() {
    in_a_host("hosts::descriptors::a_host_that_has_no_descriptors_left", &[], that_has_none_left);
}

#[test]
fn host_before_linux_6_9_that_has_no_descriptors_left() {
    let name = "hosts::descriptors::host_before_linux_6_9_that_has_no_descriptors_left";
    in_a_host(name, &[*HELPER, "sandbox", "signal-to-group=EINVAL"], that_has_none_left);
}

fn that_has_none_left_at_the_first_exit(_: &Place) {
    let scene = Scene::of_library();
    let (mut host, first) = with_a_proxy(&scene);
    // What the kernel can do must not be asked only now.
    let second = dies_while_there_are_none(&scene, &mut host, &first);
    host.kill();
    assert!(second.process.is_gone());
    scene.finish();
}

#[test]
fn a_host_that_has_no_descriptors_left_when_the_first_process_ends() {
    let name = "hosts::descriptors::a_host_that_has_no_descriptors_left_when_the_first_process_ends";
    in_a_host(name, &[], that_has_none_left_at_the_first_exit);
}

/// A manager that comes to a living process when it can open nothing takes it over when it can: it neither takes the
/// process for gone nor starts another one.
fn that_has_none_left_to_adopt_with(_: &Place) {
    let scene = Scene::of_library();
    let (host, start) = with_a_proxy(&scene);
    host.close();
    let mut next = Host::new(quick(&scene.data_dir()));
    next.set("web", helper(&scene, &["run"]));
    // Where not even the library's threads can be had, run says so and can be called again.
    let exhausted = Exhausted::begin();
    let error = next.manager.run().unwrap_err();
    assert!(error.code() == ErrorCode::Exhausted && error.to_string().contains("Too many open files"), "{error}");
    exhausted.end();
    // They are there while there is anything that needs them.
    let other = Daemon::new("other", helper(&scene, &["run"]));
    other.start().unwrap();
    scene.reports.start("other");
    let exhausted = Exhausted::begin();
    next.run();
    next.events.until("the failure", |event| {
        matches!(event.kind, EventKind::SnapshotFailed { .. } | EventKind::AdoptionRefused { .. })
    });
    exhausted.end();
    assert_eq!(next.events.adopted("web"), start.pid);
    next.kill();
    assert!(start.process.is_gone());
    other.stop().unwrap();
    scene.finish();
}

#[test]
fn a_host_that_has_no_descriptors_left_to_adopt_with() {
    let name = "hosts::descriptors::a_host_that_has_no_descriptors_left_to_adopt_with";
    in_a_host(name, &[], that_has_none_left_to_adopt_with);
}

fn that_has_none_left_for_events(_: &Place) {
    let events = Daemon::new("web", ProxyConfig::new(Command::new("true"))).events();
    let exhausted = Exhausted::begin();
    let error = events.descriptor().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Exhausted);
    assert_eq!(error.to_string(), "create descriptor of a reader: Too many open files (os error 24)");
    exhausted.end();
    events.descriptor().unwrap();
}

#[test]
fn a_host_that_has_no_descriptors_left_for_events() {
    let name = "hosts::descriptors::a_host_that_has_no_descriptors_left_for_events";
    in_a_host(name, &[], that_has_none_left_for_events);
}
