// SPDX-License-Identifier: MPL-2.0
//! The start time of a process is told in ticks of 10 ms, and a number can be given away in the same one.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::strangers::left::{Left, Source, config, starts_anew};
use crate::strangers::stranger::{Stranger, end, start_ticks};
use crate::support::{Agent, Changes, Config, Deadline, Launch, Process, Scene, have_inodes, in_pid_namespace};

use rustix::process::Signal;

/// How long it is tried to be faster than the clock: on a machine that does nothing else, every other try of 100 ms is.
const PATIENCE: Duration = Duration::from_secs(120);

/// Has a proxy started and killed with its agent, and a stranger get its number, all in one tick.
#[track_caller]
fn stranger_of_the_same_tick(scene: &Scene, role: &[&str]) -> (Left, Stranger) {
    let mut command = Stranger::command(scene, role);
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let agent = Agent::start(scene, &Config::new(scene));
        let record = scene.data_dir().join("records/web.json");
        let changes = Changes::of(&scene.data_dir());
        let deadline = Deadline::of("the record");
        agent.reload(&config(scene, &["run"]));
        while !record.exists() {
            changes.wait(deadline.left());
        }
        agent.signal(Signal::KILL);
        agent.process().wait();
        let left = Left::read(scene);
        end(&Process::open(left.pid).expect("the proxy lives"));
        let stranger = Stranger::at_once(left.pid, scene, &mut command);
        agent.kill();
        scene.reports.forget_unread();
        if left.record["start_ticks"] == start_ticks(left.pid) {
            return (left, stranger);
        }
        stranger.end();
        std::fs::remove_dir_all(scene.data_dir()).expect("remove what is left");
    }
    panic!("this machine is too slow: for {PATIENCE:?} a tick had always passed");
}

/// What tells them apart is the inode of the process in the kernel's file system of pidfds (Linux 6.9).
#[test]
fn pid_recycled_within_the_tick_is_refused() {
    if !have_inodes() {
        return; // the next test is what holds there
    }
    in_pid_namespace("strangers::same_tick::pid_recycled_within_the_tick_is_refused", || {
        let scene = Scene::new();
        let (left, stranger) = stranger_of_the_same_tick(&scene, &["stranger"]);
        let why = format!("pid {} belongs to another process (started in the same clock tick", left.pid);
        starts_anew(&scene, Launch::new(&scene), &["run"], left.pid, &[&why]);
        stranger.end();
        scene.finish();
    });
}

/// Without pidfds the number and the tick are all there is; but a proxy leads its process group, so that of all who
/// can get the number in the same tick only the leader of another group could be taken for it.
#[test]
fn without_inodes_process_that_leads_no_group_is_refused_also_within_the_tick() {
    in_pid_namespace(
        "strangers::same_tick::without_inodes_process_that_leads_no_group_is_refused_also_within_the_tick",
        || {
            let scene = Scene::new();
            let (mut left, stranger) = stranger_of_the_same_tick(&scene, &["stranger", "follow"]);
            left.forget_inode();
            left.say_in(Source::Record, &json!({}));
            let why = format!("pid {} leads no process group", left.pid);
            starts_anew(&scene, Launch::new(&scene), &["run"], left.pid, &[&why]);
            stranger.end();
            scene.finish();
        },
    );
}
