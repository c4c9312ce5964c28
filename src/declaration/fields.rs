// SPDX-License-Identifier: MPL-2.0
//! Reading a JSON object field by field, with errors that name the field and say what was expected.

use std::time::Duration;

use serde_json::Value;

use super::similar::similar;
use crate::defaults::LONGEST_PERIOD;
use crate::error::{Error, ErrorCode, Result, excerpt};

/// An object that is being read: each field is taken once, and [`Fields::finish`] refuses what is left.
#[derive(Debug)]
pub(crate) struct Fields {
    place: String,
    object: serde_json::Map<String, Value>,
    /// The names that were asked for: those that there may be.
    known: Vec<String>,
}

impl Fields {
    /// Begins to read `value`, which stands at `place` in the document.
    pub(crate) fn of(place: impl Into<String>, value: Value) -> Result<Fields> {
        let place = place.into();
        match value {
            Value::Object(object) => Ok(Fields { place, object, known: Vec::new() }),
            other => Err(expected(&place, "an object", &other)),
        }
    }

    /// The place of a field in the document.
    pub(crate) fn place(&self, field: &str) -> String {
        let field = excerpt(field);
        if self.place.is_empty() { field.to_string() } else { format!("{}.{field}", self.place) }
    }

    /// Takes a field; absent and `null` are the same.
    pub(crate) fn take(&mut self, field: &str) -> Option<Value> {
        self.known.push(field.to_owned());
        self.object.remove(field).filter(|value| !value.is_null())
    }

    /// Takes a field that `read` must accept.
    pub(crate) fn read<T>(
        &mut self,
        field: &str,
        wanted: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.take(field) else { return Ok(None) };
        read(&value).map(Some).ok_or_else(|| expected(&self.place(field), wanted, &value))
    }

    pub(crate) fn string(&mut self, field: &str) -> Result<Option<String>> {
        self.read(field, "a string", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn boolean(&mut self, field: &str) -> Result<Option<bool>> {
        self.read(field, "true or false", Value::as_bool)
    }

    pub(crate) fn unsigned(&mut self, field: &str) -> Result<Option<u32>> {
        let wanted = "a whole number from 0 to 4294967295";
        self.read(field, wanted, |value| value.as_u64().and_then(|number| number.try_into().ok()))
    }

    pub(crate) fn integer(&mut self, field: &str) -> Result<Option<u64>> {
        self.read(field, "a whole number", Value::as_u64)
    }

    pub(crate) fn number(&mut self, field: &str) -> Result<Option<f64>> {
        self.read(field, "a number", Value::as_f64)
    }

    /// A duration in milliseconds, at most [`LONGEST_PERIOD`].
    pub(crate) fn milliseconds(&mut self, field: &str) -> Result<Option<Duration>> {
        let wanted = "milliseconds, a whole number from 0 to 31622400000";
        let read = |value: &Value| value.as_u64().map(Duration::from_millis).filter(|period| *period <= LONGEST_PERIOD);
        self.read(field, wanted, read)
    }

    /// Takes an object within this one.
    pub(crate) fn object(&mut self, field: &str) -> Result<Option<Fields>> {
        self.take(field).map(|value| Fields::of(self.place(field), value)).transpose()
    }

    /// A list whose items `read` must accept, of a file that only the library writes.
    pub(crate) fn list<T>(
        &mut self,
        field: &str,
        wanted: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>> {
        self.list_of(field, [wanted, wanted], read)
    }

    /// A list whose items `read` must accept; errors call one of them `item`, and several `items`.
    pub(crate) fn list_of<T>(
        &mut self,
        field: &str,
        [item, items]: [&str; 2],
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>> {
        let Some(value) = self.take(field) else { return Ok(None) };
        let place = self.place(field);
        let Value::Array(values) = value else { return Err(expected(&place, &format!("a list of {items}"), &value)) };
        let read_one = |(index, value): (usize, Value)| {
            read(&value).ok_or_else(|| expected(&format!("{place}[{index}]"), item, &value))
        };
        let mut list = values.into_iter().enumerate().map(read_one).collect::<Result<Vec<T>>>()?;
        // Collected in place, it has the room of the values that it was read from.
        list.shrink_to_fit();
        Ok(Some(list))
    }

    /// The error of a field that must be there.
    pub(crate) fn missing(&self, field: &str, wanted: &str) -> Error {
        invalid(format!("{}: expected {wanted}, got nothing", self.place(field)))
    }

    /// Refuses fields that were not taken.
    pub(crate) fn finish(self) -> Result<()> {
        match self.object.keys().next() {
            None => Ok(()),
            Some(field) => {
                let what = similar(field, &self.known).map_or_else(
                    || format!("expected one of {}", self.known.join(", ")),
                    |name| format!("is \"{name}\" meant?"),
                );
                Err(invalid(format!("{}: unknown field, {what}", self.place(field))))
            }
        }
    }

    /// The fields that were not taken, in order.
    pub(crate) fn rest(self) -> serde_json::Map<String, Value> {
        self.object
    }
}

/// A duration as the number that is written for it, and that is read back.
pub(crate) fn milliseconds(duration: Duration) -> Value {
    u64::try_from(duration.min(LONGEST_PERIOD).as_millis()).unwrap_or(u64::MAX).into()
}

/// "place: expected this, got that", with what was got cut short: it may be a secret or a megabyte.
pub(crate) fn expected(place: &str, wanted: &str, got: &Value) -> Error {
    let word = got.as_str();
    let got = match got {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    let place = if place.is_empty() { "document" } else { place };
    let meant = word.and_then(|word| meant(word, wanted)).map(|word| format!(": is \"{word}\" meant?"));
    invalid(format!("{place}: expected {wanted}, got {got}{}", meant.unwrap_or_default()))
}

/// The word among those that `wanted` has in quotes, outside of braces, that is most like `word`. It shows nothing of a secret
/// that was written in the wrong place.
fn meant(word: &str, wanted: &str) -> Option<String> {
    let is_outside = |before: &str| before.matches('{').count() == before.matches('}').count();
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let quotes: Vec<usize> = wanted.match_indices('"').map(|(at, _)| at).collect();
    let words: Vec<String> = quotes
        .chunks_exact(2)
        .filter(|pair| is_outside(&wanted[..pair[0]]))
        .map(|pair| wanted[pair[0] + 1..pair[1]].to_owned())
        .filter(|text| is_word(text))
        .collect();
    similar(word, &words).map(str::to_owned)
}

/// A declaration that cannot be used.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidConfig, message)
}
