// SPDX-License-Identifier: MPL-2.0
//! New connections and requests in flight while a proxy is killed, replaced, and its agent is killed and upgraded: how
//! many are refused, reset, late or cut, with real programs.
//!
//! `cargo bench -p proxyprocess-benches --bench gapless -- --help` tells what can be asked for.

mod agent;
#[path = "../bars.rs"]
mod bars;
mod chart;
mod client;
mod host;
mod network;
mod options;
mod peers;
mod programs;
mod report;
mod scenarios;
mod upstream;

use std::process::ExitCode;

use options::{Job, Options};

/// A failure with a message of one line: "operation object: reason".
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match options::parse(&words) {
        Ok(Job::Help) => {
            println!("{}", options::HELP);
            Ok(true)
        }
        Ok(Job::Host { directory }) => host::run(&directory).map(|()| true),
        Ok(Job::NotAsked) => {
            println!("nothing is measured unless `cargo bench` asks for it");
            Ok(true)
        }
        Ok(Job::Measure(options)) if options.network && !network::is_own() => network::run_again(),
        Ok(Job::Measure(options)) => measure(&options),
        Err(wrong) => {
            eprintln!("{wrong}\n\n{}", options::HELP);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("gapless: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, prints the table, and says whether all targets are met; they are not asked for without `--check`.
fn measure(options: &Options) -> Result<bool> {
    let upstream = upstream::start()?;
    let mut rows = Vec::new();
    for program in programs::installed(options)? {
        for sockets in program.sockets(options) {
            for scenario in scenarios::ALL.iter().filter(|scenario| (scenario.concerns)(sockets)) {
                eprintln!("{}, {sockets}, {}", program.name, scenario.event.name);
                let row = scenarios::play(scenario, program, sockets, upstream, options)?;
                eprintln!("    {}", report::figures(&row));
                rows.push(row);
            }
        }
        for peer in peers::installed().filter(|_| options.compares() && program.name == peers::PROGRAM) {
            for sockets in peer.sockets {
                for event in [scenarios::CRASH, scenarios::RESTART] {
                    eprintln!("{}, {}, {sockets}, {}", peer.name, program.name, event.name);
                    rows.push(scenarios::play_under(peer, event, program, *sockets, upstream, options)?);
                }
            }
        }
    }
    let table = report::markdown(&rows, options);
    print!("{table}");
    if let Some(path) = &options.markdown {
        std::fs::write(path, &table).map_err(|error| format!("write {}: {error}", path.display()))?;
    }
    if let Some(path) = &options.svg {
        std::fs::write(path, chart::draw(&rows)?).map_err(|error| format!("write {}: {error}", path.display()))?;
    }
    let missed = report::missed(&rows);
    if options.check {
        missed.iter().for_each(|row| eprintln!("missed: {row}"));
    }
    Ok(!options.check || missed.is_empty() && !rows.is_empty())
}
