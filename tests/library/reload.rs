// SPDX-License-Identifier: MPL-2.0
//! The reload of one proxy by a call: by a signal, and by a command.

use std::fs;
use std::time::Duration;

use rustix::process::{getpid, set_child_subreaper};

use proxyprocess::{ErrorCode, ExecMode, ProxyConfig, Reload, Signal};

use crate::inside::{Host, Place, descriptors, helper, inherited, park, quick, stage};
use crate::support::{Deadline, HELPER, Scene, Start, alone};

const HOUR: Duration = Duration::from_secs(3600);

/// A proxy that runs, with a host that has it.
fn running(scene: &Scene, config: ProxyConfig) -> (Host, Start) {
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", config);
    host.run();
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    host.follow("marker");
    (host, start)
}

fn shell(script: &str) -> Reload {
    Reload::command(["/bin/sh", "-c", script])
}

#[track_caller]
fn refused(host: &Host, id: &str, code: ErrorCode, message: &str) {
    let error = host.manager.reload(id).unwrap_err();
    assert_eq!((error.code(), &*error.to_string()), (code, message));
}

#[track_caller]
fn wait_for_log(scene: &Scene, text: &str) {
    let deadline = Deadline::of(format!("{text} in the log"));
    while !scene.log("web", "stdout").contains(text) {
        deadline.left();
        std::thread::yield_now();
    }
}

#[test]
fn reload_by_a_signal_reaches_the_leader_and_no_other_member_of_its_group() {
    let name = "library::reload::reload_by_a_signal_reaches_the_leader_and_no_other_member_of_its_group";
    alone(name, || {
        // The member becomes a child of this process when its leader has ended.
        set_child_subreaper(Some(getpid())).unwrap();
        let scene = Scene::of_library();
        // Both tell of both signals.
        let mut config = helper(&scene, &["starts-and-becomes", *HELPER, "stubborn"]);
        config.stop.signal = Signal::from_raw(40).unwrap();
        config.stop.grace_period = Duration::from_millis(500);
        let (host, leader) = running(&scene, config.with_reload(Reload::Signal("SIGTERM".parse().unwrap())));
        let member = scene.reports.grandchild("web");
        host.manager.reload("web").unwrap();
        assert_eq!(scene.reports.signal(&leader), "SIGTERM");
        assert_eq!(host.status("web").pid, Some(leader.pid));
        host.kill();
        assert_eq!(scene.reports.signal(&leader), "40");
        assert_eq!(scene.reports.signal(&member), "40");
        member.process.wait_reaped();
        scene.finish();
    });
}

#[test]
fn reload_that_is_not_declared_or_finds_no_process_is_refused() {
    let scene = Scene::of_library();
    let mut host = Host::new(quick(&scene.data_dir()));
    refused(&host, "web", ErrorCode::NotFound, "proxy web: not managed");
    let mut config = helper(&scene, &["run"]);
    config.restart.attempts_before_backoff = 0;
    (config.restart.healthy_after, config.restart.max_wait) = (HOUR, HOUR);
    host.set("web", config.clone());
    host.set("nothing", ProxyConfig::of_mode(ExecMode::NOOP));
    host.run();
    let start = scene.reports.start("web");
    assert_eq!(host.events.started("web"), start.pid);
    host.follow("marker");
    let undeclared = "proxy web: no reload is declared: a signal or a command by which it reloads its configuration";
    refused(&host, "web", ErrorCode::InvalidConfig, undeclared);
    assert_eq!(host.manager.reload("nothing").unwrap_err().code(), ErrorCode::NotRunning);
    refused(&host, "other", ErrorCode::NotFound, "proxy other: not managed");

    // Another declaration of it needs no new process.
    host.set("web", config.with_reload(Reload::Signal(Signal::KILL)));
    host.follow("second");
    assert_eq!(host.status("web").pid, Some(start.pid));
    host.manager.reload("web").unwrap();
    host.events.waiting("web");
    refused(&host, "web", ErrorCode::NotRunning, "proxy web: has no process now, its state is waiting");
    host.manager.kill().unwrap();
    host.join();
    assert_eq!(host.manager.reload("web").unwrap_err().code(), ErrorCode::Closed);
    scene.finish();
}

#[test]
fn command_has_the_environment_directory_and_logs_of_the_proxy() {
    let scene = Scene::of_library();
    let dir = scene.path("dir");
    fs::create_dir(&dir).unwrap();
    let mut config = helper(&scene, &["run"]).with_reload(shell(
        r#"echo "$MAINPID $CONNECT_PROXY_ID $CONNECT_PROXY_TOKEN $OWN $(pwd) $(ls /proc/self/fd | wc -w)"; echo error >&2"#,
    ));
    config.command = config.command.dir(&dir).env("OWN", "own").env("MAINPID", "1");
    let (host, start) = running(&scene, config);
    host.manager.reload("web").unwrap();
    // Three streams, and the directory that ls reads.
    let told = format!("{} web a declared token own {} 4\n", start.pid, dir.display());
    assert_eq!(scene.log("web", "stdout"), told);
    assert_eq!(scene.log("web", "stderr"), "error\n");
    assert_eq!(host.status("web").pid, Some(start.pid));
    host.kill();
    scene.finish();
}

