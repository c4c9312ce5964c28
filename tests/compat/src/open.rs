// SPDX-License-Identifier: MPL-2.0
//! A request that is open, and how it ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout};
use std::sync::mpsc;
use std::time::Duration;

use crate::postgres;
use crate::upstream::{BODY, Upstream, is_answer};

#[derive(Debug)]
pub(crate) enum Open {
    /// A tunnel.
    Tcp(TcpStream),
    /// A tunnel, or a request of HTTP, by `openssl s_client`.
    Tls(Child, ChildStdout),
    Http(TcpStream),
    Dns(TcpStream),
    Postgres(TcpStream),
    /// A connection that carries nothing.
    Idle(TcpStream),
}

impl Open {
    /// Lets it come to its end: whether it does so as if nothing had happened.
    pub(crate) fn finish(&mut self, upstream: &Upstream, is_http: bool) -> bool {
        if let Open::Idle(_) = self {
            // The kernel closes what a process had a moment after its end.
            std::thread::sleep(Duration::from_millis(300));
            return self.is_open();
        }
        upstream.release();
        match self {
            Open::Http(_) => self.finish_http(BODY),
            Open::Tls(..) if is_http => self.finish_http(BODY),
            Open::Dns(stream) => {
                let mut length = [0; 2];
                let mut message = Vec::new();
                let read = stream.read_exact(&mut length).and_then(|()| {
                    message.resize(usize::from(u16::from_be_bytes(length)), 0);
                    stream.read_exact(&mut message)
                });
                read.is_ok() && is_answer(&message)
            }
            Open::Postgres(stream) => postgres::is_complete(stream),
            _ => self.echoes(),
        }
    }

    /// Whether the other side has not closed it.
    pub(crate) fn is_open(&mut self) -> bool {
        let (Open::Tcp(stream) | Open::Idle(stream)) = self else { return true };
        let _ = stream.set_nonblocking(true);
        let is_open = match stream.peek(&mut [0]) {
            Ok(count) => count > 0,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        };
        let _ = stream.set_nonblocking(false);
        is_open
    }

    /// Whether a text comes back.
    pub(crate) fn echoes(&mut self) -> bool {
        const TEXT: &[u8] = b"some text\n";
        let mut back = vec![0; TEXT.len()];
        match self {
            Open::Tls(child, stdout) => {
                child.stdin.as_mut().is_some_and(|stdin| stdin.write_all(TEXT).and_then(|()| stdin.flush()).is_ok())
                    && in_time(stdout, TEXT.len()) == TEXT
            }
            Open::Tcp(stream)
            | Open::Http(stream)
            | Open::Dns(stream)
            | Open::Postgres(stream)
            | Open::Idle(stream) => {
                stream.write_all(TEXT).is_ok() && stream.read_exact(&mut back).is_ok() && back == TEXT
            }
        }
    }

    pub(crate) fn finish_http(&mut self, body: &str) -> bool {
        let mut answer = Vec::new();
        match self {
            Open::Tls(_, stdout) => answer = in_time(stdout, usize::MAX),
            Open::Tcp(stream)
            | Open::Http(stream)
            | Open::Dns(stream)
            | Open::Postgres(stream)
            | Open::Idle(stream) => {
                let mut buffer = [0; 4096];
                while !String::from_utf8_lossy(&answer).contains(body) {
                    let Ok(count @ 1..) = stream.read(&mut buffer) else { break };
                    answer.extend_from_slice(&buffer[..count]);
                }
            }
        }
        let answer = String::from_utf8_lossy(&answer);
        answer.split(' ').nth(1) == Some("200") && answer.contains(body)
    }
}

/// What comes out of a client, as much as this or up to its end or that of the page, within two seconds.
fn in_time(stdout: &mut ChildStdout, count: usize) -> Vec<u8> {
    use std::os::fd::AsFd;
    let (sender, receiver) = mpsc::channel();
    let Ok(copy) = stdout.as_fd().try_clone_to_owned() else { return Vec::new() };
    std::thread::spawn(move || {
        let (mut file, mut got, mut buffer) = (std::fs::File::from(copy), Vec::new(), [0; 4096]);
        while got.len() < count && !String::from_utf8_lossy(&got).contains(BODY) {
            let Ok(read @ 1..) = file.read(&mut buffer) else { break };
            got.extend_from_slice(&buffer[..read]);
        }
        let _ = sender.send(got);
    });
    receiver.recv_timeout(Duration::from_secs(2)).unwrap_or_default()
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Open::Tls(child, _) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
