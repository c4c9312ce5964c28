// SPDX-License-Identifier: MPL-2.0
//! Control groups, version 2: where this process may create them, and the operations on one (cgroups(7), and the
//! kernel's `Documentation/admin-guide/cgroup-v2.rst`).

pub(crate) mod control;
pub(crate) mod directory;
pub(crate) mod hierarchy;
pub(crate) mod membership;
