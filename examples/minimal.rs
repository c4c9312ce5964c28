// SPDX-License-Identifier: MPL-2.0
//! The smallest agent: one process, kept running until the standard input ends.

use proxyprocess::{Command, Manager, ManagerOptions, ProxyConfig, State};

fn main() -> proxyprocess::Result<()> {
    let state = State::new();
    state.set("web-proxy", ProxyConfig::new(Command::new("sleep").arg("1000")))?;

    let options = ManagerOptions::default().with_data_dir("proxies").with_allow_root(true);
    let manager = Manager::open(state, options)?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::io::stdin().lines().for_each(drop);
            manager.kill()
        });
        manager.run() // returns with the result of the kill, when the process is gone
    })
}
