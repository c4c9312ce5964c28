// SPDX-License-Identifier: MPL-2.0
//! Limits of the cgroup of a proxy: which controllers they need, what is said where one is not there, and ends for want of
//! memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proxyprocess::{CgroupLimits, CgroupUse, Command, ErrorCode, EventKind, ExitStatus, ProxyConfig, ProxyState};

use super::{base, contained, running};
use crate::inside::{Host, helper, quick};
use crate::library::overlap::{becomes_ready, overlapping};
use crate::support::{Scene, cgroup_of, until};

const HOUR: Duration = Duration::from_secs(3600);

/// A limit of each controller.
fn limits() -> [(&'static str, CgroupLimits); 4] {
    let none = CgroupLimits::default();
    [
        ("memory", none.with_memory_max(1 << 30)),
        ("pids", none.with_pids_max(100)),
        ("cpu", none.with_cpu_max(150)),
        ("io", none.with_io_weight(50)),
    ]
}

fn controllers() -> String {
    base()
        .map(|base| fs::read_to_string(base.join("cgroup.controllers")).expect("read controllers"))
        .unwrap_or_default()
}

fn has(controller: &str) -> bool {
    controllers().split_whitespace().any(|name| name == controller)
}

/// A limit that cannot be set here, and its controller; `None` where each can be, which is said.
fn impossible() -> Option<(&'static str, CgroupLimits)> {
    let found = limits().into_iter().find(|(controller, _)| !has(controller));
    if found.is_none() {
        println!("skipped: all controllers are here");
    }
    found
}

/// Where cgroups with these controllers can be made; else that is said. The first cgroup of all may have processes of its own.
fn base_with(names: &[&str]) -> Option<PathBuf> {
    let missing = names.iter().find(|name| !has(name));
    let found = base().filter(|base| missing.is_none() && !base.join("cgroup.type").exists());
    if found.is_none() {
        println!("skipped: no cgroups with {names:?} can be made below {:?}, which has {}", base(), controllers());
    }
    found
}

/// Waits until the last error of a proxy is as wanted.
#[track_caller]
fn until_error(host: &Host, what: &str, wanted: impl Fn(Option<&str>) -> bool) {
    until(what, || wanted(host.status("web").last_error.as_deref()));
}

fn file(cgroup: &Path, name: &str) -> String {
    fs::read_to_string(cgroup.join(name)).unwrap_or_else(|error| panic!("read {name}: {error}")).trim_end().to_owned()
}

#[test]
fn limit_without_its_controller_is_named_and_nothing_is_started_before_it_is_gone() {
    let scene = Scene::of_library();
    let Some((controller, limits)) = impossible() else { return scene.finish() };
    let mut config = helper(&scene, &["run"]);
    config.restart.max_wait = HOUR;
    config.restart.attempts_before_backoff = 0;
    let proxies = [("web", config.clone().with_limits(limits))];
    let Some(mut host) = running(&scene, proxies) else { return scene.finish() };
    let error = host.events.start_failed("web");
    assert!(
        error.contains("limits.") && error.contains(&format!(" has no controller {controller}, only: ")),
        "{error}"
    );
    assert_eq!(host.status("web").last_error, Some(error));
    host.set("web", config);
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    host.kill();
    scene.finish();
}

#[test]
fn limit_of_a_running_process_that_cannot_be_set_is_named_and_the_process_runs_on() {
    let scene = Scene::of_library();
    let Some((controller, limits)) = impossible() else { return scene.finish() };
    let config = helper(&scene, &["run"]);
    let Some(mut host) = running(&scene, [("web", config.clone())]) else { return scene.finish() };
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    host.set("web", config.clone().with_limits(limits));
    until_error(&host, "the limit to be named", |error| {
        error.is_some_and(|error| error.starts_with("limits.") && error.contains(controller))
    });
    host.set("web", config);
    until_error(&host, "no error", |error| error.is_none());
    assert_eq!((host.status("web").pid, host.status("web").state), (Some(start.pid), ProxyState::Running));
    host.kill();
    scene.finish();
}

#[test]
fn limits_without_cgroups_start_nothing_and_leave_what_runs() {
    let scene = Scene::of_library();
    let limits = CgroupLimits::default().with_pids_max(100);
    let (mut first, config) =
        (Host::new(quick(&scene.data_dir()).with_cgroup(CgroupUse::Off)), helper(&scene, &["run"]));
    first.set("web", config.clone());
    first.run();
    let start = scene.reports.start("web");
    assert_eq!(first.events.started("web"), start.pid);
    first.close();
    let mut host = Host::new(quick(&scene.data_dir()).with_cgroup(CgroupUse::Off));
    host.restore().unwrap();
    host.set("web", config.clone().with_limits(limits));
    host.set("next", config.with_limits(limits));
    host.run();
    assert_eq!(host.events.adopted("web"), start.pid);
    let error = host.events.start_failed("next");
    assert!(error.contains("limits: they need a cgroup of its own for the proxy: "), "{error}");
    until_error(&host, "the limits to be named", |error| {
        error.is_some_and(|error| error.contains("it was started without one"))
    });
    assert_eq!((host.status("web").pid, host.status("web").state), (Some(start.pid), ProxyState::Running));
    host.kill();
    scene.finish();
}

#[test]
fn limits_of_no_daemon_are_refused() {
    let state = proxyprocess::State::new();
    let noop = ProxyConfig::of_mode(proxyprocess::ExecMode::NOOP).with_limits(CgroupLimits::default().with_pids_max(1));
    let error = state.set("web", noop).unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("limits: expected none")), (ErrorCode::InvalidConfig, true));
}

