// SPDX-License-Identifier: MPL-2.0
//! One program under one agent: its files, its configuration, and the commands that steer it.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::program::{Program, Source};
use crate::result::Result;
use crate::traffic::{Client, Traffic};
use crate::upstream::Upstream;

/// The id of the proxy.
pub(crate) const ID: &str = "it";

/// How long a start may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const LISTEN: &str = "127.0.0.1:8080";

#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) program: Program,
    pub(crate) client: Client,
    pub(crate) upstream: Upstream,
    pub(crate) listen: SocketAddr,
    pub(crate) executable: PathBuf,
    /// Where the program has its files.
    pub(crate) dir: PathBuf,
    agent_program: PathBuf,
    agent: Option<Child>,
    /// The place in the log of the agent where the current part begins.
    document: Value,
}

impl Scene {
    pub(crate) fn new(program: Program) -> Result<Scene> {
        let executable = program.installed().ok_or("not installed")?;
        let agent_program = match std::env::var_os("PROXYPROCESS_AGENT") {
            Some(path) => path.into(),
            None => std::env::current_exe()?.with_file_name("agent"),
        };
        let listen = LISTEN.parse()?;
        let dir = PathBuf::from("/tmp/its files").with_file_name(&program.name);
        let upstream = Upstream::start()?;
        let client = Client { traffic: program.traffic, hello: program.hello()? };
        Ok(Scene {
            program,
            client,
            upstream,
            listen,
            executable,
            dir,
            agent_program,
            agent: None,
            document: Value::Null,
        })
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.program.traffic
    }

    /// What `agent init` recommends, with the files of the configuration anew.
    pub(crate) fn init(&mut self, is_gapless: bool) -> Result<Value> {
        // What was left elsewhere, perhaps by another user, goes as well.
        for folder in [&self.dir, Path::new("/run"), Path::new("/dev/shm")] {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_type()?.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
            }
        }
        let mut init = Command::new(&self.agent_program);
        init.args(["init", &self.program.name, "--id", ID, "--listen", LISTEN, "--dir"]).arg(&self.dir);
        init.args(["--upstream", &self.upstream.address.to_string()]);
        if self.program.source != Source::Debian {
            init.arg("--executable").arg(&self.executable);
        }
        if !is_gapless {
            init.arg("--own-socket");
        }
        let output = init.output()?;
        if !output.status.success() {
            return Err(format!("agent init: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        if let Some(script) = &self.program.prepare {
            let done = Command::new("/bin/sh").args(["-c", script]).current_dir(&self.dir).output()?;
            if !done.status.success() {
                return Err(format!("prepare: {}", String::from_utf8_lossy(&done.stderr)).into());
            }
        }
        let mut document: Value = toml::from_str(&String::from_utf8(output.stdout)?)?;
        document["data_dir"] = "/tmp/data".into();
        document["allow_root"] = true.into();
        document["quiescent_period_ms"] = 5.into();
        document["coalesce_period_ms"] = 50.into();
        let declaration = document["proxies"][ID].take();
        document["proxies"] = json!({});
        self.document = document;
        Ok(declaration)
    }

    /// Writes the configuration with these proxies, and has a running agent read it.
    pub(crate) fn declare(&mut self, proxies: &[(&str, &Value)]) -> Result<()> {
        let mut all = serde_json::Map::new();
        for (id, declaration) in proxies {
            let mut declaration = (*declaration).clone();
            // They are killed again and again.
            if declaration.get("restart").is_none() {
                declaration["restart"] = json!({ "max_wait_ms": 200 });
            }
            all.insert((*id).to_owned(), declaration);
        }
        self.document["proxies"] = all.into();
        fs::write(config(), self.document.to_string())?;
        if self.agent.is_some() {
            self.command(&["reload"])?;
        }
        Ok(())
    }

    pub(crate) fn start_agent(&mut self) -> Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open("/tmp/agent.log")?;
        let mut agent = Command::new(&self.agent_program);
        agent.arg("run").arg(config()).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.agent = Some(agent.spawn()?);
        self.until("the agent takes commands", PATIENCE, || self.command(&["status", "--json"]).ok().map(drop))
    }

    pub(crate) fn kill_agent(&mut self) -> Result<()> {
        let mut agent = self.agent.take().ok_or("no agent runs")?;
        agent.kill()?;
        agent.wait()?;
        Ok(())
    }

