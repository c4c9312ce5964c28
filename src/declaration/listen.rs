// SPDX-License-Identifier: MPL-2.0
//! The sockets that a proxy gets, as declared.

use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;

use super::fields::invalid;
use crate::defaults::LISTEN_BACKLOG;
use crate::error::{Error, Result, excerpt};
use crate::sys::socket_address::LONGEST_SOCKET_PATH;

/// How many sockets one proxy can have.
const MOST: usize = 64;

/// The first descriptor of sd_listen_fds(3).
pub(crate) const FIRST_DESCRIPTOR: u32 = 3;

/// Where a proxy listens.
///
/// ```
/// use proxyprocess::ListenAddress;
///
/// let address: ListenAddress = "tcp:[::1]:8080".parse().unwrap();
/// assert_eq!(address, ListenAddress::Tcp("[::1]:8080".parse().unwrap()));
/// assert_eq!(address.to_string(), "tcp:[::1]:8080");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenAddress {
    /// `tcp:127.0.0.1:8080`, `tcp:[::1]:8080`: a TCP socket that listens. The port is not 0.
    Tcp(SocketAddr),
    /// `udp:127.0.0.1:53`: a UDP socket. The port is not 0.
    Udp(SocketAddr),
    /// `unix:/run/web.sock`: a stream socket that listens at this absolute path of 2 to 107 bytes of UTF-8.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether sockets at these two addresses compete for connections: one of them may be a wildcard address, which for
    /// `::` includes IPv4 (ipv6(7), `IPV6_V6ONLY`).
    pub(crate) fn conflicts(&self, other: &ListenAddress) -> bool {
        match (self, other) {
            (ListenAddress::Tcp(one), ListenAddress::Tcp(two)) | (ListenAddress::Udp(one), ListenAddress::Udp(two)) => {
                one.port() == two.port()
                    && (one.ip() == two.ip() || one.ip().is_unspecified() || two.ip().is_unspecified())
            }
            (ListenAddress::Unix(one), ListenAddress::Unix(two)) => one == two,
            _ => false,
        }
    }
}

/// A socket that the library opens before the first start of a proxy, keeps open while the proxy is declared, and
/// passes to each of its processes: connections that are made while no process runs wait for the next one.
///
/// ```
/// use proxyprocess::{Command, Listen, ProxyConfig};
///
/// let web = Listen::new("tcp:127.0.0.1:8080".parse().unwrap()).with_name("web");
/// let config = ProxyConfig::new(Command::new("uvicorn").args(["--fd", "{fd:web}", "app"])).with_listen(web);
/// assert_eq!(serde_json::Value::from(config.to_json())["listen"][0]["name"], "web");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listen {
    /// The address.
    pub address: ListenAddress,
    /// The name in `LISTEN_FDNAMES` and in `{fd:NAME}`: 1 to 255 printable ASCII characters without `:`, `{` and `}`.
    /// `None` is `unknown` in `LISTEN_FDNAMES`, as with systemd.
    pub name: Option<String>,
    /// The backlog: how many connections may wait to be accepted, 1 to 2147483647, limited by `net.core.somaxconn`
    /// (listen(2)); not for a UDP socket. `None` is [`LISTEN_BACKLOG`].
    pub backlog: Option<u32>,
    /// Whether other sockets with this option can have the same address (`SO_REUSEPORT`, socket(7)); not for a unix
    /// socket.
    pub reuse_port: bool,
    /// Whether an IPv6 socket excludes IPv4 (`IPV6_V6ONLY`, ipv6(7)). `None` means the kernel's setting.
    pub ipv6_only: Option<bool>,
    /// The permissions of a unix socket's path, 0 to 0o777. `None` means those that the agent's umask leaves.
    pub mode: Option<u32>,
}

pub(super) const ADDRESS: &str = "tcp:IP:PORT, udp:IP:PORT or unix:PATH";
const PORT: &str = "a port from 1 to 65535";
const PATH: &str = "an absolute path of 2 to 107 bytes of UTF-8 without NUL";
const NAME: &str = "1 to 255 printable ASCII characters without :, { and }";
pub(super) const BACKLOG: &str = "a whole number from 1 to 2147483647";
pub(super) const MODE: &str = "permissions from \"0000\" to \"0777\"";

impl FromStr for ListenAddress {
    type Err = Error;

