// SPDX-License-Identifier: MPL-2.0
//! What a killed agent leaves, and how its words are turned into claims.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::strangers::stranger::end;
use crate::support::{Agent, Config, ConsulProxy, HELPER, Launch, Proxy, Scene, Start, consul_snapshot};

/// The proxy.
pub(crate) const WEB: &str = "web";
const TOKEN: &str = "a declared token";

/// The configuration of the agents, with the proxy in a role.
pub(crate) fn config(scene: &Scene, role: &[&str]) -> Config {
    config_with_grace(scene, role, 100)
}

/// The same with a grace period, which the record says.
pub(crate) fn config_with_grace(scene: &Scene, role: &[&str], ms: u64) -> Config {
    Config::scanning(scene).proxy(WEB, Proxy::helper(role).set("token", TOKEN).grace_ms(ms))
}

/// What is on disk of a proxy that is gone, and so is its agent.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) pid: u32,
    pub(crate) record: Value,
    data_dir: PathBuf,
}

/// Where it is said which process is the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Record,
    Snapshot,
    /// Of Consul.
    Version1,
    PidFile,
}

pub(crate) const SOURCES: [Source; 4] = [Source::Record, Source::Snapshot, Source::Version1, Source::PidFile];

/// Starts an agent and kills it; its proxy runs on.
#[track_caller]
pub(crate) fn run_and_kill_agent(scene: &Scene, role: &[&str]) -> Start {
    let agent = Agent::start(scene, &config(scene, role));
    let start = scene.reports.start(WEB);
    agent.status_running(scene, WEB, start.pid);
    agent.kill();
    start
}

impl Left {
    /// Has an agent start the proxy, and both killed.
    #[track_caller]
    pub(crate) fn behind(scene: &Scene) -> Left {
        let start = run_and_kill_agent(scene, &["run"]);
        end(&start.process);
        let left = Left::read(scene);
        assert_eq!(left.pid, start.pid);
        left
    }

    #[track_caller]
    pub(crate) fn read(scene: &Scene) -> Left {
        let data_dir = scene.data_dir();
        let record = read(&data_dir.join("records/web.json"));
        let pid = record["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a pid");
        Left { pid, record, data_dir }
    }

    fn record_path(&self) -> PathBuf {
        self.data_dir.join("records/web.json")
    }

    /// Has the claim in one place only.
    pub(crate) fn say_in(&self, source: Source, fields: &Value) {
        let mut claim = self.record.clone();
        // Its digest would tell that it was changed.
        claim.as_object_mut().expect("a record").remove("check");
        for (name, value) in fields.as_object().expect("fields of a record") {
            claim[name] = value.clone();
        }
        let snapshot = self.data_dir.join("snapshot.json");
        if source != Source::Record {
            fs::remove_file(self.record_path()).expect("remove the record");
        }
        if source != Source::PidFile {
            let _ = fs::remove_file(self.data_dir.join("pids/web.pid"));
        }
        match source {
            Source::Record => fs::write(self.record_path(), claim.to_string()).expect("write the record"),
            Source::Snapshot => {
                let mut document = read(&snapshot);
                let names = ["pid", "start_ticks", "pidfd_inode", "boot_id", "fingerprint"];
                let process = names.iter().filter(|name| !claim[**name].is_null());
                let process = process.map(|name| ((*name).to_owned(), claim[*name].clone()));
                document["Proxies"][WEB]["Config"]["process"] = process.collect();
                fs::write(snapshot, document.to_string()).expect("write the snapshot");
            }
            Source::Version1 => {
                let args = [*HELPER, "run"].map(str::to_owned).to_vec();
                let proxy = ConsulProxy { id: WEB.to_owned(), token: TOKEN.to_owned(), pid: 0, args, env: vec![] };
                let config = proxy.config().replace("\"Pid\":0", &format!("\"Pid\":{}", claim["pid"]));
                fs::write(snapshot, consul_snapshot("1", WEB, &config)).expect("write the snapshot");
            }
            Source::PidFile => {
                let text = claim["pid"].as_str().map_or_else(|| claim["pid"].to_string(), str::to_owned);
                fs::write(self.data_dir.join("pids/web.pid"), text + "\n").expect("write the pid file");
            }
        }
    }

    /// As an earlier version, or a kernel that says less, has recorded it.
    pub(crate) fn forget_inode(&mut self) {
        self.record.as_object_mut().expect("a record").remove("pidfd_inode");
    }
}

/// What the next agent must say of the claim, in its log.
#[track_caller]
fn says(agent: &Agent, reasons: &[&str]) {
    for reason in reasons {
        agent.wait_for_log(reason);
    }
    // That a process has ended is nothing to be warned of; that its pid is recycled is.
    for line in agent.log().lines().filter(|line| line.contains("not adopted: ")) {
        let level = if line.contains("ended while no agent was there") { "INFO" } else { "WARN" };
        assert!(line.contains(level), "{line}");
    }
}

/// Has the next agent start the proxy anew and stop it. The agent's pid.
#[track_caller]
pub(crate) fn starts_anew(scene: &Scene, launch: Launch<'_>, role: &[&str], pid: u32, reasons: &[&str]) -> u32 {
    let agent = launch.start(&config(scene, role));
    says(&agent, reasons);
    let start = scene.reports.start(WEB);
    assert_ne!(start.pid, pid);
    let status = agent.status_running(scene, WEB, start.pid);
    assert!(!status[WEB].adopted, "{status:?}");
    assert_eq!(status.proxies.len(), 1, "{status:?}");
    let its_pid = agent.pid();
    agent.quit();
    assert!(start.process.is_gone());
    its_pid
}

/// Has the next agent, which wants no proxy at all, find that there is nothing to stop.
#[track_caller]
pub(crate) fn stops_nothing(scene: &Scene, reasons: &[&str]) {
    let agent = Agent::start(scene, &Config::scanning(scene));
    says(&agent, reasons);
    agent.status_when(scene, "nothing is left of the proxy", |status| status.proxies.is_empty());
    agent.quit();
}

#[track_caller]
fn read(path: &std::path::Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("read {text:?}: {error}"))
}
