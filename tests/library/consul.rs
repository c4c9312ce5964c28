// SPDX-License-Identifier: MPL-2.0
//! Taking over from Consul 1.2 to 1.4, whose snapshots name a pid and hold the whole environment of the process.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use proxyprocess::{Daemon, ErrorCode, EventKind, ExecMode, ManagerOptions, ProxyConfig, ProxySnapshot, ProxyState};

use crate::inside::{Host, Observer, helper, json, quick};
use crate::support::{ConsulProxy, HELPER, Scene, Start, leave_as_consul};

const TOKEN: &str = "secret";
/// What Consul declares for all proxies.
const ADDR: &str = "CONSUL_HTTP_ADDR";
const OLD_ADDR: &str = "127.0.0.1:8500";

/// What Consul leaves, and how the process was started.
#[derive(Debug, Clone, Copy)]
struct Leaving {
    id: &'static str,
    token: &'static str,
    own_group: bool,
    /// Whether its log files are open in it.
    logs: bool,
}

const WEB: Leaving = Leaving { id: "web", token: TOKEN, own_group: true, logs: true };

impl Leaving {
    /// Starts a process as Consul does: in a session of its own, with its id and token in its environment. Its entry of
    /// the snapshot is that of `web`.
    fn start(self, scene: &Scene) -> (Child, Start, ConsulProxy) {
        let added = scene.env().into_iter().chain([(ADDR, OLD_ADDR.to_owned())]);
        let added: Vec<String> = added.map(|(name, value)| format!("{name}={value}")).collect();
        let mut command = Command::new(*HELPER);
        command.arg("graceful").stdin(Stdio::null());
        command.envs(added.iter().map(|line| line.split_once('=').expect("a variable")));
        command.env("CONNECT_PROXY_ID", self.id).env("CONNECT_PROXY_TOKEN", self.token);
        if self.own_group {
            command.process_group(0);
        }
        if self.logs {
            command.stdout(log(&scene.data_dir(), "stdout")).stderr(log(&scene.data_dir(), "stderr"));
        }
        let child = command.spawn().unwrap();
        let start = scene.reports.start(self.id);
        assert_eq!(start.pid, child.id());
        let own = std::env::vars().map(|(name, value)| format!("{name}={value}"));
        let proxy = ConsulProxy {
            id: "web".to_owned(),
            token: TOKEN.to_owned(),
            pid: start.pid,
            args: [*HELPER, "graceful"].map(str::to_owned).to_vec(),
            // Consul's own environment comes after what it declares.
            env: added.into_iter().chain(own).collect(),
        };
        (child, start, proxy)
    }
}

fn log(data_dir: &Path, stream: &str) -> File {
    fs::create_dir_all(data_dir.join("logs")).unwrap();
    let path = data_dir.join(format!("logs/web-{stream}.log"));
    File::options().append(true).create(true).mode(0o600).open(path).unwrap()
}

/// A process of Consul's in the data directory, with or without the pid file that Consul always leaves.
fn left_by_consul(scene: &Scene, pid_file: bool) -> (Child, Start) {
    let (child, start, proxy) = WEB.start(scene);
    leave_as_consul(&scene.data_dir(), &proxy);
    if !pid_file {
        fs::remove_file(scene.data_dir().join("pids/web.pid")).unwrap();
    }
    (child, start)
}

fn declared(scene: &Scene) -> ProxyConfig {
    let mut config = helper(scene, &["graceful"]);
    config.token = Some(TOKEN.to_owned());
    config
}

fn with_proxy_env(options: ManagerOptions, variables: &[(&str, &str)]) -> ManagerOptions {
    let mut options = options;
    options.proxy_env = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    options
}

/// Restores and runs a manager with these variables for all proxies. Consul restores before it sets them.
fn take_over(scene: &Scene, proxy_env: &[(&str, &str)], restore_first: bool) -> Host {
    let plain = quick(&scene.data_dir());
    let whole = with_proxy_env(plain.clone(), proxy_env);
    let mut host = Host::new(if restore_first { plain } else { whole.clone() });
    host.restore().unwrap();
    if restore_first {
        host.manager.reconfigure(whole).unwrap();
    }
    let pid = host.status("web").pid.expect("it is adopted by the restore");
    assert_eq!(host.events.adopted("web"), pid);
    host
}

