// SPDX-License-Identifier: MPL-2.0
//! Runs the programs of `ffi-tests/hosts`, which have the library in other languages, and writes down what it saw.
//!
//! `cargo test --test runtimes -- [--write] [--twice] NAME...` runs those that are named, or `all`, and holds what it saw
//! against the table of `docs/hosts.md`; with `--write` the table is written, with `--twice` each is run twice and has to be
//! the same. What it takes to build and run one must be installed: `.ci/hosts.sh`.

#[allow(dead_code, reason = "what other tests use of it")]
#[path = "../support/deadline.rs"]
mod deadline;
mod host;
mod look;
#[allow(dead_code, reason = "what other tests use of it")]
#[path = "../support/process.rs"]
mod process;
mod runtime;
mod table;
mod trial;

use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};

use runtime::{RUNTIMES, Runtime};

/// The limits of descriptors that the hosts are started with, so that it is seen who changes them.
pub(crate) const DESCRIPTORS: (u64, u64) = (4000, 20000);

fn main() -> ExitCode {
    let (options, names): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let has = |option: &str| options.iter().any(|word| word == option);
    let is_wanted = |runtime: &&Runtime| names.iter().any(|name| name == "all" || name == runtime.name);
    let chosen: Vec<&Runtime> = RUNTIMES.iter().filter(is_wanted).collect();
    let known = |name: &String| name == "all" || RUNTIMES.iter().any(|runtime| runtime.name == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let known: Vec<&str> = RUNTIMES.iter().map(|runtime| runtime.name).collect();
        eprintln!("no runtime is named {unknown:?}: all, {}", known.join(", "));
        return ExitCode::from(64);
    }
    if chosen.is_empty() {
        // `cargo test` runs it so.
        return ExitCode::SUCCESS;
    }
    let (current, maximum) = (Some(DESCRIPTORS.0), Some(DESCRIPTORS.1));
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).expect("set the limits of descriptors");
    let rounds = if has("--twice") { 2 } else { 1 };
    let mut rows = Vec::new();
    let mut differing = 0;
    for (at, runtime) in chosen.iter().enumerate() {
        // The next one that can be any user.
        let following = chosen.iter().cycle().skip(at + 1).take(chosen.len());
        let next = following.copied().find(|other| other.user.is_none()).unwrap_or(runtime);
        let seen: Vec<Vec<String>> = (0..rounds).map(|_| trial::row(runtime, next)).collect();
        println!("| {} |", seen[0].join(" | "));
        if let Some(other) = seen.iter().find(|other| **other != seen[0]) {
            eprintln!("{}: seen otherwise when it was run again:\n| {} |", runtime.name, other.join(" | "));
            differing += 1;
        }
        rows.extend(seen.into_iter().next());
    }
    if has("--write") {
        table::write(&rows);
    } else {
        differing += table::compare(&rows);
    }
    if differing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
