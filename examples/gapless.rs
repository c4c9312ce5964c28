// SPDX-License-Identifier: MPL-2.0
//! A process is replaced ten times while a client connects all the time: its socket stays open, and none is refused.

use listenfd::ListenFd;
use proxyprocess::{Command, Listen, ListenAddress, Manager, ManagerOptions, ProxyConfig, State, WaitFor};
use std::{env, os::unix::net::UnixStream, thread, time::Duration};

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if let Some(listener) = ListenFd::from_env().take_unix_listener(0)? {
        return Ok(listener.incoming().try_for_each(|client| client.map(drop))?); // the process
    }
    let path = env::current_dir()?.join("web.socket");
    let listen = Listen::new(ListenAddress::Unix(path.clone()));
    let state = State::new();
    state.set("web-proxy", ProxyConfig::new(Command::new(env::current_exe()?)).with_listen(listen))?;
    let manager = Manager::open(state, ManagerOptions::default().with_data_dir("proxies").with_allow_root(true))?;
    let running = || manager.wait_until("web-proxy", WaitFor::Running, Duration::from_secs(30));
    thread::scope(|scope| {
        let run = scope.spawn(|| manager.run());
        running()?;
        let all = scope.spawn(|| (0..10).try_for_each(|_| manager.restart("web-proxy").and_then(|()| running())));
        while !all.is_finished() {
            UnixStream::connect(&path)?;
        }
        all.join().expect("a result")?;
        manager.kill()?;
        println!("10 replacements, and every connection was made");
        Ok(run.join().expect("a result")?)
    })
}
