// SPDX-License-Identifier: MPL-2.0
//! The known word that a mistyped one was meant to be.

/// How many characters may be added, removed or replaced.
const MOST_EDITS: usize = 2;

/// The name that is most like a word, if any is like it.
pub(crate) fn nearest<S: AsRef<str> + Ord>(word: &str, names: impl IntoIterator<Item = S>) -> Option<S> {
    // A word can be as long as a document.
    let length = word.chars().take(100).count();
    let is_as_long = |name: &S| name.as_ref().chars().count().abs_diff(length) <= MOST_EDITS;
    let near = names.into_iter().filter(is_as_long).map(|name| (distance(word, name.as_ref()), name));
    near.filter(|(edits, _)| *edits <= MOST_EDITS).min().map(|(_, name)| name)
}

/// How many characters have to be added, removed or replaced to make one word of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, of_a) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, of_b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(of_a != *of_b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[b.len()]
}
