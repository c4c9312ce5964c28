// SPDX-License-Identifier: MPL-2.0
//! No processes left, and no threads, which count as such. The limit does not hold for root.

use rustix::process::geteuid;

use crate::scarcity::crowd::{Crowd, as_ordinary_user, config, has_begun, ids, waits_for};
use crate::support::{Launch, Scene, Status};

const EAGAIN: &str = "Resource temporarily unavailable";
/// More than any agent here has.
const MANY: &str = "1000";
const NOBODY: u32 = 65534;
/// A user who has no other process, so that it is known how many there are.
const LONELY: u32 = 64_321;

#[test]
fn processes_run_out_while_proxies_are_started_again() {
    let scene = Scene::new();
    let user = as_ordinary_user(&scene, NOBODY);
    let words: Vec<&str> = user.iter().map(String::as_str).collect();
    let agent = Launch::new(&scene).under(&words).start(&config(&scene, 20));
    let mut crowd = Crowd::of(agent, &scene).by(&user);
    crowd.come(&ids(20));
    crowd.limit("nproc", "1");
    crowd.kill_all();
    crowd.all_wait_for(EAGAIN);
    crowd.endure();
    crowd.limit("nproc", MANY);
    crowd.recovers();
    crowd.quit();
    scene.finish();
}

/// From an agent that can have no thread to one that can have all it wants.
#[test]
fn an_agent_that_finds_few_threads_and_processes_says_so_and_recovers() {
    if !geteuid().is_root() {
        return eprintln!("skipped: only root can become a user who has no other process");
    }
    let (mut refused, mut recovered) = (0, 0);
    for most in 1..=9 {
        let scene = Scene::new();
        let user = as_ordinary_user(&scene, LONELY);
        let limit = ["prlimit".to_owned(), format!("--nproc={most}:{MANY}")];
        let words: Vec<&str> = user.iter().chain(&limit).map(String::as_str).collect();
        let mut agent = Launch::new(&scene).under(&words).spawn(&config(&scene, 4));
        let told = |status: &Status| ids(4).iter().all(|id| status.is(id, "running") || waits_for(status, id, EAGAIN));
        if has_begun(&agent, told) {
            recovered += 1;
            let mut crowd = Crowd::of(agent, &scene).by(&user);
            crowd.limit("nproc", MANY);
            crowd.come(&ids(4));
            crowd.quit();
        } else {
            refused += 1;
            assert_eq!(agent.end().code(), Some(1), "{}", agent.log());
            assert!(agent.log().contains(EAGAIN), "{}", agent.log());
        }
        scene.finish();
    }
    assert!(refused >= 3 && recovered >= 3, "{refused} refused, {recovered} recovered");
}
