// SPDX-License-Identifier: MPL-2.0
//! Proxies that say by a notification when they are ready, and what they are doing (sd_notify(3)).

use std::fs;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use proxyprocess::{Daemon, EventKind, ProxyConfig, ProxyState, ProxyStatus, Ready};
use rustix::process::Signal;

use super::is_starting;
use crate::inside::{Host, Observer, helper, quick, settled_descriptors};
use crate::support::{Agent, Config, Deadline, Proxy, Scene, Start, alone};

const BEGINS: &str = "STATUS=begins";

/// A helper that sends these on SIGUSR1.
pub(super) fn notifies(scene: &Scene, how: &str, texts: &[&str]) -> ProxyConfig {
    helper(scene, &[&["notifies", how], texts].concat()).with_ready(Ready::Notify)
}

/// Has it send the next one.
#[track_caller]
pub(super) fn send_next(scene: &Scene, start: &Start) {
    start.process.signal(Signal::USR1);
    assert_eq!(scene.reports.signal(start), "SIGUSR1");
}

/// Waits until the status is as wanted.
#[track_caller]
pub(super) fn status_when(host: &Host, id: &str, wanted: impl Fn(&ProxyStatus) -> bool) -> ProxyStatus {
    let deadline = Deadline::of("the status to be as wanted");
    loop {
        let status = host.status(id);
        if wanted(&status) {
            return status;
        }
        assert!(!deadline.is_over(), "waited in vain: {status:?}");
        std::thread::yield_now();
    }
}

/// The socket that is named in the environment of a process.
pub(super) fn socket_of(start: &Start) -> SocketAddr {
    let environment = fs::read(format!("/proc/{}/environ", start.pid)).expect("read its environment");
    let named = environment.split(|byte| *byte == 0).filter_map(|text| text.strip_prefix(b"NOTIFY_SOCKET=@"));
    let [name] = named.collect::<Vec<_>>()[..] else { panic!("not one name") };
    assert!(name.starts_with(b"proxyprocess/") && name.len() == 45, "{}", name.escape_ascii());
    SocketAddr::from_abstract_name(name).expect("a name")
}

#[test]
fn proxy_is_ready_when_it_says_so_and_its_status_is_shown() {
    let scene = Scene::of_library();
    let texts = [
        "STATUS=0 of 2 workers\nX_UNKNOWN=1",
        "READY=1\nSTATUS=2 workers",
        "RELOADING=1\nMONOTONIC_USEC=1\nSTATUS=",
        "READY=1",
        "READY=1\nERRNO=13",
        "STOPPING=1\nSTATUS=bye",
    ];
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", notifies(&scene, "self", &texts));
    host.run();
    let start = scene.reports.start("web");
    host.events.started("web");
    is_starting(&host, &start);
    send_next(&scene, &start);
    let text = |text: &'static str| move |status: &ProxyStatus| status.status_text.as_deref() == Some(text);
    status_when(&host, "web", text("0 of 2 workers"));
    is_starting(&host, &start);
    send_next(&scene, &start);
    host.events.ready("web");
    let status = status_when(&host, "web", text("2 workers"));
    assert_eq!((status.state, status.ready, status.pid), (ProxyState::Running, true, Some(start.pid)));
    assert!(status.to_string().ends_with(", status: 2 workers"), "{status}");
    send_next(&scene, &start);
    let status = status_when(&host, "web", |status| !status.ready);
    assert_eq!((status.state, status.status_text), (ProxyState::Running, None));
    send_next(&scene, &start);
    host.events.ready("web");
    assert!(host.status("web").ready);
    // That it is ready already is no news.
    send_next(&scene, &start);
    let status = status_when(&host, "web", |status| status.last_error.is_some());
    assert_eq!(status.last_error.as_deref(), Some("reported by the process: Permission denied (os error 13)"));
    send_next(&scene, &start);
    assert!(!status_when(&host, "web", text("bye")).ready);
    let ready = host.events.of_proxy("web").into_iter().filter(|kind| *kind == EventKind::Ready);
    assert_eq!(ready.count(), 2);
    host.kill();
    scene.finish();
}

#[test]
fn notification_of_a_short_lived_or_escaped_process_of_the_proxy_counts() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.run();
    for how in ["child", "escaped"] {
        host.set(how, notifies(&scene, how, &["READY=1"]));
        let start = scene.reports.start(how);
        host.events.started(how);
        is_starting(&host, &start);
        send_next(&scene, &start);
        host.events.ready(how);
    }
    host.kill();
    scene.finish();
}