    /// # Errors
    /// [`ErrorCode::InvalidConfig`](crate::ErrorCode::InvalidConfig): an unknown scheme, or not an IP address with a
    /// port.
    fn from_str(text: &str) -> Result<ListenAddress> {
        let parsed = match text.split_once(':') {
            Some(("tcp", address)) => address.parse().ok().map(ListenAddress::Tcp),
            Some(("udp", address)) => address.parse().ok().map(ListenAddress::Udp),
            Some(("unix", path)) => Some(ListenAddress::Unix(path.into())),
            _ => None,
        };
        parsed.ok_or_else(|| invalid(format!("expected {ADDRESS}, got \"{}\"", excerpt(text))))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp(address) => write!(f, "tcp:{address}"),
            ListenAddress::Udp(address) => write!(f, "udp:{address}"),
            ListenAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Listen {
    /// A socket with default options and without a name.
    pub fn new(address: ListenAddress) -> Listen {
        Listen { address, name: None, backlog: None, reuse_port: false, ipv6_only: None, mode: None }
    }

    /// The same with this [`Listen::name`].
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Listen {
        self.name = Some(name.into());
        self
    }

    /// The same with this [`Listen::backlog`].
    #[must_use]
    pub fn with_backlog(mut self, backlog: u32) -> Listen {
        self.backlog = Some(backlog);
        self
    }

    /// The same with [`Listen::reuse_port`].
    #[must_use]
    pub fn with_reuse_port(mut self) -> Listen {
        self.reuse_port = true;
        self
    }

    /// The same with this [`Listen::ipv6_only`].
    #[must_use]
    pub fn with_ipv6_only(mut self, ipv6_only: bool) -> Listen {
        self.ipv6_only = Some(ipv6_only);
        self
    }

    /// The same with this [`Listen::mode`].
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Listen {
        self.mode = Some(mode);
        self
    }

    /// The effective backlog.
    pub(crate) fn backlog_or_default(&self) -> u32 {
        self.backlog.unwrap_or(LISTEN_BACKLOG)
    }

    /// Whether one socket serves both: all differences can be changed while it is open.
    pub(crate) fn is_same_socket(&self, other: &Listen) -> bool {
        self.address == other.address && self.reuse_port == other.reuse_port && self.ipv6_only == other.ipv6_only
    }

    fn validate(&self) -> Result<()> {
        let (is_udp, is_unix, is_v6) = match &self.address {
            ListenAddress::Tcp(address) | ListenAddress::Udp(address) => {
                if address.port() == 0 {
                    return Err(invalid(format!("address: expected {PORT}, got 0")));
                }
                (matches!(self.address, ListenAddress::Udp(_)), false, address.is_ipv6())
            }
            ListenAddress::Unix(path) => {
                let text = path.to_str().filter(|text| path.is_absolute() && !text.contains('\0'));
                if text.is_none_or(|text| !(2..=LONGEST_SOCKET_PATH).contains(&text.len())) {
                    return Err(invalid(format!("address: expected {PATH} after unix:")));
                }
                (false, true, false)
            }
        };
        let contradictions = [
            ("backlog", self.backlog.is_some() && is_udp, "a udp address"),
            ("reuse_port", self.reuse_port && is_unix, "a unix address"),
            ("ipv6_only", self.ipv6_only.is_some() && !is_v6, "an address that is not IPv6"),
            ("mode", self.mode.is_some() && !is_unix, "an address without a path"),
        ];
        if let Some((field, _, of)) = contradictions.into_iter().find(|(_, is_wrong, _)| *is_wrong) {
            return Err(invalid(format!("{field}: expected none for {of}")));
        }
        match (&self.name, self.backlog, self.mode) {
            (Some(name), ..) if !is_name(name) => Err(invalid(format!("name: expected {NAME}"))),
            (_, Some(backlog), _) if backlog == 0 || backlog > i32::MAX as u32 => {
                Err(invalid(format!("backlog: expected {BACKLOG}, got {backlog}")))
            }
            (.., Some(mode)) if mode > 0o777 => Err(invalid(format!("mode: expected {MODE}, got \"{mode:04o}\""))),
            _ => Ok(()),
        }
    }
}

/// What LISTEN_FDNAMES (sd_listen_fds_with_names(3)) and `{fd:NAME}` allow.
fn is_name(name: &str) -> bool {
    let good = |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && !matches!(byte, b':' | b'{' | b'}');
    (1..=255).contains(&name.len()) && name.bytes().all(good)
}

/// Checks the sockets of a declaration. `stored`: how many descriptors may follow them; `report`: the descriptor by
/// which the process reports its readiness.
pub(super) fn validate(sockets: &[Listen], stored: u32, report: Option<u32>) -> Result<()> {
    if sockets.len() > MOST {
        return Err(invalid(format!("listen: expected at most {MOST} sockets, got {}", sockets.len())));
    }
    for (index, socket) in sockets.iter().enumerate() {
        socket.validate().map_err(|error| error.joined(&format!("listen[{index}]")))?;
        for (first, earlier) in sockets.iter().take(index).enumerate() {
            if earlier.address == socket.address {
                let address = &socket.address;
                return Err(invalid(format!("listen[{index}].address: {address} is that of listen[{first}]")));
            }
            if socket.name.is_some() && earlier.name == socket.name {
                return Err(invalid(format!("listen[{index}].name: is that of listen[{first}]")));
            }
        }
    }
    let first_free = FIRST_DESCRIPTOR + sockets.len() as u32 + stored;
    if let Some(number) = report.filter(|number| (FIRST_DESCRIPTOR..first_free).contains(number)) {
        let of = if stored == 0 { "the sockets of listen" } else { "those of listen and fd_store_max" };
        let taken = format!("{of} are below {first_free}");
        return Err(invalid(format!("ready.fd: expected a number from {first_free} on, got {number}: {taken}")));
    }
    Ok(())
}

/// How messages quote a path or word.
pub(super) fn shown(word: &std::ffi::OsStr) -> String {
    excerpt(&String::from_utf8_lossy(word.as_bytes())).to_string()
}

#[cfg(test)]
mod tests;
