// SPDX-License-Identifier: MPL-2.0
//! Attacks on stopping: whatever the processes do, a stop ends them all in one grace period, or says who is left, and
//! never takes for ever.

mod bombs;
mod commands;
mod common;
mod crashed;
mod end_grace;
mod escaped;
mod gone;
mod groups;
mod hung;
mod late;
mod many;
mod recorded_commands;
mod steps;
mod stuck;
mod traced;
mod unproven;
mod users;
mod zombies;
