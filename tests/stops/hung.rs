//! What never comes to an end, as on a file system that hangs, or where a stranger holds up whoever reads of him.

use rustix::process::Signal;

use crate::support::{Config, Launch, Proxy, Scene, agent_with_fail_points};

fn config(scene: &Scene, grace_ms: u64, ids: &[&str]) -> Config {
    let proxy = || Proxy::helper(&["graceful"]).grace_ms(grace_ms);
    ids.iter().fold(Config::new(scene), |config, id| config.proxy(id, proxy()))
}

#[test]
fn a_process_that_cannot_be_read_to_its_end_makes_no_stop_untrue_and_is_passed_over() {
    let scene = Scene::new();
    // Every look for those who left their group reads it, if nobody else.
    let stranger = scene.stranger();
    // The grace period is longer than all of it takes.
    let config = |ids: &[&str]| config(&scene, 20_000, ids);
    let launch = Launch::of(agent_with_fail_points(), &scene).env("PROXYPROCESS_FAIL", "scan:reads#1=stall");
    let mut agent = launch.start(&config(&["a", "b", "c"]));
    let [a, b, c] = ["a", "b", "c"].map(|id| scene.reports.start(id));

    agent.reload(&config(&["b", "c"]));
    a.process.wait();
    agent.wait_for_log("cannot be read to its end: passed over");
    let status = agent.status_when(&scene, "a is gone", |status| !status.proxies.contains_key("a"));
    assert!(status.runs("b", b.pid) && status.runs("c", c.pid));
    // Who comes later does not wait at all for it.
    agent.reload(&config(&["c"]));
    agent.status_when(&scene, "b is gone", |status| !status.proxies.contains_key("b"));
    assert!(b.process.is_gone());

    agent.signal(Signal::QUIT);
    assert!(agent.end().success(), "all were stopped");
    assert!(c.process.is_gone());
    let log = agent.log();
    assert_eq!(log.matches("passed over").count(), 1, "{log}");
    assert!(!log.contains("still running"), "{log}");
    assert!(log.contains("stuck in a file system or an exec: left behind"), "{log}");
    assert!(!stranger.process.is_gone());
    stranger.process.kill();
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn starts_that_hang_hold_up_only_their_own_proxies_and_not_the_end() {
    let scene = Scene::new();
    // More than there are spawners.
    let launch = Launch::of(agent_with_fail_points(), &scene).env("PROXYPROCESS_FAIL", "start:prepared#1-4=stall");
    let ids = ["a", "b", "c", "d", "e", "f"];
    let mut agent = launch.start(&config(&scene, 10, &ids));
    let [one, other] = [(); 2].map(|()| scene.reports.any_start());
    one.process.kill();
    let again = scene.reports.start(&one.id);
    let status = agent
        .status_when(&scene, "both run", |status| status.runs(&one.id, again.pid) && status.runs(&other.id, other.pid));
    let hung = status.proxies.values().filter(|proxy| proxy.state == "starting").count();
    assert_eq!(hung, 4);

    agent.signal(Signal::QUIT);
    let ended = agent.end();
    assert!(!ended.success(), "{ended}");
    assert!(again.process.is_gone() && other.process.is_gone());
    let log = agent.log();
    assert_eq!(log.matches("left behind").count(), 4, "{log}");
    for id in ["a", "b", "c", "d"] {
        assert!(log.contains(&format!("proxy {id}: its start has not come to an end")), "{log}");
    }
    scene.reports.forget_unread();
    scene.finish();
}
