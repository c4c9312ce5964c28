// SPDX-License-Identifier: MPL-2.0
//! Proxies that are declared and not run: by their declaration, and by a call.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use proxyprocess::{Daemon, ErrorCode, Listen, ProxyConfig, ProxyState, Replace, Signal, WaitFor};

use crate::inside::{Host, helper, quick};
use crate::support::{OVERLAPS, Scene, WATCHDOG};

const HOUR: Duration = Duration::from_secs(3600);

#[track_caller]
fn paused(host: &Host) {
    host.manager.wait_until("web", WaitFor::Paused, WATCHDOG).unwrap();
    let status = host.status("web");
    assert_eq!((status.state, status.pid, status.ready), (ProxyState::Paused, None, false));
}

#[test]
fn disabled_proxy_is_shown_and_not_run_until_it_is_enabled() {
    let scene = Scene::of_library();
    let config = helper(&scene, &["graceful"]);
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config.clone().with_enabled(false));
    host.run();
    paused(&host);
    host.set("web", config.clone());
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    host.set("web", config.clone().with_enabled(false));
    host.events.stopped("web");
    assert_eq!(scene.reports.signal(&start), "SIGINT");
    assert!(start.process.is_gone());
    paused(&host);

    // Another declaration changes nothing of that.
    host.set("web", helper(&scene, &["graceful", "1"]).with_enabled(false));
    host.follow("marker");
    paused(&host);
    host.close();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.restore().unwrap();
    assert_eq!(host.status("web").state, ProxyState::Paused);
    host.set("web", config.with_enabled(false));
    host.run();
    paused(&host);
    host.state.remove("web");
    host.events.stopped("web");
    host.kill();
    scene.finish();
}

#[test]
fn process_of_a_proxy_that_was_disabled_without_an_agent_is_stopped_by_the_next_one() {
    for restores in [false, true] {
        let scene = Scene::of_library();
        let config = helper(&scene, &["graceful"]);
        let mut host = Host::new(quick(&scene.data_dir()));
        host.set("web", config.clone());
        host.run();
        let start = scene.reports.start("web");
        host.follow("marker");
        host.close();
        let mut host = Host::new(quick(&scene.data_dir()));
        if restores {
            host.restore().unwrap();
            assert_eq!(host.status("web").pid, Some(start.pid), "a restore stops nothing");
        }
        host.set("web", config.with_enabled(false));
        host.run();
        host.events.stopped("web");
        assert!(start.process.is_gone());
        paused(&host);
        host.kill();
        scene.reports.forget_unread();
        scene.finish();
    }
}

#[test]
fn paused_proxy_stays_so_also_with_the_next_agent_until_it_is_resumed() {
    let scene = Scene::of_library();
    let config = helper(&scene, &["run"]);
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config.clone());
    assert_eq!(host.manager.pause("web").unwrap_err().code(), ErrorCode::NotFound);
    host.run();
    let first = scene.reports.start("web");
    host.manager.wait_until("web", WaitFor::Running, WATCHDOG).unwrap();
    host.manager.resume("web").unwrap();
    for _ in 0..2 {
        host.manager.pause("web").unwrap();
    }
    paused(&host);
    assert!(first.process.is_gone());
    host.set("web", helper(&scene, &["run", "1"]));
    host.follow("marker");
    paused(&host);
    host.close();
    for restores in [true, false] {
        let mut host = Host::new(quick(&scene.data_dir()));
        if restores {
            host.restore().unwrap();
        }
        host.set("web", config.clone());
        host.run();
        if restores {
            paused(&host);
            host.close();
        } else {
            // Without the snapshot of the last agent nothing of it is known.
            let start = scene.reports.start("web");
            assert_eq!(host.events.started("web"), start.pid);
            host.manager.pause("web").unwrap();
            paused(&host);
            host.manager.resume("web").unwrap();
            let start = scene.reports.start("web");
            host.manager.wait_until("web", WaitFor::Running, WATCHDOG).unwrap();
            assert_eq!(host.status("web").pid, Some(start.pid));
            host.kill();
        }
    }
    scene.finish();
}

