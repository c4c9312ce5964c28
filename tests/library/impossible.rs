// SPDX-License-Identifier: MPL-2.0
//! A process that serves is not stopped for one that cannot be started, as far as that can be known before.

use std::fs;
use std::path::Path;
use std::time::Duration;

use proxyprocess::{
    CgroupLimits, CgroupUse, Command, ErrorCode, EventKind, ProxyConfig, ProxyState, Replace, Resource, ResourceLimit,
    RestartWhen, WaitFor,
};

use crate::inside::{Host, helper, quick};
use crate::support::{HELPER, Process, Scene, Start, until};

/// A manager without cgroups whose one proxy runs.
fn running(scene: &Scene, config: ProxyConfig) -> (Host, Start) {
    let mut host = Host::new(quick(&scene.data_dir()).with_cgroup(CgroupUse::Off));
    host.set("web", config);
    host.run();
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    (host, start)
}

/// A helper by another name, which is not there yet.
fn late(scene: &Scene) -> ProxyConfig {
    let own = helper(scene, &["run"]);
    let command = Command::new(scene.path("late")).arg("run");
    let command = scene.env().into_iter().fold(command, |command, (name, value)| command.env(name, value));
    of(own, command)
}

/// The same with another command.
fn of(mut config: ProxyConfig, command: Command) -> ProxyConfig {
    config.command = command;
    config
}

fn comes(scene: &Scene) {
    let at = scene.path("late");
    if fs::hard_link(*HELPER, &at).is_err() {
        fs::copy(*HELPER, &at).unwrap();
    }
}

fn of_limits(config: ProxyConfig) -> ProxyConfig {
    config.with_limits(CgroupLimits::default().with_pids_max(100))
}

#[track_caller]
fn serves_on(host: &Host, start: &Start, error: &str) {
    let status = host.status("web");
    assert_eq!((status.state, status.ready, status.pid), (ProxyState::Running, true, Some(start.pid)));
    assert_eq!(status.last_error.as_deref(), Some(error));
    assert!(!start.process.is_gone());
}

fn was_stopped(host: &mut Host) -> bool {
    host.events.of_proxy("web").iter().any(|kind| matches!(kind, EventKind::Stopping { .. }))
}

#[test]
fn process_serves_on_while_what_is_declared_instead_cannot_be_started() {
    let scene = Scene::of_library();
    let config = helper(&scene, &["graceful"]);
    let (mut host, start) = running(&scene, config.clone());
    let with = |change: &dyn Fn(Command) -> Command| of(config.clone(), change(config.command.clone()));
    let missing_dir = scene.path("no-such-dir");
    let plain = scene.path("plain");
    fs::write(&plain, "").unwrap();
    let cases = [
        (late(&scene), format!("execute {}: no such file: ", scene.path("late").display())),
        (
            // A directory of the agent's PATH may be closed to this user, which is what the kernel would say then.
            ProxyConfig::new(Command::new("no-such-program-at-all").env("PATH", "/usr/bin:/bin")),
            "execute no-such-program-at-all: not found in PATH".into(),
        ),
        (ProxyConfig::new(Command::new(&plain)), format!("execute {}: is not executable: ", plain.display())),
        (with(&|command| command.dir(&missing_dir)), format!("chdir {}: ", missing_dir.display())),
        (with(&|command| command.user("no-such-user-at-all")), "user no-such-user-at-all".into()),
        (of_limits(with(&|command| command.arg("other"))), "limits: they need a cgroup of its own".into()),
    ];
    for (impossible, why) in cases {
        host.set("web", impossible);
        let error = host.events.start_failed("web");
        assert!(error.starts_with("not replaced: ") && error.contains(&why), "{error}, not {why}");
        serves_on(&host, &start, &error);
    }
    // What runs is as declared again.
    host.set("web", config);
    until("no error", || host.status("web").last_error.is_none());
    assert_eq!((host.status("web").pid, was_stopped(&mut host)), (Some(start.pid), false));
    host.kill();
    assert_eq!(scene.reports.signal(&start), "SIGINT");
    scene.finish();
}

