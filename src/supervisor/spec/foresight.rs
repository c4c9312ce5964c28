// SPDX-License-Identifier: MPL-2.0
//! Why a process could not be started, as far as that is known before it is tried.

use super::Spec;
use crate::error::Result;
use crate::lifecycle::start_numbers::StartNumbers;
use crate::sys::spawn;

impl Spec {
    /// Asked before a process that serves is stopped for one of this declaration. What only a start can tell is not found.
    ///
    /// # Errors
    /// Those of the start: the declaration itself, its user, its directory, its executable, or its limits.
    pub(crate) fn foresee_start(&self) -> Result<()> {
        self.config.validate_to_start()?;
        self.refuse_root()?;
        let mut program = self.program(StartNumbers::default());
        self.become_user(&mut program)?;
        if let Some(error) = spawn::foreseen_failure(&program) {
            return Err(error.to_error());
        }
        self.try_limits()
    }
}
