// SPDX-License-Identifier: MPL-2.0
//! What is known of programs that were played as managed proxies: the files of `tests/compat/programs`, compiled in.

mod contradictions;
mod package;
mod programs;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::{Result, config};
use programs::PROGRAMS;

pub(crate) use contradictions::Judged;

/// A program, as one file declares it.
#[derive(Debug)]
pub(crate) struct Program {
    text: &'static str,
    document: Value,
}

/// Where it was played, and what it did there.
#[derive(Debug)]
pub(crate) struct Played<'a> {
    /// The version as its package has it.
    pub(crate) version: &'a str,
    cells: &'a Map<String, Value>,
}

impl Played<'_> {
    /// What was seen; nothing where it was not played.
    pub(crate) fn cell(&self, name: &str) -> &str {
        self.cells.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

impl Program {
    /// The program of this name.
    ///
    /// # Errors
    /// Which ones there are.
    pub(crate) fn named(name: &str) -> Result<Program> {
        let mut all = Program::all()?;
        let at = all.iter().position(|program| program.name() == name).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(Program::name).collect();
            format!("no such program: {name}; known are {}", names.join(", "))
        })?;
        Ok(all.swap_remove(at))
    }

    /// All of them, by name.
    pub(crate) fn all() -> Result<Vec<Program>> {
        let read = |text: &&'static str| Ok(Program { text, document: config::toml_document(text)? });
        PROGRAMS.iter().map(read).collect()
    }

    pub(crate) fn name(&self) -> &str {
        self.word("name")
    }

    pub(crate) fn title(&self) -> &str {
        self.word("title")
    }

    pub(crate) fn source(&self) -> &str {
        self.word("source")
    }

    pub(crate) fn package(&self) -> &str {
        self.word("package")
    }

    /// Where its package has it.
    pub(crate) fn executable(&self) -> &str {
        self.word("executable")
    }

    /// The arguments that keep it in the foreground.
    pub(crate) fn foreground(&self) -> Vec<&str> {
        self.words("foreground")
    }

    /// Whether one of these declarations keeps it there, or may do so by a file.
    pub(crate) fn is_kept(&self, arguments: &[&str]) -> bool {
        let has = |word: &str| arguments.iter().any(|argument| argument.contains(word));
        let (all, also) = (self.foreground(), self.words("foreground_also"));
        self.document["foreground_in_files"] == true || all.into_iter().all(has) || also.into_iter().any(has)
    }

    /// Whether these arguments make it what it is, where other programs have the same executable; nothing where no argument does.
    pub(crate) fn is_chosen_by(&self, arguments: &[&str]) -> Option<bool> {
        let words = self.words("chosen_by");
        (!words.is_empty()).then(|| words.iter().any(|word| arguments.contains(word)))
    }

    fn words(&self, field: &str) -> Vec<&str> {
        self.document[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The files of its configuration, and their text.
    pub(crate) fn files(&self) -> BTreeMap<&str, &str> {
        let files = self.document["files"].as_object().into_iter().flatten();
        files.filter_map(|(name, text)| Some((name.as_str(), text.as_str()?))).collect()
    }

    /// What a shell has to do in the directory of the files, as to make a certificate.
    pub(crate) fn prepare(&self) -> Option<&str> {
        self.document["prepare"].as_str()
    }

    /// The lines of its declaration, as they are written in the file, by field.
    pub(crate) fn declaration(&self, is_gapless: bool) -> Vec<(&'static str, &'static str)> {
        let mut fields = self.section("declaration");
        if is_gapless {
            for (name, line) in self.section("gapless") {
                match fields.iter_mut().find(|(known, _)| *known == name) {
                    Some(field) => field.1 = line,
                    None => fields.push((name, line)),
                }
            }
        }
        fields
    }

    /// The versions with which it was played.
    pub(crate) fn played(&self) -> Vec<Played<'_>> {
        let versions = self.document["expect"].as_object().into_iter().flatten();
        versions.filter_map(|(version, cells)| Some(Played { version, cells: cells.as_object()? })).collect()
    }

    /// The program that this file is, and what it did in the version of the same series that is most like it; nothing
    /// where that is not known.
    pub(crate) fn played_as(&self, file: &Path) -> Option<Played<'_>> {
        let name = Path::new(self.executable()).file_name()?;
        // The name of the link counts, which says how the program is called, and the package of the file.
        if file.file_name()? != name && std::fs::canonicalize(file).ok()?.file_name()? != name {
            return None;
        }
        let version = package::version(self.source(), self.package(), file)?;
        self.most_like(&version)
    }

    fn most_like(&self, version: &str) -> Option<Played<'_>> {
        let of_series = self.played().into_iter().filter(|played| series(played.version) == series(version));
        of_series.max_by_key(|played| (played.version == version, common(played.version, version)))
    }

    fn word(&self, field: &str) -> &str {
        self.document[field].as_str().unwrap_or_default()
    }

    /// The fields of a section, each of which has a line.
    fn section(&self, name: &str) -> Vec<(&'static str, &'static str)> {
        let lines = self.text.lines().skip_while(|line| *line != format!("[{name}]")).skip(1);
        let lines = lines.take_while(|line| !line.starts_with('['));
        lines.filter_map(|line| Some((line.split_once(" = ")?.0, line))).collect()
    }
}

/// The first two numbers of a version: what is the same in all of them is not expected to change.
fn series(version: &str) -> Vec<&str> {
    let upstream = version.split_once(':').map_or(version, |(_, upstream)| upstream);
    let numbers = upstream.split(|character: char| !character.is_ascii_digit()).filter(|number| !number.is_empty());
    numbers.take(2).collect()
}

/// How many characters two versions have in common at their begin: those of one release of Debian have more.
fn common(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count()
}
