// SPDX-License-Identifier: MPL-2.0
//! Processes that a proxy has left and that nothing proves to be its own: they are named, and never signalled.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proxyprocess::{Daemon, ErrorCode, EventKind, ProxyState};
use rustix::fs::{XattrFlags, setxattr};
use rustix::process::{Signal, getpid, set_child_subreaper};

use crate::inside::{Observer, helper};
use crate::stops::common::is_root;
use crate::support::{Agent, Config, Deadline, HELPER, Launch, Proxy, Scene, Start, in_pid_namespace};

/// The user of an agent without privileges.
const USER: u32 = 65533;

/// How long a start is held at the most.
const HELD: Duration = Duration::from_secs(10);

/// The name of the helper as the kernel shows it.
fn program() -> String {
    let name = Path::new(*HELPER).file_name().unwrap().to_string_lossy().into_owned();
    name.chars().take(15).collect()
}

/// Ends an agent and its proxies, of which some may be left.
#[track_caller]
fn quit_with_failure(mut agent: Agent) -> String {
    agent.signal(Signal::QUIT);
    let status = agent.end();
    assert_eq!(status.code(), Some(1), "{}", agent.log());
    agent.log()
}

/// It was not signalled: every signal that the library sends would have ended it.
#[track_caller]
fn end(start: &Start) {
    assert!(!start.process.is_gone(), "{} was signalled", start.pid);
    start.process.kill();
    start.process.wait_reaped();
}

#[test]
fn a_stop_names_a_process_with_a_cleared_environment_and_does_not_signal_it() {
    in_pid_namespace(
        "stops::unproven::a_stop_names_a_process_with_a_cleared_environment_and_does_not_signal_it",
        || {
            set_child_subreaper(Some(getpid())).unwrap();
            let scene = Scene::of_library();
            let daemon = Daemon::new("web", helper(&scene, &["grandchild", "cleared"]));
            let mut events = Observer::of(daemon.events());
            daemon.start().unwrap();
            let (leader, left) = (scene.reports.start("web"), scene.reports.grandchild("web"));
            assert_eq!(daemon.status().unproven, [], "of a process that runs nothing is left");

            let error = daemon.stop().unwrap_err();
            assert!(leader.process.is_gone());
            assert_eq!(error.code(), ErrorCode::Unproven);
            let why = "runs its executable, was started after it, and its environment names no proxy";
            let named = format!("pid {} ({}: {why})", left.pid, program());
            assert_eq!(error.to_string(), format!("proxy web: stopped, but may have left {named}"));
            let status = daemon.status();
            assert_eq!((status.state, status.pid), (ProxyState::Stopped, None));
            assert_eq!(
                status.unproven.iter().map(ToString::to_string).collect::<Vec<_>>(),
                std::slice::from_ref(&named)
            );
            let told = |kind: &EventKind| *kind == EventKind::Unproven { processes: named.clone() };
            assert_eq!(events.of_proxy("web").into_iter().filter(told).count(), 1);
            assert_eq!(daemon.stop(), Err(error), "as long as it lives");

            end(&left);
            assert_eq!(daemon.status().unproven, []);
            assert_eq!(daemon.stop(), Ok(()));
            scene.finish();
        },
    );
}

#[test]
fn a_removed_proxy_names_a_process_that_writes_to_its_log() {
    in_pid_namespace("stops::unproven::a_removed_proxy_names_a_process_that_writes_to_its_log", || {
        let scene = Scene::new();
        let web = Proxy::helper(&["grandchild", "cleared", "keeps-log"]);
        let agent = Agent::start(&scene, &Config::scanning(&scene).proxy("web", web));
        let (leader, left) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        agent.reload(&Config::scanning(&scene));
        let why = "writes to its log, was started after it, and its environment names no proxy";
        agent.wait_for_log(&format!("may have left pid {} ({}: {why}): not signalled", left.pid, program()));
        agent.status_when(&scene, "web is gone", |status| status.proxies.is_empty());
        assert!(leader.process.is_gone());
        agent.quit();
        end(&left);
        scene.finish();
    });
}

#[test]
fn processes_of_another_agent_are_not_named() {
    in_pid_namespace("stops::unproven::processes_of_another_agent_are_not_named", || {
        let (one, other) = (Scene::new(), Scene::new());
        let web = |role: &[&str], scene: &Scene| Config::scanning(scene).proxy("web", Proxy::helper(role));
        let leave = |role: &[&str]| {
            let agent = Agent::start(&other, &web(role, &other));
            let (leader, left) = (other.reports.start("web"), other.reports.grandchild("web"));
            agent.kill();
            leader.process.kill();
            left
        };
        let earlier = leave(&["grandchild", "cleared"]);
        fs::remove_dir_all(other.data_dir()).unwrap();
        let agent = Agent::start(&one, &web(&["run"], &one));
        let leader = one.reports.start("web");
        let with_another_log = leave(&["grandchild", "cleared", "keeps-log"]);
        let with_an_id = one.stranger();

        agent.quit();
        assert!(leader.process.is_gone());
        [&earlier, &with_another_log, &with_an_id].into_iter().for_each(end);
        one.finish();
        other.finish();
    });
}

