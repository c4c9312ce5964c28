// SPDX-License-Identifier: MPL-2.0
//! What a declaration leaves open and a start fills in: `{generation}` in arguments and in the values of variables.
//!
//! Declarations are compared as they are declared, so that no two starts of the same one differ.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::lifecycle::generation::Generation;

/// Stands for the number of the generation.
const GENERATION: &[u8] = b"{generation}";

/// The digits of the largest number.
const MAX_DIGITS: usize = 20;

/// A declared text as a process of this generation gets it.
pub(super) fn filled(text: &OsStr, generation: Generation) -> OsString {
    let number = generation.to_string();
    OsString::from_vec(parts(text.as_bytes()).collect::<Vec<_>>().join(number.as_bytes()))
}

/// Whether a process that was started from the declared text may have the one that was found, whichever generation it is.
/// Earlier versions filled in nothing.
pub(crate) fn may_become(declared: &OsStr, found: &OsStr) -> bool {
    if declared == found {
        return true;
    }
    let (declared, found) = (declared.as_bytes(), found.as_bytes());
    let numbers = parts(declared).count() - 1;
    let fixed = declared.len() - numbers * GENERATION.len();
    let Some(digits) = found.len().checked_sub(fixed).and_then(|left| left.checked_div(numbers)) else { return false };
    let first = parts(declared).next().map_or(0, <[u8]>::len);
    let Some(number) = found.get(first..first + digits) else { return false };
    (1..=MAX_DIGITS).contains(&digits)
        && number.iter().all(u8::is_ascii_digit)
        && parts(declared).collect::<Vec<_>>().join(number) == found
}

/// The text around the numbers: one part more than there are numbers.
fn parts(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut left = Some(text);
    std::iter::from_fn(move || {
        let text = left?;
        let at = text.windows(GENERATION.len()).position(|part| part == GENERATION);
        let (part, rest) = at.map_or((text, None), |at| (&text[..at], Some(&text[at + GENERATION.len()..])));
        left = rest;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_seven(text: &str) -> String {
        filled(OsStr::new(text), Generation::of(7)).into_string().unwrap()
    }

    #[test]
    fn each_placeholder_becomes_the_number_and_other_braces_stay() {
        assert_eq!(of_seven(""), "");
        assert_eq!(of_seven("{generation}"), "7");
        assert_eq!(of_seven("a-{generation}.sock,{generation}"), "a-7.sock,7");
        assert_eq!(of_seven("{{generation}}"), "{7}");
        for other in ["{Generation}", "{generation", "generation}", "{ generation }", "${GENERATION}", "{}", "ä"] {
            assert_eq!(of_seven(other), other);
        }
        let bytes = OsStr::from_bytes(b"\xff{generation}\xfe");
        assert_eq!(filled(bytes, Generation::of(u64::MAX)).as_bytes(), b"\xff18446744073709551615\xfe");
    }

    #[test]
    fn text_of_any_generation_may_be_of_the_declaration() {
        let may = |declared: &str, found: &str| may_become(OsStr::new(declared), OsStr::new(found));
        for found in ["a1b", "a1234b", "a{generation}b", "a18446744073709551615b"] {
            assert!(may("a{generation}b", found), "{found}");
        }
        for found in ["ab", "axb", "a1", "1b", "a1b ", "a-1b", "a1c", "a118446744073709551615b"] {
            assert!(!may("a{generation}b", found), "{found}");
        }
        assert!(may("{generation}{generation}", "77") && may("1{generation}1", "111"));
        assert!(!may("{generation}{generation}", "78") && !may("{generation}{generation}", "777"));
        assert!(may("same", "same") && may("", "") && !may("same", "other") && !may("", "1"));
        for number in [1, 9, 10, 4711] {
            for declared in ["{generation}", "x{generation}", "{generation}0{generation}", "0{generation}0"] {
                let found = filled(OsStr::new(declared), Generation::of(number));
                assert!(may_become(OsStr::new(declared), &found), "{declared} {number}");
            }
        }
    }
}
