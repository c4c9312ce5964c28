// SPDX-License-Identifier: MPL-2.0
//! Files that may not grow. The kernel not only fails the write, it sends SIGXFSZ, which ends a process that does not
//! expect it.

use rustix::process::Signal;

use crate::scarcity::crowd::{Crowd, config, has_begun};
use crate::support::{Launch, Scene, Status};

const EFBIG: &str = "File too large";

#[test]
fn files_may_not_grow_while_proxies_are_started_again_and_others_declared() {
    let scene = Scene::new();
    let mut crowd = Crowd::start(&scene, 20);
    crowd.limit("fsize", "0");
    crowd.kill_all();
    crowd.all_wait_for(EFBIG);
    crowd.agent.reload(&config(&scene, 21));
    let new = "proxy-21";
    crowd.agent.status_when(&scene, "the new one says why it waits", |status| {
        status.error(new).is_some_and(|error| error.starts_with("not started yet") && error.contains(EFBIG))
    });
    crowd.endure();
    crowd.limit("fsize", "unlimited");
    let start = scene.reports.start(new);
    crowd.agent.status_running(&scene, new, start.pid);
    crowd.agent.reload(&config(&scene, 20));
    start.process.wait();
    crowd.agent.status_when(&scene, "it is forgotten", |status| !status.proxies.contains_key(new));
    crowd.recovers();
    crowd.quit();
    scene.finish();
}

#[test]
fn files_may_not_grow_when_an_agent_begins_or_ends() {
    let scene = Scene::new();
    let config = config(&scene, 4);
    let Crowd { agent, running, .. } = Crowd::start(&scene, 4);
    agent.end_by(Signal::TERM);

    // One that can write nothing, not even who has the directory, adopts all the same, or says that it cannot.
    let mut poor = Launch::new(&scene).under(&["prlimit", "--fsize=0:0"]).spawn(&config);
    let adopted = |status: &Status| running.iter().all(|(id, start)| status.runs(id, start.pid));
    if has_begun(&poor, adopted) {
        poor.signal(Signal::TERM);
    }
    let ended = poor.end();
    assert!(ended.success() || ended.code() == Some(1) && poor.log().contains(EFBIG), "{ended}: {}", poor.log());

    let crowd = Crowd::adopting(&scene, &config, running);
    crowd.limit("fsize", "0");
    crowd.agent.reload(&config.clone().without("proxy-04"));
    crowd.running["proxy-04"].process.wait();
    let running = crowd.ends_by(Signal::TERM, EFBIG);
    assert_eq!(running.values().filter(|start| start.process.is_gone()).count(), 1);

    let mut running = running;
    running.remove("proxy-04");
    let config = config.without("proxy-04");
    let crowd = Crowd::adopting(&scene, &config, running);
    crowd.limit("fsize", "0");
    let running = crowd.ends_by(Signal::QUIT, EFBIG);
    assert!(running.values().all(|start| start.process.is_gone()));
    scene.finish();
}
