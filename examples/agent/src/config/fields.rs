// SPDX-License-Identifier: MPL-2.0
//! The object of a configuration document, field by field, with errors that name the field and say what was expected.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use proxyprocess::CgroupUse;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Result;
use crate::spelling::nearest;

/// The members of an object as they are written, also of a name that stands there twice.
pub(super) struct Members<'a>(pub(super) Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Members<'de>, D::Error> {
        deserializer.deserialize_map(EachMember)
    }
}

struct EachMember;

impl<'de> Visitor<'de> for EachMember {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> std::result::Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

/// The object of the document: each field is taken once, and [`Fields::finish`] refuses what is left.
pub(super) struct Fields<'a> {
    members: BTreeMap<String, &'a RawValue>,
    /// The names that were asked for: those that there may be.
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(text: &'a str) -> Result<Fields<'a>> {
        // What follows a place in the message would hide that from its reader.
        let is_other = !text.trim_start().is_empty() && !text.trim_start().starts_with('{');
        let named = if is_other { " (a file with TOML has to be named .toml)" } else { "" };
        let not_json = |error| format!("not a JSON document{named}: {error}");
        let document: Value = serde_json::from_str(text).map_err(not_json)?;
        if !document.is_object() {
            return Err(expected("document", "an object", &document).into());
        }
        let Members(written) = serde_json::from_str(text).map_err(not_json)?;
        let mut members = BTreeMap::new();
        for (name, value) in written {
            let name: String = serde_json::from_str(name.get()).map_err(not_json)?;
            if let Some((name, _)) = members.get_key_value(&name) {
                return Err(format!("{name}: declared twice").into());
            }
            members.insert(name, value);
        }
        Ok(Fields { members, known: Vec::new() })
    }

    /// Takes a field as it is written; absent and `null` are the same.
    pub(super) fn text(&mut self, field: &'static str) -> Option<&'a RawValue> {
        self.known.push(field);
        self.members.remove(field).filter(|text| text.get() != "null")
    }

    pub(super) fn take(&mut self, field: &'static str) -> Option<Value> {
        // The text is a part of a document that was read.
        self.text(field).and_then(|text| serde_json::from_str(text.get()).ok())
    }

    /// Takes a field that `read` must accept.
    pub(super) fn read<T>(
        &mut self,
        field: &'static str,
        wanted: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.take(field) else { return Ok(None) };
        Ok(Some(read(&value).ok_or_else(|| expected(field, wanted, &value))?))
    }

    /// Takes a list of `NAME=value`.
    pub(super) fn variables(&mut self, field: &'static str) -> Result<Vec<(OsString, OsString)>> {
        let lines = self.read(field, "a list of strings NAME=value", |value| value.as_array().cloned())?;
        let variable = |(index, line): (usize, Value)| {
            let (place, wanted) = (format!("{field}[{index}]"), "a string NAME=value");
            let wrong = || match line.as_str() {
                Some(text) if !text.contains('=') => format!("{place}: expected {wanted}, got a string without ="),
                _ => expected(&place, wanted, &line),
            };
            Ok(variable(&line).ok_or_else(wrong)?)
        };
        lines.unwrap_or_default().into_iter().enumerate().map(variable).collect()
    }

    /// A message for each field that was not taken.
    pub(super) fn finish(self) -> Vec<String> {
        let known = self.known.join(", ");
        let message = |field: &String| {
            let meant = nearest(field, &self.known).map_or_else(String::new, |name| format!("is \"{name}\" meant? "));
            format!("{field}: unknown field, {meant}expected one of {known}")
        };
        self.members.keys().map(message).collect()
    }
}

/// "place: expected this, got that", without the text of what was got: it may be a secret or a megabyte.
pub(super) fn expected(place: &str, wanted: &str, got: &Value) -> String {
    let got = match got {
        Value::Null | Value::Bool(_) | Value::Number(_) => got.to_string(),
        Value::String(text) if text.is_empty() => "an empty string".to_owned(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    format!("{place}: expected {wanted}, got {got}")
}

pub(super) fn path(value: &Value) -> Option<PathBuf> {
    value.as_str().filter(|path| !path.is_empty() && !path.contains('\0')).map(PathBuf::from)
}

/// Whether each proxy has a cgroup of its own.
pub(super) fn cgroup(value: &Value) -> Option<CgroupUse> {
    let all = [CgroupUse::Off, CgroupUse::Auto, CgroupUse::Required];
    all.into_iter().find(|known| value.as_str() == Some(known.as_str()))
}

pub(super) const MILLISECONDS: &str = "milliseconds, a whole number from 0 to 31622400000";

/// At most a year, as in the fields of a proxy: longer ones are mistakes of the unit.
pub(super) fn milliseconds(value: &Value) -> Option<Duration> {
    value.as_u64().filter(|ms| *ms <= 31_622_400_000).map(Duration::from_millis)
}

pub(super) fn handovers(value: &Value) -> Option<usize> {
    value.as_u64().filter(|most| (1..=1_048_576).contains(most)).and_then(|most| most.try_into().ok())
}

pub(super) fn removed(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|most| most.try_into().ok())
}

fn variable(line: &Value) -> Option<(OsString, OsString)> {
    let (name, value) = line.as_str().filter(|line| !line.contains('\0'))?.split_once('=')?;
    (!name.is_empty()).then(|| (name.into(), value.into()))
}
