// SPDX-License-Identifier: MPL-2.0
//! Files in the data directory that a proxy with more privilege gave to another user, as nginx does with its logs when it
//! reopens them (SIGUSR1): the next start must not be refused for it.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

use proxyprocess::{Command, EventKind, ProxyConfig};
use rustix::process::geteuid;

use crate::directory::tell::wait_for_files;
use crate::inside::{Host, Place, quick, stage};
use crate::support::{Agent, Config, Proxy, Scene};

/// Another user, as a system knows it.
const STRANGER: u32 = 65534;
const LOGS: [&str; 2] = ["logs/web-stdout.log", "logs/web-stderr.log"];

#[test]
fn logs_given_to_another_user_are_taken_back_at_the_next_start() {
    if !geteuid().is_root() {
        println!("skipped: only root can give files to another user");
        return;
    }
    let scene = Scene::new();
    let config = Config::new(&scene).proxy("web", Proxy::helper(&["log", "a line"]));
    let agent = Agent::start(&scene, &config);
    let web = scene.reports.start("web");
    wait_for_files(&scene.data_dir(), &[&web]);
    let owners = || LOGS.map(|log| fs::metadata(scene.data_dir().join(log)).unwrap().uid());
    LOGS.iter().for_each(|log| chown(scene.data_dir().join(log), Some(STRANGER), Some(STRANGER)).unwrap());
    web.process.kill();
    scene.reports.start("web");
    assert_eq!(owners(), [0, 0]);
    // The same log, with what was in it.
    let stdout = fs::read_to_string(scene.data_dir().join(LOGS[0])).unwrap();
    assert!(stdout.starts_with("a line\n"), "{stdout}");
    agent.quit();

    // And by the next agent, which also finds its lock file given away.
    LOGS.iter().chain(&["lock"]).for_each(|file| chown(scene.data_dir().join(file), Some(STRANGER), None).unwrap());
    let agent = Agent::start(&scene, &config);
    scene.reports.start("web");
    assert_eq!(owners(), [0, 0]);
    agent.quit();
    scene.finish();
}

/// Root without CAP_CHOWN, and so any user.
fn host_that_may_not_take_back(place: &Place) {
    let mut host = Host::new(quick(&place.data_dir()));
    host.set("web", ProxyConfig::new(Command::new("sleep").arg("1000")));
    host.run();
    host.events.until("the start", |event| matches!(event.kind, EventKind::Started { .. }));
    host.kill();
}

#[test]
fn logs_of_another_user_are_set_aside_where_they_cannot_be_taken_back() {
    let name = "directory::given::logs_of_another_user_are_set_aside_where_they_cannot_be_taken_back";
    let Some(stage) = stage(name, &[("host", host_that_may_not_take_back)]) else { return };
    if !geteuid().is_root() {
        println!("skipped: only root can give files to another user");
        return stage.end();
    }
    let data_dir = stage.scene.data_dir();
    Host::new(quick(&data_dir)).kill();
    for log in LOGS {
        fs::write(data_dir.join(log), "of another user\n").unwrap();
        chown(data_dir.join(log), Some(STRANGER), None).unwrap();
    }
    stage.begin_under(&["setpriv", "--bounding-set=-chown", "--inh-caps=-chown"], "host", &[]).finish();
    for log in LOGS {
        let aside = data_dir.join(format!("{log}.foreign-1"));
        assert_eq!(fs::metadata(&aside).unwrap().uid(), STRANGER);
        assert_eq!(fs::read_to_string(&aside).unwrap(), "of another user\n");
        assert_eq!(fs::metadata(data_dir.join(log)).unwrap().uid(), 0);
    }
    stage.end();
}
