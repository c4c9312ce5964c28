// SPDX-License-Identifier: MPL-2.0
//! JSON that a person wrote: a name that stands twice in an object is a mistake, of which the usual reader of JSON
//! would silently take the last. And some editors begin a file with a byte order mark, which is skipped in declarations.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::excerpt;

/// Reads a document.
///
/// # Errors
/// What is wrong, and at which line and column.
pub(crate) fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str::<Strict>(without_mark(text)).map(|Strict(value)| value)
}

/// A text without the byte order mark that it may begin with. RFC 8259 (section 8.1) lets a reader ignore it.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Reads a file of the library's own, which may hold anything. A byte order mark is damage: none was written.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_bytes(text: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice::<Strict>(text).map(|Strict(value)| value)
}

/// Reads a document that is an object and hands over its members one by one, so that a large one is never in memory
/// as a whole. A name that stands twice there is for `take` to refuse.
///
/// # Errors
/// `Ok(Err)` with what `take` refused; otherwise what is wrong, and at which line and column.
pub(crate) fn parse_members<E>(
    text: &str,
    take: impl FnMut(String, Value) -> Result<(), E>,
) -> serde_json::Result<Result<(), E>> {
    let mut refused = None;
    let mut reader = serde_json::Deserializer::from_str(without_mark(text));
    let read = reader.deserialize_map(Members { take, refused: &mut refused }).and_then(|()| reader.end());
    match refused {
        Some(error) => Ok(Err(error)),
        None => read.map(Ok),
    }
}

struct Members<'a, F, E> {
    take: F,
    refused: &'a mut Option<E>,
}

impl<'de, E, F: FnMut(String, Value) -> Result<(), E>> Visitor<'de> for Members<'_, F, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            let Strict(value) = members.next_value()?;
            if let Err(error) = (self.take)(name, value) {
                *self.refused = Some(error);
                return Err(Error::custom("refused"));
            }
        }
        Ok(())
    }
}

fn again<E: Error>(name: &str) -> E {
    E::custom(format_args!("expected every name once, got \"{}\" again", excerpt(name)))
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Strict, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Strict)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(again(&name));
            }
            let Strict(value) = members.next_value()?;
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_that_stands_twice_is_refused() {
        let error = parse("{\"a\": [{\"b\": 1, \"c\": 2,\n \"b\": 3}]}").unwrap_err().to_string();
        assert_eq!(error, "expected every name once, got \"b\" again at line 2 column 4");
    }

    #[test]
    fn one_byte_order_mark_at_the_beginning_of_a_declaration_is_skipped() {
        let marked = "\u{feff}{\"a\": \"\u{feff}\"}";
        let read = serde_json::json!({"a": "\u{feff}"});
        assert_eq!(parse(marked).unwrap(), read);
        assert!(parse_bytes(marked.as_bytes()).is_err());
        let mut members = Vec::new();
        let take = |name, value| {
            members.push((name, value));
            Ok::<(), ()>(())
        };
        parse_members(marked, take).unwrap().unwrap();
        assert_eq!(members, [("a".to_owned(), "\u{feff}".into())]);
        for elsewhere in ["\u{feff}\u{feff}{}", " \u{feff}{}", "{}\u{feff}", "\u{feff}"] {
            assert!(parse(elsewhere).is_err(), "{elsewhere:?}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 8, |inner| {
            let object = proptest::collection::btree_map(any::<String>(), inner.clone(), 0..8);
            prop_oneof![
                proptest::collection::vec(inner, 0..8).prop_map(Value::from),
                object.prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn everything_else_is_read_as_usual(value in any_json()) {
            let text = value.to_string();
            prop_assert_eq!(parse(&text).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}") {
            prop_assert_eq!(parse(&text).is_ok(), serde_json::from_str::<Value>(without_mark(&text)).is_ok());
        }
    }
}
