// SPDX-License-Identifier: MPL-2.0
//! What is to be measured, as the command line says it.

use std::path::PathBuf;

pub(crate) const HELP: &str = "\
usage: cargo bench -p proxyprocess-benches --bench gapless -- [options]

  --programs A,B,..   of haproxy, nginx, caddy, gunicorn, uvicorn, granian, envoy, agent (the example's proxy); those that
                      are installed, in PATH or in $PROXYPROCESS_WHEELS, or built beside this. envoy also needs curl
  --replacements N    how often each is replaced (50)
  --agent-kills N     how often its agent is killed (20)
  --crashes N         how often it is killed (5)
  --inherited-only    not what a program does without a socket of the library
  --overlap-only      only what is started beside its predecessor
  --network           in a network namespace of its own, whose settings are the defaults of the kernel (root, unshare and ip);
                      what binds beside its predecessor also with net.ipv4.tcp_migrate_req=1
  --check             end with an error if a connection was refused or late where the library keeps the socket, or beside a
                      predecessor; or, with the library's socket, reset, or a request cut. Other than by the SIGKILL of the proxy
  --markdown FILE     write the tables as they are printed
  --svg FILE          write the picture
haproxy is also played under systemd and supervisord, if these are installed, and under none, unless an `-only` is asked for.
FILE is relative to `benches`, where Cargo runs its programs";

/// What the arguments ask for.
pub(crate) enum Job {
    Help,
    /// To be the agent.
    Host {
        directory: PathBuf,
    },
    /// Cargo runs benchmarks as tests too, and means to find out whether they start.
    NotAsked,
    Measure(Options),
}

/// What is measured, and where the results go.
pub(crate) struct Options {
    /// Their names, or none for all that are installed.
    pub(crate) programs: Vec<String>,
    pub(crate) replacements: u32,
    pub(crate) agent_kills: u32,
    pub(crate) crashes: u32,
    pub(crate) inherited_only: bool,
    pub(crate) overlap_only: bool,
    pub(crate) network: bool,
    pub(crate) check: bool,
    pub(crate) markdown: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
}

impl Options {
    /// Whether other supervisors are played.
    pub(crate) fn compares(&self) -> bool {
        !self.inherited_only && !self.overlap_only
    }
}

/// Reads the arguments without the program's name; the error says what is wrong with them.
pub(crate) fn parse(words: &[String]) -> Result<Job, String> {
    if let [role, directory] = words {
        if role == "--host" {
            return Ok(Job::Host { directory: directory.into() });
        }
    }
    let mut options = Options {
        programs: Vec::new(),
        replacements: 50,
        agent_kills: 20,
        crashes: 5,
        inherited_only: false,
        overlap_only: false,
        network: false,
        check: false,
        markdown: None,
        svg: None,
    };
    let mut asked = false;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word}: expected a value"));
        match word.as_str() {
            "-h" | "--help" => return Ok(Job::Help),
            "--bench" => asked = true,
            "--check" => options.check = true,
            "--network" => options.network = true,
            "--inherited-only" => options.inherited_only = true,
            "--overlap-only" => options.overlap_only = true,
            "--programs" => options.programs = value()?.split(',').map(str::to_owned).collect(),
            "--replacements" => options.replacements = number(word, value()?)?,
            "--agent-kills" => options.agent_kills = number(word, value()?)?,
            "--crashes" => options.crashes = number(word, value()?)?,
            "--markdown" => options.markdown = Some(value()?.into()),
            "--svg" => options.svg = Some(value()?.into()),
            _ => return Err(format!("{word}: unknown option")),
        }
    }
    Ok(if asked { Job::Measure(options) } else { Job::NotAsked })
}

fn number(option: &str, text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("{option}: expected a number above 0, got {text:?}"))
}
