// SPDX-License-Identifier: MPL-2.0
//! Logs alone, of a manager without a data directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proxyprocess::{ErrorCode, Manager, ManagerOptions, State};

use crate::inside::{Host, helper, quick};
use crate::support::Scene;

fn with_log_dir(scene: &Scene, place: &Path) -> ManagerOptions {
    let mut options = quick(&scene.data_dir());
    (options.data_dir, options.log_dir) = (None, Some(place.to_owned()));
    options
}

#[test]
fn logs_of_a_manager_without_a_data_directory_are_in_its_log_directory() {
    let scene = Scene::of_library();
    let place = scene.path("made/logs");
    let mut host = Host::new(with_log_dir(&scene, &place));
    host.set("web", helper(&scene, &["inspect"]));
    host.run();
    let logs = ["stdout", "stderr"].map(|stream| place.join(format!("web-{stream}.log")));
    let is_written_to = |fds: &std::collections::BTreeMap<u32, String>| {
        [1, 2].map(|fd| Path::new(&fds[&fd]).to_owned()) == logs && logs.iter().all(|log| log.exists())
    };
    let first = scene.reports.start("web");
    assert!(is_written_to(&first.inspection.unwrap().fds));
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o7777, 0o700);
    let status = host.status("web");
    assert_eq!([status.stdout_log, status.stderr_log], logs.clone().map(Some));

    // One that was moved away is made again by the next start.
    fs::rename(&place, scene.path("moved")).unwrap();
    first.process.kill();
    assert!(is_written_to(&scene.reports.start("web").inspection.unwrap().fds));

    let another = host.manager.reconfigure(with_log_dir(&scene, &scene.path("another"))).unwrap_err();
    assert_eq!(another.to_string(), "log_dir: expected no change while the manager lives");
    host.kill();
    scene.finish();
}

#[test]
fn a_log_directory_beside_a_data_directory_or_open_to_others_is_refused() {
    let scene = Scene::of_library();
    let place = scene.path("logs");
    let both = with_log_dir(&scene, &place).with_data_dir(scene.data_dir());
    let both = Manager::new(State::new(), both).unwrap_err();
    assert_eq!(both.to_string(), "log_dir: expected none beside a data_dir");
    fs::create_dir(&place).unwrap();
    let open = |mode| {
        fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
        Manager::new(State::new(), with_log_dir(&scene, &place))
    };
    let open_to_others = open(0o777).unwrap_err();
    assert_eq!(open_to_others.code(), ErrorCode::Untrusted, "{open_to_others}");
    // Those who may read it go on to.
    drop(open(0o755).unwrap());
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o7777, 0o755);
    scene.finish();
}
