// SPDX-License-Identifier: MPL-2.0
//! What happens to the proxy and its agent while the load goes on.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::Result;
use crate::agent::{self, Agent};
use crate::client::{Counts, Load};
use crate::network;
use crate::options::Options;
use crate::peers::{self, Peer};
use crate::programs::{Place, Program, Sockets};

/// Before, between and after what happens, so that requests of both kinds are made then.
const PAUSE: Duration = Duration::from_millis(300);

/// A kind of events.
pub(crate) struct Scenario {
    pub(crate) event: Event,
    /// Whether it happens to a program that listens so.
    pub(crate) concerns: fn(Sockets) -> bool,
    times: fn(&Options) -> u32,
    act: fn(Agent, &Program, &Place<'_>, u32) -> Result<Agent>,
}

pub(crate) static ALL: [Scenario; 6] = [
    Scenario { event: CRASH, concerns: |_| true, times: |options| options.crashes, act: crash },
    Scenario {
        event: Event { name: "changed declaration", kills_proxy: false },
        concerns: |_| true,
        times: |options| options.replacements,
        act: |mut agent, program, place, version| {
            agent.declare(&program.declaration(place, version)?)?;
            Ok(agent)
        },
    },
    Scenario {
        event: RESTART,
        concerns: |_| true,
        times: |options| options.replacements,
        act: |mut agent, _, _, _| agent.restart().map(|_| agent),
    },
    Scenario {
        event: Event { name: "a replacement that fails", kills_proxy: false },
        // Without a predecessor that serves on there is nothing to connect to until it is repaired.
        concerns: Sockets::overlaps,
        times: |options| options.replacements,
        act: fail,
    },
    Scenario {
        event: Event { name: "SIGKILL of the agent", kills_proxy: false },
        concerns: |_| true,
        times: |options| options.agent_kills,
        act: |agent, _, _, _| agent.succeed(None),
    },
    Scenario {
        event: Event { name: "SIGKILL of the agent, and a changed declaration", kills_proxy: false },
        concerns: |_| true,
        times: |options| options.agent_kills,
        act: |agent, program, place, version| agent.succeed(Some(&program.declaration(place, version)?)),
    },
];

fn crash(mut agent: Agent, _: &Program, _: &Place<'_>, _: u32) -> Result<Agent> {
    let before = agent.proxy()?;
    agent::crash(before)?;
    // The agent may answer before it has seen the end.
    while agent.proxy()? == before {}
    Ok(agent)
}

/// The next one ends at once, or serves beside its predecessor and is never ready. Then the old declaration is set again.
fn fail(mut agent: Agent, program: &Program, place: &Place<'_>, version: u32) -> Result<Agent> {
    let good = program.declaration(place, 0)?;
    let mut bad = program.declaration(place, version)?;
    // A program that is told its epoch has its predecessor end, ready or not.
    let ends_its_predecessor = good.to_string().contains("{epoch}");
    bad["ready"] = json!({ "command": ["/bin/false"] });
    bad["start_timeout_ms"] = 1000.into();
    if version.is_multiple_of(2) || ends_its_predecessor {
        bad["command"] = json!(["/bin/false"]);
    }
    let before = agent.proxy()?;
    if agent.attempt(&bad)? != before || agent.declare(&good)? != before {
        return Err("the proxy is another process after a replacement that failed".into());
    }
    Ok(agent)
}

/// One line of a table.
pub(crate) struct Row {
    /// Another supervisor; `None` is the library.
    pub(crate) peer: Option<&'static str>,
    pub(crate) program: &'static str,
    pub(crate) sockets: Sockets,
    pub(crate) event: Event,
    pub(crate) times: u32,
    pub(crate) counts: Counts,
}

/// What happens in a line, as the table says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) kills_proxy: bool,
}

/// What the library and other supervisors have in common.
pub(crate) const CRASH: Event = Event { name: "SIGKILL of the proxy", kills_proxy: true };
pub(crate) const RESTART: Event = Event { name: "restart", kills_proxy: false };

/// Measures one scenario with one program.
pub(crate) fn play(
    scenario: &'static Scenario,
    program: &Program,
    sockets: Sockets,
    upstream: SocketAddr,
    options: &Options,
) -> Result<Row> {
    let times = (scenario.times)(options);
    let counts = at_a_place(program, sockets, upstream, |place| under_load(scenario, program, place, times));
    let event = scenario.event;
    let counts = counts.map_err(|error| format!("{}, {sockets}, {}: {error}", program.name, event.name))?;
    Ok(Row { peer: None, program: program.name, sockets, event, times, counts })
}

/// Measures what another supervisor makes of one program.
pub(crate) fn play_under(
    peer: &'static Peer,
    event: Event,
    program: &Program,
    sockets: Sockets,
    upstream: SocketAddr,
    options: &Options,
) -> Result<Row> {
    let times = if event.kills_proxy { options.crashes } else { options.replacements };
    let counts = at_a_place(program, sockets, upstream, |place| {
        let mut supervised = peer.start(program, place)?;
        let load = Load::begin(place.address)?;
        thread::sleep(PAUSE);
        for _ in 0..times {
            let before = peers::running(&mut *supervised, None)?;
            if event.kills_proxy {
                agent::crash(before)?;
            } else {
                supervised.restart()?;
            }
            peers::running(&mut *supervised, Some(before))?;
            thread::sleep(PAUSE);
        }
        load.end()
    });
    let counts = counts.map_err(|error| format!("{}, {}, {}: {error}", peer.name, program.name, event.name))?;
    Ok(Row { peer: Some(peer.name), program: program.name, sockets, event, times, counts })
}

/// At a directory and an address of its own.
fn at_a_place(
    program: &Program,
    sockets: Sockets,
    upstream: SocketAddr,
    measure: impl FnOnce(&Place<'_>) -> Result<Counts>,
) -> Result<Counts> {
    let directory = tempfile::Builder::new().prefix("gapless-").tempdir()?;
    let place = Place { directory: directory.path(), address: free_address()?, upstream, sockets };
    let migrated = (sockets == Sockets::Migrated).then(network::Migrated::begin).transpose()?;
    let counts = measure(&place);
    drop(migrated);
    program.clean_up(&place);
    counts
}

fn under_load(scenario: &Scenario, program: &Program, place: &Place<'_>, times: u32) -> Result<Counts> {
    let mut agent = Agent::start(place.directory, &program.declaration(place, 0)?)?;
    let load = Load::begin(place.address)?;
    thread::sleep(PAUSE);
    for version in 1..=times {
        agent = (scenario.act)(agent, program, place, version)?;
        thread::sleep(PAUSE);
    }
    let counts = load.end()?;
    agent.end()?;
    Ok(counts)
}

/// An address on loopback that nothing else uses now.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
