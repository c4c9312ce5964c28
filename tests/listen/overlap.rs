// SPDX-License-Identifier: MPL-2.0
//! Sockets of a proxy whose next generation is started beside the current one.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use proxyprocess::{EventKind, Listen, ProxyConfig, Ready, Replace};
use rustix::process::Signal;

use super::kept::Client;
use super::taken_over::can_take;
use super::{address, ask, serving, tcp, wait_until_refused};
use crate::inside::{Host, helper, quick};
use crate::support::{Deadline, OVERLAPS, Scene, Start};

fn unix(path: &Path) -> Listen {
    Listen::new(format!("unix:{}", path.display()).parse().unwrap())
}

fn overlapping(config: ProxyConfig, sockets: &[Listen], version: u32) -> ProxyConfig {
    let mut config = config.with_replace(Replace::Overlap);
    config.command = config.command.env("VERSION", version.to_string()).env(OVERLAPS, "1");
    config.listen = sockets.to_vec();
    config
}

#[track_caller]
fn becomes_ready(scene: &Scene, host: &mut Host, start: &Start) {
    start.process.signal(Signal::USR1);
    assert_eq!(scene.reports.signal(start), "SIGUSR1");
    host.events.ready("web");
}

#[track_caller]
fn wait_until_removed(path: &Path) {
    let deadline = Deadline::of(format!("{} to be removed", path.display()));
    while path.exists() {
        deadline.left();
        std::thread::yield_now();
    }
}

#[test]
fn both_generations_have_the_same_socket_and_no_connection_is_refused() {
    let scene = Scene::of_library();
    let at = address();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", overlapping(serving(&scene, &[]), &[tcp(at)], 0));
    host.run();
    let mut start = scene.reports.start("web");
    let client = Client::of(at);
    for version in 1..=20 {
        host.set("web", overlapping(serving(&scene, &[]), &[tcp(at)], version));
        let next = scene.reports.start("web");
        let pid = start.pid;
        host.events.until("the exit", |event| matches!(event.kind, EventKind::Exited { pid: its, .. } if its == pid));
        assert_eq!(ask(at).unwrap(), (next.pid, 3));
        start = next;
    }
    let (answered, refused) = client.end();
    assert_eq!(refused, 0, "of {answered} connections");
    host.kill();
    wait_until_refused(at);
    scene.finish();
}

#[test]
fn no_connection_is_refused_while_many_are_handed_over_in_turn() {
    let scene = Scene::of_library();
    let all: Vec<SocketAddr> = (0..24).map(|_| address()).collect();
    let mut host = Host::new(quick(&scene.data_dir()).with_max_handovers(2));
    let id = |number: usize| format!("web {number}");
    let declared = |version| {
        let with = |at: &SocketAddr| overlapping(serving(&scene, &[]), &[tcp(*at)], version);
        all.iter().map(with).enumerate().map(|(number, config)| (id(number), config)).collect::<Vec<_>>()
    };
    declared(0).into_iter().for_each(|(id, config)| host.set(&id, config));
    host.run();
    let first: Vec<Start> = (0..all.len()).map(|number| scene.reports.start(&id(number))).collect();
    let clients: Vec<Client> = all.iter().step_by(8).map(|at| Client::of(*at)).collect();
    declared(1).into_iter().for_each(|(id, config)| host.set(&id, config));
    let next: Vec<Start> = (0..all.len()).map(|number| scene.reports.start(&id(number))).collect();
    first.iter().for_each(|start| start.process.wait());
    for (at, next) in all.iter().zip(&next) {
        assert_eq!(ask(*at).unwrap(), (next.pid, 3));
    }
    for client in clients {
        let (answered, refused) = client.end();
        assert_eq!(refused, 0, "of {answered} connections");
    }
    host.kill();
    scene.finish();
}

