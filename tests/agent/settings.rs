// SPDX-License-Identifier: MPL-2.0
//! The settings of a process beside its command: environment, descriptor limit, OOM score, stop signal.

use std::fs;

use rustix::process::{Resource, geteuid, getrlimit};

use crate::support::{Agent, Config, HELPER, Launch, Proxy, Scene};

/// What systemd.exec(5) and sd_notify(3) tell a service, and what a proxy must not take for its own.
#[test]
fn variables_of_the_host_reach_no_proxy_that_does_not_declare_them() {
    const OF_HOST: [(&str, &str); 17] = [
        ("NOTIFY_SOCKET", "/run/agent/notify"),
        ("WATCHDOG_USEC", "1000000"),
        ("WATCHDOG_PID", "1"),
        ("FDSTORE", "7"),
        ("LISTEN_FDS", "1"),
        ("LISTEN_FDNAMES", "web"),
        ("LISTEN_PID", "1"),
        ("LISTEN_PIDFDID", "1"),
        ("MAINPID", "1"),
        ("MAINPIDFDID", "1"),
        ("MANAGERPID", "1"),
        ("MANAGERPIDFDID", "1"),
        ("SYSTEMD_EXEC_PID", "1"),
        ("INVOCATION_ID", "0123"),
        ("JOURNAL_STREAM", "8:1"),
        ("CREDENTIALS_DIRECTORY", "/run/credentials/agent"),
        ("PIDFILE", "/run/agent.pid"),
    ];
    let scene = Scene::new();
    let launch = OF_HOST.into_iter().fold(Launch::new(&scene), |launch, (name, value)| launch.env(name, value));
    let launch = launch.env("STATE_DIRECTORY", "/var/lib/agent").env("CONNECT_SIDECAR_FOR", "agent");
    let declares = Proxy::helper(&["inspect"]).env(&["NOTIFY_SOCKET=its own"]);
    let config = Config::new(&scene).proxy("none", Proxy::helper(&["inspect"])).proxy("own", declares);
    let agent = launch.start(&config.set("proxy_env", ["PIDFILE=of the manager"].as_slice()));

    for (id, socket) in [("none", None), ("own", Some("its own"))] {
        let env = scene.reports.start(id).inspection.unwrap().env;
        let value = |name: &str| env.get(name).map(String::as_str);
        assert_eq!((value("NOTIFY_SOCKET"), value("PIDFILE")), (socket, Some("of the manager")), "{id}");
        for (name, _) in OF_HOST.iter().filter(|(name, _)| !["NOTIFY_SOCKET", "PIDFILE"].contains(name)) {
            assert_eq!(value(name), None, "{id} has {name}");
        }
        assert_eq!(value("STATE_DIRECTORY"), Some("/var/lib/agent"), "it is not addressed to the agent alone");
        assert_eq!(value("CONNECT_SIDECAR_FOR"), None, "{id} is no sidecar");
    }
    agent.quit();
    scene.finish();
}

#[test]
fn unset_variables_are_withheld_and_all_others_given() {
    let scene = Scene::new();
    let launch = Launch::new(&scene).env("A", "agent").env("B", "agent").env("C", "agent");
    let proxy = Proxy::helper(&["inspect"]).set("unset_env", ["A", "D", "NOT_THERE"].as_slice());
    let config = Config::new(&scene).set("proxy_env", ["C=manager", "D=manager"].as_slice());
    let agent = launch.start(&config.proxy("web", proxy));
    let env = scene.reports.start("web").inspection.unwrap().env;
    let found = ["A", "B", "C", "D", "NOT_THERE", "CONNECT_PROXY_ID"].map(|name| env.get(name).map(String::as_str));
    assert_eq!(found, [None, Some("agent"), Some("manager"), None, None, Some("web")]);
    agent.quit();
    scene.finish();
}

#[test]
fn with_a_cleared_environment_only_what_is_declared_remains() {
    let scene = Scene::new();
    let own: Vec<String> = scene.env().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let own: Vec<&str> = own.iter().map(String::as_str).chain(["OWN=1"]).collect();
    let proxy = Proxy::helper(&["inspect"]).env(&own).set("clear_env", true).set("target_service", "db");
    let config = Config::new(&scene).set("proxy_env", ["MANAGER=2"].as_slice());
    let agent = Launch::new(&scene).env("A", "agent").start(&config.proxy("web", proxy));
    let env = scene.reports.start("web").inspection.unwrap().env;
    let mut expected: Vec<&str> = own.iter().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    expected.extend([
        "MANAGER",
        "CONNECT_PROXY_EPOCH",
        "CONNECT_PROXY_GENERATION",
        "CONNECT_PROXY_ID",
        "CONNECT_PROXY_ORIGIN",
        "CONNECT_PROXY_TOKEN",
    ]);
    expected.push("CONNECT_SIDECAR_FOR");
    expected.sort_unstable();
    assert_eq!(env.keys().collect::<Vec<_>>(), expected);
    agent.quit();
    scene.finish();
}

/// It has no `PATH` then but the C library's default one, which does not have the directory of the agent's.
#[test]
fn with_a_cleared_environment_a_program_is_not_found_in_the_path_of_the_agent() {
    let scene = Scene::new();
    let place = scene.path("only-of-the-agent");
    fs::create_dir(&place).unwrap();
    std::os::unix::fs::symlink(*HELPER, place.join("program-of-the-agent")).unwrap();
    let path = format!("{}:/usr/bin:/bin", place.to_str().unwrap());
    let program = |clear: bool| Proxy::command(&["program-of-the-agent", "inspect"]).set("clear_env", clear);
    let config = Config::new(&scene).proxy("cleared", program(true)).proxy("web", program(false));
    let agent = Launch::new(&scene).env("PATH", &path).start(&config);
    scene.reports.start("web");
    let status = agent.status_when(&scene, "it is not found", |status| status.error("cleared").is_some());
    let error = status.error("cleared").unwrap();
    assert!(error.starts_with("execute program-of-the-agent: not found in PATH"), "{error}");
    agent.quit();
    scene.finish();
}

