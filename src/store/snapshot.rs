// SPDX-License-Identifier: MPL-2.0
//! The snapshot: what the agent declared, so that the next agent can take it over.
//!
//! The manager's own file contains no pids: they are in the records, so a restart rewrites one small record instead of
//! the whole snapshot. A snapshot that is written to a path of the user has no records beside it and contains the pids.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use serde_json::{Value, json};

use super::consul_snapshot;
use super::process_record::{read_fingerprint, read_identity, read_numbers, read_origin};
use super::snapshot_entry::{DaemonEntry, Entry, KnownProcess, StoredProcess};
use crate::declaration::fields::Fields;
use crate::declaration::{ExecMode, ProxyConfig, ProxySnapshot, strict, validate_id};
use crate::defaults::MAX_SNAPSHOT;
use crate::error::{Error, ErrorCode, Result, excerpt};

/// The version of the format that is written.
const VERSION: u64 = 2;

/// A snapshot, and the entries that could not be read.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) proxies: BTreeMap<String, Entry>,
    pub(crate) refused: Vec<Error>,
}

impl Entry {
    fn to_json(&self) -> Value {
        match self {
            Entry::Daemon(daemon) => json!({"Mode": ExecMode::DAEMON.as_str(), "Config": daemon.to_json()}),
            Entry::Other(mode, state) => json!({"Mode": mode.as_str(), "Config": state}),
        }
    }
}

impl DaemonEntry {
    /// The entry's fields: those of the declaration, and `token_generated`, `paused` and `process`.
    pub(crate) fn to_json(&self) -> ProxySnapshot {
        let mut object = self.config.to_json();
        if self.config.token_generated {
            object.insert("token_generated".to_owned(), true.into());
        }
        if self.paused {
            object.insert("paused".to_owned(), true.into());
        }
        if let StoredProcess::Known(known) = &self.process {
            let identity = &known.identity;
            let mut process = json!({
                "pid": identity.pid.as_raw(),
                "start_ticks": identity.start_ticks,
                "boot_id": &*identity.boot_id,
                "fingerprint": known.fingerprint.to_string(),
            });
            if !identity.leads_group() {
                process["group"] = identity.group.as_raw().into();
            }
            if let Some(inode) = identity.inode {
                process["pidfd_inode"] = inode.into();
            }
            if let Some(owner_tag) = &known.owner_tag {
                process["origin"] = owner_tag.as_str().into();
            }
            if let Some(number) = known.numbers.generation.known() {
                process["generation"] = number.into();
            }
            if let Some(number) = known.numbers.epoch.above_first() {
                process["epoch"] = number.into();
            }
            object.insert("process".to_owned(), process);
        }
        object
    }

    /// Reads what [`DaemonEntry::to_json`] wrote.
    pub(crate) fn from_fields(mut fields: Fields) -> Result<DaemonEntry> {
        let process = fields.object("process")?.map(read_process).transpose()?;
        let process = process.map_or(StoredProcess::Unnamed, StoredProcess::Known);
        let token_generated = fields.boolean("token_generated")?.unwrap_or(false);
        let paused = fields.boolean("paused")?.unwrap_or(false);
        let mut config = ProxyConfig::from_snapshot(fields)?;
        config.token_generated = token_generated;
        Ok(DaemonEntry { config: Arc::new(config), process, paused })
    }
}

fn read_process(mut fields: Fields) -> Result<KnownProcess> {
    let missing = fields.missing("fingerprint", "a fingerprint");
    let fingerprint = read_fingerprint(&mut fields)?.ok_or(missing)?;
    let owner_tag = read_origin(&mut fields)?;
    let numbers = read_numbers(&mut fields)?;
    Ok(KnownProcess { identity: read_identity(fields)?, fingerprint, owner_tag, numbers })
}

/// Writes the text of a snapshot file, proxy by proxy: ten thousand of them would be as many megabytes in memory.
///
/// # Errors
/// EFBIG's kind when it would be larger than what is read.
pub(crate) fn encode<'a>(proxies: impl Iterator<Item = (&'a str, Entry)>, out: &mut impl Write) -> io::Result<()> {
    encode_changes(proxies.map(|(id, entry)| (id, Some(entry))), out)
}

