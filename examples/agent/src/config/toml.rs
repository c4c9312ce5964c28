// SPDX-License-Identifier: MPL-2.0
//! A configuration in TOML, as the JSON document that means the same.

use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::places::{Inside, Place};

/// What is wrong with a document, and where in its text.
pub(super) struct Wrong {
    pub(super) at: Option<usize>,
    pub(super) message: String,
}

/// Reads a document.
pub(super) fn parse(text: &str) -> Result<(Value, Place), Wrong> {
    let document = DeTable::parse(text).map_err(|error| Wrong {
        at: error.span().map(|span| span.start),
        message: format!("not a TOML document: {}", error.message().replace('\n', ", ")),
    })?;
    let span = document.span();
    table(document.into_inner(), span.start)
}

fn table(table: DeTable<'_>, at: usize) -> Result<(Value, Place), Wrong> {
    let (mut object, mut members) = (Map::new(), Vec::new());
    for (name, inner) in table {
        let (name_at, name) = (name.span().start, name.into_inner().into_owned());
        let (inner, place) = value(inner)?;
        members.push((name.clone(), name_at, place));
        object.insert(name, inner);
    }
    Ok((object.into(), Place::new(at, Inside::Object(members))))
}

fn value(value: Spanned<DeValue<'_>>) -> Result<(Value, Place), Wrong> {
    let span = value.span();
    let wrong = |wanted: &str, got: &str| Wrong {
        at: Some(span.start),
        message: format!("not a configuration: expected {wanted}, got {got}"),
    };
    let plain = match value.into_inner() {
        DeValue::Table(inner) => return table(inner, span.start),
        DeValue::Array(items) => return list(items, &span),
        DeValue::String(text) => Value::from(text.into_owned()),
        DeValue::Boolean(value) => Value::from(value),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::from(number),
            Err(_) => return Err(wrong("a whole number of 64 bits", number.as_str())),
        },
        DeValue::Float(number) => match number.as_str().parse().ok().and_then(Number::from_f64) {
            Some(number) => Value::from(number),
            None => return Err(wrong("a number", number.as_str())),
        },
        DeValue::Datetime(_) => {
            return Err(wrong("a string, a number, true, false, a list or a table", "a date or time"));
        }
    };
    Ok((plain, Place::new(span.start, Inside::Nothing)))
}

fn list<'a>(
    items: impl IntoIterator<Item = Spanned<DeValue<'a>>>,
    span: &Range<usize>,
) -> Result<(Value, Place), Wrong> {
    let read = items.into_iter().map(value).collect::<Result<Vec<_>, Wrong>>()?;
    let (values, places): (Vec<Value>, Vec<Place>) = read.into_iter().unzip();
    Ok((values.into(), Place::new(span.start, Inside::List(places))))
}
