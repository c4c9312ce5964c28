// SPDX-License-Identifier: MPL-2.0
//! What the slot of a current generation knows about the other one.

use std::sync::Arc;
use std::time::Instant;

use crate::lifecycle::generation::Generation;
use crate::lifecycle::handover::Handover;
use crate::supervisor::process_key::{ProcessKey, new_key};
use crate::supervisor::spec::Spec;

/// A handover that is under way.
#[derive(Debug)]
pub(crate) struct OngoingHandover {
    pub(super) machine: Handover,
    /// The generation that is not the current one.
    pub(super) other: ProcessKey,
    /// What is declared.
    pub(super) wanted: Arc<Spec>,
    /// The last number of a start of either, and whose: it may be under way.
    pub(super) drawn: (ProcessKey, Generation),
    /// The next one is to take the place of the current one, once no job of the two is being done.
    pub(super) exchange_due: bool,
    /// When that is tried again, after a failure.
    pub(in super::super) exchange_again_at: Option<Instant>,
}

impl OngoingHandover {
    pub(super) fn of(machine: Handover, wanted: &Arc<Spec>) -> Box<OngoingHandover> {
        let (other, wanted, drawn) = (new_key(), wanted.clone(), (0, Generation::UNKNOWN));
        Box::new(OngoingHandover { machine, other, wanted, drawn, exchange_due: false, exchange_again_at: None })
    }
}
