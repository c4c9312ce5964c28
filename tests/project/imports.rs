// SPDX-License-Identifier: MPL-2.0
//! The files of `src` import one another in one direction: no circle of files, and no import against the order of the layers.
//!
//! The sources are read as text. What counts is each `use`, and each path that begins with `crate`, `super`, `self` or the
//! name of a module in the same folder; not the code of unit tests. A path is followed through the `pub use` of a `mod.rs` to
//! the file that has the item. A `pub use` itself is no dependency: it only says where an item is found.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{sources, tokens, without_tests};

/// The folders and files of `src`, each of which imports only from those before it.
const LAYERS: [&str; 20] = [
    "defaults",
    "error",
    "deadline",
    "host_code",
    "command",
    "sys",
    "feed",
    "logging",
    "lifecycle",
    "declaration",
    "proxy",
    "store",
    "supervisor",
    "subscription",
    "state",
    "daemon",
    "manager",
    "ffi",
    "fuzzing",
    "bench_hooks",
];

/// The same within `src/supervisor`.
const SUPERVISOR_LAYERS: [&str; 26] = [
    "process_key",
    "refusals",
    "removed_logs",
    "spare_descriptor",
    "cgroup_names",
    "former_cgroups",
    "cgroups",
    "cgroup_limits",
    "status",
    "status_text",
    "zombies",
    "other_agent",
    "events",
    "spec",
    "sockets",
    "scan",
    "reaper",
    "command_run",
    "readiness",
    "notifications",
    "log_keeper",
    "adoption",
    "state_waiters",
    "mailbox",
    "spawner",
    "event_loop",
];

/// The same within `examples/agent/src`.
const AGENT_LAYERS: [&str; 14] = [
    "failure", "spelling", "init", "output", "config", "known", "service", "clients", "proxy", "demo", "agent",
    "control", "http", "cli",
];

/// A path of modules below the crate, and perhaps an item at its end.
type ItemPath = Vec<String>;

#[derive(Default)]
struct Source {
    module: ItemPath,
    uses: Vec<ItemPath>,
    /// What a `pub use` shows: its name here, and where it is.
    shown: BTreeMap<String, ItemPath>,
}

/// The paths of a `use`, whose words begin at `at`; each with the name that it has here. Ends behind the tree.
fn tree(tokens: &[String], at: &mut usize, prefix: &ItemPath, found: &mut Vec<(ItemPath, String)>) {
    let mut path = prefix.clone();
    while let Some(token) = tokens.get(*at) {
        *at += 1;
        match token.as_str() {
            "{" => {
                while tokens.get(*at).is_some_and(|token| token != "}") {
                    tree(tokens, at, &path, found);
                    *at += usize::from(tokens.get(*at).is_some_and(|token| token == ","));
                }
                *at += 1;
                return;
            }
            "::" => {}
            "," | "}" | ";" => {
                *at -= 1;
                break;
            }
            "as" => {
                let name = tokens.get(*at).cloned().unwrap_or_default();
                *at += 1;
                found.push((path, name));
                return;
            }
            "self" if !path.is_empty() => {}
            word => path.push(word.to_owned()),
        }
    }
    let name = path.last().cloned().unwrap_or_default();
    found.push((path, name));
}

fn module_of(file: &str) -> ItemPath {
    let path = file.trim_end_matches(".rs").split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main"));
    path.map(str::to_owned).collect()
}

/// A path that is written in a module, from the crate on; `None` for one of another crate.
fn absolute(written: &[String], module: &ItemPath, modules: &BTreeMap<ItemPath, String>) -> Option<ItemPath> {
    let mut base = module.clone();
    let mut rest = written;
    match written.first()?.as_str() {
        "crate" => (base, rest) = (Vec::new(), &written[1..]),
        "self" => rest = &written[1..],
        "super" => {
            while rest.first().is_some_and(|word| word == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        child => {
            let child = [base.as_slice(), &[child.to_owned()]].concat();
            modules.get(&child)?;
        }
    }
    base.extend_from_slice(rest);
    Some(base)
}

fn parse(text: &str, module: ItemPath, modules: &BTreeMap<ItemPath, String>) -> Source {
    let tokens = without_tests(&tokens(text));
    let mut source = Source { module, ..Source::default() };
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let before = at.checked_sub(1).and_then(|before| tokens.get(before)).map_or("", String::as_str);
        if token == "use" {
            at += 1;
            let mut found = Vec::new();
            tree(&tokens, &mut at, &Vec::new(), &mut found);
            for (path, name) in found {
                let Some(path) = absolute(&path, &source.module, modules) else { continue };
                if matches!(before, "pub" | ")") {
                    source.shown.insert(name, path);
                } else {
                    source.uses.push(path);
                }
            }
        } else if tokens.get(at + 1).is_some_and(|next| next == "::") && !matches!(before, "::" | "in" | "mod") {
            let mut path = vec![token.clone()];
            while tokens.get(at + 1).is_some_and(|next| next == "::") {
                let Some(word) =
                    tokens.get(at + 2).filter(|word| word.chars().all(|c| c.is_alphanumeric() || c == '_'))
                else {
                    break;
                };
                path.push(word.clone());
                at += 2;
            }
            source.uses.extend(absolute(&path, &source.module, modules));
            at += 1;
        } else {
            at += 1;
        }
    }
    source
}

/// The file that has what a path names.
fn file_of(path: &ItemPath, sources: &BTreeMap<String, Source>, modules: &BTreeMap<ItemPath, String>) -> String {
    let length = (0..=path.len()).rev().find(|length| modules.contains_key(&path[..*length])).unwrap_or(0);
    let file = &modules[&path[..length]];
    match path.get(length).and_then(|name| sources[file].shown.get(name)) {
        Some(shown) => file_of(&[shown.as_slice(), &path[length + 1..]].concat(), sources, modules),
        None => file.clone(),
    }
}

/// The files of a source folder, each with those that it imports.
fn imports(folder: &str) -> BTreeMap<String, BTreeSet<String>> {
    let files = sources(folder);
    let modules: BTreeMap<ItemPath, String> = files.iter().map(|(file, _)| (module_of(file), file.clone())).collect();
    let parsed = files.iter().map(|(file, text)| (file.clone(), parse(text, module_of(file), &modules)));
    let sources: BTreeMap<String, Source> = parsed.collect();
    let of = |(file, source): (&String, &Source)| {
        let imported = source.uses.iter().map(|path| file_of(path, &sources, &modules));
        (file.clone(), imported.filter(|other| other != file).collect())
    };
    sources.iter().map(of).collect()
}

/// The files that a file imports, and those that they import.
fn reachable<'a>(from: &str, imports: &'a BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'a str> {
    let (mut reached, mut left) = (BTreeSet::new(), imports[from].iter().collect::<Vec<_>>());
    while let Some(file) = left.pop() {
        if reached.insert(file.as_str()) {
            left.extend(&imports[file]);
        }
    }
    reached
}

fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<Vec<&str>> {
    let reached: BTreeMap<&str, _> = imports.keys().map(|file| (file.as_str(), reachable(file, imports))).collect();
    let of = |file: &&str| {
        let others = reached[file].iter().copied();
        others.filter(|other| reached[other].contains(file)).collect::<Vec<_>>()
    };
    reached.keys().map(of).filter(|circle| !circle.is_empty()).collect()
}

/// The imports from a later layer.
fn against(imports: &BTreeMap<String, BTreeSet<String>>, below: &str, layers: &[&str]) -> Vec<String> {
    let layer = |file: &str| {
        let name = file.strip_prefix(below)?.split(['/', '.']).next()?;
        (!matches!(name, "mod" | "lib" | "main")).then(|| layers.iter().position(|layer| *layer == name))
    };
    let mut wrong = Vec::new();
    for (file, imported) in imports {
        let Some(own) = layer(file) else { continue };
        let own = own.unwrap_or_else(|| panic!("{file}: expected its layer to be in the list"));
        let later = imported.iter().filter(|other| layer(other).flatten().is_some_and(|other| other > own));
        wrong.extend(later.map(|other| format!("{file} imports {other}")));
    }
    wrong
}

#[test]
fn files_of_the_library_import_one_another_without_a_circle_and_in_the_order_of_the_layers() {
    let imports = imports("src");
    assert!(imports.len() > 100 && imports["manager/mod.rs"].contains("state.rs"), "the sources cannot be read");
    assert_eq!(circles(&imports), BTreeSet::new());
    assert_eq!(against(&imports, "", &LAYERS), Vec::<String>::new());
    assert_eq!(against(&imports, "supervisor/", &SUPERVISOR_LAYERS), Vec::<String>::new());
}

#[test]
fn files_of_the_benchmarks_and_of_the_agent_import_one_another_without_a_circle() {
    for (folder, importing, imported) in [
        ("benches/side_by_side", "roles/host.rs", "roles/declared.rs"),
        ("examples/agent/src", "agent/mod.rs", "config/mod.rs"),
        ("tests/compat/src", "steps.rs", "stops.rs"),
    ] {
        let mut imports = imports(folder);
        assert!(
            imports[importing].contains(imported),
            "the sources below {folder} cannot be read: {:?}",
            imports[importing]
        );
        // All files name its `Result`, an alias for what they return.
        for imported in imports.values_mut() {
            imported.remove("main.rs");
        }
        assert_eq!(circles(&imports), BTreeSet::new());
        if folder.starts_with("examples") {
            assert_eq!(against(&imports, "", &AGENT_LAYERS), Vec::<String>::new());
        }
    }
}

#[test]
fn circle_through_a_reexport_and_an_inline_path_is_found() {
    let texts = [
        ("a/mod.rs", "mod b; mod c; pub(crate) use b::Thing; /* no path: */ const SHOWN: &str = \"crate::a::c\";"),
        ("a/b.rs", "pub struct Thing; fn f() { super::c::g() } #[cfg(test)] mod tests { use crate::d; }"),
        ("a/c.rs", "use crate::a::{self, Thing as Other}; fn g() { let c: char = '\"'; } fn h<'a>() {}"),
        ("d.rs", "use crate::a::c;"),
        ("lib.rs", "mod a; mod d;"),
    ];
    let modules = texts.iter().map(|(file, _)| (module_of(file), (*file).to_owned())).collect();
    let sources = texts.map(|(file, text)| (file.to_owned(), parse(text, module_of(file), &modules))).into();
    let of = |(file, source): (&String, &Source)| {
        let imported = source.uses.iter().map(|path| file_of(path, &sources, &modules));
        (file.clone(), imported.filter(|other| other != file).collect())
    };
    let imports: BTreeMap<String, BTreeSet<String>> = sources.iter().map(of).collect();
    assert_eq!(imports["a/b.rs"], BTreeSet::from(["a/c.rs".to_owned()]));
    assert_eq!(imports["a/c.rs"], BTreeSet::from(["a/b.rs".to_owned(), "a/mod.rs".to_owned()]));
    assert_eq!(circles(&imports), BTreeSet::from([vec!["a/b.rs", "a/c.rs"]]));
    assert_eq!(against(&imports, "", &["d", "a"]), ["d.rs imports a/c.rs"]);
}
