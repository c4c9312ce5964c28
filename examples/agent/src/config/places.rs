// SPDX-License-Identifier: MPL-2.0
//! Where in a document the field stands that an error names, by line and column.

use serde_json::value::RawValue;

use super::fields::Members;

/// A value of a document: where it begins, in bytes, and what is in it.
pub(super) struct Place {
    at: usize,
    inside: Inside,
}

pub(super) enum Inside {
    /// Each member: its name, where that stands, and the value.
    Object(Vec<(String, usize, Place)>),
    List(Vec<Place>),
    Nothing,
}

impl Place {
    pub(super) fn new(at: usize, inside: Inside) -> Place {
        Place { at, inside }
    }

    /// The places of a JSON document that can be read.
    pub(super) fn of_json(text: &str) -> Option<Place> {
        read_json(text, serde_json::from_str(text).ok()?)
    }

    /// Where the field stands that a message begins with, as in `proxies.web.env[1]: expected ...`; or, if it is missing, what
    /// it is missing in. `None` when the message begins with nothing of the document.
    pub(super) fn find(&self, message: &str) -> Option<usize> {
        self.best(message).map(|found| found.at)
    }

    fn best(&self, message: &str) -> Option<Found> {
        match &self.inside {
            Inside::Object(members) => {
                let named = |(name, at, value): &(String, usize, Place)| {
                    let rest = message.strip_prefix(name.as_str())?;
                    let within = match rest.chars().next()? {
                        '.' => value.best(&rest[1..]),
                        '[' => value.best(rest),
                        ':' => None,
                        _ => return None,
                    };
                    Some(Found::at(*at, within, message.len() - rest.len()))
                };
                members.iter().filter_map(named).max()
            }
            Inside::List(items) => {
                let (index, rest) = message.strip_prefix('[')?.split_once(']')?;
                let item = items.get(index.parse::<usize>().ok()?)?;
                let within = item.best(rest.strip_prefix('.').unwrap_or(rest));
                Some(Found::at(item.at, within, message.len() - rest.len()))
            }
            Inside::Nothing => None,
        }
    }
}

/// What a message may mean. An id may contain dots: what fits to more of the message is better, then what is deeper in the
/// document, then what stands later, for of a name that stands there twice the second one is refused.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    length: usize,
    depth: usize,
    at: usize,
}

impl Found {
    /// A value, or what was found within it.
    fn at(at: usize, within: Option<Found>, length: usize) -> Found {
        match within {
            // The dot before it is no part of either.
            Some(inner) => Found { length: length + inner.length + 1, depth: inner.depth + 1, at: inner.at },
            None => Found { length, depth: 0, at },
        }
    }
}

fn read_json(document: &str, value: &RawValue) -> Option<Place> {
    let text = value.get();
    let at = |part: &RawValue| part.get().as_ptr().addr().checked_sub(document.as_ptr().addr());
    let inside = match text.as_bytes().first()? {
        b'{' => {
            let Members(members) = serde_json::from_str(text).ok()?;
            let member = |(name, value): (&RawValue, &RawValue)| {
                Some((serde_json::from_str(name.get()).ok()?, at(name)?, read_json(document, value)?))
            };
            Inside::Object(members.into_iter().map(member).collect::<Option<_>>()?)
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            Inside::List(items.into_iter().map(|item| read_json(document, item)).collect::<Option<_>>()?)
        }
        _ => Inside::Nothing,
    };
    Some(Place::new(at(value)?, inside))
}

/// The line and the column, both from 1 on, of a byte of a text. A column is a character.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}
