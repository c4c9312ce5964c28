// SPDX-License-Identifier: MPL-2.0
//! What holds of every text that is read, whatever is in it. The targets in `fuzz/` try to find one of which it does
//! not; it is compiled for them alone.

#![allow(missing_docs, reason = "the names are those of the targets")]

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::time::Duration;

use crate::declaration::{Fingerprint, ProxyConfig, validate_id};
use crate::error::{Error, ErrorCode};
use crate::state::State;
use crate::store::id_file_names::FileName;
use crate::store::snapshot_entry::{Entry, StoredProcess};
use crate::store::{journal as journals, pid_file as pid_files, process_record as records, snapshot as snapshots};
use crate::supervisor::notice::{Notice, notices};
use crate::sys::digest;
use crate::sys::monotonic_time::MonotonicTime;
use crate::sys::proc::stat::{self, Stat};

/// More than any message needs that names its place, however much is wrong.
const MESSAGE: usize = 4096;

/// An error is of these kinds, names a place, and is one line of bounded length.
fn check_error(error: &Error, codes: &[ErrorCode], places: &[&str]) {
    let text = error.to_string();
    assert!(codes.contains(&error.code()), "{:?}: {text}", error.code());
    assert!(text.len() <= MESSAGE, "a message of {} bytes: {:.500}", text.len(), text);
    assert!(!text.contains(char::is_control), "more than one line: {text:?}");
    assert!(places.iter().any(|place| text.starts_with(place)), "without its place: {text}");
}

/// A snapshot of any version: what is accepted is accepted again, and is the same.
pub fn snapshot(text: &[u8]) {
    let read = match snapshots::decode(text) {
        Ok(read) => read,
        Err(error) => return check_error(&error, &[ErrorCode::CorruptSnapshot], &["snapshot: "]),
    };
    for error in &read.refused {
        check_error(error, &[ErrorCode::InvalidConfig, ErrorCode::InvalidId], &["Proxies."]);
    }
    let mut proxies = read.proxies;
    for entry in proxies.values_mut() {
        // What Consul says of a process, also that there is none, is not written again.
        if let Entry::Daemon(daemon) = entry {
            if matches!(daemon.process, StoredProcess::Version1(_) | StoredProcess::None) {
                daemon.process = StoredProcess::Unnamed;
            }
        }
    }
    let mut written = Vec::new();
    let entries = proxies.iter().map(|(id, entry)| (id.as_str(), entry.clone()));
    snapshots::encode(entries, &mut written).expect("it fits");
    let again = snapshots::decode(&written).expect("what is written can be read");
    assert_eq!(again.refused, []);
    assert_eq!(again.proxies, proxies);
}

/// What was written after a snapshot: a NUL byte is between the two, and the first line is made here, for no mutation finds it.
/// As much of it counts as has whole lines, wherever the write was cut off.
pub fn journal(text: &[u8]) {
    let at = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    let (text, lines) = (&text[..at], text.get(at + 1..).unwrap_or_default());
    let Ok(alone) = snapshots::decode(text) else { return };
    let header = format!("{}\n", Fingerprint::new().add_part(text)).into_bytes();
    let added = |lines: &[u8]| {
        let mut read = snapshots::decode(text).expect("it was read before");
        journals::add(&mut read, text, &[header.as_slice(), lines].concat());
        read
    };
    let whole = added(lines);
    assert!(alone.proxies.keys().all(|id| whole.proxies.contains_key(id)), "what follows removes nothing");
    for error in &whole.refused[alone.refused.len()..] {
        let codes = [ErrorCode::InvalidConfig, ErrorCode::InvalidId, ErrorCode::CorruptSnapshot];
        check_error(error, &codes, &["Proxies.", "snapshot: "]);
    }
    let end = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    assert_eq!(added(&lines[..end]).proxies, whole.proxies, "a line without an end counts");
    let mut other = snapshots::decode(text).expect("it was read before");
    journals::add(&mut other, &[text, b" "].concat(), &[header.as_slice(), lines].concat());
    assert_eq!((other.proxies, other.refused), (alone.proxies, alone.refused), "what follows another snapshot counts");
}

