// SPDX-License-Identifier: MPL-2.0
//! The tables, and what of them misses the target.

use std::fmt::Write as _;

use crate::options::Options;
use crate::peers::PROGRAM;
use crate::programs::Sockets;
use crate::scenarios::{CRASH, RESTART, Row};

/// The tables in Markdown: all that happens under the library, and what also happens under other supervisors.
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
    for row in rows.iter().filter(|row| row.peer.is_none()) {
        let (program, sockets, event) = (row.program, row.sockets, row.event.name);
        let event = if row.event == RESTART { "`Manager::restart`" } else { event };
        let _ = writeln!(text, "| {program} | {sockets} | {event} | {} |", figures(row));
    }
    if rows.iter().all(|row| row.peer.is_none()) {
        return text;
    }
    text += "\n| what happens | under | times | new connections | refused | reset | late or wrong | slowest, ms | \
             requests in flight cut |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n";
    for event in [CRASH, RESTART] {
        for row in rows.iter().filter(|row| row.event == event && row.program == PROGRAM) {
            let _ = writeln!(text, "| {} | {} | {} |", event.name, under(row), figures(row));
        }
    }
    text
}

/// Who supervises, and whose the socket is.
pub(crate) fn under(row: &Row) -> String {
    match (row.peer, row.sockets) {
        (None, sockets) => format!("this library, {sockets}"),
        (Some(peer), Sockets::Inherited) => format!("{peer}, its socket unit"),
        (Some(peer), _) => peer.to_owned(),
    }
}

/// The figures of a row, in the order of the columns.
pub(crate) fn figures(row: &Row) -> String {
    let counts = &row.counts;
    format!(
        "{} | {} | {} | {} | {} | {} | {} of {}",
        row.times,
        counts.made,
        counts.refused,
        counts.reset,
        counts.late + counts.wrong,
        counts.slowest.as_millis(),
        counts.cut,
        counts.held
    )
}

/// Where the library keeps the socket, no new connection fails and no request is cut; but what a proxy had accepted ends
/// with it when it is killed. Beside its predecessor a program refuses none, unless it is killed; what it resets is its own.
pub(crate) fn missed(rows: &[Row]) -> Vec<String> {
    let missed = rows.iter().filter(|row| row.peer.is_none()).filter_map(|row| {
        let (counts, kills) = (&row.counts, row.event.kills_proxy);
        let is_kept = row.sockets.is_kept() || row.sockets.is_beside() && !kills;
        let is_whole = row.sockets.is_kept() && !kills;
        let failed = if is_kept { counts.refused + counts.late + counts.wrong } else { 0 };
        let broken = if is_whole { counts.reset + counts.cut } else { 0 };
        let example = counts.example.as_deref().unwrap_or_default();
        let what = || format!("{}, {}: {failed} failed, {broken} broken: {example}", row.program, row.event.name);
        (failed + broken > 0 || is_kept && counts.made == 0).then(what)
    });
    missed.collect()
}
