// SPDX-License-Identifier: MPL-2.0
//! A process that becomes another user, whom the agent may not signal.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use proxyprocess::{Daemon, ErrorCode};

use crate::inside::{Place, inherited, play_with_root_proxy, root_proxy, stage, until_root, wait_until};
use crate::stops::common::is_root;
use crate::support::HELPER;

const GRACE: Duration = Duration::from_millis(50);
const AT_MOST: Duration = Duration::from_secs(15);

/// An agent without privileges, whose proxy has become root by a set-user-id program.
fn an_agent_without_privileges(place: &Place) {
    let mut config = root_proxy(place);
    config.stop.grace_period = GRACE;
    let daemon = Daemon::new("web", config);
    daemon.start().unwrap();
    until_root(place);
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
fn process_that_may_not_be_signalled_is_named_with_the_reason() {
    let name = "stops::users::process_that_may_not_be_signalled_is_named_with_the_reason";
    play_with_root_proxy(name, ("agent", an_agent_without_privileges), |_| {});
}

/// An agent that is root and may signal root's processes alone, whose leader has become another user.
fn an_agent_that_may_not_signal_the_leader(place: &Place) {
    let mut config = inherited(&["starts-and-becomes", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
    let program = config.command.argv()[0].clone();
    config.command = config.command.arg("--").arg(program).arg("run");
    config.stop.grace_period = GRACE;
    let daemon = Daemon::new("web", config);
    daemon.start().unwrap();
    wait_until(&place.path(""), "both processes", || place.path("go").exists());
    let error = daemon.stop().unwrap_err();
    assert_eq!(error.code(), ErrorCode::StillRunning);
    assert!(error.to_string().starts_with(&format!("proxy web: still running: pid {}", daemon.status().pid.unwrap())));
    daemon.close().unwrap();
}

fn leader_that_may_not_be_signalled(name: &'static str, kernel: &str) {
    let Some(stage) = stage(name, &[("agent", an_agent_that_may_not_signal_the_leader)]) else { return };
    if !is_root() {
        println!("skipped: only root can have its leader become another user");
        return stage.end();
    }
    fs::set_permissions(stage.scene.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let programs = ["setpriv", "--bounding-set=-kill", "--inh-caps=-kill", *HELPER, "sandbox", kernel];
    let act = stage.begin_under(&programs, "agent", &[]);
    let (leader, member) = (stage.scene.reports.start("web"), stage.scene.reports.grandchild("web"));
    fs::write(stage.scene.path("go"), "").unwrap();
    assert_eq!(stage.scene.reports.signal(&member), "SIGINT");
    act.finish();
    assert!(member.process.is_gone() && !leader.process.is_gone());
    leader.process.kill();
    stage.end();
}

#[test]
fn leader_that_may_not_be_signalled_keeps_no_signal_from_its_group() {
    leader_that_may_not_be_signalled(
        "stops::users::leader_that_may_not_be_signalled_keeps_no_signal_from_its_group",
        "",
    );
}

#[test]
fn leader_that_may_not_be_signalled_keeps_no_signal_from_its_group_before_linux_6_9() {
    const TEST: &str = "stops::users::leader_that_may_not_be_signalled_keeps_no_signal_from_its_group_before_linux_6_9";
    leader_that_may_not_be_signalled(TEST, "signal-to-group=EINVAL");
}
