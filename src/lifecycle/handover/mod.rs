// SPDX-License-Identifier: MPL-2.0
//! The handover from one generation of a proxy to the next one, which is started beside it: state x event -> actions.
//! Pure, like the machine of one process: each process has a machine, and each id has one handover above them.
//!
//! At most two generations are alive. The current one is stopped only when the next one is ready, or when both must
//! end. A next one that fails is started again by its own machine, with its own backoff, while the current one keeps
//! serving.

/// What is being done about a second generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HandoverPhase {
    /// There is one generation.
    Single,
    /// The next one is being started beside the current one, runs and is not ready, or waits for its next start.
    Preparing,
    /// The next one is not wanted any more, and is ending.
    Reverting,
    /// The next one takes the place of the current one: its id and its files. Again: another one is wanted by now.
    Promoting { again: bool },
    /// The next one has become the current one, and its predecessor ends. Again: a third one is wanted, and is started
    /// when the predecessor is gone.
    Draining { again: bool },
    /// Both are ending. Promotes: the next one takes the place of the current one meanwhile. Again: then what is declared
    /// is started when both are gone.
    Ending { promotes: bool, again: bool },
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandoverEvent {
    /// Another process than the youngest generation is wanted: its declaration changed, or a restart was asked for.
    Wanted,
    /// Another process is wanted, and must not be started beside one of those that there are.
    WantedAlone,
    /// What is declared is the current generation again; after a promotion, the youngest one.
    Reverted,
    /// The next generation is ready.
    NextReady,
    /// The current generation has ended by itself.
    CurrentEnded,
    /// The answers to [`HandoverAction::Promote`]: done, or not to be done now.
    Promoted,
    NotPromoted,
    /// Nothing is left of the generation that is not the current one.
    OtherGone,
    /// The proxy is to be gone.
    Stop,
}

/// What the supervisor has to do, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandoverAction {
    /// Start what is declared as the next generation. One that is there already is replaced by it.
    StartNext,
    /// Stop the generation that is not the current one.
    StopOther,
    /// Give the next generation the id and the files of the current one, and answer with [`HandoverEvent::Promoted`]: from
    /// then on it is the current one, and the other one its predecessor. Or with [`HandoverEvent::NotPromoted`].
    Promote,
    /// Replace the current generation, which has ended or is being stopped, by what is declared.
    ReplaceCurrent,
    /// Stop the current generation.
    StopCurrent,
}

/// The handover of one id.
#[derive(Debug)]
pub(crate) struct Handover {
    phase: HandoverPhase,
}

impl Handover {
    pub(crate) fn new() -> Handover {
        Handover { phase: HandoverPhase::Single }
    }

    /// One that an earlier agent had begun: the next generation is there already.
    pub(crate) fn prepared() -> Handover {
        Handover { phase: HandoverPhase::Preparing }
    }

    /// One that an earlier agent had ended: the generation that is not the current one is being stopped.
    pub(crate) fn drained() -> Handover {
        Handover { phase: HandoverPhase::Draining { again: false } }
    }

    /// Whether there is nothing to remember.
    pub(crate) fn is_over(&self) -> bool {
        self.phase == HandoverPhase::Single
    }

    /// Whether the generation that is not the current one is the next, and not the predecessor.
    pub(crate) fn has_next(&self) -> bool {
        matches!(self.phase, HandoverPhase::Preparing | HandoverPhase::Reverting | HandoverPhase::Promoting { .. })
    }

    /// Whether a process is wanted that does not have the place of the current one yet.
    pub(crate) fn awaits_next(&self) -> bool {
        matches!(
            self.phase,
            HandoverPhase::Preparing
                | HandoverPhase::Promoting { .. }
                | HandoverPhase::Draining { again: true }
                | HandoverPhase::Ending { again: true, .. }
        )
    }

    /// Whether the next one is taking the place of the current one, and nothing asked for their end.
    pub(crate) fn is_promoting(&self) -> bool {
        matches!(self.phase, HandoverPhase::Promoting { .. })
    }

    /// Whether both are to be gone.
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.phase, HandoverPhase::Ending { .. })
    }

    /// Takes one event.
    pub(crate) fn on(&mut self, event: HandoverEvent) -> Vec<HandoverAction> {
        let (phase, actions) = match self.phase {
            HandoverPhase::Single => single(event),
            HandoverPhase::Preparing => preparing(event),
            HandoverPhase::Reverting => reverting(event),
            HandoverPhase::Promoting { again } => promoting(again, event),
            HandoverPhase::Draining { again } => draining(again, event),
            HandoverPhase::Ending { promotes, again } => ending(promotes, again, event),
        };
        self.phase = phase;
        actions
    }
}

type Step = (HandoverPhase, Vec<HandoverAction>);

const ENDING: HandoverPhase = HandoverPhase::Ending { promotes: false, again: false };
const STOP_BOTH: [HandoverAction; 2] = [HandoverAction::StopOther, HandoverAction::StopCurrent];
/// What is declared is started when both are gone.
const ENDING_FIRST: HandoverPhase = HandoverPhase::Ending { promotes: false, again: true };

fn single(event: HandoverEvent) -> Step {
    match event {
        HandoverEvent::Wanted => (HandoverPhase::Preparing, vec![HandoverAction::StartNext]),
        HandoverEvent::WantedAlone => (HandoverPhase::Single, vec![HandoverAction::ReplaceCurrent]),
        HandoverEvent::Stop => (HandoverPhase::Single, vec![HandoverAction::StopCurrent]),
        // Its own machine starts it again.
        HandoverEvent::CurrentEnded
        | HandoverEvent::Reverted
        | HandoverEvent::NextReady
        | HandoverEvent::Promoted
        | HandoverEvent::NotPromoted
        | HandoverEvent::OtherGone => (HandoverPhase::Single, vec![]),
    }
}

