// SPDX-License-Identifier: MPL-2.0
//! Hosts whose /proc is not what it should be.

use std::time::Duration;

use proxyprocess::{Daemon, ErrorCode, EventKind, Manager, State};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{geteuid, getpid, set_child_subreaper};

use crate::hosts::life::{Told, in_a_host_by_root, live};
use crate::inside::{Host, Place, helper, quick};
use crate::support::{HELPER, Scene};

fn whose_proc_hides_other_users(_: &Place) {
    assert!(!geteuid().is_root() && !std::path::Path::new("/proc/1/stat").exists(), "the test is about hidden ones");
    live(Told::Parent);
    live(Told::Parent);
}

#[test]
fn a_host_whose_proc_hides_other_users() {
    // A shell of root's is process 1.
    let hide = "mount -o remount,hidepid=2 /proc && setpriv --reuid=65534 --regid=65534 --clear-groups -- \"$@\"";
    let programs = [
        "unshare",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "/bin/sh",
        "-c",
        &format!("{hide}; exit $?"),
        "sh",
    ];
    in_a_host_by_root("hosts::proc::a_host_whose_proc_hides_other_users", &programs, whose_proc_hides_other_users);
}

/// While it lives, /proc is an empty directory.
struct Hidden;

impl Hidden {
    fn begin() -> Hidden {
        mount("none", "/proc", "tmpfs", MountFlags::empty(), None).expect("mount over /proc");
        Hidden
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        unmount("/proc", UnmountFlags::DETACH).expect("uncover /proc");
    }
}

/// How long nothing may happen that would be wrong.
const WATCHED: Duration = Duration::from_millis(200);

fn whose_proc_goes_away(_: &Place) {
    // What is left of a group is a child of ours then, and the library leaves it to us.
    set_child_subreaper(Some(getpid())).expect("become a subreaper");
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let soon = |role: &[&str]| {
        let mut config = helper(&scene, role);
        config.restart.max_wait = Duration::from_millis(50);
        config
    };
    let mut leads = soon(&["grandchild", "stubborn"]);
    leads.stop.leftover_grace = Duration::MAX;
    host.set("leads", leads);
    host.set("web", soon(&["run"]));
    host.run();
    let (leads, member) = (scene.reports.start("leads"), scene.reports.grandchild("leads"));
    let web = scene.reports.start("web");
    host.events.until("both", |event| matches!(event.kind, EventKind::Started { .. }));
    host.events.until("both", |event| matches!(event.kind, EventKind::Started { .. }));

    let hidden = Hidden::begin();
    web.process.kill();
    let says = |kind: &EventKind| {
        let said = "proc";
        matches!(kind, EventKind::StartFailed { error } if error.contains(said))
    };
    host.events.until("a start that fails", |event| event.id.as_deref() == Some("web") && says(&event.kind));
    // That no process of a group can be seen does not mean that there is none.
    leads.process.kill();
    host.events.exited("leads");
    assert_eq!(scene.reports.signal(&member), "SIGINT");
    let until = std::time::Instant::now() + WATCHED;
    while let Some(left) = until.checked_duration_since(std::time::Instant::now()) {
        let event = host.events.next(left);
        let wrong = event.as_ref().is_some_and(|event| event.id.as_deref() == Some("leads"));
        assert!(!wrong, "{event:?} while a member of the group lives");
    }
    drop(hidden);
    let web = scene.reports.start("web");
    assert_eq!(host.events.started("web"), web.pid);
    member.process.kill();
    assert!(member.process.reap());
    let (leads, member) = (scene.reports.start("leads"), scene.reports.grandchild("leads"));
    assert_eq!(host.events.started("leads"), leads.pid);

    // An agent that begins meanwhile says so, and takes over later.
    host.close();
    let hidden = Hidden::begin();
    let error = Manager::new(State::new(), quick(&scene.data_dir())).expect_err("nothing can be known");
    assert_eq!(error.code(), ErrorCode::Io, "{error}");
    drop(hidden);
    let mut next = Host::new(quick(&scene.data_dir()));
    next.set("web", soon(&["run"]));
    let mut leads_soon = soon(&["grandchild", "stubborn"]);
    leads_soon.stop.grace_period = Duration::from_millis(100);
    next.set("leads", leads_soon);
    let hidden = Hidden::begin();
    next.run();
    next.events.refused("web");
    drop(hidden);
    assert_eq!(next.events.adopted("web"), web.pid);
    next.kill();
    assert!([&leads, &member, &web].iter().all(|start| start.process.is_gone()));
    assert!(member.process.reap());
    scene.reports.forget_signals();
    scene.finish();
}

