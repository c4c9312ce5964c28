// SPDX-License-Identifier: MPL-2.0
//! The results as Markdown, for people, and as JSON, for programs.

use serde_json::{Value, json};

use crate::compare::Comparison;
use crate::figures::{Figure, Spread};
use crate::machine;
use crate::measure::Row;
use crate::options::Options;
use crate::peers::Peer;
use crate::scenarios::Scenario;
use crate::targets::{self, Target, Verdict};
use crate::tools::Tools;

/// A figure of the comparison.
pub(crate) struct Metric {
    pub(crate) title: &'static str,
    pub(crate) value: fn(&Row) -> &Figure,
}

/// The rows of the table and the panels of the chart.
pub(crate) const METRICS: [Metric; 9] = [
    Metric { title: "all started, s", value: |row| &row.started_s },
    Metric { title: "SIGKILL to successor's first instruction, p50 ms", value: |row| &row.restart_p50_ms },
    Metric { title: "SIGKILL to successor's first instruction, p99 ms", value: |row| &row.restart_p99_ms },
    Metric { title: "idle, CPU ms a second", value: |row| &row.idle_cpu_ms_per_s },
    Metric { title: "idle, context switches a second", value: |row| &row.idle_switches_per_s },
    Metric { title: "threads", value: |row| &row.threads },
    Metric { title: "supervisor memory, KiB a process (PSS)", value: |row| &row.pss_kib_each },
    Metric { title: "all stopped, s", value: |row| &row.stopped_s },
    Metric { title: "written a restart, bytes", value: |row| &row.written_each },
];

/// The peers of these rows, each once, in their order.
pub(crate) fn peers(rows: &[Row]) -> Vec<Peer> {
    Peer::ALL.into_iter().filter(|peer| rows.iter().any(|row| row.peer == *peer)).collect()
}

/// A figure of one peer in all rounds, or why there is none.
pub(crate) fn spread(rows: &[Row], peer: Peer, metric: &Metric) -> std::result::Result<Spread, String> {
    let figures: Vec<Figure> =
        rows.iter().filter(|row| row.peer == peer).map(|row| (metric.value)(row).clone()).collect();
    Spread::of_figures(&figures)
}

/// All results of a run.
pub(crate) struct Report {
    machine: Vec<String>,
    load_before: String,
    method: Vec<String>,
    rounds: usize,
    comparison: Option<Comparison>,
    /// What each supervisor of the comparison is.
    abouts: Vec<String>,
    scenarios: Vec<(&'static Scenario, Vec<Target>)>,
}

impl Report {
    pub(crate) fn begin(options: &Options, tools: &Tools) -> Report {
        let mut machine = machine::describe(tools.place());
        machine.push(format!("beacon and floor compiled with `{}`", tools.compiler));
        if cfg!(debug_assertions) {
            machine.push("**not optimized: these figures are worthless**".to_owned());
        }
        let method = vec![
            format!(
                "rounds in turns: {}, medians (least..most); {} processes each, {} of them killed one after the other \
                 (fewer where the supervisor waits before a restart); idle for {} s",
                options.rounds,
                options.n,
                options.kills.min(options.n),
                options.idle.as_secs(),
            ),
            "started: from the launch of the supervisor to the first instruction of the last process; stopped: from the \
             signal to the end of the supervisor and of all processes; disks are synced before starts and before kills"
                .to_owned(),
            "CPU from `schedstat`, switches from `status`, memory from `smaps_rollup`, bytes from `io` (wchar), of all \
             processes of the supervisor; what its children write before they execute their program counts for it"
                .to_owned(),
        ];
        let load_before = machine::load().map_or_else(|| "unknown".to_owned(), |load| load.to_string());
        Report {
            machine,
            load_before,
            method,
            rounds: options.rounds,
            comparison: None,
            abouts: Vec::new(),
            scenarios: Vec::new(),
        }
    }

