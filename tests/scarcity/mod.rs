// SPDX-License-Identifier: MPL-2.0
//! Real scarcity: no descriptors, processes, threads or memory left, and files that may not grow, by the limits of the
//! kernel and at any moment of an agent's life. Nothing is lost, the agent says what it waits for and costs next to
//! nothing meanwhile, and it recovers by itself when the scarcity ends.

mod crowd;
mod descriptors;
mod file_size;
mod limits;
mod memory;
mod processes;
mod room;
