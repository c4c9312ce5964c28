// SPDX-License-Identifier: MPL-2.0
//! The agent dies between any two instructions, and the next one has everything: each process that an earlier agent
//! started is managed again or stopped, no id ever has two, no stranger is signalled, survivors keep their pid, and no
//! file is torn.

mod arm;
mod campaign;
mod cases;
mod chance;
mod consul;
mod failures;
mod flight;
mod life;
mod look;
mod outside;
mod player;
mod points;
mod sweep;
mod wanted;
