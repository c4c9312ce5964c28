// SPDX-License-Identifier: MPL-2.0
//! Restart policies: programs that are run once, ends that are expected, and proxies that are given up.

use std::fs;
use std::time::Duration;

use proxyprocess::{
    Command, Daemon, ErrorCode, EventKind, ExitStatus, ExpectedExit, GiveUpAfter, ProxyConfig, ProxyState, RestartWhen,
    WaitFor,
};

use crate::inside::{Host, helper, json, quick, wait_until};
use crate::support::{Agent, Config, Launch, Proxy, Scene, WATCHDOG, agent_with_fail_points};

const HOUR: Duration = Duration::from_secs(3600);

/// A program that notes each of its runs and exits with this code.
fn one_shot(scene: &Scene, code: u8, policy: RestartWhen) -> ProxyConfig {
    let script = format!("echo run >> {}; exit {code}", scene.path("runs").display());
    let mut config = ProxyConfig::new(Command::new("/bin/sh").args(["-c", &script]));
    config.command = scene.env().into_iter().fold(config.command, |command, (name, value)| command.env(name, value));
    config.token = Some("a declared token".to_owned());
    config.restart.policy = policy;
    config
}

fn runs(scene: &Scene) -> usize {
    fs::read_to_string(scene.path("runs")).unwrap_or_default().lines().count()
}

/// A host that runs, where the proxy is declared so.
fn running(scene: &Scene, config: &ProxyConfig) -> Host {
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config.clone());
    host.run();
    host
}

/// Waits until the proxy rests: as completed, or the code of the error and the text with which it has failed.
#[track_caller]
fn rests(host: &Host) -> Result<(), (ErrorCode, String)> {
    let waited = host.manager.wait_until("web", WaitFor::Completed, WATCHDOG);
    waited.map_err(|error| (error.code(), error.to_string()))
}

#[test]
fn one_shot_that_has_completed_is_not_run_again_by_the_next_agent() {
    for (policy, code) in [(RestartWhen::OnFailure, 0), (RestartWhen::Never, 64)] {
        let scene = Scene::of_library();
        let config = one_shot(&scene, code, policy).with_expected_exit(ExpectedExit::Code(64));
        let host = running(&scene, &config);
        assert_eq!(rests(&host), Ok(()));
        host.close();
        for restores in [false, true] {
            let mut host = Host::new(quick(&scene.data_dir()));
            if restores {
                host.restore().unwrap();
            }
            host.set("web", config.clone());
            host.run();
            assert_eq!(rests(&host), Ok(()));
            let status = host.status("web");
            assert_eq!((status.state, status.pid, status.ready), (ProxyState::Completed, None, false));
            assert_eq!(status.last_exit, Some(ExitStatus::Exited(code.into())));
            assert_eq!((status.last_error, status.generation), (None, Some(1)));
            let told = host.events.of_proxy("web");
            assert!(matches!(told[..], [EventKind::Completed { status: ExitStatus::Exited(_) }]), "{told:?}");
            host.close();
        }
        assert_eq!((runs(&scene), scene.pid_file("web")), (1, None));
        scene.finish();
    }
}

#[test]
fn completed_one_shot_is_run_again_when_it_is_restarted_changed_or_declared_anew() {
    let scene = Scene::of_library();
    let mut config = one_shot(&scene, 0, RestartWhen::Never);
    let mut host = running(&scene, &config);
    let completed =
        |host: &mut Host| host.events.until("the end", |event| matches!(event.kind, EventKind::Completed { .. }));
    completed(&mut host);
    host.manager.restart("web").unwrap();
    completed(&mut host);
    assert_eq!((runs(&scene), host.status("web").restarts), (2, 1));

    // Other settings are no other process.
    config.stop.grace_period = HOUR;
    host.set("web", config.clone());
    host.follow("marker");
    assert_eq!((host.status("web").state, runs(&scene)), (ProxyState::Completed, 2));
    config.command = config.command.env("A", "b");
    host.set("web", config.clone());
    completed(&mut host);
    assert_eq!(runs(&scene), 3);

    host.state.remove("web");
    host.events.stopped("web");
    host.set("web", config.clone());
    completed(&mut host);
    assert_eq!(runs(&scene), 4);

    // With what is stopped all that is known of it is gone.
    host.kill();
    let mut host = running(&scene, &config);
    completed(&mut host);
    assert_eq!(runs(&scene), 5);
    host.kill();
    scene.finish();
}

#[test]
fn one_shot_that_has_failed_is_run_once_with_never_and_again_on_failure() {
    let scene = Scene::of_library();
    let mut config = one_shot(&scene, 3, RestartWhen::Never);
    let failed = "not restarted, for its restart policy is never: exit code 3".to_owned();
    for _ in 0..2 {
        let host = running(&scene, &config);
        assert_eq!(rests(&host), Err((ErrorCode::NotRunning, failed.clone())));
        let status = host.status("web");
        assert_eq!((status.state, status.last_error), (ProxyState::Failed, Some(failed.clone())));
        assert_eq!(status.last_exit, Some(ExitStatus::Exited(3)));
        host.close();
    }
    assert_eq!(runs(&scene), 1);
    config.restart.policy = RestartWhen::OnFailure;
    config.restart.attempts_before_backoff = 1;
    config.restart.max_wait = HOUR;
    let mut host = running(&scene, &config);
    host.events.waiting("web");
    assert_eq!(runs(&scene), 3, "the next agent has started it, and started it again at once");
    host.kill();
    scene.finish();
}

