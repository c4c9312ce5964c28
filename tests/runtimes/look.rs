// SPDX-License-Identifier: MPL-2.0
//! What `/proc` says of a process, in the words of the table.

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

/// As signal(7) has them, from 1 on.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

/// What a process was given by its parent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Inherited {
    pub(crate) blocked: u64,
    pub(crate) ignored: u64,
    /// The soft limit of descriptors.
    pub(crate) limit: u64,
    /// Besides 0, 1 and 2.
    pub(crate) descriptors: BTreeSet<u32>,
}

impl Inherited {
    pub(crate) fn of(pid: u32) -> Inherited {
        let status = read(pid, "status");
        let limits = read(pid, "limits");
        let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a limit of files");
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).expect("list its descriptors");
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("list its threads").flatten();
        let own = tasks.filter_map(|task| {
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            (!value(&status, "Name:").starts_with("proxy-")).then(|| mask(&status, "SigBlk:"))
        });
        Inherited {
            // Of all threads but those of the library: which of them a runtime uses for what is left to chance.
            blocked: own.reduce(|one, other| one & other).expect("it has a thread of its own"),
            ignored: mask(&status, "SigIgn:"),
            limit: limit.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number of files"),
            descriptors: fds
                .flatten()
                .filter_map(|fd| fd.file_name().to_str()?.parse().ok())
                .filter(is_of_interest)
                .collect(),
        }
    }

    /// What `ffi-tests/hosts/child.c` has written, each time that it was run.
    pub(crate) fn written(facts: &str) -> BTreeSet<Inherited> {
        let of = |facts: &str| Inherited {
            blocked: mask(facts, "SigBlk:"),
            ignored: mask(facts, "SigIgn:"),
            limit: value(facts, "limit:").parse().expect("a number of files"),
            descriptors: facts.lines().filter_map(descriptor).collect(),
        };
        let begin = "SigBlk:";
        facts.split(begin).skip(1).map(|rest| of(&format!("{begin}{rest}"))).collect()
    }

    pub(crate) fn text(&self) -> String {
        let mut differences = Vec::new();
        if self.blocked != 0 {
            differences.push(format!("blocked {}", signals(self.blocked)));
        }
        if self.ignored != 0 {
            differences.push(format!("ignored {}", signals(self.ignored)));
        }
        if !self.descriptors.is_empty() {
            let numbers: Vec<String> = self.descriptors.iter().map(u32::to_string).collect();
            differences.push(format!("descriptors {}", numbers.join(" ")));
        }
        if differences.is_empty() { "clean".to_owned() } else { differences.join(", ") }
    }
}

fn descriptor(line: &str) -> Option<u32> {
    line.strip_prefix("descriptor: ")?.parse().ok().filter(is_of_interest)
}

/// Not the first three, nor what this program was given itself and hands on.
fn is_of_interest(descriptor: &u32) -> bool {
    static GIVEN: LazyLock<BTreeSet<u32>> = LazyLock::new(|| {
        let entries = fs::read_dir("/proc/self/fd").expect("list descriptors").flatten();
        let open = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let is_handed_on = |descriptor: &u32| {
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap_or_default();
            let flags = info.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
            flags.is_some_and(|flags| flags & 0o2_000_000 == 0)
        };
        open.filter(is_handed_on).collect()
    });
    *descriptor > 2 && !GIVEN.contains(descriptor)
}

fn read(pid: u32, file: &str) -> String {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn value<'a>(text: &'a str, field: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap_or_else(|| panic!("no {field} in {text:?}")).trim()
}

fn mask(text: &str, field: &str) -> u64 {
    // 32 and 33 are the C library's own, and its posix_spawn(3), by which hosts are started here, leaves 32 ignored.
    u64::from_str_radix(value(text, field), 16).expect("a mask in hexadecimal digits") & !(0b11 << 31)
}

/// The names of signals; all but a few by those few.
pub(crate) fn signals(mask: u64) -> String {
    let named = |wanted: bool| {
        let with_numbers = SIGNALS.iter().enumerate();
        let of = with_numbers.filter(|(at, _)| (mask >> at & 1 == 1) == wanted).map(|(_, name)| *name);
        of.collect::<Vec<_>>()
    };
    let (set, clear) = (named(true), named(false));
    match (set.is_empty(), set.len() > clear.len()) {
        (true, _) if mask == 0 => "-".to_owned(),
        (true, _) => format!("real-time {mask:x}"),
        (false, false) => set.join(" "),
        (false, true) => {
            let but: Vec<&str> = clear.into_iter().filter(|name| !matches!(*name, "KILL" | "STOP")).collect();
            format!("all but {}", but.join(" "))
        }
    }
}

/// The parent and the session of a process, and whether its main thread sleeps.
pub(crate) fn stat(pid: u32) -> (u32, u32, bool) {
    let stat = read(pid, "stat");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let number = |at: usize| fields[at].parse().expect("a number");
    (number(1), number(3), fields[0] == "S")
}
