// SPDX-License-Identifier: MPL-2.0
//! What a declaration leaves open and a start fills in, in arguments and in the values of variables: `{generation}`, `{epoch}`
//! and `{fd:NAME}`, the number that a socket of `listen` has in the process. All other text in braces stays as it is.
//!
//! Declarations are compared as they are declared, so that no two starts of the same one differ.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::listen::{FIRST_DESCRIPTOR, Listen, shown};
use crate::lifecycle::start_numbers::StartNumbers;

const GENERATION: &[u8] = b"{generation}";
const EPOCH: &[u8] = b"{epoch}";
const DESCRIPTOR: &[u8] = b"{fd:";

/// The digits of the largest number.
const MAX_DIGITS: usize = 20;

/// A part of a declared text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a [u8]),
    Generation,
    Epoch,
    /// That of the socket with this name.
    Descriptor(&'a [u8]),
}

/// A declared text as a process with these numbers and sockets gets it. Where there are no sockets, `{fd:NAME}` is text.
pub(crate) fn filled(text: &OsStr, numbers: StartNumbers, sockets: &[Listen]) -> OsString {
    let mut filled = Vec::with_capacity(text.len());
    for piece in pieces(text.as_bytes(), !sockets.is_empty()) {
        match piece {
            Piece::Text(text) => filled.extend_from_slice(text),
            Piece::Generation => filled.extend_from_slice(numbers.generation.to_string().as_bytes()),
            Piece::Epoch => filled.extend_from_slice(numbers.epoch.to_string().as_bytes()),
            Piece::Descriptor(name) => match descriptor(name, sockets) {
                Some(number) => filled.extend_from_slice(number.to_string().as_bytes()),
                // Refused when the declaration was validated.
                None => filled.extend_from_slice(&[DESCRIPTOR, name, b"}"].concat()),
            },
        }
    }
    OsString::from_vec(filled)
}

/// The first name in a `{fd:NAME}` of this text that no socket has.
pub(super) fn unknown_socket(text: &OsStr, sockets: &[Listen]) -> Option<String> {
    pieces(text.as_bytes(), true).find_map(|piece| match piece {
        Piece::Descriptor(name) if descriptor(name, sockets).is_none() => Some(shown(OsStr::from_bytes(name))),
        _ => None,
    })
}

/// Whether a process that was started from the declared text may have the one that was found, whichever numbers it has.
/// Earlier versions filled in nothing.
pub(crate) fn may_become(declared: &OsStr, found: &OsStr) -> bool {
    let (declared, found) = (declared.as_bytes(), found.as_bytes());
    let lengths = |piece| if pieces(declared, false).any(|it| it == piece) { 1..=MAX_DIGITS } else { 0..=0 };
    declared == found
        || lengths(Piece::Generation)
            .any(|generation| lengths(Piece::Epoch).any(|epoch| fits(declared, found, generation, epoch)))
}

/// Whether the text that was found is the declared one, with numbers of so many digits.
fn fits(declared: &[u8], found: &[u8], generation: usize, epoch: usize) -> bool {
    let (mut left, mut numbers) = (found, [None; 2]);
    let all = pieces(declared, false).all(|piece| {
        let (length, number) = match piece {
            Piece::Text(text) => (text.len(), None),
            Piece::Generation => (generation, Some(&mut numbers[0])),
            Piece::Epoch => (epoch, Some(&mut numbers[1])),
            Piece::Descriptor(_) => return false,
        };
        let Some((part, rest)) = left.split_at_checked(length) else { return false };
        left = rest;
        match (piece, number) {
            (Piece::Text(text), _) => text == part,
            (_, Some(number)) => part.iter().all(u8::is_ascii_digit) && *number.get_or_insert(part) == part,
            (_, None) => false,
        }
    });
    all && left.is_empty()
}

/// The parts of a declared text, in order.
fn pieces(text: &[u8], with_descriptors: bool) -> impl Iterator<Item = Piece<'_>> {
    let mut left = text;
    std::iter::from_fn(move || {
        let begins = |at: &usize| left[*at] == b'{' && placeholder(&left[*at..], with_descriptors).is_some();
        let at = (0..left.len()).find(begins).unwrap_or(left.len());
        let (before, rest) = left.split_at(at);
        if !before.is_empty() {
            left = rest;
            return Some(Piece::Text(before));
        }
        let (piece, length) = placeholder(rest, with_descriptors)?;
        left = &rest[length..];
        Some(piece)
    })
}

/// The placeholder that the text begins with, and its length.
fn placeholder(text: &[u8], with_descriptors: bool) -> Option<(Piece<'_>, usize)> {
    if text.starts_with(GENERATION) {
        return Some((Piece::Generation, GENERATION.len()));
    }
    if text.starts_with(EPOCH) {
        return Some((Piece::Epoch, EPOCH.len()));
    }
    let rest = text.strip_prefix(DESCRIPTOR).filter(|_| with_descriptors)?;
    let end = rest.iter().position(|&byte| byte == b'}')?;
    Some((Piece::Descriptor(&rest[..end]), DESCRIPTOR.len() + end + 1))
}

