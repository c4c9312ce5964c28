// SPDX-License-Identifier: MPL-2.0
//! The record of a process: its identity and what it was started from. The child writes its own record before it
//! executes.

use serde_json::Value;

use super::recorded_end::RecordedEnd;
use super::recorded_notifications::RecordedNotifications;
use super::recorded_socket::{self, RecordedSocket};
use super::recorded_stop::{RecordedStop, StopHeader};
use crate::declaration::fields::Fields;
use crate::declaration::{Fingerprint, strict, validate_id};
use crate::error::{Error, ErrorCode, Result};
use crate::lifecycle::generation::Generation;
use crate::lifecycle::start_numbers::{Epoch, StartNumbers};
use crate::sys::digest;
use crate::sys::pid::Pid;
use crate::sys::process_identity::{self, Identity};

/// The version of the format that is written.
const VERSION: u32 = 1;

/// What is between the digest and all that it is of.
const CHECK: &str = ",\"check\":\"";

/// The longest boot id, in bytes; the kernel's have 36.
const MAX_BOOT_ID: usize = 64;

/// The longest owner tag of a process, in bytes; ours have at most 50.
const MAX_OWNER_TAG: usize = 64;

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
    pub(crate) stop: RecordedStop,
    /// Why the commands of that are not used which the record has.
    pub(crate) unused_commands: Option<Error>,
    /// The owner tag that the process has: by it, what left its group is known. Not in records of earlier versions.
    pub(crate) owner_tag: Option<String>,
    /// Those of the start that it comes from. Not in records of earlier versions.
    pub(crate) numbers: StartNumbers,
    /// Of a process that sends notifications.
    pub(crate) notifications: Option<RecordedNotifications>,
    /// The sockets that were declared for it.
    pub(crate) sockets: Vec<RecordedSocket>,
    /// Of one that has ended, and is not started again.
    pub(crate) ended: Option<RecordedEnd>,
}

impl Record {
    /// What it contains besides the identity of the process.
    pub(crate) fn header(&self) -> RecordHeader<'_> {
        RecordHeader {
            id: &self.id,
            fingerprint: self.fingerprint,
            token: self.token.as_deref(),
            token_generated: self.token_generated,
            stop: self.stop.as_header(),
            owner_tag: self.owner_tag.as_deref(),
            numbers: self.numbers,
            notifications: self.notifications,
            sockets: &self.sockets,
            ended: self.ended,
        }
    }
}

/// What a record contains besides the identity of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordHeader<'a> {
    pub(crate) id: &'a str,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) token: Option<&'a str>,
    pub(crate) token_generated: bool,
    pub(crate) stop: StopHeader<'a>,
    pub(crate) owner_tag: Option<&'a str>,
    pub(crate) numbers: StartNumbers,
    pub(crate) notifications: Option<RecordedNotifications>,
    pub(crate) sockets: &'a [RecordedSocket],
    pub(crate) ended: Option<RecordedEnd>,
}

/// The first part of a record, to which the child adds `"pid":<pid>,"start_ticks":<ticks>`, perhaps
/// `,"pidfd_inode":<inode>`, and `,"check":"<digest>"}`.
pub(crate) fn head(header: RecordHeader<'_>, boot_id: &str) -> Vec<u8> {
    let RecordHeader { id, fingerprint, token, token_generated, stop, owner_tag, numbers, .. } = header;
    let RecordHeader { notifications, sockets, ended, .. } = header;
    let (id, boot_id) = (Value::from(id), Value::from(boot_id));
    let token = token.map(|token| format!("\"token\":{},", Value::from(token))).unwrap_or_default();
    let generated = if token_generated { "\"token_generated\":true," } else { "" };
    let owner_tag = owner_tag.map(|owner_tag| format!("\"origin\":{},", Value::from(owner_tag))).unwrap_or_default();
    let (generation, epoch) = (numbers.generation.known(), numbers.epoch.above_first());
    let generation = generation.map(|number| format!("\"generation\":{number},")).unwrap_or_default();
    let epoch = epoch.map(|number| format!("\"epoch\":{number},")).unwrap_or_default();
    let version = format!("{{\"version\":{VERSION},\"id\":{id},\"fingerprint\":\"{fingerprint}\",");
    let stopped = stop.to_json();
    let notify = notifications.map(RecordedNotifications::to_json).unwrap_or_default();
    let what = format!("{version}{token}{generated}{owner_tag}{generation}{epoch}");
    let has_sockets = (!sockets.is_empty()).then(|| format!("\"sockets\":{},", recorded_socket::to_json(sockets)));
    let sockets = has_sockets.unwrap_or_default();
    let ended = ended.map(RecordedEnd::to_json).unwrap_or_default();
    format!("{what}{stopped}{notify}{sockets}{ended}\"boot_id\":{boot_id},").into_bytes()
}

