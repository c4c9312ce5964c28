// SPDX-License-Identifier: MPL-2.0
//! What the shared library exports, and what a program needs to link the static one.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::c_abi::build::{Build, has, is_built, library, output, root};
use crate::c_abi::declared;

/// `ffi-tests/symbols.txt`: every symbol, and the version since which it is there.
fn listed() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("ffi-tests/symbols.txt")).expect("read symbols.txt");
    let line = |line: &str| {
        let (symbol, since) = line.split_once(' ').expect("symbol and version");
        (symbol.to_owned(), since.to_owned())
    };
    text.lines().map(line).collect()
}

fn names() -> BTreeSet<String> {
    listed().into_iter().map(|(symbol, _)| symbol).collect()
}

#[test]
fn the_list_is_sorted_and_in_one_name_space() {
    let listed = listed();
    assert!(listed.is_sorted_by(|one, next| one.0 < next.0));
    assert!(listed.iter().all(|(symbol, _)| symbol.starts_with("proxyprocess_")));
}

#[test]
fn the_shared_library_exports_what_is_listed_and_nothing_else() {
    if Build::Plain.programs().is_none() || !has("nm") {
        return;
    }
    let exported = output(Command::new("nm").args(["-D", "--defined-only"]).arg(library("libproxyprocess.so")));
    let exported = exported.lines().map(|line| line.rsplit(' ').next().expect("a symbol").to_owned());
    assert_eq!(exported.collect::<BTreeSet<_>>(), names());
}

#[test]
fn the_header_declares_what_is_listed_and_says_since_when() {
    let declared = declared::functions();
    assert_eq!(declared.iter().map(|function| function.name.clone()).collect::<BTreeSet<_>>(), names());
    for (symbol, since) in listed() {
        let function = declared.iter().find(|function| function.name == symbol).expect("a function");
        assert!(function.comment.contains(&format!("Since {since}.")), "{symbol}: {}", function.comment);
    }
}

/// rustc is asked about a library of nothing but this one: that takes a second and builds nothing anew.
#[test]
fn the_system_libraries_are_those_that_rustc_names() {
    // Who builds the programs is who looks at what they were built with.
    if is_built() || Build::Plain.programs().is_none() {
        return;
    }
    let place = tempfile::tempdir().expect("make a temporary directory");
    let source = place.path().join("all.rs");
    fs::write(&source, "#![no_implicit_prelude]\nextern crate proxyprocess;\n").expect("write a file");
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition=2021", "--crate-type=staticlib", "--print=native-static-libs", "-o"]);
    rustc.arg(place.path().join("liball.a")).arg(&source);
    rustc.arg("--extern").arg(format!("proxyprocess={}", library("libproxyprocess.rlib").display()));
    rustc.arg("-L").arg(format!("dependency={}", library("deps").display()));
    let compiled = rustc.output().expect("run rustc");
    let said = String::from_utf8_lossy(&compiled.stderr).into_owned();
    let named = said.lines().find_map(|line| line.split_once("native-static-libs: ").map(|(_, libraries)| libraries));
    let makefile = fs::read_to_string(root().join("ffi-tests/Makefile")).expect("read the Makefile");
    let written = makefile.lines().find_map(|line| line.strip_prefix("SYSTEM_LIBS := "));
    assert_eq!(written, Some(named.unwrap_or_else(|| panic!("{said}"))));
}
