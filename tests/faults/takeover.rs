// SPDX-License-Identifier: MPL-2.0
//! E, G, J and O: what the next agent takes over, and how it looks after it.

use std::time::Duration;

use proxyprocess::{EventKind, ExitStatus};

use crate::inside::{Host, Part, Place, helper, inherited, kernel_tells_status_of_strangers, park, quick, spin, stage};
use crate::support::{Process, Scene};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn fault_e_a_clean_close_right_after_a_start_leaves_what_the_next_manager_needs() {
    let scene = Scene::of_library();
    // What is needed is written at once, not when the period is over.
    let mut slow = quick(&scene.data_dir());
    slow.snapshot_period = HOUR;
    let mut host = Host::new(slow.clone());
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let pid = host.events.started("web");
    host.close();
    assert!(scene.data_dir().join("snapshot.json").exists());

    let mut next = Host::new(slow);
    next.restore().unwrap();
    assert_eq!(next.events.adopted("web"), pid);
    next.set("web", helper(&scene, &["run"]));
    next.run();
    next.events.snapshot_written();
    assert_eq!(next.status("web").pid, Some(pid));
    let start = scene.reports.start("web");
    assert_eq!(start.pid, pid);
    next.kill();
    assert!(start.process.is_gone());
    scene.finish();
}

/// A second copy would report itself as DUPLICATE, an orphan would be left at the end.
#[test]
fn fault_e_closed_at_any_moment_of_a_start_there_is_never_an_orphan_or_a_duplicate() {
    let scene = Scene::of_library();
    for moment in 0..40 {
        let mut host = Host::new(quick(&scene.data_dir()));
        host.set("web", helper(&scene, &["run"]));
        host.run();
        spin(Duration::from_micros(100) * moment);
        host.close();

        let mut next = Host::new(quick(&scene.data_dir()));
        if moment % 2 == 0 {
            next.restore().unwrap();
        }
        next.set("web", helper(&scene, &["run"]));
        next.run();
        let running = next
            .events
            .until("a process", |event| matches!(event.kind, EventKind::Started { .. } | EventKind::Adopted { .. }));
        let start = scene.reports.start("web");
        let pid = match running.kind {
            EventKind::Started { pid } => pid.unwrap(),
            EventKind::Adopted { pid } => pid,
            _ => unreachable!(),
        };
        assert_eq!(start.pid, pid, "at moment {moment}");
        next.kill();
        assert!(start.process.is_gone());
    }
    scene.finish();
}

fn first_agent(place: &Place) {
    let mut host = Host::new(quick(&place.data_dir()));
    host.set("web", inherited(&["log", "a line"]));
    host.run();
    park();
}

fn second_agent(place: &Place) {
    let mut host = Host::new(quick(&place.data_dir()));
    host.restore().unwrap();
    let pid = host.events.adopted("web");
    host.set("web", inherited(&["log", "a line"]));
    host.run();
    host.events.snapshot_written();
    Process::open(pid).unwrap().kill();
    let exited = host.events.until("its end", |event| matches!(event.kind, EventKind::Exited { .. }));
    assert!(matches!(exited.kind, EventKind::Exited { pid: ended, .. } if ended == pid));
    assert_ne!(host.events.started("web"), pid);
    let status = host.status("web");
    assert_eq!((status.adopted, status.restarts), (false, 1));
    park();
}

#[test]
fn fault_g_an_adopted_proxy_that_crashes_is_restarted_with_its_logs() {
    let name = "faults::takeover::fault_g_an_adopted_proxy_that_crashes_is_restarted_with_its_logs";
    let acts: [Part; 3] = [("first", first_agent), ("second", second_agent), ("third", end_all)];
    let Some(stage) = stage(name, &acts) else { return };
    let first = stage.begin("first", &[]);
    let start = stage.scene.reports.start("web");
    first.kill();
    assert!(!start.process.is_gone());

    let second = stage.begin("second", &[]);
    let restarted = stage.scene.reports.start("web");
    assert_eq!(restarted.ppid, second.pid());
    for stream in ["stdout", "stderr"] {
        assert_eq!(stage.scene.log("web", stream), "a line\na line\n");
    }
    second.kill();
    stage.play("third", &[]);
    assert!(restarted.process.is_gone());
    stage.end();
}

