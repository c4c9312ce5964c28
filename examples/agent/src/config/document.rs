// SPDX-License-Identifier: MPL-2.0
//! A configuration file as a JSON document, whichever of the two formats it has, and where in the file something stands.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::path::Path;

use super::places::{Place, line_and_column};
use super::toml;
use crate::Result;
use crate::output::plain;

/// The text of a configuration file, as JSON.
pub(super) struct Document<'a> {
    file: &'a Path,
    /// As it is written.
    text: &'a str,
    pub(super) json: Cow<'a, str>,
    /// Of a file in JSON they are looked for when there is something to be said about one.
    places: OnceCell<Option<Place>>,
}

impl<'a> Document<'a> {
    /// Reads the text of a file: TOML by the name of the file, else JSON.
    ///
    /// # Errors
    /// When it is no TOML. Of JSON that is found out by the reader of its fields.
    pub(super) fn of(file: &'a Path, text: &'a str) -> Result<Document<'a>> {
        let mut document = Document { file, text, json: Cow::Borrowed(text), places: OnceCell::new() };
        if file.extension().is_some_and(|extension| extension == "toml") {
            let (value, places) = toml::parse(text).map_err(|wrong| document.at(wrong.at, &wrong.message))?;
            document.json = Cow::Owned(value.to_string());
            document.places = OnceCell::from(Some(places));
        }
        Ok(document)
    }

    /// The message with the file, the line and the column of what it is about, as far as that is known.
    pub(super) fn located(&self, message: &str) -> String {
        // A message of the reader of JSON ends with the place, which is that of the document that was made of TOML there.
        let read = message.rsplit_once(" at line ").filter(|_| matches!(self.json, Cow::Borrowed(_)));
        let read = read.and_then(|(what, place)| {
            let (line, column) = place.split_once(" column ")?;
            Some((what, line.parse::<usize>().ok()?, column.parse::<usize>().ok()?))
        });
        if let Some((what, line, column)) = read {
            return on_one_line(&format!("{}:{line}:{}: {what}", self.file.display(), column.max(1)));
        }
        let places = self.places.get_or_init(|| Place::of_json(self.text));
        self.at(places.as_ref().and_then(|places| places.find(message)), message)
    }

    fn at(&self, at: Option<usize>, message: &str) -> String {
        let file = self.file.display();
        on_one_line(&match at.map(|at| line_and_column(self.text, at)) {
            Some((line, column)) => format!("{file}:{line}:{column}: {message}"),
            None => format!("{file}: {message}"),
        })
    }
}

/// Names of a document may have newlines and what steers a terminal. Only at the end: a place is found by the name as it is.
fn on_one_line(message: &str) -> String {
    plain(message).to_string()
}
