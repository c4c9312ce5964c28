// SPDX-License-Identifier: MPL-2.0
//! A host that runs: the lines that it prints, its end, and the processes that it has started.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::deadline::Deadline;
use crate::process::Process;
use crate::runtime::Runtime;

/// The proxies: two that run, and one that exits with code 7 again and again, and is given up.
pub(crate) const PROXIES: &str = r#"{"web": {"command": ["sleep", "1000"]}, "db": {"command": ["sleep", "1000"]},
    "exits": {"command": ["/bin/sh", "-c", "sleep 0.05; exit 7"],
              "restart": {"attempts_before_backoff": 50, "give_up_after": {"failures": 10, "within_ms": 60000}}}}"#;

/// What the loops of the hosts wait for at a time: long enough to be in it when a signal is sent.
const TURN_MS: &str = "1000";

/// What a host does when it is interrupted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// It ends without a close.
    Leave,
    Kill,
}

pub(crate) struct Host {
    runtime: &'static str,
    child: Child,
    ended: Option<ExitStatus>,
    lines: Receiver<String>,
    errors: PathBuf,
    /// All that it has printed.
    pub(crate) said: Vec<String>,
    /// The processes of the two proxies that run, once it has told of them.
    pub(crate) proxies: BTreeMap<String, Process>,
    /// Their events: started or adopted.
    pub(crate) came: Vec<String>,
    /// How the third one has ended each time.
    pub(crate) exits: Vec<String>,
    pub(crate) is_given_up: bool,
}

impl Host {
    /// Starts one in a directory, in a process group of its own, by another program if one is given.
    pub(crate) fn start(runtime: &Runtime, place: &Path, data: &Path, end: End, through: &[&str]) -> Host {
        let end = match end {
            End::Leave => "leave",
            End::Kill => "kill",
        };
        let data = data.to_str().expect("UTF-8");
        let mut command = runtime.command(place, through, &[data, PROXIES, TURN_MS, end]);
        let errors = place.join("errors");
        command.env("CHILD_FACTS", place.join("facts")).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(File::create(&errors).expect("make a file for standard error"));
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Host {
            runtime: runtime.name,
            child,
            ended: None,
            lines,
            errors,
            said: Vec::new(),
            proxies: BTreeMap::new(),
            came: Vec::new(),
            exits: Vec::new(),
            is_given_up: false,
        }
    }

    /// Reads lines until this holds, or there are no more; false then.
    #[track_caller]
    pub(crate) fn read_until(&mut self, what: &str, holds: impl Fn(&Host) -> bool) -> bool {
        let deadline = Deadline::of(format!("{}: {what}", self.runtime));
        while !holds(self) {
            if deadline.is_over() {
                panic!("{}: waited in vain for {what}\n{}", self.runtime, self.told());
            }
            match self.lines.recv_timeout(deadline.left()) {
                Ok(line) => self.hear(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// What it has said and what is on its standard error.
    pub(crate) fn told(&self) -> String {
        format!("{}\n{}", self.said.join("\n"), std::fs::read_to_string(&self.errors).unwrap_or_default())
    }

    fn hear(&mut self, line: String) {
        if let Ok(event) = serde_json::from_str::<Value>(&line) {
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            let (id, kind) = (text("id"), text("kind"));
            match (id.as_str(), kind.as_str()) {
                ("web" | "db", "started" | "adopted") => {
                    let pid = event["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a pid");
                    self.proxies.insert(id, Process::open(pid).expect("the proxy lives"));
                    self.came.push(kind);
                }
                ("exits", "exited") => self.exits.push(text("exit")),
                ("exits", "failed") => self.is_given_up = true,
                _ => {}
            }
        }
        self.said.push(line);
    }

    /// The rest of a line that begins so.
    pub(crate) fn word(&self, begin: &str) -> Option<&str> {
        self.said.iter().find_map(|line| line.strip_prefix(begin))
    }

    /// Sends a signal to its process group, as Ctrl-C in a terminal does.
    pub(crate) fn signal(&self, signal: Signal) {
        let group = Pid::from_child(&self.child);
        kill_process_group(group, signal).expect("signal the process group");
    }

    /// Waits for its end, and for all that it prints.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.read_until("its end", |_| false);
        let ended = self.child.wait().expect("wait for it");
        self.ended = Some(ended);
        ended
    }

    /// Whether nothing of its process group is left.
    pub(crate) fn is_gone(&self) -> bool {
        kill_process_group(Pid::from_child(&self.child), Signal::CONT).is_err()
    }
}

/// What a failure leaves is ended.
impl Drop for Host {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            self.proxies.values().for_each(|proxy| proxy.signal(Signal::KILL));
        }
    }
}