fn end_all(place: &Place) {
    Host::new(quick(&place.data_dir())).kill();
}

fn same_declaration(place: &Place) {
    let mut host = Host::new(quick(&place.data_dir()));
    host.restore().unwrap();
    host.set("web", inherited(&["inspect"]));
    host.run();
    // Started by the first of these agents, adopted by the others.
    host.events.until("its process", |event| event.id.as_deref() == Some("web"));
    host.follow("marker");
    let of_web = host.events.of_proxy("web");
    assert!(matches!(of_web[..], [EventKind::Adopted { .. } | EventKind::Started { .. }]), "{of_web:?}");
    host.close();
}

#[test]
fn fault_j_another_environment_of_the_agent_restarts_nothing() {
    let name = "faults::takeover::fault_j_another_environment_of_the_agent_restarts_nothing";
    let acts: [Part; 2] = [("agent", same_declaration), ("last", end_all)];
    let Some(stage) = stage(name, &acts) else { return };
    stage.play("agent", &[("INVOCATION_ID", "1"), ("ONLY_FIRST", "x")]);
    let web = stage.scene.reports.start("web");
    let inherited = web.inspection.as_ref().unwrap();
    assert_eq!(inherited.env["ONLY_FIRST"], "x", "the agent's environment is passed on");
    assert!(!inherited.env.contains_key("INVOCATION_ID"), "it is addressed to the agent");

    for id in ["2", "3"] {
        stage.play("agent", &[("INVOCATION_ID", id), ("ONLY_LATER", "y")]);
        assert!(!web.process.is_gone());
    }
    stage.play("last", &[]);
    assert!(web.process.is_gone());
    stage.end();
}

fn two_graceful_ones(place: &Place) {
    let mut host = Host::new(quick(&place.data_dir()));
    for id in ["killed", "ended"] {
        host.set(id, inherited(&["graceful"]));
    }
    host.run();
    park();
}

/// Takes over what two_graceful_ones has left, idles, and sees how each of them ends.
fn sees_all_ends(place: &Place) {
    let mut host = Host::new(quick(&place.data_dir()));
    host.restore().unwrap();
    let mut pids = [0; 2];
    for id in ["killed", "ended"] {
        host.set(id, inherited(&["graceful"]));
    }
    for (id, pid) in ["killed", "ended"].iter().zip(&mut pids) {
        *pid = host.status(id).pid.unwrap_or_else(|| panic!("{:?}", host.status(id)));
        assert!(host.status(id).adopted);
    }
    host.run();
    host.events.snapshot_written();
    host.nothing_ticks();

    let exact = kernel_tells_status_of_strangers();
    // Where the kernel does not tell, the zombie does, as long as it is not reaped.
    let told = |seen, status| assert!(seen == status || !exact && seen == ExitStatus::Unknown, "{seen} for {status}");
    let [killed, ended] = pids.map(|pid| Process::open(pid).unwrap());
    killed.signal(rustix::process::Signal::KILL);
    told(host.events.exited("killed"), ExitStatus::Signaled { signal: 9, core_dumped: false });
    assert!(killed.is_gone());
    assert_ne!(host.events.started("killed"), killed.pid());
    ended.signal(rustix::process::Signal::TERM);
    told(host.events.exited("ended"), ExitStatus::Exited(0));
    assert_ne!(host.events.started("ended"), ended.pid());
    host.close();
}

#[test]
fn fault_o_exits_of_adopted_processes_are_events_and_nothing_polls_for_them() {
    let name = "faults::takeover::fault_o_exits_of_adopted_processes_are_events_and_nothing_polls_for_them";
    let acts: [Part; 3] = [("first", two_graceful_ones), ("second", sees_all_ends), ("last", end_all)];
    let Some(stage) = stage(name, &acts) else { return };
    let first = stage.begin("first", &[]);
    let starts = ["killed", "ended"].map(|id| stage.scene.reports.start(id));
    first.kill();
    stage.play("second", &[]);
    assert_eq!(stage.scene.reports.signal(&starts[1]), "SIGTERM");
    let restarted = ["killed", "ended"].map(|id| stage.scene.reports.start(id));
    stage.play("last", &[]);
    for start in &restarted {
        assert_eq!(stage.scene.reports.signal(start), "SIGINT");
    }
    stage.end();
}
