// SPDX-License-Identifier: MPL-2.0
//! The sockets of a process in its record, by which the next agent identifies them in the process.

use serde_json::{Value, json};

use crate::declaration::fields::Fields;
use crate::declaration::{Listen, listen_json};
use crate::error::Result;

/// Device, inode and time of creation of the path of a unix socket.
pub(crate) type SocketFileNumber = (u64, u64, (i64, i64));

/// One socket of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordedSocket {
    /// As it was declared.
    pub(crate) declared: Listen,
    /// What no other socket of this boot has.
    pub(crate) cookie: u64,
    /// Of a unix socket.
    pub(crate) file: Option<SocketFileNumber>,
}

/// The value of the field `sockets`, in the order in which the process has them.
pub(super) fn to_json(sockets: &[RecordedSocket]) -> Value {
    let socket = |socket: &RecordedSocket| {
        let file =
            socket.file.map(|(device, inode, (seconds, nanoseconds))| json!([device, inode, seconds, nanoseconds]));
        json!({"listen": listen_json::to_json(&socket.declared), "cookie": socket.cookie, "file": file})
    };
    sockets.iter().map(socket).collect()
}

/// Reads the field; absent, as in records of earlier versions, there are none.
///
/// # Errors
/// When one of them cannot be understood.
pub(super) fn read(fields: &mut Fields) -> Result<Vec<RecordedSocket>> {
    Ok(fields.list("sockets", "sockets", read_one)?.unwrap_or_default())
}

fn read_one(value: &Value) -> Option<RecordedSocket> {
    let declared = listen_json::read_item("listen".to_owned(), value.get("listen")?.clone()).ok()?;
    let cookie = value.get("cookie")?.as_u64()?;
    let file = match value.get("file")? {
        Value::Null => None,
        file => {
            let seconds = file.get(2)?.as_i64()?;
            Some((file.get(0)?.as_u64()?, file.get(1)?.as_u64()?, (seconds, file.get(3)?.as_i64()?)))
        }
    };
    Some(RecordedSocket { declared, cookie, file })
}
