// SPDX-License-Identifier: MPL-2.0
//! The kernel's random source.

use std::io;

use super::check;

/// Fills a buffer of at most 256 bytes from getrandom(2), which is never short for so few.
fn fill(buffer: &mut [u8]) -> io::Result<()> {
    loop {
        // SAFETY: the pointer and length are of one live buffer.
        let result = unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        match check(result as i64) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A new secret of 122 random bits in the form of a version 4 UUID, as the original's tokens have.
pub(crate) fn uuid() -> io::Result<String> {
    let mut bytes = [0u8; 16];
    fill(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.extend([byte >> 4, byte & 0x0f].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
    }
    Ok(text)
}

/// 128 random bits.
pub(crate) fn number() -> io::Result<u128> {
    let mut bytes = [0u8; 16];
    fill(&mut bytes)?;
    Ok(u128::from_ne_bytes(bytes))
}

/// A number in `0.0..1.0`, for jitter.
pub(crate) fn chance() -> f64 {
    let mut bytes = [0u8; 8];
    // Without a random source every wait is the full one, which is always within the declared bounds.
    if fill(&mut bytes).is_err() {
        return 0.0;
    }
    (u64::from_ne_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_of_version_4_and_differ() {
        let (one, two) = (uuid().unwrap(), uuid().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 36);
        let groups: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert!(one.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(matches!(one.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }
}
