// SPDX-License-Identifier: MPL-2.0
//! A file system that dies under a running agent, as one of FUSE does with its server, and is mounted again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::geteuid;
use serde_json::json;

use crate::directory::moved::start_in;
use crate::directory::tell::{everything, wait_for_files};
use crate::support::{Config, Deadline, Proxy, Scene};

/// A directory under another name, by a server that can be killed. Dropped, it is unmounted.
struct Served<'a> {
    at: &'a Path,
    server: Child,
}

impl<'a> Served<'a> {
    fn mount(from: &Path, at: &'a Path) -> Served<'a> {
        let mut command = Command::new("bindfs");
        let server = command.arg("-f").args([from, at]).stdin(Stdio::null()).spawn().expect("start bindfs");
        let served = Served { at, server };
        // It does not report when it is ready; it is when the marker of the directory can be seen.
        let deadline = Deadline::of("bindfs to serve");
        while !at.join("marker").exists() {
            assert!(!deadline.is_over(), "bindfs does not serve");
            std::thread::sleep(deadline.left().min(Duration::from_millis(2)));
        }
        served
    }

    fn kill(&mut self) {
        self.server.kill().expect("kill bindfs");
        self.server.wait().expect("wait for bindfs");
    }

    fn unmount(mut self) {
        self.kill();
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        let _ = unmount(self.at, UnmountFlags::DETACH);
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn can_serve() -> bool {
    let able = geteuid().is_root() && Path::new("/dev/fuse").exists();
    let installed = Command::new("bindfs").arg("--version").stdout(Stdio::null()).status().is_ok();
    assert!(installed || !able || std::env::var_os("PROXYPROCESS_CI").is_none(), "bindfs is not installed");
    if !able || !installed {
        println!("skipped: it needs root, /dev/fuse and bindfs");
    }
    able && installed
}

#[test]
fn file_system_that_died_is_used_again_once_it_is_mounted_again() {
    if !can_serve() {
        return;
    }
    let scene = Scene::new();
    let [real, at] = ["real", "at"].map(|name| scene.path(name));
    [&real, &at].into_iter().for_each(|dir| fs::create_dir(dir).unwrap());
    fs::write(real.join("marker"), "").unwrap();
    let mut served = Served::mount(&real, &at);
    let eager = || Proxy::helper(&["run"]).set("restart", json!({"max_wait_ms": 50}));
    let config = || Config::new(&scene).proxy("web", eager()).proxy("other", eager());
    let data_dir = at.join("data");
    let agent = start_in(&scene, &data_dir, config());
    let [web, other] = ["web", "other"].map(|id| scene.reports.start(id));
    wait_for_files(&data_dir, &[&web, &other]);

    served.kill();
    web.process.kill();
    agent.status_when(&scene, "it says what happened", |status| {
        let told = |error: &str| error.contains("Transport endpoint is not connected");
        status.is("web", "waiting") && status.error("web").is_some_and(told)
    });
    served.unmount();
    fs::create_dir(&data_dir).unwrap();
    fs::set_permissions(&data_dir, PermissionsExt::from_mode(0o700)).unwrap();
    let as_it_is = everything(&at);
    // What is below the mount is not the data directory: nothing may begin there that the next agent would not find.
    let told = |error: &str| error.contains("another directory is in its place");
    agent.status_when(&scene, "it waits for the mount", |status| status.error("web").is_some_and(told));
    assert_eq!(everything(&at), as_it_is);
    fs::remove_dir(&data_dir).unwrap();

    let served = Served::mount(&real, &at);
    let web = scene.reports.start("web");
    wait_for_files(&data_dir, &[&web, &other]);
    agent.status_when(&scene, "all is well again", |status| {
        status.runs("web", web.pid) && status.runs("other", other.pid) && status.error("web").is_none()
    });
    agent.kill();
    let agent = start_in(&scene, &data_dir, config());
    agent.status_when(&scene, "the next agent has both", |status| {
        status.runs("web", web.pid) && status.runs("other", other.pid)
    });
    agent.quit();
    served.unmount();
    scene.finish();
}