/// The whole record of a process that did not write its own.
pub(crate) fn whole(header: RecordHeader<'_>, identity: &Identity) -> Vec<u8> {
    let mut text = head(header, &identity.boot_id);
    let inode = identity.inode.map(|inode| format!(",\"pidfd_inode\":{inode}")).unwrap_or_default();
    let group = if identity.leads_group() { String::new() } else { format!("\"group\":{},", identity.group) };
    text.extend(
        format!("{group}\"pid\":{},\"start_ticks\":{}{inode}", identity.pid, identity.start_ticks).into_bytes(),
    );
    let digest = digest::add(digest::EMPTY, &text);
    text.extend(format!("{CHECK}{digest:016x}\"}}\n").into_bytes());
    text
}

/// Checks that a record is as it was written, if it has a digest; whether it has. Without one it is of an earlier version.
///
/// A bit that flipped in a number leaves a good document, which says that the process is gone, and would have it
/// started a second time.
fn check(text: &[u8]) -> Result<bool> {
    let Some(at) = text.windows(CHECK.len()).rposition(|part| part == CHECK.as_bytes()) else { return Ok(false) };
    let (checked, rest) = text.split_at(at);
    let expected = format!("{CHECK}{:016x}\"}}", digest::add(digest::EMPTY, checked));
    if rest.trim_ascii_end() == expected.as_bytes() {
        Ok(true)
    } else {
        Err(corrupt("check: the record is damaged".to_owned()))
    }
}

/// Reads a record.
pub(crate) fn parse(text: &[u8]) -> Result<Record> {
    let value = strict::parse_bytes(text).map_err(|error| corrupt(format!("not a JSON document: {error}")))?;
    let is_checked = check(text)?;
    let mut fields = Fields::of("", value).map_err(as_corrupt)?;
    let version = fields.unsigned("version").map_err(as_corrupt)?;
    if version != Some(VERSION) {
        let got = version.map_or("nothing".to_owned(), |version| version.to_string());
        return Err(corrupt(format!("version: expected {VERSION}, got {got}")));
    }
    let id = fields.string("id").map_err(as_corrupt)?.ok_or_else(|| corrupt("id: expected a string".to_owned()))?;
    validate_id(&id).map_err(as_corrupt)?;
    let fingerprint = read_fingerprint(&mut fields).map_err(as_corrupt)?;
    let fingerprint = fingerprint.ok_or_else(|| corrupt("fingerprint: expected a string".to_owned()))?;
    let token = fields.string("token").map_err(as_corrupt)?;
    let token_generated = fields.boolean("token_generated").map_err(as_corrupt)?.unwrap_or(false);
    let owner_tag = read_origin(&mut fields).map_err(as_corrupt)?;
    let numbers = read_numbers(&mut fields).map_err(as_corrupt)?;
    // Whatever is wrong with these, the process is known.
    let (stop, unused_commands) = RecordedStop::read(&mut fields, is_checked);
    let notifications = RecordedNotifications::read(&mut fields);
    let sockets = recorded_socket::read(&mut fields).unwrap_or_default();
    let ended = RecordedEnd::read(&mut fields);
    let identity = read_identity(fields).map_err(as_corrupt)?;
    Ok(Record {
        id,
        fingerprint,
        identity,
        token,
        token_generated,
        stop,
        unused_commands,
        owner_tag,
        numbers,
        notifications,
        sockets,
        ended,
    })
}

/// Reads the field `fingerprint`.
pub(super) fn read_fingerprint(fields: &mut Fields) -> Result<Option<Fingerprint>> {
    fields.read("fingerprint", "a fingerprint", |value| value.as_str()?.parse().ok())
}

/// Reads the field `owner tag`: the one that the process has in its environment.
pub(super) fn read_origin(fields: &mut Fields) -> Result<Option<String>> {
    fields.read("origin", "the origin of a process", |value| {
        value.as_str().filter(|text| is_word_of_at_most(MAX_OWNER_TAG, text)).map(str::to_owned)
    })
}

/// Reads the fields `generation` and `epoch`. The generation of a process of an earlier version is unknown; its epoch is the
/// first one, as it was given none.
pub(super) fn read_numbers(fields: &mut Fields) -> Result<StartNumbers> {
    let generation = fields.integer("generation")?.map_or(Generation::UNKNOWN, Generation::of);
    let epoch = fields.integer("epoch")?.map_or(Epoch::FIRST, Epoch::of);
    Ok(StartNumbers { generation, epoch })
}

