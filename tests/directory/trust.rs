// SPDX-License-Identifier: MPL-2.0
//! Directories and files of another user, or that another user may write to: refused, and left as they are.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use proxyprocess::{Error, ErrorCode, Manager, State};
use rustix::process::geteuid;

use crate::directory::tell::{everything, wait_for_files};
use crate::inside::{Host, Place, helper, quick, stage};
use crate::support::Scene;

/// The user `nobody` of most systems.
const STRANGER: u32 = 65534;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A data directory as an agent leaves it that has had a proxy.
fn used(scene: &Scene) {
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(scene, &["run"]));
    host.run();
    let web = scene.reports.start("web");
    wait_for_files(&scene.data_dir(), &[&web]);
    host.kill();
}

/// Has a manager refused, which must change nothing.
#[track_caller]
fn refused(path: &Path, scene: &Scene) -> Error {
    // The lock is taken, and says by whom, before anything is looked at.
    let all = || {
        let mut all = everything(&scene.path(""));
        all.remove(&scene.data_dir().join("lock"));
        all
    };
    let before = all();
    let error = Manager::new(State::new(), quick(path)).expect_err("it cannot be trusted");
    assert_eq!(error.code(), ErrorCode::Untrusted, "{error}");
    assert_eq!(all(), before, "{error}");
    error
}

#[test]
fn a_directory_that_others_may_write_to_is_refused_and_nothing_in_it_is_changed() {
    let scene = Scene::of_library();
    used(&scene);
    for name in ["", "logs", "pids", "records"] {
        let path = scene.data_dir().join(name);
        for mode in [0o720, 0o702, 0o770, 0o1777, 0o2770] {
            set_mode(&path, mode);
            let error = refused(&scene.data_dir(), &scene).to_string();
            let told = error.contains(path.to_str().unwrap().trim_end_matches('/'))
                && error.contains(&format!("(mode {mode:04o}), expected 0700"));
            assert!(told, "{error}");
            set_mode(&path, 0o700);
        }
    }
    // What they may only read is closed to them.
    for name in ["", "logs", "pids", "records"] {
        set_mode(&scene.data_dir().join(name), 0o755);
    }
    used(&scene);
    scene.finish();
}

/// Only root can give files away.
#[test]
fn files_and_directories_of_another_user_are_refused() {
    if !geteuid().is_root() {
        return;
    }
    let scene = Scene::of_library();
    used(&scene);
    let told = format!("owned by user {STRANGER}, expected 0");
    for name in ["", "logs", "pids", "records"] {
        let path = scene.data_dir().join(name);
        chown(&path, Some(STRANGER), None).unwrap();
        let error = refused(&scene.data_dir(), &scene).to_string();
        assert!(error.contains(&told), "{error}");
        assert!(error.contains(path.to_str().unwrap().trim_end_matches('/')), "{error}");
        chown(&path, Some(0), None).unwrap();
    }

    // A snapshot says what is to be run as us.
    let snapshot = scene.data_dir().join("snapshot.json");
    chown(&snapshot, Some(STRANGER), None).unwrap();
    let host = Host::new(quick(&scene.data_dir()));
    let error = host.restore().unwrap_err();
    assert!(error.code() == ErrorCode::Untrusted && error.to_string().contains(&told), "{error}");
    assert!(scene.data_dir().join("snapshot.json.corrupt-1").exists() && !snapshot.exists());
    host.kill();
    scene.finish();
}

/// A record says which process is ours; one that another user wrote would have us stop any.
#[test]
fn record_of_another_user_is_not_used() {
    if !geteuid().is_root() {
        return;
    }
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let web = scene.reports.start("web");
    wait_for_files(&scene.data_dir(), &[&web]);
    let record = fs::read_to_string(scene.data_dir().join("records/web.json")).unwrap();
    let planted = scene.path("other/records/victim.json");
    Host::new(quick(&scene.path("other"))).kill();
    fs::write(&planted, record.replace("\"web\"", "\"victim\"")).unwrap();
    set_mode(&planted, 0o600);
    chown(&planted, Some(STRANGER), None).unwrap();
    // Were it believed, its process would be stopped, for it is not declared.
    let mut other = Host::new(quick(&scene.path("other")));
    other.run();
    other.follow("marker");
    other.kill();
    assert!(!web.process.is_gone());
    host.kill();
    scene.finish();
}

/// In a directory like /tmp anybody can be there first.
#[test]
fn a_squatter_in_a_sticky_directory_gains_nothing() {
    if !geteuid().is_root() {
        return;
    }
    let scene = Scene::of_library();
    let public = scene.path("public");
    fs::create_dir(&public).unwrap();
    set_mode(&public, 0o1777);
    let name = public.join("agent");

    fs::create_dir(&name).unwrap();
    chown(&name, Some(STRANGER), Some(STRANGER)).unwrap();
    let error = refused(&name, &scene).to_string();
    assert!(error.contains(&format!("owned by user {STRANGER}, expected 0")), "{error}");
    fs::remove_dir(&name).unwrap();

    // A directory of ours that others use, and that would be closed to them. The kernel may refuse the link by itself.
    let used = scene.path("used");
    fs::create_dir(&used).unwrap();
    set_mode(&used, 0o755);
    symlink(&used, &name).unwrap();
    lchown(&name, Some(STRANGER), Some(STRANGER)).unwrap();
    for path in [name.clone(), public.join("agent/"), public.join("agent/.")] {
        let before = everything(&scene.path(""));
        let error = Manager::new(State::new(), quick(&path)).unwrap_err().to_string();
        let told = error.contains(&format!("a link of user {STRANGER}, expected one of user 0"));
        assert!(told || error.contains("Permission denied"), "{error}");
        assert!(error.contains(name.to_str().unwrap()), "{error}");
        assert_eq!(everything(&scene.path("")), before);
    }
    fs::remove_file(&name).unwrap();

    // A link of our own is our own business.
    symlink(&used, &name).unwrap();
    Host::new(quick(&name)).kill();
    assert!(used.join("lock").exists());
    scene.finish();
}

/// The link leads where this user may not go, as every stranger's link in a sticky directory does where the kernel protects
/// them (fs.protected_symlinks).
fn meets_a_link_that_may_not_be_followed(place: &Place) {
    let name = place.path("public/agent");
    let error = Manager::new(State::new(), quick(&name)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Untrusted, "{error}");
    let told = format!("{}: a link of user {STRANGER}, expected one of user 65533", name.display());
    assert!(error.to_string().contains(&told), "{error}");
}

#[test]
fn link_that_the_kernel_does_not_follow_is_called_a_link_of_its_owner() {
    const TEST: &str = "directory::trust::link_that_the_kernel_does_not_follow_is_called_a_link_of_its_owner";
    let Some(stage) = stage(TEST, &[("agent", meets_a_link_that_may_not_be_followed)]) else { return };
    if !geteuid().is_root() {
        println!("skipped: only root can make a link of another user");
        return stage.end();
    }
    set_mode(&stage.scene.path(""), 0o755);
    let (public, closed) = (stage.scene.path("public"), stage.scene.path("closed"));
    fs::create_dir(&public).unwrap();
    set_mode(&public, 0o1777);
    fs::create_dir_all(closed.join("used")).unwrap();
    set_mode(&closed, 0o700);
    symlink(closed.join("used"), public.join("agent")).unwrap();
    lchown(public.join("agent"), Some(STRANGER), Some(STRANGER)).unwrap();
    let other = ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups"];
    stage.begin_under(&other, "agent", &[]).finish();
    stage.end();
}