#[test]
fn its_process_is_adopted_and_goes_on_under_our_supervision() {
    for (pid_file, restore_first) in [(true, true), (true, false), (false, true), (false, false)] {
        let scene = Scene::of_library();
        let (_child, start) = left_by_consul(&scene, pid_file);
        let mut host = take_over(&scene, &[(ADDR, OLD_ADDR)], restore_first);
        assert_eq!(host.status("web").state, ProxyState::Running);
        host.set("web", declared(&scene));
        host.run();
        host.events.snapshot_written();
        host.follow("marker");
        assert_eq!(host.events.of_proxy("web"), [EventKind::Adopted { pid: start.pid }]);
        assert_eq!(scene.pid_file("web"), Some(format!("{}\n", start.pid)));

        // From now on it is one of ours: the next manager needs no snapshot of Consul's.
        host.state.remove("marker");
        host.close();
        let mut next = Host::new(with_proxy_env(quick(&scene.data_dir()), &[(ADDR, OLD_ADDR)]));
        next.restore().unwrap();
        assert_eq!(next.events.adopted("web"), start.pid);
        next.set("web", declared(&scene));
        next.run();
        start.process.kill();
        let restarted = scene.reports.start("web");
        assert_eq!(next.events.started("web"), restarted.pid);
        next.kill();
        assert_eq!(scene.reports.signal(&restarted), "SIGINT");
        scene.finish();
    }
}

/// A change of the declaration, and the variables that are declared for all proxies.
type Change = (&'static str, fn(&mut ProxyConfig), &'static [(&'static str, &'static str)]);

const SAME: &[(&str, &str)] = &[(ADDR, OLD_ADDR)];

const DIFFERENT: [Change; 8] = [
    ("a token", |config| config.token = Some("new".to_owned()), SAME),
    ("an argument", |config| config.command = config.command.clone().arg("otherwise"), SAME),
    ("a directory", |config| config.command = config.command.clone().dir("/"), SAME),
    ("a service", |config| config.target_service = Some("db".to_owned()), SAME),
    ("a new variable", |config| config.command = config.command.clone().env("NEW", ""), SAME),
    ("a variable", |config| config.command = config.command.clone().env(ADDR, "other"), SAME),
    ("the address", |_| {}, &[(ADDR, "127.0.0.1:9500")]),
    ("a variable for all", |_| {}, &[(ADDR, OLD_ADDR), ("CONSUL_CACERT", "")]),
];

#[test]
fn its_process_is_replaced_when_it_has_otherwise_what_is_declared() {
    for (number, (what, change, proxy_env)) in DIFFERENT.into_iter().enumerate() {
        for pid_file in [true, false] {
            let scene = Scene::of_library();
            let (_child, start) = left_by_consul(&scene, pid_file);
            let mut host = take_over(&scene, proxy_env, number % 2 == 0);
            let mut config = declared(&scene);
            change(&mut config);
            host.set("web", config.clone());
            host.run();
            let replaced = scene.reports.start("web");
            assert!(start.process.is_gone(), "{what}, {pid_file}");
            assert_eq!(scene.reports.signal(&start), "SIGINT");
            assert_eq!(host.events.started("web"), replaced.pid, "{what}, {pid_file}");
            // What is written is what the new one has: the next manager keeps it.
            host.close();
            let mut next = Host::new(with_proxy_env(quick(&scene.data_dir()), proxy_env));
            next.restore().unwrap();
            next.set("web", config);
            next.run();
            next.follow("marker");
            assert_eq!(next.events.of_proxy("web"), [EventKind::Adopted { pid: replaced.pid }], "{what}, {pid_file}");
            next.kill();
            assert_eq!(scene.reports.signal(&replaced), "SIGINT");
            scene.finish();
        }
    }
}

