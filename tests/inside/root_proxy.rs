// SPDX-License-Identifier: MPL-2.0
//! An agent without privileges whose proxy has become root by a set-user-id program, so that it may not be signalled.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proxyprocess::{Command, ProxyConfig};

use super::{Part, Place, inherited, stage, wait_until};

const PROGRAM: &str = "becomes-root";

/// Exists once the proxy is root.
const IS_ROOT: &str = "go";

/// The declaration of the proxy.
pub(crate) fn root_proxy(place: &Place) -> ProxyConfig {
    let mut config = inherited(&["run"]);
    let program = config.command.argv()[0].clone();
    config.command = Command::new(place.path(PROGRAM)).args(["--reuid=0", "--"]).arg(program).arg("run");
    config
}

/// Waits until the proxy `web` is root.
pub(crate) fn until_root(place: &Place) {
    wait_until(&place.path(""), "the proxy to be root", || place.path(IS_ROOT).exists());
}

/// Plays the agent as an ordinary user; `prepare` has what it needs made in its directory.
#[track_caller]
pub(crate) fn play_with_root_proxy(name: &'static str, agent: Part, prepare: impl FnOnce(&Path)) {
    let Some(stage) = stage(name, &[agent]) else { return };
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can make a program that makes others root");
        return stage.end();
    }
    let dir = stage.scene.path("");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    prepare(&dir);
    let program = dir.join(PROGRAM);
    fs::copy("/usr/bin/setpriv", &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let act = stage.begin_under(&as_user, agent.0, &[]);
    let web = stage.scene.reports.start("web");
    fs::write(dir.join(IS_ROOT), "").unwrap();
    act.finish();
    web.process.kill();
    stage.end();
}