#[test]
fn socket_that_one_generation_alone_has_is_closed_with_it() {
    let scene = Scene::of_library();
    let [stays, goes, comes] = ["stays", "goes", "comes"].map(|name| scene.path(name));
    let reporting = |sockets: &[Listen], version: u32| {
        overlapping(helper(&scene, &["ready", "fd", "9"]).with_ready(Ready::Fd(9)), sockets, version)
    };
    let before = reporting(&[unix(&stays), unix(&goes)], 1);
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", before.clone());
    host.run();
    let first = scene.reports.start("web");
    becomes_ready(&scene, &mut host, &first);
    host.set("web", reporting(&[unix(&comes), unix(&stays)], 2));
    let second = scene.reports.start("web");
    for path in [&stays, &goes, &comes] {
        UnixStream::connect(path).unwrap();
    }
    host.set("web", before);
    let pid = second.pid;
    host.events.until("its exit", |event| matches!(event.kind, EventKind::Exited { pid: its, .. } if its == pid));
    wait_until_removed(&comes);
    for path in [&stays, &goes] {
        UnixStream::connect(path).unwrap();
    }
    host.set("web", reporting(&[unix(&comes), unix(&stays)], 3));
    let third = scene.reports.start("web");
    becomes_ready(&scene, &mut host, &third);
    wait_until_removed(&goes);
    for path in [&stays, &comes] {
        UnixStream::connect(path).unwrap();
    }
    host.kill();
    wait_until_removed(&stays);
    wait_until_removed(&comes);
    scene.reports.forget_signals();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn process_that_cannot_listen_beside_its_predecessor_is_started_after_it() {
    let scene = Scene::of_library();
    let at = address();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", overlapping(serving(&scene, &[]), &[tcp(at)], 1));
    host.run();
    let first = scene.reports.start("web");
    assert_eq!(host.events.started("web"), first.pid);
    let mut shared = tcp(at);
    shared.reuse_port = true;
    host.set("web", overlapping(serving(&scene, &[]), &[shared], 2));
    host.events.until("the exit", |event| match event.kind {
        EventKind::Started { .. } => panic!("started beside it"),
        EventKind::Exited { .. } => true,
        _ => false,
    });
    let second = scene.reports.start("web");
    assert_eq!(ask(at).unwrap(), (second.pid, 3));
    host.kill();
    wait_until_refused(at);
    scene.finish();
}

#[test]
fn next_generation_whose_socket_gets_other_options_is_not_superseded_beside_the_current_one() {
    let scene = Scene::of_library();
    let at = address();
    let reporting = |sockets: &[Listen], version: u32| {
        overlapping(helper(&scene, &["ready", "fd", "9"]).with_ready(Ready::Fd(9)), sockets, version)
    };
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", reporting(&[], 1));
    host.run();
    let first = scene.reports.start("web");
    becomes_ready(&scene, &mut host, &first);
    host.set("web", reporting(&[tcp(at)], 2));
    let second = scene.reports.start("web");
    let mut shared = tcp(at);
    shared.reuse_port = true;
    host.set("web", reporting(&[shared], 3));
    let third = scene.reports.start("web");
    assert!(first.process.is_gone() && second.process.is_gone());
    becomes_ready(&scene, &mut host, &third);
    assert_eq!(host.status("web").pid, Some(third.pid));
    host.kill();
    wait_until_refused(at);
    scene.reports.forget_signals();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn next_manager_gives_the_socket_of_an_adopted_process_to_the_one_beside_it() {
    if !can_take() {
        return eprintln!("skipped: descriptors of other processes cannot be taken here");
    }
    let scene = Scene::of_library();
    let at = address();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", overlapping(serving(&scene, &[]), &[tcp(at)], 1));
    host.run();
    let first = scene.reports.start("web");
    let client = Client::of(at);
    host.follow("marker");
    host.state.remove("marker");
    host.close();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", overlapping(serving(&scene, &[]), &[tcp(at)], 2));
    host.run();
    let second = scene.reports.start("web");
    host.events.until("the exit", |event| matches!(event.kind, EventKind::Exited { .. }));
    assert!(first.process.is_gone());
    assert_eq!(ask(at).unwrap(), (second.pid, 3));
    let (answered, refused) = client.end();
    assert_eq!(refused, 0, "of {answered} connections");
    host.kill();
    wait_until_refused(at);
    scene.finish();
}

/// It is never ready, and ends by SIGKILL alone.
fn stubborn(scene: &Scene, sockets: &[Listen], version: u32) -> ProxyConfig {
    let mut config = overlapping(helper(scene, &["stubborn"]).with_ready(Ready::Fd(9)), sockets, version);
    config.stop.grace_period = Duration::from_millis(500);
    config
}

#[test]
fn sockets_stay_open_when_both_generations_are_replaced_without_overlap() {
    let scene = Scene::of_library();
    let at = address();
    let path = scene.path("stays");
    let sockets = [tcp(at), unix(&path)];
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", overlapping(serving(&scene, &[]), &sockets, 1));
    host.run();
    let first = scene.reports.start("web");
    assert_eq!(ask(at).unwrap(), (first.pid, 3));
    let client = Client::of(at);
    host.set("web", stubborn(&scene, &sockets, 2));
    let second = scene.reports.start("web");
    let inode = std::fs::metadata(&path).unwrap().ino();
    host.set("web", overlapping(serving(&scene, &[]), &sockets, 3).with_replace(Replace::StopFirst));
    let third = scene.reports.start("web");
    assert!(first.process.is_gone() && second.process.is_gone());
    assert_eq!(ask(at).unwrap(), (third.pid, 3));
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode, "it is the same socket");
    let (answered, refused) = client.end();
    assert_eq!(refused, 0, "of {answered} connections");
    host.kill();
    wait_until_refused(at);
    wait_until_removed(&path);
    scene.reports.forget_signals();
    scene.reports.forget_unread();
    scene.finish();
}

/// The files are in the way of the exchange: the clean-up of the current one comes first.
#[test]
fn clean_up_of_a_generation_that_ended_leaves_the_sockets_of_the_next_one_open() {
    let scene = Scene::of_library();
    let path = scene.path("stays");
    let reporting = |version: u32| {
        overlapping(helper(&scene, &["ready", "fd", "9"]).with_ready(Ready::Fd(9)), &[unix(&path)], version)
    };
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", reporting(1));
    host.run();
    let first = scene.reports.start("web");
    becomes_ready(&scene, &mut host, &first);
    let in_the_way = scene.data_dir().join("records/web.json-predecessor");
    std::fs::create_dir(&in_the_way).unwrap();
    host.set("web", reporting(2));
    let second = scene.reports.start("web");
    first.process.kill();
    let record = scene.data_dir().join("records/web.json");
    let deadline = Deadline::of("its clean-up");
    while record.exists() {
        assert!(!deadline.is_over(), "{:?}", host.status("web"));
        std::thread::yield_now();
    }
    becomes_ready(&scene, &mut host, &second);
    UnixStream::connect(&path).unwrap();
    std::fs::remove_dir(&in_the_way).unwrap();
    let deadline = Deadline::of("the second one to serve");
    while host.status("web").pid != Some(second.pid) {
        assert!(!deadline.is_over(), "{:?}", host.status("web"));
        std::thread::yield_now();
    }
    UnixStream::connect(&path).unwrap();
    host.kill();
    wait_until_removed(&path);
    scene.reports.forget_signals();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn address_that_is_part_of_one_that_is_open_is_opened_without_overlap() {
    let scene = Scene::of_library();
    let at = address();
    let every = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), at.port());
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", overlapping(serving(&scene, &[]), &[tcp(at)], 1));
    host.run();
    let first = scene.reports.start("web");
    host.events.started("web");
    for (version, address) in [(2, every), (3, at)] {
        host.set("web", overlapping(serving(&scene, &[]), &[tcp(address)], version));
        let next = scene.reports.start("web");
        assert_eq!(ask(at).unwrap(), (next.pid, 3));
    }
    assert!(first.process.is_gone());
    host.kill();
    wait_until_refused(at);
    scene.finish();
}
