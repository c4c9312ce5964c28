// SPDX-License-Identifier: MPL-2.0
//! Feeds: numbered entries that are kept for a while, for readers that must never delay the writer. Lifecycle events
//! and log lines are such entries.
//!
//! One ring of bounded size serves all readers of a feed; each reader has only a position in it. A reader that fell
//! behind by more than the size of the ring gets a gap with the number of entries that it missed.

mod reader;
mod readiness;
mod ring;
#[cfg(test)]
mod tests;

#[cfg(feature = "capi")]
pub(crate) use reader::NextPlace;
pub(crate) use reader::Reader;
pub(crate) use readiness::Readiness;
pub(crate) use ring::{Entry, Feed};