#[test]
fn limit_above_that_of_the_agent_stops_no_process_that_serves() {
    let scene = Scene::of_library();
    let config = helper(&scene, &["run"]);
    let (mut host, start) = running(&scene, config.clone());
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let Some(above) = hard.and_then(|hard| hard.checked_add(1)) else { return host.kill() };
    let command = config.command.clone().rlimit(Resource::Nofile, ResourceLimit::soft(above));
    host.set("web", of(config, command));
    let error = host.events.start_failed("web");
    assert!(error.starts_with("not replaced: set rlimits.nofile"), "{error}");
    serves_on(&host, &start, &error);
    host.kill();
    scene.finish();
}

/// By itself, and at once when a caller says so.
#[test]
fn process_is_replaced_as_soon_as_its_successor_can_be_started() {
    for asks in [false, true] {
        let scene = Scene::of_library();
        let (mut host, start) = running(&scene, helper(&scene, &["run"]));
        host.set("web", late(&scene));
        let error = host.events.start_failed("web");
        serves_on(&host, &start, &error);
        let waited = host.manager.wait_until("web", WaitFor::Running, Duration::ZERO).unwrap_err();
        assert_eq!(waited.code(), ErrorCode::Timeout, "what runs is not what is declared: {waited}");
        comes(&scene);
        if asks {
            host.manager.retry("web").unwrap();
        }
        let next = scene.reports.start("web");
        assert!(start.process.is_gone(), "the old one goes before the new one comes");
        assert_eq!(host.events.started("web"), next.pid);
        host.manager.wait_until("web", WaitFor::Running, Duration::from_secs(30)).unwrap();
        assert_eq!(host.status("web").last_error, None);
        host.kill();
        scene.finish();
    }
}

#[test]
fn restart_that_cannot_be_made_leaves_the_process_until_it_can() {
    let scene = Scene::of_library();
    let config = helper(&scene, &["run"]);
    let (mut host, start) = running(&scene, config.clone());
    // Limits alone take no new process: without a cgroup it runs on as it was.
    host.set("web", of_limits(config.clone()));
    until("the limits to be missed", || {
        host.status("web").last_error.is_some_and(|error| error.contains("it was started without one"))
    });
    host.manager.restart("web").unwrap();
    let error = host.events.start_failed("web");
    assert!(error.starts_with("not replaced: limits: "), "{error}");
    serves_on(&host, &start, &error);
    host.set("web", config);
    let next = scene.reports.start("web");
    assert!(start.process.is_gone(), "the restart was asked for");
    assert_eq!(host.events.started("web"), next.pid);
    host.kill();
    scene.finish();
}

#[test]
fn process_that_ends_by_itself_is_succeeded_by_what_is_declared() {
    for policy in [RestartWhen::Always, RestartWhen::OnFailure, RestartWhen::Never] {
        let scene = Scene::of_library();
        let mut config = helper(&scene, &["run"]);
        config.restart.policy = policy;
        let (mut host, start) = running(&scene, config);
        let mut declared = late(&scene);
        declared.restart.policy = policy;
        host.set("web", declared);
        let error = host.events.start_failed("web");
        serves_on(&host, &start, &error);
        start.process.kill();
        let failed = host.events.start_failed("web");
        assert_eq!(error, format!("not replaced: {failed}"));
        host.events.waiting("web");
        comes(&scene);
        host.manager.retry("web").unwrap();
        let next = scene.reports.start("web");
        assert_eq!(host.events.started("web"), next.pid);
        host.kill();
        scene.finish();
    }
}

