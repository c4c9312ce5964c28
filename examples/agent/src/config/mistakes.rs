// SPDX-License-Identifier: MPL-2.0
//! All that is wrong with a configuration, and not only what is found first.

use std::collections::BTreeSet;
use std::fmt;

use proxyprocess::{ExecMode, State};

use super::fields::Members;
use crate::Result;

/// The kinds of proxy of this agent; it registers none of its own.
const MODES: [ExecMode; 2] = [ExecMode::DAEMON, ExecMode::NOOP];

/// What is wrong with a configuration file: one message or more.
#[derive(Debug)]
pub(crate) struct Mistakes(pub(super) Vec<String>);

impl Mistakes {
    /// Each message, with file, line and column where these are known.
    pub(crate) fn all(&self) -> &[String] {
        &self.0
    }
}

/// The first one, in one line, and how many there are.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.first().map_or("", String::as_str))?;
        match self.0.len() {
            0 | 1 => Ok(()),
            all => write!(f, " (and {} more; `agent check` lists all)", all - 1),
        }
    }
}

impl std::error::Error for Mistakes {}

impl From<Box<dyn std::error::Error>> for Mistakes {
    fn from(error: Box<dyn std::error::Error>) -> Mistakes {
        Mistakes(vec![error.to_string()])
    }
}

/// The mistakes that were found so far.
#[derive(Default)]
pub(super) struct Noted(Vec<String>);

impl Noted {
    pub(super) fn add(&mut self, message: String) {
        self.0.push(message);
    }

    /// What was read; of a mistake the default, which is not used.
    pub(super) fn take<T: Default>(&mut self, read: Result<T>) -> T {
        read.unwrap_or_else(|error| {
            self.add(error.to_string());
            T::default()
        })
    }

    /// This, if there was no mistake.
    pub(super) fn or<T>(self, read: T) -> std::result::Result<T, Vec<String>> {
        if self.0.is_empty() { Ok(read) } else { Err(self.0) }
    }
}

/// A part of a document with blanks in place of all before it, so that its lines and columns are those of the document.
pub(super) fn at_its_place(document: &str, part: &str) -> String {
    blanks(&document[..offset(document, part)]) + part
}

fn blanks(text: &str) -> String {
    text.chars().map(|character| if character == '\n' { '\n' } else { ' ' }).collect()
}

/// Where a part of a document begins.
fn offset(document: &str, part: &str) -> usize {
    part.as_ptr().addr() - document.as_ptr().addr()
}

/// A message for each proxy of a kind that this agent does not have, which the library leaves to its user.
pub(super) fn unknown_modes(state: &State) -> Vec<String> {
    let unknown = state.list().into_iter().filter(|(_, proxy)| !MODES.contains(&proxy.mode));
    unknown
        .map(|(id, proxy)| format!("proxies.{id}.mode: expected \"daemon\" or \"noop\", got \"{}\"", proxy.mode))
        .collect()
}

/// What is wrong with each of the declarations, if `first` is wrong with all of them. Of one declaration only the first mistake
/// is known.
pub(super) fn of_each_proxy(document: &str, proxies: &str, first: String) -> Vec<String> {
    let Ok(Members(members)) = serde_json::from_str(proxies) else { return vec![first] };
    let (mut messages, mut ids) = (Vec::new(), BTreeSet::new());
    for (id, declared) in members {
        let begin = offset(document, id.get());
        let end = offset(document, declared.get()) + declared.get().len();
        if !serde_json::from_str::<String>(id.get()).is_ok_and(|name| ids.insert(name)) {
            messages.push(format!("proxies.{}: declared twice", id.get().trim_matches('"')));
            continue;
        }
        let alone = format!("{{{}}}", &document[begin..end]);
        let state = State::new();
        if state.replace_all_json(&alone).is_ok() {
            messages.extend(unknown_modes(&state));
            continue;
        }
        // Before the id there is at least the brace of the object, or a comma: one character in place of which a brace is put.
        let placed = blanks(&document[..begin - 1]) + &alone;
        messages.extend(State::new().replace_all_json(&placed).err().map(|error| error.to_string()));
    }
    if !messages.contains(&first) {
        messages.push(first);
    }
    messages
}
