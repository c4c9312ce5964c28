// SPDX-License-Identifier: MPL-2.0
//! Attacks on the data directory: several agents at once, files that are removed, planted, moved or not writable, a disk
//! that is full, another user's files, and ids that are meant to escape it.

mod copied;
mod dead;
mod emptied;
mod full;
mod given;
mod holder;
mod ids;
pub(crate) mod mounts;
mod moved;
mod planted;
mod race;
mod removed;
mod replaced;
mod shut;
mod tell;
mod trust;
mod unwritable;
