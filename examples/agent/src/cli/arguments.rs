// SPDX-License-Identifier: MPL-2.0
//! The command line: what there is to ask for, and its help.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use proxyprocess::Signal;

use super::init::Init;
use crate::control::protocol::Awaited;

pub(super) const AFTER_HELP: &str = "\
Signals to a running agent:
  SIGHUP           read the file again; a bad file changes nothing
  SIGUSR1          print the status as one JSON line on stdout
  SIGINT, SIGTERM  end as \"on_exit\" says: \"leave\" the proxies running (default), \"stop\" them, or \"auto\": stop
                   them when the machine is shut down, or the container ends with the agent
  SIGQUIT          stop the proxies and end
  SIGINT, SIGQUIT  once more, while the proxies are stopped: SIGKILL to what is left of them

Exit codes:
  0  done as asked                     4  no such proxy
  1  failure                           5  timed out
  2  wrong arguments                   6  the proxy has no process now
  3  no agent runs in the directory

Environment:
  AGENT_CONFIG     the configuration of the agent that commands find without --data-dir and --config

It logs on stderr (level: RUST_LOG, info unless set).";

/// Runs the proxies that a configuration file declares, and steers those of a running agent.
#[derive(Debug, Parser)]
#[command(name = "agent", version, after_help = AFTER_HELP)]
#[command(args_conflicts_with_subcommands = true, subcommand_value_name = "COMMAND", arg_required_else_help = true)]
pub(super) struct Arguments {
    /// Run the proxies of this file: the same as `agent run CONFIG`
    config: Option<PathBuf>,
    /// The same
    #[arg(long = "config", value_name = "FILE", conflicts_with = "config")]
    named: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

impl Arguments {
    /// What to do; none without any argument.
    pub(super) fn wanted(self) -> Option<Command> {
        let run =
            |config| Command::Run { file: ConfigFile { config: Some(config), named: None }, http: Http::default() };
        self.command.or(self.config.or(self.named).map(run))
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the proxies that a file declares, in the foreground
    Run {
        #[command(flatten)]
        file: ConfigFile,
        #[command(flatten)]
        http: Http,
    },
    /// Read a configuration and say all that is wrong with it, by line and column
    Check {
        #[command(flatten)]
        file: ConfigFile,
        /// Say for each proxy what the agent that runs in its data directory would do with this configuration
        #[arg(long)]
        diff: bool,
        /// Print what would be done as one JSON object a line
        #[arg(long, requires = "diff")]
        json: bool,
        /// Do not warn where a declaration contradicts what is known of its program: the name of a warning, for one proxy
        /// as ID/NAME, or "all"
        #[arg(long, value_name = "NAME")]
        silence: Vec<String>,
    },
    /// Print the declaration of a program that is known, or which ones are
    Init(Init),
    /// Show what the proxies are doing, and why one does not run
    Status {
        /// Show this proxy alone
        id: Option<String>,
        /// Print one JSON object a proxy and line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        agent: WhichAgent,
    },
    /// Show what a proxy wrote to its logs
    Logs {
        /// The proxy
        id: String,
        /// Go on with what is written from now on
        #[arg(short, long)]
        follow: bool,
        /// How many of the last lines
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
        lines: usize,
        /// Its standard output alone
        #[arg(long)]
        stdout: bool,
        /// Its standard error alone
        #[arg(long)]
        stderr: bool,
        #[command(flatten)]
        agent: WhichAgent,
    },
    /// Show what happened lately: starts, exits, readiness
    Events {
        /// Go on with what happens from now on
        #[arg(short, long)]
        follow: bool,
        /// How many of the last events; all that the agent has, unless said
        #[arg(short = 'n', long, value_name = "N")]
        last: Option<usize>,
        /// Print one JSON object an event and line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        agent: WhichAgent,
    },
    /// Wait until a proxy is ready, has completed, or is paused
    Wait {
        /// The proxy
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// What to wait for
        #[arg(value_enum, default_value_t)]
        until: Awaited,
        /// Until all proxies are ready that are declared to run, but those that have completed or are paused
        #[arg(long, conflicts_with_all = ["id", "until"])]
        all: bool,
        /// How long to wait
        #[arg(long, value_name = "TIME", default_value = "90s", value_parser = humantime::parse_duration)]
        timeout: Duration,
        #[command(flatten)]
        agent: WhichAgent,
    },
    /// Print the metrics of the agent and its proxies, in the text format of Prometheus
    Metrics {
        #[command(flatten)]
        agent: WhichAgent,
    },
    /// Restart proxies, and wait until they are ready
    Restart(Several),
    /// Stop the processes of proxies, which are paused until they are started again, and wait for their ends
    Stop(Several),
    /// Start proxies that are paused, have failed or have completed, and wait until they are ready
    Start(Several),
    /// Have the agent read its configuration again, or a proxy its own
    Reload {
        /// The proxy; it declares how it reloads
        id: Option<String>,
        #[command(flatten)]
        agent: WhichAgent,
    },
    /// Send a signal to the process of a proxy
    Signal {
        /// The proxy
        id: String,
        /// A name (HUP, SIGHUP) or number
        signal: Signal,
        #[command(flatten)]
        agent: WhichAgent,
    },
    /// End the agent, as "on_exit" says, and wait until it has ended
    Quit {
        /// Stop the proxies first
        #[arg(long)]
        stop: bool,
        #[command(flatten)]
        wait: Wait,
        #[command(flatten)]
        agent: WhichAgent,
    },
    /// Show the version of this program, and of a running agent
    Version {
        #[command(flatten)]
        agent: PerhapsAgent,
    },
    /// Print the JSON schema of configurations, for editors
    Schema,
    /// Print the completions for a shell, to be read by it
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, for man(1)
    Man,
    /// Pass TCP connections on: a proxy to try an agent with. SIGTERM ends it when all connections have ended
    Proxy {
        /// Where connections come from
        #[arg(long, value_name = "ADDR")]
        listen: String,
        /// Where they go
        #[arg(long, value_name = "ADDR")]
        upstream: String,
    },
    /// Show traffic through a managed proxy that survives its own death and the agent's
    Demo,
}

impl ValueEnum for Awaited {
    fn value_variants<'a>() -> &'a [Awaited] {
        &Awaited::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let value = PossibleValue::new(self.as_str());
        // As it was called, by the name of the command that makes it so.
        Some(if *self == Awaited::Paused { value.alias("stopped") } else { value })
    }
}

/// A configuration file, by itself or with its option.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct ConfigFile {
    /// The configuration
    config: Option<PathBuf>,
    /// The same
    #[arg(long = "config", value_name = "FILE")]
    named: Option<PathBuf>,
}

impl ConfigFile {
    pub(super) fn path(self) -> PathBuf {
        self.config.or(self.named).unwrap_or_default()
    }
}

/// What an agent shows over HTTP.
#[derive(Debug, Default, Args)]
pub(super) struct Http {
    /// Show the proxies, their status and metrics at this address, as 127.0.0.1:9000, to all users of this machine
    #[arg(long = "http", value_name = "ADDR")]
    pub(super) address: Option<SocketAddr>,
    /// Let the address be one that other machines reach
    #[arg(long = "http-public", requires = "address")]
    pub(super) is_public: bool,
    /// A name by which clients call this machine, beside its addresses and localhost
    #[arg(long = "http-host", value_name = "NAME", requires = "address")]
    pub(super) hosts: Vec<String>,
}

/// What is done to each of several proxies, and waited for.
#[derive(Debug, Args)]
pub(super) struct Several {
    /// The proxies
    #[arg(required_unless_present = "all", value_name = "ID")]
    pub(super) ids: Vec<String>,
    /// All proxies that are declared to run, but those that have completed, and to be restarted those that are paused
    #[arg(long, conflicts_with = "ids")]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) wait: Wait,
    #[command(flatten)]
    pub(super) agent: WhichAgent,
}

/// How long a command waits for what it has begun.
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// Return when it has begun
    #[arg(long)]
    no_wait: bool,
    /// How long to wait, for each proxy
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

impl Wait {
    pub(super) fn timeout(&self) -> Option<Duration> {
        (!self.no_wait).then_some(self.timeout)
    }
}

/// How a command finds the agent.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct WhichAgent {
    /// The data directory of the agent
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration of the agent, which names its data directory; unless said, that which AGENT_CONFIG names
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The variable that names the configuration of the agent which is meant.
const CONFIG_VARIABLE: &str = "AGENT_CONFIG";

impl WhichAgent {
    /// What names the agent. If nothing does, the process ends with exit code 2, as with other wrong arguments.
    pub(super) fn named(self) -> NamedAgent {
        let named = self.data_dir.map(NamedAgent::DataDir).or(self.config.map(NamedAgent::Config));
        named.or_else(agent_of_variable).unwrap_or_else(|| {
            let message = format!("which agent is meant: expected --data-dir DIR, --config FILE or {CONFIG_VARIABLE}");
            Arguments::command().error(ErrorKind::MissingRequiredArgument, message).exit()
        })
    }
}

/// The agent that the variable names.
pub(super) fn agent_of_variable() -> Option<NamedAgent> {
    let named = std::env::var_os(CONFIG_VARIABLE).filter(|named| !named.is_empty());
    named.map(|named| NamedAgent::Config(named.into()))
}

/// An agent, by what names its data directory.
#[derive(Debug)]
pub(super) enum NamedAgent {
    DataDir(PathBuf),
    Config(PathBuf),
}

/// The same, for a command that can do without one.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct PerhapsAgent {
    /// The data directory of an agent
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration of an agent, which names its data directory
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl PerhapsAgent {
    pub(super) fn named(self) -> Option<NamedAgent> {
        self.data_dir.map(NamedAgent::DataDir).or(self.config.map(NamedAgent::Config))
    }
}
