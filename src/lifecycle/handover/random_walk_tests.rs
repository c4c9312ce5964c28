// SPDX-License-Identifier: MPL-2.0
//! A random walk of the handover against its invariants.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy)]
enum Move {
    Wanted,
    WantedAlone,
    Reverted,
    Ready,
    CurrentEnds,
    /// The files are exchanged, or cannot be.
    Exchange,
    ExchangeFails,
    /// What was told to stop is gone.
    OtherEnds,
    Stop,
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => Just(Move::Wanted),
        1 => Just(Move::WantedAlone),
        2 => Just(Move::Reverted),
        4 => Just(Move::Ready),
        1 => Just(Move::CurrentEnds),
        4 => Just(Move::Exchange),
        1 => Just(Move::ExchangeFails),
        4 => Just(Move::OtherEnds),
        1 => Just(Move::Stop),
    ]
}

/// What lives outside: a current one, and perhaps another one.
#[derive(Debug, Default)]
struct Outside {
    handover: Option<Handover>,
    /// The current one was asked to be gone, or has ended.
    current_stopped: bool,
    current_ended: bool,
    stop_wanted: bool,
    /// What is wanted now must not be started beside another one.
    alone: bool,
    other: bool,
    other_stopped: bool,
    other_ready: bool,
    exchange: bool,
}

impl Outside {
    fn on(&mut self, event: HandoverEvent) {
        let handover = self.handover.get_or_insert_with(Handover::new);
        let actions = handover.on(event);
        for action in actions {
            match action {
                HandoverAction::StartNext => {
                    assert!(!self.exchange, "the next one is replaced while it takes the place of the current one");
                    (self.other, self.other_stopped, self.other_ready) = (true, false, false);
                }
                HandoverAction::StopOther => self.other_stopped = self.other,
                HandoverAction::Promote => {
                    assert!(self.other && !self.exchange);
                    assert!(self.other_ready || self.current_ended, "promoted though it is not ready");
                    self.exchange = true;
                }
                HandoverAction::ReplaceCurrent => {
                    assert!(self.current_ended || self.current_stopped, "a running one is replaced");
                    assert!(!self.alone || !self.other, "started beside another one");
                    (self.current_stopped, self.current_ended, self.stop_wanted) = (false, false, false);
                }
                HandoverAction::StopCurrent => {
                    assert!(
                        self.stop_wanted || self.current_ended,
                        "the current one is stopped, and nothing asked for it"
                    );
                    self.current_stopped = true;
                }
            }
        }
    }

    fn make(&mut self, step: Move) {
        match step {
            Move::Wanted => self.alone = false,
            Move::WantedAlone => self.alone = true,
            _ => {}
        }
        match step {
            // A proxy that is to be gone, and alone, is started again by its own machine and no handover.
            Move::Wanted if self.stop_wanted && !self.other => self.stop_wanted = false,
            Move::Wanted => self.on(HandoverEvent::Wanted),
            // Its own machine replaces one that is alone.
            Move::WantedAlone if !self.other => {}
            Move::WantedAlone => {
                self.stop_wanted = true;
                self.on(HandoverEvent::WantedAlone);
                assert!(self.current_stopped || self.current_ended);
                assert!(self.other_stopped, "the other one is left");
            }
            Move::Reverted => self.on(HandoverEvent::Reverted),
            Move::Ready if self.other && !self.exchange && !self.other_stopped => {
                self.other_ready = true;
                if self.handover.as_ref().is_some_and(Handover::has_next) {
                    self.on(HandoverEvent::NextReady);
                }
            }
            Move::CurrentEnds if !self.current_ended => {
                self.current_ended = true;
                self.on(HandoverEvent::CurrentEnded);
                // Its own machine starts it again, unless it is succeeded.
                self.current_ended = self.current_stopped;
            }
            Move::Exchange if self.exchange => {
                self.exchange = false;
                (self.current_ended, self.current_stopped) = (false, self.stop_wanted);
                self.on(HandoverEvent::Promoted);
                assert!(self.other_stopped || self.stop_wanted, "the predecessor is left");
                self.other_stopped = true;
            }
            Move::ExchangeFails if self.exchange => {
                self.exchange = false;
                self.on(HandoverEvent::NotPromoted);
            }
            Move::OtherEnds if self.other && self.other_stopped && !self.exchange => {
                self.other = false;
                self.on(HandoverEvent::OtherGone);
            }
            Move::Stop => {
                self.stop_wanted = true;
                self.on(HandoverEvent::Stop);
                assert!(self.current_stopped || self.current_ended);
                assert!(!self.other || self.other_stopped, "the other one is left");
            }
            Move::Ready | Move::CurrentEnds | Move::Exchange | Move::ExchangeFails | Move::OtherEnds => {}
        }
        let is_over = self.handover.as_ref().is_none_or(Handover::is_over);
        assert_eq!(is_over, !self.other, "{self:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Two generations at most, no current one stopped before the next is ready, and an end to each handover.
    #[test]
    fn random_walks_of_handovers_keep_the_invariants(steps in proptest::collection::vec(moves(), 0..60)) {
        let mut outside = Outside::default();
        for step in steps {
            outside.make(step);
        }
        for _ in 0..4 {
            for step in [Move::Ready, Move::Exchange, Move::OtherEnds] {
                outside.make(step);
            }
        }
        assert!(!outside.other, "{outside:?}");
    }
}
