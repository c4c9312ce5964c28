// SPDX-License-Identifier: MPL-2.0
//! The sources of the library, read as text.

use std::fs;
use std::path::Path;

use crate::documentation::{read, root};

/// The words and marks of a source text, without comments, strings and characters.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let bytes: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(&c) = bytes.get(at) {
        let rest = &bytes[at..];
        if rest.starts_with(&['/', '/']) {
            at += rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
        } else if c == '"' || (c == '#' && rest.get(1) == Some(&'"')) {
            // A raw string ends with the same number of marks; there is one at the most in these sources.
            let raw = c == '#';
            at += if raw { 2 } else { 1 };
            while let Some(&inner) = bytes.get(at) {
                at += 1;
                if inner == '\\' && !raw {
                    at += 1;
                } else if inner == '"' && (!raw || bytes.get(at) == Some(&'#')) {
                    break;
                }
            }
        } else if c == '\'' {
            // A character, or else a lifetime.
            let end = if rest.get(1) == Some(&'\\') {
                rest.iter().skip(3).position(|c| *c == '\'').map(|end| end + 3)
            } else {
                Some(2)
            };
            at += match end {
                Some(end) if rest.get(end) == Some(&'\'') => end + 1,
                _ => 1,
            };
        } else if is_word(c) {
            let end = rest.iter().position(|c| !is_word(*c)).unwrap_or(rest.len());
            tokens.push(rest[..end].iter().collect());
            at += end;
        } else {
            let mark = if rest.starts_with(&[':', ':']) { "::".to_owned() } else { c.to_string() };
            at += mark.len();
            if !c.is_whitespace() {
                tokens.push(mark);
            }
        }
    }
    tokens
}

/// The same without the items that only unit tests have.
pub(crate) fn without_tests(tokens: &[String]) -> Vec<String> {
    const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        if !tokens[at..].iter().zip(TEST).all(|(token, wanted)| token == wanted) || tokens.len() - at < TEST.len() {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += TEST.len();
        let mut depth = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token.as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            if depth == 0 && (token == ";" || token == "}") {
                break;
            }
        }
    }
    kept
}

/// The source files below a folder of the project, but for those that only unit tests have: their names below it, and their
/// texts.
pub(crate) fn sources(folder: &str) -> Vec<(String, String)> {
    let mut names = Vec::new();
    list(&root().join(folder), "", &mut names);
    names.into_iter().map(|name| (name.clone(), read(Path::new(folder).join(name)))).collect()
}

fn list(dir: &Path, below: &str, files: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{below}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), &format!("{name}/"), files);
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            files.push(name);
        }
    }
}
