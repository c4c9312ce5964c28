// SPDX-License-Identifier: MPL-2.0
//! What Consul 1.4 writes, to the byte: its snapshot as Go's encoding/json makes it, and the pid file beside it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// A proxy of Consul's manager that runs.
#[derive(Debug, Clone)]
pub(crate) struct ConsulProxy {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) pid: u32,
    /// The arguments, the first one included.
    pub(crate) args: Vec<String>,
    /// Its environment but for `CONNECT_PROXY_ID` and `CONNECT_PROXY_TOKEN`, which are not in the snapshot.
    pub(crate) env: Vec<String>,
}

impl ConsulProxy {
    /// What `Daemon.MarshalSnapshot` returns, as JSON: Go sorts the keys of a map.
    pub(crate) fn config(&self) -> String {
        let list = |texts: &[String]| texts.iter().map(|text| go_string(text)).collect::<Vec<_>>().join(",");
        format!(
            r#"{{"CommandArgs":[{}],"CommandDir":"","CommandEnv":[{}],"CommandPath":{},"Pid":{},"ProxyID":{},"ProxyToken":{}}}"#,
            list(&self.args),
            list(&self.env),
            go_string(&self.args[0]),
            self.pid,
            go_string(&self.id),
            go_string(&self.token)
        )
    }
}

/// The text of a snapshot with this mode, which is a number in a real one: 1 is a daemon.
pub(crate) fn consul_snapshot(mode: &str, id: &str, config: &str) -> String {
    format!(r#"{{"Version":1,"Proxies":{{{}:{{"Mode":{mode},"Config":{config}}}}}}}"#, go_string(id))
}

/// Writes what Consul leaves of a proxy: the snapshot and, always, a pid file, both without an end of line.
pub(crate) fn leave_as_consul(dir: &Path, proxy: &ConsulProxy) {
    let private =
        |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(path).expect("make a directory");
    private(&dir.join("logs"));
    private(&dir.join("pids"));
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).expect("write a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("make a file private");
    };
    write("snapshot.json", &consul_snapshot("1", &proxy.id, &proxy.config()));
    write(&format!("pids/{}.pid", proxy.id), &proxy.pid.to_string());
}

/// A string as Go's encoding/json writes it.
fn go_string(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|character| match character {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => format!("\\u{:04x}", u32::from(character)),
            other => other.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}
