// SPDX-License-Identifier: MPL-2.0
//! A process of tokio.

use std::io;
use std::process::Stdio;

use tokio::process::Command;

use super::tasks::Order;

/// Starts it whenever it has ended, and kills it at the end.
pub(super) async fn look_after(mut order: Order) -> io::Result<()> {
    while !*order.ending.borrow() {
        let mut command = Command::new(&order.beacon);
        command.arg(order.id.to_string()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        tokio::select! {
            ended = child.wait() => drop(ended?),
            _ = order.ending.changed() => return child.kill().await,
        }
    }
    Ok(())
}