#[test]
fn removal_and_pause_stop_a_process_whose_successor_cannot_be_started() {
    let scene = Scene::of_library();
    let (mut host, first) = running(&scene, helper(&scene, &["graceful"]));
    host.set("web", late(&scene));
    host.events.start_failed("web");
    host.manager.pause("web").unwrap();
    host.events.stopped("web");
    assert_eq!((scene.reports.signal(&first), first.process.is_gone()), ("SIGINT".to_owned(), true));
    host.manager.resume("web").unwrap();
    // No process is left to serve on.
    assert!(host.events.start_failed("web").starts_with("execute "));
    host.set("web", helper(&scene, &["graceful"]));
    let second = scene.reports.start("web");
    assert_eq!(host.events.started("web"), second.pid);
    host.set("web", late(&scene));
    host.events.start_failed("web");
    host.state.remove("web");
    host.events.stopped("web");
    assert!(second.process.is_gone());
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

/// Whether it finds the snapshot, or the records alone.
#[test]
fn next_agent_leaves_a_process_whose_successor_cannot_be_started() {
    for has_snapshot in [true, false] {
        let scene = Scene::of_library();
        let (mut first, start) = running(&scene, helper(&scene, &["graceful"]));
        first.set("web", late(&scene));
        first.events.start_failed("web");
        first.close();
        let mut host = Host::new(quick(&scene.data_dir()).with_cgroup(CgroupUse::Off));
        if has_snapshot {
            host.restore().unwrap();
        }
        host.set("web", late(&scene));
        host.run();
        assert_eq!(host.events.adopted("web"), start.pid);
        let error = host.events.start_failed("web");
        assert!(error.starts_with("not replaced: execute "), "{error}");
        serves_on(&host, &start, &error);
        comes(&scene);
        host.manager.retry("web").unwrap();
        let next = scene.reports.start("web");
        assert_eq!((scene.reports.signal(&start), start.process.is_gone()), ("SIGINT".to_owned(), true));
        assert_eq!(host.events.started("web"), next.pid);
        host.kill();
        assert!(Process::open(next.pid).is_none() || next.process.is_gone());
        scene.finish();
    }
}

/// What is declared now is to run once, and has not run yet.
#[test]
fn end_of_a_process_that_no_agent_saw_is_not_that_of_what_is_declared_now() {
    for replace in [Replace::StopFirst, Replace::Overlap] {
        let scene = Scene::of_library();
        let mut config = helper(&scene, &["run"]);
        (config.restart.policy, config.replace) = (RestartWhen::Never, replace);
        let (first, start) = running(&scene, config.clone());
        first.close();
        start.process.kill();
        until("its end", || start.process.is_gone());
        let mut host = Host::new(quick(&scene.data_dir()).with_cgroup(CgroupUse::Off));
        config.command = config.command.arg("other");
        host.set("web", config);
        host.run();
        let next = scene.reports.start("web");
        assert_eq!(host.events.started("web"), next.pid);
        host.kill();
        scene.finish();
    }
}

/// What limits are tried in is gone afterwards.
#[test]
fn limits_that_can_be_set_let_a_process_be_replaced() {
    let scene = Scene::of_library();
    let config = helper(&scene, &["run"]);
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config.clone());
    host.run();
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    let Some(cgroup) = host.status("web").cgroup else {
        println!("skipped: no cgroups can be made here");
        host.kill();
        return scene.finish();
    };
    let home = cgroup.parent().unwrap().to_owned();
    let names = |home: &Path| {
        let dirs = fs::read_dir(home).unwrap().filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_dir());
        dirs.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let command = config.command.clone().arg("other");
    host.set("web", of_limits(of(config, command)));
    let next = host.events.until("a start or its failure", |event| {
        let is_error =
            matches!(&event.kind, EventKind::StartFailed { error } if error.starts_with("not replaced: limits"));
        is_error || matches!(event.kind, EventKind::Started { pid } if pid != Some(start.pid))
    });
    let is_replaced = matches!(next.kind, EventKind::Started { .. });
    assert_eq!(start.process.is_gone(), is_replaced, "{next:?}");
    assert_eq!(names(&home), ["web.proxy"]);
    host.kill();
    scene.reports.forget_unread();
    scene.finish();
}

