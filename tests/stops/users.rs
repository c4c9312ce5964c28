//! A process that becomes another user, whom the agent may not signal.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use proxyprocess::{Command, Daemon, ErrorCode};

use crate::common::is_root;
use crate::inside::{Place, inherited, stage, wait_until};

const GRACE: Duration = Duration::from_millis(50);
const AT_MOST: Duration = Duration::from_secs(15);

/// An agent without privileges, whose proxy has become root by a set-user-id program.
fn an_agent_without_privileges(place: &Place) {
    let mut config = inherited(&["run"]);
    let program = config.command.argv()[0].clone();
    config.command = Command::new(place.path("becomes-root")).args(["--reuid=0", "--"]).arg(program).arg("run");
    config.stop.grace_period = GRACE;
    let daemon = Daemon::new("web", config);
    daemon.start().unwrap();
    wait_until(&place.path(""), "the proxy to be root", || place.path("go").exists());
    let pid = daemon.status().pid.unwrap();
    let begun = Instant::now();
    let error = daemon.stop().unwrap_err();
    assert!(begun.elapsed() < AT_MOST);
    assert_eq!(error.code(), ErrorCode::StillRunning);
    let said = format!(
        "proxy web: still running: pid {pid} of the group of pid {pid}: send SIGKILL to the group of pid {pid}: Operation \
         not permitted (os error 1)"
    );
    assert_eq!(error.to_string(), said);
    assert_eq!(daemon.status().pid, Some(pid), "it is still supervised");
    daemon.close().unwrap();
}

#[test]
fn whoever_may_not_be_signalled_is_named_with_the_reason() {
    let name = "users::whoever_may_not_be_signalled_is_named_with_the_reason";
    let Some(stage) = stage(name, &[("agent", an_agent_without_privileges)]) else { return };
    if !is_root() {
        println!("skipped: only root can make a program that makes others root");
        return stage.end();
    }
    let dir = stage.scene.path("");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    let program = dir.join("becomes-root");
    fs::copy("/usr/bin/setpriv", &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let act = stage.begin_under(&nobody, "agent", &[]);
    let web = stage.scene.reports.start("web");
    fs::write(dir.join("go"), "").unwrap();
    act.finish();
    web.process.kill();
    stage.end();
}
