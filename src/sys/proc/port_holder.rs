// SPDX-License-Identifier: MPL-2.0
//! Which process uses an address of this network namespace, for messages (proc_pid_net(5), proc_pid_fd(5)).

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use super::stat;

/// How much of a table of sockets is read: some hundred thousand connections are not worth a message.
const LARGEST_TABLE: u64 = 8 << 20;

/// An address that could not be had, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TakenAddress {
    pub(crate) is_udp: bool,
    pub(crate) ip: Option<IpAddr>,
    pub(crate) port: u16,
}

impl fmt::Display for TakenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.is_udp { "udp" } else { "tcp" };
        match self.ip {
            Some(ip) => write!(f, "{protocol}:{}", std::net::SocketAddr::new(ip, self.port)),
            None => write!(f, "{protocol} port {}", self.port),
        }
    }
}

/// Which socket has an address at which connections or datagrams arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PortHolder {
    /// One of this process, which is in this group.
    Process { pid: i32, group: i32, name: String },
    /// One of a process whose descriptors cannot be read, or of the kernel.
    Unreadable,
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortHolder::Process { pid, name, .. } => write!(f, "pid {pid} ({name})"),
            PortHolder::Unreadable => f.write_str("a process whose descriptors cannot be read"),
        }
    }
}

/// What has the first of these addresses that any socket of another process has. It reads the descriptors of all
/// processes, if there is one, until `deadline`; after that nothing is known.
///
/// # Errors
/// When /proc cannot be read.
pub(crate) fn of_any(all: &[TakenAddress], deadline: Instant) -> io::Result<Option<(TakenAddress, PortHolder)>> {
    for wanted in all {
        let inodes = inodes_of(wanted)?;
        if inodes.is_empty() {
            continue;
        }
        let found = match process_with(&inodes, deadline)? {
            Found::Process(holder) => Some(holder),
            Found::Ourselves | Found::TooLate => None,
            // It may have been closed meanwhile.
            Found::Nothing => inodes_of(wanted)?.iter().any(|it| inodes.contains(it)).then_some(PortHolder::Unreadable),
        };
        if let Some(holder) = found {
            return Ok(Some((wanted.clone(), holder)));
        }
    }
    Ok(None)
}

/// The sockets that are in the way of a socket with this address.
fn inodes_of(wanted: &TakenAddress) -> io::Result<Vec<String>> {
    let tables = if wanted.is_udp { ["udp", "udp6"] } else { ["tcp", "tcp6"] };
    let mut inodes = Vec::new();
    for table in tables {
        let mut text = String::new();
        match File::open(format!("/proc/thread-self/net/{table}")) {
            Ok(file) => file.take(LARGEST_TABLE).read_to_string(&mut text)?,
            // Without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        inodes.extend(in_the_way(&text, wanted));
    }
    Ok(inodes)
}

/// The lines of a table are of sockets that wait for peers in this state (include/net/tcp_states.h): TCP_LISTEN, and TCP_CLOSE
/// of a datagram socket without a peer.
fn in_the_way(table: &str, wanted: &TakenAddress) -> Vec<String> {
    let state = if wanted.is_udp { "07" } else { "0A" };
    let inode = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (ip, port) = words.nth(1)?.rsplit_once(':')?;
        let is_wanted = u16::from_str_radix(port, 16) == Ok(wanted.port)
            && wanted.ip.is_none_or(|wanted| parse_ip(ip).is_some_and(|bound| exclude(bound, wanted)))
            && words.nth(1) == Some(state);
        is_wanted.then(|| words.nth(5).map(str::to_owned)).flatten()
    };
    table.lines().skip(1).filter_map(inode).collect()
}

/// Words of 32 bits in the order of this machine, each as a number (net/ipv4/tcp_ipv4.c, get_tcp4_sock).
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    if hex.len() == 8 {
        return word(0).map(|octets| Ipv4Addr::from(octets).into());
    }
    let mut octets = [0; 16];
    for (index, chunk) in octets.chunks_mut(4).enumerate() {
        chunk.copy_from_slice(&word(index * 8)?);
    }
    Some(IpAddr::from(Ipv6Addr::from(octets)).to_canonical())
}

/// Whether two sockets cannot have these addresses with the same port. `::` is taken to have the addresses of IPv4 as well.
fn exclude(bound: IpAddr, wanted: IpAddr) -> bool {
    match (bound, wanted.to_canonical()) {
        (bound, wanted) if bound == wanted => true,
        (IpAddr::V6(bound), _) if bound.is_unspecified() => true,
        (_, IpAddr::V6(wanted)) if wanted.is_unspecified() => true,
        (IpAddr::V4(bound), IpAddr::V4(wanted)) => bound.is_unspecified() || wanted.is_unspecified(),
        _ => false,
    }
}

enum Found {
    Process(PortHolder),
    /// This process keeps the sockets of `listen`.
    Ourselves,
    Nothing,
    TooLate,
}

fn process_with(inodes: &[String], deadline: Instant) -> io::Result<Found> {
    let sockets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    for pid in stat::processes()? {
        if Instant::now() > deadline {
            return Ok(Found::TooLate);
        }
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        let mut links = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        if links.any(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str())) {
            if u32::try_from(pid) == Ok(std::process::id()) {
                return Ok(Found::Ourselves);
            }
            let group = stat::read(pid)?.map_or(0, |stat| stat.group);
            let name = stat::name(pid).unwrap_or_default();
            return Ok(Found::Process(PortHolder::Process { pid, group, name }));
        }
    }
    Ok(Found::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn taken(is_udp: bool, address: &str) -> TakenAddress {
        let address: SocketAddr = address.parse().unwrap();
        TakenAddress { is_udp, ip: Some(address.ip()), port: address.port() }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn sockets_in_the_way_have_the_port_the_address_and_wait_for_peers() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n   \
             1: 0100007F:1F90 0100007F:8C2E 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0\n   \
             2: 0200007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0\n";
        assert_eq!(in_the_way(table, &taken(false, "127.0.0.1:8080")), ["4711"]);
        assert_eq!(in_the_way(table, &taken(false, "0.0.0.0:8080")), ["4711", "4713"]);
        assert_eq!(in_the_way(table, &taken(false, "[::]:8080")), ["4711", "4713"]);
        assert_eq!(in_the_way(table, &TakenAddress { is_udp: false, ip: None, port: 8080 }), ["4711", "4713"]);
        for none in [taken(false, "127.0.0.1:8081"), taken(false, "127.0.0.3:8080"), taken(true, "127.0.0.1:8080")] {
            assert_eq!(in_the_way(table, &none), [""; 0], "{none}");
        }
        assert_eq!(in_the_way("no table\n\nx\n", &taken(false, "127.0.0.1:1")), [""; 0]);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        assert_eq!(parse_ip("0100007F"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(parse_ip("00000000000000000000000001000000"), Some("::1".parse().unwrap()));
        // One of IPv4 in a socket of IPv6.
        assert_eq!(parse_ip("0000000000000000FFFF00000100007F"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!((parse_ip("01"), parse_ip("0100007é")), (None, None));
    }

    #[test]
    fn sockets_of_this_process_are_not_told() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = taken(false, &socket.local_addr().unwrap().to_string());
        assert_eq!(inodes_of(&wanted).unwrap().len(), 1);
        assert_eq!(of_any(&[], Instant::now()).unwrap(), None);
        // Too late for any.
        assert_eq!(of_any(&[wanted], Instant::now()).unwrap(), None);
    }
}
