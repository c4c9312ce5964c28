// SPDX-License-Identifier: MPL-2.0
//! Kernels that lack what the library would use, and sandboxes that refuse it: each fallback means the same.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::inside::kernel_tells_status_of_strangers;
use crate::support::{Agent, Config, Cost, Deadline, HELPER, Launch, OF_A_SPAWNER, Proxy, Scene, Start};

/// Who the agent hears from how a process has ended that is not its child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strangers {
    /// The kernel, which tells always (Linux 6.15).
    Told,
    /// Nothing, unless the status was read in time.
    Guessed,
}
use Strangers::{Guessed, Told};

/// What is refused, and what is different then.
pub(crate) const KERNELS: [(&str, Strangers); 25] = [
    ("", Told),
    // As on Linux before 5.3, 5.2, 5.1, 5.4, 5.11, 6.15 and 6.9.
    ("pidfd_open=ENOSYS", Guessed),
    ("clone-with-pidfd=EINVAL", Told),
    ("pidfd_send_signal=ENOSYS", Guessed),
    ("waitid-by-pidfd=EINVAL", Guessed),
    ("close_range=ENOSYS", Told),
    ("pidfd-get-info=ENOTTY", Guessed),
    ("signal-to-group=EINVAL", Told),
    // As a sandbox does.
    ("pidfd_open=EPERM", Guessed),
    ("clone-with-pidfd=EPERM", Told),
    ("pidfd_send_signal=EPERM", Guessed),
    ("waitid-by-pidfd=EPERM", Guessed),
    ("close_range=EPERM", Told),
    ("pidfd-get-info=EPERM", Guessed),
    ("signal-to-group=EPERM", Told),
    ("vfork-with-files=EPERM", Told),
    ("close_range-unshare=EPERM", Told),
    ("close_range-unshare=0", Told),
    // What the library leaves to the C library and to Rust's.
    ("clone3=ENOSYS,statx=ENOSYS,openat2=ENOSYS,faccessat2=ENOSYS", Told),
    ("statx=EPERM,openat2=EPERM,faccessat2=EPERM", Told),
    // Several at once: a process without a pidfd on a kernel that has them, Linux 5.4, Linux 4, and a strict sandbox.
    ("clone-with-pidfd=EINVAL,close_range=ENOSYS,pidfd-get-info=ENOTTY", Guessed),
    ("clone-with-pidfd=EPERM,signal-to-group=EINVAL", Told),
    ("close_range=ENOSYS,signal-to-group=EINVAL,pidfd-get-info=ENOTTY", Guessed),
    (
        "pidfd_open=ENOSYS,pidfd_send_signal=ENOSYS,waitid-by-pidfd=EINVAL,close_range=ENOSYS,signal-to-group=EINVAL,\
         pidfd-get-info=ENOTTY,clone3=ENOSYS,statx=ENOSYS,openat2=ENOSYS,faccessat2=ENOSYS",
        Guessed,
    ),
    (
        "pidfd_open=EPERM,clone-with-pidfd=EPERM,pidfd_send_signal=EPERM,waitid-by-pidfd=EPERM,close_range=EPERM,\
         pidfd-get-info=EPERM,statx=EPERM",
        Guessed,
    ),
];

/// How long an agent is watched that has nothing to do.
const IDLE: Duration = Duration::from_millis(500);

fn first(scene: &Scene) -> Config {
    Config::new(scene)
        .proxy("inspects", Proxy::helper(&["inspect"]))
        .proxy("web", Proxy::helper(&["graceful"]))
        .proxy("logs", Proxy::helper(&["log", "a line"]))
        .proxy("ends", Proxy::helper(&["exit", "3"]))
        .proxy("leads", Proxy::helper(&["grandchild", "stubborn"]).grace_ms(100))
        .proxy("stubborn", Proxy::helper(&["stubborn"]).grace_ms(100))
        .proxy("late", Proxy::helper(&["stubborn"]).grace_ms(100))
}

