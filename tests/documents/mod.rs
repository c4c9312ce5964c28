// SPDX-License-Identifier: MPL-2.0
//! Files that are damaged, strange or huge: nothing panics, hangs or fills the disk, no process is lost or doubled, and
//! the bad file is set aside and told, with the reason.

mod agents;
mod consul;
mod damage;
mod endless;
mod huge;
mod records;
mod shared;
mod snapshots;
mod told;