/// Also while a handover is under way to another declaration, which is given up for this one.
#[test]
fn process_in_a_handover_serves_on_while_what_is_to_replace_it_alone_cannot_be_started() {
    for changes_command in [false, true] {
        let scene = Scene::of_library();
        let (mut host, start) = running(&scene, helper(&scene, &["graceful"]));
        let next = late(&scene).with_replace(Replace::Overlap);
        host.set("web", next.clone());
        assert!(host.events.start_failed("web").starts_with("execute "));
        let alone = match changes_command {
            true => of(next.clone(), next.command.clone().arg("other")),
            false => next,
        };
        host.set("web", alone.with_replace(Replace::StopFirst));
        let not_replaced = |kind: &EventKind| {
            assert!(!matches!(kind, EventKind::Stopping { pid } if *pid == Some(start.pid)), "it is stopped");
            matches!(kind, EventKind::StartFailed { error } if error.starts_with("not replaced: execute "))
        };
        host.events.until("what is known beforehand", |event| not_replaced(&event.kind));
        until("the other one to be gone", || host.status("web").other.is_none());
        let error = host.status("web").last_error.unwrap();
        assert!(error.starts_with("not replaced: execute "), "{error}");
        serves_on(&host, &start, &error);
        comes(&scene);
        host.manager.retry("web").unwrap();
        let next = scene.reports.start("web");
        assert_eq!((scene.reports.signal(&start), start.process.is_gone()), ("SIGINT".to_owned(), true));
        assert_eq!(host.events.started("web"), next.pid);
        host.kill();
        scene.reports.forget_unread();
        scene.finish();
    }
}

/// In a cgroup it is known at once what a process has left, and the end of one is no end of what is declared.
#[test]
fn end_of_a_process_is_not_taken_for_that_of_its_successor() {
    for policy in [RestartWhen::OnFailure, RestartWhen::Never] {
        let scene = Scene::of_library();
        let mut config = helper(&scene, &["run"]);
        config.restart.policy = policy;
        let mut host = Host::new(quick(&scene.data_dir()));
        host.set("web", config);
        host.run();
        let start = scene.reports.start("web");
        assert_eq!(host.events.started("web"), start.pid);
        let mut declared = late(&scene);
        declared.restart.policy = policy;
        host.set("web", declared);
        host.events.start_failed("web");
        let manager = host.manager.clone();
        let waits = std::thread::spawn(move || manager.wait_until("web", WaitFor::Running, Duration::from_secs(30)));
        start.process.kill();
        let is_over = |kind: &EventKind| matches!(kind, EventKind::Failed { .. } | EventKind::Completed { .. });
        let next = host.events.until("what follows", |event| {
            assert!(!is_over(&event.kind), "{event:?}");
            matches!(event.kind, EventKind::StartFailed { .. })
        });
        assert_eq!(next.id.as_deref(), Some("web"));
        comes(&scene);
        host.manager.retry("web").unwrap();
        let next = scene.reports.start("web");
        assert_eq!(host.events.started("web"), next.pid);
        waits.join().unwrap().unwrap();
        host.kill();
        scene.finish();
    }
}

#[test]
fn directory_that_is_a_file_stops_no_process_that_serves() {
    let scene = Scene::of_library();
    let config = helper(&scene, &["run"]);
    let (mut host, start) = running(&scene, config.clone());
    let file = scene.path("file");
    fs::write(&file, "").unwrap();
    host.set("web", of(config.clone(), config.command.clone().dir(&file)));
    let error = host.events.start_failed("web");
    assert!(error.starts_with(&format!("not replaced: chdir {}", file.display())), "{error}");
    serves_on(&host, &start, &error);
    host.kill();
    scene.finish();
}