#[test]
fn end_that_no_agent_saw_is_final_with_never_and_a_failure_on_failure() {
    for policy in [RestartWhen::Always, RestartWhen::OnFailure, RestartWhen::Never] {
        let scene = Scene::of_library();
        let mut config = helper(&scene, &["run"]);
        config.restart.policy = policy;
        let mut host = running(&scene, &config);
        let first = scene.reports.start("web");
        assert_eq!(host.events.started("web"), first.pid);
        host.close();
        first.process.kill();
        let host = running(&scene, &config);
        if policy == RestartWhen::Never {
            let (code, text) = rests(&host).unwrap_err();
            assert_eq!(code, ErrorCode::AdoptionRefused, "{text}");
            assert!(text.starts_with("not restarted, for its restart policy is never: ended while no agent"), "{text}");
            assert_eq!(host.status("web").state, ProxyState::Failed);
        } else {
            scene.reports.start("web");
        }
        host.kill();
        scene.finish();
    }
}

#[test]
fn proxy_that_fails_too_often_is_given_up_until_it_is_restarted_or_changed() {
    let scene = Scene::of_library();
    let mut config = one_shot(&scene, 3, RestartWhen::Always);
    config.restart.give_up_after = Some(GiveUpAfter::new(3, HOUR));
    let mut host = running(&scene, &config);
    let gave_up = "gave up after 3 failures within 3600000 ms: exit code 3";
    assert_eq!(host.events.failed("web"), gave_up);
    let status = host.status("web");
    assert_eq!((status.state, status.restarts, runs(&scene)), (ProxyState::Failed, 2, 3));
    assert_eq!((status.last_error.as_deref(), status.next_start_ms), (Some(gave_up), None));
    host.manager.restart("web").unwrap();
    assert_eq!(host.events.failed("web"), gave_up);
    assert_eq!(runs(&scene), 6);
    config.stop.grace_period = HOUR;
    host.set("web", config.clone());
    assert_eq!(host.events.failed("web"), gave_up);
    assert_eq!(runs(&scene), 9);
    host.close();
    let mut host = running(&scene, &config);
    assert_eq!(host.events.failed("web"), gave_up, "the next agent tries it again");
    assert_eq!(runs(&scene), 12);
    config.command = Command::new(scene.path("absent"));
    config.restart.max_wait = Duration::ZERO;
    host.set("web", config);
    let error = host.events.failed("web");
    assert!(
        error.starts_with("gave up after 3 failures within 3600000 ms: exec") && error.contains("absent"),
        "{error}"
    );
    host.kill();
    scene.finish();
}

#[test]
fn retry_starts_what_waits_or_was_given_up_and_no_other() {
    let scene = Scene::of_library();
    let mut config = one_shot(&scene, 3, RestartWhen::Always);
    config.restart.attempts_before_backoff = 0;
    config.restart.max_wait = HOUR;
    config.restart.healthy_after = HOUR;
    let mut host = running(&scene, &config);
    for runs in 1..=4 {
        host.events.waiting("web");
        assert_eq!(self::runs(&scene), runs);
        host.manager.retry("web").unwrap();
    }
    host.events.waiting("web");
    config.restart.give_up_after = Some(GiveUpAfter::new(2, HOUR));
    host.set("web", config);
    host.follow("marker");
    assert_eq!(host.status("web").state, ProxyState::Waiting);
    // The first failure that counts, and the second.
    host.manager.retry("web").unwrap();
    host.events.waiting("web");
    host.manager.retry("web").unwrap();
    host.events.waiting("web");
    assert_eq!(runs(&scene), 7, "a retry has all of them before it again");

    host.set("ready", helper(&scene, &["run"]));
    let start = scene.reports.start("ready");
    assert_eq!(host.events.started("ready"), start.pid);
    host.manager.retry("ready").unwrap();
    assert_eq!(host.status("ready").pid, Some(start.pid));
    let error = host.manager.retry("none").unwrap_err();
    assert_eq!((error.code(), error.to_string()), (ErrorCode::NotFound, "proxy none: not managed".to_owned()));
    host.kill();
    scene.finish();
}

