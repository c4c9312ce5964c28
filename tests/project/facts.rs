// SPDX-License-Identifier: MPL-2.0
//! What the pages say of settings, errors and codes is what the library says.

use std::time::Duration;

use proxyprocess::{ErrorCode, State, defaults};

use crate::documentation::read;

fn milliseconds(period: Duration) -> String {
    period.as_millis().to_string()
}

/// The cells of the row that begins with this one.
fn row<'a>(page: &'a str, first: &str) -> Vec<&'a str> {
    let begin = format!("| {first} |");
    let row = page.lines().find(|line| line.starts_with(&begin)).unwrap_or_else(|| panic!("no row of {first}"));
    row.trim_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn defaults_of_declarations_are_those_of_the_library() {
    let page = read("docs/configuration.md");
    for (field, default) in [
        ("grace_period_ms", milliseconds(defaults::DAEMON_GRACE_PERIOD)),
        ("start_timeout_ms", milliseconds(defaults::START_TIMEOUT)),
        ("leftover_grace_ms", milliseconds(defaults::DAEMON_LEFTOVER_GRACE)),
        ("restart.healthy_after_ms", milliseconds(defaults::DAEMON_RESTART_HEALTHY)),
        ("restart.attempts_before_backoff", defaults::DAEMON_RESTART_BACKOFF_MIN.to_string()),
        ("restart.max_wait_ms", milliseconds(defaults::DAEMON_RESTART_MAX_WAIT)),
        ("restart.jitter", defaults::DAEMON_RESTART_JITTER.to_string()),
        ("event_capacity", defaults::EVENT_CAPACITY.to_string()),
    ] {
        assert_eq!(row(&page, &format!("`{field}`"))[2], default, "{field}");
    }
}

#[test]
fn variables_that_are_not_inherited_are_listed() {
    let page = read("docs/configuration.md");
    for name in defaults::HOST_VARIABLES {
        assert!(page.contains(&format!("`{name}`")), "docs/configuration.md does not name {name}");
    }
}

#[test]
fn declarations_in_the_pages_are_accepted() {
    let page = read("docs/configuration.md");
    let blocks: Vec<&str> = page.split("```json\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        State::new().replace_all_json(block).unwrap_or_else(|error| panic!("{error}: {block}"));
    }
}

#[test]
fn errors_of_declarations_are_those_of_the_library() {
    let page = read("docs/configuration.md");
    let told = page.split("```text\n").nth(1).and_then(|rest| rest.split("\n```").next()).expect("errors are listed");
    let wrong = [
        r#"{"web": {}}"#,
        r#"{"web": {"comand": ["a"]}}"#,
        r#"{"web": {"port": 1}}"#,
        r#"{"web": {"command": ["a"], "env": ["A=b", "secret"]}}"#,
        r#"{"web": {"command": ["a"], "grace_period_ms": -1}}"#,
        r#"{"web": {"command": ["a"], "restart": {"jitter": 2}}}"#,
        r#"{"web": {"command": ["a"], "restart": {"policy": "on_failure"}}}"#,
        r#"{"web": {"command": ["a"], "env": ["TZ=UTC"], "unset_env": ["TZ"]}}"#,
        r#"{"web": {"command": ["a"], "ready": {"fd": 2}}}"#,
        r#"{"web": {"command": ["a"], "stop_signal": 15, "stop": [{"signal": 15, "for_ms": 1}]}}"#,
        r#"{"web": {"command": ["a"], "listen": [{"address": "tcp:127.0.0.1:1", "mode": "0600"}]}}"#,
        r#"{"web": {"command": ["a"]}, "web": {"command": ["a"]}}"#,
    ];
    assert_eq!(told.lines().count(), wrong.len());
    for (told, wrong) in told.lines().zip(wrong) {
        let error = State::new().replace_all_json(wrong).expect_err(wrong);
        let beginning = told.trim_end_matches("...");
        assert!(error.to_string().starts_with(beginning), "{wrong}: {error}, and docs/configuration.md: {told}");
    }
}

#[test]
fn codes_are_listed_with_their_numbers() {
    let page = read("docs/troubleshooting.md");
    let codes = [
        ErrorCode::InvalidConfig,
        ErrorCode::InvalidId,
        ErrorCode::Io,
        ErrorCode::Locked,
        ErrorCode::Untrusted,
        ErrorCode::CorruptSnapshot,
        ErrorCode::Stopped,
        ErrorCode::Closed,
        ErrorCode::StillRunning,
        ErrorCode::Exhausted,
        ErrorCode::RootRefused,
        ErrorCode::UnknownMode,
        ErrorCode::StartFailed,
        ErrorCode::AdoptionRefused,
        ErrorCode::Forked,
        ErrorCode::Internal,
        ErrorCode::Unproven,
        ErrorCode::NotFound,
        ErrorCode::NotRunning,
        ErrorCode::Timeout,
        ErrorCode::CommandFailed,
        ErrorCode::InCallback,
    ];
    for code in codes {
        assert_eq!(row(&page, &format!("`{code:?}`"))[1], (code as i32).to_string());
    }
    let (page, header) = (read("docs/c.md"), read("include/proxyprocess.h"));
    let only_of_c = header.lines().filter_map(|line| line.trim().strip_prefix("PROXYPROCESS_E_")?.split_once(" = "));
    for (name, number) in only_of_c.map(|(name, number)| (name, number.trim_end_matches(','))) {
        let number: i32 = number.parse().expect("a number");
        if number < -100 {
            assert_eq!(row(&page, &format!("`{name}`"))[1], number.to_string());
        }
    }
}
