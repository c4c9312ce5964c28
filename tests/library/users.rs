// SPDX-License-Identifier: MPL-2.0
//! Who proxies run as.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Uid;

use proxyprocess::{Command, Credentials, EventKind, ProxyConfig, ProxyState};

use crate::inside::{Host, helper, quick};
use crate::support::{Scene, alone};

const NOBODY: u32 = 65534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A helper that another user can execute.
fn as_nobody(scene: &Scene) -> ProxyConfig {
    fs::set_permissions(scene.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let own = helper(scene, &["inspect"]);
    let program = scene.path("helper");
    let original = &own.command.argv()[0];
    // A link, since a copy cannot be executed while any process that is just being started has it open.
    if !program.exists() && fs::hard_link(original, &program).is_err() {
        fs::copy(original, &program).unwrap();
    }
    let credentials = Credentials::new(NOBODY, NOBODY).with_groups([NOBODY, 7]);
    let command = Command::new(program).arg("inspect").dir("/").credentials(credentials);
    let command = scene.env().into_iter().fold(command, |command, (name, value)| command.env(name, value));
    let mut config = own;
    config.command = command;
    config
}

#[test]
fn root_may_run_nothing_as_root_unless_that_is_allowed() {
    let scene = Scene::of_library();
    let mut options = quick(&scene.data_dir());
    options.allow_root = false;
    let mut host = Host::new(options.clone());
    host.set("web", helper(&scene, &["run"]));
    if !is_root() {
        // To anybody else the option means nothing.
        host.run();
        scene.reports.start("web");
        host.kill();
        return scene.finish();
    }
    host.set("nobody", as_nobody(&scene));
    host.run();
    let error = host.events.failed("web");
    assert!(error.contains("as root") && error.contains("allow_root"), "{error}");
    let status = host.status("web");
    assert_eq!((status.state, status.pid, status.last_error), (ProxyState::Failed, None, Some(error)));
    let nobody = scene.reports.start("nobody");
    assert_eq!(nobody.inspection.unwrap().uid, NOBODY);
    assert_eq!(scene.pid_file("web"), None);

    options.allow_root = true;
    host.manager.reconfigure(options).unwrap();
    host.set("web", helper(&scene, &["run", "allowed"]));
    scene.reports.start("web");
    host.kill();
    scene.finish();
}

#[test]
fn agent_that_may_become_root_again_is_refused_proxies_with_its_own_ids() {
    alone("library::users::agent_that_may_become_root_again_is_refused_proxies_with_its_own_ids", || {
        if !is_root() {
            return;
        }
        // Those of this thread, and of the library's, which are started by it. A proxy would have them all.
        let (root, other) = (Uid::ROOT, Uid::from_raw(NOBODY));
        rustix::thread::set_thread_res_uid(root, other, root).unwrap();
        let scene = Scene::of_library();
        let mut options = quick(&scene.data_dir());
        options.allow_root = false;
        let mut host = Host::new(options);
        host.set("web", helper(&scene, &["run"]));
        host.run();
        let error = host.events.failed("web");
        assert!(error.contains("as root") && error.contains("allow_root"), "{error}");
        host.kill();
        scene.finish();
    });
}

#[test]
fn a_proxy_has_exactly_the_declared_credentials() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let mut config = as_nobody(&scene);
    if !is_root() {
        // Not even its own groups can be set without privileges.
        let other = Credentials::new(12345, 12345);
        config.command = config.command.credentials(other);
        host.set("web", config);
        host.run();
        let failed =
            |kind: &EventKind| matches!(kind, EventKind::StartFailed { error } if error.contains("not permitted"));
        host.events.until("the failure", |event| failed(&event.kind));
        host.kill();
        return scene.finish();
    }
    host.set("web", config);
    host.run();
    let start = scene.reports.start("web");
    let found = start.inspection.as_ref().unwrap();
    assert_eq!((found.uid, found.gid), (NOBODY, NOBODY));
    let mut groups = found.groups.clone();
    groups.sort_unstable();
    assert_eq!(groups, [7, NOBODY]);
    let status = fs::read_to_string(format!("/proc/{}/status", start.pid)).unwrap();
    for (field, id) in [("Uid:", NOBODY), ("Gid:", NOBODY)] {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        // Real, effective, saved and of the file system: there is no way back.
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), [id.to_string().as_str(); 4]);
    }
    assert!(status.lines().any(|line| line.starts_with("CapEff:") && line.ends_with("\t0000000000000000")));

    // It is stopped and adopted like any other.
    host.close();
    let mut next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    assert_eq!(next.events.adopted("web"), start.pid);
    next.kill();
    assert!(start.process.is_gone());
    scene.finish();
}
