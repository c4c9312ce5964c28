// SPDX-License-Identifier: MPL-2.0
//! HAProxy in front of an echo server and nginx in front of an HTTP server, kept by one agent.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Signal, geteuid};

use crate::real_proxies::traffic::{self, Server};
use crate::support::{Agent, Config, Deadline, Process, Proxy, Scene, children_of, readable};

pub(crate) const HAPROXY: &str = "haproxy";
pub(crate) const NGINX: &str = "nginx";

const HAPROXY_PATH: &str = "/usr/sbin/haproxy";
const NGINX_PATH: &str = "/usr/sbin/nginx";
const PAGE: &str = "a page of the server behind";
const WORKERS: usize = 2;

/// The proxies, what they stand for, and the agent.
#[derive(Debug)]
pub(crate) struct Programs {
    agent: Option<Agent>,
    config: Config,
    addresses: [SocketAddr; 2],
    _servers: [Server; 2],
    scene: Scene,
}

impl Programs {
    /// Starts all and checks that traffic flows; nothing when the programs are not installed.
    pub(crate) fn start() -> Option<Programs> {
        if !are_installed(&[HAPROXY_PATH, NGINX_PATH]) {
            return None;
        }
        let scene = Scene::new();
        let servers = [Server::echo(), Server::http(PAGE)];
        let addresses = [traffic::free_address(), traffic::free_address()];
        let config = Config::new(&scene)
            .proxy(HAPROXY, haproxy(&scene, addresses[0], servers[0].address()))
            .proxy(NGINX, nginx(&scene, addresses[1], servers[1].address()));
        let agent = Some(Agent::start(&scene, &config));
        let it = Programs { agent, config, addresses, _servers: servers, scene };
        it.check_traffic();
        Some(it)
    }

    pub(crate) fn agent(&self) -> &Agent {
        self.agent.as_ref().expect("an agent runs")
    }

    pub(crate) fn address(&self, id: &str) -> SocketAddr {
        self.addresses[usize::from(id == NGINX)]
    }

    /// The process that runs for this id now.
    pub(crate) fn process(&self, id: &str) -> Process {
        let what = format!("{id} runs");
        let status = self.agent().status_when(&self.scene, &what, |status| status.is(id, "running"));
        let pid = status[id].pid.expect("a running proxy has a pid");
        let process = Process::open(pid).expect("the pid of a running proxy");
        assert!(self.agent().status().runs(id, pid), "{id} ended meanwhile");
        self.scene.reports.adopt(&process);
        process
    }

    /// The worker processes of an nginx that is up.
    pub(crate) fn workers(&self, master: &Process) -> Vec<Process> {
        let deadline = Deadline::of("the workers of nginx");
        loop {
            let workers = children_of(master);
            if workers.len() == WORKERS {
                workers.iter().for_each(|worker| self.scene.reports.adopt(worker));
                return workers;
            }
            self.pause(&deadline);
        }
    }

    /// Waits until another process runs for this id, and the one before is gone.
    #[track_caller]
    pub(crate) fn wait_for_another(&self, id: &str, before: &Process) {
        before.wait();
        self.agent().status_when(&self.scene, &format!("{id} is back"), |status| {
            status.is(id, "running") && !status.runs(id, before.pid())
        });
        self.process(id);
    }

    /// Connects as soon as the proxy listens: neither program tells when it does.
    pub(crate) fn connect(&self, id: &str) -> TcpStream {
        let deadline = Deadline::of(format!("{id} to listen"));
        loop {
            match traffic::connect(self.address(id)) {
                Some(stream) => return stream,
                None => self.pause(&deadline),
            }
        }
    }

    /// Waits a moment, or fails because the agent has ended.
    fn pause(&self, deadline: &Deadline) {
        let moment = deadline.left().min(Duration::from_millis(5));
        assert!(!readable(self.agent().process().fd(), moment), "the agent has ended");
    }

