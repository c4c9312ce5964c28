// SPDX-License-Identifier: MPL-2.0
//! The environment and the settings of a manager, and what a change of them costs.

use std::time::Duration;

use proxyprocess::defaults::HOST_VARIABLES;
use proxyprocess::{ErrorCode, EventKind, ManagerOptions};

use crate::inside::{Host, helper, quick};
use crate::support::Scene;

fn with_env(mut options: ManagerOptions, variables: &[(&str, &str)]) -> ManagerOptions {
    options.proxy_env = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    options
}

#[test]
fn the_proxys_own_is_over_the_managers_and_that_over_the_agents() {
    let scene = Scene::of_library();
    let manager = [("PATH", "of the manager"), ("BOTH", "of the manager"), ("CONNECT_PROXY_TOKEN", "nobody's")];
    let mut host = Host::new(with_env(quick(&scene.data_dir()), &manager));
    let mut config = helper(&scene, &["inspect"]);
    config.command = config.command.env("BOTH", "of the proxy").env("CONNECT_SIDECAR_FOR", "nobody");
    host.set("web", config);
    host.run();
    let env = scene.reports.start("web").inspection.unwrap().env;
    assert_eq!((&*env["PATH"], &*env["BOTH"]), ("of the manager", "of the proxy"));
    assert_eq!((&*env["CONNECT_PROXY_ID"], &*env["CONNECT_PROXY_TOKEN"]), ("web", "a declared token"));
    assert!(!env.contains_key("CONNECT_SIDECAR_FOR"), "it has no target");
    let others = |name: &str| !["PATH", "BOTH"].contains(&name) && !HOST_VARIABLES.contains(&name);
    for (name, value) in std::env::vars().filter(|(name, _)| others(name)) {
        assert_eq!(env[&name], value, "the agent's {name}");
    }
    host.kill();
    scene.finish();
}

#[test]
fn another_environment_of_the_manager_replaces_whom_it_concerns() {
    let scene = Scene::of_library();
    let options = quick(&scene.data_dir());
    let mut host = Host::new(with_env(options.clone(), &[("A", "1")]));
    host.set("inherits", helper(&scene, &["inspect"]));
    let mut config = helper(&scene, &["inspect"]);
    config.command = config.command.env("A", "its own");
    host.set("overrides", config);
    host.run();
    let (inherits, overrides) = (scene.reports.start("inherits"), scene.reports.start("overrides"));
    assert_eq!(inherits.inspection.as_ref().unwrap().env["A"], "1");
    (0..2).for_each(|_| drop(host.events.until("a start", |event| event.id.is_some())));

    host.manager.reconfigure(with_env(options, &[("A", "2")])).unwrap();
    let replaced = scene.reports.start("inherits");
    assert!(inherits.process.is_gone());
    assert_eq!(replaced.inspection.as_ref().unwrap().env["A"], "2");
    host.follow("marker");
    assert_eq!(host.status("overrides").pid, Some(overrides.pid));
    assert!(matches!(host.events.of_proxy("overrides")[..], [EventKind::Started { .. }]));
    host.kill();
    scene.finish();
}

#[test]
fn settings_that_need_no_other_process_hold_at_once_without_one() {
    let scene = Scene::of_library();
    let mut options = quick(&scene.data_dir());
    let mut host = Host::new(options.clone());
    let mut config = helper(&scene, &["stubborn"]);
    config.stop.grace_period = Duration::from_secs(3600);
    config.restart.attempts_before_backoff = 0;
    host.set("web", config.clone());
    host.run();
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);

    config.stop.grace_period = Duration::from_millis(50);
    config.stop.signal = "SIGTERM".parse().unwrap();
    config.restart.attempts_before_backoff = 5;
    host.set("web", config);
    options.snapshot_period = Duration::from_millis(1);
    host.manager.reconfigure(options).unwrap();
    host.follow("marker");
    assert!(matches!(host.events.of_proxy("web")[..], [EventKind::Started { .. }]));

    // Five attempts are free by now.
    start.process.kill();
    let second = scene.reports.start("web");
    assert_eq!(host.events.started("web"), second.pid);
    assert!(!host.events.of_proxy("web").iter().any(|kind| matches!(kind, EventKind::Waiting { .. })));
    // And it is killed after a moment instead of an hour.
    host.kill();
    assert!(second.process.is_gone());
    assert_eq!(scene.reports.signal(&second), "SIGTERM");
    scene.finish();
}

#[test]
fn what_cannot_be_changed_is_refused_and_changes_nothing() {
    let scene = Scene::of_library();
    let options = quick(&scene.data_dir());
    let host = Host::new(options.clone());
    let refused = |edit: fn(&mut ManagerOptions), field: &str| {
        let mut changed = options.clone();
        edit(&mut changed);
        let error = host.manager.reconfigure(changed).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfig);
        assert!(error.to_string().starts_with(field), "{error}");
    };
    refused(|options| options.data_dir = Some("/elsewhere".into()), "data_dir: ");
    refused(|options| options.data_dir = None, "data_dir: ");
    refused(|options| options.event_capacity += 1, "event_capacity: ");
    refused(|options| options.proxy_env = vec![("A=B".into(), "".into())], "proxy_env: ");
    host.manager.reconfigure(options).unwrap();
    host.kill();
    scene.finish();
}
