// SPDX-License-Identifier: MPL-2.0
//! Everything on disk: the data directory and its lock, process records, the snapshot, logs and pid files. The only code
//! that names, opens, writes or removes a file there.

mod bounded_log;
mod consul_snapshot;
mod data_dir;
mod data_dir_lock;
mod directory_id;
mod external_files;
pub(crate) mod file_place;
mod handover_files;
mod id_directories;
pub(crate) mod id_file_names;
mod io_error_code;
pub(crate) mod journal;
mod last_lines;
mod log_cut;
mod log_cut_place;
mod log_dir;
mod log_files;
mod log_place;
mod log_positions;
mod other_data_dir;
pub(crate) mod pid_file;
pub(crate) mod process_record;
mod quarantine;
mod record_files;
mod record_recovery;
mod recorded_end;
mod recorded_notifications;
mod recorded_socket;
mod recorded_stop;
pub(crate) mod snapshot;
pub(crate) mod snapshot_entry;
mod snapshot_file;
mod snapshot_names;
mod subdirectories;

pub(crate) use bounded_log::{BoundedLog, LogLocation};
pub(crate) use consul_snapshot::read_daemon as read_version1_daemon;
pub(crate) use data_dir::{DataDir, is_of_dead_file_system};
pub(crate) use directory_id::DirectoryId;
pub(crate) use external_files::{last_lines_of, open_output, read_file, replace_file};
pub(crate) use io_error_code::code_of;
pub(crate) use last_lines::LogPart;
pub(crate) use log_cut::cut;
pub(crate) use log_dir::LogDir;
pub(crate) use log_files::is_log;
pub(crate) use log_place::LogOwner;
pub(crate) use log_positions::{FileId, LogPositions};
pub(crate) use other_data_dir::{OtherDataDir, RecoveredProcesses, SnapshotLocation};
pub(crate) use process_record::{Record, RecordHeader};
pub(crate) use record_recovery::Lost;
pub(crate) use recorded_end::RecordedEnd;
pub(crate) use recorded_notifications::RecordedNotifications;
pub(crate) use recorded_socket::{RecordedSocket, SocketFileNumber};
pub(crate) use recorded_stop::{RecordedStop, StopHeader};
pub(crate) use snapshot_names::has_name_of_snapshot;
