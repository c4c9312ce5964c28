// SPDX-License-Identifier: MPL-2.0
//! The tests that hold a promise are there, under the names that `docs/guarantees.md` gives them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::documentation::{backquoted, read, root};

/// Where tests are written.
const PLACES: [&str; 4] = ["tests", "src", "ffi-tests", "examples"];

#[test]
fn every_test_that_is_named_exists() {
    let defined = defined_functions();
    let page = read("docs/guarantees.md");
    let named: BTreeSet<&str> = backquoted(&page).filter(|word| is_test_name(word)).collect();
    assert!(named.len() > 100, "only {} names of tests were found: has the page changed its form?", named.len());
    let missing: Vec<&&str> = named.iter().filter(|name| !defined.contains(**name)).collect();
    assert!(missing.is_empty(), "docs/guarantees.md names tests that do not exist: {missing:#?}");
}

#[test]
fn every_program_that_is_named_exists() {
    let page = read("docs/guarantees.md");
    let named: Vec<&str> = backquoted(&page).filter(|word| word.ends_with(".c") || word.ends_with(".sh")).collect();
    assert!(!named.is_empty());
    for name in named {
        let found = [name.to_owned(), format!("ffi-tests/{name}")].iter().any(|path| root().join(path).is_file());
        assert!(found, "docs/guarantees.md names a program that does not exist: {name}");
    }
}

/// Three words and more, in lower case, with `_` between them. Shorter names are those of functions and settings.
fn is_test_name(word: &str) -> bool {
    let parts: Vec<&str> = word.split('_').collect();
    let is_part =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    parts.len() > 3 && parts.iter().all(is_part)
}

fn defined_functions() -> BTreeSet<String> {
    let mut defined = BTreeSet::new();
    let mut directories: Vec<PathBuf> = PLACES.iter().map(|place| root().join(place)).collect();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if is_source(&path) {
                let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let name = |rest: &str| {
                    rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().map(str::to_owned)
                };
                defined.extend(text.split("fn ").skip(1).filter_map(name));
            }
        }
    }
    defined
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}
