//! Everything on disk: the data directory and its lock, process records, the snapshot, logs and pid files. The only code
//! that names, opens, writes or removes a file there.

pub(crate) mod ahead;
mod data_dir;
mod elsewhere;
mod encode;
pub(crate) mod entry;
mod lock;
mod logs;
mod place;
mod record;
mod records;
pub(crate) mod snapshot;
mod snapshot_file;
mod version1;

pub(crate) use data_dir::DataDir;
pub(crate) use elsewhere::{null, open_output, read_file, replace_file};
pub(crate) use record::{Origin, Record};
