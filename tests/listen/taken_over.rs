// SPDX-License-Identifier: MPL-2.0
//! The agent is killed: the next one takes the sockets out of the process.

use rustix::process::geteuid;
use serde_json::json;

use super::kept::Client;
use super::{address, ask};
use crate::support::{Agent, Config, HELPER, Launch, Proxy, Scene};

/// Whether this user may take descriptors out of a process that is no child (Yama, ptrace(2)), and the kernel can.
pub(super) fn can_take() -> bool {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    !cfg!(proxyprocess_no_pidfd) && (geteuid().is_root() || matches!(scope.trim(), "" | "0"))
}

#[test]
fn next_agent_has_the_sockets_of_the_process_and_no_crash_refuses_a_connection() {
    if !can_take() {
        return eprintln!("skipped: descriptors of other processes cannot be taken here");
    }
    let scene = Scene::new();
    let (at, path) = (address(), scene.path("socket"));
    let listen = json!([format!("tcp:{at}"), {"address": format!("unix:{}", path.display()), "mode": "0600"}]);
    let proxy = |version: &str| {
        Proxy::helper(&["serve", version]).set("listen", listen.clone()).set("restart", json!({"max_wait_ms": 20}))
    };
    let config = Config::new(&scene).proxy("web", proxy("1"));
    let mut agent = Agent::start(&scene, &config);
    let mut start = scene.reports.start("web");
    let client = Client::of(at);
    for _ in 0..3 {
        // Two agents in a row that are killed have the same process.
        for _ in 0..2 {
            agent.status_running(&scene, "web", start.pid);
            agent.kill();
            agent = Agent::start(&scene, &config);
        }
        let status = agent.status_running(&scene, "web", start.pid);
        assert!(status["web"].adopted && status["web"].last_error.is_none(), "{status:?}");
        start.process.kill();
        start = scene.reports.start("web");
        assert_eq!(ask(at).unwrap(), (start.pid, 3));
    }
    let (answered, refused) = client.end();
    assert_eq!(refused, 0, "of {answered} connections");
    agent.kill();
    let agent = Agent::start(&scene, &config);
    agent.status_running(&scene, "web", start.pid);
    assert!(path.exists());
    agent.quit();
    assert!(!path.exists(), "the path of a socket that was taken over is removed with it");
    scene.finish();
}

#[test]
fn sockets_that_cannot_be_taken_are_named_and_opened_anew_by_the_next_start() {
    let scene = Scene::new();
    let at = address();
    let proxy = Proxy::helper(&["serve"]).set("listen", vec![format!("tcp:{at}")]);
    let config = Config::new(&scene).proxy("web", proxy.set("restart", json!({"max_wait_ms": 20})));
    let agent = Agent::start(&scene, &config);
    let start = scene.reports.start("web");
    agent.status_running(&scene, "web", start.pid);
    agent.kill();
    let agent = Launch::new(&scene).under(&[*HELPER, "sandbox", "pidfd_getfd=EPERM"]).start(&config);
    let status = agent.status_running(&scene, "web", start.pid);
    let error = status.error("web").expect("an error");
    assert!(status["web"].adopted && error.contains(&format!("take tcp:{at} over from pid {}", start.pid)), "{error}");
    assert_eq!(ask(at).unwrap(), (start.pid, 3), "it serves nevertheless");
    start.process.kill();
    let next = scene.reports.start("web");
    assert_eq!(ask(at).unwrap(), (next.pid, 3));
    agent.quit();
    scene.finish();
}
