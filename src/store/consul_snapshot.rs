// SPDX-License-Identifier: MPL-2.0
//! Reading the snapshots of Consul 1.2 to 1.4: `{"Version":1,"Proxies":{id:{"Mode":1,"Config":{...}}}}`.
//!
//! They are what Go's encoding/json produces from the types in Consul's agent/proxyprocess: the mode is a number, and
//! bytes that are not UTF-8 are the replacement character.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use serde_json::Value;

use super::snapshot_entry::{DaemonEntry, StoredProcess, Version1Process};
use crate::command::{Command, validate_variable};
use crate::declaration::fields::{Fields, expected};
use crate::declaration::{ExecMode, ProxyConfig, split_variable};
use crate::defaults;
use crate::error::Result;
use crate::sys::pid::Pid;

/// What there may be in the field `Mode`: Consul's agent/structs counts its `ProxyExecMode`s from 0.
const MODE: &str = "1, which is a daemon (0, unspecified, 2, a script, and 3, a test, cannot be taken over)";

/// Reads the field `Mode`: Consul's number, or the name that version 2 has.
pub(super) fn read_mode(fields: &mut Fields) -> Result<ExecMode> {
    match fields.take("Mode") {
        Some(Value::String(name)) => ExecMode::new(&name).map_err(|error| error.within(fields.place("Mode"))),
        Some(Value::Number(number)) if number.as_u64() == Some(1) => Ok(ExecMode::DAEMON),
        Some(other) => Err(expected(&fields.place("Mode"), MODE, &other)),
        None => Err(fields.missing("Mode", MODE)),
    }
}

/// Reads the `Config` of one daemon.
///
/// Its environment is the whole one of the process but for id and token, not what was declared.
pub(crate) fn read_daemon(mut fields: Fields) -> Result<DaemonEntry> {
    let program = fields.string("CommandPath")?.ok_or_else(|| fields.missing("CommandPath", "a string"))?;
    let word = |value: &Value| value.as_str().map(OsString::from);
    let words = fields.list("CommandArgs", "strings", word)?.unwrap_or_default();
    let argv0 = words.first().cloned().unwrap_or_else(|| program.clone().into());
    let mut command = Command::new(program).args(words.into_iter().skip(1));
    if let Some(dir) = fields.string("CommandDir")?.filter(|dir| !dir.is_empty()) {
        command = command.dir(dir);
    }
    // An environment may hold strings without a =, which were not declared: no reason to lose the process.
    let lines = fields.list("CommandEnv", "strings", |value| word(value).map(split_variable))?;
    // Of several of one name Go's os/exec gives the last one.
    let environment: BTreeMap<OsString, OsString> = lines.into_iter().flatten().flatten().collect();
    let mut config = ProxyConfig::new(Command::default());
    let target = environment.get(OsStr::new(defaults::ENV_SIDECAR_FOR)).and_then(|target| target.to_str());
    config.target_service = target.filter(|target| !target.is_empty()).map(str::to_owned);
    for (name, value) in &environment {
        if !defaults::OWN_VARIABLES.iter().any(|known| name == *known) && validate_variable(name, value).is_ok() {
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
    let process =
        pid.map_or(StoredProcess::None, |pid| StoredProcess::Version1(Version1Process { pid, argv0, environment }));
    Ok(DaemonEntry { config: Arc::new(config), process, paused: false })
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::{Snapshot, decode};
    use super::super::snapshot_entry::Entry;
    use super::*;

    /// A snapshot with one entry, as Go's encoding/json writes it.
    fn snapshot(mode: &str, config: &str) -> Snapshot {
        let text = format!(r#"{{"Version":1,"Proxies":{{"web-proxy":{{"Mode":{mode},"Config":{config}}}}}}}"#);
        decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn snapshot_of_consul_is_read() {
        let env = r#"["ADDR=old","HOME=/root","A=b=c\u0026\ufffd","CONNECT_SIDECAR_FOR=web","no variable","ADDR=new"]"#;
        let config = format!(
            r#"{{"CommandArgs":["consul","connect","proxy"],"CommandDir":"","CommandEnv":{env},"CommandPath":"/usr/bin/consul","Pid":4711,"ProxyID":"web-proxy","ProxyToken":"t"}}"#
        );
        for mode in ["1", "\"daemon\""] {
            let snapshot = snapshot(mode, &config);
            let Some(Entry::Daemon(daemon)) = snapshot.proxies.get("web-proxy") else { panic!("{snapshot:?}") };
            assert_eq!(daemon.config.command.argv(), ["/usr/bin/consul", "connect", "proxy"]);
            assert_eq!((daemon.config.command.declared_dir(), daemon.config.token.as_deref()), (None, Some("t")));
            assert_eq!(daemon.config.target_service.as_deref(), Some("web"));
            let variables = [("A", "b=c&\u{fffd}"), ("ADDR", "new"), ("HOME", "/root")];
            let variables = variables.map(|(name, value)| (name.into(), value.into()));
            assert_eq!(*daemon.config.command.declared_env(), BTreeMap::from(variables.clone()));
            let environment = variables.into_iter().chain([("CONNECT_SIDECAR_FOR".into(), "web".into())]).collect();
            let (pid, argv0) = (Pid::from_raw(4711).unwrap(), "consul".into());
            let expected = Version1Process { pid, argv0, environment };
            assert_eq!(daemon.process, StoredProcess::Version1(expected));
        }
    }

    #[test]
    fn modes_other_than_daemon_are_refused_by_name() {
        for (mode, got) in
            [("0", "0"), ("2", "2"), ("3", "3"), ("4", "4"), ("-1", "-1"), ("1.0", "1.0"), ("true", "true")]
        {
            let refused = snapshot(mode, "{}").refused;
            let expected = format!("Proxies.web-proxy.Mode: expected {MODE}, got {got}");
            assert_eq!(refused.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
        }
    }

    /// What made a fuzz target fail: the message did not say of which proxy it is.
    #[test]
    fn what_can_never_work_is_refused_by_its_place() {
        let snapshot = snapshot("1", r#"{"CommandPath":"/bin/a","CommandArgs":["a","b\u0000"]}"#);
        let expected = "Proxies.web-proxy.Config.command[1]: expected no NUL byte, got one at offset 1";
        assert_eq!(snapshot.refused[0].to_string(), expected);
    }

    #[test]
    fn without_a_pid_there_is_no_process() {
        let snapshot = snapshot("1", r#"{"Pid":0,"CommandPath":"/bin/a"}"#);
        assert!(matches!(
            snapshot.proxies.get("web-proxy"),
            Some(Entry::Daemon(DaemonEntry { process: StoredProcess::None, .. }))
        ));
    }
}
