// SPDX-License-Identifier: MPL-2.0
//! What the configuration of a running agent declares.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::control::client::Connection;
use crate::control::protocol::{Answer, Request};

/// The declarations of all proxies, by id.
pub(super) fn of_all(agent: &mut Connection) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    agent.ask(&Request::Declarations {}, Duration::ZERO, |answer| {
        if let Answer::Declaration { id, declared } = answer {
            all.insert(id, declared);
        }
        Ok(())
    })?;
    Ok(all)
}
