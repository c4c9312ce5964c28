// SPDX-License-Identifier: MPL-2.0
//! pm2 in the foreground, as its documentation has it in containers: an application for each process, in one file.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use super::external::{External, Order, Source, refuses_nothing};
use crate::Result;

pub(super) const PM2: External = External {
    option: "pm2",
    program: "pm2-runtime",
    source: Source::Registry("npm"),
    remarks: "by `pm2-runtime`, with logs to `/dev/null`",
    stop_signal: Signal::TERM,
    most_kills: u32::MAX,
    descriptors_each: 8,
    refuses: refuses_nothing,
    set_up,
};

fn set_up(order: &Order<'_>) -> Result<Command> {
    let app = |id: u32| {
        json!({
            "name": format!("beacon-{id}"), "script": order.beacon, "args": id.to_string(), "interpreter": "none",
            "out_file": "/dev/null", "error_file": "/dev/null",
        })
    };
    let path = order.directory.join("ecosystem.json");
    let apps: Vec<_> = (0..order.n).map(app).collect();
    fs::write(&path, json!({ "apps": apps }).to_string())?;
    let mut command = Command::new(order.program);
    command.arg("start").arg(path).env("PM2_HOME", order.directory);
    Ok(command)
}
