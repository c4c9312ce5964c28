// SPDX-License-Identifier: MPL-2.0
//! JSON to and from C.

use serde_json::Value;

use super::failure::Failure;
use crate::declaration::{ProxySnapshot, strict};

/// Reads an object; `name` is the name of the argument in errors.
pub(super) fn object(name: &str, json: &str) -> Result<ProxySnapshot, Failure> {
    match value(name, "object", json)? {
        Value::Object(object) => Ok(object),
        _ => Err(Failure::config(format!("{name}: expected a JSON object"))),
    }
}

/// Reads a document in which a `kind` of value is expected.
pub(super) fn value(name: &str, kind: &str, json: &str) -> Result<Value, Failure> {
    strict::parse(json).map_err(|error| Failure::config(format!("{name}: expected a JSON {kind}: {error}")))
}

/// An object as text.
pub(super) fn encode(object: ProxySnapshot) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(&object).map_err(|error| Failure::internal(format!("encode JSON: {error}")))
}
