// SPDX-License-Identifier: MPL-2.0
//! What made a process end: the numbers and names.

use super::output::TextOut;
use crate::lifecycle::EndedBy;

/// What made a process end. Later versions of the library may report further values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum proxyprocess_ended_by {
    /// No process has ended.
    PROXYPROCESS_ENDED_BY_NONE = 0,
    /// Nothing that the library did: it exited or crashed, or something else killed it.
    PROXYPROCESS_ENDED_BY_ITSELF = 1,
    /// A stop, or its replacement.
    PROXYPROCESS_ENDED_BY_STOP = 2,
    /// It was stopped because it was not ready within its start_timeout_ms.
    PROXYPROCESS_ENDED_BY_NOT_READY = 3,
    /// Its watchdog expired.
    PROXYPROCESS_ENDED_BY_WATCHDOG = 4,
}

/// Returns the name of what made a process end, like "watchdog"; static. "none" for PROXYPROCESS_ENDED_BY_NONE,
/// "unknown" for a number that this version does not know.
///
/// `by`: a value of proxyprocess_ended_by.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn proxyprocess_ended_by_str(by: i32) -> TextOut {
    TextOut::of(match by {
        0 => c"none",
        1 => c"itself",
        2 => c"stop",
        3 => c"not-ready",
        4 => c"watchdog",
        _ => c"unknown",
    })
}

/// The number of what made a process end.
pub(super) fn ended_by(by: Option<EndedBy>) -> proxyprocess_ended_by {
    use proxyprocess_ended_by as C;
    match by {
        None => C::PROXYPROCESS_ENDED_BY_NONE,
        Some(EndedBy::Itself) => C::PROXYPROCESS_ENDED_BY_ITSELF,
        Some(EndedBy::Stop) => C::PROXYPROCESS_ENDED_BY_STOP,
        Some(EndedBy::NotReady) => C::PROXYPROCESS_ENDED_BY_NOT_READY,
        Some(EndedBy::Watchdog) => C::PROXYPROCESS_ENDED_BY_WATCHDOG,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_made_a_process_end_has_the_same_name_here() {
        for by in [EndedBy::Itself, EndedBy::Stop, EndedBy::NotReady, EndedBy::Watchdog] {
            assert_eq!(proxyprocess_ended_by_str(ended_by(Some(by)) as i32).text(), by.as_str());
        }
        assert_eq!((proxyprocess_ended_by_str(0).text(), proxyprocess_ended_by_str(9).text()), ("none", "unknown"));
    }
}