/// What it inherited from Consul, and what the agent has in its own environment, was not declared.
#[test]
fn inherited_variables_do_not_replace_a_process_of_consul() {
    for pid_file in [true, false] {
        let scene = Scene::of_library();
        let (_child, start) = left_by_consul(&scene, pid_file);
        // Not declared at all, its address is as good as inherited.
        let mut host = take_over(&scene, &[], true);
        let mut config = declared(&scene);
        // How it is stopped and restarted is for the next time.
        config.stop.grace_period *= 2;
        host.set("web", config);
        host.run();
        host.follow("marker");
        assert_eq!(host.events.of_proxy("web"), [EventKind::Adopted { pid: start.pid }]);
        assert_eq!(json(&scene.data_dir().join("snapshot.json"))["Version"], 2);
        host.kill();
        assert_eq!(scene.reports.signal(&start), "SIGINT");
        scene.finish();
    }
}

/// A manager that ended before it followed the state for the first time has left a record, and Consul's snapshot.
#[test]
fn a_recorded_process_of_consul_is_still_compared_by_what_it_has() {
    for (addr, kept) in [(OLD_ADDR, true), ("127.0.0.1:9500", false)] {
        let scene = Scene::of_library();
        let (_child, start) = left_by_consul(&scene, true);
        let host = take_over(&scene, &[(ADDR, addr)], false);
        host.close();
        assert_eq!(json(&scene.data_dir().join("snapshot.json"))["Version"], 1);
        assert_eq!(json(&scene.data_dir().join("records/web.json"))["pid"], start.pid);

        let mut next = take_over(&scene, &[(ADDR, addr)], true);
        next.set("web", declared(&scene));
        next.run();
        if kept {
            next.follow("marker");
            assert_eq!(next.events.of_proxy("web"), [EventKind::Adopted { pid: start.pid }]);
            next.kill();
            assert_eq!(scene.reports.signal(&start), "SIGINT");
        } else {
            let replaced = scene.reports.start("web");
            assert_eq!(scene.reports.signal(&start), "SIGINT");
            next.kill();
            assert_eq!(scene.reports.signal(&replaced), "SIGINT");
        }
        scene.finish();
    }
}

/// The process as it is now counts, and the snapshot where a process does not show its environment any more.
#[test]
fn the_environment_in_the_snapshot_counts_where_the_process_shows_none() {
    for (addr, kept) in [(OLD_ADDR, true), ("127.0.0.1:9500", false)] {
        let scene = Scene::of_library();
        // It shows the id of another: only its logs prove it.
        let (_child, start, proxy) = Leaving { id: "title", ..WEB }.start(&scene);
        leave_as_consul(&scene.data_dir(), &proxy);
        let mut host = take_over(&scene, &[(ADDR, addr)], true);
        host.set("web", declared(&scene));
        host.run();
        let new = (!kept).then(|| scene.reports.start("web"));
        host.follow("marker");
        assert_eq!(start.process.is_gone(), !kept);
        host.kill();
        assert_eq!(scene.reports.signal(&start), "SIGINT");
        new.iter().for_each(|new| assert_eq!(scene.reports.signal(new), "SIGINT"));
        scene.finish();
    }
}

/// Consul was killed within the second after it had started another process.
#[test]
fn a_pid_file_that_is_newer_than_the_snapshot_names_the_process() {
    let scene = Scene::of_library();
    let (mut child, gone, old) = WEB.start(&scene);
    gone.process.kill();
    child.wait().unwrap();
    let (_child, start, _) = WEB.start(&scene);
    leave_as_consul(&scene.data_dir(), &old);
    fs::write(scene.data_dir().join("pids/web.pid"), start.pid.to_string()).unwrap();
    let mut host = take_over(&scene, &[(ADDR, OLD_ADDR)], true);
    host.set("web", declared(&scene));
    host.run();
    host.follow("marker");
    assert_eq!(host.events.of_proxy("web"), [EventKind::Adopted { pid: start.pid }]);
    host.kill();
    assert_eq!(scene.reports.signal(&start), "SIGINT");
    scene.finish();
}