#[test]
#[cfg_attr(proxyprocess_no_pidfd, ignore = "without pidfds nothing goes on without /proc")]
fn a_host_whose_proc_goes_away() {
    in_a_host_by_root("hosts::proc::a_host_whose_proc_goes_away", &["unshare", "--mount"], whose_proc_goes_away);
}

/// That no others of a group are left is known without a list of all processes, once it was killed.
fn whose_proc_goes_away_before_linux_6_9(_: &Place) {
    let scene = Scene::of_library();
    let daemon = Daemon::new("web", helper(&scene, &["run"]));
    daemon.start().unwrap();
    let mut running = scene.reports.start("web");
    let hidden = Hidden::begin();
    for _ in 0..3 {
        running.process.kill();
        let next = scene.reports.start("web");
        assert!(running.process.is_gone());
        running = next;
    }
    drop(hidden);
    daemon.stop().unwrap();
    assert!(running.process.is_reaped());
    scene.finish();
}

#[test]
#[cfg_attr(proxyprocess_no_pidfd, ignore = "without pidfds nothing goes on without /proc")]
fn crash_before_linux_6_9_is_followed_by_a_restart_without_a_list_of_processes() {
    let name = "hosts::proc::crash_before_linux_6_9_is_followed_by_a_restart_without_a_list_of_processes";
    let programs = ["unshare", "--mount", *HELPER, "sandbox", "signal-to-group=EINVAL"];
    in_a_host_by_root(name, &programs, whose_proc_goes_away_before_linux_6_9);
}

/// Each number in /proc is another process's than here.
fn whose_proc_is_of_another_namespace(_: &Place) {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let failed = host.events.until("the failure", |event| matches!(event.kind, EventKind::StartFailed { .. }));
    let EventKind::StartFailed { error } = failed.kind else { unreachable!() };
    assert!(error.contains("the proc file system is of another pid namespace"), "{error}");
    assert_eq!(host.status("web").last_error.as_deref(), Some(&*error));
    host.kill();
    // A daemon alone has no record that would be wrong.
    let mut config = helper(&scene, &["run"]);
    // Where it cannot be seen whether others of its group are left, all of it is waited for, and killed.
    config.stop.grace_period = Duration::from_millis(500);
    let daemon = Daemon::new("alone", config);
    daemon.start().unwrap();
    let alone = scene.reports.start("alone");
    daemon.stop().unwrap();
    assert!(alone.process.is_gone());
    scene.finish();
}

#[test]
fn a_host_whose_proc_is_of_another_namespace() {
    let programs = ["unshare", "--pid", "--fork", "--kill-child"];
    let name = "hosts::proc::a_host_whose_proc_is_of_another_namespace";
    in_a_host_by_root(name, &programs, whose_proc_is_of_another_namespace);
}

#[test]
fn host_before_linux_6_9_whose_proc_is_of_another_namespace_stops_its_processes() {
    let programs = ["unshare", "--pid", "--fork", "--kill-child", *HELPER, "sandbox", "signal-to-group=EINVAL"];
    let name = "hosts::proc::host_before_linux_6_9_whose_proc_is_of_another_namespace_stops_its_processes";
    in_a_host_by_root(name, &programs, whose_proc_is_of_another_namespace);
}

/// No boot id, no list of locks, no load: as with `ProcSubset=pid` in a systemd unit.
fn whose_proc_has_nothing_but_processes(_: &Place) {
    assert!(!std::path::Path::new("/proc/sys").exists(), "the test is about a /proc without it");
    live(Told::Parent);
    live(Told::Parent);
}

#[test]
fn host_whose_proc_has_nothing_but_processes() {
    let mount = "mount -t proc -o subset=pid proc /proc && exec \"$@\"";
    let programs = ["unshare", "--mount", "/bin/sh", "-c", mount, "sh"];
    in_a_host_by_root(
        "hosts::proc::host_whose_proc_has_nothing_but_processes",
        &programs,
        whose_proc_has_nothing_but_processes,
    );
}
