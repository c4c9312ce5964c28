// SPDX-License-Identifier: MPL-2.0
//! A thread that answers a client for which none can be started: an agent that has no processes left has to say so.

use std::io;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;

/// One that answers a client at a time, and ends with the process.
pub(crate) struct Spare<T>(SyncSender<T>);

impl<T: Send + 'static> Spare<T> {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(name: &str, answer: impl Fn(T) + Send + 'static) -> io::Result<Spare<T>> {
        // Without a place to wait in: a client is given to it only when it has nothing to do.
        let (sender, clients) = sync_channel(0);
        thread::Builder::new().name(name.to_owned()).spawn(move || clients.into_iter().for_each(answer))?;
        Ok(Spare(sender))
    }

    /// Has it answer this client, or returns that when it has another one.
    pub(crate) fn answer(&self, client: T) -> Result<(), T> {
        self.0.try_send(client).map_err(|error| match error {
            TrySendError::Full(client) | TrySendError::Disconnected(client) => client,
        })
    }
}
