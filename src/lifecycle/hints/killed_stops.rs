// SPDX-License-Identifier: MPL-2.0
//! Whether a program ignores the signals of its stops: each of them ended by SIGKILL.

use crate::lifecycle::{StopAction, StopSettings};
use crate::sys::signal::Signal;
use crate::sys::wait::ExitStatus;

/// So many stops in a row are more than bad luck.
const SUSPICIOUS: u32 = 2;

/// How many stops in a row, up to the last one, ended by SIGKILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct KilledStops(u32);

impl KilledStops {
    pub(crate) const NONE: KilledStops = KilledStops(0);

    /// A stop has ended its process so. Without time to obey, or with SIGKILL among its signals, there was nothing to obey.
    pub(crate) fn after(self, exit: ExitStatus, stop: &StopSettings) -> KilledStops {
        match exit {
            ExitStatus::Unknown => self,
            ExitStatus::Signaled { signal: libc::SIGKILL, .. } => {
                let is_obeyed = stop.time_until_kill().is_zero() || signals(stop).any(|signal| signal == Signal::KILL);
                if is_obeyed { self } else { KilledStops(self.0.saturating_add(1)) }
            }
            ExitStatus::Exited(_) | ExitStatus::Signaled { .. } => KilledStops::NONE,
        }
    }

    /// The advice, once it is suspected.
    pub(crate) fn hint(self, stop: &StopSettings) -> Option<String> {
        if self.0 < SUSPICIOUS {
            return None;
        }
        let (stops, time) = (self.0, stop.time_until_kill());
        let signals: Vec<String> = signals(stop).map(|signal| signal.to_string()).collect();
        let ignored = if signals.is_empty() { "its stop commands".to_owned() } else { signals.join(" and ") };
        Some(format!(
            "its last {stops} stops ended by SIGKILL: if the program ignores {ignored}, declare another way to stop it; if \
             it needs more than {time:?}, more time"
        ))
    }
}

/// The signals of the steps.
fn signals(stop: &StopSettings) -> impl Iterator<Item = Signal> {
    (0..).map_while(|index| stop.step(index)).filter_map(|step| match step.action {
        StopAction::Signal { signal, .. } => Some(signal),
        StopAction::Command(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const KILLED: ExitStatus = ExitStatus::Signaled { signal: 9, core_dumped: false };

    fn after(exits: &[ExitStatus]) -> KilledStops {
        exits.iter().fold(KilledStops::NONE, |killed, exit| killed.after(*exit, &StopSettings::default()))
    }

    #[test]
    fn two_stops_in_a_row_that_end_by_sigkill_are_suspicious() {
        let stop = StopSettings::default();
        assert_eq!(after(&[KILLED]).hint(&stop), None);
        assert_eq!(
            after(&[KILLED, KILLED]).hint(&stop).unwrap(),
            "its last 2 stops ended by SIGKILL: if the program ignores SIGINT, declare another way to stop it; if it needs \
             more than 5s, more time"
        );
        assert_eq!(after(&[KILLED, KILLED, ExitStatus::Exited(0)]), KilledStops::NONE);
        assert!(after(&[KILLED, ExitStatus::Unknown, KILLED]).hint(&stop).is_some());
    }

    #[test]
    fn a_stop_that_is_a_kill_says_nothing() {
        let at_once = StopSettings::default().with_grace_period(Duration::ZERO);
        assert_eq!(KilledStops::NONE.after(KILLED, &at_once), KilledStops::NONE);
        let kill = StopSettings::default().with_signal(Signal::KILL);
        assert_eq!(KilledStops::NONE.after(KILLED, &kill), KilledStops::NONE);
    }
}
