// SPDX-License-Identifier: MPL-2.0
//! Hosts that can have no more threads. The limit does not hold for root, so each is another user, who has no other
//! process: then it is known how many there are.

use std::fs;

use proxyprocess::{ErrorCode, ExecMode, ProxyConfig};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::hosts::life::in_a_host_by_root;
use crate::inside::{Host, Place, helper, no_library_thread_is_left, quick};
use crate::support::{Deadline, Scene};

fn as_a_lonely_user(test: &'static str, uid: u32, host: fn(&Place)) {
    let [uid, gid] = [format!("--reuid={uid}"), format!("--regid={uid}")];
    in_a_host_by_root(test, &["setpriv", &uid, &gid, "--clear-groups", "--"], host);
}

/// While it lives, this user can have so many more threads and processes.
struct Few(Rlimit);

impl Few {
    fn more(more: u64) -> Few {
        let before = getrlimit(Resource::Nproc);
        let now = fs::read_dir("/proc/self/task").expect("list threads").count() as u64;
        let current = Some(now + more);
        setrlimit(Resource::Nproc, Rlimit { current, maximum: before.maximum }).expect("lower the limit");
        Few(before)
    }
}

impl Drop for Few {
    fn drop(&mut self) {
        setrlimit(Resource::Nproc, Rlimit { current: self.0.current, maximum: self.0.maximum })
            .expect("set the limit as it was");
    }
}

fn that_has_none_left_to_begin_with(_: &Place) {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]));
    let open = || fs::read_dir("/proc/self/fd").expect("list descriptors").count();
    let held = open();
    for more in 0..2 {
        let few = Few::more(more);
        let error = host.manager.run().expect_err("a thread is missing");
        assert_eq!((error.code(), error.errno()), (ErrorCode::Exhausted, Some(11)), "{error}");
        drop(few);
        no_library_thread_is_left();
        assert_eq!(open(), held);
    }
    host.run();
    let web = scene.reports.start("web");
    assert_eq!(host.events.started("web"), web.pid);
    host.kill();
    no_library_thread_is_left();
    scene.finish();
}

#[test]
fn a_host_that_has_no_threads_left_to_begin_with() {
    let name = "hosts::threads::a_host_that_has_no_threads_left_to_begin_with";
    as_a_lonely_user(name, 64_322, that_has_none_left_to_begin_with);
}

/// What is declared together with a proxy that needs one more thread is not lost, nor half of it done.
fn that_has_none_left_for_kinds(_: &Place) {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let web = scene.reports.start("web");
    assert_eq!(host.events.started("web"), web.pid);
    let few = Few::more(0);
    host.set("other", helper(&scene, &["run"]));
    host.set("noop", ProxyConfig::of_mode(ExecMode::NOOP));
    let deadline = Deadline::of("both to say why they wait");
    let says_why = |host: &Host, id: &str| {
        let all = host.manager.status();
        all.into_iter().any(|status| {
            let error = status.last_error.unwrap_or_default();
            status.id == id && error.starts_with("not started yet: start a thread") && error.ends_with("(os error 11)")
        })
    };
    while !(says_why(&host, "noop") && says_why(&host, "other")) {
        deadline.left();
        std::thread::yield_now();
    }
    assert!(host.status("web").pid == Some(web.pid) && host.status("web").last_error.is_none());
    drop(few);
    let other = scene.reports.start("other");
    assert_eq!(host.events.started("other"), other.pid);
    host.follow("marker");
    assert!(host.events.of_proxy("noop").contains(&proxyprocess::EventKind::Started { pid: None }));
    host.kill();
    assert!(web.process.is_gone() && other.process.is_gone());
    scene.finish();
}

#[test]
fn a_host_that_has_no_threads_left_for_kinds() {
    let name = "hosts::threads::a_host_that_has_no_threads_left_for_kinds";
    as_a_lonely_user(name, 64_323, that_has_none_left_for_kinds);
}
