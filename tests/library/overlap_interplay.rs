// SPDX-License-Identifier: MPL-2.0
//! A handover of proxies that have a watchdog, and of those whose readiness and whose end are commands.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proxyprocess::{EventKind, ProxyConfig, ProxyState, Ready, Replace, StopStep};
use rustix::process::Signal;

use super::overlap::{becomes_ready, ends, gone, is_recorded_alone, serves};
use crate::inside::{Host, helper, quick};
use crate::support::{Deadline, OVERLAPS, Scene, Start};

const HOUR: Duration = Duration::from_secs(3600);

fn overlapping(mut config: ProxyConfig, version: &str) -> ProxyConfig {
    config.command = config.command.env("VERSION", version).env(OVERLAPS, "1");
    config.with_replace(Replace::Overlap)
}

#[test]
fn current_generation_that_its_watchdog_ends_is_succeeded_by_the_next_one() {
    let scene = Scene::of_library();
    let watched = |version: &str| {
        let config = helper(&scene, &["notifies", "later", "READY=1", "WATCHDOG=trigger"]);
        overlapping(config.with_ready(Ready::Notify).with_watchdog(HOUR), version)
    };
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", watched("1"));
    host.run();
    let first = scene.reports.start("web");
    becomes_ready(&scene, &mut host, &first, 1);
    host.set("web", watched("2"));
    let second = scene.reports.start("web");
    first.process.signal(Signal::USR1);
    host.events.watchdog_expired("web");
    gone(&mut host, &first);
    becomes_ready(&scene, &mut host, &second, 2);
    serves(&host, &second, 2);
    is_recorded_alone(&scene, &host, &second);
    assert_eq!(host.status("web").restarts, 1, "what is not declared any more is not started again");
    ends(scene, host);
}

/// Ready once the file is there; told to stop by a command, which writes a line.
fn commanded(scene: &Scene, ready: &Path, version: &str) -> ProxyConfig {
    let script = format!("[ -e '{}' ]", ready.display());
    let mut config = helper(scene, &["graceful"]).with_ready(Ready::command(["/bin/sh", "-c", script.as_str()]));
    let tells = ["/bin/sh", "-c", "echo $MAINPID $VERSION; kill -USR1 $MAINPID; exec sleep 1000"];
    config.stop = config.stop.with_steps([StopStep::command(tells, HOUR)]);
    overlapping(config, version)
}

#[track_caller]
fn becomes_ready_by_its_file(host: &mut Host, file: &Path, generation: u64) {
    fs::write(file, "").unwrap();
    let ready = host.events.until("it is ready", |event| event.kind == EventKind::Ready);
    assert_eq!(ready.generation, Some(generation));
}

#[track_caller]
fn is_told_by_its_command(scene: &Scene, start: &Start, version: &str) {
    assert_eq!(scene.reports.signal(start), "SIGUSR1");
    let line = format!("{} {version}\n", start.pid);
    let deadline = Deadline::of("what its command writes");
    while !scene.log("web", "stdout").ends_with(&line) {
        assert!(!deadline.is_over(), "{:?} at the end of {:?}", line, scene.log("web", "stdout"));
        std::thread::yield_now();
    }
}

/// The first one serves, and the second one is started and not ready.
#[track_caller]
fn in_a_handover(scene: &Scene, host: &mut Host, files: &[PathBuf]) -> [Start; 2] {
    host.set("web", commanded(scene, &files[0], "1"));
    host.run();
    let first = scene.reports.start("web");
    becomes_ready_by_its_file(host, &files[0], 1);
    host.set("web", commanded(scene, &files[1], "2"));
    let second = scene.reports.start("web");
    host.events.until("its start", |event| event.kind == EventKind::Started { pid: Some(second.pid) });
    [first, second]
}

#[test]
fn commands_of_readiness_and_stop_are_run_for_the_generation_that_they_are_declared_of() {
    let scene = Scene::of_library();
    let files = ["v1", "v2", "v3"].map(|name| scene.path(name));
    let mut host = Host::new(quick(&scene.data_dir()));
    let [first, second] = in_a_handover(&scene, &mut host, &files);
    serves(&host, &first, 1);
    // Superseded while its readiness is asked for: it is stopped as what takes its place declares.
    host.set("web", commanded(&scene, &files[2], "3"));
    is_told_by_its_command(&scene, &second, "3");
    let third = scene.reports.start("web");
    becomes_ready_by_its_file(&mut host, &files[2], 3);
    is_told_by_its_command(&scene, &first, "1");
    gone(&mut host, &first);
    serves(&host, &third, 3);
    is_recorded_alone(&scene, &host, &third);
    host.kill();
    is_told_by_its_command(&scene, &third, "3");
    scene.finish();
}

#[test]
fn next_generation_that_is_adopted_is_made_ready_by_its_command() {
    let scene = Scene::of_library();
    let files = ["v1", "v2"].map(|name| scene.path(name));
    let mut host = Host::new(quick(&scene.data_dir()));
    let [first, second] = in_a_handover(&scene, &mut host, &files);
    host.close();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", commanded(&scene, &files[1], "2"));
    host.run();
    // In any order.
    for _ in 0..2 {
        host.events.until("the adoption", |event| matches!(event.kind, EventKind::Adopted { .. }));
    }
    serves(&host, &first, 1);
    becomes_ready_by_its_file(&mut host, &files[1], 2);
    gone(&mut host, &first);
    serves(&host, &second, 2);
    assert_eq!(host.status("web").state, ProxyState::Running);
    is_recorded_alone(&scene, &host, &second);
    ends(scene, host);
}