/// The same of what changed since a snapshot; `None` is what was removed.
pub(crate) fn encode_changes<'a>(
    proxies: impl Iterator<Item = (&'a str, Option<Entry>)>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut out = Limited { out, left: MAX_SNAPSHOT };
    write!(out, "{{\"Version\":{VERSION},\"Proxies\":{{")?;
    for (index, (id, entry)) in proxies.enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let entry = entry.map_or(Value::Null, |entry| entry.to_json());
        write!(out, "{comma}{}:{entry}", Value::from(id))?;
    }
    out.write_all(b"}}\n")
}

struct Limited<'a, W> {
    out: &'a mut W,
    left: u64,
}

impl<W: Write> Write for Limited<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            let why = format!("expected at most {MAX_SNAPSHOT} bytes of it");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        };
        self.left = left;
        self.out.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads a snapshot of version 2 or of Consul's version 1.
///
/// # Errors
/// [`ErrorCode::CorruptSnapshot`] when the document as a whole cannot be used. Entries that cannot be used are in
/// [`Snapshot::refused`]; the others are restored.
pub(crate) fn decode(text: &[u8]) -> Result<Snapshot> {
    read(text, |_, _| false)
}

/// Adds to a snapshot what [`encode_changes`] wrote.
///
/// # Errors
/// As [`decode`]: nothing of it is added then.
pub(crate) fn apply_changes(snapshot: &mut Snapshot, text: &[u8]) -> Result<()> {
    let mut removed = Vec::new();
    let changed = read(text, |id, value| {
        let is_removed = value.is_null();
        removed.extend(is_removed.then(|| id.to_owned()));
        is_removed
    })?;
    snapshot.proxies.extend(changed.proxies);
    snapshot.refused.extend(changed.refused);
    for id in removed {
        snapshot.proxies.remove(&id);
    }
    Ok(())
}

/// Reads all entries but those that a caller takes.
fn read(text: &[u8], mut take: impl FnMut(&str, &Value) -> bool) -> Result<Snapshot> {
    let value = strict::parse_bytes(text).map_err(|error| corrupt(format!("not a JSON document: {error}")))?;
    let mut fields = Fields::of("", value).map_err(as_corrupt)?;
    let format = match fields.integer("Version").map_err(as_corrupt)? {
        Some(VERSION) => Format { read_mode, read_daemon: DaemonEntry::from_fields },
        Some(1) => Format { read_mode: consul_snapshot::read_mode, read_daemon: consul_snapshot::read_daemon },
        other => {
            let got = other.map_or("nothing".to_owned(), |number| number.to_string());
            return Err(corrupt(format!("Version: expected 1 or {VERSION}, got {got}")));
        }
    };
    let proxies = fields.take("Proxies").unwrap_or_else(|| json!({}));
    fields.finish().map_err(as_corrupt)?;
    let mut snapshot = Snapshot::default();
    for (id, value) in Fields::of("Proxies", proxies).map_err(as_corrupt)?.rest() {
        if take(&id, &value) {
            continue;
        }
        let place = format!("Proxies.{}", excerpt(&id));
        match validate_id(&id).map_err(|error| error.within(&place)).and_then(|()| format.read_entry(&place, value)) {
            Ok(entry) => drop(snapshot.proxies.insert(id, entry)),
            Err(error) => snapshot.refused.push(error),
        }
    }
    Ok(snapshot)
}

/// How the entries of a version are read.
struct Format {
    read_mode: fn(&mut Fields) -> Result<ExecMode>,
    read_daemon: fn(Fields) -> Result<DaemonEntry>,
}

impl Format {
    fn read_entry(&self, place: &str, value: Value) -> Result<Entry> {
        let mut fields = Fields::of(place, value)?;
        let mode = (self.read_mode)(&mut fields)?;
        let config = fields.take("Config").unwrap_or_else(|| json!({}));
        fields.finish()?;
        let config = Fields::of(format!("{place}.Config"), config)?;
        if mode == ExecMode::DAEMON {
            (self.read_daemon)(config).map(Entry::Daemon)
        } else {
            Ok(Entry::Other(mode, config.rest()))
        }
    }
}

fn read_mode(fields: &mut Fields) -> Result<ExecMode> {
    let mode = fields.string("Mode")?.ok_or_else(|| fields.missing("Mode", "a string"))?;
    ExecMode::new(&mode).map_err(|error| error.within(fields.place("Mode")))
}

fn as_corrupt(error: Error) -> Error {
    corrupt(error.to_string())
}

