// SPDX-License-Identifier: MPL-2.0
//! What a manager says of a bad file.

use proxyprocess::{Error, EventKind};

use crate::inside::Host;

/// The longest message that a document may bring about.
const MESSAGE: usize = 4096;

/// Checks that a message names the file and is a line of a bounded length.
#[track_caller]
pub(crate) fn is_fit(message: &str, file: &str) {
    assert!(message.contains(file), "it does not say {file}: {message:.500}");
    assert!(message.len() <= MESSAGE && !message.contains('\n'), "{} bytes: {message:.500}", message.len());
}

/// Checks that an error was announced as well.
#[track_caller]
pub(crate) fn is_announced(host: &mut Host, error: &Error) {
    let announced = failures(host);
    assert!(announced.contains(&error.to_string()), "{error} is not among {announced:?}");
}

/// What was announced of bad files so far.
#[track_caller]
pub(crate) fn failures(host: &mut Host) -> Vec<String> {
    let failure = |kind: &EventKind| match kind {
        EventKind::SnapshotFailed { error } => Some(error.clone()),
        _ => None,
    };
    host.events.seen().iter().filter_map(|event| failure(&event.kind)).collect()
}