#[test]
fn calls_for_a_paused_proxy_say_that_it_is_paused() {
    let scene = Scene::of_library();
    let config = helper(&scene, &["run"]);
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config.clone().with_enabled(false));
    host.set("kind", ProxyConfig::of_mode(proxyprocess::ExecMode::NOOP));
    host.run();
    paused(&host);
    let manager = &host.manager;
    for result in [
        manager.restart("web"),
        manager.retry("web"),
        manager.resume("web"),
        manager.signal("web", Signal::HUP),
        manager.reload("web"),
        manager.wait_until("web", WaitFor::Running, WATCHDOG),
    ] {
        let error = result.unwrap_err();
        assert_eq!((error.code(), error.to_string()), (ErrorCode::Paused, "proxy web: it is paused".to_owned()));
    }
    manager.pause("web").unwrap();
    manager.reset_crashes("web").unwrap();
    assert_eq!(manager.pause("kind").unwrap_err().code(), ErrorCode::InvalidConfig);
    assert_eq!(manager.pause("none").unwrap_err().code(), ErrorCode::NotFound);
    let daemon = Daemon::new("web", config.with_enabled(false));
    assert_eq!(daemon.start().unwrap_err().code(), ErrorCode::Paused);
    host.kill();
    scene.finish();
}

#[test]
fn pause_ends_a_wait_and_a_resume_begins_the_backoff_anew() {
    let scene = Scene::of_library();
    let mut config = helper(&scene, &["run"]);
    config.restart.attempts_before_backoff = 0;
    config.restart.max_wait = HOUR;
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config);
    host.run();
    for _ in 0..3 {
        let start = scene.reports.start("web");
        assert_eq!(host.events.started("web"), start.pid);
        start.process.kill();
        assert_eq!(host.events.waiting("web"), Duration::from_secs(2));
        host.manager.pause("web").unwrap();
        paused(&host);
        host.manager.resume("web").unwrap();
    }
    scene.reports.start("web");
    host.kill();
    scene.finish();
}

#[test]
fn sockets_of_a_paused_proxy_are_closed_and_opened_again() {
    let scene = Scene::of_library();
    let address: SocketAddr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let socket = Listen::new(format!("tcp:{address}").parse().unwrap());
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]).with_listen(socket));
    host.run();
    scene.reports.start("web");
    TcpStream::connect(address).unwrap();
    host.manager.pause("web").unwrap();
    host.events.stopped("web");
    paused(&host);
    // A start opens them anew where nothing has them.
    host.manager.resume("web").unwrap();
    scene.reports.start("web");
    TcpStream::connect(address).unwrap();
    host.kill();
    scene.finish();
}

#[test]
fn pause_in_a_handover_stops_both_processes_and_a_resume_starts_what_is_declared() {
    let scene = Scene::of_library();
    let mut config = helper(&scene, &["run", "0"]).with_replace(Replace::Overlap);
    config.command = config.command.env(OVERLAPS, "1");
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config.clone());
    host.run();
    let current = scene.reports.start("web");
    host.manager.wait_until("web", WaitFor::Running, WATCHDOG).unwrap();
    // The next one is never ready.
    config.command = helper(&scene, &["run", "1"]).command.env(OVERLAPS, "1");
    config.ready = proxyprocess::Ready::Fd(3);
    host.set("web", config.clone());
    let next = scene.reports.start("web");
    host.manager.pause("web").unwrap();
    paused(&host);
    assert!(current.process.is_gone() && next.process.is_gone());
    config.ready = proxyprocess::Ready::Started;
    host.set("web", config);
    host.follow("marker");
    paused(&host);
    host.manager.resume("web").unwrap();
    let last = scene.reports.start("web");
    host.manager.wait_until("web", WaitFor::Running, WATCHDOG).unwrap();
    assert_eq!((host.status("web").pid, host.status("web").other), (Some(last.pid), None));
    host.kill();
    scene.finish();
}
