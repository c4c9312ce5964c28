// SPDX-License-Identifier: MPL-2.0
//! No memory left: for threads, and for the stacks of children.

use std::fs;

use crate::scarcity::crowd::{Crowd, config, ids};
use crate::support::{Deadline, Scene};

/// Less than a thread needs, more than the agent allocates.
const LEFT: u64 = 1 << 20;

#[test]
fn memory_for_threads_runs_out_and_those_that_are_there_do_the_work() {
    let deadline = Deadline::of("an agent with one spawner thread");
    while !works_without_memory_for_a_second_spawner() {
        deadline.left();
    }
}

/// False when the agent has a second spawner nevertheless: one came before the limit, or what the agent gave back to the
/// system since was enough.
fn works_without_memory_for_a_second_spawner() -> bool {
    let scene = Scene::new();
    let mut crowd = Crowd::start(&scene, 1);
    let status = fs::read_to_string(format!("/proc/{}/status", crowd.agent.pid())).expect("read status");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("a size");
    let kilobytes: u64 = size.trim().trim_end_matches(" kB").parse().expect("a size");
    crowd.limit("as", &(kilobytes * 1024 + LEFT).to_string());
    crowd.agent.reload(&config(&scene, 20));
    crowd.come(&ids(20)[1..]);
    let spawners = |crowd: &Crowd<'_>| {
        let tasks = fs::read_dir(format!("/proc/{}/task", crowd.agent.pid())).expect("list threads").flatten();
        let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.starts_with("proxy-spawner")).count()
    };
    // Whether there is work for one more is for chance to say.
    let one_core = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let deadline = Deadline::of("a thread that cannot be had");
    while !crowd.agent.log().contains("start one more spawner thread: ") && !one_core {
        if spawners(&crowd) > 1 {
            crowd.quit();
            scene.finish();
            return false;
        }
        deadline.left();
        crowd.kill_all();
        crowd.recovers();
    }
    assert_eq!(spawners(&crowd), 1);
    crowd.limit("as", "unlimited");
    let deadline = Deadline::of("one more thread");
    while spawners(&crowd) == 1 && !one_core {
        deadline.left();
        crowd.kill_all();
        crowd.recovers();
    }
    crowd.quit();
    scene.finish();
    true
}