/// Also by the next agent.
#[test]
fn limits_are_set_changed_and_taken_away_without_a_new_process() {
    let scene = Scene::of_library();
    let Some(_) = base_with(&["memory", "pids", "cpu"]) else { return scene.finish() };
    let config = helper(&scene, &["run"]);
    let limits =
        CgroupLimits::default().with_memory_max(1 << 30).with_memory_high(1 << 29).with_pids_max(99).with_cpu_max(150);
    let proxies = [("web", config.clone().with_limits(limits)), ("free", config.clone())];
    let Some(mut host) = running(&scene, proxies) else { return scene.finish() };
    let (start, free) = (scene.reports.start("web"), scene.reports.start("free"));
    let cgroup = cgroup_of(start.pid).unwrap();
    let now = |cgroup: &Path| ["memory.max", "memory.high", "pids.max", "cpu.max"].map(|name| file(cgroup, name));
    assert_eq!(now(&cgroup), ["1073741824", "536870912", "99", "150000 100000"]);
    assert_eq!(now(&cgroup_of(free.pid).unwrap()), ["max", "max", "max", "max 100000"]);
    host.events.started("web");
    let until_now = |wanted: [&str; 4]| {
        until(format!("{wanted:?}"), || now(&cgroup) == wanted);
    };
    host.set("web", config.clone().with_limits(CgroupLimits::default().with_pids_max(50)));
    until_now(["max", "max", "50", "max 100000"]);
    start.process.kill();
    let again = scene.reports.start("web");
    assert_eq!(cgroup_of(again.pid), Some(cgroup.clone()));
    assert_eq!(now(&cgroup), ["max", "max", "50", "max 100000"]);
    host.events.until("the next one", |event| event.kind == EventKind::Started { pid: Some(again.pid) });
    host.close();
    let mut next = Host::new(contained(&scene).unwrap());
    next.restore().unwrap();
    next.set("web", config.clone().with_limits(CgroupLimits::default().with_cpu_max(10)));
    next.set("free", config.clone());
    next.run();
    assert_eq!(next.events.adopted("web"), again.pid);
    until_now(["max", "max", "max", "10000 100000"]);
    next.set("web", config);
    until_now(["max", "max", "max", "max 100000"]);
    assert_eq!(next.status("web").pid, Some(again.pid));
    next.kill();
    scene.finish();
}

#[test]
fn end_for_want_of_memory_is_told_from_another_sigkill() {
    let scene = Scene::of_library();
    let Some(_) = base_with(&["memory"]) else { return scene.finish() };
    if fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1) {
        println!("skipped: there is swap, which is filled first");
        return scene.finish();
    }
    let mut hungry = ProxyConfig::new(Command::new("dd").args(["if=/dev/zero", "of=/dev/null", "bs=256M", "count=1"]));
    hungry.restart.max_wait = HOUR;
    hungry.restart.attempts_before_backoff = 0;
    let limits = CgroupLimits::default().with_memory_max(16 << 20);
    let mut killed = helper(&scene, &["run"]).with_limits(limits);
    killed.restart = hungry.restart;
    let Some(mut host) = running(&scene, [("web", killed)]) else { return scene.finish() };
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    start.process.kill();
    host.events.waiting("web");
    host.set("hungry", hungry.with_limits(limits));
    host.events.waiting("hungry");
    let sigkill = ExitStatus::Signaled { signal: 9, core_dumped: false };
    let (hungry, web) = (host.status("hungry"), host.status("web"));
    assert_eq!((hungry.last_exit, hungry.last_exit_oom), (Some(sigkill), Some(true)));
    let metrics = host.manager.metrics();
    let value = |name: &str, id: &str| {
        let line = format!("proxyprocess_proxy_cgroup_{name}{{proxy=\"{id}\"}} ");
        metrics.lines().find_map(|found| found.strip_prefix(&line)?.parse::<f64>().ok())
    };
    assert_eq!(["hungry", "web"].map(|id| value("oom_kills_total", id)), [Some(1.0), Some(0.0)], "{metrics}");
    assert!(value("memory_bytes", "web").is_some() && value("memory_bytes", "hungry").is_some(), "{metrics}");
    assert!(hungry.hint.as_deref().is_some_and(|hint| hint.contains("lack of memory")));
    assert_eq!((web.last_exit, web.last_exit_oom, web.hint), (Some(sigkill), Some(false), None));
    // One that is gone hides no other.
    let gone = hungry.cgroup.unwrap();
    host.manager.pause("hungry").unwrap();
    until("the cgroup of a paused proxy to be removed", || !gone.exists());
    assert!(host.manager.metrics().contains("cgroup_memory_bytes{proxy=\"web\"}"));
    host.kill();
    scene.finish();
}

