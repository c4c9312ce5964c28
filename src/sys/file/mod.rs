// SPDX-License-Identifier: MPL-2.0
//! Files below an open directory: no path is resolved twice, and no symbolic link is followed.

mod at;
mod dir;
mod front;
mod lease;
mod lock;
mod outside;
mod owner;
mod replace;
mod version;

pub(crate) use at::{end_of, open_at, stat_at};
pub(crate) use dir::Dir;
pub(crate) use front::{
    FoundFile, data_after, data_begins, free_front, hole_after, id_of, is_not_supported, remove_front,
};
pub(crate) use lock::{try_lock, unlock};
pub(crate) use outside::{open_append, open_regular, read_regular};
pub(crate) use owner::create_dir_all;
pub(crate) use replace::write_all;
pub(crate) use version::FileVersion;

#[cfg(test)]
mod tests;
