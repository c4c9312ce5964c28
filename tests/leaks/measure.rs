// SPDX-License-Identifier: MPL-2.0
//! What this process has, and what is on the disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use peak_alloc::PeakAlloc;

use crate::inside::{descriptors, json, library_threads, wait_until};
use crate::support::{Deadline, list};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// How often something is done: ten thousand times in an optimized build.
pub(crate) fn rounds() -> usize {
    let asked = std::env::var("PROXYPROCESS_LEAKS").ok().map(|text| text.parse().expect("a number of rounds"));
    asked.unwrap_or(if cfg!(debug_assertions) { 300 } else { 10_000 })
}

/// Waits until nothing is on the disk but one proxy and its process.
#[track_caller]
pub(crate) fn one_alone(data_dir: &Path) {
    let files = |part: &str| list(&data_dir.join(part)).len();
    let stored = || json(&data_dir.join("snapshot.json"))["Proxies"].as_object().map(|all| all.len());
    wait_until(data_dir, "one proxy alone", || files("pids") == 1 && files("records") == 1 && stored() == Some(1));
}

/// What must be the same before and after.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Measure {
    descriptors: usize,
    threads: Vec<String>,
    /// What is in them by path, of all but what the processes have written into their logs: with `#` for each number,
    /// decimal or hexadecimal, as pids, inodes and times have more digits after a while.
    files: BTreeMap<String, String>,
}

impl Measure {
    /// What there is, once no file is being written.
    #[track_caller]
    pub(crate) fn settled(data_dir: &Path) -> Measure {
        let deadline = Deadline::of("no file that is being written");
        loop {
            let now = Measure::of(data_dir);
            if !now.files.keys().any(|path| path.ends_with(".tmp")) {
                return now;
            }
            deadline.left();
            std::thread::yield_now();
        }
    }

    fn of(data_dir: &Path) -> Measure {
        let mut threads = library_threads();
        threads.retain(|name| !name.starts_with("proxy-spawner"));
        threads.sort();
        let mut files = texts(data_dir);
        files.iter_mut().filter(|(path, _)| path.ends_with(".log")).for_each(|(_, text)| text.clear());
        Measure { descriptors: descriptors(), threads, files }
    }

    /// Waits until all is as it was, and no more descriptors are open: what was done last may still be written, now and when
    /// it was measured before.
    #[track_caller]
    pub(crate) fn wait(&self, data_dir: &Path) {
        let deadline = Deadline::of("all to be as before");
        loop {
            let now = Measure::of(data_dir);
            if now.descriptors <= self.descriptors && (&now.threads, &now.files) == (&self.threads, &self.files) {
                return;
            }
            assert!(!deadline.is_over(), "before {self:#?}, now {now:#?}");
            std::thread::yield_now();
        }
    }
}

fn texts(dir: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("list a directory").flatten() {
        if entry.file_type().expect("look at a file").is_dir() {
            all.extend(texts(&entry.path()));
        } else {
            // It may have been removed since.
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            all.insert(entry.path().to_string_lossy().into_owned(), without_numbers(&text));
        }
    }
    all
}

/// The words of a text, with `#` for each of hexadecimal digits.
fn without_numbers(text: &str) -> String {
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = text.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| if is_number(word) { "#" } else { word }).collect::<Vec<_>>().join(" ")
}

#[test]
fn numbers_of_other_lengths_are_the_same_text_and_other_words_are_not() {
    let record = without_numbers(r#"{"pid":99999,"start_ticks":99999,"origin":"fe00-18"}"#);
    assert_eq!(record, without_numbers(r#"{"pid":100000,"start_ticks":100000,"origin":"0-1f18"}"#));
    assert_ne!(record, without_numbers(r#"{"pid":100000,"start_ticks":100000,"origin":"0-1f18","more":1}"#));
    assert_ne!(record, without_numbers(r#"{"pid":100000,"started":100000,"origin":"0-1f18"}"#));
}

/// Bytes of the heap that are in use, by everybody in this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heap(usize);

impl Heap {
    pub(crate) fn now() -> Heap {
        Heap(HEAP.current_usage())
    }

    /// Checks that so many rounds have left nothing: less than a byte of each, besides a table that has grown.
    #[track_caller]
    pub(crate) fn check(self, rounds: usize) {
        const GROWN: usize = 8 * 1024;
        let deadline = Deadline::of("the heap to be as before");
        loop {
            let more = HEAP.current_usage().saturating_sub(self.0);
            if more < rounds / 2 + GROWN {
                return println!("{rounds} rounds: {more} bytes more than {}", self.0);
            }
            assert!(!deadline.is_over(), "{more} bytes more after {rounds} rounds");
            // What is still being written is still there.
            std::thread::yield_now();
        }
    }
}
