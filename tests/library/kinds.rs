// SPDX-License-Identifier: MPL-2.0
//! Proxies of other kinds than daemons, through a manager: who is called, and in which order.

use proxyprocess::{ErrorCode, EventKind, ExecMode, ProxyConfig, ProxyState};

use crate::inside::{Calls, Host, helper, json, quick, register_scripted, scripted};
use crate::support::{Deadline, Scene};

fn host(scene: &Scene) -> (Host, Calls) {
    let host = Host::new(quick(&scene.data_dir()));
    let calls = register_scripted(&host.manager);
    (host, calls)
}

/// Waits for the start of a proxy that has no process.
fn started(host: &mut Host, id: &str) {
    let started = EventKind::Started { pid: None };
    host.events.until("a start", |event| event.id.as_deref() == Some(id) && event.kind == started);
}

#[test]
fn a_noop_does_nothing_and_comes_back_from_the_snapshot() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("nothing", ProxyConfig::of_mode(ExecMode::NOOP));
    host.run();
    started(&mut host, "nothing");
    let status = host.status("nothing");
    assert_eq!((status.mode, status.state, status.pid), (ExecMode::NOOP, ProxyState::Running, None));
    host.close();

    let next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    assert_eq!(next.status("nothing").mode, ExecMode::NOOP);
    next.kill();
    scene.finish();
}

#[test]
fn the_calls_come_in_the_promised_order() {
    let scene = Scene::of_library();
    let (mut first, calls) = host(&scene);
    first.set("a", scripted(1, &[], &[]));
    first.run();
    started(&mut first, "a");
    assert_eq!(calls.commands(), ["a create", "a start"]);
    assert_eq!(first.status("a").state, ProxyState::Running);

    // Another one takes its place when the old one is stopped.
    first.set("a", scripted(2, &[], &[]));
    started(&mut first, "a");
    assert_eq!(calls.commands(), ["a create", "a start", "a create", "a stop", "a start"]);
    assert!(calls.all().contains(&"a request_stop".to_owned()));
    first.close();
    assert_eq!(calls.commands().last().unwrap(), "a close");
    let stored = &json(&scene.data_dir().join("snapshot.json"))["Proxies"]["a"];
    assert_eq!((&stored["Mode"], &stored["Config"]["value"]), (&"scripted".into(), &2.into()));

    // The next agent restores it, finds it equal to what is declared, and starts that one.
    let (mut next, calls) = host(&scene);
    next.restore().unwrap();
    assert_eq!(calls.commands(), ["a create to restore", "a unmarshal"]);
    assert_eq!(next.status("a").state, ProxyState::Idle, "restore starts nothing");
    next.set("a", scripted(2, &[], &[]));
    next.run();
    started(&mut next, "a");
    assert_eq!(calls.commands()[2..], ["a create", "a start"]);
    assert_eq!(calls.all().iter().filter(|call| *call == "a equal").count(), 1);

    next.state.remove("a");
    next.events.stopped("a");
    assert_eq!(calls.commands().last().unwrap(), "a stop");
    next.kill();
    assert_eq!(calls.commands().iter().filter(|call| *call == "a stop").count(), 1);
    scene.finish();
}

#[test]
fn a_restored_one_that_is_not_wanted_so_is_stopped() {
    let scene = Scene::of_library();
    let (mut first, _) = host(&scene);
    for id in ["changed", "dropped"] {
        first.set(id, scripted(1, &[], &[]));
    }
    first.run();
    started(&mut first, "changed");
    started(&mut first, "dropped");
    first.close();

    let (mut next, calls) = host(&scene);
    next.restore().unwrap();
    next.set("changed", scripted(2, &[], &[]));
    next.run();
    started(&mut next, "changed");
    let commands = calls.commands();
    let position = |call: &str| commands.iter().position(|made| made == call).unwrap_or_else(|| panic!("{call}"));
    assert!(position("changed stop") < position("changed start") && commands.contains(&"dropped stop".to_owned()));
    next.kill();
    scene.finish();
}

#[test]
fn a_start_that_fails_or_panics_is_contained() {
    let scene = Scene::of_library();
    let (mut host, calls) = host(&scene);
    host.set("fails", scripted(1, &["start"], &[]));
    host.set("panics", scripted(1, &[], &["start"]));
    host.set("good", scripted(1, &[], &[]));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    started(&mut host, "good");
    host.events.until("the panic", |event| event.id.as_deref() == Some("panics"));
    for (id, error) in [("fails", "start fails, as its options say"), ("panics", "the proxy's own code panicked")] {
        let status = host.status(id);
        assert_eq!((status.state, status.last_error.as_deref()), (ProxyState::Failed, Some(error)));
        assert_eq!(host.events.of_proxy(id), [EventKind::Failed { error: error.to_owned() }]);
    }
    let start = scene.reports.start("web");
    // A declaration that works takes its place.
    host.set("panics", scripted(2, &[], &[]));
    started(&mut host, "panics");
    assert_eq!((host.status("panics").state, host.status("panics").last_error), (ProxyState::Running, None));
    host.kill();
    assert!(start.process.is_gone());
    assert!(calls.commands().contains(&"fails stop".to_owned()));
    scene.finish();
}

