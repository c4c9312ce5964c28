// SPDX-License-Identifier: MPL-2.0
//! What holds of every text that is read, whatever is in it. The targets in `fuzz/` try to find one of which it does
//! not; it is compiled for them alone.

#![allow(missing_docs, reason = "the names are those of the targets")]

use std::collections::BTreeMap;

use crate::declaration::{ProxyConfig, validate_id};
use crate::error::{Error, ErrorCode};
use crate::state::State;
use crate::store::id_file_names::FileName;
use crate::store::snapshot_entry::{Entry, StoredProcess};
use crate::store::{pid_file as pid_files, process_record as records, snapshot as snapshots};
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

/// A record.
pub fn record(text: &[u8]) {
    let read = match records::parse(text) {
        Ok(read) => read,
        Err(error) => return check_error(&error, &[ErrorCode::CorruptSnapshot], &[""]),
    };
    assert!(validate_id(&read.id).is_ok(), "{:?}", read.id);
    let written = records::whole(read.header(), &read.identity);
    assert_eq!(records::parse(&written).expect("what is written can be read"), read);
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