/// A copy of the helper that has a capability, which its file gives it: the kernel lets no process without
/// privileges read such a process. `None` where that cannot be had.
fn capable_helper(scene: &Scene) -> Option<PathBuf> {
    let copy = scene.path("capable-helper");
    fs::copy(*HELPER, &copy).unwrap();
    // struct vfs_cap_data of linux/capability.h: revision 2, effective; CAP_NET_BIND_SERVICE permitted.
    let words: [u32; 5] = [0x0200_0001, 1 << 10, 0, 0, 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let set = setxattr(&copy, "security.capability", &value, XattrFlags::empty());
    if let Err(error) = &set {
        assert!(std::env::var_os("PROXYPROCESS_CI").is_none(), "set a file capability: {error}");
        println!("skipped: set a file capability: {error}");
    }
    set.ok().map(|()| copy)
}

#[test]
fn a_stop_names_a_process_that_a_file_capability_makes_unreadable() {
    in_pid_namespace("stops::unproven::a_stop_names_a_process_that_a_file_capability_makes_unreadable", || {
        let scene = Scene::new();
        // Root of a user namespace has no other user to give the files to.
        let maps_all = fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.contains("4294967295"));
        if !is_root() || !maps_all {
            println!("skipped: only root can give capabilities to a file");
            return scene.finish();
        }
        let Some(program) = capable_helper(&scene) else { return scene.finish() };
        fs::set_permissions(scene.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(scene.data_dir()).unwrap();
        chown(scene.data_dir(), Some(USER), Some(USER)).unwrap();
        let web = Proxy::command(&[program.to_str().unwrap(), "escaped", "stubborn"]);
        let config = Config::scanning(&scene).proxy("web", web);
        let user = USER.to_string();
        let under = ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"];
        let agent = Launch::new(&scene).under(&under).start(&config);
        let (leader, left) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        let log = quit_with_failure(agent);
        assert!(leader.process.is_gone());
        let why = "of the same user, was started after it, and its environment cannot be read";
        let said = format!("proxy web: stopped, but may have left pid {} (capable-helper: {why})", left.pid);
        assert!(log.contains(&said), "{log}");
        end(&left);
        scene.finish();
    });
}

/// Each agent is in a user namespace of its own, as under `PrivateUsers=yes` of systemd.
const IN_USER_NAMESPACE: [&str; 3] = ["unshare", "--user", "--map-root-user"];

fn has_user_namespaces() -> bool {
    let output = std::process::Command::new("unshare").args(["--user", "--map-root-user", "true"]).output();
    let has = output.as_ref().is_ok_and(|output| output.status.success());
    if !has {
        println!("skipped: no user namespace: {output:?}");
    }
    has
}

#[test]
fn a_stop_names_a_process_of_an_earlier_user_namespace() {
    in_pid_namespace("stops::unproven::a_stop_names_a_process_of_an_earlier_user_namespace", || {
        let scene = Scene::new();
        if !has_user_namespaces() {
            return scene.finish();
        }
        let config = Config::scanning(&scene).proxy("web", Proxy::helper(&["escaped", "stubborn"]));
        let agent = Launch::new(&scene).under(&IN_USER_NAMESPACE).start(&config);
        let (leader, left) = (scene.reports.start("web"), scene.reports.grandchild("web"));
        agent.kill();
        let agent = Launch::new(&scene).under(&IN_USER_NAMESPACE).start(&config);
        assert!(agent.status_running(&scene, "web", leader.pid)["web"].adopted);
        let log = quit_with_failure(agent);
        assert!(leader.process.is_gone());
        let why = "its environment cannot be read";
        assert!(log.contains(&format!("may have left pid {} ", left.pid)) && log.contains(why), "{log}");
        end(&left);
        scene.finish();
    });
}

/// An agent starts the proxy and is killed, and then the leader; a member of the group is left.
fn leave_member(scene: &Scene, under: &[&str], config: &Config) -> (Start, Start) {
    let agent = Launch::new(scene).under(under).start(config);
    let (leader, member) = (scene.reports.start("web"), scene.reports.grandchild("web"));
    agent.kill();
    crate::stops::common::wait_for_state(&member, "S");
    leader.process.kill();
    let deadline = Deadline::of("the reaping of the leader");
    while !leader.process.is_reaped() {
        deadline.left();
        std::thread::yield_now();
    }
    (leader, member)
}

/// The next agent holds the start, and says why. It is left to its caller.
#[track_caller]
fn holds_start<'a>(scene: &'a Scene, under: &'a [&'a str], config: &Config, of: &(Start, Start)) -> Agent {
    let (leader, member) = of;
    let agent = Launch::new(scene).under(under).start(config);
    let status = agent.status_when(scene, "the start is held", |status| !status["web"].unproven.is_empty());
    let web = &status["web"];
    assert_eq!((web.state.as_str(), web.pid), ("clearing", None));
    assert!(web.next_start_ms.is_some_and(|ms| ms <= HELD.as_millis().try_into().unwrap()), "{web:?}");
    assert_eq!((web.unproven.len(), web.unproven[0].pid), (1, member.pid));
    assert_eq!(web.unproven[0].why, format!("in the session of pid {}, which has ended", leader.pid));
    let said = format!("the next start waits for pid {} ", member.pid);
    assert!(web.last_error.as_ref().is_some_and(|error| error.starts_with(&said)), "{web:?}");
    agent
}

