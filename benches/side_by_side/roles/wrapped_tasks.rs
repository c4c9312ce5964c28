// SPDX-License-Identifier: MPL-2.0
//! A process of process-wrap: that of tokio, as the leader of a group.

use std::io;
use std::process::Stdio;

use process_wrap::tokio::{CommandWrap, ProcessGroup};

use super::tasks::Order;

/// Starts it whenever it has ended, and kills its group at the end.
pub(super) async fn look_after(mut order: Order) -> io::Result<()> {
    while !*order.ending.borrow() {
        let mut command = CommandWrap::with_new(&order.beacon, |command| {
            command.arg(order.id.to_string()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        });
        let mut child = command.wrap(ProcessGroup::leader()).spawn()?;
        tokio::select! {
            ended = child.wait() => drop(ended?),
            _ = order.ending.changed() => return Box::into_pin(child.kill()).await,
        }
    }
    Ok(())
}
