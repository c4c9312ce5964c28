// SPDX-License-Identifier: MPL-2.0
//! A message of one line, as everything here fails.

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
