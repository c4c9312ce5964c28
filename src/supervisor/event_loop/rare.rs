// SPDX-License-Identifier: MPL-2.0
//! State that few supervised processes have at a time: allocated only while there is any.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;

use super::handover::ongoing::OngoingHandover;
use super::handover::turns::Turn;
use super::leader::LeaderChange;
use super::missing_limits::MissingLimits;
use super::pending_repair::PendingRepair;
use super::replacement::Replacement;
use crate::error::{Error, Result};
use crate::lifecycle::generation::Generation;
use crate::lifecycle::hints::background::Background;
use crate::supervisor::adoption::claim::Claim;
use crate::supervisor::command_run::AwaitedCommand;
use crate::supervisor::mailbox::StopWaiter;
use crate::supervisor::notifications::Notifications;
use crate::supervisor::process_key::ProcessKey;
use crate::supervisor::readiness::AwaitedReadiness;
use crate::supervisor::scan::escaped_process::Escaped;
use crate::supervisor::scan::unproven_process::Unproven;
use crate::supervisor::sockets::ProxySockets;
use crate::supervisor::spawner::job::Job;
use crate::supervisor::spawner::last_words::Unread;
use crate::supervisor::spec::Spec;
use crate::supervisor::state_waiters::StateWaiters;
use crate::supervisor::zombies::Zombie;
use crate::sys::pid::Pid;

/// What most slots have nothing of, most of the time: of ten thousand it would be megabytes.
#[derive(Debug, Default)]
pub(crate) struct Rare(Option<Box<RareFields>>);

#[derive(Debug, Default)]
pub(crate) struct RareFields {
    /// Processes that were found outside of the group of the last leader when it was gone.
    pub(crate) escaped: Vec<Escaped>,
    /// Whether a process of it was in no cgroup of its own, and no scan has covered since what that may have left.
    pub(crate) unscanned_outside: bool,
    /// Whether all processes of its cgroup were ended at once since the last start.
    pub(crate) cgroup_killed: bool,
    /// Whether it was claimed with another process of its proxy: what lives in the cgroups of that may be of either.
    pub(crate) claimed_in_pair: bool,
    /// How many processes of its cgroup the kernel had killed for lack of memory when its process was started or
    /// adopted.
    pub(crate) oom_kills: u64,
    /// The limits that its process does not have, and should.
    pub(crate) limits: Option<Box<MissingLimits>>,
    /// The leader whose group was sent the signal of this step of a stop.
    pub(crate) told: Option<(Pid, usize)>,
    /// Processes that may have been left by this leader or an earlier one. They are not signalled.
    pub(crate) unproven: Vec<Unproven>,
    /// Whether the program seems to put itself into the background.
    pub(crate) background: Background,
    /// A claimed process that is gone, whose group was not cleared: it could not be signalled, or was given time.
    pub(crate) uncleared: Option<Box<Claim>>,
    pub(crate) last_error: Option<Error>,
    /// What is to be read of its last end, until a job does.
    pub(crate) unread: Option<Unread>,
    /// While it runs and is not ready yet.
    pub(crate) readiness: Option<AwaitedReadiness>,
    /// Those that are run for it, and have not ended.
    pub(crate) commands: Vec<AwaitedCommand>,
    /// Once it was started with sockets.
    pub(crate) sockets: Option<Arc<ProxySockets>>,
    /// While it runs, if it sends notifications.
    pub(crate) notifications: Option<Box<Notifications>>,
    /// While a process is being proven that was named as the leader.
    pub(crate) leader_change: Option<LeaderChange>,
    /// Of the process before: those that were not reaped yet when they ended.
    pub(crate) zombies: Vec<Zombie>,
    /// Beside which zombie the process is being started: said for as long as it runs.
    pub(crate) beside: Option<Error>,
    /// From this generation to the next one, or from the last one to this.
    pub(crate) handover: Option<Box<OngoingHandover>>,
    /// The last number of a start of another slot of its id, which is gone, where that is greater than its own.
    pub(crate) spent: Generation,
    /// The current generation, of the one that is not.
    pub(crate) partner: Option<ProcessKey>,
    /// Of a next generation: whether it has the turn of its start, or waits for it.
    pub(crate) turn: Turn,
    /// What is declared, while its process is being adopted that is of another declaration and serves until the next one
    /// is ready.
    pub(crate) declared: Option<Arc<Spec>>,
    /// What is to be started in place of its process once it is known that it can be.
    pub(crate) replacement: Option<Box<Replacement>>,
    /// The jobs that come after the one that is being done.
    pub(crate) queued: VecDeque<Job>,
    /// Drop the slot, and let the process run, when no job is in flight.
    pub(crate) released: Option<Sender<()>>,
    /// What could not be done and has to be, and how often in a row that was so.
    pub(crate) repair: Option<PendingRepair>,
    pub(crate) failures: u32,
    pub(crate) start_waiters: Vec<Sender<Result<()>>>,
    pub(crate) stop_waiters: Vec<StopWaiter>,
    pub(crate) state_waiters: StateWaiters,
    /// When the callers that wait for the end of the current job are answered, if it has not ended by then.
    pub(crate) answer_at: Option<Instant>,
    /// Whether files were removed of the data directory while its start or adoption was under way: its record may be one of them.
    pub(crate) unsure_of_record: bool,
    /// A caller that waits for the record to be written waits for these to be dropped.
    pub(crate) record_waiters: Vec<Sender<()>>,
}

