// SPDX-License-Identifier: MPL-2.0
//! The content of a notification (sd_notify(3)). Pure.

use std::mem::discriminant;
use std::time::Duration;

use crate::defaults::LONGEST_PERIOD;
use crate::sys::monotonic_time::MonotonicTime;
use crate::sys::pid::Pid;

/// The name of descriptors that come without one.
const UNNAMED: &str = "stored";

/// The longest name of a descriptor, in bytes.
const LONGEST_NAME: usize = 255;

/// How many bytes of a status text are kept.
const LONGEST_STATUS: usize = 512;

/// How much later than now a process may ask to be ready by one notification; it may ask again.
const LONGEST_EXTENSION: Duration = Duration::from_secs(3600);

/// The shortest period that a process can ask for: each takes time of the agent.
const SHORTEST_PERIOD: Duration = Duration::from_millis(100);

/// One thing that a process says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    Ready,
    /// And since when, if it says so.
    Reloading(Option<MonotonicTime>),
    Stopping,
    /// Empty: it says nothing any more.
    Status(String),
    Errno(i32),
    /// It has so long from now on to become ready, or to stop; and may be silent so long.
    ExtendTimeout(Duration),
    /// It feeds its watchdog.
    Alive,
    /// It asks to be treated as one that does not.
    ExpireWatchdog,
    /// It hands over the descriptors that came with this, to be kept under this name.
    StoreDescriptors(String),
    /// Those of this name are not to be kept any more.
    RemoveStored(String),
    /// It will feed its watchdog once in so long; with zero not at all.
    WatchdogPeriod(Duration),
    /// This process leads from now on; `None` if that is no pid.
    Leader(Option<Pid>),
}

/// All that a notification says, in its order. What is not understood is left out: BARRIER=1 asks for nothing but that the
/// descriptor that came with it is closed, which is done already. Of several lines of one kind the first counts, as with systemd.
pub(crate) fn notices(text: &[u8]) -> Vec<Notice> {
    let mut found: Vec<Notice> = Vec::new();
    for notice in lines(text).filter_map(notice).filter_map(|notice| completed(notice, text)) {
        if !found.iter().any(|earlier| discriminant(earlier) == discriminant(&notice)) {
            found.push(notice);
        }
    }
    found
}

fn notice(line: &[u8]) -> Option<Notice> {
    let at = line.iter().position(|&byte| byte == b'=')?;
    let (name, value) = (&line[..at], &line[at + 1..]);
    match (name, value) {
        (b"READY", b"1") => Some(Notice::Ready),
        (b"RELOADING", b"1") => Some(Notice::Reloading(None)),
        (b"STOPPING", b"1") => Some(Notice::Stopping),
        (b"FDSTORE", b"1") => Some(Notice::StoreDescriptors(UNNAMED.to_owned())),
        (b"FDSTOREREMOVE", b"1") => Some(Notice::RemoveStored(String::new())),
        (b"STATUS", text) => Some(Notice::Status(status(text))),
        (b"ERRNO", number) => number_of(number).filter(|errno| *errno > 0).map(Notice::Errno),
        (b"EXTEND_TIMEOUT_USEC", number) => {
            let time = Duration::from_micros(number_of(number)?);
            Some(Notice::ExtendTimeout(time.min(LONGEST_EXTENSION)))
        }
        (b"MAINPID", number) => Some(Notice::Leader(number_of(number).and_then(Pid::from_raw))),
        (b"WATCHDOG", b"1") => Some(Notice::Alive),
        (b"WATCHDOG", b"trigger") => Some(Notice::ExpireWatchdog),
        (b"WATCHDOG_USEC", number) => {
            let period = Duration::from_micros(number_of(number)?);
            let is_none = period.is_zero();
            Some(Notice::WatchdogPeriod(if is_none { period } else { period.clamp(SHORTEST_PERIOD, LONGEST_PERIOD) }))
        }
        _ => None,
    }
}

