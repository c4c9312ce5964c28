// SPDX-License-Identifier: MPL-2.0
//! Supervisors side by side: this library, the least that any supervisor has to do (`floor.c`), and those that others
//! use, all with the same work. They start N small processes, sit idle, replace killed ones, and stop all.
//!
//! `cargo bench -p proxyprocess-benches --bench side_by_side -- --help` tells what can be asked for.

mod agent;
#[path = "../bars.rs"]
mod bars;
mod beacons;
mod chart;
mod check;
mod compare;
mod figures;
mod machine;
mod measure;
mod options;
mod peers;
mod procfs;
mod report;
mod roles;
mod scenarios;
mod scene;
mod targets;
mod tools;

use std::path::Path;
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
        Ok(Job::Role(words)) => roles::play(&words).map(|()| true),
        Ok(Job::NotAsked) => {
            println!("nothing is measured unless `cargo bench` asks for it");
            Ok(true)
        }
        Ok(Job::Measure(options)) => measure_all(&options),
        Err(wrong) => {
            eprintln!("{wrong}\n\n{}", options::HELP);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("side_by_side: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, and says whether that is as it was asked for.
fn measure_all(options: &Options) -> Result<bool> {
    let scenarios = scenarios::named(&options.scenarios)?;
    let tools = tools::Tools::build(
        &options.directory,
        options.peers_directory.as_deref(),
        scenarios::descriptors_of(&scenarios, options),
    )?;
    scene::clean_up_on_signals(&tools)?;
    let mut report = report::Report::begin(options, &tools);
    if options.compares() {
        report.comparison(compare::run(options, &tools), &tools);
    }
    for scenario in scenarios {
        eprintln!("scenario {}", scenario.name);
        report.scenario(scenario, scenario.measure(options, &tools));
    }
    report.end();
    print!("{}", report.markdown());
    write_if_asked(options.markdown.as_deref(), || Ok(report.markdown()))?;
    write_if_asked(options.json.as_deref(), || Ok(format!("{:#}\n", report.json())))?;
    write_if_asked(options.svg.as_deref(), || chart::draw(report.rows()))?;
    Ok(!options.check || check::print(&report.targets()))
}

fn write_if_asked(path: Option<&Path>, text: impl FnOnce() -> Result<String>) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, text()?).map_err(|error| format!("write {}: {error}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
