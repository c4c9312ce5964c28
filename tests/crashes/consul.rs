//! What Consul 1.4 leaves behind: a process, and a snapshot that names it by its pid alone.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::{HELPER, Scene};
use crate::wanted::{CONSUL, TOKEN};

/// The arguments of its process, which is of the kind `Polite` and version 1.
const ARGUMENTS: [&str; 2] = ["graceful", "v1"];

/// Starts the process and writes the snapshot, into the data directory of the agent that takes over.
pub(crate) fn leave(scene: &Scene) {
    let mut command = Command::new(*HELPER);
    command.args(ARGUMENTS).envs(scene.env()).stdin(Stdio::null()).process_group(0);
    command.env("CONNECT_PROXY_ID", CONSUL).env("CONNECT_PROXY_TOKEN", TOKEN);
    let pid = command.spawn().expect("start a process as Consul does").id();
    assert_eq!(scene.reports.start(CONSUL).pid, pid);

    let own = std::env::vars().map(|(name, value)| format!("{name}={value}"));
    let added = scene.env().into_iter().map(|(name, value)| format!("{name}={value}"));
    let known = [format!("CONNECT_PROXY_ID={CONSUL}"), format!("CONNECT_PROXY_TOKEN={TOKEN}")];
    let env: Vec<String> = own.chain(added).chain(known).collect();
    let argv: Vec<&str> = std::iter::once(*HELPER).chain(ARGUMENTS).collect();
    let config = json!({
        "Pid": pid, "CommandPath": *HELPER, "CommandArgs": argv, "CommandDir": "",
        "CommandEnv": env, "ProxyToken": TOKEN, "ProxyID": CONSUL,
    });
    let snapshot = json!({"Version": 1, "Proxies": {CONSUL: {"Mode": "daemon", "Config": config}}});
    fs::create_dir(scene.data_dir()).expect("make the data directory");
    fs::write(scene.data_dir().join("snapshot.json"), snapshot.to_string()).expect("write the snapshot");
}
