// SPDX-License-Identifier: MPL-2.0
//! Signals to one proxy by a call.

use std::fs;
use std::time::Duration;

use rustix::process::{getpid, set_child_subreaper};

use proxyprocess::{ErrorCode, EventKind, ExecMode, ExitStatus, ProxyConfig, ProxyState, Signal};

use crate::inside::{Host, Place, helper, play_with_root_proxy, quick, root_proxy, until_root};
use crate::support::{HELPER, Scene, alone};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn signal_by_a_call_reaches_the_leader_and_no_other_member_of_its_group() {
    let name = "library::signal::signal_by_a_call_reaches_the_leader_and_no_other_member_of_its_group";
    alone(name, || {
        // The member becomes a child of this process when its leader has ended.
        set_child_subreaper(Some(getpid())).unwrap();
        let scene = Scene::of_library();
        let mut host = Host::new(quick(&scene.data_dir()));
        // Both tell of SIGTERM and of the stop signal, in this order if they had both.
        let mut config = helper(&scene, &["starts-and-becomes", *HELPER, "stubborn"]);
        config.stop.signal = Signal::from_raw(40).unwrap();
        config.stop.grace_period = HOUR;
        host.set("web", config);
        host.run();
        let (leader, member) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        assert_eq!(host.events.started("web"), leader.pid);
        host.manager.signal("web", "SIGTERM".parse().unwrap()).unwrap();
        assert_eq!(scene.reports.signal(&leader), "SIGTERM");
        // Also while it is being stopped, and of a proxy that is not declared any more.
        host.state.remove("web");
        assert_eq!(scene.reports.signal(&leader), "40");
        assert_eq!(scene.reports.signal(&member), "40");
        host.manager.signal("web", Signal::KILL).unwrap();
        host.events.exited("web");
        assert!(!member.process.is_gone());
        member.process.kill();
        host.events.stopped("web");
        member.process.wait_reaped();
        host.kill();
        scene.finish();
    });
}

#[test]
fn process_that_ends_by_a_signal_is_restarted_as_after_a_crash() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(&scene, &["run"]));
    host.run();
    let first = scene.reports.start("web");
    assert_eq!(host.events.started("web"), first.pid);
    host.manager.signal("web", Signal::KILL).unwrap();
    assert_eq!(host.events.exited("web"), ExitStatus::Signaled { signal: 9, core_dumped: false });
    let second = scene.reports.start("web");
    host.events.until("the next one", |event| event.kind == EventKind::Started { pid: Some(second.pid) });
    host.kill();
    scene.finish();
}

#[test]
fn signal_to_a_proxy_without_a_process_is_refused() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    let sent = |host: &Host, id: &str| host.manager.signal(id, Signal::KILL).map_err(|error| error.code());
    assert_eq!(sent(&host, "web"), Err(ErrorCode::NotFound));
    let mut config = helper(&scene, &["run"]);
    config.restart.attempts_before_backoff = 0;
    config.restart.healthy_after = HOUR;
    config.restart.max_wait = HOUR;
    host.set("web", config);
    host.set("nothing", ProxyConfig::of_mode(ExecMode::NOOP));
    host.run();
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    host.follow("marker");
    assert_eq!(sent(&host, "nothing"), Err(ErrorCode::NotRunning));
    assert_eq!(sent(&host, "undeclared"), Err(ErrorCode::NotFound));
    host.manager.signal("web", Signal::KILL).unwrap();
    host.events.waiting("web");
    let error = host.manager.signal("web", Signal::KILL).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotRunning);
    assert_eq!(error.to_string(), "proxy web: has no process now, its state is waiting");
    assert_eq!(host.status("web").state, ProxyState::Waiting);
    host.manager.kill().unwrap();
    host.join();
    assert_eq!(sent(&host, "web"), Err(ErrorCode::Closed));
    scene.finish();
}

/// An agent without privileges, whose proxy has become root by a set-user-id program.
fn an_agent_without_privileges(place: &Place) {
    let mut host = Host::new(quick(&place.path("of-the-agent").join("data")));
    host.set("web", root_proxy(place));
    host.run();
    let pid = host.events.started("web");
    until_root(place);
    let error = host.manager.signal("web", Signal::INT).unwrap_err();
    assert_eq!((error.code(), error.errno()), (ErrorCode::Io, Some(1)));
    let said = format!("proxy web: send SIGINT to pid {pid}: Operation not permitted (os error 1)");
    assert_eq!(error.to_string(), said);
    assert_eq!(host.status("web").pid, Some(pid), "it is still supervised");
    host.close();
}

#[test]
fn signal_that_is_not_permitted_is_an_error_with_pid_and_errno() {
    let name = "library::signal::signal_that_is_not_permitted_is_an_error_with_pid_and_errno";
    play_with_root_proxy(name, ("agent", an_agent_without_privileges), |dir| {
        let own = dir.join("of-the-agent");
        fs::create_dir(&own).unwrap();
        std::os::unix::fs::chown(&own, Some(65534), Some(65534)).unwrap();
    });
}
