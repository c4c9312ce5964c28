// SPDX-License-Identifier: MPL-2.0
//! The configuration file, in JSON or TOML: options of the manager, and the proxies, which [`State`] reads itself.

mod conflicts;
mod document;
mod doubts;
mod fields;
mod mistakes;
mod places;
mod toml;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use proxyprocess::{ManagerOptions, ProxyConfig, State};
use serde_json::Value;

use crate::Result;
use document::Document;
pub(crate) use doubts::Known;
use fields::{Fields, MILLISECONDS, cgroup, expected, handovers, milliseconds, path, removed};
pub(crate) use mistakes::Mistakes;
use mistakes::Noted;

/// What a configuration may have, as JSON schema. The tests of the project compare it with what the library reads.
pub(crate) const SCHEMA: &str = include_str!("schema.json");

/// What the agent does with its proxies when SIGINT or SIGTERM ends it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnExit {
    /// They keep running, and the next agent adopts them.
    #[default]
    Leave,
    /// They are stopped first.
    Stop,
    /// They are stopped when the machine is shut down, or the container ends with the agent, and left otherwise.
    Auto,
}

/// A configuration that was read and checked whole.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) options: ManagerOptions,
    pub(crate) on_exit: OnExit,
    pub(crate) proxies: BTreeMap<String, ProxyConfig>,
}

impl Config {
    /// Reads the file at `path`; `program` is what `{self}` stands for.
    ///
    /// # Errors
    /// "`path`:line:column: field: what was expected" for each mistake, or why the file cannot be read.
    pub(crate) fn load(path: &Path, program: &Path) -> std::result::Result<Config, Mistakes> {
        let text = read(path)?;
        let document = Document::of(path, &text)?;
        Config::read(&document, program)
    }

    /// The same, with what may be wrong as well, and is no error: it may be put right before the agent starts a process.
    /// `known` adds what is known of a program.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub(crate) fn load_with_doubts(
        path: &Path,
        program: &Path,
        known: &Known<'_>,
    ) -> std::result::Result<(Config, Vec<String>), Mistakes> {
        let text = read(path)?;
        let document = Document::of(path, &text)?;
        let config = Config::read(&document, program)?;
        let doubts = doubts::doubts(&config.options, &config.proxies, known)
            .iter()
            .map(|doubt| document.located(doubt))
            .collect();
        Ok((config, doubts))
    }

    fn read(document: &Document<'_>, program: &Path) -> std::result::Result<Config, Mistakes> {
        Config::parse(&document.json, program)
            .map_err(|wrong| Mistakes(wrong.iter().map(|message| document.located(message)).collect()))
    }

    fn parse(text: &str, program: &Path) -> std::result::Result<Config, Vec<String>> {
        let mut fields = Fields::of(text).map_err(|error| vec![error.to_string()])?;
        let (mut options, mut wrong) = (ManagerOptions::default(), Noted::default());
        options.data_dir = wrong.take(fields.read("data_dir", "a path", path));
        let allow_root = wrong.take(fields.read("allow_root", "true or false", Value::as_bool));
        options.allow_root = allow_root.unwrap_or(options.allow_root);
        options.proxy_env = wrong.take(fields.variables("proxy_env"));
        for (field, period) in [
            ("snapshot_period_ms", &mut options.snapshot_period),
            ("coalesce_period_ms", &mut options.coalesce_period),
            ("quiescent_period_ms", &mut options.quiescent_period),
        ] {
            *period = wrong.take(fields.read(field, MILLISECONDS, milliseconds)).unwrap_or(*period);
        }
        let most = wrong.take(fields.read("max_handovers", "a number from 1 to 1048576", handovers));
        options.max_handovers = most.unwrap_or(options.max_handovers);
        options.keep_removed = wrong.take(fields.read("keep_removed", "a number from 0 to 4294967295", removed));
        let cgroup = wrong.take(fields.read("cgroup", "\"off\", \"auto\" or \"required\"", cgroup));
        options.cgroup = cgroup.unwrap_or(options.cgroup);
        options.cgroup_base = wrong.take(fields.read("cgroup_base", "a path", path));
        let on_exit = wrong.take(fields.take("on_exit").map(|value| on_exit(&value)).transpose()).unwrap_or_default();
        let written = fields.text("proxies");
        fields.finish().into_iter().for_each(|unknown| wrong.add(unknown));
        let proxies = match written.map(|proxies| read_proxies(text, proxies.get(), program)) {
            Some(Ok(proxies)) => proxies,
            Some(Err(messages)) => {
                messages.into_iter().for_each(|message| wrong.add(message));
                BTreeMap::new()
            }
            None => BTreeMap::new(),
        };
        wrong.or(Config { options, on_exit, proxies })
    }
}

