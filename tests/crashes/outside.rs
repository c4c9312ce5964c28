// SPDX-License-Identifier: MPL-2.0
//! What can be seen without asking the agent: the processes and the files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use crate::crashes::wanted::{Kind, Wanted, socket_of};
use crate::support::{Process, Scene, list};

/// A living process of a proxy.
#[derive(Debug, Clone)]
pub(crate) struct Living {
    pub(crate) id: String,
    /// Of the declaration that it was started from; members of a group have none.
    pub(crate) version: Option<u32>,
    pub(crate) process: Process,
    /// Its process group, and so its leader.
    pub(crate) group: u32,
    start_ticks: u64,
}

impl Living {
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn leads(&self) -> bool {
        self.group == self.pid()
    }

    fn of(process: Process) -> Option<Living> {
        let read = |name: &str| fs::read(format!("/proc/{}/{name}", process.pid())).ok();
        let environ = read("environ")?;
        let id = environ.split(|byte| *byte == 0).find_map(|line| line.strip_prefix(b"CONNECT_PROXY_ID="))?;
        let words = String::from_utf8_lossy(&read("cmdline")?).into_owned();
        let last = words.trim_end_matches('\0').rsplit('\0').next().unwrap_or_default();
        let stat = String::from_utf8_lossy(&read("stat")?).into_owned();
        let (_, fields) = stat.rsplit_once(") ")?;
        let field = |number: usize| fields.split(' ').nth(number - 3).and_then(|field| field.parse::<u64>().ok());
        Some(Living {
            id: String::from_utf8_lossy(id).into_owned(),
            version: last.strip_prefix('v').and_then(|version| version.parse().ok()),
            group: field(5)?.try_into().ok()?,
            start_ticks: field(22)?,
            process,
        })
    }
}

/// The living processes of proxies, and how many others there are: agents, and children that have not executed yet.
pub(crate) fn living(scene: &Scene, but: Option<u32>) -> (Vec<Living>, usize) {
    let alive = scene.alive().into_iter().filter(|process| Some(process.pid()) != but);
    let all: Vec<_> = alive.map(|process| (process.clone(), Living::of(process))).collect();
    let all: Vec<_> = all.into_iter().filter(|(process, _)| !process.is_gone()).map(|(_, seen)| seen).collect();
    let others = all.iter().filter(|seen| seen.is_none()).count();
    (all.into_iter().flatten().collect(), others)
}

/// Checks that the processes are those of what is wanted, one leader each; the leaders by id.
pub(crate) fn check_processes(wanted: &Wanted, living: Vec<Living>) -> Result<BTreeMap<String, Living>, String> {
    let (leaders, members): (Vec<_>, Vec<_>) = living.into_iter().partition(Living::leads);
    let mut by_id = BTreeMap::new();
    for leader in leaders {
        let Some(want) = wanted.0.get(&leader.id) else { return Err(format!("not wanted: {leader:?}")) };
        // For what has no program no process is stopped: an earlier one serves on.
        let serves_on = want.kind == Kind::Missing && leader.version.is_some_and(|version| version < want.version);
        if leader.version != Some(want.version) && !serves_on {
            return Err(format!("of another declaration than {want:?}: {leader:?}"));
        }
        if let Some(other) = by_id.insert(leader.id.clone(), leader.clone()) {
            return Err(format!("two of one id: {other:?} and {leader:?}"));
        }
    }
    for member in &members {
        if by_id.get(&member.id).is_none_or(|leader| leader.pid() != member.group) {
            return Err(format!("a member of no group that is wanted: {member:?}"));
        }
    }
    for (id, want) in wanted.0.iter().filter(|(_, want)| want.kind.lives()) {
        let of_id = members.iter().filter(|member| member.id == *id).count();
        let expected = usize::from(want.kind == Kind::Leads);
        if !by_id.contains_key(id) || of_id != expected {
            return Err(format!("{id} has a leader: {}, members: {of_id}", by_id.contains_key(id)));
        }
    }
    Ok(by_id)
}

/// Checks that the data directory says what is, and holds nothing else.
pub(crate) fn check_files(dir: &Path, wanted: &Wanted, leaders: &BTreeMap<String, Living>) -> Result<(), String> {
    let known = |name: &&String| {
        let aside = name.strip_prefix("snapshot.json.corrupt-").is_some_and(|number| number.parse::<u32>().is_ok());
        let socket = ["agent.sock", ".agent.sock.tmp"].contains(&name.as_str());
        aside || socket || ["lock", "logs", "pids", "records", "snapshot.json"].contains(&name.as_str())
    };
    if let Some(unknown) = list(dir).iter().find(|name| !known(name)) {
        return Err(format!("{unknown} in the data directory"));
    }
    let snapshot = json(&dir.join("snapshot.json"))?;
    let stored: BTreeSet<&str> =
        snapshot["Proxies"].as_object().into_iter().flat_map(|all| all.keys()).map(|id| id.as_str()).collect();
    let ids: BTreeSet<&str> = wanted.0.keys().map(String::as_str).collect();
    if stored != ids {
        return Err(format!("the snapshot holds {stored:?}, wanted is {ids:?}"));
    }
    // That of one that is not run again says so to the next agent.
    let ended = wanted.0.iter().filter(|(_, want)| want.kind == Kind::Once).map(|(id, _)| id);
    let recorded: BTreeSet<&String> = leaders.keys().chain(ended).collect();
    for (folder, suffix, of) in [("records", ".json", recorded), ("pids", ".pid", leaders.keys().collect())] {
        let (found, names) = (list(&dir.join(folder)), of.iter().map(|id| format!("{id}{suffix}")).collect::<Vec<_>>());
        if found != names {
            return Err(format!("{folder} holds {found:?}, expected {names:?}"));
        }
    }
    for (id, leader) in leaders {
        let record = json(&dir.join(format!("records/{id}.json")))?;
        let recorded = (record["id"].as_str(), record["pid"].as_u64(), record["start_ticks"].as_u64());
        if recorded != (Some(id.as_str()), Some(leader.pid().into()), Some(leader.start_ticks)) {
            return Err(format!("the record of {id} is {record}, its process {leader:?}"));
        }
        let pid = fs::read_to_string(dir.join(format!("pids/{id}.pid"))).map_err(|error| format!("{id}: {error}"))?;
        if pid != format!("{}\n", leader.pid()) {
            return Err(format!("the pid file of {id} is {pid:?}, its process {leader:?}"));
        }
    }
    Ok(())
}

/// Checks that a connection to each socket that is declared is accepted or waits.
pub(crate) fn check_sockets(scene: &Scene, wanted: &Wanted) -> Result<(), String> {
    for id in wanted.0.iter().filter(|(_, want)| want.kind == Kind::Listens).map(|(id, _)| id) {
        UnixStream::connect(socket_of(scene, id)).map_err(|error| format!("connect to the socket of {id}: {error}"))?;
    }
    Ok(())
}

fn json(path: &Path) -> Result<Value, String> {
    let text = fs::read(path).map_err(|error| format!("read {}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("TORN {}: {error}", path.display()))
}
