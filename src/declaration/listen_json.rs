// SPDX-License-Identifier: MPL-2.0
//! The JSON form of the sockets that a proxy is given.

use serde_json::{Map, Value};

use super::fields::{Fields, expected};
use super::listen::{ADDRESS, BACKLOG, Listen, MODE};
use super::text;
use crate::error::Result;

const ITEMS: &str = "a list of addresses (tcp:IP:PORT, udp:IP:PORT, unix:PATH) and objects with such an address";

/// Reads the field `listen`; absent, there are none.
pub(super) fn read(fields: &mut Fields) -> Result<Vec<Listen>> {
    let place = fields.place("listen");
    fields.take("listen").map_or(Ok(Vec::new()), |value| read_list(&place, value))
}

/// Reads such a list, which stands at `place`.
pub(crate) fn read_list(place: &str, value: Value) -> Result<Vec<Listen>> {
    let Value::Array(items) = value else { return Err(expected(place, ITEMS, &value)) };
    let item = |(index, item)| read_item(format!("{place}[{index}]"), item);
    items.into_iter().enumerate().map(item).collect()
}

/// Reads one socket, which stands at `place`.
pub(crate) fn read_item(place: String, item: Value) -> Result<Listen> {
    let object = match item {
        Value::String(address) => Map::from_iter([("address".to_owned(), address.into())]),
        Value::Object(object) => object,
        other => return Err(expected(&place, &format!("{ADDRESS}, or an object"), &other)),
    };
    let mut fields = Fields::of(place, object.into())?;
    let missing = fields.missing("address", ADDRESS);
    let place = fields.place("address");
    let address = fields.string("address")?.map(|text| text.parse()).transpose();
    let address = address.map_err(|error: crate::Error| error.within(place))?;
    let name = fields.string("name")?;
    let backlog = fields.read("backlog", BACKLOG, |value| value.as_u64()?.try_into().ok())?;
    let reuse_port = fields.boolean("reuse_port")?.unwrap_or(false);
    let ipv6_only = fields.boolean("ipv6_only")?;
    let mode = fields.read("mode", MODE, |value| text::octal(value.as_str()?))?;
    fields.finish()?;
    Ok(Listen { name, backlog, reuse_port, ipv6_only, mode, ..Listen::new(address.ok_or(missing)?) })
}

/// The value of the field; `None` for no socket.
pub(super) fn write(sockets: &[Listen]) -> Option<Value> {
    (!sockets.is_empty()).then(|| sockets.iter().map(to_json).collect())
}

/// One socket, as [`read`] reads it back: an address alone, or an object.
pub(crate) fn to_json(socket: &Listen) -> Value {
    let Listen { address, name, backlog, reuse_port, ipv6_only, mode } = socket;
    let address = Value::from(address.to_string());
    let options = [
        ("name", name.as_deref().map(Value::from)),
        ("backlog", backlog.map(Value::from)),
        ("reuse_port", reuse_port.then_some(Value::from(true))),
        ("ipv6_only", ipv6_only.map(Value::from)),
        ("mode", mode.map(|mode| Value::from(format!("{mode:04o}")))),
    ];
    let options = options.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?)));
    let mut object: Map<String, Value> = options.collect();
    if object.is_empty() {
        return address;
    }
    object.insert("address".to_owned(), address);
    object.into()
}
