// SPDX-License-Identifier: MPL-2.0
//! README and `docs/`: short where they must be, and without a link that leads nowhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a visitor reads first.
const MAX_README: usize = 15 * 1024;

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pieces of text in single backquotes.
pub(crate) fn backquoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(PathBuf::from).to_vec();
    for entry in fs::read_dir(root().join("docs")).expect("there is a directory docs") {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
    pages
}

#[test]
fn readme_has_at_most_15_kib() {
    let length = read("README.md").len();
    assert!(length <= MAX_README, "README.md has {length} bytes, expected at most {MAX_README}");
}

#[test]
fn every_page_is_reached_from_the_readme() {
    let readme = read("README.md");
    let linked: BTreeSet<String> =
        links(&readme).into_iter().map(|link| link.split('#').next().unwrap().to_owned()).collect();
    let missing: Vec<PathBuf> = pages()
        .into_iter()
        .filter(|page| page != Path::new("README.md") && !linked.contains(page.to_str().unwrap()))
        .collect();
    assert!(missing.is_empty(), "README.md has no link to {missing:?}");
}

#[test]
fn every_source_file_that_is_named_exists() {
    let page = read("docs/design.md");
    let named: BTreeSet<&str> = backquoted(&page).filter(|word| word.ends_with(".rs")).collect();
    assert!(!named.is_empty());
    let missing: Vec<&&str> =
        named.iter().filter(|name| !["", "src"].iter().any(|place| root().join(place).join(name).is_file())).collect();
    assert!(missing.is_empty(), "docs/design.md names files that are not below src: {missing:?}");
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for page in pages() {
        let text = read(&page);
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            if !root().join(&target).exists() {
                wrong.push(format!("{}: {link}: no such file", page.display()));
            } else if !anchor.is_empty() && !anchors(&read(&target)).contains(anchor) {
                wrong.push(format!("{}: {link}: no such heading", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The targets of `[text](target)`, outside of code.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        let plain: String = line.split('`').step_by(2).collect();
        let targets = plain.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        found.extend(targets.map(|target| target.trim().to_owned()));
    }
    found
}

/// The anchors of the headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let slug = |heading: &str| -> String {
        let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
        heading
            .trim()
            .to_lowercase()
            .chars()
            .filter(kept)
            .map(|letter| if letter == ' ' { '-' } else { letter })
            .collect()
    };
    let heading = |line: &str| line.starts_with('#').then(|| slug(line.trim_start_matches('#')));
    prose(text).filter_map(heading).collect()
}

/// The lines outside of fenced code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !is_fence && !in_code
    })
}
