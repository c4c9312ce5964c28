// SPDX-License-Identifier: MPL-2.0
//! Detached processes in hosts that take what a child would tell the library, and on kernels that lack what a start uses.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proxyprocess::{Daemon, ExitStatus};
use rustix::process::{WaitOptions, wait};

use crate::hosts::kernels::{KERNELS, Strangers};
use crate::inside::{Observer, Place, inherited, kernel_tells_status_of_strangers, stage};
use crate::support::{Agent, Config, Cost, HELPER, Launch, Proxy, RaiseAtEnd, Scene, Start};

fn that_waits_for_any_child(_: &Place) {
    let signals = Arc::new(AtomicUsize::new(0));
    signal_hook::flag::register_usize(signal_hook::consts::SIGCHLD, signals.clone(), 1).unwrap();
    let (ended, stolen) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                match wait(WaitOptions::empty()) {
                    Ok(Some(_)) => drop(stolen.fetch_add(1, Ordering::Relaxed)),
                    // There is no child to wait for at this moment.
                    _ => std::thread::park_timeout(Duration::from_micros(10)),
                }
            }
        });
        let _ended = RaiseAtEnd(&ended);
        let mut config = inherited(&["graceful"]);
        config.command = config.command.detached();
        for _ in 0..50 {
            let daemon = Daemon::new("web", config.clone());
            let mut events = Observer::of(daemon.events());
            daemon.start().unwrap();
            events.started("web");
            daemon.stop().unwrap();
            let status = events.exited("web");
            let unknown = status == ExitStatus::Unknown && !kernel_tells_status_of_strangers();
            let known = [ExitStatus::Exited(0), ExitStatus::Signaled { signal: 2, core_dumped: false }];
            assert!(unknown || known.contains(&status), "{status:?}");
        }
    });
    assert_eq!((stolen.into_inner(), signals.load(Ordering::Relaxed)), (0, 0), "children that the host has seen");
}

/// It sees neither the process nor the intermediate child that starts it.
#[test]
fn host_that_waits_for_any_child_sees_none_of_detached_processes() {
    let name = "hosts::detached::host_that_waits_for_any_child_sees_none_of_detached_processes";
    let Some(stage) = stage(name, &[("host", that_waits_for_any_child)]) else { return };
    stage.play("host", &[]);
    stage.scene.reports.forget_unread();
    stage.end();
}

/// Started, crashed, left behind, adopted, crashed again, stopped.
fn live(refused: &str, strangers: Strangers) {
    let scene = Scene::new();
    let config = Config::new(&scene)
        .proxy("leads", Proxy::helper(&["grandchild", "stubborn"]).set("detached", true).grace_ms(50))
        .proxy("ends", Proxy::helper(&["exit", "3"]).set("detached", true))
        .proxy("bound", Proxy::helper(&["bound"]).set("detached", true));
    let agent = || Launch::new(&scene).under(&[*HELPER, "sandbox", refused]).start(&config);
    let start = |id: &str| (scene.reports.start(id), scene.reports.grandchild(id));
    let told = |exit: Option<String>, wanted: &str| {
        let guess = strangers == Strangers::Guessed && exit.as_deref() == Some("unknown status");
        assert!(guess || exit.as_deref() == Some(wanted), "{exit:?}");
    };
    let one = agent();
    let (bound, (mut leader, mut member)) = (scene.reports.start("bound"), start("leads"));
    assert_eq!([bound.ppid, leader.ppid], [std::process::id(); 2]);
    let status = one.status_when(&scene, "ends waits", |status| status.is("ends", "waiting"));
    told(status["ends"].last_exit.clone(), "exit code 3");
    let crash = |agent: &Agent, leader: &mut Start, member: &mut Start| {
        agent.status_running(&scene, "leads", leader.pid);
        leader.process.kill();
        let left = std::mem::replace(member, scene.reports.grandchild("leads"));
        *leader = scene.reports.start("leads");
        assert!(left.process.is_gone(), "what was left of the group outlived the restart");
        let status = agent.status_running(&scene, "leads", leader.pid);
        told(status["leads"].last_exit.clone(), "signal SIGKILL");
    };
    crash(&one, &mut leader, &mut member);
    let idle = Duration::from_millis(300);
    let cost = Cost::during(one.process(), idle);
    assert!(cost.percent(idle) < 10, "{cost:?}");
    one.kill();
    let two = agent();
    for survivor in [&bound, &leader] {
        assert!(two.status_running(&scene, &survivor.id, survivor.pid)[&survivor.id].adopted);
    }
    crash(&two, &mut leader, &mut member);
    two.quit();
    assert!([&bound, &leader, &member].iter().all(|start| start.process.is_gone()));
    scene.reports.forget_unread();
    scene.finish();
}

#[test]
fn detached_processes_mean_the_same_on_every_kernel_and_in_every_sandbox() {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(&(refused, strangers)) = KERNELS.get(next.fetch_add(1, Ordering::Relaxed)) {
            // Without the agent's table of descriptors the pidfd is opened only when the process may have ended.
            let is_told = kernel_tells_status_of_strangers() && refused != "vfork-with-files=EPERM";
            let strangers = if is_told { strangers } else { Strangers::Guessed };
            if catch_unwind(AssertUnwindSafe(|| live(refused, strangers))).is_err() {
                failures.lock().unwrap().push(format!("refused: {refused:?}"));
            }
        }
    };
    // They wait for most of the time.
    std::thread::scope(|scope| (0..11).for_each(|_| drop(scope.spawn(work))));
    assert_eq!(failures.into_inner().unwrap(), [""; 0]);
}