/// The life of a few processes under two agents; all of it is as with the kernel of today.
fn live(refused: &str, strangers: Strangers) {
    let scene = Scene::new();
    let agent = |config: &Config| Launch::new(&scene).under(&[*HELPER, "sandbox", refused]).start(config);
    let one = agent(&first(&scene));
    let start = |id: &str| scene.reports.start(id);
    let [inspects, web, logs, stubborn, late] = ["inspects", "web", "logs", "stubborn", "late"].map(start);
    let (leads, member) = (start("leads"), scene.reports.grandchild("leads"));
    let found = inspects.inspection.as_ref().expect("an inspection");
    let inherited: Vec<u32> = found.fds.keys().copied().collect();
    assert_eq!((inherited, found.blocked), (vec![0, 1, 2], 0), "{found:?}");
    (0..4).for_each(|_| drop(start("ends")));
    let exits = "exit code 3";
    one.status_when(&scene, "ends waits", |status| status.is("ends", "waiting") && has_ended(status, "ends", exits));
    // Before its next start, which would be seconds later.
    one.reload(&first(&scene).without("ends"));
    one.status_when(&scene, "ends is forgotten", |status| !status.proxies.contains_key("ends"));
    for running in [&inspects, &web, &logs, &stubborn, &late, &leads] {
        one.status_running(&scene, &running.id, running.pid);
    }
    scene.wait_for_pid_files(&["inspects.pid", "late.pid", "leads.pid", "logs.pid", "stubborn.pid", "web.pid"]);
    let held = at_rest(&one, "the agent to be at rest", |_| true);

    // Crashes: what is left of a group goes first, and the log is appended to.
    let (next_web, next_logs) = (crash(&scene, &one, &web), crash(&scene, &one, &logs));
    assert_eq!([scene.log("logs", "stdout"), scene.log("logs", "stderr")], ["a line\na line\n"; 2].map(str::to_owned));
    leads.process.kill();
    let (leads, next_member) = (start("leads"), scene.reports.grandchild("leads"));
    assert!(member.process.is_gone(), "what was left of the group outlived the restart");
    one.status_running(&scene, "leads", leads.pid);
    // Something may just have been open then, on a busy machine; it would not be so with every kernel.
    at_rest(&one, "no more descriptors than the agent had", |now| now.0 <= held.0 && now.1 == held.1);
    let cost = Cost::during(one.process(), IDLE);
    assert!(cost.percent(IDLE) < 10, "{cost:?}");

    // Stops, of one that obeys and one that does not.
    one.reload(&first(&scene).without("ends").without("stubborn").without("logs"));
    for stopped in [&stubborn, &next_logs] {
        stopped.process.wait();
    }
    assert_eq!(scene.reports.signal(&stubborn), "SIGINT");
    scene.wait_for_pid_files(&["inspects.pid", "late.pid", "leads.pid", "web.pid"]);
    one.end_by(Signal::TERM);

    // Adoption: of the same processes, whose ends are seen, and which are stopped as their own.
    let second = first(&scene).without("stubborn").without("logs").without("ends");
    let two = agent(&second);
    for survivor in [&inspects, &next_web, &leads, &late] {
        assert!(two.status_running(&scene, &survivor.id, survivor.pid)[&survivor.id].adopted);
    }
    next_web.process.kill();
    let last_web = start("web");
    two.status_running(&scene, "web", last_web.pid);
    let seen = two.status()["web"].last_exit.clone();
    let guess = strangers == Guessed && seen.as_deref() == Some("unknown status");
    assert!(seen.as_deref() == Some("signal SIGKILL") || guess, "{seen:?}");
    leads.process.kill();
    let (last_leads, last_member) = (start("leads"), scene.reports.grandchild("leads"));
    assert!(next_member.process.is_gone(), "what was left of an adopted group outlived the restart");
    two.reload(&second.clone().without("late").without("inspects"));
    for stopped in [&late, &inspects] {
        stopped.process.wait();
    }
    assert_eq!(scene.reports.signal(&late), "SIGINT");
    scene.wait_for_pid_files(&["leads.pid", "web.pid"]);
    two.quit();
    for killed in [&last_web, &last_leads, &last_member] {
        assert!(killed.process.is_gone(), "{killed:?} outlived the kill");
    }
    assert_eq!(scene.reports.signal(&last_web), "SIGINT");
    scene.reports.forget_signals();
    scene.finish();
}

/// Kills a process of this agent, which says so and has another one at once.
fn crash(scene: &Scene, agent: &Agent, running: &Start) -> Start {
    running.process.kill();
    let next = scene.reports.start(&running.id);
    let status = agent.status_running(scene, &running.id, next.pid);
    assert!(has_ended(&status, &running.id, "signal SIGKILL"), "{status:?}");
    assert!(running.process.is_reaped(), "a zombie of the agent is left");
    next
}

fn has_ended(status: &crate::support::Status, id: &str, how: &str) -> bool {
    status.proxies.get(id).is_some_and(|proxy| proxy.last_exit.as_deref() == Some(how))
}

/// Waits until an agent has what is wanted, and opens and closes nothing while it is asked for its status a few times.
fn at_rest(agent: &Agent, what: &str, wanted: impl Fn(&Resources) -> bool) -> Resources {
    let deadline = Deadline::of(what);
    let (mut now, mut same) = (resources(agent), 0);
    while same < 5 || !wanted(&now) {
        deadline.left();
        agent.status();
        let then = std::mem::replace(&mut now, resources(agent));
        same = if now == then { same + 1 } else { 0 };
    }
    now
}

type Resources = (usize, BTreeSet<String>);

/// How many descriptors the agent has open, and its threads; but for the spawners, which begin when they are needed, and
/// the descriptors that each of them has.
fn resources(agent: &Agent) -> Resources {
    let own = format!("/proc/{}", agent.pid());
    let tasks = fs::read_dir(format!("{own}/task")).expect("list threads").flatten();
    let names: Vec<String> = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok()).collect();
    let descriptors = fs::read_dir(format!("{own}/fd")).expect("list descriptors").count();
    let (spawners, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.starts_with("proxy-spawner"));
    (descriptors - OF_A_SPAWNER * spawners.len(), others.into_iter().collect())
}

#[test]
fn every_kernel_and_sandbox_means_the_same() {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(&(refused, strangers)) = KERNELS.get(next.fetch_add(1, Ordering::Relaxed)) {
            let strangers = if kernel_tells_status_of_strangers() { strangers } else { Guessed };
            if catch_unwind(AssertUnwindSafe(|| live(refused, strangers))).is_err() {
                failures.lock().unwrap().push(format!("refused: {refused:?}"));
            }
        }
    };
    // They wait for most of the time.
    std::thread::scope(|scope| (0..11).for_each(|_| drop(scope.spawn(work))));
    assert_eq!(failures.into_inner().unwrap(), [""; 0]);
}
