//! The configuration file: options of the manager, and the proxies, which [`State`] reads itself.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proxyprocess::{ExecMode, ManagerOptions, State};
use serde_json::{Map, Value};

use crate::Result;

/// The kinds of proxy of this agent; it registers none of its own.
const MODES: [ExecMode; 2] = [ExecMode::DAEMON, ExecMode::NOOP];

/// What the agent does with its proxies when SIGINT or SIGTERM ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnExit {
    /// They keep running, and the next agent adopts them.
    Leave,
    /// They are stopped first.
    Stop,
}

/// A configuration that was read and checked whole.
pub(crate) struct Config {
    pub(crate) options: ManagerOptions,
    pub(crate) on_exit: OnExit,
    /// The JSON object of the proxies, for [`State::replace_all_json`].
    pub(crate) proxies: String,
}

impl Config {
    /// Reads the file at `path`; `program` is what `{self}` stands for.
    ///
    /// # Errors
    /// "`path`: field: what was expected", or why the file cannot be read.
    pub(crate) fn load(path: &Path, program: &Path) -> Result<Config> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()))?;
        Config::parse(&text, program).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    fn parse(text: &str, program: &Path) -> Result<Config> {
        let document = serde_json::from_str(text).map_err(|error| format!("not a JSON document: {error}"))?;
        let mut fields = Fields::of(document)?;
        let mut options = ManagerOptions::default();
        options.data_dir = fields.read("data_dir", "a path", path)?;
        options.allow_root = fields.read("allow_root", "true or false", Value::as_bool)?.unwrap_or(options.allow_root);
        options.proxy_env = fields.variables("proxy_env")?;
        for (field, period) in [
            ("snapshot_period_ms", &mut options.snapshot_period),
            ("coalesce_period_ms", &mut options.coalesce_period),
            ("quiescent_period_ms", &mut options.quiescent_period),
        ] {
            *period = fields.read(field, MILLISECONDS, milliseconds)?.unwrap_or(*period);
        }
        let on_exit = fields.read("on_exit", "\"leave\" or \"stop\"", on_exit)?.unwrap_or(OnExit::Leave);
        let mut proxies = fields.take("proxies").unwrap_or_else(|| Map::new().into());
        fields.finish()?;
        expand_self(&mut proxies, program);
        let proxies = proxies.to_string();
        // Into a state that nobody watches: a reload must know that all is well before it changes anything.
        let state = State::new();
        state.replace_all_json(&proxies)?;
        let unknown = state.list().into_iter().find(|(_, proxy)| !MODES.contains(&proxy.mode));
        if let Some((id, proxy)) = unknown {
            return Err(format!("proxies.{id}.mode: expected \"daemon\" or \"noop\", got \"{}\"", proxy.mode).into());
        }
        Ok(Config { options, on_exit, proxies })
    }
}

/// Puts the path of this program in place of a first word `{self}`. What is no command is left for [`State`] to refuse.
fn expand_self(proxies: &mut Value, program: &Path) {
    let program = match program.to_str() {
        Some(program) => Value::from(program),
        None => Value::from(program.as_os_str().as_bytes()),
    };
    for proxy in proxies.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(word) = proxy.pointer_mut("/command/0").filter(|word| *word == "{self}") {
            *word = program.clone();
        }
    }
}

/// The object of the document: each field is taken once, and [`Fields::finish`] refuses what is left.
struct Fields(Map<String, Value>);

impl Fields {
    fn of(document: Value) -> Result<Fields> {
        match document {
            Value::Object(object) => Ok(Fields(object)),
            other => Err(expected("document", "an object", &other).into()),
        }
    }

    /// Takes a field; absent and `null` are the same.
    fn take(&mut self, field: &str) -> Option<Value> {
        self.0.remove(field).filter(|value| !value.is_null())
    }

    /// Takes a field that `read` must accept.
    fn read<T>(&mut self, field: &str, wanted: &str, read: impl FnOnce(&Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.take(field) else { return Ok(None) };
        Ok(Some(read(&value).ok_or_else(|| expected(field, wanted, &value))?))
    }

    /// Takes a list of `NAME=value`.
    fn variables(&mut self, field: &str) -> Result<Vec<(OsString, OsString)>> {
        let lines = self.read(field, "a list of strings NAME=value", |value| value.as_array().cloned())?;
        let variable = |(index, line): (usize, Value)| {
            let wrong = || expected(&format!("{field}[{index}]"), "a string NAME=value", &line).into();
            variable(&line).ok_or_else(wrong)
        };
        lines.unwrap_or_default().into_iter().enumerate().map(variable).collect()
    }

    fn finish(self) -> Result<()> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(field) => Err(format!("{field}: unknown field").into()),
        }
    }
}

/// "place: expected this, got that", without the text of what was got: it may be a secret or a megabyte.
fn expected(place: &str, wanted: &str, got: &Value) -> String {
    let got = match got {
        Value::Null | Value::Bool(_) | Value::Number(_) => got.to_string(),
        Value::String(text) if text.is_empty() => "an empty string".to_owned(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    format!("{place}: expected {wanted}, got {got}")
}

fn path(value: &Value) -> Option<PathBuf> {
    value.as_str().filter(|path| !path.is_empty() && !path.contains('\0')).map(PathBuf::from)
}

const MILLISECONDS: &str = "milliseconds, a whole number from 0 to 31622400000";

/// At most a year, as in the fields of a proxy: longer ones are mistakes of the unit.
fn milliseconds(value: &Value) -> Option<Duration> {
    value.as_u64().filter(|ms| *ms <= 31_622_400_000).map(Duration::from_millis)
}

fn on_exit(value: &Value) -> Option<OnExit> {
    match value.as_str()? {
        "leave" => Some(OnExit::Leave),
        "stop" => Some(OnExit::Stop),
        _ => None,
    }
}

fn variable(line: &Value) -> Option<(OsString, OsString)> {
    let (name, value) = line.as_str().filter(|line| !line.contains('\0'))?.split_once('=')?;
    (!name.is_empty()).then(|| (name.into(), value.into()))
}