/// Reads `boot_id`, `pid`, `start_ticks` and, if they are there, `pidfd_inode` and `group`, which only a process has that does
/// not lead the one that it is in.
pub(super) fn read_identity(mut fields: Fields) -> Result<Identity> {
    let mut pid_in = |name| fields.read(name, "a pid", |value| Pid::from_raw(value.as_i64()?.try_into().ok()?));
    let (pid, group) = (pid_in("pid")?, pid_in("group")?);
    let start_ticks = fields.integer("start_ticks")?;
    let boot_id = fields.read("boot_id", "a boot id", |value| {
        value.as_str().filter(|text| is_word_of_at_most(MAX_BOOT_ID, text)).map(str::to_owned)
    })?;
    let inode = fields.integer("pidfd_inode")?;
    let (Some(pid), Some(start_ticks), Some(boot_id)) = (pid, start_ticks, boot_id) else {
        return Err(fields.missing("pid", "pid, start_ticks and boot_id"));
    };
    // Of ten thousand records nearly all are of this boot, and so one text.
    let this_boot = process_identity::boot_id().ok().filter(|this_boot| **this_boot == *boot_id);
    let boot_id = this_boot.unwrap_or_else(|| boot_id.into());
    Ok(Identity { pid, group: group.unwrap_or(pid), start_ticks, boot_id, inode })
}

