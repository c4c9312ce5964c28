// SPDX-License-Identifier: MPL-2.0
//! An embeddable process supervisor: an agent declares which proxy processes must run, and the library starts them,
//! restarts them with backoff, writes their logs and stops them. After the agent was restarted, upgraded or killed, the
//! next one takes over the same running processes.
//!
//! It re-creates the managed-proxy package of Consul 1.4 as a synchronous Rust library: OS threads and channels, no
//! async runtime, Linux only.
//!
//! - [`State`] is the desired set: add, replace, remove, from any thread, at any time.
//! - [`Manager`] applies it: [`Manager::open`] takes over the processes of an earlier agent, [`Manager::run`] follows the
//!   state, and at the end [`Manager::close`] leaves the proxies running and [`Manager::kill`] stops them.
//! - [`Events`] reports what happens, [`ProxyStatus`] what each proxy is doing, and [`Logs`] the lines of the log.
//! - [`Daemon`] is one supervised process without a manager; [`Noop`] is a proxy that does nothing; [`Proxy`] is the
//!   interface for kinds of proxies that a host implements.
//!
//! # Example: an agent in twenty lines
//! ```no_run
//! use proxyprocess::{Command, Manager, ManagerOptions, ProxyConfig, State};
//!
//! fn main() -> proxyprocess::Result<()> {
//!     let state = State::new();
//!     state.set("web-proxy", ProxyConfig::new(Command::new("haproxy").args(["-db", "-f", "/etc/web.cfg"])))?;
//!
//!     let options = ManagerOptions::default().with_data_dir("/var/lib/my-agent/proxies");
//!     let manager = Manager::open(state, options)?;
//!     manager.run() // returns when another thread, with an Arc of the manager, has closed or killed it
//! }
//! ```
//!
//! # Threads
//! All managers and daemons of a program share one supervisor thread and at most three spawner threads (one for each
//! processor), whatever the number of processes; at most 16 more replace spawners that hang in a file system. Logs with a
//! limit need one more thread, and so does each manager with proxies of registered kinds. The threads start with the first
//! use, end with the last handle, and are named `proxy-...`. All asynchronous signals are blocked on them, so that the
//! host's handlers never run there. Not blocked are the six signals that a thread raises by its own fault (SIGSEGV, SIGBUS,
//! SIGFPE, SIGILL, SIGTRAP, SIGSYS), for hosts that handle faults of their loggers and kinds of proxies. No thread runs
//! while nothing happens.
//!
//! # What the library does not do to its host
//! It installs no signal handler, waits only for its own children (never `waitpid(-1)`), and changes neither the
//! working directory nor the umask, environment, signal dispositions or limits of the process. Hosts should neither
//! ignore SIGCHLD nor wait for "any child"; if they do, exits are still seen, and the exit status if the kernel reports it.
//!
//! A process does not inherit everything from its host: see [`Command`] for its environment, descriptor limit and OOM
//! score.
//!
//! A process that the host forks off (without executing a program) must not use the handles that it inherited: they
//! return [`ErrorCode::Forked`], and the locks of data directories stay with the agent.
//!
//! # Log
//! Lines go to the [`log`](https://docs.rs/log) facade with the target `proxyprocess`: starts, adoptions, stops, waits and
//! ends while no agent ran at info, unexpected exits and other refused adoptions at warn, failures at error. They are
//! written on the library's threads: a logger that blocks delays the supervision. A manager may have a logger of its own
//! ([`ManagerOptions::logger`]). [`Logs`] reads the lines by pull, which delays nothing.

#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod bench_hooks;
mod command;
mod daemon;
mod deadline;
mod declaration;
pub mod defaults;
mod error;
mod feed;
#[cfg(feature = "capi")]
mod ffi;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod host_code;
mod lifecycle;
mod logging;
mod manager;
mod proxy;
mod state;
mod store;
mod subscription;
mod supervisor;
mod sys;

pub use command::{Command, Credentials, HostDescriptor, Output, OutputOwner, Resource, ResourceLimit};
pub use daemon::Daemon;
pub use declaration::{
    CgroupLimits, ExecMode, ExpectedExit, Listen, ListenAddress, ProxyConfig, ProxySnapshot, Ready, Reload, Replace,
};
pub use error::{Error, ErrorCode, Result};
pub use lifecycle::{
    EndedBy, GiveUpAfter, ProxyState, RestartSettings, RestartWhen, StopAction, StopSettings, StopStep, WaitFor,
};
/// The crate whose levels and loggers [`Logs`], [`Manager::logs`] and [`Logger`] take.
pub use log;
pub use logging::{LogLine, Logger, Logs};
pub use manager::{Manager, ManagerOptions};
pub use proxy::{Noop, Proxy, ProxyContext, ProxyFactory};
pub use state::State;
pub use subscription::Subscription;
pub use supervisor::{CgroupUse, Event, EventKind, Events, OtherGeneration, ProxyStatus, UnprovenProcess};
pub use sys::signal::Signal;
pub use sys::wait::ExitStatus;

/// The programs in the documentation are compiled with the documentation tests.
#[cfg(doctest)]
mod documentation {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/rust.md")]
    struct Rust;
}
