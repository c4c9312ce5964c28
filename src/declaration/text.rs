// SPDX-License-Identifier: MPL-2.0
//! Bytes in JSON: a string where they are UTF-8, a list of numbers where they are not, so that nothing is lost. And
//! permissions, in octal digits.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde_json::Value;

/// The JSON form of an argument, path or variable.
pub(super) fn to_json(text: &OsStr) -> Value {
    match text.to_str() {
        Some(text) => text.into(),
        None => text.as_bytes().into(),
    }
}

/// The bytes of a string or of a list of numbers from 0 to 255.
pub(super) fn from_json(value: &Value) -> Option<OsString> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Array(numbers) => {
            let byte = |number: &Value| number.as_u64().and_then(|number| u8::try_from(number).ok());
            numbers.iter().map(byte).collect::<Option<Vec<u8>>>().map(OsString::from_vec)
        }
        _ => None,
    }
}

/// Three or four octal digits.
pub(super) fn octal(text: &str) -> Option<u32> {
    let is_octal = matches!(text.len(), 3 | 4) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    is_octal.then(|| u32::from_str_radix(text, 8).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let text = OsString::from_vec(bytes);
            let json = serde_json::to_string(&to_json(&text)).unwrap();
            prop_assert_eq!(from_json(&serde_json::from_str(&json).unwrap()), Some(text));
        }
    }
}