/// With what the other lines say of it. A name that is none stores under the usual one, and removes nothing.
fn completed(notice: Notice, text: &[u8]) -> Option<Notice> {
    let value = |name: &[u8]| lines(text).find_map(|line| line.strip_prefix(name));
    let name = || value(b"FDNAME=").and_then(stored_name);
    match notice {
        Notice::Reloading(_) => {
            let since = value(b"MONOTONIC_USEC=").and_then(number_of).map(MonotonicTime::of_microseconds);
            Some(Notice::Reloading(since))
        }
        Notice::StoreDescriptors(_) if lines(text).any(|line| line == b"FDSTOREREMOVE=1") => None,
        Notice::StoreDescriptors(usual) => Some(Notice::StoreDescriptors(name().unwrap_or(usual))),
        Notice::RemoveStored(_) => name().map(Notice::RemoveStored),
        complete => Some(complete),
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
}

/// What LISTEN_FDNAMES can have (sd_listen_fds_with_names(3)).
fn stored_name(name: &[u8]) -> Option<String> {
    let good = |byte: &u8| (*byte == b' ' || byte.is_ascii_graphic()) && *byte != b':';
    let is_name = (1..=LONGEST_NAME).contains(&name.len()) && name.iter().all(good);
    is_name.then(|| String::from_utf8_lossy(name).into_owned())
}

fn number_of<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// One line, whatever was sent.
fn status(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.get(..LONGEST_STATUS).unwrap_or(text));
    let mut line: String = text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    while line.len() > LONGEST_STATUS {
        line.pop();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_understood_is_taken_in_its_order_and_all_else_left_out() {
        let text = b"STATUS=a=b\nX_OTHER=1\n\nREADY=1\nRELOADING=1\nMONOTONIC_USEC=7\nSTOPPING=1\nERRNO=2\nBARRIER=1\n\
                     EXTEND_TIMEOUT_USEC=1500000\nFDSTORE=1\nno line\nREADY=0\nERRNO=x\nERRNO=-1\nERRNO=0\n\
                     EXTEND_TIMEOUT_USEC=-1\nWATCHDOG=1\nWATCHDOG=trigger\nWATCHDOG_USEC=250000\n\
                     WATCHDOG=2\nWATCHDOG=\nWATCHDOG_USEC=-1\nFDSTORE=2\nMAINPID=1\nready=1\n READY=1\nSTATUS=";
        let all = [
            Notice::Status("a=b".to_owned()),
            Notice::Ready,
            Notice::Reloading(Some(MonotonicTime::of_microseconds(7))),
            Notice::Stopping,
            Notice::Errno(2),
            Notice::ExtendTimeout(Duration::from_millis(1500)),
            Notice::StoreDescriptors("stored".to_owned()),
            Notice::Alive,
            Notice::ExpireWatchdog,
            Notice::WatchdogPeriod(Duration::from_millis(250)),
            Notice::Leader(Pid::from_raw(1)),
        ];
        assert_eq!(notices(text), all);
        for no_pid in ["", "0", "-7", "x", "7 ", "2147483648", "18446744073709551616"] {
            assert_eq!(notices(format!("MAINPID={no_pid}").as_bytes()), [Notice::Leader(None)]);
        }
        assert_eq!(notices(b""), []);
        let early = b"MONOTONIC_USEC=8\nRELOADING=1\nMONOTONIC_USEC=9";
        assert_eq!(notices(early), [Notice::Reloading(Some(MonotonicTime::of_microseconds(8)))]);
        for unstamped in ["RELOADING=1", "RELOADING=1\nMONOTONIC_USEC=x", "RELOADING=1\nMONOTONIC_USEC="] {
            assert_eq!(notices(unstamped.as_bytes()), [Notice::Reloading(None)]);
        }
        assert_eq!(notices(b"STATUS="), [Notice::Status(String::new())]);
        assert_eq!(notices(b"EXTEND_TIMEOUT_USEC=18446744073709551615"), [Notice::ExtendTimeout(LONGEST_EXTENSION)]);
        assert_eq!(notices(b"EXTEND_TIMEOUT_USEC=18446744073709551616"), []);
        let periods = [("0", Duration::ZERO), ("1", SHORTEST_PERIOD), ("18446744073709551615", LONGEST_PERIOD)];
        for (number, period) in periods {
            assert_eq!(notices(format!("WATCHDOG_USEC={number}").as_bytes()), [Notice::WatchdogPeriod(period)]);
        }
    }

    #[test]
    fn descriptors_are_stored_and_removed_under_the_name_that_is_sent() {
        let long = "x".repeat(LONGEST_NAME + 1);
        for (name, stored) in
            [("a b{c}", "a b{c}"), ("", "stored"), ("a:b", "stored"), ("ä", "stored"), (&long, "stored")]
        {
            let text = format!("FDNAME={name}\nFDSTORE=1\nFDNAME=other");
            assert_eq!(notices(text.as_bytes()), [Notice::StoreDescriptors(stored.to_owned())]);
            let removed = (stored == name).then(|| Notice::RemoveStored(name.to_owned()));
            assert_eq!(notices(text.replace("FDSTORE", "FDSTOREREMOVE").as_bytes()), Vec::from_iter(removed));
        }
        let both = notices(b"FDSTORE=1\nFDSTOREREMOVE=1\nFDNAME=a");
        assert_eq!(both, [Notice::RemoveStored("a".to_owned())]);
        assert_eq!(notices(b"FDSTOREREMOVE=1"), []);
    }

    #[test]
    fn status_is_one_line_of_limited_length_whatever_bytes_were_sent() {
        let of = |bytes: &[u8]| match notices(&[b"STATUS=", bytes].concat()).as_slice() {
            [Notice::Status(text)] => text.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(of("ä €".as_bytes()), "ä €");
        assert_eq!(of(b"a\r\0\x1b[1mb"), "a\u{fffd}\u{fffd}\u{fffd}[1mb");
        assert_eq!(of(&[b'x'; 4000]), "x".repeat(LONGEST_STATUS));
        for bytes in [vec![0xff; 4000], vec![0; 4000], "ä".repeat(2000).into_bytes(), "€".repeat(2000).into_bytes()]
        {
            let text = of(&bytes);
            assert!((LONGEST_STATUS - 3..=LONGEST_STATUS).contains(&text.len()), "{}", text.len());
        }
    }
}
