// SPDX-License-Identifier: MPL-2.0
//! What has to work in every host.

use std::time::Duration;

use proxyprocess::{ExitStatus, ProxyState};
use rustix::process::geteuid;

use crate::inside::{Host, Part, Place, helper, is_act, kernel_tells_status_of_strangers, quick, stage};
use crate::support::Scene;

/// Runs `host` in a process of its own that was prepared by other programs; each executes the rest of the words.
pub(crate) fn in_a_host(test: &'static str, programs: &[&str], host: fn(&Place)) {
    let acts: [Part; 1] = [("host", host)];
    let Some(stage) = stage(test, &acts) else { return };
    stage.begin_under(programs, "host", &[]).finish();
    stage.end();
}

/// The same, where only root can prepare it.
pub(crate) fn in_a_host_by_root(test: &'static str, programs: &[&str], host: fn(&Place)) {
    if is_act() || geteuid().is_root() {
        return in_a_host(test, programs, host);
    }
    eprintln!("skipped: only root can prepare it: {programs:?}");
}

/// Who knows how a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// The library, as the parent that has waited.
    Parent,
    /// Other code of the host has waited; the kernel may still tell.
    Kernel,
}

impl Told {
    fn expects(self, seen: ExitStatus, status: ExitStatus) {
        // Where the kernel does not tell, the library may have looked in time; what it says is right or "unknown".
        let lost = self == Told::Kernel && !kernel_tells_status_of_strangers();
        assert!(seen == status || lost && seen == ExitStatus::Unknown, "{seen} instead of {status}");
    }
}

/// Started, crashed, restarted, stopped in time or killed, left behind and adopted.
pub(crate) fn live(told: Told) {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let mut stubborn = helper(&scene, &["stubborn"]);
    stubborn.stop.grace_period = Duration::from_millis(100);
    host.set("stubborn", stubborn);
    host.set("web", helper(&scene, &["graceful"]));
    let mut exits = helper(&scene, &["exit", "3"]);
    exits.restart.max_wait = Duration::from_secs(3600);
    host.set("exits", exits);
    host.run();
    let (stubborn, first) = (scene.reports.start("stubborn"), scene.reports.start("web"));
    (0..4).for_each(|_| drop(scene.reports.start("exits")));
    host.events.until("a wait", |event| matches!(event.kind, proxyprocess::EventKind::Waiting { .. }));
    told.expects(host.status("exits").last_exit.unwrap(), ExitStatus::Exited(3));
    assert_eq!((host.status("exits").state, host.status("exits").pid), (ProxyState::Waiting, None));

    first.process.kill();
    let second = scene.reports.start("web");
    host.events
        .until("the second one", |event| event.kind == proxyprocess::EventKind::Started { pid: Some(second.pid) });
    told.expects(host.status("web").last_exit.unwrap(), ExitStatus::Signaled { signal: 9, core_dumped: false });

    host.state.remove("stubborn");
    host.events.stopped("stubborn");
    assert!(stubborn.process.is_gone());
    assert_eq!(scene.reports.signal(&stubborn), "SIGINT");

    host.close();
    let mut next = Host::new(quick(&scene.data_dir()));
    next.restore().unwrap();
    assert_eq!(next.events.adopted("web"), second.pid);
    next.kill();
    assert!(second.process.is_gone());
    assert_eq!(scene.reports.signal(&second), "SIGINT");
    scene.finish();
}
