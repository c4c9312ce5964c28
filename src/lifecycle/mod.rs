// SPDX-License-Identifier: MPL-2.0
//! The life of one process as pure decisions: what to do next, given what happened and when.

mod ended_by;
pub(crate) mod generation;
pub(crate) mod handover;
pub(crate) mod hints;
pub(crate) mod machine;
pub(crate) mod machine_event;
pub(crate) mod readiness;
pub(crate) mod restart_backoff;
pub(crate) mod restart_policy;
mod settings;
pub(crate) mod start_numbers;
mod stop_escalation;
mod stop_settings;
pub(crate) mod wait_for;
pub(crate) mod watchdog;

pub use ended_by::EndedBy;
pub use machine_event::ProxyState;
pub use restart_backoff::RestartSettings;
pub use restart_policy::{GiveUpAfter, RestartWhen};
pub use stop_settings::{StopAction, StopSettings, StopStep};
pub use wait_for::WaitFor;
