// SPDX-License-Identifier: MPL-2.0
//! One data directory, and several who want it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use proxyprocess::{ErrorCode, Manager, State};

use crate::directory::mounts::{Mount, with_mounts};
use crate::inside::quick;
use crate::support::{Agent, Config, Launch, Proxy, Scene};

/// More than there are cores, so that they meet at every step of the way.
const RIVALS: usize = 20;

#[test]
fn of_many_agents_one_gets_the_directory_and_the_others_are_told_who_has_it() {
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["run"]));
    let mut agents: Vec<Agent> = (0..RIVALS).map(|_| Launch::new(&scene).spawn(&config)).collect();
    let web = scene.reports.start("web");
    let winner = agents.iter().position(|agent| agent.pid() == web.ppid).expect("one of them has started it");
    let winner = agents.swap_remove(winner);
    let told = format!("is in use by process {}", winner.pid());
    for mut loser in agents {
        assert_eq!(loser.end().code(), Some(1), "{}", loser.log());
        assert!(loser.log().contains(&told), "{told}: {}", loser.log());
    }
    // Nothing is left of them but the failure.
    assert_eq!(fs::read_to_string(scene.data_dir().join("lock")).unwrap(), format!("{}\n", winner.pid()));
    winner.status_running(&scene, "web", web.pid);
    winner.end_by(rustix::process::Signal::TERM);
    let next = Agent::start(&scene, &config);
    next.status_running(&scene, "web", web.pid);
    next.quit();
    scene.finish();
}

/// Has a manager refused under each of these names, at the same time, for each waits a while.
#[track_caller]
fn all_are_in_use(names: &[PathBuf], holder: u32) {
    let told = format!("is in use by process {holder}");
    let refused = |name: &Path| Manager::new(State::new(), quick(name)).expect_err("it is in use");
    std::thread::scope(|scope| {
        let tries: Vec<_> = names.iter().map(|name| (name, scope.spawn(|| refused(name)))).collect();
        for (name, refused) in tries {
            let error = refused.join().expect("no panic");
            assert!(error.code() == ErrorCode::Locked && error.to_string().contains(&told), "{name:?}: {error}");
        }
    });
}

#[test]
fn a_directory_is_the_same_under_every_name() {
    let scene = Scene::new();
    let agent = Agent::start(&scene, &Config::new(&scene));
    let data_dir = scene.data_dir();
    symlink(&data_dir, scene.path("link")).unwrap();
    symlink(scene.path(""), scene.path("parent")).unwrap();
    let upwards = "../".repeat(std::env::current_dir().unwrap().components().count() - 1);
    let below = |path: &str| data_dir.join(path);
    let names = [
        format!("{}///", data_dir.display()).into(),
        below("."),
        below("logs/.."),
        PathBuf::from(upwards).join(data_dir.strip_prefix("/").unwrap()),
        scene.path("link"),
        scene.path("link/"),
        scene.path("parent/data"),
        PathBuf::from(format!("/proc/{}/root", agent.pid())).join(data_dir.strip_prefix("/").unwrap()),
    ];
    all_are_in_use(&names, agent.pid());
    // Without the file that says it, the kernel does.
    fs::remove_file(below("lock")).unwrap();
    all_are_in_use(std::slice::from_ref(&data_dir), agent.pid());
    agent.quit();
    scene.finish();
}

#[test]
fn a_directory_is_the_same_where_it_is_mounted_again() {
    with_mounts("directory::race::a_directory_is_the_same_where_it_is_mounted_again", || {
        let scene = Scene::new();
        let agent = Agent::start(&scene, &Config::new(&scene));
        let bound = Mount::bind(&scene.data_dir(), &scene.path("bound"));
        all_are_in_use(&[scene.path("bound")], agent.pid());
        drop(bound);
        agent.quit();
        scene.finish();
    });
}
