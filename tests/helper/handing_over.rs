// SPDX-License-Identifier: MPL-2.0
//! Handing over to another process, which names itself as the leader (MAINPID= of sd_notify(3)), as programs do that upgrade
//! themselves.

use std::process::{Command, Stdio};

use rustix::process::setsid;

use crate::notify;
use crate::report::Reporter;
use crate::roles::own_program;
use crate::wait::{self, Handled};

/// The role of a process that another one hands over to.
pub(crate) const SUCCEEDS: &str = "succeeds";

/// On each SIGUSR1 does the next thing of the list up to `/`, and says so: `exit N`; `successor` starts another process, which has
/// the list after `/`, `session` one in a session of its own, `untagged` one without the process tag, `stranger` one that is both
/// and does not write to the logs; all else is sent, with its pid in place of `{pid}`.
pub(crate) fn hand_over(reporter: &mut Reporter, list: &[String]) -> ! {
    let mut handled = Handled::user();
    reporter.started(None);
    let (own, rest) = list.split_at(list.iter().position(|word| word == "/").unwrap_or(list.len()));
    let mut own = own.iter();
    loop {
        let signal = wait::signal(&mut handled);
        match own.next().map(String::as_str) {
            Some(how @ ("successor" | "session" | "untagged" | "stranger")) => {
                start_successor(how, rest.get(1..).unwrap_or_default());
            }
            Some(text) => match text.strip_prefix("exit ") {
                Some(code) => {
                    reporter.signal(signal);
                    std::process::exit(code.parse().expect("a code"))
                }
                None => notify::send(&text.replace("{pid}", &std::process::id().to_string())),
            },
            None => {}
        }
        reporter.signal(signal);
    }
}

fn start_successor(how: &str, rest: &[String]) {
    let mut successor = Command::new(own_program());
    successor.args([SUCCEEDS, how]).args(rest);
    if how == "stranger" {
        successor.stdout(Stdio::null()).stderr(Stdio::null());
    }
    if matches!(how, "untagged" | "stranger") {
        for name in ["CONNECT_PROXY_ID", "CONNECT_PROXY_TOKEN", "CONNECT_PROXY_ORIGIN"] {
            successor.env_remove(name);
        }
    }
    drop(successor.spawn().expect("start a successor"));
}

/// Leads from now on.
pub(crate) fn succeed(reporter: &mut Reporter, how: &str, list: &[String]) -> ! {
    if matches!(how, "session" | "stranger") {
        setsid().expect("leave for a session of its own");
    }
    // Programs do not care whether they are heard: the agent may be gone.
    let _ = notify::try_to_send(&format!("MAINPID={}", std::process::id()));
    hand_over(reporter, list)
}
