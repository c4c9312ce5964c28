// SPDX-License-Identifier: MPL-2.0
//! Every program of `ffi-tests`, and how it is run. What is not run in some way says why.

use std::collections::BTreeSet;
use std::fs;

use crate::c_abi::build::{Build, root};
use crate::c_abi::declared;
use crate::c_abi::run;

macro_rules! programs {
    ($($name:ident: $($variant:ident)*;)*) => {
        const PROGRAMS: &[&str] = &[$(stringify!($name)),*];

        $(mod $name {
            $(#[test]
            fn $variant() {
                super::run::$variant(stringify!($name));
            })*
        })*
    };
}

programs! {
    abi: plain; // what it asserts holds when it is compiled
    daemon: plain sanitized valgrind;
    end_grace: plain sanitized valgrind;
    errors: plain sanitized valgrind;
    events: plain sanitized valgrind;
    exhausted: plain sanitized; // valgrind has a limit of its own
    fork: plain valgrind; // sanitizers do not promise to allocate in the child of a process with threads
    fork_during_calls: plain; // sanitizers: as fork; valgrind tidies up the C library in a child that exits: it waits for a lock of fork(3)
    host_blocks_signals: plain sanitized; // to memory, one host is like the other
    host_handles_faults: plain sanitized valgrind;
    host_ignores_sigchld: plain sanitized valgrind;
    host_leaks_descriptors: plain sanitized; // as above
    host_loads: plain sanitized; // valgrind would translate the library anew in every round
    host_raises_limit: plain sanitized; // valgrind has a limit of its own
    host_waits_for_any: plain sanitized; // as above
    host_waits_by_epoll: plain sanitized; // as above
    host_waits_by_signalfd: plain sanitized; // as above
    hung: plain sanitized; // under valgrind the lease, which the kernel ends after 45 s, is over before all hang
    kind: plain sanitized valgrind;
    kind_calls: plain sanitized valgrind;
    kind_fails: plain sanitized valgrind;
    left: plain sanitized; // under valgrind a thread is never where the kernel shows it to be
    listen: plain sanitized valgrind;
    log: plain sanitized valgrind;
    logs: plain sanitized valgrind;
    logs_lost: plain sanitized; // under valgrind a minute for a thousand starts that fail, with calls that logs makes as well
    manager: plain sanitized valgrind;
    nested_fork: plain valgrind; // as fork
    misuse: plain sanitized valgrind;
    misuse_values: plain sanitized valgrind;
    noop: plain sanitized valgrind;
    order: plain sanitized valgrind;
    readiness: plain sanitized valgrind;
    run_ends: plain sanitized valgrind;
    state: plain sanitized valgrind;
    steering: plain sanitized valgrind;
    threads: plain sanitized valgrind;
    version: plain; // static texts
}

#[test]
fn every_program_is_run() {
    let files = fs::read_dir(root().join("ffi-tests")).expect("list the programs").flatten();
    let files = files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".c")?.to_owned()));
    let known: BTreeSet<String> = PROGRAMS.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(files.collect::<BTreeSet<_>>(), known);
}

#[test]
fn misuse_leaves_out_no_pointer_of_any_function() {
    let Some(programs) = Build::Plain.programs() else { return };
    let said = run::run(&programs.join("misuse"), &[], |_| {});
    let found: BTreeSet<&str> = said.lines().filter_map(|line| line.strip_prefix("row ")).collect();
    let functions = declared::functions();
    let pointers = functions.iter().flat_map(|function| {
        let pointers = function.parameters.iter().filter(|parameter| parameter.is_pointer);
        pointers.map(|parameter| format!("{} {}", function.name, parameter.name))
    });
    let wanted: BTreeSet<String> = pointers.collect();
    assert!(wanted.len() > 100, "{wanted:?}");
    assert_eq!(found, wanted.iter().map(String::as_str).collect());
}

#[test]
fn abi_leaves_out_nothing_of_the_header() {
    let abi = fs::read_to_string(root().join("ffi-tests/abi.c")).expect("read abi.c");
    let abi: String = abi.split_whitespace().collect::<Vec<_>>().join(" ");
    let functions = declared::functions().into_iter().map(|function| format!(" {}, ", function.name));
    let values = declared::numbers().into_iter().map(|name| format!("VALUE({name}, "));
    let fields = declared::fields().into_iter().map(|(name, field)| format!("FIELD({name}, {field}, "));
    let missing: Vec<String> = functions.chain(values).chain(fields).filter(|text| !abi.contains(text)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
