// SPDX-License-Identifier: MPL-2.0
//! Processes that have left the group of their leader for another session, where no signal to the group reaches them.

use std::time::{Duration, Instant};

use proxyprocess::{CgroupUse, EventKind};
use rustix::process::{getpid, set_child_subreaper};

use crate::inside::{Host, helper, json, quick, wait_until};
use crate::stops::common::Whose;
use crate::support::{Agent, Config, Proxy, Scene, Start, alone};

const GRACE: Duration = Duration::from_millis(500);

fn one_stop(whose: Whose) {
    let scene = Scene::new();
    let config = Config::scanning(&scene)
        .proxy("polite", Proxy::helper(&["escaped"]).grace_ms(600_000))
        .proxy("stubborn", Proxy::helper(&["escaped", "stubborn"]).grace_ms(GRACE.as_millis().try_into().unwrap()));
    let agent = Agent::start(&scene, &config);
    let leaders = ["polite", "stubborn"].map(|id| scene.reports.start(id));
    let escaped = ["polite", "stubborn"].map(|id| scene.reports.grandchild(id));
    let agent = whose.agent(&scene, &config, agent, &leaders);

    let begun = Instant::now();
    agent.quit();
    let took = begun.elapsed();
    assert!(leaders.iter().chain(&escaped).all(|start| start.process.is_gone()), "the agent ended before them");
    assert!(took >= GRACE && took < GRACE * 5, "{took:?}, not one grace period");
    // They had the same chance as the group.
    for one in &escaped {
        assert_eq!(scene.reports.signal(one), "SIGINT", "{}", one.id);
    }
    assert_eq!(scene.pid_files(), [""; 0]);
    scene.finish();
}

#[test]
fn a_stop_ends_what_left_for_another_session() {
    one_stop(Whose::Own);
}

#[test]
fn a_stop_ends_what_left_an_adopted_leader_for_another_session() {
    one_stop(Whose::Adopted);
}

/// A second one beside the first would be reported as DUPLICATE. The starts that follow a crash at once are no business
/// of this test.
#[test]
fn no_successor_that_waits_is_started_beside_what_left_for_another_session() {
    let scene = Scene::new();
    let restart = serde_json::json!({"attempts_before_backoff": 0, "max_wait_ms": 10});
    let web = Proxy::helper(&["escaped", "stubborn"]).set("restart", restart).grace_ms(50);
    let config = Config::scanning(&scene).proxy("web", web);
    let agent = Agent::start(&scene, &config);
    let (mut leader, mut escaped) = (scene.reports.start("web"), scene.reports.grandchild("web"));
    for _ in 0..2 {
        leader.process.kill();
        leader = scene.reports.start("web");
        assert!(escaped.process.is_gone(), "the successor runs beside it");
        escaped = scene.reports.grandchild("web");
    }
    agent.kill();
    // No agent supervises them.
    leader.process.kill();
    let agent = Agent::start(&scene, &config);
    leader = scene.reports.start("web");
    assert!(escaped.process.is_gone(), "the successor runs beside it");
    agent.status_running(&scene, "web", leader.pid);
    escaped = scene.reports.grandchild("web");
    agent.quit();
    assert!(leader.process.is_gone() && escaped.process.is_gone());
    scene.reports.forget_signals();
    scene.finish();
}

fn stubborn(scene: &Scene) -> proxyprocess::ProxyConfig {
    let mut config = helper(scene, &["escaped", "stubborn"]);
    config.stop.grace_period = Duration::from_millis(50);
    config
}

