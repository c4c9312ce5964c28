// SPDX-License-Identifier: MPL-2.0
//! What holds for the text of the project: its documentation, and what its sources import.

mod documentation;
mod duplicates;
mod facts;
mod guarantees;
mod imports;
mod schema;
mod sources;
mod statics;
