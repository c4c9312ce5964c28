// SPDX-License-Identifier: MPL-2.0
//! Descriptors that a process hands over to be kept for the next one (`FDSTORE=1` of sd_notify(3)).

use std::fs;

use proxyprocess::{Listen, ListenAddress, ProxyConfig, Ready, Replace};

use super::notifications::{notifies, send_next};
use crate::inside::{Host, helper, quick};
use crate::support::{Deadline, OVERLAPS, Scene, Start};

const A: &str = "FDSTORE=1\nFDNAME=a";
const B: &str = "FDPOLL=0\nFDSTORE=1\nFDNAME=b";
const UNNAMED: &str = "FDSTORE=1\nFDNAME=wrong:name";

/// A helper that sends these with a descriptor each, a file of which the text is the content.
fn stores(scene: &Scene, most: u32, texts: &[&str]) -> ProxyConfig {
    let mut config = notifies(scene, "stores", texts).with_ready(Ready::Started).with_fd_store_max(most);
    config.restart.attempts_before_backoff = 100;
    config
}

fn started(scene: &Scene, config: ProxyConfig) -> (Host, Start) {
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config);
    host.run();
    let start = scene.reports.start("web");
    host.events.started("web");
    (host, start)
}

/// It crashes, and the next one is started.
fn next_of(scene: &Scene, host: &mut Host, start: &Start) -> Start {
    start.process.kill();
    host.events.exited("web");
    let next = scene.reports.start("web");
    host.events.started("web");
    next
}

fn variable(start: &Start, name: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{}/environ", start.pid)).expect("read its environment");
    let environment = String::from_utf8(environment).expect("text");
    let value = |text: &str| text.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
    environment.split('\0').find_map(value)
}

/// The names of what it got, and which text the file of each has, if it is one.
fn got(start: &Start) -> Vec<(String, Option<String>)> {
    let Some(names) = variable(start, "LISTEN_FDNAMES") else { return Vec::new() };
    let names: Vec<_> = names.split(':').map(str::to_owned).collect();
    assert_eq!(variable(start, "LISTEN_FDS"), Some(names.len().to_string()));
    assert_eq!(variable(start, "LISTEN_PID"), Some(start.pid.to_string()));
    let content = |number: usize| fs::read_to_string(format!("/proc/{}/fd/{number}", start.pid)).ok();
    names.into_iter().zip(3..).map(|(name, number)| (name, content(number))).collect()
}

fn file(name: &str, text: &str) -> (String, Option<String>) {
    (name.to_owned(), Some(text.to_owned()))
}

/// How many files that the first process has stored another one has open: one of this number, or `self`.
fn files_of(first: &Start, pid: &str) -> usize {
    let stored = format!("/memfd:stored by {} ", first.pid);
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("list its descriptors").flatten();
    let open = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    open.filter(|link| link.to_str().is_some_and(|link| link.starts_with(&stored))).count()
}

#[track_caller]
fn has_none(start: &Start, first: &Start) {
    assert_eq!((files_of(first, &start.pid.to_string()), got(start)), (0, vec![]));
}

/// A process that another test is just starting has none of them, but a start has copies of them for a moment.
#[track_caller]
fn agent_has(first: &Start, files: usize) {
    let deadline = Deadline::of(format!("{files} descriptors to be open"));
    while files_of(first, "self") != files {
        assert!(!deadline.is_over(), "{} are", files_of(first, "self"));
        std::thread::yield_now();
    }
}

#[test]
fn stored_descriptors_are_given_to_each_next_process_after_its_sockets_and_to_no_other() {
    let scene = Scene::of_library();
    let socket = Listen::new(ListenAddress::Unix(scene.path("socket"))).with_name("web");
    let (mut host, first) = started(&scene, stores(&scene, 2, &[A, UNNAMED]).with_listen(socket));
    assert_eq!(variable(&first, "FDSTORE").as_deref(), Some("2"));
    assert_eq!(got(&first), [("web".to_owned(), None)]);
    send_next(&scene, &first);
    send_next(&scene, &first);
    let all = [("web".to_owned(), None), file("a", A), file("stored", UNNAMED)];
    let second = next_of(&scene, &mut host, &first);
    assert_eq!(got(&second), all);
    host.set("other", helper(&scene, &["run"]));
    has_none(&scene.reports.start("other"), &first);
    let third = next_of(&scene, &mut host, &second);
    assert_eq!(got(&third), all);
    host.kill();
    scene.finish();
}