    /// Stops all, and waits for the end of the agent.
    pub(crate) fn quit(&mut self) -> Result<()> {
        if let Some(mut agent) = self.agent.take() {
            self.run(&["quit", "--stop"])?;
            agent.wait()?;
        }
        Ok(())
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Output> {
        Ok(Command::new(&self.agent_program).args(arguments).arg("--config").arg(config()).output()?)
    }

    /// Runs a command of the agent that has to succeed.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        if !output.status.success() {
            return Err(
                format!("agent {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()).into()
            );
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What the agent says of a proxy.
    pub(crate) fn status(&self, id: &str) -> Result<Status> {
        Ok(Status(serde_json::from_str(&self.command(&["status", "--json", id])?)?))
    }

    /// The proxy, once it is ready and answers.
    pub(crate) fn serving(&self) -> Result<Status> {
        self.until("it serves", PATIENCE, || {
            let status = self.status(ID).ok()?;
            (status.is("running") && status.is_ready() && self.client.ask(self.listen, &self.upstream))
                .then_some(status)
        })
    }

    /// What the agent and the program have said last.
    pub(crate) fn why(&self) -> String {
        let text = |path: &str| {
            let text = fs::read(path).unwrap_or_default();
            let lines = String::from_utf8_lossy(&text).into_owned();
            let lines: Vec<&str> = lines.lines().collect();
            lines[lines.len().saturating_sub(6)..].join(" | ")
        };
        let logs = [format!("/tmp/data/logs/{ID}-stdout.log"), format!("/tmp/data/logs/{ID}-stderr.log")];
        format!("agent: {} || stdout: {} || stderr: {}", text("/tmp/agent.log"), text(&logs[0]), text(&logs[1]))
    }

    /// Whether nothing runs, and the agent knows of no proxy any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.processes().is_empty() && self.run(&["status", "--json"]).is_ok_and(|status| status.stdout.is_empty())
    }

    /// Asks again and again until there is an answer.
    pub(crate) fn until<T>(&self, what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Result<T> {
        let begun = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return Ok(answer);
            }
            if begun.elapsed() > patience {
                return Err(format!("not within {patience:?}: {what}").into());
            }
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    /// The processes of this namespace that are not of the runner: their pids and names.
    pub(crate) fn processes(&self) -> Vec<(u32, String)> {
        let own = std::process::id();
        let agent = self.agent.as_ref().map(Child::id);
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let others = pids.filter(|pid| *pid != 1 && *pid != own && Some(*pid) != agent);
        others.filter_map(|pid| process(pid).filter(|process| process.parent != own).map(|it| (pid, it.name))).collect()
    }

    /// Files of the program that are not of its configuration, and what it has left elsewhere.
    pub(crate) fn new_files(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        for folder in [self.dir.as_path(), Path::new("/run"), Path::new("/dev/shm")] {
            walk(folder, &mut found);
        }
        found.retain(|path| {
            path.strip_prefix(&self.dir).map_or(true, |name| !self.program.files.contains_key(&*name.to_string_lossy()))
        });
        found
    }

    /// Whether the port is held, also by a process that takes no connection: its queue may be full by now.
    pub(crate) fn is_listening(&self) -> bool {
        if self.traffic() == Traffic::Dns {
            return std::net::UdpSocket::bind(self.listen).is_err()
                || std::net::TcpListener::bind(self.listen).is_err();
        }
        let connected = std::net::TcpStream::connect_timeout(&self.listen, Duration::from_secs(1));
        connected.map_or_else(|error| error.kind() != ErrorKind::ConnectionRefused, |_| true)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}

fn config() -> &'static Path {
    Path::new("/tmp/agent.json")
}

fn walk(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&path, found)
        } else {
            found.insert(path);
        }
    }
}

/// A process as `/proc` has it.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) parent: u32,
}

/// A process that lives: no zombie.
pub(crate) fn process(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (begin, end) = (stat.find('(')?, stat.rfind(')')?);
    let mut fields = stat[end + 2..].split(' ');
    let is_alive = !matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    is_alive.then(|| Process { name: stat[begin + 1..end].to_owned(), parent })
}

pub(crate) fn kill(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// The status of a proxy.
#[derive(Debug)]
pub(crate) struct Status(Value);

impl Status {
    pub(crate) fn is(&self, state: &str) -> bool {
        self.0["state"] == state
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.0["ready"] == true
    }

    pub(crate) fn is_adopted(&self) -> bool {
        self.0["adopted"] == true
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.0["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())
    }

    pub(crate) fn restarts(&self) -> u64 {
        self.0["restarts"].as_u64().unwrap_or(0)
    }

    /// How the last process ended, without what the kernel adds.
    pub(crate) fn last_exit(&self) -> Option<String> {
        self.0["last_exit"].as_str().map(|exit| exit.replace(" (core dumped)", ""))
    }

    pub(crate) fn has_two(&self) -> bool {
        !self.0["other"].is_null()
    }

    pub(crate) fn cgroup(&self) -> Option<PathBuf> {
        self.0["cgroup"].as_str().map(PathBuf::from)
    }
}

/// A declaration with other values of some fields.
pub(crate) fn with(declaration: &Value, fields: &Value) -> Value {
    let mut changed = declaration.clone();
    for (name, value) in fields.as_object().into_iter().flatten() {
        match (value.is_null(), changed.as_object_mut()) {
            (true, Some(changed)) => drop(changed.remove(name)),
            (_, Some(changed)) => drop(changed.insert(name.clone(), value.clone())),
            _ => {}
        }
    }
    changed
}