fn is_word_of_at_most(length: usize, text: &str) -> bool {
    text.len() <= length && text.bytes().all(|byte| byte.is_ascii_graphic())
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
    use crate::command::Command;
    use crate::declaration::{Listen, ProxyConfig};
    use crate::lifecycle::{StopSettings, StopStep};
    use crate::sys::notify_socket::SocketName;
    use crate::sys::signal::Signal;
    use crate::sys::wait::ExitStatus;
    use std::time::Duration;

    fn example() -> Record {
        let boot_id = "boot".into();
        let [pid, group] = [42, 41].map(|raw| Pid::from_raw(raw).unwrap());
        let identity = Identity { pid, group, start_ticks: 7, boot_id, inode: Some(u64::MAX) };
        let token = Some("t\"".to_owned());
        let (grace_period, leftover_grace) = (Duration::from_millis(7), Duration::from_millis(8));
        let settings = StopSettings { signal: Signal::KILL, grace_period, leftover_grace, steps: vec![] };
        let stop = RecordedStop { settings, ..RecordedStop::default() };
        let (id, fingerprint, token_generated) = ("we\"b/ä".to_owned(), Fingerprint::new(), true);
        let owner_tag = Some("801-7f".to_owned());
        let numbers = StartNumbers { generation: Generation::of(12), epoch: Epoch::of(u64::MAX) };
        let name = SocketName::parse("0123456789abcdef0123456789abcdef").unwrap();
        let watchdog_period = Some(Duration::from_micros(u64::MAX));
        let notifications = Some(RecordedNotifications { name, watchdog_period });
        let socket = |address: &str, cookie, file| {
            let declared = Listen::new(address.parse().unwrap()).with_name("a");
            RecordedSocket { declared, cookie, file }
        };
        let file = Some((1, u64::MAX, (-1, 999_999_999)));
        let sockets = vec![socket("tcp:127.0.0.1:80", u64::MAX, None), socket("unix:/run/ä", 7, file)];
        let ended = Some(RecordedEnd { status: ExitStatus::Exited(64), completed: true });
        Record {
            id,
            fingerprint,
            identity,
            token,
            token_generated,
            stop,
            unused_commands: None,
            owner_tag,
            numbers,
            notifications,
            sockets,
            ended,
        }
    }

    fn text(record: &Record) -> Vec<u8> {
        whole(record.header(), &record.identity)
    }

    #[test]
    fn steps_of_a_stop_come_back() {
        let step = StopStep::new(Signal::INT, Duration::from_millis(7));
        let command = StopStep::command(["drain"], Duration::from_millis(7));
        for steps in [vec![step.clone().leader_only(), step.clone()], vec![command, step]] {
            let config = ProxyConfig::new(Command::new("a")).with_stop(StopSettings::default().with_steps(steps));
            let record = Record { stop: RecordedStop::of(&config), ..example() };
            assert_eq!(parse(&text(&record)).unwrap(), record);
        }
    }

    #[test]
    fn a_record_comes_back_and_every_truncation_is_refused() {
        let record = example();
        let text = text(&record);
        assert_eq!(parse(&text).unwrap(), record);
        let identity = Identity { group: record.identity.pid, inode: None, ..record.identity.clone() };
        let (owner_tag, numbers, notifications, sockets) = (None, StartNumbers::default(), None, vec![]);
        let without = Record { identity, owner_tag, numbers, notifications, sockets, ended: None, ..record };
        assert_eq!(parse(&self::text(&without)).unwrap(), without);
        for length in 0..text.len() - 1 {
            assert_eq!(parse(&text[..length]).unwrap_err().code(), ErrorCode::CorruptSnapshot);
        }
    }

    #[test]
    fn a_record_without_stop_settings_origin_and_numbers_is_of_an_earlier_version() {
        let text = r#"{"version":1,"id":"a","fingerprint":"0","boot_id":"b","pid":1,"start_ticks":2}"#;
        let text = text.replace("\"0\"", &format!("\"{}\"", Fingerprint::new()));
        let record = parse(text.as_bytes()).unwrap();
        assert_eq!(
            (record.stop, record.owner_tag, record.numbers),
            (RecordedStop::default(), None, StartNumbers::default())
        );
        assert_eq!(record.notifications, None);
        assert_eq!(record.sockets, []);
        assert_eq!(record.ended, None);
    }

    #[test]
    fn an_end_comes_back_and_one_that_cannot_be_read_is_unknown() {
        for status in [ExitStatus::Unknown, ExitStatus::Signaled { signal: 9, core_dumped: false }] {
            let record = Record { ended: Some(RecordedEnd { status, completed: false }), ..example() };
            assert_eq!(parse(&text(&record)).unwrap(), record);
        }
        let with = |ended: &str| {
            let text = r#"{"version":1,"id":"a","fingerprint":"0","boot_id":"b","pid":1,"start_ticks":2,"ended":E}"#;
            let text = text.replace("\"0\"", &format!("\"{}\"", Fingerprint::new())).replace('E', ended);
            parse(text.as_bytes()).unwrap().ended
        };
        for wrong in ["true", "{}", r#"{"completed":1}"#, r#"{"completed":true,"wait_status":4294967296}"#] {
            assert_eq!(with(wrong), None, "{wrong}");
        }
    }

    /// A bit in the name of the digest only loses the digest; all others are found.
    #[test]
    fn no_flipped_bit_makes_it_say_something_else() {
        let record = example();
        let text = text(&record);
        let mut found = 0;
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut damaged = text.clone();
                damaged[at] ^= 1 << bit;
                match parse(&damaged) {
                    Ok(read) => assert_eq!(read, record, "byte {at}, bit {bit}"),
                    Err(error) => found += usize::from(error.code() == ErrorCode::CorruptSnapshot),
                }
            }
        }
        assert!(found > text.len() * 7, "{found} of {}", text.len() * 8);
    }

    #[test]
    fn what_cannot_be_is_refused_and_what_a_host_says_is_quoted() {
        let with = |field: &str, value: &str| {
            let text = r#"{"version":1,"id":"a","fingerprint":"0","boot_id":"b","pid":1,"start_ticks":2}"#;
            let mut document: Value = serde_json::from_str(text).unwrap();
            document[field] = serde_json::from_str(value).unwrap();
            parse(document.to_string().as_bytes())
        };
        let wrong = [
            ("id", "\"\""),
            ("id", "7"),
            ("boot_id", "\"a b\""),
            ("boot_id", "7"),
            ("origin", "\"a b\""),
            ("origin", "7"),
            ("generation", "-1"),
            ("generation", "1.5"),
            ("epoch", "-1"),
            ("epoch", "1.5"),
            ("pid", "0"),
            ("pid", "-1"),
            ("pid", "4294967297"),
            ("pid", "\"7\""),
            ("pid", "1e99"),
            ("start_ticks", "-1"),
            ("start_ticks", "1.5"),
            ("version", "0"),
            ("version", "2"),
            ("version", "-1"),
            ("version", "1e99"),
            ("version", "\"1\""),
            ("fingerprint", "\"x\""),
            ("token", "[]"),
            ("token_generated", "1"),
            ("check", "\"0000000000000000\""),
        ];
        for (field, value) in wrong {
            assert_eq!(with(field, value).unwrap_err().code(), ErrorCode::CorruptSnapshot, "{field} {value}");
        }
        let quoted = with("boot_id", "\"a\\\"b\"").unwrap();
        assert_eq!(parse(&text(&quoted)).unwrap(), quoted);
    }

    /// As many bytes as a variable of the environment may have, each of which JSON writes in six.
    #[test]
    fn the_largest_record_is_within_the_limit() {
        let step = StopStep::new(Signal::INT, crate::defaults::LONGEST_PERIOD).leader_only();
        let mut steps = vec![step; crate::defaults::MAX_STOP_STEPS];
        let longest = "x".repeat(crate::defaults::MAX_RECORDED_COMMANDS - 2048);
        steps[0] = StopStep::command([longest.as_str()], crate::defaults::LONGEST_PERIOD);
        let config = ProxyConfig::new(Command::new("a")).with_stop(StopSettings::default().with_steps(steps));
        let stop = RecordedStop::of(&config);
        let token = Some("\u{1}".repeat(128 * 1024));
        let record = Record { token, id: "\u{1}".repeat(1024), stop, ..example() };
        let text = text(&record);
        assert!((text.len() as u64) < crate::defaults::MAX_RECORD);
        assert!(String::from_utf8(text).unwrap().contains(&longest));
    }
}
