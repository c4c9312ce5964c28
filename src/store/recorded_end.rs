// SPDX-License-Identifier: MPL-2.0
//! What a record contains about the end of a process that is not started again.

use serde_json::Value;

use crate::declaration::fields::Fields;
use crate::sys::wait::ExitStatus;

/// How a process has ended whose proxy rests since: the next agent does not start it either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordedEnd {
    pub(crate) status: ExitStatus,
    /// As it may; else it has failed, whatever its status is.
    pub(crate) completed: bool,
}

impl RecordedEnd {
    /// The field of a record, with a comma.
    pub(super) fn to_json(self) -> String {
        let status = self.status.to_wait_status();
        let status = status.map(|status| format!(",\"wait_status\":{status}")).unwrap_or_default();
        format!("\"ended\":{{\"completed\":{}{status}}},", self.completed)
    }

    /// Reads the field. What is wrong with it says nothing of the end.
    pub(super) fn read(fields: &mut Fields) -> Option<RecordedEnd> {
        let mut ended = fields.object("ended").ok().flatten()?;
        let completed = ended.boolean("completed").ok().flatten()?;
        let status = ended.read("wait_status", "a wait status", Value::as_i64).ok()?;
        let status = match status.map(i32::try_from) {
            None => ExitStatus::Unknown,
            Some(status) => ExitStatus::from_wait_status(status.ok()?),
        };
        Some(RecordedEnd { status, completed })
    }
}
