// SPDX-License-Identifier: MPL-2.0
//! The name that a misspelt field was meant to be.

/// How many characters may be added, removed or replaced.
const MOST_EDITS: usize = 2;

/// The known name that is most like `word`: at most two edits away, and one for every three characters of the shorter one.
pub(super) fn similar<'a>(word: &str, known: &'a [String]) -> Option<&'a str> {
    let length = word.chars().take(100).count();
    let near = known.iter().filter_map(|name| {
        let (of_name, most) = (name.chars().count(), MOST_EDITS.min(length.min(name.chars().count()) / 3));
        // A word can be as long as a document.
        let edits = (of_name.abs_diff(length) <= most).then(|| distance(word, name))?;
        (edits <= most).then_some((edits, name))
    });
    near.min().map(|(_, name)| name.as_str())
}

/// The Levenshtein distance: how many characters have to be added, removed or replaced to make one word of the other.
fn distance(word: &str, name: &str) -> usize {
    let name: Vec<char> = name.chars().collect();
    let mut last: Vec<usize> = (0..=name.len()).collect();
    for (removed, of_word) in word.chars().enumerate() {
        let mut next = vec![removed + 1];
        for (at, of_name) in name.iter().enumerate() {
            let replaced = last[at] + usize::from(of_word != *of_name);
            next.push(replaced.min(last[at + 1] + 1).min(next[at] + 1));
        }
        last = next;
    }
    last[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_name_has_a_similar_one_and_another_word_has_none() {
        let known = ["mode", "command", "dir", "env", "tcp", "fd", "stop_signal", "stop"].map(str::to_owned);
        let cases = [
            ("comand", Some("command")),
            ("comamnd", Some("command")),
            ("Mode", Some("mode")),
            ("stop_singal", Some("stop_signal")),
            ("stopp", Some("stop")),
            ("dirr", Some("dir")),
            ("udp", None),
            ("d", None),
            ("", None),
            ("x", None),
            ("directory", None),
        ];
        for (word, meant) in cases {
            assert_eq!(similar(word, &known), meant, "{word}");
        }
        assert_eq!(similar(&"command".repeat(1000), &known), None);
    }
}
