// SPDX-License-Identifier: MPL-2.0
//! Processes that a debugger is attached to. While they live it takes each of their signals first; when they die it is
//! shown their zombies first, and alone, until it has waited for them or ends (ptrace(2)).

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::stops::common::{KERNELS, Whose, wait_for_state};
use crate::support::{Agent, Config, Cost, Deadline, HELPER, Launch, Process, Proxy, Scene, Start};

const GRACE_MS: u64 = 100;

/// How long an agent is watched that has nothing to do.
const IDLE: Duration = Duration::from_millis(500);

/// A debugger that has attached itself to a process, and that does not wait for what becomes of it.
struct Debugger(Start);

impl Debugger {
    #[track_caller]
    #[expect(clippy::zombie_processes, reason = "the reader of the reports reaps it")]
    fn attach(scene: &Scene, role: &str, to: &Start) -> Debugger {
        let mut debugger = Command::new(*HELPER);
        let id = format!("debugger of {}", to.pid);
        debugger.args([role, &to.pid.to_string()]).envs(scene.env()).env("CONNECT_PROXY_ID", &id).stdin(Stdio::null());
        debugger.spawn().expect("start the debugger");
        Debugger(scene.reports.start(&id))
    }

    /// Lets go of all that it traces.
    #[track_caller]
    fn end(self) {
        self.0.process.kill();
    }
}

fn traceable(words: &[&str]) -> Proxy {
    Proxy::helper(&[&["traceable"], words].concat()).set("stop_signal", "SIGTERM").grace_ms(GRACE_MS)
}

#[track_caller]
fn wait_until_reaped(process: &Process) {
    let deadline = Deadline::of("the reaping of a process that no debugger holds any more");
    while !process.is_reaped() {
        deadline.left();
        std::thread::yield_now();
    }
}

/// Its end is seen, it costs nothing while the debugger holds it, and afterwards it is reaped.
fn a_crash(whose: Whose, kernel: &str) {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", traceable(&[]));
    let start = || Launch::new(&scene).under(&[*HELPER, "sandbox", kernel]).start(&config);
    let mut agent = start();
    let first = scene.reports.start("web");
    if whose == Whose::Adopted {
        agent.status_running(&scene, "web", first.pid);
        agent.kill();
        agent = start();
    }
    agent.status_running(&scene, "web", first.pid);
    let debugger = Debugger::attach(&scene, "traces", &first);
    first.process.kill();
    let second = scene.reports.start("web");
    let status = agent.status_running(&scene, "web", second.pid);
    assert_eq!(status["web"].last_exit.as_deref(), Some("signal SIGKILL"));
    assert!(!first.process.is_reaped(), "the test is about a zombie that the debugger holds");
    let cost = Cost::during(agent.process(), IDLE);
    assert!(cost.percent(IDLE) < 10, "{cost:?}");
    debugger.end();
    wait_until_reaped(&first.process);
    agent.status_running(&scene, "web", second.pid);
    agent.quit();
    assert!(second.process.is_reaped());
    scene.finish();
}

#[test]
fn traced_process_that_crashes_is_replaced_and_reaped_when_the_debugger_ends() {
    KERNELS.iter().for_each(|kernel| a_crash(Whose::Own, kernel));
}

#[test]
fn adopted_traced_process_that_crashes_is_replaced() {
    KERNELS.iter().for_each(|kernel| a_crash(Whose::Adopted, kernel));
}

/// The stop signal waits for the debugger, SIGKILL does not; then all of its threads are zombies that only the debugger
/// is shown.
fn a_stop(whose: Whose, kernel: &str) {
    let scene = Scene::new();
    let member = Proxy::helper(&["grandchild", "traceable", "threads"]);
    let config = Config::new(&scene)
        .proxy("one", traceable(&[]))
        .proxy("threads", traceable(&["threads"]))
        .proxy("leads", member.set("stop_signal", "SIGTERM").grace_ms(GRACE_MS));
    let start = || Launch::new(&scene).under(&[*HELPER, "sandbox", kernel]).start(&config);
    let mut agent = start();
    let leaders = ["one", "threads", "leads"].map(|id| scene.reports.start(id));
    let member = scene.reports.grandchild("leads");
    let running =
        |agent: &Agent| leaders.iter().for_each(|start| drop(agent.status_running(&scene, &start.id, start.pid)));
    running(&agent);
    if whose == Whose::Adopted {
        agent.kill();
        agent = start();
        running(&agent);
    }
    let traced = [&leaders[0], &leaders[1], &member];
    let debuggers = traced.map(|start| Debugger::attach(&scene, "interrupts", start));
    traced.iter().for_each(|start| wait_for_state(start, "t"));

    let begun = Instant::now();
    agent.signal(Signal::QUIT);
    let mut agent = agent;
    let status = agent.end();
    let took = begun.elapsed();
    assert!(status.success(), "{status}: {}", agent.log());
    assert!(took >= Duration::from_millis(GRACE_MS) && took < Duration::from_secs(10), "{took:?}");
    traced.iter().for_each(|start| wait_for_state(start, "Z"));
    assert_eq!(scene.pid_files(), [""; 0]);
    drop(agent);
    debuggers.into_iter().for_each(Debugger::end);
    scene.finish();
}

#[test]
fn stop_of_traced_processes_is_answered_while_the_debugger_holds_their_zombies() {
    KERNELS.iter().for_each(|kernel| a_stop(Whose::Own, kernel));
}

#[test]
fn stop_of_adopted_traced_processes_is_answered_while_the_debugger_holds_their_zombies() {
    KERNELS.iter().for_each(|kernel| a_stop(Whose::Adopted, kernel));
}

/// The kernel does not report the end of a process to others while its debugger has not waited for its threads.
#[test]
fn process_whose_threads_are_all_zombies_is_not_adopted() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", traceable(&["threads"]));
    let agent = Agent::start(&scene, &config);
    let first = scene.reports.start("web");
    agent.status_running(&scene, "web", first.pid);
    agent.kill();
    let debugger = Debugger::attach(&scene, "traces", &first);
    first.process.signal(Signal::KILL);
    wait_for_state(&first, "Z");
    let agent = Agent::start(&scene, &config);
    let second = scene.reports.start("web");
    agent.status_running(&scene, "web", second.pid);
    debugger.end();
    wait_until_reaped(&first.process);
    agent.quit();
    scene.finish();
}
