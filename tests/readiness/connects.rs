// SPDX-License-Identifier: MPL-2.0
//! Proxies that are ready when a connect succeeds.

use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use proxyprocess::{ErrorCode, EventKind, ProxyState, Ready, WaitFor};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
use rustix::process::Signal;

use super::{address, awaited, is_ready, is_starting};
use crate::inside::{Host, helper, quick, settled_descriptors};
use crate::support::{Scene, WATCHDOG, alone};

#[test]
fn proxy_is_starting_until_its_address_accepts_connections() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.run();
    for (id, ready) in [("tcp", Ready::Tcp(address())), ("unix", Ready::Unix(scene.path("socket")))] {
        host.set(id, awaited(&scene, ready));
        let start = scene.reports.start(id);
        assert_eq!(host.events.started(id), start.pid);
        is_starting(&host, &start);
        start.process.signal(Signal::USR1);
        assert_eq!(scene.reports.signal(&start), "SIGUSR1");
        host.events.ready(id);
        is_ready(&host, &start);
        let seen = host.events.of_proxy(id);
        assert_eq!(seen, [EventKind::Started { pid: Some(start.pid) }, EventKind::Ready]);
    }
    host.kill();
    scene.finish();
}

#[test]
fn proxy_without_a_condition_is_ready_once_it_is_started() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    is_ready(&host, &start);
    assert_eq!(host.events.of_proxy("web"), [EventKind::Started { pid: Some(start.pid) }]);
    host.kill();
    scene.finish();
}

#[test]
fn wait_for_a_running_proxy_returns_when_it_is_ready() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", awaited(&scene, Ready::Tcp(address())));
    host.run();
    let start = scene.reports.start("web");
    host.events.started("web");
    let waited = host.manager.wait_until("web", WaitFor::Running, Duration::ZERO);
    assert_eq!(waited.unwrap_err().code(), ErrorCode::Timeout);
    start.process.signal(Signal::USR1);
    host.manager.wait_until("web", WaitFor::Running, WATCHDOG).unwrap();
    assert_eq!(scene.reports.signal(&start), "SIGUSR1");
    is_ready(&host, &start);
    host.kill();
    scene.finish();
}

/// A full backlog answers no SYN, and a full unix socket says so at once.
#[test]
fn probe_that_hangs_delays_no_other_proxy_and_is_repeated() {
    let scene = Scene::of_library();
    let (at, path) = (address(), scene.path("socket"));
    let tcp = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&tcp, &at).unwrap();
    listen(&tcp, 0).unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    listen(&unix, 0).unwrap();
    let filling = (TcpStream::connect(at).unwrap(), UnixStream::connect(&path).unwrap());
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("tcp", helper(&scene, &["run"]).with_ready(Ready::Tcp(at)));
    host.set("unix", helper(&scene, &["run"]).with_ready(Ready::Unix(path)));
    host.set("other", helper(&scene, &["run"]));
    host.run();
    let [hanging, full] = ["tcp", "unix"].map(|id| scene.reports.start(id));
    for _ in 0..3 {
        scene.reports.start("other").process.kill();
    }
    let other = scene.reports.start("other");
    host.events.until("the last one", |event| event.kind == EventKind::Started { pid: Some(other.pid) });
    is_starting(&host, &hanging);
    is_starting(&host, &full);
    // One that is taken out of the backlog makes room.
    let accepted = (rustix::net::accept(&tcp).unwrap(), unix.accept().unwrap());
    let mut awaited = vec!["tcp", "unix"];
    while !awaited.is_empty() {
        let ready = host.events.until("both to be ready", |event| event.kind == EventKind::Ready);
        awaited.retain(|id| ready.id.as_deref() != Some(*id));
    }
    is_ready(&host, &hanging);
    host.kill();
    drop((accepted, filling));
    scene.finish();
}

#[test]
fn proxy_that_ends_before_it_is_ready_is_started_again_and_a_stop_does_not_wait() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", awaited(&scene, Ready::Tcp(address())));
    host.run();
    let first = scene.reports.start("web");
    host.events.started("web");
    first.process.kill();
    host.events.exited("web");
    let second = scene.reports.start("web");
    assert_eq!(host.events.started("web"), second.pid);
    is_starting(&host, &second);
    host.state.remove("web");
    host.events.stopped("web");
    assert!(second.process.is_gone());
    host.kill();
    scene.finish();
}

#[test]
fn condition_and_its_time_change_without_a_new_process_and_a_descriptor_with_one() {
    let scene = Scene::of_library();
    let (silent, at) = (address(), address());
    let config = awaited(&scene, Ready::Tcp(at));
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config.clone().with_ready(Ready::Tcp(silent)));
    host.run();
    let start = scene.reports.start("web");
    host.events.started("web");
    start.process.signal(Signal::USR1);
    scene.reports.signal(&start);
    is_starting(&host, &start);
    host.set("web", config.clone().with_start_timeout(Duration::MAX));
    host.events.ready("web");
    is_ready(&host, &start);
    // What is ready stays ready.
    host.set("web", config.clone().with_ready(Ready::Tcp(silent)));
    host.follow("marker");
    is_ready(&host, &start);
    host.set("web", awaited(&scene, Ready::Fd(3)));
    let other = scene.reports.start("web");
    assert_eq!(host.events.started("web"), other.pid);
    assert!(start.process.is_gone());
    is_starting(&host, &other);
    host.kill();
    scene.finish();
}

/// While nothing is awaited, nothing is asked; and what asked is closed.
#[test]
fn ready_proxy_costs_neither_a_descriptor_nor_a_system_call() {
    alone("readiness::connects::ready_proxy_costs_neither_a_descriptor_nor_a_system_call", || {
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()));
        host.set("plain", helper(&scene, &["run"]));
        host.run();
        scene.reports.start("plain");
        host.events.started("plain");
        host.follow("first");
        let one = settled_descriptors();
        let all = [("tcp", Ready::Tcp(address())), ("unix", Ready::Unix(scene.path("socket"))), ("fd", Ready::Fd(5))];
        for (id, ready) in all {
            host.set(id, awaited(&scene, ready));
            let start = scene.reports.start(id);
            start.process.signal(Signal::USR1);
            scene.reports.signal(&start);
            host.events.ready(id);
        }
        host.follow("second");
        let pidfds = if cfg!(proxyprocess_no_pidfd) { 0 } else { 3 };
        // And the reports hold a pidfd of each helper.
        assert_eq!(settled_descriptors(), one + pidfds + 3);
        // Longer than the longest interval of probes.
        host.nothing_ticks();
        assert_eq!(host.status("tcp").state, ProxyState::Running);
        host.kill();
        scene.finish();
    });
}
