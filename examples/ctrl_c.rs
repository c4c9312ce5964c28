// SPDX-License-Identifier: MPL-2.0
//! Ctrl-C stops the process. SIGTERM leaves it running, and the next run of this program takes it over.

use proxyprocess::{Command, ErrorCode, Manager, ManagerOptions, ProxyConfig, State};
use signal_hook::consts::{SIGINT, SIGTERM};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let state = State::new();
    state.set("web-proxy", ProxyConfig::new(Command::new("sleep").arg("1000")))?;

    let options = ManagerOptions::default().with_data_dir("proxies").with_allow_root(true);
    let manager = Manager::open(state, options)?;
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let handle = signals.handle();
    println!("Ctrl-C stops the process, SIGTERM leaves it running");
    std::thread::scope(|scope| {
        scope.spawn(|| match signals.forever().next() {
            Some(SIGTERM) => manager.close(),
            _ => manager.kill(),
        });
        let ended = manager.run();
        handle.close(); // should the run have failed, no signal comes
        match ended {
            Err(error) if error.code() == ErrorCode::Closed => Ok(()), // the signal came before the run
            ended => Ok(ended?),
        }
    })
}
