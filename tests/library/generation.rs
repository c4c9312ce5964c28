// SPDX-License-Identifier: MPL-2.0
//! The generation: which start of a proxy a process comes from, for the process itself, in status, events and record.

use std::fs;

use proxyprocess::{EventKind, ProxyConfig};
use serde_json::Value;

use crate::inside::{Host, helper, quick};
use crate::support::{Scene, Start};

/// Its argument and one of its variables tell it the number.
fn told(scene: &Scene) -> ProxyConfig {
    let mut config = helper(scene, &["inspect", "--of={generation}"]);
    config.command = config.command.env("OF", "{generation}");
    config
}

/// The next process, which was told that it is of this generation; so say its start's event and the status.
#[track_caller]
fn next_is(number: u64, scene: &Scene, host: &mut Host) -> Start {
    let start = scene.reports.start("web");
    let inspection = start.inspection.as_ref().unwrap();
    assert_eq!(inspection.argv[2], format!("--of={number}"));
    for variable in ["OF", "CONNECT_PROXY_GENERATION"] {
        assert_eq!(inspection.env[variable], number.to_string());
    }
    let pid = Some(start.pid);
    let event = host.events.until("the start", |event| event.kind == EventKind::Started { pid });
    assert_eq!((event.generation, host.status("web").generation), (Some(number), Some(number)));
    start
}

/// The next host, with the process of the last one.
#[track_caller]
fn takes_over(scene: &Scene, start: &Start) -> Host {
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", told(scene));
    host.run();
    assert_eq!(host.events.adopted("web"), start.pid);
    host.follow("marker");
    host.state.remove("marker");
    assert_eq!(host.status("web").pid, Some(start.pid), "it is what is declared");
    host
}

fn record(scene: &Scene) -> Value {
    let text = fs::read(scene.data_dir().join("records/web.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn each_start_is_the_next_generation_also_with_the_next_agents() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", told(&scene));
    host.run();
    let first = next_is(1, &scene, &mut host);
    first.process.kill();
    let exited = host.events.until("the exit", |event| matches!(event.kind, EventKind::Exited { .. }));
    assert_eq!(exited.generation, Some(1));
    let second = next_is(2, &scene, &mut host);
    assert_eq!(record(&scene)["generation"], 2);
    host.close();

    let mut host = takes_over(&scene, &second);
    assert_eq!(host.status("web").generation, Some(2));
    host.manager.restart("web").unwrap();
    let third = next_is(3, &scene, &mut host);
    host.close();

    // It ends while no agent is there, and is known to have been the third.
    third.process.kill();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", told(&scene));
    host.run();
    next_is(4, &scene, &mut host);
    host.kill();

    // With the process its record was removed.
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", told(&scene));
    host.run();
    next_is(1, &scene, &mut host);
    host.kill();
    scene.finish();
}

#[test]
fn process_without_a_record_tells_its_generation_and_is_as_declared() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", told(&scene));
    host.run();
    next_is(1, &scene, &mut host).process.kill();
    let second = next_is(2, &scene, &mut host);
    host.close();

    fs::write(scene.data_dir().join("records/web.json"), "").unwrap();
    let mut host = takes_over(&scene, &second);
    assert_eq!((host.status("web").generation, &record(&scene)["generation"]), (Some(2), &Value::from(2)));
    second.process.kill();
    next_is(3, &scene, &mut host);
    host.kill();
    scene.finish();
}

#[test]
fn process_of_an_earlier_version_has_no_generation_and_its_successor_is_the_first() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", told(&scene));
    host.run();
    let start = next_is(1, &scene, &mut host);
    host.close();

    let mut record = record(&scene);
    for field in ["generation", "check"] {
        record.as_object_mut().unwrap().remove(field).unwrap();
    }
    fs::write(scene.data_dir().join("records/web.json"), record.to_string()).unwrap();
    let mut host = takes_over(&scene, &start);
    assert_eq!(host.status("web").generation, None);
    start.process.kill();
    next_is(1, &scene, &mut host);
    host.kill();
    scene.finish();
}

#[test]
fn failed_start_uses_no_generation_and_a_snapshot_elsewhere_keeps_it() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let mut missing = told(&scene);
    missing.command = proxyprocess::Command::new("/nonexistent/program");
    host.set("web", missing);
    host.run();
    let failed = |event: &proxyprocess::Event| matches!(event.kind, EventKind::StartFailed { .. });
    host.events.until("a failed start", failed);
    assert_eq!(host.status("web").generation, None);
    host.set("web", told(&scene));
    next_is(1, &scene, &mut host).process.kill();
    let second = next_is(2, &scene, &mut host);
    let elsewhere = scene.path("snapshot");
    host.manager.snapshot(&elsewhere).unwrap();
    host.close();

    let other = Host::new(quick(&scene.path("other")));
    other.manager.restore(&elsewhere).unwrap();
    let status = other.status("web");
    assert_eq!((status.pid, status.generation), (Some(second.pid), Some(2)));
    other.kill();
    scene.finish();
}
