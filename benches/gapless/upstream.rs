// SPDX-License-Identifier: MPL-2.0
//! The server behind the proxies, on threads of the benchmark.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::Result;
use crate::client::{BODY, SLOW};

/// How long a slow answer takes.
pub(crate) const SLOWNESS: Duration = Duration::from_secs(1);

const THREADS: usize = 16;

/// Starts it; it ends with the benchmark.
pub(crate) fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    for _ in 0..THREADS {
        let listener = listener.try_clone()?;
        thread::Builder::new().spawn(move || {
            // A proxy that is killed breaks its connections, which is what is measured elsewhere.
            listener.incoming().flatten().for_each(|stream| drop(answer(stream)));
        })?;
    }
    Ok(address)
}

/// Answers one request, and closes.
fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 2048];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
    if request.starts_with(format!("GET {SLOW} ").as_bytes()) {
        thread::sleep(SLOWNESS);
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", BODY.len());
    stream.write_all(format!("{head}{BODY}").as_bytes())
}
