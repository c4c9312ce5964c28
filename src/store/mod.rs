//! Everything on disk: the data directory and its lock, process records, the snapshot, logs and pid files.

mod data_dir;
pub(crate) mod encode;
pub(crate) mod entry;
mod lock;
pub(crate) mod pid_file;
pub(crate) mod record;
pub(crate) mod snapshot;
mod version1;

pub(crate) use data_dir::{DataDir, null, open_output, read_file, replace_file};
pub(crate) use record::{Origin, Record};
