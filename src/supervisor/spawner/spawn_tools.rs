// SPDX-License-Identifier: MPL-2.0
//! What a spawner thread keeps for the processes that it starts.

use std::io;

use super::known_host::{Heard, KnownHost};
use crate::logging::{self, Level};
use crate::sys::spawn::child_stack::ChildStack;
use crate::sys::spawn::standard_streams::StandardStreams;

/// What a thread needs for its children.
#[derive(Debug)]
pub(crate) struct SpawnTools {
    pub(super) stack: ChildStack,
    pub(super) streams: StandardStreams,
    pub(super) host: KnownHost,
}

impl SpawnTools {
    pub(super) fn new(heard: Heard) -> io::Result<SpawnTools> {
        let streams = StandardStreams::new()?;
        if let Some(error) = streams.why_no_null() {
            let instead = "the standard input of processes is an empty pipe";
            logging::write(Level::Warn, format_args!("open /dev/null: {error}; {instead}"));
        }
        Ok(SpawnTools { stack: ChildStack::new()?, streams, host: KnownHost::new(heard) })
    }

    /// Work begins that was submitted when so much had been heard of the host.
    pub(super) fn begin(&mut self, heard: u64) {
        self.host.begin(heard);
    }
}