/// The number of the socket with this name.
fn descriptor(name: &[u8], sockets: &[Listen]) -> Option<u32> {
    let at = sockets.iter().position(|socket| socket.name.as_deref().is_some_and(|own| own.as_bytes() == name))?;
    Some(FIRST_DESCRIPTOR + at as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::generation::Generation;
    use crate::lifecycle::start_numbers::Epoch;

    fn sockets() -> Vec<Listen> {
        let named =
            |(port, name): (u32, &str)| Listen::new(format!("tcp:127.0.0.1:{port}").parse().unwrap()).with_name(name);
        [(1, "web"), (2, "admin x")].map(named).into()
    }

    fn numbers(generation: u64, epoch: u64) -> StartNumbers {
        StartNumbers { generation: Generation::of(generation), epoch: Epoch::of(epoch) }
    }

    #[test]
    fn each_placeholder_is_filled_in_and_other_braces_stay() {
        let of_seven =
            |text: &str, sockets: &[Listen]| filled(OsStr::new(text), numbers(7, 2), sockets).into_string().unwrap();
        let cases = [
            ("", ""),
            ("{generation}", "7"),
            ("{epoch}", "2"),
            ("--restart-epoch={epoch}", "--restart-epoch=2"),
            ("a-{generation}.sock,{epoch}{generation}", "a-7.sock,27"),
            ("{{generation}} {{epoch}}", "{7} {2}"),
            ("{{{epoch}", "{{2"),
        ];
        for (text, expected) in cases {
            assert_eq!(of_seven(text, &[]), expected);
            assert_eq!(of_seven(text, &sockets()), expected);
        }
        let others = ["{Generation}", "{generation", "generation}", "{ epoch }", "{epoch", "${GENERATION}", "{}", "ä"];
        for other in others {
            assert_eq!(of_seven(other, &[]), other);
            assert_eq!(of_seven(other, &sockets()), other);
        }
        let bytes = OsStr::from_bytes(b"\xff{generation}\xfe{epoch}");
        let largest = filled(bytes, numbers(u64::MAX, u64::MAX), &[]);
        assert_eq!(largest.as_bytes(), b"\xff18446744073709551615\xfe18446744073709551615");
    }

    #[test]
    fn names_of_sockets_are_replaced_by_their_numbers_where_there_are_sockets() {
        let cases = [
            ("fd@{fd:web}", "fd@3"),
            ("{fd:web};{fd:admin x};{epoch}", "3;4;{epoch}"),
            ("{fd:web", "{fd:web"),
            ("{fd}", "{fd}"),
            ("{{fd:web}}", "{3}"),
        ];
        for (text, expected) in cases {
            let expected = expected.replace("{epoch}", "2");
            assert_eq!(filled(OsStr::new(text), numbers(7, 2), &sockets()), *expected);
            let text_alone = text.replace("{epoch}", "2");
            assert_eq!(filled(OsStr::new(text), numbers(7, 2), &[]), *text_alone);
        }
        assert_eq!(filled(OsStr::new("{fd:{generation}}"), numbers(7, 2), &[]), "{fd:7}");
        let bytes = OsString::from_vec(b"\xff{fd:web}\xfe".to_vec());
        assert_eq!(filled(&bytes, numbers(7, 2), &sockets()).as_bytes(), b"\xff3\xfe");
    }

    #[test]
    fn unknown_name_is_found_behind_a_known_one() {
        let unknown = |text: &str| unknown_socket(OsStr::new(text), &sockets());
        assert_eq!(unknown("{fd:web} {epoch} {fd:other}").as_deref(), Some("other"));
        assert_eq!(unknown("{fd:}").as_deref(), Some(""));
        assert_eq!(unknown("{fd:{generation}}").as_deref(), Some("{generation"));
        assert_eq!(unknown("{fd:web} {fd:admin x} {epoch}"), None);
    }

    #[test]
    fn text_of_any_start_may_be_of_the_declaration() {
        let may = |declared: &str, found: &str| may_become(OsStr::new(declared), OsStr::new(found));
        for (name, other) in [("{generation}", "{epoch}"), ("{epoch}", "{generation}")] {
            let may = |declared: &str, found: &str| may(&declared.replace("{}", name), &found.replace("{}", name));
            for found in ["a1b", "a1234b", "a{}b", "a18446744073709551615b", "a0b"] {
                assert!(may("a{}b", found), "{found}");
            }
            for found in ["ab", "axb", "a1", "1b", "a1b ", "a-1b", "a1c", "a118446744073709551615b", other] {
                assert!(!may("a{}b", found), "{found}");
            }
            assert!(may("{}{}", "77") && may("1{}1", "111"));
            assert!(!may("{}{}", "78") && !may("{}{}", "777"));
        }
        assert!(may("same", "same") && may("", "") && !may("same", "other") && !may("", "1"));
        assert!(may("{generation}{epoch}", "123") && may("{epoch}-{generation}-{epoch}", "0-12-0"));
        assert!(!may("{generation}{epoch}", "1") && !may("{epoch}-{generation}-{epoch}", "0-12-1"));
        for (generation, epoch) in [(1, 0), (9, 9), (10, 1), (4711, 10)] {
            for declared in ["{generation}", "x{epoch}", "{generation}0{epoch}{generation}", "0{epoch}0{epoch}"] {
                let found = filled(OsStr::new(declared), numbers(generation, epoch), &[]);
                assert!(may_become(OsStr::new(declared), &found), "{declared} {generation} {epoch}");
            }
        }
    }
}