/// A record.
pub fn record(text: &[u8]) {
    let read = match records::parse(text) {
        Ok(read) => read,
        Err(error) => return check_error(&error, &[ErrorCode::CorruptSnapshot], &[""]),
    };
    assert!(validate_id(&read.id).is_ok(), "{:?}", read.id);
    let written = records::whole(read.header(), &read.identity);
    // Commands that are not used are not written again either.
    assert_eq!(
        records::parse(&written).expect("what is written can be read"),
        records::Record { unused_commands: None, ..read }
    );
}

/// A record with its digest, which no mutation finds: its commands count then.
pub fn checked_record(text: &[u8]) {
    let Some(open) = text.trim_ascii_end().strip_suffix(b"}") else { return };
    let digest = digest::add(digest::EMPTY, open);
    record(&[open, format!(",\"check\":\"{digest:016x}\"}}\n").as_bytes()].concat());
}

/// What a process says of itself by sd_notify(3). It can be said again in the same words, and is bounded.
pub fn notification(text: &[u8]) {
    let read = notices(text);
    let mut again = Vec::new();
    for (at, notice) in read.iter().enumerate() {
        assert!(read[..at].iter().all(|earlier| discriminant(earlier) != discriminant(notice)), "{read:?}");
        again.push(match notice {
            Notice::Ready => "READY=1".to_owned(),
            Notice::Reloading(None) => "RELOADING=1".to_owned(),
            Notice::Reloading(Some(since)) => {
                let word = format!("{since:?}");
                let number = word.trim_start_matches("MonotonicTime(").trim_end_matches(')');
                assert_eq!(MonotonicTime::of_microseconds(number.parse().expect("a number")), *since);
                format!("RELOADING=1\nMONOTONIC_USEC={number}")
            }
            Notice::Stopping => "STOPPING=1".to_owned(),
            Notice::Status(text) => {
                assert!(text.len() <= 512 && !text.contains(char::is_control), "{text:?}");
                format!("STATUS={text}")
            }
            Notice::Errno(errno) => {
                assert!(*errno > 0);
                format!("ERRNO={errno}")
            }
            Notice::ExtendTimeout(time) => {
                assert!(*time <= Duration::from_secs(3600), "{time:?}");
                format!("EXTEND_TIMEOUT_USEC={}", time.as_micros())
            }
            Notice::Alive => "WATCHDOG=1".to_owned(),
            Notice::ExpireWatchdog => "WATCHDOG=trigger".to_owned(),
            Notice::StoreDescriptors(name) => {
                check_name(name);
                format!("FDNAME={name}\nFDSTORE=1")
            }
            Notice::RemoveStored(name) => {
                check_name(name);
                format!("FDNAME={name}\nFDSTOREREMOVE=1")
            }
            Notice::WatchdogPeriod(period) => {
                assert!(period.is_zero() || *period >= Duration::from_millis(100), "{period:?}");
                format!("WATCHDOG_USEC={}", period.as_micros())
            }
            Notice::Leader(None) => "MAINPID=".to_owned(),
            Notice::Leader(Some(pid)) => {
                assert!(pid.as_raw() >= 1);
                format!("MAINPID={pid}")
            }
        });
    }
    assert_eq!(notices(again.join("\n").as_bytes()), read);
}

/// What `LISTEN_FDNAMES` can have.
fn check_name(name: &str) {
    let is_good = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b':';
    assert!((1..=255).contains(&name.len()) && name.bytes().all(is_good), "{name:?}");
}

/// A pid file.
pub fn pid_file(text: &[u8]) {
    if let Some(pid) = pid_files::parse(text) {
        assert!(pid.as_raw() >= 1);
        assert_eq!(pid_files::parse(&pid_files::text(pid)), Some(pid));
    }
}

