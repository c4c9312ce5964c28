// SPDX-License-Identifier: MPL-2.0
//! The directory is in use, and the process that has it is in another pid namespace, or cannot be looked up.

use std::fs;
use std::time::{Duration, Instant};

use proxyprocess::{ErrorCode, Manager, State};
use rustix::process::geteuid;

use crate::directory::mounts::works;
use crate::inside::{quick, wait_until};
use crate::support::{Agent, Config, Launch, Scene, children_of};

/// Executes the rest of the words as the first process of a pid namespace; `None`, said, where that may not be done.
fn pid_namespace() -> Option<Vec<&'static str>> {
    let as_root: &[&str] = if geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
    let words = [&["unshare"], as_root, &["--pid", "--fork", "--kill-child", "--mount-proc"]].concat();
    possible(words)
}

/// Executes the rest of the words where /proc has nothing but processes, as with `ProcSubset=pid` in a systemd unit.
fn proc_of_pids_only() -> Option<Vec<&'static str>> {
    let mount = "mount -t proc -o subset=pid proc /proc && exec \"$@\"";
    possible(vec!["unshare", "--mount", "/bin/sh", "-c", mount, "sh"])
}

fn possible(words: Vec<&'static str>) -> Option<Vec<&'static str>> {
    if works(&words) {
        return Some(words);
    }
    assert!(std::env::var_os("PROXYPROCESS_CI").is_none() || !geteuid().is_root(), "{words:?} fails");
    println!("skipped: {words:?} does not work here");
    None
}

/// Has an agent refused that is started under other programs; what it says, and how long that took.
#[track_caller]
fn refused(scene: &Scene, under: &[&str]) -> (String, Duration) {
    let begun = Instant::now();
    let mut agent = Launch::new(scene).under(under).spawn(&Config::new(scene));
    assert_eq!(agent.end().code(), Some(1), "{}", agent.log());
    (agent.log(), begun.elapsed())
}

#[test]
fn holder_in_a_pid_namespace_below_is_named_by_its_pid_here() {
    let Some(under) = pid_namespace() else { return };
    let scene = Scene::new();
    let holder = Launch::new(&scene).under(&under).spawn(&Config::new(&scene));
    let lock = scene.data_dir().join("lock");
    // PID 1 starts the agent as its first child.
    wait_until(&scene.data_dir(), "the lock", || fs::read_to_string(&lock).is_ok_and(|text| text.ends_with('\n')));
    let [init] = &children_of(holder.process())[..] else { panic!("expected one child") };
    let [agent] = &children_of(init)[..] else { panic!("expected one child") };
    assert_ne!(fs::read_to_string(&lock).unwrap().trim(), agent.pid().to_string());
    let error = Manager::new(State::new(), quick(&scene.data_dir())).expect_err("it is in use");
    assert_eq!(error.code(), ErrorCode::Locked);
    assert!(error.to_string().ends_with(&format!("is in use by process {}", agent.pid())), "{error}");
    agent.kill();
    init.wait();
    drop(holder);
    scene.finish();
}

#[test]
fn holder_outside_of_the_pid_namespace_is_said_to_be_out_of_sight() {
    let Some(under) = pid_namespace() else { return };
    let scene = Scene::new();
    let holder = Agent::start(&scene, &Config::new(&scene));
    let (log, took) = refused(&scene, &under);
    assert!(log.contains("is in use by a process that cannot be seen from here: of another pid namespace"), "{log}");
    assert!(!log.contains("process 1"), "{log}");
    // As long as for any holder that lives, and not as long as for the child of one that was killed.
    assert!(took < Duration::from_secs(8), "{took:?}");
    holder.quit();
    scene.finish();
}

#[test]
fn holder_is_named_also_where_the_kernel_does_not_list_locks() {
    let Some(under) = proc_of_pids_only() else { return };
    let scene = Scene::new();
    let holder = Agent::start(&scene, &Config::new(&scene));
    let (log, took) = refused(&scene, &under);
    assert!(log.contains(&format!("is in use by process {}", holder.pid())), "{log}");
    assert!(took < Duration::from_secs(8), "{took:?}");
    holder.quit();
    scene.finish();
}
