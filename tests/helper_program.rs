// SPDX-License-Identifier: MPL-2.0
//! The tests' own tools: each role of the helper program does what it says.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use crate::support::{HELPER, Leak, Scene, Start, alone};
use rustix::process::Signal;

/// Starts a helper by hand.
fn play(scene: &Scene, id: &str, role: &[&str]) -> (Child, Start) {
    let mut command = Command::new(*HELPER);
    command.args(role).envs(scene.env()).env("CONNECT_PROXY_ID", id).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = scene.reports.start(id);
    assert_eq!(start.pid, child.id());
    (child, start)
}

#[test]
fn roles_end_as_they_say() {
    let scene = Scene::of_library();
    // No SIGINT: a shell that starts the tests in the background has it ignored, and by hand that is inherited.
    let cases: [(&[&str], Option<Signal>, &str); 6] = [
        (&["exit", "3"], None, "exit status: 3"),
        (&["crash", "SIGABRT"], None, "signal: 6 (SIGABRT)"),
        (&["crash", "SIGSEGV"], None, "signal: 11 (SIGSEGV)"),
        (&["run"], Some(Signal::TERM), "signal: 15 (SIGTERM)"),
        (&["log", "text"], Some(Signal::USR2), "signal: 12 (SIGUSR2)"),
        (&["inspect"], Some(Signal::USR1), "signal: 10 (SIGUSR1)"),
    ];
    for (role, signal, end) in cases {
        let (mut child, start) = play(&scene, "one", role);
        signal.into_iter().for_each(|signal| start.process.signal(signal));
        assert_eq!(child.wait().unwrap().to_string(), end, "{role:?}");
    }
    scene.finish();
}

#[test]
fn polite_and_stubborn_ones_say_which_signal_came() {
    let scene = Scene::of_library();
    let (mut polite, start) = play(&scene, "polite", &["graceful"]);
    start.process.signal(Signal::USR1);
    assert_eq!(scene.reports.signal(&start), "SIGUSR1");
    assert!(polite.wait().unwrap().success());

    let (mut stubborn, start) = play(&scene, "stubborn", &["stubborn"]);
    for (signal, name) in [(Signal::INT, "SIGINT"), (Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        start.process.signal(signal);
        assert_eq!(scene.reports.signal(&start), name);
    }
    start.process.kill();
    assert_eq!(stubborn.wait().unwrap().signal(), Some(9));
    scene.finish();
}

#[test]
fn a_leader_has_a_grandchild_of_its_group_that_may_outlive_it() {
    let scene = Scene::new();
    let (_, start) = play(&scene, "a", &["leader-exits"]);
    let grandchild = scene.reports.grandchild("a");
    assert_eq!(grandchild.ppid, start.pid);
    start.process.signal(Signal::INT);
    start.process.wait();
    assert!(!grandchild.process.is_gone());
    grandchild.process.kill();
    scene.finish();
}

#[test]
fn a_stopped_one_dies_when_it_may_run_again() {
    let scene = Scene::of_library();
    let (mut child, start) = play(&scene, "a", &["stopped"]);
    start.process.signal(Signal::TERM);
    start.process.signal(Signal::CONT);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    scene.finish();
}

#[test]
#[should_panic = "DUPLICATE"]
fn two_live_ones_of_one_id_fail_the_test() {
    let scene = Scene::of_library();
    let (mut first, _) = play(&scene, "a", &["run"]);
    let mut second = Command::new(*HELPER);
    let mut second = second.arg("run").envs(scene.env()).env("CONNECT_PROXY_ID", "a").spawn().unwrap();
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| scene.reports.start("a")));
    for child in [&mut first, &mut second] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    std::panic::resume_unwind(found.unwrap_err());
}

#[test]
fn none_outlives_the_test_that_it_belongs_to() {
    let scene = Scene::of_library();
    let (mut test, start_of_test) = play(&scene, "test", &["run"]);
    let mut command = Command::new(*HELPER);
    command.arg("stubborn").envs(scene.env()).env("CONNECT_PROXY_ID", "a");
    let mut child = command.env("HELPER_WATCH_PID", test.id().to_string()).spawn().unwrap();
    scene.reports.start("a");
    start_of_test.process.kill();
    assert!(child.wait().unwrap().success());
    test.wait().unwrap();
    scene.finish();
}

#[test]
fn a_guarded_program_dies_with_the_thread_that_started_it() {
    let scene = Scene::of_library();
    let helper = *HELPER;
    let mut child = std::thread::scope(|scope| {
        let start = || {
            let child = Command::new(helper).args(["guard", helper, "stubborn"]).envs(scene.env()).spawn().unwrap();
            assert_eq!(scene.reports.start("").pid, child.id());
            child
        };
        scope.spawn(start).join().unwrap()
    });
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    scene.finish();
}

#[test]
fn an_inspection_tells_what_was_inherited() {
    let scene = Scene::of_library();
    let (mut child, start) = play(&scene, "a", &["inspect", "x"]);
    let found = start.inspection.unwrap();
    assert_eq!((found.argv[1].as_str(), found.env["CONNECT_PROXY_ID"].as_str()), ("inspect", "a"));
    assert_eq!((found.fds[&0].as_str(), found.blocked), ("/dev/null", 0));
    assert!(found.fds[&1].starts_with("pipe:") && !found.fds.values().any(|target| target.contains("/fd")));
    child.kill().unwrap();
    child.wait().unwrap();
    scene.finish();
}

#[test]
fn a_scene_gives_all_back() {
    alone("helper_program::a_scene_gives_all_back", || {
        let leak = Leak::start();
        let scene = Scene::new();
        let (child, start) = play(&scene, "a", &["run"]);
        start.process.kill();
        drop((child, start));
        scene.finish();
        leak.check();
    });
}

/// CI, and a shell that enters a container, may run the tests in the session of a process outside the pid namespace.
#[test]
fn a_session_from_outside_the_pid_namespace_is_no_obstacle() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let scene = Scene::of_library();
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork"]).arg(*HELPER).args(["exit", "3"]).envs(scene.env());
    let status = command.env("CONNECT_PROXY_ID", "one").stdin(Stdio::null()).status().unwrap();
    assert_eq!((status.code(), scene.reports.start("one").ppid), (Some(3), 0));
    scene.finish();
}
