// SPDX-License-Identifier: MPL-2.0
//! One manager a data directory, and one that can be trusted.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use proxyprocess::{ErrorCode, Manager, State};

use crate::inside::{Host, Place, park, quick, stage, wait_until};
use crate::support::Scene;

#[test]
fn a_second_manager_is_told_who_has_the_directory() {
    let scene = Scene::of_library();
    let host = Host::new(quick(&scene.data_dir()));
    let error = Manager::new(State::new(), quick(&scene.data_dir())).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Locked);
    let message = error.to_string();
    assert!(message.contains(&std::process::id().to_string()), "{message}");
    assert!(message.contains(scene.data_dir().to_str().unwrap()), "{message}");
    host.close();
    // Not closed and dropped, but closed: the value may live on.
    let closed = Manager::new(State::new(), quick(&scene.data_dir())).unwrap();
    closed.close().unwrap();
    Host::new(quick(&scene.data_dir())).kill();
    drop(closed);
    scene.finish();
}

fn holder(place: &Place) {
    let _host = Host::new(quick(&place.data_dir()));
    fs::write(place.path("held"), "").unwrap();
    park();
}

#[test]
fn the_directory_of_an_agent_that_was_killed_is_free() {
    let Some(stage) =
        stage("library::locked::the_directory_of_an_agent_that_was_killed_is_free", &[("holder", holder)])
    else {
        return;
    };
    let act = stage.begin("holder", &[]);
    wait_until(&stage.scene.path(""), "the lock", || stage.scene.path("held").exists());
    let error = Manager::new(State::new(), quick(&stage.scene.data_dir())).unwrap_err();
    assert!(error.code() == ErrorCode::Locked && error.to_string().contains(&act.pid().to_string()), "{error}");
    act.kill();
    Host::new(quick(&stage.scene.data_dir())).kill();
    stage.end();
}

#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    let scene = Scene::of_library();
    Host::new(quick(&scene.data_dir())).kill();
    for name in ["", "logs", "pids", "records"] {
        let path = scene.data_dir().join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let error = Manager::new(State::new(), quick(&scene.data_dir())).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Untrusted, "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap().trim_end_matches('/')), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
    Host::new(quick(&scene.data_dir())).kill();
    scene.finish();
}

/// A user who can place a link in the data directory must not gain a file anywhere else by it.
#[test]
fn symbolic_links_are_not_followed() {
    let scene = Scene::of_library();
    let elsewhere = scene.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for name in ["logs", "pids", "records", "lock"] {
        let data_dir = scene.path(&format!("with {name}"));
        Host::new(quick(&data_dir)).kill();
        let path = data_dir.join(name);
        if path.is_dir() {
            fs::remove_dir(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        symlink(if name == "lock" { scene.path("a file") } else { elsewhere.clone() }, &path).unwrap();
        let error = Manager::new(State::new(), quick(&data_dir)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert!(!scene.path("a file").exists());
    scene.finish();
}
