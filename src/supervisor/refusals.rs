// SPDX-License-Identifier: MPL-2.0
//! Why a request for one proxy is refused.

use crate::error::{Error, ErrorCode, excerpt};
use crate::lifecycle::ProxyState;

/// No proxy of this id is managed.
#[cold]
pub(crate) fn not_managed(id: &str) -> Error {
    Error::new(ErrorCode::NotFound, format!("proxy {}: not managed", excerpt(id)))
}

/// The proxy is declared and not to run.
#[cold]
pub(crate) fn paused(id: &str) -> Error {
    Error::new(ErrorCode::Paused, format!("proxy {}: it is paused", excerpt(id)))
}

/// The proxy has no process, or that has just ended.
#[cold]
pub(crate) fn not_running(id: &str, state: ProxyState) -> Error {
    Error::new(ErrorCode::NotRunning, format!("proxy {}: has no process now, its state is {state}", excerpt(id)))
}