    /// Checks that both carry traffic.
    #[track_caller]
    pub(crate) fn check_traffic(&self) {
        assert_eq!(traffic::echo(&mut self.connect(HAPROXY), "some text"), "some text");
        let answer = traffic::get(self.connect(NGINX));
        assert!(answer.contains("200 OK") && answer.ends_with(PAGE), "{answer}");
    }

    pub(crate) fn kill_agent(&mut self) {
        self.agent.take().expect("an agent runs").kill();
    }

    pub(crate) fn start_agent(&mut self) {
        self.agent = Some(Agent::start(&self.scene, &self.config));
    }

    pub(crate) fn end_agent(&mut self, signal: Signal) {
        self.agent.take().expect("an agent runs").end_by(signal);
    }

    /// Gives nginx one argument more.
    pub(crate) fn change_nginx(&mut self) {
        let command = nginx_command(&self.scene, "daemon off; worker_shutdown_timeout 1s;");
        self.config = self.config.clone().proxy(NGINX, command);
        self.agent().reload(&self.config);
    }

    /// Stops all by SIGQUIT and checks that nothing is left.
    pub(crate) fn quit(mut self) {
        let master = self.process(NGINX);
        let left = [self.workers(&master), vec![master, self.process(HAPROXY)]].concat();
        self.end_agent(Signal::QUIT);
        assert!(left.iter().all(Process::is_gone), "the agent ended before them");
        self.finish();
    }

    /// Checks that nothing is left after the end of the agent.
    pub(crate) fn finish(self) {
        assert_eq!(self.scene.pid_files(), [""; 0]);
        self.scene.finish();
    }
}

/// The program of nginx, if it is installed.
pub(crate) fn nginx_program() -> Option<&'static str> {
    are_installed(&[NGINX_PATH]).then_some(NGINX_PATH)
}

fn are_installed(programs: &[&str]) -> bool {
    let missing: Vec<&&str> = programs.iter().filter(|path| !Path::new(path).exists()).collect();
    if !missing.is_empty() {
        assert!(std::env::var_os("PROXYPROCESS_CI").is_none(), "not installed: {missing:?}");
        eprintln!("skipped, not installed: {missing:?}");
    }
    missing.is_empty()
}

fn haproxy(scene: &Scene, listen: SocketAddr, upstream: SocketAddr) -> Proxy {
    let path = scene.path("haproxy.cfg");
    let text = format!(
        "global\n  maxconn 50\ndefaults\n  mode tcp\n  timeout connect 30s\n  timeout client 1h\n  timeout server 1h\n\
         listen web\n  bind {listen}\n  server behind {upstream}\n"
    );
    fs::write(&path, text).expect("write haproxy.cfg");
    Proxy::command(&[HAPROXY_PATH, "-db", "-f", path.to_str().expect("a path in UTF-8")])
}

/// All files are in the test's directory, and the user is the one that runs the test.
fn nginx(scene: &Scene, listen: SocketAddr, upstream: SocketAddr) -> Proxy {
    let dir = scene.path("nginx");
    fs::create_dir(&dir).expect("make the directory of nginx");
    let user = if geteuid().is_root() { "user root;\n" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {}/{kind};\n", dir.display()))
        .concat();
    let text = format!(
        "{user}worker_processes {WORKERS};\npid {dir}/nginx.pid;\nerror_log stderr;\n\
         events {{ worker_connections 50; }}\n\
         http {{\n  access_log off;\n{temporary}\
         \x20 server {{ listen {listen}; location / {{ proxy_pass http://{upstream}; }} }}\n}}\n",
        dir = dir.display()
    );
    fs::write(dir.join("nginx.conf"), text).expect("write nginx.conf");
    nginx_command(scene, "daemon off;")
}

fn nginx_command(scene: &Scene, directives: &str) -> Proxy {
    let dir = scene.path("nginx");
    let [dir, conf] =
        [dir.clone(), dir.join("nginx.conf")].map(|path| path.to_str().expect("a path in UTF-8").to_owned());
    Proxy::command(&[NGINX_PATH, "-p", &dir, "-c", &conf, "-g", directives])
}
