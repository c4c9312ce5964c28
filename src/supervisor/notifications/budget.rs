// SPDX-License-Identifier: MPL-2.0
//! How often the agent does something that a process triggers. Pure.

use std::time::{Duration, Instant};

/// So many times in each period and no more.
#[derive(Debug)]
pub(crate) struct Budget {
    most: u32,
    period: Duration,
    since: Option<Instant>,
    used: u32,
}

impl Budget {
    pub(crate) const fn new(most: u32, period: Duration) -> Budget {
        Budget { most, period, since: None, used: 0 }
    }

    /// Takes one.
    ///
    /// # Errors
    /// When the next one can be taken.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        match self.since {
            Some(since) if now < since + self.period => {
                if self.used >= self.most {
                    return Err(since + self.period);
                }
            }
            _ => (self.since, self.used) = (Some(now), 0),
        }
        self.used += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_budget_is_taken_in_a_period() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut budget = Budget::new(2, second);
        let at = |tenth: u32| start + second * tenth / 10;
        assert_eq!([0, 3, 5, 9].map(|tenth| budget.take(at(tenth))), [Ok(()), Ok(()), Err(at(10)), Err(at(10))]);
        assert_eq!([10, 19, 19, 99].map(|tenth| budget.take(at(tenth))), [Ok(()), Ok(()), Err(at(20)), Ok(())]);
    }
}
