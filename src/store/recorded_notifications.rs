// SPDX-License-Identifier: MPL-2.0
//! What a record contains for the next agent about the notifications of a process (sd_notify(3)).

use std::time::Duration;

use crate::declaration::fields::Fields;
use crate::sys::notify_socket::SocketName;

/// Of a process that sends notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordedNotifications {
    /// That of the socket to which the process sends them.
    pub(crate) name: SocketName,
    /// The period of the watchdog, in whole microseconds, if the process has asked for another one than is declared.
    pub(crate) watchdog_period: Option<Duration>,
}

impl RecordedNotifications {
    /// The members of the record.
    pub(super) fn to_json(self) -> String {
        let period = self.watchdog_period.map(|period| format!("\"watchdog_us\":{},", period.as_micros()));
        format!("\"notify\":\"{}\",{}", self.name.digits(), period.unwrap_or_default())
    }

    /// Reads them; what cannot be understood is not there.
    pub(super) fn read(fields: &mut Fields) -> Option<RecordedNotifications> {
        let name = fields.read("notify", "the name of a socket", |value| SocketName::parse(value.as_str()?));
        let watchdog_period = fields.integer("watchdog_us").ok().flatten().map(Duration::from_micros);
        name.ok().flatten().map(|name| RecordedNotifications { name, watchdog_period })
    }
}
