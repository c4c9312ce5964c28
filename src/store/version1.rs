//! Reading the snapshots of Consul 1.2 to 1.4: `{"Version":1,"Proxies":{id:{"Mode":"daemon","Config":{...}}}}`.

use std::ffi::OsString;
use std::sync::Arc;

use super::entry::{DaemonEntry, StoredProcess, Version1Process};
use crate::command::{Command, validate_variable};
use crate::declaration::fields::Fields;
use crate::declaration::{ProxyConfig, split_variable};
use crate::defaults;
use crate::error::Result;
use crate::sys::identity::Pid;

/// Reads the `Config` of one daemon.
///
/// Its environment is the whole one of the process, not what was declared: the manager compares it accordingly, once.
pub(super) fn read_daemon(mut fields: Fields) -> Result<DaemonEntry> {
    let program = fields.string("CommandPath")?.ok_or_else(|| fields.missing("CommandPath", "a string"))?;
    let word = |value: &serde_json::Value| value.as_str().map(OsString::from);
    let words = fields.list("CommandArgs", "strings", word)?.unwrap_or_default();
    let argv0 = words.first().cloned().unwrap_or_else(|| program.clone().into());
    let mut command = Command::new(program).args(words.into_iter().skip(1));
    if let Some(dir) = fields.string("CommandDir")?.filter(|dir| !dir.is_empty()) {
        command = command.dir(dir);
    }
    let lines = fields.list("CommandEnv", "strings of the form NAME=value", |value| split_variable(word(value)?))?;
    let ours =
        [defaults::ENV_PROXY_ID, defaults::ENV_PROXY_TOKEN, defaults::ENV_PROXY_ORIGIN, defaults::ENV_SIDECAR_FOR];
    let mut config = ProxyConfig::new(Command::default());
    for (name, value) in lines.unwrap_or_default() {
        if name == defaults::ENV_SIDECAR_FOR {
            config.target_service = value.into_string().ok();
        } else if !ours.iter().any(|known| name == *known) && validate_variable(&name, &value).is_ok() {
            command = command.env(name, value);
        }
    }
    config.command = command;
    config.token = fields.string("ProxyToken")?;
    // Consul drew the tokens itself unless the configuration had one, and the snapshot does not say which.
    config.token_generated = true;
    fields.take("ProxyID");
    // 0 is what Consul writes of a proxy that does not run.
    let pid = fields.read("Pid", "a pid", |value| match i32::try_from(value.as_i64()?).ok()? {
        0 => Some(None),
        raw => Pid::from_raw(raw).map(Some),
    })?;
    let pid = pid.flatten();
    let place = fields.place("");
    config.validate().map_err(|error| error.joined(place.trim_end_matches('.')))?;
    let process = pid.map(|pid| StoredProcess::Version1(Version1Process { pid, argv0 }));
    Ok(DaemonEntry { config: Arc::new(config), process })
}

#[cfg(test)]
mod tests {
    use super::super::entry::Entry;
    use super::super::snapshot::decode;
    use super::*;

    #[test]
    fn a_snapshot_of_consul_is_read() {
        let text = r#"{"Version":1,"Proxies":{"web-proxy":{"Mode":"daemon","Config":{
            "Pid":4711,"CommandPath":"/usr/bin/consul","CommandArgs":["consul","connect","proxy"],"CommandDir":"",
            "CommandEnv":["HOME=/root","A=b=c","CONNECT_PROXY_ID=web-proxy","CONNECT_PROXY_TOKEN=t","CONNECT_SIDECAR_FOR=web"],
            "ProxyToken":"t","ProxyID":"web-proxy"}}}}"#;
        let snapshot = decode(text.as_bytes()).unwrap();
        let Some(Entry::Daemon(daemon)) = snapshot.proxies.get("web-proxy") else { panic!("{snapshot:?}") };
        assert_eq!(daemon.config.command.argv(), ["/usr/bin/consul", "connect", "proxy"]);
        assert_eq!(daemon.config.command.declared_env().len(), 2);
        assert_eq!(daemon.config.token.as_deref(), Some("t"));
        assert_eq!(daemon.config.target_service.as_deref(), Some("web"));
        let expected = Version1Process { pid: Pid::from_raw(4711).unwrap(), argv0: "consul".into() };
        assert_eq!(daemon.process, Some(StoredProcess::Version1(expected)));
    }

    /// What made a fuzz target fail: the message did not say of which proxy it is.
    #[test]
    fn what_can_never_work_is_refused_by_its_place() {
        let entry = r#"{"Mode":"daemon","Config":{"CommandPath":"/bin/a","CommandArgs":["a","b\u0000"]}}"#;
        let snapshot = decode(format!(r#"{{"Version":1,"Proxies":{{"web":{entry}}}}}"#).as_bytes()).unwrap();
        let expected = "Proxies.web.Config.command[1]: expected no NUL byte, got one at offset 1";
        assert_eq!(snapshot.refused[0].to_string(), expected);
    }

    #[test]
    fn without_a_pid_there_is_no_process() {
        let text = r#"{"Version":1,"Proxies":{"a":{"Mode":"daemon","Config":{"Pid":0,"CommandPath":"/bin/a"}}}}"#;
        let snapshot = decode(text.as_bytes()).unwrap();
        assert!(matches!(snapshot.proxies.get("a"), Some(Entry::Daemon(DaemonEntry { process: None, .. }))));
    }
}
