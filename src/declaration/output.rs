// SPDX-License-Identifier: MPL-2.0
//! The JSON form of `output`: where the standard output and error of a process go, whose the logs are, and how
//! large they may become.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::fields::{Fields, expected};
use super::text;
use crate::command::{Command, HostDescriptor, Output, OutputOwner, Outputs};
use crate::error::Result;

const OUTPUT: &str = "\"file\", \"inherit\", \"null\", \"journal\" or an absolute path";
const OWNER: &str = "\"agent\" or \"proxy\"";

/// Reads the field into the command.
pub(super) fn read(fields: &mut Fields, command: Command) -> Result<Command> {
    let place = fields.place("output");
    fields.take("output").map_or(Ok(command.clone()), |value| read_output(&place, value, command))
}

/// Reads the object, which stands at `place`.
pub(crate) fn read_output(place: &str, value: Value, mut command: Command) -> Result<Command> {
    let mut fields = Fields::of(place, value)?;
    if let Some(stdout) = read_stream(&mut fields, "stdout")? {
        command = command.stdout(stdout);
    }
    if let Some(stderr) = read_stream(&mut fields, "stderr")? {
        command = command.stderr(stderr);
    }
    let owner = |value: &Value| match value.as_str()? {
        "agent" => Some(OutputOwner::Agent),
        "proxy" => Some(OutputOwner::Proxy),
        _ => None,
    };
    if let Some(owner) = fields.read("owner", OWNER, owner)? {
        command = command.output_owner(owner);
    }
    if let Some(max_bytes) = fields.integer("max_bytes")? {
        command = command.output_max_bytes(max_bytes);
    }
    if let Some(keep) = fields.unsigned("keep")? {
        command = command.output_keep(keep);
    }
    fields.finish()?;
    Ok(command)
}

fn read_stream(fields: &mut Fields, field: &str) -> Result<Option<Output>> {
    let place = fields.place(field);
    let Some(value) = fields.take(field) else { return Ok(None) };
    let output = match &value {
        Value::Object(_) => {
            let mut fields = Fields::of(place.clone(), value.clone())?;
            let path = fields.read("path", "an absolute path", text::from_json)?;
            let missing = fields.missing("path", "an absolute path");
            fields.finish()?;
            Some(Output::Path(PathBuf::from(path.ok_or(missing)?)))
        }
        _ => value.as_str().and_then(|text| match text {
            "file" => Some(Output::File),
            "inherit" => Some(Output::Inherit),
            "null" => Some(Output::Null),
            "journal" => Some(Output::Journal),
            "descriptor" => Some(Output::Descriptor(HostDescriptor::GONE)),
            path => Path::new(path).is_absolute().then(|| Output::Path(path.into())),
        }),
    };
    output.map(Some).ok_or_else(|| expected(&place, OUTPUT, &value))
}