#[test]
fn command_that_fails_is_an_error_that_says_how() {
    let scene = Scene::of_library();
    let config = helper(&scene, &["run"]);
    let (mut host, start) = running(&scene, config.clone().with_reload(shell("exit 3")));
    refused(&host, "web", ErrorCode::CommandFailed, "proxy web: reload: /bin/sh: exit code 3");
    host.set("web", config.clone().with_reload(shell("kill -9 $$")));
    host.follow("killed");
    refused(&host, "web", ErrorCode::CommandFailed, "proxy web: reload: /bin/sh: signal SIGKILL");
    host.set("web", config.with_reload(Reload::command(["/is/not/there"])));
    host.follow("missing");
    let error = host.manager.reload("web").unwrap_err();
    assert_eq!((error.code(), error.errno()), (ErrorCode::StartFailed, Some(2)), "{error}");
    assert!(error.to_string().starts_with("proxy web: reload: /is/not/there: "), "{error}");
    assert_eq!(host.status("web").pid, Some(start.pid));
    host.kill();
    scene.finish();
}

#[test]
fn command_that_takes_too_long_is_killed_with_its_group() {
    let scene = Scene::of_library();
    let reload = Reload::Command {
        argv: ["/bin/sh", "-c", "sleep 1000 & sleep 1000"].map(Into::into).to_vec(),
        timeout: Duration::from_millis(50),
    };
    let (host, start) = running(&scene, helper(&scene, &["run"]).with_reload(reload));
    refused(&host, "web", ErrorCode::Timeout, "proxy web: reload: /bin/sh: killed, for it took longer than 50ms");
    assert_eq!(host.status("web").pid, Some(start.pid));
    host.kill();
    scene.finish();
}

#[test]
fn stop_of_the_proxy_ends_a_command_that_runs() {
    let scene = Scene::of_library();
    let reload = shell("echo began; exec sleep 1000");
    let (mut host, start) = running(&scene, helper(&scene, &["run"]).with_reload(reload));
    let manager = host.manager.clone();
    let reloading = std::thread::spawn(move || manager.reload("web"));
    wait_for_log(&scene, "began");
    host.state.remove("web");
    host.events.stopped("web");
    assert!(start.process.is_gone());
    let error = reloading.join().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "proxy web: reload: /bin/sh: signal SIGINT");
    host.kill();
    scene.finish();
}

#[test]
fn commands_leave_no_descriptor() {
    let name = "library::reload::commands_leave_no_descriptor";
    alone(name, || {
        let scene = Scene::of_library();
        let (host, _) = running(&scene, helper(&scene, &["run"]).with_reload(shell("exit 0")));
        host.manager.reload("web").unwrap();
        let before = descriptors();
        for _ in 0..20 {
            host.manager.reload("web").unwrap();
        }
        // A snapshot may be being written.
        let deadline = Deadline::of("the descriptors to be closed");
        while descriptors() > before {
            deadline.left();
            std::thread::yield_now();
        }
        host.kill();
        scene.finish();
    });
}

/// An agent whose reload does not end before it is killed.
fn an_agent_that_reloads(place: &Place) {
    let mut host = Host::new(quick(&place.data_dir()));
    host.set("web", inherited(&["run"]).with_reload(shell("echo began; exec sleep 1000")));
    host.run();
    host.events.started("web");
    let _ = host.manager.reload("web");
    park();
}

#[test]
fn command_of_an_agent_that_died_is_not_adopted_and_ends_with_the_proxy() {
    let name = "library::reload::command_of_an_agent_that_died_is_not_adopted_and_ends_with_the_proxy";
    let Some(stage) = stage(name, &[("agent", an_agent_that_reloads)]) else { return };
    let agent = stage.begin("agent", &[]);
    let start = stage.scene.reports.start("web");
    wait_for_log(&stage.scene, "began");
    agent.kill();
    // It lost its parent, as the proxy did, and is this process's to reap.
    let alive = stage.scene.alive();
    let [command] = alive.iter().filter(|process| process.pid() != start.pid).collect::<Vec<_>>()[..] else {
        panic!("the proxy and the command live, and nothing else: {alive:?}");
    };
    stage.scene.reports.adopt(command);
    let mut next = Host::new(quick(&stage.scene.data_dir()));
    next.restore().unwrap();
    assert_eq!(next.events.adopted("web"), start.pid);
    assert!(!command.is_gone());
    next.kill();
    assert!(start.process.is_gone() && command.is_gone());
    stage.scene.finish();
}