#[test]
fn removed_and_refused_descriptors_are_closed_and_all_when_the_proxy_is_removed() {
    let scene = Scene::of_library();
    let mut options = quick(&scene.data_dir());
    options.proxy_env = vec![("LISTEN_FDNAMES".into(), "other".into()), ("FDSTORE".into(), "9".into())];
    let mut host = Host::new(options);
    host.set("web", stores(&scene, 2, &[A, B, UNNAMED, "FDSTOREREMOVE=1\nFDNAME=a", UNNAMED, A]));
    host.run();
    let first = scene.reports.start("web");
    host.events.started("web");
    assert_eq!((got(&first), variable(&first, "FDSTORE").as_deref()), (vec![], Some("2")));
    for _ in 0..6 {
        send_next(&scene, &first);
    }
    let second = next_of(&scene, &mut host, &first);
    assert_eq!(got(&second), [file("b", B), file("stored", UNNAMED)]);
    agent_has(&first, 2);
    host.state.remove("web");
    host.events.stopped("web");
    agent_has(&first, 0);
    host.kill();
    scene.finish();
}

#[test]
fn process_of_another_declaration_gets_what_was_stored_as_far_as_it_may_have_it() {
    let scene = Scene::of_library();
    let (host, first) = started(&scene, stores(&scene, 3, &[A, B, UNNAMED]));
    for _ in 0..3 {
        send_next(&scene, &first);
    }
    for (most, expected) in [(2, vec![file("a", A), file("b", B)]), (1, vec![file("a", A)]), (0, vec![])] {
        host.set("web", stores(&scene, most, &[]));
        let next = scene.reports.start("web");
        assert_eq!(got(&next), expected);
    }
    host.set("web", stores(&scene, 3, &[]));
    has_none(&scene.reports.start("web"), &first);
    agent_has(&first, 0);
    host.kill();
    scene.finish();
}

#[test]
fn generations_of_a_handover_have_what_was_stored_before_their_start() {
    let scene = Scene::of_library();
    let overlapping = |texts: &[&str]| {
        let mut config = stores(&scene, 2, texts).with_replace(Replace::Overlap).with_ready(Ready::Notify);
        config.command = config.command.env(OVERLAPS, "1");
        config
    };
    let (mut host, first) = started(&scene, overlapping(&[A, "READY=1"]));
    send_next(&scene, &first);
    send_next(&scene, &first);
    host.events.ready("web");
    host.set("web", overlapping(&[B, "READY=1"]));
    let second = scene.reports.start("web");
    assert_eq!(got(&second), [file("a", A)]);
    assert_eq!(got(&first), []);
    send_next(&scene, &second);
    send_next(&scene, &second);
    host.events.exited("web");
    assert!(first.process.is_gone());
    let third = next_of(&scene, &mut host, &second);
    assert_eq!(got(&third), [file("a", A), file("b", B)]);
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn next_agent_supervises_the_process_without_what_it_has_stored() {
    let scene = Scene::of_library();
    let (host, first) = started(&scene, stores(&scene, 1, &[A, B]));
    send_next(&scene, &first);
    host.close();
    let mut next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    assert_eq!(next.events.adopted("web"), first.pid);
    let second = next_of(&scene, &mut next, &first);
    has_none(&second, &first);
    agent_has(&first, 0);
    // It can store anew.
    send_next(&scene, &second);
    let third = next_of(&scene, &mut next, &second);
    assert_eq!(got(&third), [file("a", A)]);
    next.kill();
    scene.finish();
}
