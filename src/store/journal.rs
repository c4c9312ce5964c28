// SPDX-License-Identifier: MPL-2.0
//! The journal: entries written after the snapshot, ahead of a start or because of a change, so that the snapshot of
//! ten thousand proxies need not be rewritten because one of them changed.
//!
//! The first line identifies the snapshot that the other lines follow, by its digest. Each other line is a snapshot of
//! what began or changed, with null for what was removed. Earlier versions write no null, and report one that they read
//! as refused. A journal that follows another snapshot than the present one is obsolete: the present snapshot already
//! contains it.

use super::snapshot::{self, Snapshot};
use crate::declaration::Fingerprint;

/// The first line.
pub(super) fn header(snapshot: Fingerprint) -> String {
    format!("{snapshot}\n")
}

/// Adds what was written after a snapshot, whose text is given, to what was in it.
///
/// A last line without an end is of a write that the agent did not live to finish: nothing of it was started.
pub(crate) fn add(snapshot: &mut Snapshot, text: &[u8], ahead: &[u8]) {
    let mut lines = ahead.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"));
    // The digest of a large snapshot takes milliseconds, and most of the time nothing follows it.
    let Some(first) = lines.next() else { return };
    if first != header(Fingerprint::new().add_part(text)).as_bytes() {
        return;
    }
    for line in lines {
        if let Err(error) = snapshot::apply_changes(snapshot, line) {
            snapshot.refused.push(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOT: &[u8] = br#"{"Version":2,"Proxies":{"a":{"Mode":"noop","Config":{}}}}"#;

    fn ids(text: &[u8], ahead: &[u8]) -> Vec<String> {
        let mut snapshot = snapshot::decode(text).unwrap();
        add(&mut snapshot, text, ahead);
        assert!(snapshot.refused.is_empty(), "{:?}", snapshot.refused);
        snapshot.proxies.into_keys().collect()
    }

    fn ahead(lines: &[&str]) -> Vec<u8> {
        let mut text = header(Fingerprint::new().add_part(SNAPSHOT));
        for id in lines {
            text += &format!("{{\"Version\":2,\"Proxies\":{{\"{id}\":{{\"Mode\":\"noop\",\"Config\":{{}}}}}}}}\n");
        }
        text.into_bytes()
    }

    #[test]
    fn what_follows_the_snapshot_is_added_as_far_as_it_is_whole() {
        let whole = ahead(&["b", "a", "c"]);
        let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
        for length in 0..=whole.len() {
            let lines = ends.iter().filter(|end| **end < length).count();
            let expected: &[&str] = match lines {
                0 | 1 => &["a"],
                2 | 3 => &["a", "b"],
                _ => &["a", "b", "c"],
            };
            assert_eq!(ids(SNAPSHOT, &whole[..length]), expected, "{length} bytes");
        }
    }

    #[test]
    fn what_was_removed_is_gone_until_it_comes_again() {
        let removed = b"{\"Version\":2,\"Proxies\":{\"a\":null,\"c\":null,\"never\":null}}\n";
        let whole = [&ahead(&["b", "c"])[..], removed].concat();
        assert_eq!(ids(SNAPSHOT, &whole), ["b"]);
        let again = &ahead(&["a"])[header(Fingerprint::new()).len()..];
        assert_eq!(ids(SNAPSHOT, &[&whole, again].concat()), ["a", "b"]);
        // A snapshot has no such entries.
        let text = br#"{"Version":2,"Proxies":{"a":null}}"#;
        assert_eq!(snapshot::decode(text).unwrap().refused.len(), 1);
    }

    #[test]
    fn what_follows_another_snapshot_counts_for_nothing() {
        let other = br#"{"Version":2,"Proxies":{"z":{"Mode":"noop","Config":{}}}}"#;
        assert_eq!(ids(other, &ahead(&["b"])), ["z"]);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_reported() {
        let mut snapshot = snapshot::decode(SNAPSHOT).unwrap();
        add(&mut snapshot, SNAPSHOT, &[&ahead(&["b"])[..], b"{}\n"].concat());
        assert_eq!((snapshot.proxies.len(), snapshot.refused.len()), (2, 1));
    }
}
