//! x
pub mod defaults;
mod command;
mod declaration;
mod error;
mod lifecycle;
mod proxy;
mod store;
mod sys;
pub use command::{Command, Credentials};
pub use error::{Error, ErrorCode, Result};
pub use sys::signal::Signal;
pub use sys::wait::ExitStatus;
pub use lifecycle::{RestartSettings, StopSettings, ProxyState};
pub use declaration::{ProxyConfig, ExecMode, ProxySnapshot};
pub use proxy::*;
