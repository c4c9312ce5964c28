// SPDX-License-Identifier: MPL-2.0
//! Ids as file names: an id is never used as a path, and two ids never share a name.

use std::ffi::CString;

/// The longest component that is used: with the longest prefix and suffix it stays below the 255 bytes of a name.
const MAX_COMPONENT: usize = 200;

/// The name of an id's files: directories to go through, for very long ids only, and the stem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileName {
    pub(crate) parents: Vec<CString>,
    stem: String,
}

impl FileName {
    /// The name of an id. Plain names stand for themselves; all others are percent-encoded with a `%` in front, and
    /// cut into directories where they are longer than a file name may be.
    pub(crate) fn of(id: &str) -> FileName {
        if is_plain(id) {
            return FileName { parents: Vec::new(), stem: id.to_owned() };
        }
        let encoded = encode(id);
        let mut parts: Vec<&str> = encoded.as_bytes().chunks(MAX_COMPONENT - 1).map(ascii).collect();
        let stem = format!("%{}", parts.pop().unwrap_or_default());
        // Percent-encoded text has no NUL, so the conversion loses no part. The `+` tells directories from files.
        let parents = parts.into_iter().filter_map(|part| CString::new(format!("%{part}+")).ok()).collect();
        FileName { parents, stem }
    }

    /// The id whose files have this stem and are below directories of these names, in this order.
    pub(crate) fn id_of(parents: &[String], stem: &str) -> Option<String> {
        let id = match (parents, stem.strip_prefix('%')) {
            ([], None) => stem.to_owned(),
            (_, encoded) => {
                let parents = parents.iter().map(|name| name.strip_prefix('%')?.strip_suffix('+'));
                decode(&parents.chain([encoded]).collect::<Option<String>>()?)?
            }
        };
        let name = FileName::of(&id);
        let same = name.parents.iter().map(|parent| parent.to_bytes()).eq(parents.iter().map(String::as_bytes));
        (same && name.stem == stem).then_some(id)
    }

    /// The last component with a prefix and a suffix.
    pub(crate) fn leaf(&self, prefix: &str, suffix: &str) -> CString {
        // With its NUL, so that nothing is allocated twice: a status has two of these for each of ten thousand proxies.
        let mut leaf = String::with_capacity(prefix.len() + self.stem.len() + suffix.len() + 1);
        [prefix, &self.stem, suffix].iter().for_each(|part| leaf.push_str(part));
        // Neither stems nor the literals used as prefix and suffix have a NUL byte.
        CString::new(leaf).unwrap_or_default()
    }
}

/// Whether an id can be a file name as it is: no separator, no leading dot (hidden, `.`, `..`), no leading `%` (ours),
/// no control character, not too long.
fn is_plain(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_COMPONENT
        && !id.starts_with(['.', '%'])
        && !id.contains(|character: char| character == '/' || character.is_control())
}

/// An id in ASCII without a separator: each byte that is no letter, digit, `-`, `_` or `.` is `%` and two hexadecimal digits.
pub(crate) fn encode(id: &str) -> String {
    let mut encoded = String::with_capacity(id.len() + 16);
    for &byte in id.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn decode(encoded: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), encoded.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'%', [high, low, after @ ..]) => (u8::from_str_radix(ascii(&[*high, *low]), 16).ok()?, after),
            (b'%', _) => return None,
            (byte, after) => (byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(name: &FileName) -> String {
        let parents = name.parents.iter().map(|parent| parent.to_str().unwrap().to_owned());
        FileName::id_of(&parents.collect::<Vec<_>>(), &name.stem).unwrap()
    }

    #[test]
    fn plain_names_stand_for_themselves_and_paths_do_not() {
        assert_eq!(FileName::of("web-proxy").leaf("", ".pid"), c"web-proxy.pid".to_owned());
        assert_eq!(FileName::of("100%").leaf("", ""), c"100%".to_owned());
        let cases = [
            ("../x", "%..%2Fx"),
            ("..", "%.."),
            (".a", "%.a"),
            ("a/b", "%a%2Fb"),
            ("%41", "%%2541"),
            ("a\nb", "%a%0Ab"),
        ];
        for (id, name) in cases {
            assert_eq!(FileName::of(id).leaf("", "").to_str().unwrap(), name);
        }
        assert_eq!(FileName::of(&"ä".repeat(512)).parents.len(), 15);
    }

    proptest! {
        #[test]
        fn every_id_comes_back_and_no_component_is_special_or_too_long(id in "\\PC{0,40}|[./%\\x00-\\x20a]{1,20}|.{150,1024}") {
            let name = FileName::of(&id);
            prop_assert_eq!(decode(&name), id);
            let leaf = name.leaf("", "");
            for part in name.parents.iter().chain([&leaf]) {
                let part = part.to_bytes();
                prop_assert!(part.len() <= MAX_COMPONENT + 1 && !part.contains(&b'/') && !part.starts_with(b"."));
            }
        }
    }
}
