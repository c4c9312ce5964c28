// SPDX-License-Identifier: MPL-2.0
//! What happens to a process that fails at once, as text and as JSON, until the manager waits before it tries again.

use proxyprocess::{Command, EventKind, Manager, ManagerOptions, ProxyConfig, State};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let state = State::new();
    state.set("web-proxy", ProxyConfig::new(Command::new("false")))?;

    let manager = Manager::open(state, ManagerOptions::default().with_allow_root(true))?;
    let events = manager.events();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| manager.run());
        for event in events {
            println!("{event}\n{}", serde_json::to_string(&event)?);
            if matches!(event.kind, EventKind::Waiting { .. }) {
                manager.kill()?; // the events of the end come, and then there are no more
            }
        }
        Ok(run.join().expect("the run does not panic")?)
    })
}