/// The data directory that a configuration file names; the rest of it may be wrong.
///
/// # Errors
/// When the file cannot be read, is no such document, or names none.
pub(crate) fn data_dir_of(file: &Path) -> Result<PathBuf> {
    let text = read(file)?;
    let document = Document::of(file, &text)?;
    let found = Fields::of(&document.json).and_then(|mut fields| {
        let found = fields.read("data_dir", "a path", path)?;
        Ok(found.ok_or("data_dir: expected a path, got nothing: an agent without one cannot be asked")?)
    });
    found.map_err(|error| document.located(&error.to_string()).into())
}

/// The ids of the proxies that a configuration file declares; the rest of it may be wrong.
///
/// # Errors
/// When the file cannot be read, or is no such document.
pub(crate) fn ids_of(file: &Path) -> Result<Vec<String>> {
    let text = read(file)?;
    let document = Document::of(file, &text)?;
    let ids = |proxies: &Value| Some(proxies.as_object()?.keys().cloned().collect());
    Ok(Fields::of(&document.json)?.read("proxies", "an object", ids)?.unwrap_or_default())
}

/// A document in TOML that is no configuration.
///
/// # Errors
/// It is none in TOML.
pub(crate) fn toml_document(text: &str) -> Result<Value> {
    toml::parse(text).map(|(document, _)| document).map_err(|wrong| wrong.message.into())
}

fn read(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()))?;
    // Some editors begin a file with a byte order mark.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Reads the declarations as they are written, for an id that stands there twice is not in the value; and into a state
/// without a manager: a reload must know that all is well before it changes anything.
fn read_proxies(
    document: &str,
    proxies: &str,
    program: &Path,
) -> std::result::Result<BTreeMap<String, ProxyConfig>, Vec<String>> {
    let state = State::new();
    // At the place that they have in the document, so that lines and columns in an error are those of the document.
    if let Err(error) = state.replace_all_json(&mistakes::at_its_place(document, proxies)) {
        return Err(mistakes::of_each_proxy(document, proxies, error.to_string()));
    }
    let unknown = mistakes::unknown_modes(&state);
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let read = || -> Result<BTreeMap<String, ProxyConfig>> {
        let own: BTreeMap<String, Value> = serde_json::from_str(proxies)?;
        let read = |(id, proxy)| Ok((id, ProxyConfig::from_json(&expand_self(proxy, program).to_string())?));
        own.into_iter().map(read).collect()
    };
    read().map_err(|error| vec![error.to_string()])
}

/// Puts the path of this program in place of a first word `{self}` of a declared command.
fn expand_self(mut proxy: Value, program: &Path) -> Value {
    if let Some(word) = proxy.pointer_mut("/command/0").filter(|word| **word == "{self}") {
        *word = match program.to_str() {
            Some(program) => Value::from(program),
            None => Value::from(program.as_os_str().as_bytes()),
        };
    }
    proxy
}

/// No secret is meant to stand here, so what does is said, as far as it could be a word.
fn on_exit(value: &Value) -> Result<OnExit> {
    const WANTED: &str = "\"leave\", \"stop\" or \"auto\"";
    match value.as_str() {
        Some("leave") => Ok(OnExit::Leave),
        Some("stop") => Ok(OnExit::Stop),
        Some("auto") => Ok(OnExit::Auto),
        Some(word) if !word.is_empty() && word.chars().count() <= 40 => {
            Err(format!("on_exit: expected {WANTED}, got \"{}\"", word.escape_debug()).into())
        }
        _ => Err(expected("on_exit", WANTED, value).into()),
    }
}
