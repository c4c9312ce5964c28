// SPDX-License-Identifier: MPL-2.0
//! What can happen to a file.

/// The first bytes of a file, of every length but the whole.
pub(crate) fn truncations(whole: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    // Without its newline it is whole.
    (0..whole.trim_ascii_end().len()).map(|length| whole[..length].to_vec())
}

/// The file with one bit flipped: in every byte one, and each of its bits in some.
pub(crate) fn flips(whole: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..whole.len()).map(|at| {
        let mut flipped = whole.to_vec();
        flipped[at] ^= 1 << (at % 8);
        flipped
    })
}

/// About so many of them, from the first to the last.
pub(crate) fn sample<T>(all: impl Iterator<Item = T>, count: usize) -> Vec<T> {
    let all: Vec<T> = all.collect();
    let step = (all.len() / count).max(1);
    all.into_iter().step_by(step).collect()
}

/// The whole file in other clothes.
pub(crate) fn disguises(whole: &str) -> Vec<(&'static str, Vec<u8>)> {
    let utf16 = |order: fn(u16) -> [u8; 2]| whole.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    vec![
        ("a byte order mark", format!("\u{feff}{whole}").into_bytes()),
        ("UTF-16, little endian", utf16(u16::to_le_bytes)),
        ("UTF-16, big endian", utf16(u16::to_be_bytes)),
        ("NUL bytes behind", format!("{whole}\0\0\0").into_bytes()),
        ("NUL bytes only", vec![0; whole.len()]),
        ("NUL bytes in the middle", whole.replacen(':', ":\0", 2).into_bytes()),
        ("garbage behind", format!("{whole}}}").into_bytes()),
        ("twice", format!("{whole}{whole}").into_bytes()),
        ("Latin-1", whole.replacen('"', "\"\u{e9}", 1).chars().map(|character| character as u8).collect()),
        ("a lone surrogate", whole.replacen('"', "\"\\ud800", 1).into_bytes()),
        ("an endless list", "[".repeat(100_000).into_bytes()),
        ("100,000 levels", format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)).into_bytes()),
        ("nothing", Vec::new()),
    ]
}
