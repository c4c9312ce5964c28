// SPDX-License-Identifier: MPL-2.0
//! All supervisors, several times and in turns: what the machine does by itself then hits all alike.

use crate::measure::{Row, measure};
use crate::options::Options;
use crate::tools::Tools;

/// What came of it: figures, and a line for each that is missing.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) rows: Vec<Row>,
    pub(crate) left_out: Vec<String>,
}

pub(crate) fn run(options: &Options, tools: &Tools) -> Comparison {
    let mut comparison = Comparison::default();
    let mut peers = options.peers.clone();
    peers.retain(|peer| {
        let reason = peer.lacks(options.n, tools);
        comparison.left_out.extend(reason.iter().map(|reason| format!("{}: {reason}", peer.title())));
        reason.is_none()
    });
    for round in 1..=options.rounds {
        for peer in peers.clone() {
            eprintln!("round {round} of {}: {}", options.rounds, peer.title());
            let row = measure(peer, options, tools);
            // It takes minutes to find that out, and is not tried again.
            if !row.has_started() {
                peers.retain(|other| *other != peer);
            }
            comparison.left_out.extend(row.last_words.iter().map(|words| format!("{}: {words}", peer.title())));
            comparison.rows.push(row);
        }
    }
    comparison
}
