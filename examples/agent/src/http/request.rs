// SPDX-License-Identifier: MPL-2.0
//! A request of HTTP/1.1 (RFC 9112), as strictly as a server can read it that takes nothing: no body, and each header on one line.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::time::Instant;

use super::answer::Status;
use crate::clients::Lines;

/// The most that a request may have, in lines and in bytes.
const MOST_LINES: usize = 100;
const MOST_BYTES: usize = 16 << 10;

pub(super) struct Request {
    /// Whether the answer is to be without its body.
    pub(super) is_head: bool,
    /// What is asked for, without a query.
    pub(super) path: String,
    /// The server that the client means.
    host: String,
}

/// Why there is no request.
pub(super) enum Refused {
    Because(Status),
    /// The client is gone, or too slow.
    Gone,
}

/// Reads a request, which must have come by then.
pub(super) fn read(stream: &TcpStream, by: Instant) -> Result<Request, Refused> {
    let mut reader = Lines::of(stream);
    let (mut lines, mut length): (Vec<String>, usize) = (Vec::new(), 0);
    loop {
        let line = match reader.next(by) {
            Ok(Some(line)) => line,
            Err(error) if error.kind() == ErrorKind::InvalidData => return Err(Refused::Because(Status::TooLarge)),
            Ok(None) | Err(_) => return Err(Refused::Gone),
        };
        length += line.len();
        if length > MOST_BYTES || lines.len() >= MOST_LINES {
            return Err(Refused::Because(Status::TooLarge));
        }
        let line = String::from_utf8(line).map_err(|_| Refused::Because(Status::BadRequest))?;
        let line = line.strip_suffix('\r').unwrap_or(&line);
        if line.is_empty() {
            return parse(&lines).map_err(Refused::Because);
        }
        lines.push(line.to_owned());
    }
}

fn parse(lines: &[String]) -> Result<Request, Status> {
    let (first, headers) = lines.split_first().ok_or(Status::BadRequest)?;
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Status::BadRequest);
    };
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(Status::NotSupported);
    }
    if !matches!(method, "GET" | "HEAD") {
        return Err(Status::NotAllowed);
    }
    let mut host = None;
    for header in headers {
        // A line that goes on with the one before it begins with a blank, and is refused with it.
        let (name, value) = header.split_once(':').ok_or(Status::BadRequest)?;
        if name.is_empty() || name.contains([' ', '\t']) {
            return Err(Status::BadRequest);
        }
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "host" if host.is_some() => return Err(Status::BadRequest),
            "host" => host = Some(value.to_owned()),
            "transfer-encoding" => return Err(Status::BadRequest),
            "content-length" if value != "0" => return Err(Status::BadRequest),
            _ => {}
        }
    }
    let path = target.split('?').next().unwrap_or_default();
    if !path.starts_with('/') {
        return Err(Status::BadRequest);
    }
    Ok(Request { is_head: method == "HEAD", path: path.to_owned(), host: host.ok_or(Status::BadRequest)? })
}

impl Request {
    /// Whether it means this server by an address, as localhost, or by one of these names. A page of another server can have its
    /// own name resolved to an address of this one (DNS rebinding), and would read the answers; the name stands here then.
    pub(super) fn is_for(&self, hosts: &[String]) -> bool {
        let is_port =
            |port: &str| port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        if let Some((address, port)) = self.host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            return address.parse::<Ipv6Addr>().is_ok() && is_port(port);
        }
        let at = self.host.find(':').unwrap_or(self.host.len());
        let (name, port) = self.host.split_at(at);
        let is_known =
            name.eq_ignore_ascii_case("localhost") || hosts.iter().any(|host| host.eq_ignore_ascii_case(name));
        is_port(port) && (is_known || name.parse::<Ipv4Addr>().is_ok())
    }
}
