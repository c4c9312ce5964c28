// SPDX-License-Identifier: MPL-2.0
//! What is to be measured, as the command line says it.

use std::path::PathBuf;
use std::time::Duration;

use crate::peers::Peer;

pub(crate) const HELP: &str = "\
usage: cargo bench -p proxyprocess-benches --bench side_by_side -- [options]

without --scenario: the supervisors side by side
  -n N              processes under each supervisor (1000)
  --peers A,B,..    of floor, floor-with-files, proxyprocess, proxyprocess-cgroups, threads, tokio, process-wrap, runit, s6,
                    systemd, supervisor, supervisor-pypi, circus, pm2, horust (all that are installed)
  --peers-dir DIR   where `benches/peers.sh` has installed some of them (the variable SIDE_BY_SIDE_PEERS)
  --rounds R        how often all are measured, in turns: medians are printed (3)
  --kills K         how many processes are killed, one after the other (200; fewer of those that wait before a restart)
  --idle S          seconds for which each sits idle (10)
with --scenario NAME, more than once if you like: this library against its targets
                    scale, most, adopted, stubborn, escaped, change, status, metrics, readiness, disk, crashloop, resident,
                    changes, declarations, guarantees, or all
  --many N          processes where there are many of them (10000); -n is how many where there are some
  --most N          processes of the scenario `most` (30000)
  --declared N      declarations of the scenario `declarations`, of which 100 are enabled (1000000)
  --resident GIB    memory of the host of the scenario `resident` (8)
both
  --compare         the comparison as well, in the same run as the scenarios
  --check           say of each target whether it is met, and fail where one is missed by more than its noise
  --dir DIR         where the supervisors have their files (the directory for temporary files)
  --markdown FILE   write the tables as they are printed
  --svg FILE        draw the comparison
  --json FILE       write all figures of all rounds
FILE and DIR are relative to `benches`, where Cargo runs its programs";

/// What the arguments ask for.
pub(crate) enum Job {
    Help,
    /// To be one of the programs that are measured.
    Role(Vec<String>),
    /// Cargo runs benchmarks as tests too, and means to find out whether they start.
    NotAsked,
    Measure(Options),
}

/// What is to be measured, and where the results go.
pub(crate) struct Options {
    pub(crate) n: u32,
    pub(crate) many: u32,
    pub(crate) most: u32,
    pub(crate) declared: u32,
    pub(crate) peers: Vec<Peer>,
    pub(crate) rounds: usize,
    pub(crate) kills: u32,
    pub(crate) idle: Duration,
    pub(crate) resident_gib: u64,
    /// Their names, or `all`.
    pub(crate) scenarios: Vec<String>,
    pub(crate) directory: PathBuf,
    pub(crate) peers_directory: Option<PathBuf>,
    pub(crate) check: bool,
    pub(crate) markdown: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) json: Option<PathBuf>,
    compare: bool,
}

impl Options {
    /// Whether the supervisors are compared.
    pub(crate) fn compares(&self) -> bool {
        self.compare || self.scenarios.is_empty()
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            n: 1000,
            many: 10_000,
            most: 30_000,
            declared: 1_000_000,
            peers: Peer::ALL.to_vec(),
            rounds: 3,
            kills: 200,
            idle: Duration::from_secs(10),
            resident_gib: 8,
            scenarios: Vec::new(),
            directory: std::env::temp_dir(),
            peers_directory: std::env::var_os("SIDE_BY_SIDE_PEERS").map(PathBuf::from),
            check: false,
            markdown: None,
            svg: None,
            json: None,
            compare: false,
        }
    }
}

/// Reads the arguments without the program's name; the error says what is wrong with them.
pub(crate) fn parse(words: &[String]) -> Result<Job, String> {
    if words.first().is_some_and(|word| word == "--role") {
        return Ok(Job::Role(words[1..].to_vec()));
    }
    let mut options = Options::default();
    let mut asked = false;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word}: expected a value"));
        match word.as_str() {
            "-h" | "--help" => return Ok(Job::Help),
            "--bench" => asked = true,
            "--compare" => options.compare = true,
            "-n" => options.n = number(word, value()?)?,
            "--check" => options.check = true,
            "--most" => options.most = number(word, value()?)?,
            "--declared" => options.declared = number(word, value()?)?,
            "--peers-dir" => options.peers_directory = Some(value()?.into()),
            "--many" => options.many = number(word, value()?)?,
            "--rounds" => options.rounds = number(word, value()?)? as usize,
            "--kills" => options.kills = number(word, value()?)?,
            "--idle" => options.idle = Duration::from_secs(number(word, value()?)?.into()),
            "--resident" => options.resident_gib = number(word, value()?)?.into(),
            "--peers" => options.peers = value()?.split(',').map(peer).collect::<Result<_, _>>()?,
            "--scenario" => options.scenarios.push(value()?.clone()),
            "--dir" => options.directory = value()?.into(),
            "--markdown" => options.markdown = Some(value()?.into()),
            "--svg" => options.svg = Some(value()?.into()),
            "--json" => options.json = Some(value()?.into()),
            _ => return Err(format!("{word}: unknown option")),
        }
    }
    if options.svg.is_some() && !options.compares() {
        return Err("--svg: expected a comparison to draw".to_owned());
    }
    Ok(if asked { Job::Measure(options) } else { Job::NotAsked })
}

fn number(option: &str, text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("{option}: expected a number above 0, got {text:?}"))
}

fn peer(name: &str) -> Result<Peer, String> {
    let known = Peer::ALL.into_iter().find(|peer| peer.option() == name);
    known.ok_or_else(|| format!("--peers: unknown supervisor {name:?}"))
}
