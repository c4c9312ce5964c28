// SPDX-License-Identifier: MPL-2.0
//! Which addresses a program may mean when it reports an address in use.

use std::borrow::Cow;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv6Addr};

/// What programs write of EADDRINUSE: the text of strerror(3) without its first letter, which some write small; and its name.
const SIGNS: [&str; 3] = ["ddress already in use", "ddress in use", "EADDRINUSE"];

/// An address in a text: the port, and the IP address where one is before it.
pub(crate) type Candidate = (Option<IpAddr>, u16);

/// The addresses that the last line names which says that one is in use, or those of the arguments of the program when it names
/// none. None when no line says so.
pub(crate) fn candidates(lines: &[String], argv: &[OsString]) -> Vec<Candidate> {
    let says_so = |line: &&String| SIGNS.iter().any(|sign| line.contains(sign));
    let Some(line) = lines.iter().rev().find(says_so) else { return Vec::new() };
    let named = addresses(line);
    if !named.is_empty() {
        return named;
    }
    let words: Vec<_> = argv.iter().map(|word| word.to_string_lossy()).collect();
    let named = addresses(&words.join(" "));
    if named.is_empty() { positional_ports(&words) } else { named }
}

/// Arguments that are a number, and not the value of an option.
fn positional_ports(words: &[Cow<'_, str>]) -> Vec<Candidate> {
    let pairs = words.iter().zip(words.iter().skip(1));
    let ports = pairs.filter(|(before, _)| !before.starts_with('-')).filter_map(|(_, word)| word.parse().ok());
    ports.filter(|port| *port > 0).map(|port| (None, port)).collect()
}

/// The ports behind a colon, or the word "port". The minutes and seconds of a time are none.
fn addresses(text: &str) -> Vec<Candidate> {
    let is_time = |before: &str| {
        let hours = before.trim_end_matches(|c: char| c.is_ascii_digit());
        before.len() - hours.len() == 2 && !hours.ends_with('.')
    };
    let candidate = |(before, port): (&str, u16)| match before.strip_suffix(':') {
        Some(before) if !is_time(before) && !ends_in_brackets(before, port) => Some((ip_at_the_end_of(before), port)),
        Some(_) => None,
        None => before.trim_end_matches(['=', ' ']).ends_with("port").then_some((None, port)),
    };
    numbers(text).filter_map(candidate).collect()
}

/// Whether a number is the end of an address of IPv6 in brackets.
fn ends_in_brackets(before: &str, number: u16) -> bool {
    let inside = before.rfind('[').map(|at| format!("{}:{number}", &before[at + 1..]));
    inside.is_some_and(|inside| inside.parse::<Ipv6Addr>().is_ok())
}

fn ip_at_the_end_of(text: &str) -> Option<IpAddr> {
    let is_of_ip = |c: char| c.is_ascii_hexdigit() || c == '.' || c == ':';
    let text = text.strip_suffix(']').unwrap_or(text);
    let begin =
        text.rfind(|c: char| !is_of_ip(c)).map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    text[begin..].parse().ok()
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

    fn of(lines: &[&str], argv: &[&str]) -> Vec<Candidate> {
        let lines: Vec<String> = lines.iter().map(|line| line.to_string()).collect();
        candidates(&lines, &argv.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn at(ip: &str, port: u16) -> Vec<Candidate> {
        vec![(ip.parse().ok(), port)]
    }

    #[test]
    fn addresses_of_the_last_line_that_says_that_one_is_in_use_are_candidates() {
        let nginx = "2026/11/29 22:05:01 [emerg] 7#7: bind() to 0.0.0.0:80 failed (98: Address already in use)";
        assert_eq!(of(&["listening on 1.1.1.1:9", nginx], &["--port", "7777"]), at("0.0.0.0", 80));
        assert_eq!(of(&[nginx, "listen tcp :8443: bind: address already in use"], &[]), at("", 8443));
        assert_eq!(of(&["Error: listen EADDRINUSE: address already in use :::3000"], &[]), at("::", 3000));
        assert_eq!(of(&["cannot bind socket (Address already in use) [127.0.0.1:8080]"], &[]), at("127.0.0.1", 8080));
        assert_eq!(of(&["bind [::1]:8080: Address already in use"], &[]), at("::1", 8080));
        assert_eq!(of(&["\u{e4}: port 8000: Address already in use"], &[]), at("", 8000));
        assert_eq!(of(&["\u{e4}:8000: Address already in use"], &[]), at("", 8000));
    }

    #[test]
    fn without_one_in_the_line_those_of_the_arguments_are_candidates() {
        let python = ["OSError: [Errno 98] Address already in use"];
        assert_eq!(of(&python, &["http.server", "--port=8000", "--rate", "22"]), at("", 8000));
        assert_eq!(of(&python, &["serve", "--listen", "127.0.0.1:8000", "--timeout", "22"]), at("127.0.0.1", 8000));
        assert_eq!(of(&python, &["python3", "-m", "http.server", "8000", "--rate", "22"]), at("", 8000));
        assert_eq!(of(&["all is well at 127.0.0.1:80"], &["--port", "8000"]), []);
    }
}
