// SPDX-License-Identifier: MPL-2.0
//! The example's own proxy on a socket of the library, replaced while a connection is open and another one comes.

use crate::real_proxies::traffic::{self, Server};
use crate::support::{Agent, Config, Process, Proxy, Scene};

const ID: &str = "own";

#[test]
fn own_proxy_serves_its_connections_to_the_end_and_its_successor_those_that_came_meanwhile() {
    let (scene, upstream, address) = (Scene::new(), Server::echo(), traffic::free_address());
    let declared = |round: &str| {
        let [listen, upstream] = [address, upstream.address()].map(|address| address.to_string());
        let listening = vec![format!("tcp:{address}")];
        let proxy = Proxy::command(&["{self}", "proxy", "--listen", &listen, "--upstream", &upstream]);
        let proxy = proxy.set("listen", listening).set("stop_signal", "SIGTERM").grace_ms(60_000);
        Config::new(&scene).proxy(ID, proxy.env(&[round]))
    };
    let agent = Agent::start(&scene, &declared("ROUND=1"));
    let status = agent.status_when(&scene, "the proxy runs", |status| status.is(ID, "running"));
    let first = Process::open(status[ID].pid.expect("a pid")).expect("a running proxy");
    scene.reports.adopt(&first);
    let mut open = traffic::connect(address).expect("the library listens");
    assert_eq!(traffic::echo(&mut open, "before"), "before");

    agent.reload(&declared("ROUND=2"));
    agent.status_when(&scene, "the proxy is being stopped", |status| status.is(ID, "stopping"));
    let mut late = traffic::connect(address).expect("the library listens");
    assert_eq!(traffic::echo(&mut open, "while it is stopped"), "while it is stopped");
    assert!(!first.is_gone(), "it has a connection");
    drop(open);
    first.wait();
    assert_eq!(traffic::echo(&mut late, "the next one"), "the next one");

    let status = agent.status_when(&scene, "the next one runs", |status| status.is(ID, "running"));
    assert!(!status.runs(ID, first.pid()), "{status:?}");
    scene.reports.adopt(&Process::open(status[ID].pid.expect("a pid")).expect("a running proxy"));
    assert_eq!(status[ID].last_exit.as_deref(), Some("exit code 0"));
    drop(late);
    agent.quit();
    scene.finish();
}
