// SPDX-License-Identifier: MPL-2.0
//! A manager that goes on where an earlier one has ended.

use super::{Manager, ManagerOptions};
use crate::error::Result;
use crate::logging::Level;
use crate::state::State;

impl Manager {
    /// [`Manager::new`], and then [`Manager::restore`] from its own data directory: the proxies of an earlier manager that
    /// still run are supervised when it returns; nothing is started or stopped.
    ///
    /// A snapshot that cannot be used is no error: it is logged, the processes are found by their records, and the run starts
    /// nothing before it has read a snapshot that cannot be read now. Without a data directory there is nothing to restore.
    ///
    /// A host that wants the events of the adoptions, or has kinds of its own, calls [`Manager::new`], then [`Manager::events`]
    /// and [`Manager::register_kind`], and then [`Manager::restore`].
    ///
    /// ```
    /// use proxyprocess::{Manager, ManagerOptions, State};
    ///
    /// # let place = tempfile::tempdir().unwrap();
    /// # let data_dir = place.path().join("data");
    /// let manager = Manager::open(State::new(), ManagerOptions::default().with_data_dir(&data_dir))?;
    /// assert!(manager.status().is_empty());
    /// manager.close()?;
    /// # Ok::<(), proxyprocess::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Manager::new`].
    pub fn open(state: State, options: ManagerOptions) -> Result<Manager> {
        let manager = Manager::new(state, options)?;
        if let Some(path) = manager.snapshot_path() {
            if let Err(error) = manager.restore(path) {
                manager.log.write(Level::Error, format_args!("open: going on without the snapshot: {error}"));
            }
        }
        Ok(manager)
    }
}
