//! What holds for the text of the project: its documentation.

mod documentation;
mod guarantees;
