// SPDX-License-Identifier: MPL-2.0
//! What differs from the record is the view of the next agent, and not the process: another boot id over the kernel's
//! (systemd-nspawn, LXC), another time namespace, a /proc that has nothing but processes.

use std::fs;
use std::process::Command;

use rustix::process::geteuid;
use serde_json::Value;

use crate::strangers::left::{Left, WEB, config, run_and_kill_agent};
use crate::strangers::stranger::end;
use crate::support::{Agent, Launch, Scene};

/// How an agent sees the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Usual,
    BootId,
    Time,
    PidsOnly,
}

const OTHER_BOOT: &str = "11111111-2222-3333-4444-555555555555";

impl View {
    /// The programs that prepare it; each executes the rest of the words.
    fn programs(self, scene: &Scene) -> Vec<String> {
        let in_mounts =
            |script: &str| ["unshare", "--mount", "/bin/sh", "-c", script, "sh"].map(str::to_owned).to_vec();
        match self {
            View::Usual => Vec::new(),
            View::BootId => {
                let file = scene.path("boot-id");
                fs::write(&file, format!("{OTHER_BOOT}\n")).expect("write a boot id");
                let path = "/proc/sys/kernel/random/boot_id";
                in_mounts(&format!("mount --bind {} {path} && exec \"$@\"", file.display()))
            }
            View::Time => ["unshare", "--time", "--boottime", "1000000"].map(str::to_owned).to_vec(),
            View::PidsOnly => in_mounts("mount -t proc -o subset=pid proc /proc && exec \"$@\""),
        }
    }

    /// On older kernels a program that is executed after unshare(CLONE_NEWTIME) is not in the new namespace yet, and can
    /// create no thread: clone(2) with CLONE_VM fails with EINVAL.
    fn lets_an_agent_run(self) -> bool {
        const IS_IN_IT: &str = "test $(readlink /proc/$$/ns/time) = $(readlink /proc/$$/ns/time_for_children)";
        let in_time = || Command::new("unshare").args(["--time", "/bin/sh", "-c", IS_IN_IT]).status();
        self != View::Time || in_time().expect("run unshare").success()
    }

    #[track_caller]
    fn start(self, scene: &Scene, role: &[&str]) -> Agent {
        let programs = self.programs(scene);
        let programs: Vec<&str> = programs.iter().map(String::as_str).collect();
        Launch::new(scene).under(&programs).start(&config(scene, role))
    }
}

fn only_root_can() -> bool {
    let can = geteuid().is_root();
    if !can {
        println!("skipped: only root can mount over /proc and enter a time namespace");
    }
    can
}

#[track_caller]
fn adopts(scene: &Scene, agent: &Agent, pid: u32, case: &str) {
    let status = agent.status_running(scene, WEB, pid);
    assert!(status[WEB].adopted, "{case}: {status:?}");
    assert!(!agent.log().contains("not adopted"), "{case}: {}", agent.log());
}

#[track_caller]
fn forget_inode(scene: &Scene) {
    let mut left = Left::read(scene);
    left.forget_inode();
    left.say_in(crate::strangers::left::Source::Record, &Value::Object(serde_json::Map::new()));
}

#[test]
fn process_is_adopted_under_another_view_of_boot_and_start_time() {
    if !only_root_can() {
        return;
    }
    let scene = Scene::new();
    let views = [View::BootId, View::Time, View::PidsOnly].into_iter().filter(|view| view.lets_an_agent_run());
    let ways = views.flat_map(|view| [(view, View::Usual), (View::Usual, view), (view, view)]);
    // Without the inode in the record as well, as by a kernel that has none.
    for ((first, second), inode) in ways.flat_map(|way| [(way, true), (way, false)]) {
        let case = format!("{first:?} then {second:?}, inode: {inode}");
        let agent = first.start(&scene, &["run"]);
        let start = scene.reports.start(WEB);
        agent.status_running(&scene, WEB, start.pid);
        agent.kill();
        if !inode {
            forget_inode(&scene);
        }
        let agent = second.start(&scene, &["run"]);
        adopts(&scene, &agent, start.pid, &case);
        let boot_id = Left::read(&scene).record["boot_id"].as_str().map(str::to_owned);
        match second {
            View::BootId => assert_eq!(boot_id.as_deref(), Some(OTHER_BOOT), "{case}"),
            View::PidsOnly => assert_eq!(boot_id.as_deref(), Some(""), "{case}"),
            View::Usual | View::Time => assert_ne!(boot_id.as_deref(), Some(""), "{case}"),
        }
        // Its end is seen, and it is replaced.
        end(&start.process);
        let next = scene.reports.start(WEB);
        agent.status_running(&scene, WEB, next.pid);
        agent.quit();
        assert!(next.process.is_gone());
    }
    scene.finish();
}

/// The third agent relies on what the second has recorded.
#[test]
fn process_adopted_under_another_view_is_adopted_again() {
    if !only_root_can() {
        return;
    }
    let scene = Scene::new();
    let start = run_and_kill_agent(&scene, &["run"]);
    let views = [View::BootId, View::BootId, View::Time, View::Time, View::PidsOnly, View::PidsOnly, View::Usual];
    for view in views.into_iter().filter(|view| view.lets_an_agent_run()) {
        let agent = view.start(&scene, &["run"]);
        adopts(&scene, &agent, start.pid, &format!("{view:?}"));
        agent.kill();
    }
    View::Usual.start(&scene, &["run"]).quit();
    assert!(start.process.is_gone());
    scene.finish();
}

#[test]
fn group_that_lost_its_leader_is_ended_under_another_view() {
    if !only_root_can() {
        return;
    }
    let scene = Scene::new();
    let role = ["grandchild", "stubborn"];
    for view in [View::BootId, View::Time, View::PidsOnly].into_iter().filter(|view| view.lets_an_agent_run()) {
        let leader = run_and_kill_agent(&scene, &role);
        let member = scene.reports.grandchild(WEB);
        end(&leader.process);
        let agent = view.start(&scene, &role);
        let next = scene.reports.start(WEB);
        let next_member = scene.reports.grandchild(WEB);
        assert!(member.process.is_gone(), "{view:?}: a successor was started beside a member of the old group");
        agent.status_running(&scene, WEB, next.pid);
        let says_ended = agent.log().contains("ended while no agent was there");
        assert_eq!(says_ended, view == View::Time, "{view:?}: {}", agent.log());
        agent.quit();
        assert!(next.process.is_gone() && next_member.process.is_gone());
        scene.reports.forget_signals();
    }
    scene.finish();
}
