// SPDX-License-Identifier: MPL-2.0
//! No static value of the library holds a lock that a forked worker could wait for.
//!
//! A worker has a copy of each static value and none of the threads of its agent. A lock that one of them held at the fork
//! stays locked in the worker for ever. `src/sys/fork_safe.rs` has the two types that take care of that.

use crate::sources::{sources, tokens, without_tests};

/// What the type of a static value begins with when nothing can wait for it: atomics, those of `fork_safe`, the cells of one
/// thread, numbers and texts.
const SAFE: [&str; 8] = ["Atomic", "PerProcess", "SetOnce", "Cell", "&", "extern", "u", "i"];

/// Static values of other types, and why a worker does not wait for them.
const EXAMINED: [(&str, &str, &str); 9] = [
    ("command/mod.rs", "NOTHING", "never changes"),
    ("ffi/entered.rs", "ENTERED", "cells of one thread"),
    ("sys/closed_on_fork.rs", "PLACED", "atomics"),
    ("sys/spawn/allocation_trap.rs", "ALLOCATOR", "only in unit tests"),
    ("sys/spawn/fd_limit.rs", "AT_LOAD", "atomics"),
    ("supervisor/event_loop/rare.rs", "NOTHING", "never changes"),
    ("logging/targets.rs", "OF_LIBRARY", "used only in the process that HOME names"),
    ("sys/fail.rs", "PLAN", "only with fail points, which no host has"),
    ("ffi/log.rs", "LOGGER", "a PerProcess inside"),
];

/// The static values of a source text, each with the first word of its type.
fn statics(text: &str) -> Vec<(String, String)> {
    let tokens = without_tests(&tokens(text));
    let of = |words: &[String]| match words {
        // A lifetime is a mark and a word.
        [before, word, name, colon, first, ..] if word == "static" && colon == ":" && before != "'" => {
            Some((name.clone(), first.clone()))
        }
        _ => None,
    };
    tokens.windows(5).filter_map(of).collect()
}

fn is_safe(first: &str) -> bool {
    SAFE.iter().any(|safe| match *safe {
        "Atomic" => first.starts_with(safe),
        "u" | "i" => first.strip_prefix(safe).is_some_and(|rest| rest.parse::<u8>().is_ok()),
        _ => first == *safe,
    })
}

#[test]
fn static_values_are_safe_in_forked_workers() {
    let (mut found, mut unsafe_ones, mut examined) = (0, Vec::new(), Vec::new());
    for (file, text) in sources("src") {
        for (name, first) in statics(&text) {
            found += 1;
            match EXAMINED.iter().find(|known| (known.0, known.1) == (file.as_str(), name.as_str())) {
                Some(known) => examined.push((known.0, known.1)),
                None if is_safe(&first) => {}
                None => unsafe_ones.push(format!("{file}: {name}: {first}")),
            }
        }
    }
    assert!(found > 20, "{found} static values were found");
    assert_eq!(unsafe_ones, Vec::<String>::new());
    let mut known = EXAMINED.map(|known| (known.0, known.1));
    known.sort_unstable();
    examined.sort_unstable();
    assert_eq!(examined, known, "what is not there any more need not be listed");
}

#[test]
fn static_lock_is_found_and_called_unsafe() {
    let text = "/// static NO: Mutex\nuse x; static LAST: Last = Last(Mutex::new(None)); fn f(a: &'static str) { static mut N: u32 = 1; }\n\
                thread_local! { static C: Cell<bool> = const { Cell::new(false) }; } #[cfg(test)] mod tests { static T: M = M; }";
    let names: Vec<(String, bool)> = statics(text).into_iter().map(|(name, first)| (name, is_safe(&first))).collect();
    assert_eq!(names, [("LAST".to_owned(), false), ("C".to_owned(), true)]);
}