/// The origin in the environment of a process is that of who has started it, and not of who has it now.
#[test]
fn a_stop_ends_what_left_for_another_session_also_under_another_data_directory() {
    alone("stops::escaped::a_stop_ends_what_left_for_another_session_also_under_another_data_directory", || {
        set_child_subreaper(Some(getpid())).unwrap();
        let scene = Scene::of_library();
        let told = scene.path("told");
        let mut host = Host::new(quick(&scene.path("one")));
        host.set("web", stubborn(&scene));
        host.run();
        let (leader, escaped) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        host.events.started("web");
        host.manager.snapshot(&told).unwrap();
        host.close();

        let mut next = Host::new(quick(&scene.path("two")));
        next.manager.restore(&told).unwrap();
        assert_eq!(next.events.adopted("web"), leader.pid);
        // Its record is written anew, for it says how the process is stopped.
        let mut config = stubborn(&scene);
        config.stop.grace_period = Duration::from_millis(60);
        next.set("web", config);
        next.run();
        let record = |place: &str| json(&scene.path(place).join("records/web.json"));
        wait_until(&scene.path("two/records"), "the record", || record("two")["grace_period_ms"] == 60);
        assert_eq!(record("two")["origin"], record("one")["origin"]);
        next.manager.snapshot(&told).unwrap();
        next.close();

        // By what the second has told, and then by the record of the third.
        let mut third = Host::new(quick(&scene.path("three")));
        third.manager.restore(&told).unwrap();
        assert_eq!(third.events.adopted("web"), leader.pid);
        third.close();
        let last = Host::new(quick(&scene.path("three")));
        last.restore().unwrap();
        last.kill();
        assert!(leader.process.is_gone() && escaped.process.is_gone() && escaped.process.reap());
        scene.reports.forget_signals();
        scene.finish();
    });
}

#[test]
fn a_stop_of_a_daemon_out_of_a_snapshot_ends_what_left_for_another_session() {
    alone("stops::escaped::a_stop_of_a_daemon_out_of_a_snapshot_ends_what_left_for_another_session", || {
        set_child_subreaper(Some(getpid())).unwrap();
        let scene = Scene::of_library();
        let daemon = proxyprocess::Daemon::new("web", stubborn(&scene));
        daemon.start().unwrap();
        let first = [scene.reports.start("web"), scene.reports.grandchild("web")];
        let snapshot = daemon.marshal_snapshot();
        daemon.close().unwrap();

        let next = proxyprocess::Daemon::new("web", stubborn(&scene));
        next.unmarshal_snapshot(&snapshot).unwrap();
        assert_eq!(next.status().pid, Some(first[0].pid));
        // Told once more, it is the same.
        assert_eq!(next.marshal_snapshot(), snapshot);
        next.stop().unwrap();
        assert!(first.iter().all(|start| start.process.is_gone()) && first[1].process.reap());
        // What is started from now on is of this daemon.
        next.start().unwrap();
        let second = [scene.reports.start("web"), scene.reports.grandchild("web")];
        assert_ne!(next.marshal_snapshot()["process"]["origin"], snapshot["process"]["origin"]);
        next.stop().unwrap();
        assert!(second.iter().all(|start| start.process.is_gone()) && second[1].process.reap());
        scene.reports.forget_signals();
        scene.finish();
    });
}

/// It should have been declared without the option that does this; but its copies must not pile up.
#[test]
fn a_command_that_puts_itself_into_the_background_never_has_two_of_itself() {
    let scene = Scene::new();
    let restart = serde_json::json!({"attempts_before_backoff": 1000, "max_wait_ms": 10});
    let config =
        Config::scanning(&scene).proxy("web", Proxy::helper(&["daemonizes"]).set("restart", restart).grace_ms(200));
    let agent = Agent::start(&scene, &config);
    let mut last: Option<Start> = None;
    for _ in 0..5 {
        let next = scene.reports.grandchild("web");
        if let Some(last) = last.replace(next) {
            assert!(last.process.is_gone(), "two of them");
        }
    }
    agent.quit();
    assert!(last.is_some_and(|last| last.process.is_gone()));
    scene.reports.forget_unread();
    scene.finish();
}

