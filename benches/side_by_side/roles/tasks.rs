// SPDX-License-Identifier: MPL-2.0
//! The supervisor that one writes in an afternoon with tokio: a task for each process.

use std::future::Future;
use std::io;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::work::Work;
use crate::Result;

/// What the task of a process is told.
pub(super) struct Order {
    pub(super) id: u32,
    pub(super) beacon: PathBuf,
    /// Whether it is to end.
    pub(super) ending: watch::Receiver<bool>,
}

/// Has each process looked after until SIGTERM, in the runtime that `#[tokio::main]` makes.
pub(super) fn run<F>(work: &Work, look_after: fn(Order) -> F) -> Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut told_to_end = signal(SignalKind::terminate())?;
        let (end, ending) = watch::channel(false);
        let order = |id| Order { id, beacon: work.beacon.clone(), ending: ending.clone() };
        let tasks: Vec<_> = (0..work.n).map(|id| tokio::spawn(look_after(order(id)))).collect();
        told_to_end.recv().await;
        end.send_replace(true);
        for task in tasks {
            task.await??;
        }
        Ok(())
    })
}
