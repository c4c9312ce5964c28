// SPDX-License-Identifier: MPL-2.0
//! All supervisors, several times and in turns: what the machine does by itself then hits all alike.

use crate::measure::{Row, measure};
use crate::options::Options;
use crate::peers::{Peer, descriptors_for};
use crate::tools::Tools;

/// What came of it: figures, and a line for each that there are none of.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) rows: Vec<Row>,
    pub(crate) left_out: Vec<String>,
}

pub(crate) fn run(options: &Options, tools: &Tools) -> Comparison {
    let mut comparison = Comparison::default();
    let mut peers = options.peers.clone();
    peers.retain(|peer| {
        let reason = peer.lacks().or_else(|| does_not_fit(*peer, options.n, tools));
        comparison.left_out.extend(reason.iter().map(|reason| format!("{}: {reason}", peer.title())));
        reason.is_none()
    });
    for round in 1..=options.rounds {
        for peer in peers.clone() {
            eprintln!("round {round} of {}: {}", options.rounds, peer.title());
            match measure(peer, options, tools) {
                Ok(row) => comparison.rows.push(row),
                Err(error) => {
                    comparison.left_out.push(error.to_string());
                    peers.retain(|other| *other != peer);
                }
            }
        }
    }
    // A supervisor that failed once has no figures at all: half of the rounds cannot be compared with all of them.
    comparison.rows.retain(|row| peers.contains(&row.peer));
    comparison
}

fn does_not_fit(peer: Peer, n: u32, tools: &Tools) -> Option<String> {
    match peer {
        Peer::Supervisor => tools.lacks_descriptors(descriptors_for(n)),
        _ => tools.lacks_descriptors_for(n),
    }
}
