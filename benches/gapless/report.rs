// SPDX-License-Identifier: MPL-2.0
//! The table, and what of it misses the target.

use std::fmt::Write as _;

use crate::options::Options;
use crate::programs::Sockets;
use crate::scenarios::Row;

/// The table in Markdown.
pub(crate) fn markdown(rows: &[Row], options: &Options) -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut text = format!(
        "{} crashes, {} replacements, {} ends of the agent. Linux {}.\n\n",
        options.crashes,
        options.replacements,
        options.agent_kills,
        kernel.trim_end()
    );
    text += "| program | socket | what happens | times | new connections | refused | reset | late or wrong | slowest, ms | \
             requests in flight cut |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|\n";
    for row in rows {
        let counts = &row.counts;
        let bad = counts.late + counts.wrong;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {bad} | {} | {} of {} |",
            row.program,
            row.sockets,
            row.scenario.name,
            row.times,
            counts.made,
            counts.refused,
            counts.reset,
            counts.slowest.as_millis(),
            counts.cut,
            counts.held
        );
    }
    text
}

/// Where the library keeps the socket, no new connection fails and no request is cut; but what a proxy had accepted ends
/// with it when it is killed. Beside its predecessor a program refuses none, unless it is killed; what it resets is its own.
pub(crate) fn missed(rows: &[Row]) -> Vec<String> {
    let missed = rows.iter().filter_map(|row| {
        let (counts, kills) = (&row.counts, row.scenario.kills_proxy);
        let (is_kept, is_whole) = match row.sockets {
            Sockets::Own => (false, false),
            Sockets::Inherited => (true, !kills),
            Sockets::Beside => (!kills, false),
        };
        let failed = if is_kept { counts.refused + counts.late + counts.wrong } else { 0 };
        let broken = if is_whole { counts.reset + counts.cut } else { 0 };
        let example = counts.example.as_deref().unwrap_or_default();
        let what = || format!("{}, {}: {failed} failed, {broken} broken: {example}", row.program, row.scenario.name);
        (failed + broken > 0 || is_kept && counts.made == 0).then(what)
    });
    missed.collect()
}