#[test]
fn forgotten_crashes_begin_the_backoff_and_the_count_anew() {
    let scene = Scene::of_library();
    let mut config = helper(&scene, &["run"]);
    config.restart.attempts_before_backoff = 1;
    config.restart.max_wait = HOUR;
    config.restart.healthy_after = HOUR;
    config.restart.give_up_after = Some(GiveUpAfter::new(2, HOUR));
    let mut host = running(&scene, &config);
    for _ in 0..5 {
        let start = scene.reports.start("web");
        assert_eq!(host.events.started("web"), start.pid);
        host.manager.reset_crashes("web").unwrap();
        assert_eq!(host.status("web").restarts, 0);
        start.process.kill();
    }
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    assert_eq!(host.status("web").restarts, 1);
    start.process.kill();
    assert_eq!(host.events.failed("web"), "gave up after 2 failures within 3600000 ms: signal SIGKILL");
    host.manager.reset_crashes("web").unwrap();
    assert_eq!(host.status("web").state, ProxyState::Failed, "nothing is started by that");
    host.manager.retry("web").unwrap();
    scene.reports.start("web");
    host.kill();
    scene.finish();
}

#[test]
fn changed_policy_restarts_nothing_and_holds_from_the_next_end_on() {
    let scene = Scene::of_library();
    let mut config = helper(&scene, &["run"]);
    let mut host = running(&scene, &config);
    let first = scene.reports.start("web");
    config.restart.policy = RestartWhen::OnFailure;
    config = config.with_expected_exit(ExpectedExit::Signal(proxyprocess::Signal::KILL));
    host.set("web", config.clone());
    host.follow("marker");
    assert_eq!(host.status("web").pid, Some(first.pid));
    first.process.kill();
    assert_eq!(rests(&host), Ok(()));
    let record = scene.data_dir().join("records/web.json");
    let is_completed = || json(&record)["ended"]["completed"] == true;
    wait_until(record.parent().unwrap(), "the record to say how it has ended", is_completed);
    config.restart.policy = RestartWhen::Always;
    host.set("web", config);
    let second = scene.reports.start("web");
    host.kill();
    assert!(second.process.is_gone());
    scene.finish();
}

#[test]
fn what_a_completed_program_has_left_is_ended() {
    let scene = Scene::of_library();
    let mut config = one_shot(&scene, 0, RestartWhen::Never);
    let script = format!("sleep 1000 & setsid sleep 1000 & echo run >> {}", scene.path("runs").display());
    config.command = Command::new("/bin/sh").args(["-c", &script]);
    config.command = scene.env().into_iter().fold(config.command, |command, (name, value)| command.env(name, value));
    let host = running(&scene, &config);
    assert_eq!(rests(&host), Ok(()));
    assert_eq!(runs(&scene), 1);
    assert!(scene.alive().is_empty(), "{:?}", scene.alive());
    host.close();
    scene.finish();
}

#[test]
fn wait_for_a_proxy_that_runs_fails_once_it_has_completed() {
    let scene = Scene::of_library();
    let mut host = running(&scene, &one_shot(&scene, 0, RestartWhen::Never));
    host.events.until("the end", |event| matches!(event.kind, EventKind::Completed { .. }));
    let error = host.manager.wait_until("web", WaitFor::Running, WATCHDOG).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotRunning);
    assert!(error.to_string().ends_with("its state is completed"), "{error}");
    let error = host.manager.signal("web", proxyprocess::Signal::HUP).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotRunning);
    host.kill();
    scene.finish();
}

#[test]
fn daemon_that_has_completed_is_started_again_by_a_start() {
    let scene = Scene::of_library();
    let daemon = Daemon::new("web", one_shot(&scene, 0, RestartWhen::Never));
    let mut events = daemon.events();
    for run in 1..=3 {
        daemon.start().unwrap();
        let completed = events.find(|event| matches!(event.kind, EventKind::Completed { .. }));
        assert!(completed.is_some());
        assert_eq!((daemon.status().state, runs(&scene)), (ProxyState::Completed, run));
    }
    daemon.stop().unwrap();
    assert_eq!(daemon.status().state, ProxyState::Stopped);
    scene.finish();
}

/// The agent is killed between the end of a process and its record, or just after that.
#[test]
fn end_that_was_seen_and_not_recorded_is_one_that_no_agent_saw() {
    let script = |scene: &Scene| format!("echo run >> {}", scene.path("runs").display());
    for (point, policy, state, expected) in [
        ("exit:told", "never", "failed", 1),
        ("exit:told", "on-failure", "completed", 2),
        ("end:recorded", "never", "completed", 1),
        ("end:recorded", "on-failure", "completed", 1),
    ] {
        let scene = Scene::new();
        let proxy = Proxy::command(&["/bin/sh", "-c", &script(&scene)]).set("token", "a declared token");
        let config = Config::new(&scene).proxy("web", proxy.set("restart", serde_json::json!({"policy": policy})));
        let fail = format!("{point}#1=die");
        let launch = Launch::of(agent_with_fail_points(), &scene).env("PROXYPROCESS_FAIL", &fail);
        launch.spawn(&config).end();
        let agent = Agent::start(&scene, &config);
        agent.status_when(&scene, "it rests", |status| status.is("web", state));
        assert_eq!(runs(&scene), expected, "{point} {policy}");
        agent.quit();
        scene.finish();
    }
}