fn corrupt(message: String) -> Error {
    Error::new(ErrorCode::CorruptSnapshot, format!("snapshot: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::declaration::Fingerprint;
    use crate::lifecycle::generation::Generation;
    use crate::lifecycle::start_numbers::{Epoch, StartNumbers};
    use crate::sys::pid::Pid;
    use crate::sys::process_identity::Identity;
    use proptest::prelude::*;

    fn example() -> BTreeMap<String, Entry> {
        let mut config = ProxyConfig::new(Command::new("/bin/a").arg("b").env("C", "d"));
        config.token = Some("secret".to_owned());
        config.token_generated = true;
        let [pid, group] = [42, 41].map(|raw| Pid::from_raw(raw).unwrap());
        let identity = Identity { pid, group, start_ticks: 7, boot_id: "boot".into(), inode: Some(3) };
        let (fingerprint, owner_tag) = (Fingerprint::new(), Some("801-7f".to_owned()));
        let numbers = StartNumbers { generation: Generation::of(12), epoch: Epoch::of(3) };
        let process = StoredProcess::Known(KnownProcess { identity, fingerprint, owner_tag, numbers });
        let config = Arc::new(config);
        let daemon = |process| Entry::Daemon(DaemonEntry { config: config.clone(), process, paused: false });
        let (with, without) = (daemon(process), daemon(StoredProcess::Unnamed));
        let state = [("port".to_owned(), 80.into())].into_iter().collect();
        let other = Entry::Other(ExecMode::new("socket").unwrap(), state);
        [("a", with), ("b/../c", without), ("d", other)].into_iter().map(|(id, entry)| (id.to_owned(), entry)).collect()
    }

    /// As versions wrote it that accepted such a declaration.
    #[test]
    fn entry_that_is_ready_at_its_own_listen_is_read() {
        let config = r#"{"command":["a"],"ready":{"tcp":"127.0.0.1:80"},"listen":["tcp:127.0.0.1:80"]}"#;
        assert!(ProxyConfig::from_json(config).is_err());
        let text = format!(r#"{{"Version":2,"Proxies":{{"web":{{"Mode":"daemon","Config":{config}}}}}}}"#);
        let snapshot = decode(text.as_bytes()).unwrap();
        assert!(snapshot.refused.is_empty(), "{:?}", snapshot.refused);
        let mut again = Vec::new();
        encode(snapshot.proxies.iter().map(|(id, entry)| (&**id, entry.clone())), &mut again).unwrap();
        assert_eq!(decode(&again).unwrap().proxies, snapshot.proxies);
    }

    fn text() -> Vec<u8> {
        let mut text = Vec::new();
        encode(example().iter().map(|(id, entry)| (id.as_str(), entry.clone())), &mut text).unwrap();
        text
    }

    #[test]
    fn a_snapshot_comes_back() {
        let snapshot = decode(&text()).unwrap();
        assert_eq!(snapshot.proxies, example());
        assert!(snapshot.refused.is_empty());
    }

    #[test]
    fn every_truncation_is_refused() {
        let text = text();
        for length in 0..text.len() - 1 {
            assert_eq!(decode(&text[..length]).unwrap_err().code(), ErrorCode::CorruptSnapshot, "{length}");
        }
    }

    #[test]
    fn unknown_versions_and_strange_documents_are_refused() {
        let deep = "[".repeat(100_000);
        for text in ["", "null", "[]", "{}", r#"{"Version":3}"#, r#"{"Version":"2"}"#, r#"{"Version":2,"x":1}"#, &deep]
        {
            assert_eq!(decode(text.as_bytes()).unwrap_err().code(), ErrorCode::CorruptSnapshot, "{text:.20}");
        }
        assert!(decode(br#"{"Version":2}"#).unwrap().proxies.is_empty());
    }

    #[test]
    fn one_bad_entry_does_not_lose_the_others() {
        let text = r#"{"Version":2,"Proxies":{"a":{"Mode":"daemon","Config":{}},"b":{"Mode":"noop","Config":{}}}}"#;
        let snapshot = decode(text.as_bytes()).unwrap();
        assert_eq!(snapshot.proxies.keys().collect::<Vec<_>>(), ["b"]);
        assert!(snapshot.refused[0].to_string().starts_with("Proxies.a.Config.command: expected"));
    }

    proptest! {
        #[test]
        fn flipped_bits_never_panic(at in 0usize..10_000, bit in 0u8..8) {
            let mut text = text();
            let at = at % text.len();
            text[at] ^= 1 << bit;
            let _ = decode(&text);
        }
    }
}