#[test]
fn a_factory_or_a_snapshot_that_fails_or_panics_is_contained() {
    let scene = Scene::of_library();
    let (mut first, _) = host(&scene);
    first.set("create-fails", scripted(1, &["create"], &[]));
    first.set("create-panics", scripted(1, &[], &["create"]));
    first.set("unmarshal-fails", scripted(1, &["unmarshal"], &[]));
    first.set("unmarshal-panics", scripted(1, &[], &["unmarshal"]));
    first.set("equal-panics", scripted(1, &[], &["equal"]));
    first.set("marshal-panics", scripted(1, &[], &["marshal"]));
    first.run();
    // They are called one after the other, in the order of their ids.
    for id in ["equal-panics", "marshal-panics", "unmarshal-fails", "unmarshal-panics"] {
        started(&mut first, id);
        assert_eq!(first.status(id).state, ProxyState::Running);
    }
    for id in ["create-fails", "create-panics"] {
        let error = first.status(id).last_error.unwrap();
        assert!(error.starts_with(&format!("proxy {id}: create: ")), "{error}");
    }
    first.close();

    let (mut next, calls) = host(&scene);
    next.restore().unwrap();
    next.set("equal-panics", scripted(1, &[], &["equal"]));
    next.run();
    started(&mut next, "equal-panics");
    let commands = calls.commands();
    assert!(
        commands.contains(&"equal-panics stop".to_owned()),
        "what cannot say that it is equal is not: {commands:?}"
    );
    next.kill();
    scene.finish();
}

#[test]
fn proxy_that_was_replaced_or_removed_is_dropped_also_when_no_status_is_asked_for() {
    let scene = Scene::of_library();
    let (mut host, calls) = host(&scene);
    let dropped = |id: &str, times| {
        let drop = format!("{id} drop");
        let deadline = Deadline::of(format!("drop {times} of {id}"));
        while calls.all().iter().filter(|call| **call == drop).count() < times {
            deadline.left();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    };
    host.set("a", scripted(1, &[], &[]));
    host.run();
    started(&mut host, "a");
    host.set("a", scripted(2, &[], &[]));
    started(&mut host, "a");
    dropped("a", 1);
    host.set("b", scripted(1, &[], &[]));
    started(&mut host, "b");
    host.state.remove("a");
    host.events.stopped("a");
    dropped("a", 2);
    host.kill();
    dropped("b", 1);
    scene.finish();
}

#[test]
fn proxy_whose_destructor_panics_is_stopped_and_replaced() {
    let scene = Scene::of_library();
    let (mut host, calls) = host(&scene);
    host.set("a", scripted(1, &[], &["drop"]));
    host.run();
    started(&mut host, "a");
    host.set("a", scripted(2, &[], &["drop"]));
    started(&mut host, "a");
    host.set("b", scripted(1, &[], &[]));
    started(&mut host, "b");
    host.state.remove("a");
    host.events.stopped("a");
    assert_eq!(calls.commands().iter().filter(|call| *call == "a stop").count(), 2);
    host.kill();
    scene.finish();
}

#[test]
fn an_unregistered_mode_is_refused_and_named() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("a", scripted(1, &[], &[]));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let error = host.events.failed("a");
    assert!(error.contains("\"scripted\" is not registered"), "{error}");
    let status = host.status("a");
    assert_eq!(status.last_error, Some(error));
    assert_eq!((status.mode.as_str(), status.state), ("scripted", ProxyState::Failed));
    scene.reports.start("web");
    // Registered by now, it is created with the next sync.
    let calls = register_scripted(&host.manager);
    host.set("b", scripted(1, &[], &[]));
    started(&mut host, "a");
    assert!(calls.commands().contains(&"a create".to_owned()));
    let again = host.manager.register_kind(ExecMode::NOOP, |_| unreachable!());
    assert_eq!(again.unwrap_err().code(), ErrorCode::InvalidConfig);
    host.kill();
    scene.finish();
}

#[test]
fn another_mode_under_the_same_id_takes_the_place_of_the_old_one() {
    let scene = Scene::of_library();
    let (mut host, calls) = host(&scene);
    host.set("a", helper(&scene, &["run"]));
    host.run();
    let first = scene.reports.start("a");
    host.set("a", scripted(1, &[], &[]));
    started(&mut host, "a");
    first.process.wait();
    host.set("a", helper(&scene, &["run"]));
    let second = scene.reports.start("a");
    host.events.until("its process", |event| event.kind == EventKind::Started { pid: Some(second.pid) });
    // It is stopped by a thread of its own, beside the start of the process.
    let deadline = Deadline::of("the stop of the registered kind");
    while calls.commands() != ["a create", "a start", "a stop"] {
        assert!(!deadline.is_over(), "{:?}", calls.commands());
        std::thread::yield_now();
    }
    assert_eq!(host.status("a").mode, ExecMode::DAEMON);
    host.kill();
    scene.finish();
}