#[test]
fn a_declared_descriptor_limit_is_set_and_one_above_the_hard_limit_is_refused_by_name() {
    let scene = Scene::new();
    let hard = getrlimit(Resource::Nofile).maximum;
    let limited = |limit: u64| Proxy::helper(&["inspect"]).set("descriptor_limit", limit);
    let config = Config::new(&scene).proxy("web", limited(77)).proxy("plain", Proxy::helper(&["inspect"]));
    let config = if let Some(hard) = hard { config.proxy("too-many", limited(hard + 1)) } else { config };
    let agent = Agent::start(&scene, &config);
    let found = |id: &str| scene.reports.start(id).inspection.unwrap().descriptors;
    assert_eq!(found("web"), (Some(77), hard));
    assert_eq!(found("plain").0, getrlimit(Resource::Nofile).current);
    if let Some(hard) = hard {
        let status = agent.status_when(&scene, "it is refused", |status| status.error("too-many").is_some());
        let expected = format!("set descriptor_limit {}: above the agent's hard limit of {hard}", hard + 1);
        assert!(status.error("too-many").unwrap().starts_with(&expected), "{status:?}");
    }
    agent.quit();
    scene.finish();
}

/// Where the tests have another value than 0, the kernel may not permit 0.
fn oom_score_is_free() -> bool {
    fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim() == "0"
}

/// The agent's own may be changed at any time, and is inherited by whatever the kernel copies.
#[test]
fn the_oom_score_of_the_agent_is_not_inherited() {
    if !oom_score_is_free() {
        return;
    }
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["inspect"]));
    let config = if geteuid().is_root() {
        let nobody = serde_json::json!({"uid": 65534, "gid": 65534});
        config.proxy("other", Proxy::command(&["cat", "/proc/self/oom_score_adj"]).set("credentials", nobody))
    } else {
        config
    };
    // As the agent's process begins, and with what it is changed to later.
    let raise = "echo 300 >/proc/self/oom_score_adj; exec \"$@\"";
    let agent = Launch::new(&scene).under(&["sh", "-c", raise, "sh"]).start(&config);
    let path = format!("/proc/{}/oom_score_adj", agent.pid());
    let of_agent = || fs::read_to_string(&path).unwrap().trim().to_owned();
    assert_eq!(of_agent(), "300");
    let first = scene.reports.start("web");
    assert_eq!(first.inspection.unwrap().oom_score_adj, 0);
    fs::write(&path, "301").unwrap();
    first.process.kill();
    assert_eq!(scene.reports.start("web").inspection.unwrap().oom_score_adj, 0);
    if geteuid().is_root() {
        agent.status_when(&scene, "cat has ended", |status| status.is("other", "waiting"));
        assert!(scene.log("other", "stdout").lines().all(|line| line == "0"));
    }
    assert_eq!(of_agent(), "301", "its own stays");
    agent.quit();
    scene.finish();
}

#[test]
fn a_declared_oom_score_is_set_and_what_the_kernel_forbids_is_told() {
    if !oom_score_is_free() {
        return;
    }
    let scene = Scene::new();
    let scored = |value: i32| Proxy::helper(&["inspect"]).set("oom_score_adj", value);
    let config = Config::new(&scene).proxy("first", scored(1000)).proxy("last", scored(-999)).proxy("usual", scored(0));
    let agent = Agent::start(&scene, &config);
    let found = |id: &str| scene.reports.start(id).inspection.unwrap().oom_score_adj;
    assert_eq!((found("first"), found("usual")), (1000, 0));
    // To go below the value that the agent was started with takes a capability that a root in a container may lack.
    let done = |status: &crate::support::Status| status.is("last", "running") || status.error("last").is_some();
    let status = agent.status_when(&scene, "it is started or refused", done);
    match status.error("last") {
        None => assert_eq!(found("last"), -999),
        Some(error) => {
            let expected =
                "set oom_score_adj -999: a value below the agent's needs CAP_SYS_RESOURCE: Permission denied";
            assert!(error.starts_with(expected), "{error}");
        }
    }
    agent.quit();
    scene.finish();
}

#[test]
fn a_real_time_signal_that_is_declared_by_name_stops_a_process() {
    let scene = Scene::new();
    let named = |name: &str| Proxy::helper(&["run"]).set("stop_signal", name).grace_ms(3_600_000);
    let config = Config::new(&scene).proxy("min", named("SIGRTMIN+3")).proxy("max", named("rtmax-1"));
    let agent = Agent::start(&scene, &config);
    let [min, max] = ["min", "max"].map(|id| scene.reports.start(id));
    agent.reload(&Config::new(&scene));
    min.process.wait();
    max.process.wait();
    agent.wait_for_log("signal SIGRTMIN+3");
    agent.wait_for_log("signal SIGRTMIN+29");
    agent.quit();
    scene.finish();
}

#[test]
fn a_byte_order_mark_before_the_configuration_is_skipped() {
    let scene = Scene::new();
    let marked = |config: Config| {
        move |path: &std::path::Path| {
            config.write(path);
            let text = fs::read(path).unwrap();
            fs::write(path, [b"\xef\xbb\xbf", &text[..]].concat()).unwrap();
        }
    };
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let agent = Launch::new(&scene).spawn_with(marked(config.clone()));
    scene.reports.start("web");
    agent.reload_with(marked(config.proxy("second", Proxy::helper(&["run"]))));
    scene.reports.start("second");
    agent.quit();
    scene.finish();
}
