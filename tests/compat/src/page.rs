// SPDX-License-Identifier: MPL-2.0
//! What was seen, as lines of text and as the page. Each cell is made of what the files of the programs have.

use std::time::Duration;

use crate::program::{Cells, Program};

/// What a player saw of a program.
pub(crate) fn row(program: &Program, version: &str, seen: &Cells, took: Duration) -> String {
    let cells: Vec<String> = seen.iter().map(|(name, what)| format!("    {name}: {what}")).collect();
    format!("{} {version} ({:.1} s)\n{}", program.name, took.as_secs_f64(), cells.join("\n"))
}

/// A column: its head, and what it has of a program.
type Column = (&'static str, fn(&Program, &Cells) -> String);

/// A table: its head, what is said of it, and the columns after program and version.
struct Table {
    head: &'static str,
    text: &'static str,
    columns: &'static [Column],
}

const TABLES: [Table; 4] = [
    Table {
        head: "Starts",
        text: "*Foreground*: the option that keeps the program in the foreground, and what the program does without it. *Ready*: the \
               readiness condition of the declaration, and whether the program sends READY=1 (sd_notify(3)). *LISTEN_FDS*: whether it \
               takes sockets that are announced only by this variable. *Port taken*: what it does when another process has its port; \
               *beside another*: when that process is one of the same declaration. *As root*: what it does without the `user` of the \
               declaration.",
        columns: &[
            ("foreground", foreground),
            ("ready", ready),
            ("LISTEN_FDS", |_, seen| cell(seen, "listen_fds")),
            ("port taken", |_, seen| cell(seen, "taken")),
            ("beside another", |_, seen| cell(seen, "beside")),
            ("as root", |_, seen| cell(seen, "as_root")),
        ],
    },
    Table {
        head: "Stops",
        text: "A signal to the process group while a request is open, and how the leader ended. *Drains*: it accepted no new requests, \
               and the open request was completed; *drains and accepts*: the request was completed, but new ones were accepted; \
               *cuts*: the request was cut; *ignored*: the signal had no effect within 5 s; *finishes and does not end*: the request \
               was completed, but the process did not end. *Declared*: the stop that `agent init` declares; *without requests*: how \
               that stop ends without an open request.",
        columns: &[
            ("SIGINT", |_, seen| cell(seen, "stop_SIGINT")),
            ("SIGTERM", |_, seen| cell(seen, "stop_SIGTERM")),
            ("SIGQUIT", |_, seen| cell(seen, "stop_SIGQUIT")),
            ("declared", declared_stop),
            ("without requests", |_, seen| cell(seen, "idle_exit")),
        ],
    },
    Table {
        head: "Signals and reloads",
        text: "A signal to the leader alone, as `agent signal` sends it; and `agent reload`, if a reload is declared.",
        columns: &[
            ("SIGHUP", |_, seen| cell(seen, "on_SIGHUP")),
            ("SIGUSR1", |_, seen| cell(seen, "on_SIGUSR1")),
            ("SIGUSR2", |_, seen| cell(seen, "on_SIGUSR2")),
            ("reload", declared_reload),
        ],
    },
    Table {
        head: "Crashes, adoption and replacement",
        text: "SIGKILL to the leader, with a request open. *Left* and *port*: the processes and ports that were left five seconds later, \
               without an agent; *files*: the files that were left; *pid file*: what a start does when its pid file has the pid of \
               another living process. *With the agent*: what a SIGKILL to the agent does to the process if it is not detached. \
               *Adopted*: what the next agent does with it. *Back*: the next start after a crash, and after a crash of the adopted \
               process. *Gapless*: `agent restart` while clients connect, with the declaration that `agent init` prints: whether a \
               new connection or an open request was lost.",
        columns: &[
            ("left", |_, seen| cell(seen, "left")),
            ("port", |_, seen| cell(seen, "port_held")),
            ("files", |_, seen| cell(seen, "files")),
            ("pid file", |_, seen| cell(seen, "pid_file")),
            ("with the agent", |_, seen| cell(seen, "agent_ends")),
            ("adopted", |_, seen| cell(seen, "adopted")),
            ("back", back),
            ("gapless", gapless),
            ("removed", |_, seen| cell(seen, "removed")),
        ],
    },
];

const HEAD: &str = "\
# Tested proxies

<!-- Written by `.ci/compat.sh page`: do not change it by hand. -->

How known programs behave as managed proxies. The example agent started, queried, reloaded, drained, crashed, adopted,
replaced and removed each of them, with the declaration that [`agent init`](agent.md#init) prints. Each cell is what was
observed with that version; Debian's packages are those of Debian 12, and of Debian 13 where it has them. Further notes are
in [known programs](programs.md).

";

/// The whole page.
pub(crate) fn page(programs: &[Program]) -> String {
    let mut page = HEAD.to_owned();
    page += "- [Programs](#programs)\n";
    for table in &TABLES {
        page += &format!("- [{}](#{})\n", table.head, table.head.to_lowercase().replace(',', "").replace(' ', "-"));
    }
    page += "\n## Programs\n\n| program | what | package |\n|---|---|---|\n";
    for program in programs.iter().filter(|program| !program.expect.is_empty()) {
        page += &format!("| {} | {} | {} |\n", program.name, program.title, package(program));
    }
    for Table { head, text, columns } in &TABLES {
        let heads: String = columns.iter().map(|(head, _)| format!(" {head} |")).collect();
        page += &format!(
            "\n## {head}\n\n{}\n\n| program | version |{heads}\n|---|---|{}\n",
            wrapped(text),
            "---|".repeat(columns.len())
        );
        for program in programs {
            for (version, seen) in &program.expect {
                let cells: String = columns.iter().map(|(_, column)| format!(" {} |", column(program, seen))).collect();
                page += &format!("| {} | {version} |{cells}\n", program.name);
            }
        }
    }
    page
}

/// Lines of 120 characters at the most.
fn wrapped(text: &str) -> String {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        if line.len() + word.len() >= 120 {
            lines.push(std::mem::take(&mut line));
        }
        line += if line.is_empty() { "" } else { " " };
        line += word;
    }
    lines.push(line);
    lines.join("\n")
}

fn package(program: &Program) -> String {
    let of = match program.source.as_str() {
        "debian" => "Debian",
        "pypi" => "PyPI",
        "npm" => "npm",
        _ => "crates.io",
    };
    format!("{of}: {}", program.package)
}

fn cell(seen: &Cells, name: &str) -> String {
    seen.get(name).cloned().unwrap_or_else(|| "-".to_owned())
}

fn foreground(program: &Program, seen: &Cells) -> String {
    if program.foreground.is_empty() {
        return "-".to_owned();
    }
    format!("`{}`, without: {}", program.foreground.join(" "), cell(seen, "background"))
}

fn ready(program: &Program, seen: &Cells) -> String {
    let of = |table: &toml::Table| match table.get("ready")? {
        toml::Value::String(word) => Some(word.clone()),
        toml::Value::Table(inner) => inner.keys().next().cloned(),
        _ => None,
    };
    format!(
        "{}; READY=1: {}",
        of(&program.declaration).unwrap_or_else(|| "started".to_owned()),
        match seen.get("notify").map(String::as_str) {
            Some("READY=1") => "sent",
            Some(other) => other,
            None => "-",
        }
    )
}

fn declared_stop(program: &Program, seen: &Cells) -> String {
    let steps = program.declaration.get("stop").and_then(toml::Value::as_array);
    let first = match steps.and_then(|steps| steps.first()) {
        Some(step) => step.get("signal").and_then(toml::Value::as_str).unwrap_or("a command"),
        None => program.declaration.get("stop_signal").and_then(toml::Value::as_str).unwrap_or("SIGINT"),
    };
    format!("{first}: {}", cell(seen, "drain"))
}

fn declared_reload(program: &Program, seen: &Cells) -> String {
    match program.declaration.get("reload") {
        None => "-".to_owned(),
        Some(reload) => {
            let by = reload.get("signal").and_then(toml::Value::as_str).unwrap_or("a command");
            format!("{by}: {}", cell(seen, "reload"))
        }
    }
}

fn back(_: &Program, seen: &Cells) -> String {
    let [first, second] = ["crash", "crash_adopted"].map(|name| cell(seen, name).replace("back ", ""));
    if first == second { first } else { format!("{first}; {second}") }
}

fn gapless(program: &Program, seen: &Cells) -> String {
    let Some(fields) = &program.gapless else { return "-".to_owned() };
    let has = |name| fields.contains_key(name) || program.declaration.contains_key(name);
    let by = match (has("listen"), has("replace")) {
        (true, true) => "`listen`, `overlap`",
        (true, false) => "`listen`",
        (false, _) => "`overlap`",
    };
    format!("{by}: {}", cell(seen, "gapless"))
}