static NOTHING: RareFields = RareFields {
    escaped: Vec::new(),
    unscanned_outside: false,
    cgroup_killed: false,
    claimed_in_pair: false,
    oom_kills: 0,
    limits: None,
    told: None,
    unproven: Vec::new(),
    background: Background::Unsuspected,
    uncleared: None,
    last_error: None,
    unread: None,
    readiness: None,
    commands: Vec::new(),
    sockets: None,
    notifications: None,
    leader_change: None,
    zombies: Vec::new(),
    beside: None,
    handover: None,
    spent: Generation::UNKNOWN,
    partner: None,
    turn: Turn::None,
    declared: None,
    replacement: None,
    queued: VecDeque::new(),
    released: None,
    repair: None,
    failures: 0,
    start_waiters: Vec::new(),
    stop_waiters: Vec::new(),
    state_waiters: StateWaiters::NONE,
    answer_at: None,
    unsure_of_record: false,
    record_waiters: Vec::new(),
};

impl Deref for Rare {
    type Target = RareFields;

    fn deref(&self) -> &RareFields {
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl DerefMut for Rare {
    fn deref_mut(&mut self) -> &mut RareFields {
        self.0.get_or_insert_default()
    }
}

impl Rare {
    /// Gives back the memory of one that has nothing.
    pub(crate) fn tidy(&mut self) {
        let RareFields {
            escaped,
            unscanned_outside,
            cgroup_killed,
            claimed_in_pair,
            oom_kills,
            limits,
            told,
            unproven,
            background,
            uncleared,
            last_error,
            unread,
            readiness,
            commands,
            sockets,
            notifications,
            leader_change,
            zombies,
            beside,
            handover,
            spent,
            partner,
            turn,
            declared,
            replacement,
            queued,
            released,
            repair,
            failures,
            start_waiters,
            stop_waiters,
            state_waiters,
            answer_at,
            unsure_of_record,
            record_waiters,
        } = &**self;
        let nothing = escaped.is_empty()
            && !unscanned_outside
            && !cgroup_killed
            && !claimed_in_pair
            && *oom_kills == 0
            && limits.is_none()
            && told.is_none()
            && unproven.is_empty()
            && *background == Background::Unsuspected
            && uncleared.is_none()
            && last_error.is_none()
            && unread.is_none()
            && readiness.is_none()
            && commands.is_empty()
            && sockets.is_none()
            && notifications.is_none()
            && leader_change.is_none()
            && zombies.is_empty()
            && beside.is_none()
            && handover.is_none()
            && *spent == Generation::UNKNOWN
            && partner.is_none()
            && *turn == Turn::None
            && declared.is_none()
            && replacement.is_none()
            && queued.is_empty()
            && released.is_none()
            && repair.is_none()
            && *failures == 0
            && start_waiters.is_empty()
            && stop_waiters.is_empty()
            && state_waiters.is_empty()
            && answer_at.is_none()
            && !unsure_of_record
            && record_waiters.is_empty();
        if nothing {
            self.0 = None;
        }
    }
}