fn preparing(event: HandoverEvent) -> Step {
    match event {
        HandoverEvent::Wanted => (HandoverPhase::Preparing, vec![HandoverAction::StartNext]),
        HandoverEvent::Reverted => (HandoverPhase::Reverting, vec![HandoverAction::StopOther]),
        HandoverEvent::NextReady => (HandoverPhase::Promoting { again: false }, vec![HandoverAction::Promote]),
        // Without a current one there is nothing to wait for: what it was started from is not wanted any more.
        HandoverEvent::CurrentEnded => {
            (HandoverPhase::Promoting { again: false }, vec![HandoverAction::StopCurrent, HandoverAction::Promote])
        }
        HandoverEvent::OtherGone => (HandoverPhase::Single, vec![]),
        HandoverEvent::Stop => (ENDING, STOP_BOTH.to_vec()),
        HandoverEvent::WantedAlone => (ENDING_FIRST, STOP_BOTH.to_vec()),
        HandoverEvent::Promoted | HandoverEvent::NotPromoted => (HandoverPhase::Preparing, vec![]),
    }
}

fn reverting(event: HandoverEvent) -> Step {
    match event {
        HandoverEvent::Wanted => (HandoverPhase::Preparing, vec![HandoverAction::StartNext]),
        HandoverEvent::OtherGone => (HandoverPhase::Single, vec![]),
        HandoverEvent::Stop => (ENDING, vec![HandoverAction::StopCurrent]),
        HandoverEvent::WantedAlone => (ENDING_FIRST, vec![HandoverAction::StopCurrent]),
        // The current one is what is declared: its own machine starts it again.
        HandoverEvent::CurrentEnded
        | HandoverEvent::Reverted
        | HandoverEvent::NextReady
        | HandoverEvent::Promoted
        | HandoverEvent::NotPromoted => (HandoverPhase::Reverting, vec![]),
    }
}

fn promoting(again: bool, event: HandoverEvent) -> Step {
    match event {
        HandoverEvent::Wanted => (HandoverPhase::Promoting { again: true }, vec![]),
        HandoverEvent::Reverted => (HandoverPhase::Promoting { again: false }, vec![]),
        HandoverEvent::Promoted => (HandoverPhase::Draining { again }, vec![HandoverAction::StopOther]),
        // The next one has ended, or its files could not be exchanged.
        HandoverEvent::NotPromoted if again => (HandoverPhase::Preparing, vec![HandoverAction::StartNext]),
        HandoverEvent::NotPromoted => (HandoverPhase::Preparing, vec![]),
        // It is not to be started again from what it was.
        HandoverEvent::CurrentEnded => (HandoverPhase::Promoting { again }, vec![HandoverAction::StopCurrent]),
        HandoverEvent::Stop => (HandoverPhase::Ending { promotes: true, again: false }, STOP_BOTH.to_vec()),
        HandoverEvent::WantedAlone => (HandoverPhase::Ending { promotes: true, again: true }, STOP_BOTH.to_vec()),
        HandoverEvent::NextReady | HandoverEvent::OtherGone => (HandoverPhase::Promoting { again }, vec![]),
    }
}

fn draining(again: bool, event: HandoverEvent) -> Step {
    match event {
        HandoverEvent::Wanted => (HandoverPhase::Draining { again: true }, vec![]),
        HandoverEvent::Reverted => (HandoverPhase::Draining { again: false }, vec![]),
        // There is nothing left that a third one could be started beside.
        HandoverEvent::CurrentEnded if again => {
            (HandoverPhase::Draining { again: false }, vec![HandoverAction::ReplaceCurrent])
        }
        HandoverEvent::OtherGone if again => (HandoverPhase::Preparing, vec![HandoverAction::StartNext]),
        HandoverEvent::OtherGone => (HandoverPhase::Single, vec![]),
        HandoverEvent::Stop => (ENDING, STOP_BOTH.to_vec()),
        HandoverEvent::WantedAlone => (ENDING_FIRST, STOP_BOTH.to_vec()),
        HandoverEvent::CurrentEnded
        | HandoverEvent::NextReady
        | HandoverEvent::Promoted
        | HandoverEvent::NotPromoted => (HandoverPhase::Draining { again }, vec![]),
    }
}

fn ending(promotes: bool, again: bool, event: HandoverEvent) -> Step {
    match event {
        // Which of the two will be the current one is known when that is done.
        HandoverEvent::Wanted if promotes => (HandoverPhase::Ending { promotes, again: true }, vec![]),
        // Declared again: the other one goes on ending, and the current one is replaced when it is gone.
        HandoverEvent::Wanted => (HandoverPhase::Draining { again: false }, vec![HandoverAction::ReplaceCurrent]),
        HandoverEvent::WantedAlone => (HandoverPhase::Ending { promotes, again: true }, vec![]),
        HandoverEvent::Promoted | HandoverEvent::NotPromoted => {
            (HandoverPhase::Ending { promotes: false, again }, vec![])
        }
        HandoverEvent::OtherGone if again => (HandoverPhase::Single, vec![HandoverAction::ReplaceCurrent]),
        HandoverEvent::OtherGone => (HandoverPhase::Single, vec![]),
        HandoverEvent::Stop => (HandoverPhase::Ending { promotes, again: false }, vec![]),
        HandoverEvent::Reverted | HandoverEvent::NextReady | HandoverEvent::CurrentEnded => {
            (HandoverPhase::Ending { promotes, again }, vec![])
        }
    }
}

#[cfg(test)]
mod random_walk_tests;
#[cfg(test)]
mod tests;
