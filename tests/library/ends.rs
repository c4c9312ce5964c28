// SPDX-License-Identifier: MPL-2.0
//! Run, close and kill: each once, from any thread and any callback.

use std::sync::Arc;
use std::time::Duration;

use proxyprocess::{ErrorCode, Manager, ManagerOptions, State};

use crate::inside::{Host, Place, helper, inherited, quick, stage};
use crate::support::{RaiseAtEnd, Scene, WATCHDOG};

#[test]
fn a_second_run_returns_at_once() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let start = scene.reports.start("web");
    for _ in 0..3 {
        assert_eq!(host.manager.run(), Ok(()));
    }
    assert!(!start.process.is_gone());
    host.kill();
    scene.finish();
}

/// An agent whose main thread does nothing but run the manager, and exits with what came of it, while another thread obeys
/// SIGINT: the first program of the README with the handler that it asks for.
fn agent_that_exits_after_run(place: &Place) {
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT]).unwrap();
    let state = State::new();
    let mut config = inherited(&["stubborn"]);
    config.stop.grace_period = Duration::from_millis(300);
    state.set("web", config).unwrap();
    let manager = Arc::new(Manager::new(state, quick(&place.data_dir())).unwrap());
    let killer = Arc::clone(&manager);
    std::thread::spawn(move || {
        signals.forever().next();
        // What fails is told to the run as well.
        let _ = killer.kill();
    });
    let code = match manager.run() {
        Ok(()) => 0,
        Err(error) if error.code() == ErrorCode::Io => 3,
        Err(error) => panic!("{error}"),
    };
    std::process::exit(code);
}

#[test]
fn run_returns_when_a_kill_by_another_thread_is_complete_with_its_result() {
    let name = "library::ends::run_returns_when_a_kill_by_another_thread_is_complete_with_its_result";
    let Some(stage) = stage(name, &[("agent", agent_that_exits_after_run)]) else { return };
    for fails in [false, true] {
        let agent = stage.begin("agent", &[]);
        let start = stage.scene.reports.start("web");
        stage.scene.wait_for_pid_files(&["web.pid"]);
        let pid_file = stage.scene.data_dir().join("pids/web.pid");
        if fails {
            std::fs::remove_file(&pid_file).unwrap();
            std::fs::create_dir(&pid_file).unwrap();
        }
        agent.signal(rustix::process::Signal::INT);
        assert_eq!(agent.exit_code(), Some(if fails { 3 } else { 0 }));
        assert!(start.process.is_gone(), "the agent has exited before its proxy");
        if fails {
            std::fs::remove_dir(&pid_file).unwrap();
        }
        // The stop signal, which the proxy ignores.
        stage.scene.reports.forget_signals();
    }
    stage.end();
}

#[test]
fn after_a_close_nothing_has_an_effect() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let start = scene.reports.start("web");
    let mut events = host.manager.events();
    host.manager.close().unwrap();
    host.join();
    assert_eq!(host.manager.kill(), Ok(()));
    assert_eq!(host.manager.close(), Ok(()));
    assert!(!start.process.is_gone(), "a kill after a close kills nothing");
    for error in [
        host.manager.run().unwrap_err(),
        host.restore().unwrap_err(),
        host.manager.snapshot(scene.path("told")).unwrap_err(),
        host.manager.reconfigure(quick(&scene.data_dir())).unwrap_err(),
    ] {
        assert_eq!(error.code(), ErrorCode::Closed, "{error}");
    }
    assert_eq!(host.manager.status(), []);
    while events.next_timeout(WATCHDOG).is_some() {}
    Host::new(quick(&scene.data_dir())).kill();
    assert!(start.process.is_gone());
    scene.finish();
}

#[test]
fn after_a_kill_a_close_has_no_effect() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let start = scene.reports.start("web");
    host.manager.kill().unwrap();
    assert!(start.process.is_gone());
    assert_eq!(host.manager.close(), Ok(()));
    assert_eq!(host.manager.kill(), Ok(()));
    assert_eq!(host.manager.run().unwrap_err().code(), ErrorCode::Closed);
    host.join();
    scene.finish();
}

#[test]
fn first_close_or_kill_ends_the_manager_for_all_callers() {
    let scene = Scene::of_library();
    for round in 0..10 {
        let mut host = Host::new(quick(&scene.data_dir()));
        host.set("web", helper(&scene, &["run"]));
        host.run();
        let start = scene.reports.start("web");
        std::thread::scope(|scope| {
            for caller in 0..8 {
                let manager = &host.manager;
                scope.spawn(move || {
                    let end = if (caller + round) % 2 == 0 { Manager::close } else { Manager::kill };
                    assert_eq!(end(manager), Ok(()));
                    // For everybody it has ended when his call returns: the next one gets the directory.
                    assert_eq!(manager.status(), []);
                });
            }
        });
        host.join();
        // Left running or not, by the one who was first.
        Host::new(quick(&scene.data_dir())).kill();
        assert!(start.process.is_gone());
    }
    scene.finish();
}

#[test]
fn a_manager_that_is_dropped_is_closed() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let start = scene.reports.start("web");
    host.close();
    let next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    // Without a run and without a close.
    drop(next);
    assert!(!start.process.is_gone());
    let next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    assert_eq!(next.status("web").pid, Some(start.pid));
    next.kill();
    scene.finish();
}

#[test]
fn a_manager_that_did_nothing_ends() {
    for end in [Manager::close, Manager::kill] {
        let manager = Manager::new(State::new(), ManagerOptions::default()).unwrap();
        assert_eq!((manager.snapshot_path(), manager.status()), (None, vec![]));
        assert_eq!(end(&manager), Ok(()));
    }
}

#[test]
fn without_a_data_directory_proxies_run_as_well() {
    let scene = Scene::of_library();
    let mut options = quick(&scene.data_dir());
    options.data_dir = None;
    let mut host = Host::new(options);
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let first = scene.reports.start("web");
    first.process.kill();
    let second = scene.reports.start("web");
    assert_eq!(host.manager.snapshot_path(), None);
    assert!(!scene.data_dir().exists());
    host.kill();
    assert!(second.process.is_gone());
    scene.finish();
}

#[test]
fn status_can_be_asked_from_everywhere_while_everything_happens() {
    let scene = Scene::of_library();
    let mut options = quick(&scene.data_dir());
    (options.quiescent_period, options.snapshot_period) = (Duration::ZERO, Duration::ZERO);
    let mut host = Host::new(options);
    host.run();
    let ids = ["a", "b", "c", "d"];
    let changed = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ended = RaiseAtEnd(&changed);
            for round in 0..40 {
                let id = ids[round % 4];
                match round % 3 {
                    0 => drop(host.state.remove(id)),
                    _ => host.state.set(id, helper(&scene, &["run", &round.to_string()])).unwrap(),
                }
                std::thread::yield_now();
            }
        });
        for _ in 0..4 {
            scope.spawn(|| {
                while !changed.load(std::sync::atomic::Ordering::Relaxed) {
                    let status = host.manager.status();
                    assert!(status.windows(2).all(|pair| pair[0].id < pair[1].id), "sorted and each once: {status:?}");
                    for proxy in status {
                        let running = proxy.state == proxyprocess::ProxyState::Running;
                        assert!(!running || proxy.pid.is_some(), "{proxy:?}");
                    }
                    drop(host.manager.events());
                    host.manager.snapshot(scene.path("told")).unwrap();
                }
            });
        }
    });
    host.kill();
    assert!(scene.reports.processes().iter().all(|process| process.is_gone()));
    scene.reports.forget_unread();
    scene.finish();
}
