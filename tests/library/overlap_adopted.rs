// SPDX-License-Identifier: MPL-2.0
//! A process that the next manager adopts and replaces by overlap.

use std::fs;

use proxyprocess::{Ready, Replace};

use super::overlap::{gone, is_recorded_alone, serves};
use crate::inside::{Host, helper, quick};
use crate::support::{OVERLAPS, Scene};

/// As with `Manager::open`. An adopted process is not known to be ready before it was probed.
#[test]
fn next_manager_that_restores_starts_another_declaration_beside_a_process_that_is_not_probed_yet() {
    let scene = Scene::of_library();
    let declared = |version: &str| {
        let ready = Ready::command(["/usr/bin/test".into(), "-e".into(), scene.path(version).into_os_string()]);
        let mut config = helper(&scene, &["run"]).with_ready(ready).with_replace(Replace::Overlap);
        config.command = config.command.env("VERSION", version).env(OVERLAPS, "1");
        config
    };
    let mut host = Host::new(quick(&scene.data_dir()));
    fs::write(scene.path("1"), "").unwrap();
    host.set("web", declared("1"));
    host.run();
    let first = scene.reports.start("web");
    host.events.ready("web");
    host.close();
    // No probe finds it ready again.
    fs::remove_file(scene.path("1")).unwrap();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.restore().unwrap();
    host.set("web", declared("2"));
    host.run();
    let second = scene.reports.start("web");
    assert!(!first.process.is_gone());
    fs::write(scene.path("2"), "").unwrap();
    gone(&mut host, &first);
    serves(&host, &second, 2);
    is_recorded_alone(&scene, &host, &second);
    host.kill();
    scene.finish();
}