/// Puts the field that [`read`] reads, unless all of it has its default value.
pub(super) fn put(outputs: &Outputs, put: &mut impl FnMut(&str, Value)) {
    let stream = |output: &Output| match output {
        Output::File => None,
        Output::Inherit => Some("inherit".into()),
        Output::Null => Some("null".into()),
        Output::Journal => Some("journal".into()),
        Output::Descriptor(_) => Some("descriptor".into()),
        Output::Path(path) => Some(match text::to_json(path.as_os_str()) {
            Value::String(path) => path.into(),
            bytes => json!({"path": bytes}),
        }),
    };
    let owner = (outputs.owner == OutputOwner::Proxy).then(|| "proxy".into());
    let max_bytes = outputs.limits.max_bytes.map(Value::from);
    let keep = Some(outputs.limits.keep).filter(|keep| *keep > 0).map(Value::from);
    let fields = [
        ("stdout", stream(&outputs.stdout)),
        ("stderr", stream(&outputs.stderr)),
        ("owner", owner),
        ("max_bytes", max_bytes),
        ("keep", keep),
    ];
    let object: Map<String, Value> =
        fields.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?))).collect();
    if !object.is_empty() {
        put("output", object.into());
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::*;
    use crate::declaration::ProxyConfig;

    fn read(output: &str) -> Result<ProxyConfig> {
        ProxyConfig::from_json(&format!("{{\"command\": [\"a\"], \"output\": {output}}}"))
    }

    #[test]
    fn each_output_comes_back() {
        let no_utf8 = PathBuf::from(OsString::from_vec(vec![b'/', 0xff]));
        let cases = [
            (r#"{}"#, Output::File, Output::File, None),
            (r#"{"stdout": "null", "stderr": "journal"}"#, Output::Null, Output::Journal, None),
            (
                r#"{"stdout": "inherit", "stderr": "file", "owner": "proxy"}"#,
                Output::Inherit,
                Output::File,
                Some("proxy"),
            ),
            (
                r#"{"stdout": "/dev/tty", "stderr": {"path": [47, 255]}}"#,
                Output::Path("/dev/tty".into()),
                Output::Path(no_utf8),
                None,
            ),
        ];
        for (text, stdout, stderr, owner) in cases {
            let config = read(text).unwrap();
            assert_eq!((config.command.declared_stdout(), config.command.declared_stderr()), (&stdout, &stderr));
            let written = serde_json::to_string(&config.to_json()).unwrap();
            assert_eq!(ProxyConfig::from_json(&written).unwrap(), config);
            let limited = ProxyConfig {
                command: config.command.clone().output_max_bytes(1 << 50).output_keep(99),
                ..config.clone()
            };
            if limited.validate().is_ok() {
                let written = serde_json::to_string(&limited.to_json()).unwrap();
                assert_eq!(ProxyConfig::from_json(&written).unwrap(), limited);
                assert!(config.same_process(&limited) && config != limited);
            }
            assert_eq!(config.to_json().get("output").and_then(|output| output.get("owner")?.as_str()), owner);
        }
        assert_eq!(read("{}").unwrap().to_json().get("output"), None);
    }

    #[test]
    fn an_output_that_cannot_be_is_named() {
        let output = "expected \"file\", \"inherit\", \"null\", \"journal\" or an absolute path";
        let cases = [
            ("1", "output: expected an object, got 1".to_owned()),
            (
                r#"{"stdin": "null"}"#,
                "output.stdin: unknown field, expected one of stdout, stderr, owner, max_bytes, keep".to_owned(),
            ),
            (r#"{"stdout": 1}"#, format!("output.stdout: {output}, got 1")),
            (r#"{"stderr": "log.txt"}"#, format!("output.stderr: {output}, got a string")),
            (
                r#"{"stderr": {"path": "log.txt"}}"#,
                "output.stderr: expected an absolute path, got \"log.txt\"".to_owned(),
            ),
            (r#"{"stderr": {}}"#, "output.stderr.path: expected an absolute path, got nothing".to_owned()),
            (r#"{"stdout": "/a\u0000"}"#, "output.stdout: expected no NUL byte".to_owned()),
            (r#"{"max_bytes": "1m"}"#, "output.max_bytes: expected a whole number, got a string".to_owned()),
            (
                r#"{"max_bytes": 65535}"#,
                "output.max_bytes: expected a whole number from 65536 to 1125899906842624, got 65535".to_owned(),
            ),
            (
                r#"{"max_bytes": 65536, "keep": 100}"#,
                "output.keep: expected a whole number from 0 to 99, got 100".to_owned(),
            ),
            (r#"{"keep": 1}"#, "output.keep: expected 0 without max_bytes".to_owned()),
            (
                r#"{"stdout": "null", "stderr": "inherit", "max_bytes": 65536}"#,
                "output.max_bytes: expected none where neither stdout nor stderr is a file".to_owned(),
            ),
            (r#"{"owner": "root"}"#, "output.owner: expected \"agent\" or \"proxy\"".to_owned()),
            (
                r#"{"stdout": "null", "stderr": "null", "owner": "proxy"}"#,
                "output.owner: expected \"agent\" where neither stdout nor stderr is \"file\"".to_owned(),
            ),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(&expected), "{text}: {error}");
        }
    }
}
