// SPDX-License-Identifier: MPL-2.0
//! What a service manager hears of the agent, by sd_notify(3).

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::process::Signal;

use super::ask;
use crate::support::{Config, Launch, Proxy, Scene, WATCHDOG, example_agent};

/// The place of a service manager.
struct Manager(UnixDatagram);

impl Manager {
    fn new(socket: UnixDatagram) -> Manager {
        socket.set_read_timeout(Some(WATCHDOG)).expect("set a timeout");
        Manager(socket)
    }

    /// The lines of the next message.
    #[track_caller]
    fn next(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let length = loop {
            match self.0.recv(&mut message) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                received => break received.expect("a message"),
            }
        };
        String::from_utf8(message[..length].to_vec()).expect("UTF-8").lines().map(str::to_owned).collect()
    }
}

#[test]
fn service_manager_hears_of_start_reload_bad_file_and_end() {
    let scene = Scene::new();
    let path = scene.path("notify");
    let manager = Manager::new(UnixDatagram::bind(&path).unwrap());
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = Launch::of(example_agent(), &scene).env("NOTIFY_SOCKET", path.to_str().unwrap()).start(&config);
    scene.reports.start("web");
    let file = scene.path("agent.json");
    let running = |proxies: usize| format!("STATUS={} with {proxies} proxies", file.display());
    assert_eq!(manager.next(), ["READY=1".to_owned(), running(1)]);

    let begun = || {
        let lines = manager.next();
        assert_eq!((lines.len(), lines[0].as_str()), (2, "RELOADING=1"));
        lines[1].strip_prefix("MONOTONIC_USEC=").expect("the time of the reload").parse::<u64>().expect("a number")
    };
    agent.reload(&config.clone().proxy("next", Proxy::helper(&["run"])));
    let first = begun();
    assert_eq!(manager.next(), ["READY=1".to_owned(), running(2)]);
    scene.reports.start("next");
    fs::write(&file, "{\n \"alow_root\": true}").unwrap();
    ask(&scene.data_dir(), &["reload"]).failed(1);
    assert!(begun() >= first);
    let refused = manager.next();
    let said = format!("STATUS=reload, nothing changed: {}:2:2: alow_root: unknown field", file.display());
    assert!(refused[0] == "READY=1" && refused[1].starts_with(&said), "{refused:?}");

    agent.quit();
    assert_eq!(manager.next(), ["STOPPING=1", "STATUS=stopping all proxies"]);
    scene.finish();
}

#[test]
fn watchdog_of_the_service_manager_is_fed_and_its_socket_may_be_abstract() {
    let scene = Scene::new();
    let name = scene.path("notify").to_str().unwrap().to_owned();
    let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
    let manager = Manager::new(UnixDatagram::bind_addr(&address).unwrap());
    let launch = Launch::of(example_agent(), &scene).env("WATCHDOG_USEC", "20000");
    let notify = format!("@{name}");
    let agent = launch.env("NOTIFY_SOCKET", &notify).start(&Config::new(&scene));
    let mut fed = 0;
    while fed < 3 {
        fed += usize::from(manager.next() == ["WATCHDOG=1"]);
    }
    agent.signal(Signal::TERM);
    while manager.next() != ["STOPPING=1", "STATUS=ending, proxies run on"] {}
    agent.quit();
    scene.finish();
}
