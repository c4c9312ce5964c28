// SPDX-License-Identifier: MPL-2.0
//! What a proxy is doing: the numbers and names of its states.

use super::output::TextOut;
use crate::lifecycle::ProxyState;

/// The state of a proxy. Later versions of the library may report further states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum proxyprocess_proxy_state {
    /// Never started; or restored after its process was gone, and started when the manager runs if it is still
    /// declared.
    PROXYPROCESS_PROXY_IDLE = 0,
    /// A process of an earlier agent is being identified.
    PROXYPROCESS_PROXY_ADOPTING = 1,
    /// The process is being started, or runs and is not ready yet.
    PROXYPROCESS_PROXY_STARTING = 2,
    /// The process runs and is ready.
    PROXYPROCESS_PROXY_RUNNING = 3,
    /// The process ended. Processes that it left are searched for and ended or waited for before it is started again.
    PROXYPROCESS_PROXY_CLEARING = 4,
    /// Waiting until the next start is due.
    PROXYPROCESS_PROXY_WAITING = 5,
    /// The process was asked to end.
    PROXYPROCESS_PROXY_STOPPING = 6,
    /// The process was stopped on request and is gone.
    PROXYPROCESS_PROXY_STOPPED = 7,
    /// The proxy cannot or may not be started as declared; or it failed and its declaration does not restart it.
    PROXYPROCESS_PROXY_FAILED = 8,
    /// The proxy was closed: it is not supervised any more, and its process may still run.
    PROXYPROCESS_PROXY_CLOSED = 9,
    /// The process ended as expected, and its declaration does not restart it.
    PROXYPROCESS_PROXY_COMPLETED = 10,
    /// The proxy is declared but does not run: its declaration says so (`enabled`), or proxyprocess_manager_pause() was
    /// called.
    PROXYPROCESS_PROXY_PAUSED = 11,
}

/// Returns the name of a state, like "running"; static. "unknown" for a number that this version does not know.
///
/// `state`: a value of proxyprocess_proxy_state.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_proxy_state_str(state: i32) -> TextOut {
    TextOut::of(match state {
        0 => c"idle",
        1 => c"adopting",
        2 => c"starting",
        3 => c"running",
        4 => c"clearing",
        5 => c"waiting",
        6 => c"stopping",
        7 => c"stopped",
        8 => c"failed",
        9 => c"closed",
        10 => c"completed",
        11 => c"paused",
        _ => c"unknown",
    })
}

/// The number of a state.
pub(super) fn state(state: ProxyState) -> proxyprocess_proxy_state {
    use proxyprocess_proxy_state as C;
    match state {
        ProxyState::Idle => C::PROXYPROCESS_PROXY_IDLE,
        ProxyState::Adopting => C::PROXYPROCESS_PROXY_ADOPTING,
        ProxyState::Starting => C::PROXYPROCESS_PROXY_STARTING,
        ProxyState::Running => C::PROXYPROCESS_PROXY_RUNNING,
        ProxyState::Clearing => C::PROXYPROCESS_PROXY_CLEARING,
        ProxyState::Waiting => C::PROXYPROCESS_PROXY_WAITING,
        ProxyState::Stopping => C::PROXYPROCESS_PROXY_STOPPING,
        ProxyState::Stopped => C::PROXYPROCESS_PROXY_STOPPED,
        ProxyState::Failed => C::PROXYPROCESS_PROXY_FAILED,
        ProxyState::Closed => C::PROXYPROCESS_PROXY_CLOSED,
        ProxyState::Completed => C::PROXYPROCESS_PROXY_COMPLETED,
        ProxyState::Paused => C::PROXYPROCESS_PROXY_PAUSED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_the_same_names_here() {
        use ProxyState::*;
        let all = [
            Idle, Adopting, Starting, Running, Clearing, Waiting, Stopping, Stopped, Failed, Closed, Completed, Paused,
        ];
        for known in all {
            assert_eq!(proxyprocess_proxy_state_str(state(known) as i32).text(), known.as_str());
        }
        assert_eq!(proxyprocess_proxy_state_str(99).text(), "unknown");
    }
}
