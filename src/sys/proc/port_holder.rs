// SPDX-License-Identifier: MPL-2.0
//! Which process has a port of this network namespace, for messages (proc_pid_net(5), proc_pid_fd(5)).

use std::fmt;
use std::io;

use super::stat;

/// Which socket has a port at which connections or datagrams arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PortHolder {
    /// One of this process.
    Process { pid: i32, name: String },
    /// One of a process whose descriptors cannot be read, or of the kernel.
    Unreadable,
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortHolder::Process { pid, name } => write!(f, "pid {pid} ({name})"),
            PortHolder::Unreadable => f.write_str("a process whose descriptors cannot be read"),
        }
    }
}

/// The tables of sockets, and the state of those that wait for peers (include/net/tcp_states.h): TCP_LISTEN, and TCP_CLOSE of
/// a datagram socket without a peer.
const TABLES: [(&str, &str); 4] = [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")];

/// What has the first of these ports that any socket has. It reads the descriptors of all processes, if there is one.
///
/// # Errors
/// When /proc cannot be read.
pub(crate) fn of_any(ports: &[u16]) -> io::Result<Option<(u16, PortHolder)>> {
    let mut tables = Vec::new();
    for (table, state) in TABLES {
        match std::fs::read_to_string(format!("/proc/thread-self/net/{table}")) {
            Ok(text) => tables.push((text, state)),
            // Without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let inodes = |port: u16| tables.iter().flat_map(move |(text, state)| inodes(text, state, port)).collect::<Vec<_>>();
    let found = ports.iter().map(|port| (*port, inodes(*port))).find(|(_, inodes)| !inodes.is_empty());
    let Some((port, inodes)) = found else { return Ok(None) };
    Ok(Some((port, holder(&inodes)?)))
}

/// The sockets of a table that have this port and are in this state.
fn inodes<'a>(table: &'a str, state: &'a str, port: u16) -> impl Iterator<Item = &'a str> {
    table.lines().skip(1).filter_map(move |line| {
        let mut words = line.split_ascii_whitespace();
        let (_, local_port) = words.nth(1)?.rsplit_once(':')?;
        let is_wanted = u16::from_str_radix(local_port, 16) == Ok(port) && words.nth(1) == Some(state);
        is_wanted.then(|| words.nth(5)).flatten()
    })
}

fn holder(inodes: &[&str]) -> io::Result<PortHolder> {
    let sockets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    for pid in stat::processes()? {
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        let links = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        if links.into_iter().any(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str())) {
            let name = stat::name(pid).unwrap_or_default();
            return Ok(PortHolder::Process { pid, name });
        }
    }
    Ok(PortHolder::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn sockets_are_found_by_port_and_state() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n   \
             1: 0100007F:1F90 0100007F:8C2E 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0\n";
        assert_eq!(inodes(table, "0A", 8080).collect::<Vec<_>>(), ["4711"]);
        assert_eq!(inodes(table, "01", 8080).collect::<Vec<_>>(), ["4712"]);
        assert_eq!(inodes(table, "0A", 8081).count(), 0);
        assert_eq!(inodes("no table\n\nx\n", "0A", 0).count(), 0);
    }

    #[test]
    fn holder_of_a_port_is_this_process() {
        let (tcp, udp) = (TcpListener::bind("[::1]:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        for port in [tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port()] {
            let (found, holder) = of_any(&[port]).unwrap().unwrap();
            let PortHolder::Process { pid, .. } = holder else { panic!("{holder:?}") };
            // A child that another test is starting has them as well, until it executes its program.
            assert!(found == port && pid > 0);
        }
        assert_eq!(of_any(&[]).unwrap(), None);
    }
}
