// SPDX-License-Identifier: MPL-2.0
//! Detached processes: they outlive what a child does not that asks to be killed when its parent ends, and their own end is
//! told.

use std::fs;

use proxyprocess::{Command, Daemon, ExitStatus, ProxyConfig, ProxyState};
use rustix::process::{getpid, set_child_subreaper};

use crate::inside::{
    Observer, Place, helper, inherited, kernel_tells_status_of_strangers, no_library_thread_is_left, park, stage,
    wait_until,
};
use crate::support::{Scene, alone};

fn detached(mut config: ProxyConfig) -> ProxyConfig {
    config.command = config.command.detached();
    config
}

fn closes_and_lives_on(place: &Place) {
    let daemons = [
        Daemon::new("child", inherited(&["bound"])),
        Daemon::new("kept", detached(inherited(&["bound"]))),
        Daemon::new("taken", detached(inherited(&["bound"]))),
    ];
    daemons.iter().for_each(|daemon| daemon.start().unwrap());
    let (pid, snapshot) = (daemons[2].status().pid, daemons[2].marshal_snapshot());
    wait_until(&place.path(""), "all to have reported", || place.path("reported").exists());
    drop(daemons);
    no_library_thread_is_left();
    fs::write(place.path("closed"), "").unwrap();
    wait_until(&place.path(""), "the child to be gone", || place.path("gone").exists());
    let next = Daemon::new("taken", ProxyConfig::new(Command::new("none")));
    next.unmarshal_snapshot(&snapshot).unwrap();
    let status = next.status();
    assert_eq!((status.state, status.pid, status.adopted), (ProxyState::Running, pid, true));
    next.stop().unwrap();
    fs::write(place.path("stopped"), "").unwrap();
    park()
}

/// The threads end with the last manager or daemon, so that the library can be unloaded; and with them what has asked for it.
#[test]
fn detached_process_survives_close_in_a_host_that_lives_on() {
    let name = "library::detached::detached_process_survives_close_in_a_host_that_lives_on";
    let Some(stage) = stage(name, &[("host", closes_and_lives_on)]) else { return };
    let host = stage.begin("host", &[]);
    let [child, kept, taken] = ["child", "kept", "taken"].map(|id| stage.scene.reports.start(id));
    assert_eq!([child.ppid, kept.ppid, taken.ppid], [host.pid(), std::process::id(), std::process::id()]);
    fs::write(stage.scene.path("reported"), "").unwrap();
    child.process.wait();
    assert!(stage.scene.path("closed").exists() || !taken.process.is_gone());
    fs::write(stage.scene.path("gone"), "").unwrap();
    wait_until(&stage.scene.path(""), "the next one to have stopped it", || stage.scene.path("stopped").exists());
    assert!(taken.process.is_gone() && !kept.process.is_gone());
    kept.process.kill();
    host.kill();
    stage.end();
}

fn tells_exits(_: &Place) {
    let ends = [
        (&["exit", "3"][..], ExitStatus::Exited(3)),
        (&["crash", "SIGABRT"], ExitStatus::Signaled { signal: 6, core_dumped: false }),
    ];
    for (role, expected) in ends {
        let mut config = detached(inherited(role));
        config.restart.attempts_before_backoff = 10;
        let daemon = Daemon::new("web", config);
        let mut events = Observer::of(daemon.events());
        daemon.start().unwrap();
        for _ in 0..10 {
            events.started("web");
            let status = events.exited("web");
            let unknown = status == ExitStatus::Unknown && !kernel_tells_status_of_strangers();
            assert!(status == expected || unknown, "{status} instead of {expected}");
        }
        daemon.stop().unwrap();
    }
}

/// However soon: the pidfd is older than the first instruction.
#[test]
fn exit_status_of_detached_process_is_told_where_the_kernel_tells_it() {
    let name = "library::detached::exit_status_of_detached_process_is_told_where_the_kernel_tells_it";
    let Some(stage) = stage(name, &[("host", tells_exits)]) else { return };
    stage.play("host", &[]);
    stage.scene.reports.forget_unread();
    stage.end();
}

/// A host that is given what has lost its parent is the parent of detached processes, and has to reap them.
#[test]
fn detached_processes_of_a_subreaper_are_its_children_and_reaped() {
    alone("library::detached::detached_processes_of_a_subreaper_are_its_children_and_reaped", || {
        set_child_subreaper(Some(getpid())).unwrap();
        let scene = Scene::of_library();
        let missing = detached(ProxyConfig::new(Command::new("/no/such/program")));
        let daemon = Daemon::new("missing", missing);
        daemon.start().unwrap();
        daemon.stop().unwrap();
        assert_eq!(children(), [0; 0], "what failed to start");

        let daemon = Daemon::new("web", detached(helper(&scene, &["bound"])));
        let mut events = Observer::of(daemon.events());
        daemon.start().unwrap();
        for _ in 0..3 {
            let start = scene.reports.start("web");
            assert_eq!(start.ppid, std::process::id());
            assert_eq!(events.started("web"), start.pid);
            start.process.kill();
            let killed = ExitStatus::Signaled { signal: 9, core_dumped: false };
            assert_eq!(events.exited("web"), killed, "its parent is told");
        }
        let last = scene.reports.start("web");
        assert_eq!(events.started("web"), last.pid);
        daemon.stop().unwrap();
        assert!(last.process.is_reaped());
        assert_eq!(children(), [0; 0]);

        // One that is let go is reaped when it ends, by whatever the host uses next.
        daemon.start().unwrap();
        let left = scene.reports.start("web");
        drop(daemon);
        left.process.kill();
        let other = Daemon::new("other", detached(helper(&scene, &["run"])));
        other.start().unwrap();
        scene.reports.start("other");
        other.stop().unwrap();
        scene.finish();
    });
}

/// The children of this process that are there, zombies as well.
fn children() -> Vec<u32> {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let texts = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    texts.flat_map(|text| text.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>()).collect()
}
