// SPDX-License-Identifier: MPL-2.0
//! Which managers have cgroups, and what is said where none can be made.

use proxyprocess::{
    CgroupUse, Command, ErrorCode, Event, EventKind, Manager, ManagerOptions, ProxyConfig, State, WaitFor,
};

use super::{home_of, names_in, running, until_names};
use crate::inside::{Host, helper, quick};
use crate::support::{Scene, WATCHDOG, cgroup_of};

fn refusal(options: ManagerOptions) -> (ErrorCode, String) {
    let error = Manager::new(State::new(), options).unwrap_err();
    (error.code(), error.to_string())
}

#[test]
fn required_cgroup_that_cannot_be_made_refuses_the_manager() {
    let scene = Scene::of_library();
    let dir = scene.data_dir();
    let elsewhere = quick(&dir).with_cgroup(CgroupUse::Required).with_cgroup_base(&dir);
    let why = format!("cgroup: required: {} is no directory of cgroup v2", dir.display());
    assert_eq!(refusal(elsewhere), (ErrorCode::Io, why));
    let with_off = quick(&dir).with_cgroup(CgroupUse::Off).with_cgroup_base("/sys/fs/cgroup");
    assert_eq!(refusal(with_off), (ErrorCode::InvalidConfig, "cgroup_base: expected none with cgroup off".to_owned()));
    let empty = quick(&dir).with_cgroup(CgroupUse::Auto).with_cgroup_base("");
    let message = "cgroup_base: expected a path, got an empty string".to_owned();
    assert_eq!(refusal(empty), (ErrorCode::InvalidConfig, message));
    scene.finish();
}

#[test]
fn cgroup_that_cannot_be_made_leaves_the_proxies_in_that_of_the_agent() {
    let scene = Scene::of_library();
    let dir = scene.data_dir();
    let mut host = Host::new(quick(&dir).with_cgroup(CgroupUse::Auto).with_cgroup_base(&dir));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let start = scene.reports.start("web");
    assert_eq!(cgroup_of(start.pid), cgroup_of(std::process::id()));
    host.kill();
    scene.finish();
}

#[test]
fn process_begins_in_a_cgroup_of_its_proxy_which_is_kept_over_restarts_and_goes_with_it() {
    let scene = Scene::of_library();
    let proxies = [("web", helper(&scene, &["run"])), ("a/b", helper(&scene, &["run"]))];
    let Some(mut host) = running(&scene, proxies) else { return scene.finish() };
    let (web, other) = (scene.reports.start("web"), scene.reports.start("a/b"));
    let home = home_of(&web.process);
    assert_eq!(names_in(&home), ["a%2Fb.proxy", "web.proxy"]);
    assert_eq!(cgroup_of(web.pid), Some(home.join("web.proxy")));
    host.manager.wait_until("web", WaitFor::Running, WATCHDOG).unwrap();
    assert_eq!(host.status("web").cgroup, cgroup_of(web.pid));
    assert_eq!(cgroup_of(other.pid), Some(home.join("a%2Fb.proxy")));
    web.process.kill();
    let again = scene.reports.start("web");
    assert_eq!(cgroup_of(again.pid), Some(home.join("web.proxy")));
    host.state.remove("a/b");
    host.events.stopped("a/b");
    until_names(&home, &["web.proxy"]);
    host.kill();
    assert!(!home.exists());
    scene.finish();
}

#[test]
fn options_of_cgroups_cannot_be_changed_while_the_manager_lives() {
    let scene = Scene::of_library();
    let host = Host::new(quick(&scene.data_dir()));
    let refused = host.manager.reconfigure(quick(&scene.data_dir()).with_cgroup(CgroupUse::Off)).unwrap_err();
    let message = "cgroup: expected no change while the manager lives";
    assert_eq!((refused.code(), refused.to_string().as_str()), (ErrorCode::InvalidConfig, message));
    host.kill();
    scene.finish();
}

/// By hand, or with the unit that it was made in.
#[test]
fn directory_of_the_cgroups_that_was_removed_is_made_again() {
    let scene = Scene::of_library();
    let proxies = [("web", helper(&scene, &["run"]))];
    let Some(mut host) = running(&scene, proxies) else { return scene.finish() };
    let first = scene.reports.start("web");
    let home = home_of(&first.process);
    host.state.remove("web");
    host.events.until("it is gone", |event| event.kind == EventKind::Stopped);
    until_names(&home, &[]);
    std::fs::remove_dir(&home).unwrap();
    host.set("web", helper(&scene, &["run"]));
    let second = scene.reports.start("web");
    assert_eq!(cgroup_of(second.pid), Some(home.join("web.proxy")));
    host.kill();
    assert!(!home.exists());
    scene.finish();
}

#[test]
fn start_that_fails_leaves_no_cgroup() {
    let scene = Scene::of_library();
    let proxies = [("missing", ProxyConfig::new(Command::new("/is/not/there"))), ("web", helper(&scene, &["run"]))];
    let Some(mut host) = running(&scene, proxies) else { return scene.finish() };
    let start = scene.reports.start("web");
    let failed =
        |event: &Event| event.id.as_deref() == Some("missing") && matches!(event.kind, EventKind::StartFailed { .. });
    host.events.until("the failed start", failed);
    // The next attempt may be under way.
    until_names(&home_of(&start.process), &["web.proxy"]);
    host.kill();
    scene.finish();
}
