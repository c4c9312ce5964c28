// SPDX-License-Identifier: MPL-2.0
//! Processes that end while others connect: nothing is refused.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use proxyprocess::Listen;

use super::{address, answer, ask, serving, tcp, wait_until_refused};
use crate::inside::{Host, quick, wait_until};
use crate::support::Scene;

/// A client that connects again and again.
pub(super) struct Client {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<(usize, usize)>,
}

impl Client {
    pub(super) fn of(address: SocketAddr) -> Client {
        let ends = Arc::new(AtomicBool::new(false));
        let asked = ends.clone();
        let thread = std::thread::spawn(move || {
            let (mut answered, mut refused) = (0, 0);
            while !asked.load(Ordering::Relaxed) {
                match ask(address) {
                    Ok(_) => answered += 1,
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => refused += 1,
                    // Its process was killed when it had accepted the connection.
                    Err(_) => {}
                }
            }
            (answered, refused)
        });
        Client { ends, thread }
    }

    /// How many connections were answered, and how many refused.
    pub(super) fn end(self) -> (usize, usize) {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().expect("the client does not panic")
    }
}

#[test]
fn connections_wait_while_a_process_is_killed_or_replaced_and_none_is_refused() {
    let scene = Scene::of_library();
    let at = address();
    let mut host = Host::new(quick(&scene.data_dir()));
    let mut config = serving(&scene, &[tcp(at)]);
    config.restart.attempts_before_backoff = 1000;
    host.set("web", config.clone());
    host.run();
    let mut start = scene.reports.start("web");
    let client = Client::of(at);
    for round in 0..20 {
        assert_eq!(ask(at).unwrap(), (start.pid, 3));
        if round % 4 == 3 {
            config.command = config.command.env("ROUND", round.to_string());
            host.set("web", config.clone());
        } else {
            start.process.kill();
        }
        let next = scene.reports.start("web");
        assert_ne!(next.pid, start.pid);
        start = next;
    }
    let (answered, refused) = client.end();
    assert_eq!(refused, 0, "of {answered} connections");
    host.kill();
    wait_until_refused(at);
    scene.finish();
}

#[test]
fn connection_that_is_made_while_no_process_lives_is_answered_by_the_next_one() {
    let scene = Scene::of_library();
    let at = address();
    let mut host = Host::new(quick(&scene.data_dir()));
    let mut config = serving(&scene, &[tcp(at)]);
    config.restart.attempts_before_backoff = 0;
    host.set("web", config);
    host.run();
    let start = scene.reports.start("web");
    start.process.kill();
    host.events.waiting("web");
    let early = TcpStream::connect(at).unwrap();
    host.manager.restart("web").unwrap();
    let next = scene.reports.start("web");
    assert_eq!(answer(early).unwrap(), (next.pid, 3));
    host.kill();
    scene.finish();
}

#[test]
fn change_opens_and_closes_what_changed_and_removal_closes_all() {
    let scene = Scene::of_library();
    let (stays, goes, comes) = (address(), address(), address());
    let path = scene.path("socket");
    let unix = || Listen::new(format!("unix:{}", path.display()).parse().unwrap());
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", serving(&scene, &[tcp(goes), tcp(stays), unix()]));
    host.run();
    let start = scene.reports.start("web");
    assert_eq!((ask(goes).unwrap(), ask(stays).unwrap()), ((start.pid, 3), (start.pid, 4)));
    assert!(path.exists());
    let client = Client::of(stays);
    host.set("web", serving(&scene, &[tcp(stays), tcp(comes)]));
    let start = scene.reports.start("web");
    assert_eq!((ask(stays).unwrap(), ask(comes).unwrap()), ((start.pid, 3), (start.pid, 4)));
    assert_eq!(client.end().1, 0);
    wait_until_refused(goes);
    assert!(!path.exists());
    host.set("web", serving(&scene, &[tcp(stays), unix()]));
    scene.reports.start("web");
    assert!(path.exists());
    assert!(host.state.remove("web"));
    host.events.stopped("web");
    // In the order of the declaration.
    wait_until(path.parent().unwrap(), "the path to be removed", || !path.exists());
    wait_until_refused(stays);
    host.kill();
    scene.finish();
}

/// The agent leaves, and the process has the sockets.
#[test]
fn closed_manager_leaves_the_sockets_to_the_process() {
    let scene = Scene::of_library();
    let at = address();
    let path = scene.path("socket");
    let unix = Listen::new(format!("unix:{}", path.display()).parse().unwrap());
    let config = serving(&scene, &[tcp(at), unix]);
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config.clone());
    host.run();
    let start = scene.reports.start("web");
    host.events.started("web");
    host.close();
    assert_eq!(ask(at).unwrap(), (start.pid, 3));
    assert!(path.exists());
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config);
    host.restore().unwrap();
    host.run();
    assert_eq!(host.events.adopted("web"), start.pid);
    assert_eq!(ask(at).unwrap(), (start.pid, 3));
    host.kill();
    scene.finish();
}
