// SPDX-License-Identifier: MPL-2.0
//! The digest at the end of a record, which shows whether the record is damaged. Computed without allocation, because
//! the child between clone and exec computes the digest of its own record.

/// The digest of nothing.
pub(crate) const EMPTY: u64 = 0xcbf2_9ce4_8422_2325;

/// Goes on from the digest of what was before (64 bits of FNV-1a). It finds accidents, and protects from no attacker.
pub(crate) fn add(digest: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(digest, |digest, &byte| (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_hash_and_goes_on() {
        // The test vectors of the FNV-1a specification.
        assert_eq!(add(EMPTY, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(add(add(EMPTY, b"foo"), b"bar"), 0x8594_4171_f739_67e8);
    }
}
