// SPDX-License-Identifier: MPL-2.0
//! Callers that wait for a state of one proxy. If a waiter is dropped without an answer, its caller waits again.

use std::sync::{Arc, Weak};

use crossbeam_channel::{Receiver, Sender};

use crate::error::{Error, ErrorCode, Result, excerpt};
use crate::lifecycle::ProxyState;
use crate::lifecycle::wait_for::{WaitFor, WaitProgress};
use crate::supervisor::refusals::{not_running, paused};

/// One caller.
#[derive(Debug)]
pub(crate) struct StateWaiter {
    what: WaitFor,
    answer: Sender<Result<()>>,
    caller: Weak<()>,
}

/// The caller's end: the answer, or a closed channel if it must wait again.
#[derive(Debug)]
pub(crate) struct StateAnswer {
    pub(crate) answer: Receiver<Result<()>>,
    _caller: Arc<()>,
}

impl StateWaiter {
    pub(crate) fn new(what: WaitFor) -> (StateWaiter, StateAnswer) {
        let (caller, (sender, answer)) = (Arc::new(()), crossbeam_channel::bounded(1));
        (StateWaiter { what, answer: sender, caller: Arc::downgrade(&caller) }, StateAnswer { answer, _caller: caller })
    }
}

/// Those of one proxy.
#[derive(Debug, Default)]
pub(crate) struct StateWaiters(Vec<StateWaiter>);

impl StateWaiters {
    pub(crate) const NONE: StateWaiters = StateWaiters(Vec::new());

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one, and drops those whose time is over.
    pub(crate) fn add(&mut self, waiter: StateWaiter) {
        self.0.retain(|waiter| waiter.caller.strong_count() > 0);
        self.0.push(waiter);
    }

    /// Drops all waiters, so that each caller waits again.
    pub(crate) fn dismiss(&mut self) {
        self.0 = Vec::new();
    }

    /// Answers those for which the state of their proxy is an answer; `error`: why it has failed, if it has.
    pub(crate) fn tell(&mut self, id: &str, state: ProxyState, error: Option<&Error>) {
        let failed = || Error::new(ErrorCode::StartFailed, format!("proxy {}: failed", excerpt(id)));
        self.0.retain(|waiter| {
            let answer = match waiter.what.progress(state) {
                WaitProgress::Pending => return true,
                WaitProgress::Gone => return false,
                WaitProgress::Reached => Ok(()),
                WaitProgress::Paused => Err(paused(id)),
                WaitProgress::Rests => Err(not_running(id, state)),
                WaitProgress::Failed => Err(error.cloned().unwrap_or_else(failed)),
            };
            // Its time may be over.
            let _ = waiter.answer.try_send(answer);
            false
        });
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Error {
        Error::new(ErrorCode::StartFailed, "no such program")
    }

    #[test]
    fn waiters_are_answered_once_or_dropped_and_those_without_a_caller_do_not_pile_up() {
        let mut waiters = StateWaiters::default();
        let wait = |waiters: &mut StateWaiters| {
            let (waiter, answer) = StateWaiter::new(WaitFor::Running);
            waiters.add(waiter);
            answer
        };
        let reached = wait(&mut waiters);
        let tell = |waiters: &mut StateWaiters, state| waiters.tell("web", state, Some(&failed()));
        tell(&mut waiters, ProxyState::Waiting);
        assert!(reached.answer.is_empty());
        tell(&mut waiters, ProxyState::Running);
        assert_eq!(reached.answer.recv(), Ok(Ok(())));
        let hopeless = wait(&mut waiters);
        tell(&mut waiters, ProxyState::Failed);
        assert_eq!(hopeless.answer.recv(), Ok(Err(failed())));
        let one_shot = wait(&mut waiters);
        tell(&mut waiters, ProxyState::Completed);
        assert_eq!(one_shot.answer.recv().unwrap().unwrap_err().code(), ErrorCode::NotRunning);
        let (gone, dismissed) = (wait(&mut waiters), wait(&mut waiters));
        tell(&mut waiters, ProxyState::Stopped);
        assert!(gone.answer.recv().is_err() && dismissed.answer.recv().is_err());
        for _ in 0..100 {
            drop(wait(&mut waiters));
        }
        assert_eq!(waiters.0.len(), 1);
        let last = wait(&mut waiters);
        waiters.dismiss();
        assert!(last.answer.recv().is_err());
    }
}
