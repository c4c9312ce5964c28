// SPDX-License-Identifier: MPL-2.0
//! What happens to an agent.

/// What happens to one of the agents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arm {
    /// What PROXYPROCESS_FAIL says.
    pub(crate) actions: String,
    /// The point, and its passing, at which a thread stands still.
    pub(crate) stall: Option<(String, usize)>,
    /// A child between clone and exec outlives the agent, and has its standard error.
    pub(crate) child_in_flight: bool,
    /// It may end at once and say why.
    pub(crate) may_refuse: bool,
}

impl Arm {
    /// It dies at a passing of a point.
    pub(crate) fn dies(point: &str, passing: usize) -> Arm {
        Arm { actions: format!("{point}#{passing}=die"), ..Arm::default() }
    }

    /// A thread of it stands still at a passing of a point.
    pub(crate) fn stalls(point: &str, passing: usize) -> Arm {
        Arm { actions: format!("{point}#{passing}=stall"), stall: Some((point.to_owned(), passing)), ..Arm::default() }
    }

    /// It dies at a point of its first child, which stands still there until it is released.
    pub(crate) fn leaves_in_flight(point: &str) -> Arm {
        Arm { actions: format!("{point}#1=stall"), child_in_flight: true, ..Arm::default() }
    }
}

/// The agent has died, or does not go on.
#[derive(Debug)]
pub(crate) struct Cut;

pub(crate) type Played<T = ()> = Result<T, Cut>;
