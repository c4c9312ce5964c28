// SPDX-License-Identifier: MPL-2.0
//! Whether a program seems to put itself into the background: it exits with code 0 right after its start, and a process
//! that it left blocks the next one. Pure.

use std::time::Duration;

use crate::defaults;

/// What the ends of a process tell so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Background {
    /// Nothing.
    #[default]
    Unsuspected,
    /// It ended with 0 after so short a time, and what follows from that is not known yet.
    EndedEarly(Duration),
    /// And it has left a process, or its successor has failed.
    Suspected(Duration),
}

impl Background {
    /// The process has ended by itself: with 0 or otherwise, after so long. True when it is suspected from now on.
    pub(crate) fn ended(&mut self, with_zero: bool, ran: Duration) -> bool {
        match *self {
            _ if ran >= defaults::DAEMON_RESTART_HEALTHY => *self = Background::Unsuspected,
            Background::Unsuspected if with_zero && ran <= defaults::BACKGROUND_WITHIN => {
                *self = Background::EndedEarly(ran);
            }
            Background::EndedEarly(after) if !with_zero => {
                *self = Background::Suspected(after);
                return true;
            }
            Background::Unsuspected | Background::EndedEarly(_) | Background::Suspected(_) => {}
        }
        false
    }

    /// A process of it was found that lives on. True when it is suspected from now on.
    pub(crate) fn has_left(&mut self) -> bool {
        let Background::EndedEarly(after) = *self else { return false };
        *self = Background::Suspected(after);
        true
    }

    /// The question, once it is suspected.
    pub(crate) fn hint(self) -> Option<String> {
        let Background::Suspected(after) = self else { return None };
        let after = after.as_millis();
        Some(format!(
            "it ended with exit code 0 after {after} ms: if the program puts itself into the background, have it run in \
             the foreground"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1500);
    const LONG: Duration = Duration::from_secs(3);

    fn after(ends: &[(bool, Duration)]) -> (Background, usize) {
        let mut background = Background::default();
        let said = ends.iter().filter(|(with_zero, ran)| background.ended(*with_zero, *ran)).count();
        (background, said)
    }

    #[test]
    fn an_early_end_with_zero_and_a_successor_that_fails_are_suspicious_once() {
        assert_eq!(
            after(&[(true, SHORT), (false, LONG), (false, SHORT), (true, SHORT)]),
            (Background::Suspected(SHORT), 1)
        );
        let hint = Background::Suspected(SHORT).hint().unwrap();
        assert!(hint.starts_with("it ended with exit code 0 after 1500 ms: "), "{hint}");
    }

    #[test]
    fn an_end_that_is_late_or_a_failure_or_repeated_is_not_suspicious() {
        for ends in [&[(true, LONG), (false, SHORT)][..], &[(false, SHORT), (false, SHORT)], &[(true, SHORT); 5]] {
            let (background, said) = after(ends);
            assert_eq!((background.hint(), said), (None, 0), "{ends:?}");
        }
    }

    #[test]
    fn an_early_end_with_zero_that_leaves_a_process_is_suspicious() {
        let (mut background, _) = after(&[(true, SHORT)]);
        assert!(background.has_left() && !background.has_left() && background.hint().is_some());
        assert!(!Background::default().has_left());
    }

    #[test]
    fn a_healthy_run_clears_the_suspicion() {
        let healthy = defaults::DAEMON_RESTART_HEALTHY;
        assert_eq!(after(&[(true, SHORT), (false, SHORT), (false, healthy)]).0, Background::Unsuspected);
        assert_eq!(after(&[(true, SHORT), (true, healthy), (false, SHORT)]).0, Background::Unsuspected);
    }
}