/// Two agents on one machine may well have been given the same ids and tokens.
#[test]
fn what_is_of_another_agent_with_the_same_id_and_token_is_no_business_of_a_stop() {
    let (one, other) = (Scene::new(), Scene::new());
    let config = |scene: &Scene| {
        Config::scanning(scene)
            .proxy("web", Proxy::helper(&["escaped", "stubborn"]).set("token", "the same").grace_ms(50))
    };
    let (first, second) = (Agent::start(&one, &config(&one)), Agent::start(&other, &config(&other)));
    let (leader, escaped) = (other.reports.start("web"), other.reports.grandchild("web"));
    // Also when its own agent is gone and its leader as well.
    second.kill();
    leader.process.kill();
    let own = [one.reports.start("web"), one.reports.grandchild("web")];
    first.quit();
    assert!(own.iter().all(|start| start.process.is_gone()));
    assert!(!escaped.process.is_gone(), "a stranger was killed");
    one.reports.forget_signals();
    one.finish();

    let second = Agent::start(&other, &config(&other));
    let again = [other.reports.start("web"), other.reports.grandchild("web")];
    assert!(escaped.process.is_gone(), "its own agent ends it");
    second.quit();
    assert!(again.iter().all(|start| start.process.is_gone()));
    other.reports.forget_signals();
    other.finish();
}

/// A proxy may itself be an agent, whose proxies are to live on.
#[test]
fn what_a_proxy_of_a_proxy_is_called_is_its_own() {
    alone("stops::escaped::what_a_proxy_of_a_proxy_is_called_is_its_own", || {
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()).with_cgroup(CgroupUse::Off));
        host.set("web", helper(&scene, &["inspect"]));
        host.run();
        let origin = |start: &Start| start.inspection.as_ref().unwrap().env["CONNECT_PROXY_ORIGIN"].clone();
        let own = origin(&scene.reports.start("web"));
        let mut inherits = helper(&scene, &["inspect"]);
        inherits.command = inherits.command.env("CONNECT_PROXY_ORIGIN", &own);
        let daemon = proxyprocess::Daemon::new("alone", inherits);
        daemon.start().unwrap();
        let alone = scene.reports.start("alone");
        assert_ne!(origin(&alone), own);
        host.kill();
        assert!(!alone.process.is_gone());
        // Restarted it is called the same.
        daemon.stop().unwrap();
        daemon.start().unwrap();
        assert_eq!(origin(&scene.reports.start("alone")), origin(&alone));
        daemon.stop().unwrap();
        scene.finish();
    });
}

/// What is told while they are being ended.
#[test]
fn the_status_names_those_who_left() {
    alone("stops::escaped::the_status_names_those_who_left", || {
        set_child_subreaper(Some(getpid())).unwrap();
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()).with_cgroup(CgroupUse::Off));
        let mut config = helper(&scene, &["escaped", "stubborn"]);
        config.stop.grace_period = Duration::from_secs(600);
        host.set("web", config.clone());
        host.run();
        let (leader, escaped) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        host.state.remove("web");
        assert_eq!(scene.reports.signal(&escaped), "SIGINT");
        assert!(leader.process.is_gone());
        let error = host.status("web").last_error.unwrap();
        assert_eq!(error, format!("pid {} left the group for another session: ended as well", escaped.pid));
        // Another declaration waits for it too, and shortens its time.
        config.stop.grace_period = Duration::from_millis(50);
        host.set("web", config);
        let next = scene.reports.start("web");
        assert!(escaped.process.is_gone());
        assert!(escaped.process.reap());
        let escaped = scene.reports.grandchild("web");
        assert_eq!(host.manager.kill(), Ok(()));
        assert!(next.process.is_gone() && escaped.process.is_gone() && escaped.process.reap());
        assert!(host.events.seen().iter().all(|event| !matches!(event.kind, EventKind::StartFailed { .. })));
        host.join();
        scene.reports.forget_signals();
        scene.finish();
    });
}
