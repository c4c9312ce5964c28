// SPDX-License-Identifier: MPL-2.0
//! Where a declaration contradicts what its program was seen to do. Nothing is changed for it: it is said.

use serde_json::Value;

use super::{Played, Program};

/// A contradiction.
#[derive(Debug)]
pub(crate) struct Contradiction {
    /// By which name it is silenced.
    pub(crate) name: &'static str,
    /// The field of the declaration that it is about.
    pub(crate) field: &'static str,
    /// What the program does, and what to declare.
    pub(crate) reason: String,
}

/// What there is to say of a declaration, as the library writes it, whose program was played in this version.
pub(crate) fn contradictions(
    program: &Program,
    played: &Played<'_>,
    declared: &Value,
    is_root: bool,
) -> Vec<Contradiction> {
    let it = format!("{} {}", program.name(), played.version);
    let mut found = Vec::new();
    let mut say =
        |name, field, reason: String| found.push(Contradiction { name, field, reason: format!("{it} {reason}") });

    let arguments =
        declared["command"].as_array().into_iter().flatten().skip(1).filter_map(Value::as_str).collect::<Vec<_>>();
    if played.cell("background") == "goes into the background" && !program.is_kept(&arguments) {
        let switch = program.foreground().join(" ");
        say(
            "background",
            "command",
            format!("puts itself into the background without {switch}, and has ended then as far as the agent can see"),
        );
    }
    let signals = signals_of_stop(declared);
    let is_ignored = |signal: &String| matches!(played.cell(&format!("stop_{signal}")), "ignored");
    if !signals.is_empty() && signals.iter().all(is_ignored) {
        let names = signals.join(" and ");
        let better = ["SIGTERM", "SIGINT", "SIGQUIT"].into_iter().find(|signal| {
            let cell = played.cell(&format!("stop_{signal}"));
            cell.starts_with("drains") || cell.starts_with("cuts")
        });
        let better = better.map_or(String::new(), |signal| format!(": declare {signal}"));
        say("stop", "stop_signal", format!("ignores {names}, so each stop takes its time and ends by SIGKILL{better}"));
    }
    let waits_for_notify = declared["ready"] == "notify";
    let has_socket = waits_for_notify
        || declared["watchdog_ms"].as_u64().unwrap_or(0) > 0
        || declared["fd_store_max"].as_u64().unwrap_or(0) > 0;
    match played.cell("notify") {
        "not sent" if waits_for_notify => {
            say("notify", "ready", "does not send READY=1, so it is never ready".to_owned())
        }
        "does not start" if has_socket => {
            say("notify", "ready", "does not start with NOTIFY_SOCKET in its environment".to_owned())
        }
        _ => {}
    }
    if let Some(code) = played.cell("idle_exit").strip_prefix("exit code ").and_then(|code| code.parse::<u64>().ok()) {
        let expects = |expected: &Value| expected.as_array().into_iter().flatten().any(|one| *one == code);
        if code != 0 && declared["restart"]["policy"] == "on-failure" && !expects(&declared["expected_exit"]) {
            say(
                "exit",
                "expected_exit",
                format!(
                    "ends with exit code {code} when it is stopped in order, which counts as a failure unless it is in expected_exit"
                ),
            );
        }
    }
    if played.cell("agent_ends") == "ends" && declared["detached"] != true {
        say(
            "detached",
            "detached",
            "asks to be ended with its parent, so it ends with the agent: declare `detached`".to_owned(),
        );
    }
    if played.cell("taken").starts_with("stays alive")
        && declared["ready"].is_null() | (declared["ready"] == "started")
        && has_none(&declared["listen"])
    {
        say(
            "port",
            "ready",
            "stays alive without its port where that is taken: declare a `ready` that asks for it".to_owned(),
        );
    }
    if let Some(signal) =
        declared["reload"]["signal"].as_str().filter(|signal| played.cell(&format!("on_{signal}")).starts_with("ends"))
    {
        say("reload", "reload", format!("ends at {signal}, and so with each reload"));
    }
    if played.cell("beside").starts_with("exit") && declared["replace"] == "overlap" && has_none(&declared["listen"]) {
        say(
            "overlap",
            "replace",
            format!("does not start beside another one with the same address ({})", played.cell("beside")),
        );
    }
    if played.cell("as_root").starts_with("exit")
        && is_root
        && declared["user"].is_null()
        && declared["credentials"].is_null()
    {
        say("root", "user", format!("does not run as root ({}): declare a `user`", played.cell("as_root")));
    }
    if played.cell("listen_fds") == "not taken" && !has_none(&declared["listen"]) && !names_descriptor(declared) {
        say(
            "listen",
            "listen",
            "does not take LISTEN_FDS, and is not told the number of a socket by {fd:NAME}".to_owned(),
        );
    }
    found
}

/// The signals that a stop sends; none where it runs commands too, of which nothing is known.
fn signals_of_stop(declared: &Value) -> Vec<String> {
    let Some(steps) = declared["stop"].as_array().filter(|steps| !steps.is_empty()) else {
        return vec![declared["stop_signal"].as_str().unwrap_or("SIGINT").to_owned()];
    };
    let signals: Option<Vec<String>> = steps.iter().map(|step| step["signal"].as_str().map(str::to_owned)).collect();
    signals.unwrap_or_default()
}

fn has_none(list: &Value) -> bool {
    list.as_array().is_none_or(Vec::is_empty)
}

fn names_descriptor(declared: &Value) -> bool {
    let texts = ["command", "env"].into_iter().flat_map(|field| declared[field].as_array().into_iter().flatten());
    texts.filter_map(Value::as_str).any(|text| text.contains("{fd:"))
}
