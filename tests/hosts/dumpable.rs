// SPDX-License-Identifier: MPL-2.0
//! A host that crashes is to leave a core, and can be debugged, whatever its proxies run as.

use proxyprocess::{Command, Credentials, Daemon, ProxyConfig, ProxyState};
use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};

use crate::hosts::life::in_a_host_by_root;
use crate::inside::Place;

const NOBODY: u32 = 65534;

fn as_nobody(id: &str, program: &str) -> Daemon {
    let credentials = Credentials::new(NOBODY, NOBODY);
    Daemon::new(id, ProxyConfig::new(Command::new(program).arg("1000").dir("/").credentials(credentials)))
}

fn that_runs_proxies_as_another_user(_: &Place) {
    for behavior in [DumpableBehavior::Dumpable, DumpableBehavior::NotDumpable] {
        set_dumpable_behavior(behavior).unwrap();
        let one = as_nobody("one", "sleep");
        one.start().unwrap();
        assert_eq!(one.status().state, ProxyState::Running);
        assert_eq!(dumpable_behavior(), Ok(behavior), "after a start");
        let missing = as_nobody("missing", "/no/such/program");
        missing.start().unwrap();
        assert_eq!((missing.status().state, missing.status().pid), (ProxyState::Waiting, None));
        assert_eq!(dumpable_behavior(), Ok(behavior), "after a start that failed");

        // Several at a time, as many as there are spawners.
        let crowd: Vec<Daemon> = (0..12).map(|number| as_nobody(&format!("p{number}"), "sleep")).collect();
        std::thread::scope(|scope| {
            for daemon in &crowd {
                scope.spawn(|| daemon.start().unwrap());
            }
        });
        assert_eq!(dumpable_behavior(), Ok(behavior), "after several starts at a time");
        for daemon in crowd.iter().chain([&one, &missing]) {
            daemon.stop().unwrap();
        }
    }
}

#[test]
fn a_host_that_runs_proxies_as_another_user() {
    let name = "hosts::dumpable::a_host_that_runs_proxies_as_another_user";
    in_a_host_by_root(name, &[], that_runs_proxies_as_another_user);
}
