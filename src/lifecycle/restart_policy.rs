// SPDX-License-Identifier: MPL-2.0
//! Whether a process that ended is started again: decided by how it ended, and by how often it failed lately. Pure.

use std::time::{Duration, Instant};

/// When a proxy is started again after its process ended. A change needs no new process.
///
/// An end by [`Manager::restart`](crate::Manager::restart), by a stop or by a changed declaration does not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestartWhen {
    /// Always, as in Consul.
    #[default]
    Always,
    /// After an exit that is not expected ([`ProxyConfig::expected_exit`](crate::ProxyConfig::expected_exit)). After an
    /// expected one the proxy is [`ProxyState::Completed`](crate::ProxyState::Completed).
    OnFailure,
    /// Never: the program runs once for each declaration. The proxy is then
    /// [`ProxyState::Completed`](crate::ProxyState::Completed) after an expected exit, else
    /// [`ProxyState::Failed`](crate::ProxyState::Failed).
    Never,
}

impl RestartWhen {
    pub(crate) const ALL: [RestartWhen; 3] = [RestartWhen::Always, RestartWhen::OnFailure, RestartWhen::Never];

    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            RestartWhen::Always => "always",
            RestartWhen::OnFailure => "on-failure",
            RestartWhen::Never => "never",
        }
    }

    /// Why a proxy is not started again after this exit, apart from the limit on failures.
    pub(crate) fn rest_after(self, end: End) -> Option<Rest> {
        match (self, end) {
            (RestartWhen::Always, _) | (RestartWhen::OnFailure, End::Unexpected | End::Unknown) => None,
            (RestartWhen::OnFailure | RestartWhen::Never, End::Expected) => Some(Rest::Completed),
            // It may have done its work, and must not do it twice.
            (RestartWhen::Never, End::Unexpected | End::Unknown) => Some(Rest::NotRestarted),
        }
    }
}

/// When a proxy that fails repeatedly is not started any more.
///
/// Failures are: an exit that is not expected ([`ProxyConfig::expected_exit`](crate::ProxyConfig::expected_exit)), a
/// failed start, a process that was not ready in time, and one that did not feed its watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GiveUpAfter {
    /// The number of failures, 1 to 1000.
    pub failures: u32,
    /// The period in which they happen, not zero.
    pub within: Duration,
}

impl GiveUpAfter {
    /// This many failures within this period.
    pub fn new(failures: u32, within: Duration) -> GiveUpAfter {
        GiveUpAfter { failures, within }
    }
}

/// How a process ended, as judged by its declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Expected,
    Unexpected,
    /// No agent was running when it ended, and the kernel does not report how it ended.
    Unknown,
}

/// Why a proxy is not started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// It ended as expected.
    Completed,
    /// It ended otherwise, and runs only once.
    NotRestarted,
    /// It failed this often within this period.
    GaveUp(GiveUpAfter),
}

impl Rest {
    /// Whether the next agent has to know the reason, because it must not start the proxy either.
    pub(crate) fn is_recorded(self) -> bool {
        match self {
            Rest::Completed | Rest::NotRestarted => true,
            Rest::GaveUp(_) => false,
        }
    }

    /// Whether a proxy that is not started again must run under its new declaration, even though the process would be
    /// the same.
    pub(crate) fn is_over(self, policy: RestartWhen) -> bool {
        match (self, policy) {
            (_, RestartWhen::Always) => true,
            (Rest::Completed, RestartWhen::OnFailure) | (_, RestartWhen::Never) => false,
            (Rest::NotRestarted | Rest::GaveUp(_), RestartWhen::OnFailure) => true,
        }
    }
}

/// The times of the last failures, if a limit is declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Failures(Vec<Instant>);

impl Failures {
    /// Records a failure; returns whether the limit is reached.
    pub(crate) fn add(&mut self, now: Instant, give_up: Option<GiveUpAfter>) -> Option<Rest> {
        let Some(limit) = give_up else {
            self.forget();
            return None;
        };
        self.0.retain(|at| now.saturating_duration_since(*at) <= limit.within);
        self.0.push(now);
        (self.0.len() >= limit.failures as usize).then_some(Rest::GaveUp(limit))
    }

    /// Forgets all failures.
    pub(crate) fn forget(&mut self) {
        self.0 = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_final_by_the_policy_and_by_how_it_ended() {
        use RestartWhen::*;
        let rest =
            |policy: RestartWhen| [End::Expected, End::Unexpected, End::Unknown].map(|end| policy.rest_after(end));
        assert_eq!(rest(Always), [None; 3]);
        assert_eq!(rest(OnFailure), [Some(Rest::Completed), None, None]);
        assert_eq!(rest(Never), [Some(Rest::Completed), Some(Rest::NotRestarted), Some(Rest::NotRestarted)]);
    }

    #[test]
    fn another_policy_ends_a_rest_that_it_would_not_have_begun() {
        let gave_up = Rest::GaveUp(GiveUpAfter::new(1, Duration::from_secs(1)));
        let over = |policy| [Rest::Completed, Rest::NotRestarted, gave_up].map(|rest| rest.is_over(policy));
        assert_eq!(over(RestartWhen::Always), [true; 3]);
        assert_eq!(over(RestartWhen::OnFailure), [false, true, true]);
        assert_eq!(over(RestartWhen::Never), [false; 3]);
    }

    #[test]
    fn failures_count_while_they_are_within_the_period_and_begin_anew_when_forgotten() {
        let limit = GiveUpAfter::new(3, Duration::from_secs(10));
        let (mut failures, start) = (Failures::default(), Instant::now());
        let add =
            |failures: &mut Failures, second| failures.add(start + Duration::from_secs(second), Some(limit)).is_some();
        assert_eq!([0, 5, 11, 15].map(|second| add(&mut failures, second)), [false, false, false, true]);
        failures.forget();
        assert_eq!([16, 17, 18].map(|second| add(&mut failures, second)), [false, false, true]);
        assert_eq!(failures.add(start, None), None);
        assert_eq!(failures, Failures::default(), "where no limit is declared none is kept");
    }
}
