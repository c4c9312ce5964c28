//! Taking over from Consul 1.2 to 1.4, whose snapshots name a pid and nothing else.

use std::fs;
use std::process::{Child, Command, Stdio};

use proxyprocess::{EventKind, ProxyConfig, ProxyState};
use serde_json::json;

use crate::inside::{Host, helper, quick};
use crate::support::{HELPER, Scene, Start};

/// A process as Consul started it: in a session of its own, with its id and token in its environment.
fn left_by_consul(scene: &Scene, id: &str, token: &str, own_group: bool) -> (Child, Start) {
    let mut command = Command::new(*HELPER);
    command.arg("graceful").envs(scene.env()).stdin(Stdio::null());
    command.env("CONNECT_PROXY_ID", id).env("CONNECT_PROXY_TOKEN", token);
    if own_group {
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
    }
    let child = command.spawn().unwrap();
    let start = scene.reports.start(id);
    assert_eq!(start.pid, child.id());
    (child, start)
}

fn snapshot(scene: &Scene, id: &str, token: &str, pid: u32) -> std::path::PathBuf {
    let own = std::env::vars().map(|(name, value)| format!("{name}={value}"));
    let added = scene.env().into_iter().map(|(name, value)| format!("{name}={value}"));
    let known = [format!("CONNECT_PROXY_ID={id}"), format!("CONNECT_PROXY_TOKEN={token}")];
    let env: Vec<String> = own.chain(added).chain(known).collect();
    let config = json!({
        "Pid": pid, "CommandPath": *HELPER, "CommandArgs": [*HELPER, "graceful"], "CommandDir": "",
        "CommandEnv": env, "ProxyToken": token, "ProxyID": id,
    });
    let path = scene.path("consul.json");
    let document = json!({"Version": 1, "Proxies": {id: {"Mode": "daemon", "Config": config}}});
    fs::write(&path, document.to_string()).unwrap();
    path
}

fn declared(scene: &Scene) -> ProxyConfig {
    let mut config = helper(scene, &["graceful"]);
    config.token = Some("secret".to_owned());
    config
}

#[test]
fn its_process_is_adopted_and_goes_on_under_our_supervision() {
    let scene = Scene::of_library();
    let (_child, start) = left_by_consul(&scene, "web", "secret", true);
    let path = snapshot(&scene, "web", "secret", start.pid);
    let mut host = Host::new(quick(&scene.data_dir()));
    host.manager.restore(&path).unwrap();
    assert_eq!(host.events.adopted("web"), start.pid);
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
    let mut next = Host::new(quick(&scene.data_dir()));
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

#[test]
fn whoever_does_not_carry_the_token_is_a_stranger() {
    let scene = Scene::of_library();
    // Of another token, of another id, and in the group of somebody else.
    for (id, token, own_group) in [("web", "wrong", true), ("other", "secret", true), ("web", "secret", false)] {
        let (mut child, start) = left_by_consul(&scene, id, token, own_group);
        let path = snapshot(&scene, "web", "secret", start.pid);
        let mut host = Host::new(quick(&scene.data_dir()));
        host.manager.restore(&path).unwrap();
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

#[test]
fn one_that_is_wanted_otherwise_is_replaced() {
    let scene = Scene::of_library();
    let (_child, start) = left_by_consul(&scene, "web", "secret", true);
    let path = snapshot(&scene, "web", "secret", start.pid);
    let mut host = Host::new(quick(&scene.data_dir()));
    host.manager.restore(&path).unwrap();
    let mut config = declared(&scene);
    config.command = config.command.arg("otherwise");
    host.set("web", config);
    host.run();
    let replaced = scene.reports.start("web");
    assert!(start.process.is_gone());
    assert_eq!(scene.reports.signal(&start), "SIGINT");
    host.kill();
    assert_eq!(scene.reports.signal(&replaced), "SIGINT");
    scene.finish();
}
