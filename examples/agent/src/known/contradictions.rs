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

/// A declaration, as the library writes it, and its program, which was played in this version.
#[derive(Debug)]
pub(crate) struct Judged<'a> {
    pub(crate) program: &'a Program,
    pub(crate) played: &'a Played<'a>,
    pub(crate) declared: &'a Value,
    /// Whether the agent has the user of this command, and that is root.
    pub(crate) is_root: bool,
}

/// What is asked: its name, the field that it is about, and what there is to say.
type Question = (&'static str, &'static str, fn(&Judged<'_>) -> Option<String>);

const QUESTIONS: [Question; 10] = [
    ("background", "command", background),
    ("stop", "stop_signal", stop),
    ("notify", "ready", notify),
    ("exit", "expected_exit", exit),
    ("detached", "detached", detached),
    ("port", "ready", port),
    ("reload", "reload", reload),
    ("overlap", "replace", overlap),
    ("root", "user", root),
    ("listen", "listen", listen),
];

impl Judged<'_> {
    /// All that there is to say.
    pub(crate) fn contradictions(&self) -> Vec<Contradiction> {
        let it = format!("{} {}", self.program.name(), self.played.version);
        let found = QUESTIONS.iter().filter_map(|(name, field, ask)| Some((name, field, ask(self)?)));
        found.map(|(name, field, reason)| Contradiction { name, field, reason: format!("{it} {reason}") }).collect()
    }

    fn cell(&self, name: &str) -> &str {
        self.played.cell(name)
    }

    fn has_sockets(&self) -> bool {
        self.declared["listen"].as_array().is_some_and(|sockets| !sockets.is_empty())
    }

    /// The texts of a list of strings.
    fn texts(&self, field: &str) -> Vec<&str> {
        self.declared[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The signals that a stop sends; none where it runs commands too, of which nothing is known.
    fn signals_of_stop(&self) -> Vec<&str> {
        let Some(steps) = self.declared["stop"].as_array().filter(|steps| !steps.is_empty()) else {
            return vec![self.declared["stop_signal"].as_str().unwrap_or("SIGINT")];
        };
        steps.iter().map(|step| step["signal"].as_str()).collect::<Option<_>>().unwrap_or_default()
    }
}

fn background(it: &Judged<'_>) -> Option<String> {
    let arguments = it.texts("command");
    let goes = it.cell("background") == "goes into the background";
    let is_kept = it.program.is_kept(arguments.get(1..).unwrap_or_default());
    let switch = it.program.foreground().join(" ");
    (goes && !is_kept).then(|| {
        format!("puts itself into the background without {switch}, and has ended then as far as the agent can see")
    })
}

fn stop(it: &Judged<'_>) -> Option<String> {
    let of = |signal: &str| it.cell(&format!("stop_{signal}"));
    let signals = it.signals_of_stop();
    if signals.is_empty() || signals.iter().any(|signal| of(signal) != "ignored") {
        return None;
    }
    let ends = |signal: &&str| of(signal).starts_with("drains") || of(signal).starts_with("cuts");
    let better = ["SIGTERM", "SIGINT", "SIGQUIT"].into_iter().find(ends);
    let better = better.map_or(String::new(), |signal| format!(": declare {signal}"));
    Some(format!("ignores {}, so each stop takes its time and ends by SIGKILL{better}", signals.join(" and ")))
}

fn notify(it: &Judged<'_>) -> Option<String> {
    let is_wanted = it.declared["ready"] == "notify";
    let has_number = |field: &str| it.declared[field].as_u64().is_some_and(|number| number > 0);
    let said = match it.cell("notify") {
        "not sent" if is_wanted => "does not send READY=1, so it is never ready",
        "does not start" if is_wanted || has_number("watchdog_ms") || has_number("fd_store_max") => {
            "does not start with NOTIFY_SOCKET in its environment"
        }
        _ => return None,
    };
    Some(said.to_owned())
}

fn exit(it: &Judged<'_>) -> Option<String> {
    let code: u64 = it.cell("idle_exit").strip_prefix("exit code ")?.parse().ok().filter(|code| *code != 0)?;
    let expected = it.declared["expected_exit"].as_array();
    let is_expected = expected.into_iter().flatten().any(|one| *one == code);
    (it.declared["restart"]["policy"] == "on-failure" && !is_expected).then(|| {
        format!(
            "ends with exit code {code} when it is stopped in order, which counts as a failure unless expected_exit has it"
        )
    })
}

fn detached(it: &Judged<'_>) -> Option<String> {
    let contradicts = it.cell("agent_ends") == "ends" && it.declared["detached"] != true;
    contradicts.then(|| "asks to be ended with its parent, so it ends with the agent: declare `detached`".to_owned())
}

fn port(it: &Judged<'_>) -> Option<String> {
    let asks = !it.declared["ready"].is_null() && it.declared["ready"] != "started";
    let contradicts = it.cell("taken").starts_with("stays alive") && !asks && !it.has_sockets();
    contradicts
        .then(|| "stays alive without its port where that is taken: declare a `ready` that asks for it".to_owned())
}

fn reload(it: &Judged<'_>) -> Option<String> {
    let signal = it.declared["reload"]["signal"].as_str()?;
    let ends = it.cell(&format!("on_{signal}")).starts_with("ends");
    ends.then(|| format!("ends at {signal}, and so with each reload"))
}

fn overlap(it: &Judged<'_>) -> Option<String> {
    // One that takes the place of another one does so by arguments that are not looked at.
    let can = it.has_sockets() || it.program.declaration(true).iter().any(|(name, _)| *name == "replace");
    let contradicts = it.cell("beside").starts_with("exit") && it.declared["replace"] == "overlap" && !can;
    contradicts.then(|| format!("does not start beside another one with the same address ({})", it.cell("beside")))
}

fn root(it: &Judged<'_>) -> Option<String> {
    let would_be = it.is_root && it.declared["user"].is_null() && it.declared["credentials"].is_null();
    let contradicts = it.cell("as_root").starts_with("exit") && would_be;
    contradicts.then(|| format!("does not run as root ({}): declare a `user`", it.cell("as_root")))
}

fn listen(it: &Judged<'_>) -> Option<String> {
    let is_told = it.texts("command").iter().chain(&it.texts("env")).any(|text| text.contains("{fd:"));
    let contradicts = it.cell("listen_fds") == "not taken" && it.has_sockets() && !is_told;
    contradicts.then(|| "does not take LISTEN_FDS, and is not told the number of a socket by {fd:NAME}".to_owned())
}
