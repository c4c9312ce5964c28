// SPDX-License-Identifier: MPL-2.0
//! Which ports a program may mean that says an address is in use.

use std::ffi::OsString;

/// What programs write of EADDRINUSE: the text of strerror(3) without its first letter, which some write small; and its name.
const SIGNS: [&str; 3] = ["ddress already in use", "ddress in use", "EADDRINUSE"];

/// The ports that a taken address may have, the likeliest first: those that the lines name which say so, else those of the
/// arguments of the program. None when no line says so.
pub(crate) fn ports(lines: &[String], argv: &[OsString]) -> Vec<u16> {
    let mut said = lines.iter().rev().filter(|line| SIGNS.iter().any(|sign| line.contains(sign))).peekable();
    if said.peek().is_none() {
        return Vec::new();
    }
    let named: Vec<u16> = said.flat_map(|line| named_ports(line)).collect();
    if !named.is_empty() {
        return named;
    }
    let of_word = |word: &OsString| numbers(&word.to_string_lossy()).map(|(_, number)| number).collect::<Vec<_>>();
    argv.iter().flat_map(of_word).collect()
}

/// The ports of the addresses in a line: behind a colon, or the word "port". The minutes and seconds of a time are none.
fn named_ports(line: &str) -> Vec<u16> {
    let is_port = |before: &str| {
        let is_time = |before: &str| {
            let hours = before.trim_end_matches(|c: char| c.is_ascii_digit());
            before.len() - hours.len() == 2 && !hours.ends_with('.')
        };
        before.strip_suffix(':').is_some_and(|before| !is_time(before)) || before.trim_end().ends_with("port")
    };
    numbers(line).filter(|(before, _)| is_port(before)).map(|(_, number)| number).collect()
}

/// The numbers of a text that a port can have, each with what is before it.
fn numbers(text: &str) -> impl Iterator<Item = (&str, u16)> {
    let is_digit = |c: char| c.is_ascii_digit();
    let begins = move |(at, c): &(usize, char)| is_digit(*c) && !text[..*at].ends_with(is_digit);
    text.char_indices().filter(begins).filter_map(move |(at, _)| {
        let (before, number) = text.split_at(at);
        let number = number.split(|c: char| !is_digit(c)).next()?.parse().ok()?;
        (number > 0).then_some((before, number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str], argv: &[&str]) -> Vec<u16> {
        let lines: Vec<String> = lines.iter().map(|line| line.to_string()).collect();
        ports(&lines, &argv.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn ports_of_lines_that_say_that_an_address_is_in_use_are_candidates() {
        let nginx = "2026/11/29 22:05:01 [emerg] 7#7: bind() to 0.0.0.0:80 failed (98: Address already in use)";
        assert_eq!(of(&["listening on 1.1.1.1:9", nginx], &["x", "7777"]), [80]);
        let go = "listen tcp :8443: bind: address already in use";
        assert_eq!(of(&[nginx, go], &[]), [8443, 80]);
        assert_eq!(of(&["Error: listen EADDRINUSE: address already in use :::3000"], &[]), [3000]);
        assert_eq!(of(&["cannot bind socket (Address already in use) [127.0.0.1:8080]"], &[]), [8080]);
        assert_eq!(of(&["\u{e4}: port 8000: Address already in use"], &[]), [8000]);
    }

    #[test]
    fn without_a_port_in_the_line_those_of_the_arguments_are_candidates() {
        assert_eq!(of(&["OSError: [Errno 98] Address already in use"], &["http.server", "--port=8000"]), [8000]);
        assert_eq!(of(&["all is well at 127.0.0.1:80"], &["8000"]), [0; 0]);
    }
}