/// Not before it runs: until then it shares the memory of the agent.
#[test]
fn detached_process_has_the_limits_of_its_memory_once_it_runs() {
    let scene = Scene::of_library();
    let Some(_) = base_with(&["memory", "pids"]) else { return scene.finish() };
    let limits = CgroupLimits::default().with_memory_max(1 << 30).with_pids_max(99);
    let mut config = helper(&scene, &["run"]).with_limits(limits);
    config.command = config.command.detached();
    let Some(host) = running(&scene, [("web", config)]) else { return scene.finish() };
    for _ in 0..2 {
        let start = scene.reports.start("web");
        let cgroup = cgroup_of(start.pid).unwrap();
        assert_eq!(file(&cgroup, "pids.max"), "99");
        until("the limit of memory", || file(&cgroup, "memory.max") == "1073741824");
        start.process.kill();
    }
    scene.reports.start("web");
    host.kill();
    scene.finish();
}

/// No controller is enabled there, which for some would make it a cgroup below which no process can be put.
#[test]
fn limit_below_a_cgroup_with_a_process_of_its_own_is_named_and_proxies_without_limits_are_started() {
    let scene = Scene::of_library();
    let Some(base) = base_with(&["pids"]) else { return scene.finish() };
    fs::write(base.join("cgroup.subtree_control"), "+pids").unwrap();
    let inner = base.join(format!("with-a-process-{}", std::process::id()));
    fs::create_dir(&inner).unwrap();
    let mut inside = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(inner.join("cgroup.procs"), inside.id().to_string()).unwrap();
    let mut host = Host::new(quick(&scene.data_dir()).with_cgroup(CgroupUse::Required).with_cgroup_base(inner.clone()));
    host.set("limited", helper(&scene, &["run"]).with_limits(CgroupLimits::default().with_pids_max(100)));
    host.run();
    let error = host.events.start_failed("limited");
    assert!(error.contains(&format!("limits.pids_max: a process is in {}, ", inner.display())), "{error}");
    host.set("web", helper(&scene, &["run"]));
    let start = scene.reports.start("web");
    assert!(cgroup_of(start.pid).unwrap().starts_with(&inner));
    host.kill();
    inside.kill().unwrap();
    inside.wait().unwrap();
    until("the cgroup to be empty", || fs::remove_dir(&inner).is_ok());
    scene.finish();
}

/// It serves on under what it was started with, until the next one is ready.
#[test]
fn process_of_another_declaration_keeps_its_limits_when_it_is_adopted() {
    let scene = Scene::of_library();
    let Some(_) = base_with(&["pids"]) else { return scene.finish() };
    let limits = CgroupLimits::default().with_pids_max(99);
    let Some(mut first) = running(&scene, [("web", overlapping(&scene, "1").with_limits(limits))]) else {
        return scene.finish();
    };
    let current = scene.reports.start("web");
    becomes_ready(&scene, &mut first, &current, 1);
    first.close();
    let mut host = Host::new(contained(&scene).unwrap());
    host.restore().unwrap();
    host.set("web", overlapping(&scene, "2"));
    host.run();
    assert_eq!(host.events.adopted("web"), current.pid);
    let next = scene.reports.start("web");
    let now = |pid| file(&cgroup_of(pid).unwrap(), "pids.max");
    assert_eq!((now(current.pid), now(next.pid)), ("99".to_owned(), "max".to_owned()));
    host.kill();
    assert!(current.process.is_gone() && next.process.is_gone());
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
fn daemon_without_a_manager_has_no_limits() {
    let config = ProxyConfig::new(Command::new("/bin/true")).with_limits(CgroupLimits::default().with_pids_max(1));
    let error = proxyprocess::Daemon::new("web", config).start().unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfig);
    assert!(error.to_string().contains("limits: expected none of a daemon without a manager"), "{error}");
}

/// Nothing is counted without a controller.
#[test]
fn sigkill_without_a_controller_is_of_unknown_cause() {
    let scene = Scene::of_library();
    let mut config = helper(&scene, &["run"]);
    config.restart.max_wait = HOUR;
    config.restart.attempts_before_backoff = 0;
    let mut host = Host::new(quick(&scene.data_dir()).with_cgroup(CgroupUse::Off));
    host.set("web", config);
    host.run();
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    start.process.kill();
    host.events.waiting("web");
    assert_eq!(host.status("web").last_exit_oom, None);
    host.kill();
    scene.finish();
}
