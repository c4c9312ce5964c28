// SPDX-License-Identifier: MPL-2.0
//! What Consul 1.4 leaves behind: a process, a snapshot that names it by its pid alone, and its pid file.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::crashes::wanted::{CONSUL, TOKEN};
use crate::support::{ConsulProxy, HELPER, Scene, leave_as_consul};

/// The arguments of its process, which is of the kind `Polite` and version 1.
const ARGUMENTS: [&str; 2] = ["graceful", "v1"];

/// Starts the process and writes the files, into the data directory of the agent that takes over.
pub(crate) fn leave(scene: &Scene) {
    let mut command = Command::new(*HELPER);
    command.args(ARGUMENTS).envs(scene.env()).stdin(Stdio::null()).process_group(0);
    command.env("CONNECT_PROXY_ID", CONSUL).env("CONNECT_PROXY_TOKEN", TOKEN);
    let pid = command.spawn().expect("start a process as Consul does").id();
    assert_eq!(scene.reports.start(CONSUL).pid, pid);

    let added = scene.env().into_iter().map(|(name, value)| format!("{name}={value}"));
    let own = std::env::vars().map(|(name, value)| format!("{name}={value}"));
    let proxy = ConsulProxy {
        id: CONSUL.to_owned(),
        token: TOKEN.to_owned(),
        pid,
        args: std::iter::once(*HELPER).chain(ARGUMENTS).map(str::to_owned).collect(),
        env: added.chain(own).collect(),
    };
    leave_as_consul(&scene.data_dir(), &proxy);
}
