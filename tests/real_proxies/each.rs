// SPDX-License-Identifier: MPL-2.0
//! One program after the other: started, crashed, adopted, crashed again under the next agent, stopped. It carries on
//! each time with one start, and nothing of it is left.

use std::net::SocketAddr;
use std::time::Duration;

use crate::real_proxies::known::{Configured, Known};
use crate::real_proxies::traffic;
use crate::support::{Agent, Config, Deadline, Process, Scene, Status, children_of, readable};

const ID: &str = "web";

/// The program, the address that it serves, and the agent.
struct Life {
    scene: Scene,
    config: Config,
    listen: SocketAddr,
    agent: Agent,
}

impl Life {
    fn wait(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Deadline::of(what);
        while !is_so() {
            let moment = deadline.left().min(Duration::from_millis(5));
            assert!(!readable(self.agent.process().fd(), moment), "the agent has ended:\n{}", self.agent.log());
        }
    }

    /// The process, once it serves.
    fn serving(&self) -> Process {
        let status = self.agent.status_when(&self.scene, "it runs", |status| status.is(ID, "running"));
        let process = Process::open(status[ID].pid.expect("a running proxy has a pid")).expect("a process that runs");
        self.scene.reports.adopt(&process);
        self.wait("it to serve", || traffic::connect(self.listen).is_some());
        process
    }

    /// Kills the leader and waits for its successor, which must serve with the first start.
    fn crash(&self, leaves_workers: bool) -> Process {
        let before = self.agent.status()[ID].restarts;
        let leader = self.serving();
        let mut workers = Vec::new();
        self.wait("its workers", || {
            workers.clone_from(&children_of(&leader));
            !leaves_workers || workers.len() >= 2
        });
        workers.iter().for_each(|worker| self.scene.reports.adopt(worker));
        // A connection that a crash cuts, as one of a client would be.
        let _open = traffic::connect(self.listen);
        leader.kill();
        let is_back = |status: &Status| status.is(ID, "running") && !status.runs(ID, leader.pid());
        self.agent.status_when(&self.scene, "it is back", is_back);
        let successor = self.serving();
        let status = self.agent.status();
        assert!(status.runs(ID, successor.pid()), "it did not stay:\n{}", self.agent.log());
        assert_eq!(status[ID].restarts, before + 1, "it was not back at once:\n{}", self.agent.log());
        if leaves_workers {
            assert!(workers.iter().all(Process::is_gone), "old workers beside the new leader");
        }
        successor
    }
}

fn play(known: Known) {
    let Some(program) = known.program() else { return };
    let scene = Scene::new();
    let listen = traffic::free_address();
    let Configured { proxy, leaves_workers } = known.configure(&program, &scene, listen);
    let config = Config::new(&scene).proxy(ID, proxy);
    let agent = Agent::start(&scene, &config);
    let mut life = Life { scene, config, listen, agent };
    life.serving();
    let successor = life.crash(leaves_workers);

    life.agent.kill();
    assert!(traffic::connect(listen).is_some(), "it does not serve without an agent");
    life.agent = Agent::start(&life.scene, &life.config);
    let adopted = life.serving();
    assert_eq!(adopted.pid(), successor.pid());
    assert!(life.agent.status()[ID].adopted);
    let last = life.crash(leaves_workers);

    let left = [children_of(&last), vec![last]].concat();
    life.agent.quit();
    assert!(left.iter().all(Process::is_gone), "the agent has ended before them");
    assert!(traffic::is_refused(listen));
    assert_eq!(life.scene.pid_files(), [""; 0]);
    life.scene.finish();
    known.clean_up(listen);
}

#[test]
fn squid_is_back_after_each_crash_and_stops() {
    play(Known::Squid);
}

#[test]
fn dnsmasq_is_back_after_each_crash_and_stops() {
    play(Known::Dnsmasq);
}

#[test]
fn apache_is_back_after_each_crash_and_stops() {
    play(Known::Apache);
}

#[test]
fn lighttpd_is_back_after_each_crash_and_stops() {
    play(Known::Lighttpd);
}

#[test]
fn pgbouncer_is_back_after_each_crash_and_stops() {
    play(Known::PgBouncer);
}

#[test]
fn caddy_of_pypi_is_back_after_each_crash_and_stops() {
    play(Known::Caddy);
}

#[test]
fn nginx_of_pypi_is_back_after_each_crash_and_stops() {
    play(Known::NginxOfPyPi);
}

/// It asks to be killed when its parent ends (`PR_SET_PDEATHSIG`), unless it is told to do without hot restarts.
#[test]
fn envoy_of_pypi_is_detached_and_so_back_after_each_crash_and_stops() {
    play(Known::Envoy);
}

#[test]
fn envoy_that_is_not_detached_ends_with_the_agent() {
    let Some(program) = Known::Envoy.program() else { return };
    let scene = Scene::new();
    let listen = traffic::free_address();
    let Configured { proxy, .. } = Known::Envoy.configure(&program, &scene, listen);
    let config = Config::new(&scene).proxy(ID, proxy.set("detached", false));
    let agent = Agent::start(&scene, &config);
    let mut life = Life { scene, config, listen, agent };
    let first = life.serving();
    life.agent.kill();
    first.wait();
    assert!(traffic::is_refused(listen));

    life.agent = Agent::start(&life.scene, &life.config);
    let second = life.serving();
    assert!(!life.agent.status()[ID].adopted);
    life.agent.quit();
    assert!(second.is_gone());
    life.scene.finish();
    Known::Envoy.clean_up(listen);
}
