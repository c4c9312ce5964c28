// SPDX-License-Identifier: MPL-2.0
//! F: a recycled pid is neither signalled nor adopted, wherever it is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use proxyprocess::{ProxyState, State};
use serde_json::{Value, json};

use crate::inside::{Host, helper, json as read_json, quick, start_ticks};
use crate::support::{HELPER, Scene, Start};

/// The process that has the recycled pid: it leads a group of its own, and says so if it is signalled.
struct Stranger {
    child: Child,
    start: Start,
}

impl Stranger {
    fn start(scene: &Scene) -> Stranger {
        let mut command = Command::new(*HELPER);
        command.arg("graceful").envs(scene.env()).env("CONNECT_PROXY_ID", "stranger").stdin(Stdio::null());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().unwrap();
        let start = scene.reports.start("stranger");
        assert_eq!(start.pid, child.id());
        Stranger { child, start }
    }

    fn pid(&self) -> u32 {
        self.start.pid
    }

    fn end(mut self) {
        assert!(!self.start.process.is_gone(), "the stranger was signalled");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A thread that waits, and its number.
struct Thread {
    tid: u32,
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl Thread {
    fn start() -> Thread {
        let (tell, told) = channel();
        let (end, ended) = channel::<()>();
        let thread = std::thread::spawn(move || {
            tell.send(u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap()).unwrap();
            let _ = ended.recv();
        });
        Thread { tid: told.recv().unwrap(), end, thread }
    }

    fn end(self) {
        drop(self.end);
        self.thread.join().unwrap();
    }
}

/// What a record or snapshot says of a process, and why it cannot be true.
type Claim = (&'static str, Value, &'static str);

fn false_claims(true_one: &Value, stranger: u32, zombie: u32, thread: u32) -> Vec<Claim> {
    let boot_id = &true_one["boot_id"];
    let (unused, elsewhere) = (i32::MAX, "00000000-0000-0000-0000-000000000000");
    let of = |pid: u32| json!({"pid": pid, "start_ticks": start_ticks(pid), "boot_id": boot_id});
    vec![
        ("gone", true_one.clone(), ""),
        ("reused", json!({"pid": stranger, "start_ticks": 1, "boot_id": boot_id}), "belongs to another process"),
        (
            "a tick later",
            json!({"pid": stranger, "start_ticks": start_ticks(stranger) + 1, "boot_id": boot_id}),
            "tick",
        ),
        ("another boot", json!({"pid": stranger, "start_ticks": start_ticks(stranger), "boot_id": elsewhere}), "boot"),
        ("a thread", of(thread), "is a thread"),
        ("a zombie", of(zombie), "zombie"),
        ("unused", json!({"pid": unused, "start_ticks": 1, "boot_id": boot_id}), "no process has pid"),
    ]
}

/// Writes the claim over what the document says. By an inode it would be refused whatever else it says.
fn falsify(document: &mut Value, claim: &Value) {
    document.as_object_mut().unwrap().remove("pidfd_inode");
    for (field, value) in claim.as_object().unwrap() {
        document[field] = value.clone();
    }
}

/// A record and a snapshot of a process that lived, and that process's identity.
fn leave_behind(scene: &Scene) -> (Value, Value, Value) {
    let mut host = Host::new(quick(&scene.data_dir()));
    host.set("web", helper(scene, &["run"]));
    host.run();
    host.events.started("web");
    let start = scene.reports.start("web");
    let told = scene.path("told");
    host.manager.snapshot(&told).unwrap();
    host.close();
    start.process.kill();
    let mut record = read_json(&scene.data_dir().join("records/web.json"));
    // It is to be out of date and not damaged.
    record.as_object_mut().unwrap().remove("check").expect("a digest");
    let identity = json!({"pid": record["pid"], "start_ticks": record["start_ticks"], "boot_id": record["boot_id"]});
    fs::remove_dir_all(scene.data_dir()).unwrap();
    let told = read_json(&told);
    assert_eq!(told["Proxies"]["web"]["Config"]["process"]["pidfd_inode"], record["pidfd_inode"]);
    (record, told, identity)
}

/// Has a manager restore from a snapshot, sees the claim refused, and the proxy started anew.
#[track_caller]
fn refuses(scene: &Scene, case: &str, data_dir: &Path, snapshot: &Path, why: &str) {
    let mut host = Host::new(quick(data_dir));
    host.manager.restore(snapshot).unwrap();
    let reason = host.events.refused("web");
    assert!(reason.contains(why), "{case}: {reason}");
    let status = host.status("web");
    assert_eq!((status.state, status.pid), (ProxyState::Idle, None), "{case}: restore starts nothing");
    host.set("web", helper(scene, &["run"]));
    host.run();
    let pid = host.events.started("web");
    let start = scene.reports.start("web");
    assert_eq!(start.pid, pid, "{case}");
    host.kill();
    assert!(start.process.is_gone(), "{case}");
}

fn with_data_dir(scene: &Scene, name: &str, record: Option<&Value>, snapshot: &Value) -> (PathBuf, PathBuf) {
    let data_dir = scene.path(name);
    // A manager makes it, with the right owner and modes.
    drop(Host::of(State::new(), quick(&data_dir)));
    if let Some(record) = record {
        fs::write(data_dir.join("records/web.json"), record.to_string()).unwrap();
    }
    let path = data_dir.join("told.json");
    fs::write(&path, snapshot.to_string()).unwrap();
    (data_dir, path)
}

#[test]
fn fault_f_a_stale_pid_in_a_record_or_snapshot_is_never_signalled_and_never_adopted() {
    let scene = Scene::of_library();
    let (record, snapshot, identity) = leave_behind(&scene);
    let (stranger, thread) = (Stranger::start(&scene), Thread::start());
    let mut zombie = Command::new("/bin/true").stdin(Stdio::null()).spawn().unwrap();
    crate::support::Process::open(zombie.id()).unwrap().wait();

    for (case, claim, why) in false_claims(&identity, stranger.pid(), zombie.id(), thread.tid) {
        // By the record of the data directory, whose snapshot names no process.
        let mut false_record = record.clone();
        falsify(&mut false_record, &claim);
        let mut without = snapshot.clone();
        without["Proxies"]["web"]["Config"].as_object_mut().unwrap().remove("process");
        let (data_dir, path) = with_data_dir(&scene, &format!("by record: {case}"), Some(&false_record), &without);
        refuses(&scene, case, &data_dir, &path, why);

        // By a snapshot from elsewhere, that names it.
        let mut false_snapshot = snapshot.clone();
        falsify(&mut false_snapshot["Proxies"]["web"]["Config"]["process"], &claim);
        let (data_dir, path) = with_data_dir(&scene, &format!("by snapshot: {case}"), None, &false_snapshot);
        refuses(&scene, case, &data_dir, &path, why);
    }
    zombie.wait().unwrap();
    thread.end();
    stranger.end();
    scene.finish();
}

#[test]
fn fault_f_neither_a_run_nor_a_kill_without_restore_signals_a_stranger() {
    let scene = Scene::of_library();
    let (record, snapshot, identity) = leave_behind(&scene);
    let stranger = Stranger::start(&scene);
    for (case, claim, why) in false_claims(&identity, stranger.pid(), stranger.pid(), stranger.pid()) {
        if !["reused", "a tick later", "another boot"].contains(&case) {
            continue;
        }
        let mut false_record = record.clone();
        falsify(&mut false_record, &claim);

        // Wanted: started anew. By its fingerprint the process is of this declaration, or of another one.
        for (at, words) in [&["run"][..], &["run", "otherwise"]].into_iter().enumerate() {
            let (data_dir, _) = with_data_dir(&scene, &format!("wanted {case} {at}"), Some(&false_record), &snapshot);
            let mut host = Host::new(quick(&data_dir));
            host.set("web", helper(&scene, words));
            host.run();
            assert!(host.events.refused("web").contains(why));
            let pid = host.events.started("web");
            assert_eq!(scene.reports.start("web").pid, pid);
            host.kill();
        }
        // Not wanted: there is nothing to stop.
        let (data_dir, _) = with_data_dir(&scene, &format!("unwanted {case}"), Some(&false_record), &snapshot);
        let mut host = Host::new(quick(&data_dir));
        host.run();
        assert!(host.events.refused("web").contains(why));
        host.events.stopped("web");
        host.kill();
        // Killed before it has done anything.
        let (data_dir, _) = with_data_dir(&scene, &format!("killed {case}"), Some(&false_record), &snapshot);
        let mut host = Host::new(quick(&data_dir));
        host.manager.kill().unwrap();
        assert!(host.events.refused("web").contains(why));
        assert!(!data_dir.join("records/web.json").exists());
    }
    stranger.end();
    scene.finish();
}