#[test]
fn process_without_the_token_of_the_snapshot_is_left_alone() {
    let scene = Scene::of_library();
    // Of another token, of another id, and in the group of another process.
    for (id, token, own_group) in [("web", "wrong", true), ("other", TOKEN, true), ("web", TOKEN, false)] {
        let (mut child, start, proxy) = Leaving { id, token, own_group, logs: false }.start(&scene);
        leave_as_consul(&scene.data_dir(), &proxy);
        let mut host = Host::new(quick(&scene.data_dir()));
        host.restore().unwrap();
        let reason = host.events.refused("web");
        assert!(reason.contains(&start.pid.to_string()), "{reason}");
        assert_eq!(host.status("web").pid, None);
        // Neither now nor by the run, which wants it otherwise, nor by the kill.
        host.run();
        host.events.stopped("web");
        host.kill();
        assert!(!start.process.is_gone());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    scene.finish();
}

/// What `Daemon.MarshalSnapshot` of Consul returned.
#[test]
fn daemon_takes_over_what_consuls_daemon_marshalled() {
    let scene = Scene::of_library();
    let (_child, start, proxy) = WEB.start(&scene);
    let snapshot = serde_json::from_str(&proxy.config()).unwrap();
    let blank = || Daemon::new("blank", ProxyConfig::of_mode(ExecMode::DAEMON)).with_pid_path(scene.path("pid"));
    let daemon = blank();
    let mut events = Observer::of(daemon.events());
    daemon.unmarshal_snapshot(&snapshot).unwrap();
    assert_eq!(events.adopted("web"), start.pid);
    assert_eq!((daemon.status().state, daemon.status().pid), (ProxyState::Running, Some(start.pid)));
    assert_eq!(fs::read_to_string(scene.path("pid")).unwrap(), format!("{}\n", start.pid));

    // What is declared is compared with what the process has.
    let with_addr = |addr: &str| {
        let mut config = declared(&scene);
        config.command = config.command.env(ADDR, addr);
        Daemon::new("web", config).with_pid_path(scene.path("pid"))
    };
    assert!(daemon.equal(&with_addr(OLD_ADDR)) && with_addr(OLD_ADDR).equal(&daemon));
    assert!(!daemon.equal(&with_addr("other")) && !with_addr("other").equal(&daemon));

    // It is handed on as one of ours, and started again as it was.
    let own = daemon.marshal_snapshot();
    daemon.close().unwrap();
    let next = blank();
    let mut events = Observer::of(next.events());
    next.unmarshal_snapshot(&own).unwrap();
    assert_eq!(events.adopted("web"), start.pid);
    start.process.kill();
    let second = scene.reports.start("web");
    assert_eq!(events.started("web"), second.pid);
    let environ = fs::read(format!("/proc/{}/environ", second.pid)).unwrap();
    assert!(environ.split(|byte| *byte == 0).any(|line| line == format!("{ADDR}={OLD_ADDR}").as_bytes()));
    next.stop().unwrap();
    assert_eq!(scene.reports.signal(&second), "SIGINT");

    // Of a process that is gone, only the declaration comes back.
    let last = blank();
    last.unmarshal_snapshot(&snapshot).unwrap();
    assert_eq!((last.status().id.as_str(), last.status().state), ("web", ProxyState::Idle));
    scene.finish();
}

#[test]
fn daemon_refuses_what_is_wrong_in_a_snapshot_of_consul_and_names_the_field() {
    let scene = Scene::of_library();
    let daemon = Daemon::new("mine", helper(&scene, &["run"]));
    let with = |field: &str, value: serde_json::Value| {
        let mut snapshot = ProxySnapshot::new();
        snapshot.insert("CommandPath".to_owned(), "/bin/a".into());
        snapshot.insert(field.to_owned(), value);
        snapshot
    };
    let wrong = [
        ("CommandPath", 7.into()),
        ("CommandArgs", "a".into()),
        ("CommandEnv", [7][..].into()),
        ("CommandDir", 7.into()),
        ("Pid", (-1).into()),
        ("ProxyID", 7.into()),
        ("ProxyToken", 7.into()),
    ];
    for (field, value) in wrong {
        let error = daemon.unmarshal_snapshot(&with(field, value)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfig);
        assert!(error.to_string().starts_with(field), "{error}");
    }
    assert_eq!(daemon.status().id, "mine");
    // What Go writes where there is nothing.
    for (field, value) in [("ProxyToken", "".into()), ("CommandDir", "".into()), ("CommandEnv", ().into())] {
        Daemon::new("mine", ProxyConfig::of_mode(ExecMode::DAEMON)).unmarshal_snapshot(&with(field, value)).unwrap();
    }
    scene.finish();
}