#[test]
fn descriptor_of_a_barrier_is_closed_and_none_is_kept() {
    alone("readiness::notifications::descriptor_of_a_barrier_is_closed_and_none_is_kept", || {
        let scene = Scene::of_library();
        let texts = ["BARRIER=1", "FDSTORE=1\nFDNAME=a", "BARRIER=1"];
        let daemon = Daemon::new("web", notifies(&scene, "barrier", &texts));
        let mut events = Observer::of(daemon.events());
        daemon.start().unwrap();
        let start = scene.reports.start("web");
        events.started("web");
        daemon.status();
        let before = settled_descriptors();
        for _ in texts {
            // The helper says so when it is closed.
            send_next(&scene, &start);
        }
        daemon.status();
        assert_eq!(settled_descriptors(), before);
        daemon.stop().unwrap();
        start.process.wait();
        scene.finish();
    });
}

#[test]
fn notification_of_a_stranger_is_refused_and_logged_once() {
    let scene = Scene::new();
    let proxy = Proxy::helper(&["notifies", "self", BEGINS]).set("ready", "notify");
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", proxy));
    let start = scene.reports.start("web");
    let (stranger, address) = (UnixDatagram::unbound().unwrap(), socket_of(&start));
    for _ in 0..3 {
        stranger.send_to_addr(b"READY=1\nSTATUS=strange", &address).unwrap();
    }
    // What it sends comes after that.
    send_next(&scene, &start);
    let status = agent
        .status_when(&scene, "its status is shown", |status| status["web"].status_text.as_deref() == Some("begins"));
    assert!(status.is("web", "starting") && !status["web"].ready, "{status:?}");
    let refused = format!(": one from pid {}, user {}", std::process::id(), rustix::process::getuid().as_raw());
    // What is logged may be read a moment later than the status is asked for.
    agent.wait_for_log(&refused);
    assert_eq!(agent.log().matches(&refused).count(), 1, "{}", agent.log());
    agent.quit();
    scene.finish();
}

#[test]
fn each_start_has_another_socket_and_no_other_process_has_one() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let mut config = notifies(&scene, "at-once", &["READY=1"]);
    config.restart.attempts_before_backoff = 100;
    host.set("web", config);
    host.run();
    let first = scene.reports.start("web");
    host.events.ready("web");
    let address = socket_of(&first);
    first.process.kill();
    host.events.exited("web");
    let second = scene.reports.start("web");
    host.events.ready("web");
    assert_ne!(address.as_abstract_name(), socket_of(&second).as_abstract_name());
    // A process that another test is just starting has a copy of the first one until it executes its program.
    let deadline = Deadline::of("the first socket to be closed");
    let late = || UnixDatagram::unbound().unwrap().send_to_addr(b"READY=1", &address);
    while !late().is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
        deadline.left();
        std::thread::yield_now();
    }
    host.kill();
    scene.finish();
}

#[test]
fn proxy_that_does_not_say_so_in_time_is_stopped_and_its_status_is_the_reason() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let config = notifies(&scene, "at-once", &["STATUS=cannot bind \"*:80\"\nERRNO=98"]);
    host.set("web", config.with_start_timeout(Duration::from_millis(500)));
    host.run();
    scene.reports.start("web");
    let mut reason = host.events.not_ready("web");
    // On a busy machine it is stopped before it has said anything, and started again.
    while !reason.contains("its status") {
        reason = host.events.not_ready("web");
    }
    let (_, why) = reason.split_once("; ").unwrap_or_else(|| panic!("{reason}"));
    assert!(reason.starts_with("no READY=1 to @proxyprocess/"), "{reason}");
    assert_eq!(why, r#"its status is "cannot bind \"*:80\"""#);
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn flood_of_notifications_delays_no_other_proxy() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("floods", notifies(&scene, "flood", &["READY=1\nSTATUS=floods"]));
    host.run();
    let start = scene.reports.start("floods");
    send_next(&scene, &start);
    host.events.ready("floods");
    for round in 0..3 {
        let id = format!("web-{round}");
        host.set(&id, notifies(&scene, "at-once", &["READY=1"]));
        host.events.ready(&id);
        scene.reports.start(&id);
    }
    assert_eq!(host.status("floods").status_text.as_deref(), Some("floods"));
    host.kill();
    scene.finish();
}

#[test]
fn ready_proxy_costs_one_descriptor_and_no_system_call() {
    alone("readiness::notifications::ready_proxy_costs_one_descriptor_and_no_system_call", || {
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()));
        host.set("plain", helper(&scene, &["run"]));
        host.run();
        let plain = scene.reports.start("plain");
        host.events.started("plain");
        host.follow("settled");
        let before = settled_descriptors();
        host.set("web", notifies(&scene, "at-once", &["READY=1"]));
        let start = scene.reports.start("web");
        host.events.ready("web");
        host.follow("settled again");
        // Its socket, and the pidfds of the library and of the test.
        let own = if cfg!(proxyprocess_no_pidfd) { 2 } else { 3 };
        assert_eq!(settled_descriptors(), before + own);
        host.nothing_ticks();
        start.process.kill();
        host.events.exited("web");
        scene.reports.start("web");
        host.events.ready("web");
        host.follow("settled once more");
        assert_eq!(settled_descriptors(), before + own + 1, "the test has one more");
        drop(plain);
        host.kill();
        scene.finish();
    });
}
