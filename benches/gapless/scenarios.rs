// SPDX-License-Identifier: MPL-2.0
//! What happens to the proxy and its agent while the load goes on.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use crate::Result;
use crate::agent::{self, Agent};
use crate::client::{Counts, Load};
use crate::options::Options;
use crate::programs::{Place, Program, Sockets};

/// Before, between and after what happens, so that requests of both kinds are made then.
const PAUSE: Duration = Duration::from_millis(300);

/// A kind of events.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) kills_proxy: bool,
    times: fn(&Options) -> u32,
    act: fn(Agent, &Program, &Place<'_>, u32) -> Result<Agent>,
}

pub(crate) static ALL: [Scenario; 5] = [
    Scenario { name: "SIGKILL of the proxy", kills_proxy: true, times: |options| options.crashes, act: crash },
    Scenario {
        name: "changed declaration",
        kills_proxy: false,
        times: |options| options.replacements,
        act: |mut agent, program, place, version| {
            agent.declare(&program.declaration(place, version)?)?;
            Ok(agent)
        },
    },
    Scenario {
        name: "`Manager::restart`",
        kills_proxy: false,
        times: |options| options.replacements,
        act: |mut agent, _, _, _| agent.restart().map(|_| agent),
    },
    Scenario {
        name: "SIGKILL of the agent",
        kills_proxy: false,
        times: |options| options.agent_kills,
        act: |agent, _, _, _| agent.succeed(None),
    },
    Scenario {
        name: "SIGKILL of the agent, and a changed declaration",
        kills_proxy: false,
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

/// One line of the table.
pub(crate) struct Row {
    pub(crate) program: &'static str,
    pub(crate) sockets: Sockets,
    pub(crate) scenario: &'static Scenario,
    pub(crate) times: u32,
    pub(crate) counts: Counts,
}

/// Measures one scenario with one program.
pub(crate) fn play(
    scenario: &'static Scenario,
    program: &Program,
    sockets: Sockets,
    upstream: SocketAddr,
    options: &Options,
) -> Result<Row> {
    let directory = tempfile::Builder::new().prefix("gapless-").tempdir()?;
    let place = Place { directory: directory.path(), address: free_address()?, upstream, sockets };
    let times = (scenario.times)(options);
    let counts = under_load(scenario, program, &place, times);
    program.clean_up(&place);
    let counts = counts.map_err(|error| format!("{}, {sockets}, {}: {error}", program.name, scenario.name))?;
    Ok(Row { program: program.name, sockets, scenario, times, counts })
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