/// What an agent hands over.
pub fn proxies(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Err(error) = ProxyConfig::from_json(text) {
        check_error(&error, &[ErrorCode::InvalidConfig], &[""]);
    }
    let state = State::new();
    if let Err(error) = state.replace_all_json(text) {
        check_error(&error, &[ErrorCode::InvalidConfig, ErrorCode::InvalidId], &["proxies"]);
        return assert_eq!(state.list(), []);
    }
    let told = |state: &State| -> BTreeMap<String, serde_json::Value> {
        state.list().into_iter().map(|(id, config)| (id, config.to_json().into())).collect()
    };
    let written = serde_json::to_string(&told(&state)).expect("values are JSON");
    let again = State::new();
    again.replace_all_json(&written).expect("what is told can be declared");
    assert_eq!(told(&again), told(&state));
}

/// Ids, and the names of their files. Two of them, with a NUL byte between.
pub fn ids(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (one, other) = text.split_once('\0').unwrap_or((text, "web"));
    let (Ok(name), Ok(other_name)) = (file_name(one), file_name(other)) else { return };
    assert_eq!(name == other_name, one == other, "two ids share a file");
    // The other way round: a name that is found in the directory.
    if let Some(id) = FileName::id_of(&[], one) {
        let name = FileName::of(&id);
        assert!(name.parents.is_empty());
        assert_eq!(name.leaf("", "").to_bytes(), one.as_bytes());
    }
}

fn file_name(id: &str) -> crate::Result<FileName> {
    validate_id(id).inspect_err(|error| check_error(error, &[ErrorCode::InvalidId], &["proxy id: "]))?;
    let name = FileName::of(id);
    let leaf = name.leaf("", "");
    for part in name.parents.iter().chain([&leaf]) {
        let part = part.to_bytes();
        assert!(!part.is_empty() && part.len() <= 201 && !part.starts_with(b".") && !part.contains(&b'/'), "{name:?}");
    }
    assert!(name.parents.iter().all(|parent| parent.as_bytes().ends_with(b"+")));
    let text = |part: &std::ffi::CStr| part.to_str().expect("made of UTF-8").to_owned();
    let parents: Vec<String> = name.parents.iter().map(|parent| text(parent)).collect();
    assert_eq!(FileName::id_of(&parents, &text(&leaf)).as_deref(), Some(id));
    Ok(name)
}

/// Files of `/proc`: any bytes, and a line of the kernel's in which the name of the command is any.
pub fn proc_files(text: &[u8]) {
    if let Some(stat) = Stat::parse(text) {
        assert_eq!(stat.is_dead(), matches!(stat.state, b'Z' | b'X') && stat.threads <= 1);
    }
    if let Some(process) = std::str::from_utf8(text).ok().and_then(stat::thread_group) {
        assert_eq!(stat::thread_group(&format!("Tgid:\t{process}\n")), Some(process));
    }
    let Some((numbers, name)) = text.split_first_chunk::<16>() else { return };
    let number = |at: usize| numbers[at..at + 4].try_into().map_or(0, i32::from_le_bytes);
    let (group, wait_status, parent, is_exiting) = (number(0), number(4), number(8), number(12) & 1 == 1);
    let start_ticks = u64::from(number(8).unsigned_abs()) << 31 | u64::from(number(12).unsigned_abs());
    let rest: Vec<String> = (6..=52)
        .map(|field| match field {
            9 => (if is_exiting { 0x40_0044 } else { 0x40_0040 }).to_string(),
            20 => "1".to_owned(),
            22 => start_ticks.to_string(),
            52 => wait_status.to_string(),
            _ => "-1".to_owned(),
        })
        .collect();
    let line = [b"7 (", name, format!(") S {parent} {group} {}\n", rest.join(" ")).as_bytes()].concat();
    let (state, threads) = (b'S', 1);
    let (has_executed, has_code) = (false, true);
    let expected = Stat { state, parent, group, is_exiting, has_executed, threads, start_ticks, has_code, wait_status };
    assert_eq!(Stat::parse(&line), Some(expected));
}
