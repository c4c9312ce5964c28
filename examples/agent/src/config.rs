// SPDX-License-Identifier: MPL-2.0
//! The configuration file: options of the manager, and the proxies, which [`State`] reads itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proxyprocess::{ExecMode, ManagerOptions, State};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
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
        // Some editors begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        Config::parse(text, program).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    fn parse(text: &str, program: &Path) -> Result<Config> {
        let mut fields = Fields::of(text)?;
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
        let most = fields.read("max_handovers", "a number from 1 to 1048576", handovers)?;
        options.max_handovers = most.unwrap_or(options.max_handovers);
        let on_exit = match fields.take("on_exit") {
            Some(value) => on_exit(&value)?,
            None => OnExit::Leave,
        };
        let proxies = fields.text("proxies").map_or_else(|| "{}".to_owned(), |text| text.get().to_owned());
        fields.finish()?;
        // As it is written, for an id that stands there twice is not in the value; and into a state without a manager: a
        // reload must know that all is well before it changes anything.
        let state = State::new();
        state.replace_all_json(&proxies)?;
        let unknown = state.list().into_iter().find(|(_, proxy)| !MODES.contains(&proxy.mode));
        if let Some((id, proxy)) = unknown {
            return Err(format!("proxies.{id}.mode: expected \"daemon\" or \"noop\", got \"{}\"", proxy.mode).into());
        }
        Ok(Config { options, on_exit, proxies: expand_self(&proxies, program)? })
    }
}

/// Puts the path of this program in place of a first word `{self}` of the declared commands.
fn expand_self(proxies: &str, program: &Path) -> Result<String> {
    let mut proxies: Value = serde_json::from_str(proxies)?;
    let program = match program.to_str() {
        Some(program) => Value::from(program),
        None => Value::from(program.as_os_str().as_bytes()),
    };
    for proxy in proxies.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(word) = proxy.pointer_mut("/command/0").filter(|word| *word == "{self}") {
            *word = program.clone();
        }
    }
    Ok(proxies.to_string())
}

/// The members of an object as they are written, also of a name that stands there twice.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Members, D::Error> {
        deserializer.deserialize_map(EachMember)
    }
}

struct EachMember;

impl<'de> Visitor<'de> for EachMember {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> std::result::Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

/// The object of the document: each field is taken once, and [`Fields::finish`] refuses what is left.
struct Fields {
    members: BTreeMap<String, Box<RawValue>>,
    /// The names that were asked for: those that there may be.
    known: Vec<&'static str>,
}

impl Fields {
    fn of(text: &str) -> Result<Fields> {
        let not_json = |error| format!("not a JSON document: {error}");
        let document: Value = serde_json::from_str(text).map_err(not_json)?;
        if !document.is_object() {
            return Err(expected("document", "an object", &document).into());
        }
        let Members(written) = serde_json::from_str(text).map_err(not_json)?;
        let mut members = BTreeMap::new();
        for (name, value) in written {
            if let Some((name, _)) = members.get_key_value(&name) {
                return Err(format!("{name}: declared twice").into());
            }
            members.insert(name, value);
        }
        Ok(Fields { members, known: Vec::new() })
    }

    /// Takes a field as it is written; absent and `null` are the same.
    fn text(&mut self, field: &'static str) -> Option<Box<RawValue>> {
        self.known.push(field);
        self.members.remove(field).filter(|text| text.get() != "null")
    }

    fn take(&mut self, field: &'static str) -> Option<Value> {
        // The text is a part of a document that was read.
        self.text(field).and_then(|text| serde_json::from_str(text.get()).ok())
    }

    /// Takes a field that `read` must accept.
    fn read<T>(
        &mut self,
        field: &'static str,
        wanted: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.take(field) else { return Ok(None) };
        Ok(Some(read(&value).ok_or_else(|| expected(field, wanted, &value))?))
    }

    /// Takes a list of `NAME=value`.
    fn variables(&mut self, field: &'static str) -> Result<Vec<(OsString, OsString)>> {
        let lines = self.read(field, "a list of strings NAME=value", |value| value.as_array().cloned())?;
        let variable = |(index, line): (usize, Value)| {
            let (place, wanted) = (format!("{field}[{index}]"), "a string NAME=value");
            let wrong = || match line.as_str() {
                Some(text) if !text.contains('=') => format!("{place}: expected {wanted}, got a string without ="),
                _ => expected(&place, wanted, &line),
            };
            Ok(variable(&line).ok_or_else(wrong)?)
        };
        lines.unwrap_or_default().into_iter().enumerate().map(variable).collect()
    }

    fn finish(self) -> Result<()> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(field) => Err(format!("{field}: unknown field, expected one of {}", self.known.join(", ")).into()),
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

fn handovers(value: &Value) -> Option<usize> {
    value.as_u64().filter(|most| (1..=1_048_576).contains(most)).and_then(|most| most.try_into().ok())
}

/// No secret is meant to stand here, so what does is said, as far as it could be a word.
fn on_exit(value: &Value) -> Result<OnExit> {
    const WANTED: &str = "\"leave\" or \"stop\"";
    match value.as_str() {
        Some("leave") => Ok(OnExit::Leave),
        Some("stop") => Ok(OnExit::Stop),
        Some(word) if !word.is_empty() && word.chars().count() <= 40 => {
            Err(format!("on_exit: expected {WANTED}, got \"{}\"", word.escape_debug()).into())
        }
        _ => Err(expected("on_exit", WANTED, value).into()),
    }
}

fn variable(line: &Value) -> Option<(OsString, OsString)> {
    let (name, value) = line.as_str().filter(|line| !line.contains('\0'))?.split_once('=')?;
    (!name.is_empty()).then(|| (name.into(), value.into()))
}
