//! Everything on disk: the data directory and its lock, process records, the snapshot, logs and pid files.

pub(crate) mod ahead;
mod data_dir;
mod encode;
pub(crate) mod entry;
mod lock;
mod record;
pub(crate) mod snapshot;
mod version1;

pub(crate) use data_dir::{DataDir, null, open_output, read_file, replace_file};
pub(crate) use record::{Origin, Record};
