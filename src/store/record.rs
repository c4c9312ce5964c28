//! The record of a process: who it is and what it was started from. The child writes its own, before it executes.

use serde_json::Value;

use crate::declaration::fields::Fields;
use crate::declaration::{Fingerprint, milliseconds, read_stop};
use crate::error::{Error, ErrorCode, Result};
use crate::lifecycle::StopSettings;
use crate::sys::identity::{Identity, Pid};

/// The version of the format that is written.
const VERSION: u32 = 1;

/// A process as its record names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) identity: Identity,
    /// The token that the process has: by it, what it leaves of its group is known.
    pub(crate) token: Option<String>,
    /// Whether the token was generated: it must outlive a snapshot that cannot be read.
    pub(crate) token_generated: bool,
    /// How it is stopped, should nothing else be known of it.
    pub(crate) stop: StopSettings,
}

impl Record {
    /// What it says besides who the process is.
    pub(crate) fn origin(&self) -> Origin<'_> {
        Origin {
            id: &self.id,
            fingerprint: self.fingerprint,
            token: self.token.as_deref(),
            token_generated: self.token_generated,
            stop: self.stop,
        }
    }
}

/// What a record says besides who the process is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) id: &'a str,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) token: Option<&'a str>,
    pub(crate) token_generated: bool,
    pub(crate) stop: StopSettings,
}

/// The first part of a record, to which the child adds `"pid":<pid>,"start_ticks":<ticks>`, perhaps
/// `,"pidfd_inode":<inode>`, and `}`.
pub(super) fn head(origin: Origin<'_>, boot_id: &str) -> Vec<u8> {
    let Origin { id, fingerprint, token, token_generated, stop } = origin;
    let id = Value::from(id);
    let token = token.map(|token| format!("\"token\":{},", Value::from(token))).unwrap_or_default();
    let generated = if token_generated { "\"token_generated\":true," } else { "" };
    let version = format!("{{\"version\":{VERSION},\"id\":{id},\"fingerprint\":\"{fingerprint}\",");
    let (signal, grace_ms) = (stop.signal, milliseconds(stop.grace_period));
    let stop = format!("\"stop_signal\":\"{signal}\",\"grace_period_ms\":{grace_ms},");
    format!("{version}{token}{generated}{stop}\"boot_id\":\"{boot_id}\",").into_bytes()
}

/// The whole record of a process that did not write its own.
pub(super) fn whole(origin: Origin<'_>, identity: &Identity) -> Vec<u8> {
    let mut text = head(origin, &identity.boot_id);
    let inode = identity.inode.map(|inode| format!(",\"pidfd_inode\":{inode}")).unwrap_or_default();
    let process = format!("\"pid\":{},\"start_ticks\":{}{inode}}}\n", identity.pid, identity.start_ticks);
    text.extend(process.into_bytes());
    text
}

/// Reads a record.
pub(super) fn parse(text: &[u8]) -> Result<Record> {
    let value = serde_json::from_slice(text).map_err(|error| corrupt(format!("not a JSON document: {error}")))?;
    let mut fields = Fields::of("", value).map_err(as_corrupt)?;
    let version = fields.unsigned("version").map_err(as_corrupt)?;
    if version != Some(VERSION) {
        return Err(corrupt(format!("version: expected {VERSION}, got {version:?}")));
    }
    let id = fields.string("id").map_err(as_corrupt)?.ok_or_else(|| corrupt("id: expected a string".to_owned()))?;
    let fingerprint = read_fingerprint(&mut fields).map_err(as_corrupt)?;
    let fingerprint = fingerprint.ok_or_else(|| corrupt("fingerprint: expected a string".to_owned()))?;
    let token = fields.string("token").map_err(as_corrupt)?;
    let token_generated = fields.boolean("token_generated").map_err(as_corrupt)?.unwrap_or(false);
    // Whatever is wrong with these, the process is known.
    let mut stop = StopSettings::default();
    let _ = read_stop(&mut fields, &mut stop);
    let identity = read_identity(fields).map_err(as_corrupt)?;
    Ok(Record { id, fingerprint, identity, token, token_generated, stop })
}

/// Reads the field `fingerprint`.
pub(super) fn read_fingerprint(fields: &mut Fields) -> Result<Option<Fingerprint>> {
    fields.read("fingerprint", "a fingerprint", |value| value.as_str()?.parse().ok())
}

/// Reads `boot_id`, `pid`, `start_ticks` and, if it is there, `pidfd_inode`.
pub(super) fn read_identity(mut fields: Fields) -> Result<Identity> {
    let pid = fields.read("pid", "a pid", |value| Pid::from_raw(value.as_i64()?.try_into().ok()?))?;
    let start_ticks = fields.integer("start_ticks")?;
    let boot_id = fields.string("boot_id")?;
    let inode = fields.integer("pidfd_inode")?;
    let (Some(pid), Some(start_ticks), Some(boot_id)) = (pid, start_ticks, boot_id) else {
        return Err(fields.missing("pid", "pid, start_ticks and boot_id"));
    };
    Ok(Identity { pid, start_ticks, boot_id: boot_id.into(), inode })
}

fn as_corrupt(error: Error) -> Error {
    corrupt(error.to_string())
}

fn corrupt(message: String) -> Error {
    Error::new(ErrorCode::CorruptSnapshot, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::signal::Signal;
    use proptest::prelude::*;
    use std::time::Duration;

    fn example() -> Record {
        let boot_id = "boot".into();
        let identity = Identity { pid: Pid::from_raw(42).unwrap(), start_ticks: 7, boot_id, inode: Some(u64::MAX) };
        let token = Some("t\"".to_owned());
        let stop = StopSettings { signal: Signal::KILL, grace_period: Duration::from_millis(7) };
        let (id, fingerprint, token_generated) = ("we\"b/ä".to_owned(), Fingerprint::new(), true);
        Record { id, fingerprint, identity, token, token_generated, stop }
    }

    fn text(record: &Record) -> Vec<u8> {
        whole(record.origin(), &record.identity)
    }

    #[test]
    fn a_record_comes_back_and_every_truncation_is_refused() {
        let record = example();
        let text = text(&record);
        assert_eq!(parse(&text).unwrap(), record);
        let identity = Identity { inode: None, ..record.identity.clone() };
        let without = Record { identity, ..record };
        assert_eq!(parse(&self::text(&without)).unwrap(), without);
        for length in 0..text.len() - 1 {
            assert_eq!(parse(&text[..length]).unwrap_err().code(), ErrorCode::CorruptSnapshot);
        }
    }

    #[test]
    fn a_record_without_stop_settings_is_of_an_earlier_version() {
        let text = r#"{"version":1,"id":"a","fingerprint":"0","boot_id":"b","pid":1,"start_ticks":2}"#;
        let text = text.replace("\"0\"", &format!("\"{}\"", Fingerprint::new()));
        assert_eq!(parse(text.as_bytes()).unwrap().stop, StopSettings::default());
    }

    proptest! {
        #[test]
        fn a_flipped_bit_never_panics(at in 0usize..200, bit in 0u8..8) {
            let record = example();
            let mut text = text(&record);
            let at = at % text.len();
            text[at] ^= 1 << bit;
            let _ = parse(&text);
        }
    }
}
