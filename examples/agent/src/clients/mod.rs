// SPDX-License-Identifier: MPL-2.0
//! Clients of a socket, which may be many, slow or hostile: what bounds the time and memory that they take.

mod complaints;
mod lines;
mod places;
mod spare;

pub(crate) use complaints::Complaints;
pub(crate) use lines::{Lines, write};
pub(crate) use places::Places;
pub(crate) use spare::Spare;