fn start_is_held_until_the_member_ends(under: &[&str], role: &[&str]) {
    let scene = Scene::new();
    let config = Config::scanning(&scene).proxy("web", Proxy::helper(role));
    let left = leave_member(&scene, under, &config);
    let agent = holds_start(&scene, under, &config, &left);
    let begun = Instant::now();
    end(&left.1);
    let (leader, member) = (scene.reports.start("web"), scene.reports.grandchild("web"));
    assert!(begun.elapsed() < HELD / 2, "{:?}", begun.elapsed());
    let status = agent.status_running(&scene, "web", leader.pid);
    assert_eq!(status["web"].unproven, []);
    // The group is its own, readable or not: a stop ends it.
    agent.quit();
    assert!(leader.process.is_gone() && member.process.is_gone());
    scene.finish();
}

#[test]
fn a_start_is_held_until_a_silent_member_of_the_old_group_ends() {
    in_pid_namespace("stops::unproven::a_start_is_held_until_a_silent_member_of_the_old_group_ends", || {
        start_is_held_until_the_member_ends(&[], &["grandchild", "cleared", "stays"]);
    });
}

#[test]
fn a_start_is_held_until_an_unreadable_member_of_the_old_group_ends() {
    in_pid_namespace("stops::unproven::a_start_is_held_until_an_unreadable_member_of_the_old_group_ends", || {
        if has_user_namespaces() {
            start_is_held_until_the_member_ends(&IN_USER_NAMESPACE, &["grandchild"]);
        }
    });
}

#[test]
fn a_held_start_is_made_after_ten_seconds_and_names_what_it_runs_beside() {
    in_pid_namespace("stops::unproven::a_held_start_is_made_after_ten_seconds_and_names_what_it_runs_beside", || {
        let scene = Scene::new();
        let config =
            |role: &[&str]| Config::scanning(&scene).proxy("web", Proxy::helper(role).set("token", "declared"));
        let left = leave_member(&scene, &[], &config(&["grandchild", "cleared", "stays"]));
        let begun = Instant::now();
        let agent = holds_start(&scene, &[], &config(&["run"]), &left);
        let leader = scene.reports.start("web");
        assert!(begun.elapsed() >= HELD, "{:?}", begun.elapsed());
        agent.wait_for_log(&format!("started beside pid {} ", left.1.pid));
        let status = agent.status_running(&scene, "web", leader.pid);
        assert_eq!((status["web"].unproven.len(), status.error("web")), (1, None));
        let log = quit_with_failure(agent);
        assert!(log.contains(&format!("proxy web: stopped, but may have left pid {} ", left.1.pid)), "{log}");
        assert!(leader.process.is_gone());
        end(&left.1);
        scene.finish();
    });
}

#[test]
fn a_program_that_ends_with_0_and_leaves_a_process_is_asked_once_whether_it_is_in_the_background() {
    let name = "stops::unproven::a_program_that_ends_with_0_and_leaves_a_process_is_asked_once_whether_it_is_in_the_background";
    in_pid_namespace(name, || {
        let scene = Scene::new();
        let restart = serde_json::json!({"attempts_before_backoff": 1, "max_wait_ms": 600_000});
        let web = Proxy::helper(&["background"]).set("restart", restart);
        let agent = Agent::start(&scene, &Config::scanning(&scene).proxy("web", web));
        let left = [scene.reports.grandchild("web"), scene.reports.grandchild("web")];
        let status = agent.status_when(&scene, "it waits", |status| status.is("web", "waiting"));
        let hint = status["web"].hint.clone().unwrap();
        assert!(hint.starts_with("it ended with exit code 0 after ") && hint.contains("background"), "{hint}");
        let mut named: Vec<u32> = status["web"].unproven.iter().map(|process| process.pid).collect();
        named.sort_unstable();
        let mut expected = [left[0].pid, left[1].pid];
        expected.sort_unstable();
        assert_eq!(named, expected);
        let log = quit_with_failure(agent);
        assert_eq!(log.matches("if the program puts itself into the background").count(), 1, "{log}");
        left.iter().for_each(end);
        scene.finish();
    });
}