    pub(crate) fn comparison(&mut self, comparison: Comparison, tools: &Tools) {
        let about = |peer: Peer| format!("{}: {}", peer.title(), peer.about(tools));
        self.abouts = peers(&comparison.rows).into_iter().map(about).collect();
        self.comparison = Some(comparison);
    }

    pub(crate) fn scenario(&mut self, scenario: &'static Scenario, targets: Vec<Target>) {
        self.scenarios.push((scenario, targets));
    }

    /// The rows of the comparison, if there was one.
    pub(crate) fn rows(&self) -> &[Row] {
        self.comparison.as_ref().map_or(&[], |comparison| &comparison.rows)
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = list(&self.machine);
        if let Some(comparison) = &self.comparison {
            text += &format!("\n{}\n{}", table(&comparison.rows), list(&comparison.left_out));
            text += &list(&self.abouts);
            text += &list(&self.method);
        }
        for (title, targets) in self.targets() {
            text += &target_table(&title, &targets);
        }
        text
    }

    /// All targets, by what they are of.
    pub(crate) fn targets(&self) -> Vec<(String, Vec<Target>)> {
        let comparison = (
            "comparison: all supervisors against the targets of this one".to_owned(),
            targets::of_comparison(self.rows()),
        );
        let scenario = |(scenario, targets): &(&Scenario, Vec<Target>)| {
            (format!("{}: {}", scenario.name, scenario.about), targets.clone())
        };
        std::iter::once(comparison).chain(self.scenarios.iter().map(scenario)).collect()
    }

    /// What the machine does besides, from now on: said when all was measured.
    pub(crate) fn end(&mut self) {
        let load = machine::load().map_or_else(|| "unknown".to_owned(), |load| load.to_string());
        self.machine.push(format!("load of the last minute: {} before, {load} after", self.load_before));
    }

    pub(crate) fn json(&self) -> Value {
        let scenarios: serde_json::Map<String, Value> =
            self.scenarios.iter().map(|(scenario, targets)| (scenario.name.to_owned(), json!(targets))).collect();
        json!({
            "machine": self.machine,
            "method": self.method,
            "rounds": self.rounds,
            "rows": self.rows(),
            "abouts": self.abouts,
            "left_out": self.comparison.as_ref().map_or(&[][..], |comparison| &comparison.left_out),
            "targets": targets::of_comparison(self.rows()),
            "scenarios": scenarios,
        })
    }
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("- {line}\n")).collect()
}

/// A row for each metric, a column for each supervisor.
fn table(rows: &[Row]) -> String {
    let peers = peers(rows);
    let Some(n) = rows.first().map(|row| row.n) else { return "nothing was measured\n".to_owned() };
    let mut lines = vec![vec![format!("{n} processes")]];
    lines[0].extend(peers.iter().map(|peer| peer.title().to_owned()));
    for metric in &METRICS {
        let figures = peers.iter().map(|peer| match spread(rows, *peer, metric) {
            Ok(spread) => spread.to_string(),
            Err(reason) => reason.replace('|', "/"),
        });
        lines.push(std::iter::once(metric.title.to_owned()).chain(figures).collect());
    }
    markdown_table(&lines)
}

fn target_table(title: &str, targets: &[Target]) -> String {
    if targets.is_empty() {
        return String::new();
    }
    let mut lines = vec![[title, "figure", "target", "met"].map(str::to_owned).to_vec()];
    for target in targets {
        let met = match target.verdict {
            Verdict::None => "",
            Verdict::Met => "yes",
            Verdict::WithinNoise => "no, within the noise",
            Verdict::Missed => "**no**",
        };
        lines.push(vec![target.what.clone(), target.figure.clone(), target.target.clone(), met.to_owned()]);
    }
    format!("\n{}", markdown_table(&lines))
}

fn markdown_table(lines: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (number, cells) in lines.iter().enumerate() {
        text += &format!("| {} |\n", cells.join(" | "));
        if number == 0 {
            text += &format!("|{}\n", "---|".repeat(cells.len()));
        }
    }
    text
}
