//! x
mod command;
mod daemon;
mod declaration;
pub mod defaults;
mod error;
mod lifecycle;
mod logging;
mod manager;
mod proxy;
mod state;
mod store;
mod supervisor;
mod sys;

pub use command::{Command, Credentials};
pub use daemon::Daemon;
pub use declaration::{ExecMode, ProxyConfig, ProxySnapshot};
pub use error::{Error, ErrorCode, Result};
pub use lifecycle::{ProxyState, RestartSettings, StopSettings};
pub use manager::{Manager, ManagerOptions};
pub use proxy::{Noop, Proxy, ProxyContext, ProxyFactory};
pub use state::{State, Subscription};
pub use supervisor::{Event, EventKind, Events, ProxyStatus};
pub use sys::signal::Signal;
pub use sys::wait::ExitStatus;
