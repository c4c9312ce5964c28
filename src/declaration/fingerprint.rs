// SPDX-License-Identifier: MPL-2.0
//! A digest of what a process was started from, stored in its record.
//!
//! A record and a snapshot are two files: an agent may die between writing the new declaration and replacing the old
//! process. The digest tells whether the process that lives is one of the declaration that is stored.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;

/// 128 bits of FNV-1a over an unambiguous encoding. Not a secret and no protection: both files are the owner's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(u128);

impl Fingerprint {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013B;
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;

    pub(crate) fn new() -> Fingerprint {
        Fingerprint(Fingerprint::BASIS)
    }

    /// Adds a field; lengths are part of the digest, so that neighbours cannot run into each other.
    pub(crate) fn add(self, field: &OsStr) -> Fingerprint {
        let length = (field.len() as u64).to_le_bytes();
        length.iter().chain(field.as_bytes()).fold(self, |digest, &byte| digest.byte(byte))
    }

    /// Adds a list, with its length.
    pub(crate) fn add_list<'a>(self, fields: impl ExactSizeIterator<Item = &'a OsStr>) -> Fingerprint {
        let counted = self.add(OsStr::new(&fields.len().to_string()));
        fields.fold(counted, Fingerprint::add)
    }

    /// Adds a field that may be absent, which is not the same as empty.
    pub(crate) fn add_optional(self, field: Option<&OsStr>) -> Fingerprint {
        self.add_list(field.into_iter())
    }

    /// Adds a part of one long text, which has the same digest in whatever parts it comes.
    pub(crate) fn add_part(self, part: &[u8]) -> Fingerprint {
        part.iter().fold(self, |digest, &byte| digest.byte(byte))
    }

    fn byte(self, byte: u8) -> Fingerprint {
        Fingerprint((self.0 ^ u128::from(byte)).wrapping_mul(Fingerprint::PRIME))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Fingerprint, Self::Err> {
        u128::from_str_radix(text, 16).map(Fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Fingerprint {
        Fingerprint::new().add_list(words.iter().map(OsStr::new))
    }

    #[test]
    fn it_is_the_published_hash() {
        // The test vector of the FNV-1a specification for "a".
        assert_eq!(Fingerprint::new().byte(b'a').to_string(), "d228cb696f1a8caf78912b704e4a8964");
    }

    #[test]
    fn what_differs_has_another_digest_and_text_comes_back() {
        let different = [of(&[]), of(&[""]), of(&["", ""]), of(&["ab"]), of(&["a", "b"]), of(&["b", "a"])];
        for (index, one) in different.iter().enumerate() {
            assert!(different[index + 1..].iter().all(|other| other != one));
            assert_eq!(one.to_string().parse::<Fingerprint>().unwrap(), *one);
        }
    }
}
