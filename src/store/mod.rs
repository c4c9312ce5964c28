//! Everything on disk: the data directory and its lock, process records, the snapshot, logs and pid files. The only code
//! that names, opens, writes or removes a file there.

pub(crate) mod ahead;
mod data_dir;
mod directory_id;
mod elsewhere;
pub(crate) mod encode;
pub(crate) mod entry;
mod foreign;
mod lock;
mod logs;
mod parts;
pub(crate) mod pid_file;
mod place;
pub(crate) mod record;
mod records;
mod recovery;
mod set_aside;
pub(crate) mod snapshot;
mod snapshot_file;
mod version1;

pub(crate) use data_dir::{DataDir, code_of, is_of_dead_file_system};
pub(crate) use directory_id::DirectoryId;
pub(crate) use elsewhere::{open_output, read_file, replace_file};
pub(crate) use foreign::{Around, ForeignDir, Survivors};
pub(crate) use logs::is_log;
pub(crate) use record::{Origin, Record};
pub(crate) use recovery::Lost;
pub(crate) use snapshot_file::has_name_of_snapshot;
pub(crate) use version1::read_daemon as read_version1_daemon;
