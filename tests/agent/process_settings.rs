// SPDX-License-Identifier: MPL-2.0
//! What the kernel holds of a process: resource limits, nice value, CPUs, umask, privileges, and its name.

use std::fs;

use rustix::process::{Resource, getpriority_process, getrlimit};
use serde_json::json;

use crate::support::{Agent, Config, Launch, Proxy, Scene, Status};

/// A CPU on which the tests may run.
fn own_cpu() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let cpus = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    cpus.trim().split([',', '-']).next().unwrap().parse().unwrap()
}

fn own_nice() -> i32 {
    getpriority_process(None).unwrap()
}

/// All settings with values that no privilege is needed for.
fn with_settings(proxy: Proxy) -> Proxy {
    let own = getrlimit(Resource::Fsize).maximum.map_or(json!("unlimited"), Into::into);
    let proxy = proxy.set("rlimits", json!({"core": {"soft": 0}, "fsize": own, "nofile": {"soft": 70}}));
    let proxy = proxy.set("nice", (own_nice() + 1).min(19)).set("cpu_affinity", json!([own_cpu(), 8191]));
    proxy.set("umask", "0027").set("no_new_privs", true).set("argv0", "web-server")
}

#[test]
fn a_process_has_the_declared_settings_and_else_those_of_the_agent() {
    let scene = Scene::new();
    let detached = with_settings(Proxy::helper(&["inspect"])).set("detached", true);
    let config = Config::new(&scene).proxy("web", with_settings(Proxy::helper(&["inspect"])));
    let config = config.proxy("detached", detached).proxy("plain", Proxy::helper(&["inspect"]));
    let agent = Agent::start(&scene, &config);
    for id in ["web", "detached"] {
        let found = scene.reports.start(id).inspection.unwrap();
        assert_eq!(found.core, (Some(0), getrlimit(Resource::Core).maximum), "{id}");
        assert_eq!(found.descriptors, (Some(70), getrlimit(Resource::Nofile).maximum), "{id}");
        assert_eq!((found.nice, found.umask), ((own_nice() + 1).min(19), 0o27), "{id}");
        assert_eq!((found.cpus, found.no_new_privs), (own_cpu().to_string(), true), "{id}");
        assert_eq!(found.argv, ["web-server", "inspect"], "{id}");
    }
    let plain = scene.reports.start("plain").inspection.unwrap();
    let core = getrlimit(Resource::Core);
    assert_eq!((plain.core, plain.nice), ((core.current, core.maximum), own_nice()));
    assert_eq!((plain.descriptors.0, plain.no_new_privs), (getrlimit(Resource::Nofile).current, false));
    assert_ne!(plain.argv[0], "web-server");
    agent.quit();
    scene.finish();
}

#[test]
fn a_process_with_settings_is_adopted_and_replaced_when_one_of_them_changes() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", with_settings(Proxy::helper(&["inspect"])));
    let agent = Agent::start(&scene, &config);
    let first = scene.reports.start("web");
    agent.kill();
    let agent = Agent::start(&scene, &config);
    assert!(agent.status_running(&scene, "web", first.pid)["web"].adopted);
    let changed = with_settings(Proxy::helper(&["inspect"])).set("umask", "0077");
    agent.reload(&Config::new(&scene).proxy("web", changed));
    assert_eq!(scene.reports.start("web").inspection.unwrap().umask, 0o77);
    first.process.wait();
    agent.quit();
    scene.finish();
}

/// They run as the proxy does, and are called by their own name.
#[test]
fn a_command_of_a_proxy_has_its_settings_but_not_its_name() {
    let scene = Scene::new();
    let nice = (own_nice() + 1).min(19);
    let looks = format!(
        "umask; ulimit -c; echo $0; grep -c '^NoNewPrivs:.1$' /proc/self/status; cut -d' ' -f19 /proc/self/stat; \
         test $(umask) = 0027 && test $(ulimit -c) = 0 && test $0 = sh && \
         grep -q '^NoNewPrivs:.1$' /proc/self/status && test $(cut -d' ' -f19 /proc/self/stat) = {nice}"
    );
    let proxy = with_settings(Proxy::helper(&["inspect"])).set("ready", json!({"command": ["sh", "-c", looks]}));
    let agent = Agent::start(&scene, &Config::new(&scene).proxy("web", proxy));
    scene.reports.start("web");
    agent.status_when(&scene, "its command finds the settings", |status| status.is("web", "running"));
    assert!(scene.log("web", "stdout").ends_with(&format!("0027\n0\nsh\n1\n{nice}\n")));
    agent.quit();
    scene.finish();
}

#[test]
fn a_setting_that_is_refused_is_named_in_the_status() {
    let scene = Scene::new();
    let too_many = fs::read_to_string("/proc/sys/fs/nr_open").unwrap().trim().parse::<u64>().unwrap() + 1;
    let with = |field: &str, value: serde_json::Value| Proxy::helper(&["inspect"]).set(field, value);
    let config = Config::new(&scene)
        .proxy("above", with("rlimits", json!({"core": {"soft": 1}})))
        .proxy("hard", with("rlimits", json!({"core": 1})))
        .proxy("nofile", with("rlimits", json!({"nofile": {"soft": 64, "hard": too_many}})))
        .proxy("nice", with("nice", (-20).into()))
        .proxy("cpus", with("cpu_affinity", json!([8191])));
    let agent = Launch::new(&scene).under(&["sh", "-c", "ulimit -c 0; exec \"$@\"", "sh"]).start(&config);
    let refused = |id: &str, expected: &str| {
        let refused = |status: &Status| status.error(id).is_some();
        let status = agent.status_when(&scene, "it is refused", refused);
        let error = status.error(id).unwrap();
        assert!(error.starts_with(expected), "{error}");
    };
    refused("above", "set rlimits.core 1: above the agent's hard limit of 0: Invalid argument");
    let above = "a hard limit above the agent's needs CAP_SYS_RESOURCE, and none is above /proc/sys/fs/nr_open";
    refused("nofile", &format!("set rlimits.nofile 64:{too_many}: {above}: Operation not permitted"));
    refused("cpus", "set cpu_affinity [8191]: the agent has none of these CPUs: Invalid argument");
    // A privileged agent may have the capabilities for these.
    let privileged = [
        (
            "hard",
            "set rlimits.core 1:1: a hard limit above the agent's needs CAP_SYS_RESOURCE: Operation not permitted",
        ),
        ("nice", "set nice -20: a value below the agent's needs CAP_SYS_NICE or a limit of nice: Permission denied"),
    ];
    for (id, expected) in privileged {
        let done = |status: &Status| status.is(id, "running") || status.error(id).is_some();
        let status = agent.status_when(&scene, "it is started or refused", done);
        match status.error(id) {
            Some(error) => assert!(error.starts_with(expected), "{error}"),
            None => {
                let found = scene.reports.start(id).inspection.unwrap();
                assert!(found.nice == -20 || found.core == (Some(1), Some(1)), "{id}");
            }
        }
    }
    agent.quit();
    scene.finish();
}
