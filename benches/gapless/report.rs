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
/// with it when it is killed.
pub(crate) fn missed(rows: &[Row]) -> Vec<String> {
    let kept = rows.iter().filter(|row| row.sockets == Sockets::Inherited);
    let missed = kept.filter_map(|row| {
        let counts = &row.counts;
        let failed = counts.refused + counts.late + counts.wrong;
        let broken = if row.scenario.kills_proxy { 0 } else { counts.reset + counts.cut };
        let example = counts.example.as_deref().unwrap_or_default();
        let what = || format!("{}, {}: {failed} failed, {broken} broken: {example}", row.program, row.scenario.name);
        (failed + broken > 0 || counts.made == 0).then(what)
    });
    missed.collect()
}
