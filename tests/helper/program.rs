// SPDX-License-Identifier: MPL-2.0
//! The process that the tests have managed: what it is and does is the role in its first argument.
//!
//! A process reports to its test when it has taken its role, so that a test waits for a message and never for time to
//! pass. It ends when the test does.
//!
//! | arguments | |
//! |---|---|
//! | `run` | waits; signals have their default effect |
//! | `bound` | asks to be killed by SIGTERM when its parent ends, then waits |
//! | `stubborn` | handles SIGINT, SIGTERM and signal 40, says so, and stays |
//! | `graceful` | on SIGINT, SIGTERM, SIGUSR1 or SIGQUIT says which, and ends |
//! | `exit N [LINE...]` | writes the lines to stderr, and ends with this code |
//! | `crash SIGNAL` | ends by this signal |
//! | `stopped` | stops itself as SIGSTOP does |
//! | `log TEXT` | writes the line to stdout and stderr, then waits |
//! | `inspect` | reports all that it inherited, then waits |
//! | `ready tcp ADDRESS` | on SIGUSR1 listens there and says so; with `at-once` as a last word it did so before it reported |
//! | `ready unix PATH`, `ready fd N` | the same: listens, or writes a line to the descriptor |
//! | `ready closes N` | on SIGUSR1 closes the descriptor and says so |
//! | `serve` | answers each connection to the sockets that it was given with its pid and the number of the descriptor |
//! | `notifies self TEXT...` | on each SIGUSR1 sends the next notification and says so; with `at-once` the first one before it reported |
//! | `notifies child TEXT...` | the same, by processes that have ended by then; with `escaped` they live, in sessions of their own |
//! | `notifies barrier TEXT...` | the same, with a descriptor, and waits until that is closed |
//! | `notifies flood TEXT` | on SIGUSR1 sends it again and again |
//! | `hands-over THING... / THING...` | on each SIGUSR1 does the next thing: starts a process that names itself as the leader and does what is behind the `/`, sends a notification, or ends |
//! | `grandchild [stubborn]` | starts a process of its own group that reports as `grandchild`, then waits |
//! | `escaped [stubborn]` | the same, but it has left for a session of its own; it says which signal ends it |
//! | `grandchild cleared` | the other one is in a session of its own, clears its environment, and dies by signals |
//! | `grandchild cleared keeps-log` | the same, and its standard error is still the log |
//! | `grandchild cleared stays` | it stays in the group |
//! | `background` | as `grandchild cleared`, but the first one ends as soon as the other one is so far |
//! | `silent PID` | what becomes of it, while the process with this pid lives: nothing is reported any more |
//! | `daemonizes [stubborn]` | the same, but the first one does not wait: it ends |
//! | `grandchild stopped` | the other one stops itself as SIGSTOP does |
//! | `grandchild relapses` | and does so again whenever it is continued |
//! | `starts PROGRAM ...` | starts a program in its own group, then waits |
//! | `traceable [threads]` | waits, alone or with further threads, and lets every process trace it |
//! | `traces PID` | traces all threads of a process as a debugger does, and waits for no news of them: it holds their zombies until it ends |
//! | `interrupts PID` | the same, and stops them |
//! | `starts-and-becomes PROGRAM ...` | starts a stubborn process of its own group that reports as `grandchild`, then becomes the program |
//! | `bomb [escaped]` | starts processes that start processes, a hundred at a time; or each in a session of its own |
//! | `leader-exits` | starts a stubborn one, and on SIGINT leaves it behind |
//! | `sandbox CALL=ERRNO,... PROGRAM ...` | becomes the program, to which these calls are refused |
//! | `stranger` | leads a session of its own, says which signal came, of all that can be caught, and stays |
//! | `stranger lead` | the same, with a `stranger` in its group that reports as `grandchild` |
//! | `stranger follow` | the same in the session and group of its parent |
//! | `mixed` | starts a `grandchild` of its group, and a stranger that joins the group and has nothing of the proxy |
//! | `guard PROGRAM ...` | becomes the program, which dies with the thread that started this process |

mod bomb;
mod debugger;
mod handing_over;
mod inspect;
mod message;
mod notify;
mod readiness;
mod report;
mod roles;
mod sandbox;
mod serving;
mod sockets;
mod wait;

fn main() -> std::process::ExitCode {
    // ORDER: the clock before all else, and what was inherited before anything is opened or changed.
    let birth = report::Birth::now();
    let inspection = inspect::inspect();
    roles::play(birth, inspection)
}
