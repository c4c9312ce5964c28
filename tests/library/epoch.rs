// SPDX-License-Identifier: MPL-2.0
//! `{epoch}`: one more than the epoch of the living process of the proxy that a start is made beside, and 0 when there is none.

use std::fs;
use std::time::Duration;

use proxyprocess::{EventKind, ProxyConfig};
use serde_json::Value;

use super::overlap::{becomes_ready, ends, gone, is_recorded_alone, overlapping, serves, takes_over};
use crate::inside::{Host, quick};
use crate::support::{Scene, Start};

/// One that is told its epoch, and of which a predecessor serves on until it is killed: SIGWINCH ends no process.
fn told(scene: &Scene, version: &str) -> ProxyConfig {
    let mut config = overlapping(scene, version);
    config.command = config.command.args(["later", "--restart-epoch={epoch}"]).env("EPOCH", "{epoch}");
    config.stop.signal = "SIGWINCH".parse().unwrap();
    config.stop.grace_period = Duration::from_secs(3600);
    config
}

/// The same, which ends at once.
fn ended_at_once(scene: &Scene, version: &str) -> ProxyConfig {
    let mut config = told(scene, version);
    config.stop.grace_period = Duration::ZERO;
    config
}

/// The next process, which was told this epoch.
#[track_caller]
fn next_is(epoch: u64, scene: &Scene) -> Start {
    let start = scene.reports.start("web");
    let words = |file: &str| fs::read(format!("/proc/{}/{file}", start.pid)).unwrap();
    let has = |file: &str, word: String| words(file).split(|&byte| byte == 0).any(|it| it == word.as_bytes());
    assert!(has("cmdline", format!("--restart-epoch={epoch}")), "{}", String::from_utf8_lossy(&words("cmdline")));
    for variable in ["EPOCH", "CONNECT_PROXY_EPOCH"] {
        assert!(has("environ", format!("{variable}={epoch}")), "{}", String::from_utf8_lossy(&words("environ")));
    }
    start
}

#[track_caller]
fn begun(scene: &Scene, host: &mut Host, config: ProxyConfig) -> Start {
    host.set("web", config);
    host.run();
    let start = next_is(0, scene);
    becomes_ready(scene, host, &start, 1);
    start
}

#[track_caller]
fn record(scene: &Scene) -> Value {
    serde_json::from_slice(&fs::read(scene.data_dir().join("records/web.json")).unwrap()).unwrap()
}

#[test]
fn each_start_beside_a_living_process_has_the_next_epoch_and_one_beside_none_begins_anew() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let mut current = begun(&scene, &mut host, ended_at_once(&scene, "1"));
    assert_eq!(record(&scene)["epoch"], Value::Null);
    for epoch in 1..4 {
        host.set("web", ended_at_once(&scene, &format!("next {epoch}")));
        let next = next_is(epoch, &scene);
        becomes_ready(&scene, &mut host, &next, epoch + 1);
        gone(&mut host, &current);
        is_recorded_alone(&scene, &host, &next);
        assert_eq!(record(&scene)["epoch"], epoch);
        current = next;
    }
    current.process.kill();
    let alone = next_is(0, &scene);
    becomes_ready(&scene, &mut host, &alone, 5);
    host.manager.restart("web").unwrap();
    becomes_ready(&scene, &mut host, &next_is(1, &scene), 6);
    gone(&mut host, &alone);
    ends(scene, host);
}

#[test]
fn next_process_that_fails_is_started_again_with_the_same_epoch() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host, ended_at_once(&scene, "1"));
    host.set("web", ended_at_once(&scene, "2"));
    for _ in 0..3 {
        let next = next_is(1, &scene);
        next.process.kill();
        gone(&mut host, &next);
    }
    // Nor has one that supersedes it another epoch: what it would be beside is the same.
    let next = next_is(1, &scene);
    host.set("web", ended_at_once(&scene, "3"));
    gone(&mut host, &next);
    next_is(1, &scene);
    serves(&host, &first, 1);
    ends(scene, host);
}

#[test]
fn process_whose_predecessor_crashed_while_it_prepared_is_started_again_with_the_first_epoch() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host, ended_at_once(&scene, "1"));
    host.set("web", ended_at_once(&scene, "2"));
    let second = next_is(1, &scene);
    first.process.kill();
    gone(&mut host, &first);
    second.process.kill();
    let third = next_is(0, &scene);
    becomes_ready(&scene, &mut host, &third, 3);
    serves(&host, &third, 3);
    ends(scene, host);
}

#[test]
fn crashed_process_is_started_again_with_its_epoch_while_its_predecessor_drains() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host, told(&scene, "1"));
    host.set("web", ended_at_once(&scene, "2"));
    let second = next_is(1, &scene);
    becomes_ready(&scene, &mut host, &second, 2);
    host.events.until("the predecessor drains", |event| matches!(event.kind, EventKind::Stopping { .. }));
    second.process.kill();
    let third = next_is(1, &scene);
    becomes_ready(&scene, &mut host, &third, 3);
    // A change waits for the end of the predecessor.
    host.set("web", ended_at_once(&scene, "3"));
    host.follow("marker");
    first.process.kill();
    let fourth = next_is(2, &scene);
    becomes_ready(&scene, &mut host, &fourth, 4);
    gone(&mut host, &third);
    ends(scene, host);
}

#[test]
fn next_agents_go_on_from_the_epoch_of_the_process_that_lives() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let first = begun(&scene, &mut host, ended_at_once(&scene, "1"));
    host.set("web", ended_at_once(&scene, "2"));
    next_is(1, &scene);
    host.close();

    // In the middle of a handover: the next process is not known to be ready.
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", ended_at_once(&scene, "2"));
    host.run();
    let third = next_is(1, &scene);
    becomes_ready(&scene, &mut host, &third, 3);
    gone(&mut host, &first);
    is_recorded_alone(&scene, &host, &third);
    let elsewhere = scene.path("snapshot");
    host.manager.snapshot(&elsewhere).unwrap();
    let snapshot: Value = serde_json::from_slice(&fs::read(&elsewhere).unwrap()).unwrap();
    assert_eq!(snapshot["Proxies"]["web"]["Config"]["process"]["epoch"], 1);
    host.close();

    // Its record is damaged: the process shows it by its environment.
    fs::write(scene.data_dir().join("records/web.json"), "damaged").unwrap();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", ended_at_once(&scene, "2"));
    host.run();
    assert_eq!(host.events.adopted("web"), third.pid);
    host.set("web", ended_at_once(&scene, "3"));
    let fourth = next_is(2, &scene);
    takes_over(&scene, &mut host, [&third, &fourth], 4);
    host.close();

    // Its record is of an earlier version, which gave no epoch.
    let mut record = record(&scene);
    for field in ["epoch", "check"] {
        record.as_object_mut().unwrap().remove(field).unwrap();
    }
    fs::write(scene.data_dir().join("records/web.json"), record.to_string()).unwrap();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", ended_at_once(&scene, "4"));
    host.run();
    let fifth = next_is(1, &scene);
    becomes_ready(&scene, &mut host, &fifth, 5);
    gone(&mut host, &fourth);
    ends(scene, host);
}
