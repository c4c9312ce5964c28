// SPDX-License-Identifier: MPL-2.0
//! The status of one proxy: what the status of all says of it.

use proxyprocess::{ErrorCode, ExecMode, Manager, ProxyConfig, ProxyState, ProxyStatus};

use super::overlap::{begun, overlapping};
use crate::inside::{Host, helper, quick};
use crate::support::{Deadline, Scene};

/// Both are asked for until nothing changes in between.
#[track_caller]
fn is_the_same(manager: &Manager, id: &str) -> ProxyStatus {
    let deadline = Deadline::of("a status that does not change");
    // Times go on.
    let timeless = |mut status: ProxyStatus| {
        for time in [&mut status.state_ms, &mut status.uptime_ms, &mut status.next_start_ms] {
            *time = time.map(|_| 0);
        }
        status
    };
    loop {
        let all = || manager.status().into_iter().find(|status| status.id == id).map(timeless);
        let (before, one, after) = (all(), manager.status_of(id).ok().map(timeless), all());
        if before == after && before == one {
            return one.unwrap_or_else(|| panic!("there is no proxy {id}"));
        }
        assert!(!deadline.is_over(), "{one:?} is not {after:?}");
    }
}

#[track_caller]
fn fails(manager: &Manager, id: &str, code: ErrorCode) {
    assert_eq!(manager.status_of(id).map_err(|error| error.code()), Err(code), "{id}");
}

#[test]
fn status_of_one_is_what_the_status_of_all_says_of_it() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    fails(&host.manager, "web", ErrorCode::NotFound);
    let first = begun(&scene, &mut host);
    assert_eq!(is_the_same(&host.manager, "web").pid, Some(first.pid));
    let mut waits = helper(&scene, &["exit", "3"]);
    waits.restart.attempts_before_backoff = 0;
    host.set("waits", waits);
    host.set("noop", ProxyConfig::of_mode(ExecMode::NOOP));
    host.set("unknown", ProxyConfig::of_mode(ExecMode::new("nosuch").unwrap()));
    host.set("web", overlapping(&scene, "2"));
    let second = scene.reports.start("web");
    let deadline = Deadline::of("the next generation to be supervised");
    while host.status("web").other.and_then(|other| other.pid).is_none() {
        deadline.left();
        std::thread::yield_now();
    }
    let web = is_the_same(&host.manager, "web");
    assert_eq!((web.pid, web.other.and_then(|other| other.pid)), (Some(first.pid), Some(second.pid)));
    scene.reports.start("waits");
    host.events.waiting("waits");
    assert_eq!(is_the_same(&host.manager, "waits").state, ProxyState::Waiting);
    assert_eq!(is_the_same(&host.manager, "noop").mode, ExecMode::NOOP);
    assert!(is_the_same(&host.manager, "unknown").last_error.is_some());
    fails(&host.manager, "nosuch", ErrorCode::NotFound);
    host.manager.kill().unwrap();
    fails(&host.manager, "web", ErrorCode::Closed);
    host.join();
    scene.reports.forget_unread();
    scene.finish();
}
