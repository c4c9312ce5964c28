// SPDX-License-Identifier: MPL-2.0
//! Directories that shut their owner out by their mode, as a umask of 0777 makes them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use proxyprocess::{Command, EventKind, ProxyConfig};
use rustix::fs::Mode;
use rustix::process::{geteuid, umask};

use crate::inside::{Host, Place, quick, stage};

/// An agent below directories that it makes itself.
fn host_with_umask_0777(place: &Place) {
    umask(Mode::from_raw_mode(0o777));
    let data_dir = place.path("").join("made/by/the agent");
    for _ in 0..2 {
        let mut host = Host::new(quick(&data_dir));
        host.set("web", ProxyConfig::new(Command::new("sleep").arg("1000")));
        host.run();
        host.events.until("the start", |event| matches!(event.kind, EventKind::Started { .. }));
        host.kill();
    }
    for dir in ["", "logs", "pids", "records", "../..", ".."] {
        assert_eq!(fs::metadata(data_dir.join(dir)).unwrap().mode() & 0o777, 0o700, "{dir}");
    }
    // As an earlier version, or a chmod by mistake, has left them.
    for dir in ["logs", "pids", "records", ""] {
        fs::set_permissions(data_dir.join(dir), PermissionsExt::from_mode(0o000)).unwrap();
    }
    Host::new(quick(&data_dir)).kill();
}

#[test]
fn directories_made_under_umask_0777_are_opened_by_the_next_agent() {
    let name = "directory::shut::directories_made_under_umask_0777_are_opened_by_the_next_agent";
    let Some(stage) = stage(name, &[("host", host_with_umask_0777)]) else { return };
    // To root no mode matters.
    let mut programs = Vec::new();
    if geteuid().is_root() {
        programs = vec!["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        fs::set_permissions(stage.scene.path(""), PermissionsExt::from_mode(0o777)).unwrap();
    }
    stage.begin_under(&programs, "host", &[]).finish();
    stage.end();
}
