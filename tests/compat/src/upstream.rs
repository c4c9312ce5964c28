// SPDX-License-Identifier: MPL-2.0
//! What the programs pass traffic on to: one port that answers HTTP, echoes all else, and answers questions of DNS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::postgres;
use crate::result::Result;

/// What a request of this path or name waits for.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<(usize, usize)>,
    changed: Condvar,
}

/// How long a request is held at the most.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    gate: Arc<Gate>,
}

pub(crate) const BODY: &str = "a page of the server behind";

impl Upstream {
    pub(crate) fn start() -> Result<Upstream> {
        let listener = TcpListener::bind("127.0.0.1:9000")?;
        let address = listener.local_addr()?;
        let udp = UdpSocket::bind(address)?;
        let upstream = Upstream { address, gate: Arc::default() };
        let of_tcp = upstream.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let upstream = of_tcp.clone();
                std::thread::spawn(move || upstream.serve(stream));
            }
        });
        let of_udp = upstream.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((count, from)) = udp.recv_from(&mut buffer) {
                let (upstream, question) = (of_udp.clone(), buffer[..count].to_vec());
                let Ok(udp) = udp.try_clone() else { continue };
                std::thread::spawn(move || udp.send_to(&upstream.dns(&question)?, from).ok());
            }
        });
        Ok(upstream)
    }

    /// How many requests are held.
    pub(crate) fn held(&self) -> usize {
        self.gate.state.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Lets all go that are held.
    pub(crate) fn release(&self) {
        self.gate.state.lock().unwrap_or_else(PoisonError::into_inner).1 += 1;
        self.gate.changed.notify_all();
    }

    fn hold(&self) {
        let mut state = self.gate.state.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = state.1;
        state.0 += 1;
        state = self
            .gate
            .changed
            .wait_timeout_while(state, LONGEST, |state| state.1 == turn)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        state.0 -= 1;
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut got = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            got.extend_from_slice(&buffer[..count]);
            let is_http = [&b"GET "[..], b"HEAD "].iter().any(|verb| got.starts_with(verb));
            let answer = if is_http {
                let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                let request: Vec<u8> = got.drain(..end + 4).collect();
                self.http(&mut stream, &request)
            } else if got == postgres::TLS_REQUEST {
                got.clear();
                stream.write_all(postgres::NO_TLS)
            } else if postgres::is_startup(&got) {
                got.clear();
                stream.write_all(postgres::WELCOME)
            } else if got.first() == Some(&b'Q') && got.ends_with(&[0]) {
                let query: Vec<u8> = std::mem::take(&mut got);
                if query.windows(4).any(|it| it == b"slow") {
                    self.hold();
                }
                stream.write_all(postgres::DONE)
            } else if got.len() > 14 && usize::from(u16::from_be_bytes([got[0], got[1]])) == got.len() - 2 {
                let question: Vec<u8> = got.drain(..).skip(2).collect();
                let answer = self.dns(&question).unwrap_or_default();
                let length = u16::try_from(answer.len()).unwrap_or(0).to_be_bytes();
                stream.write_all(&[&length[..], &answer].concat())
            } else {
                let echo: Vec<u8> = std::mem::take(&mut got);
                stream.write_all(&echo)
            };
            if answer.is_err() {
                return;
            }
        }
    }

    /// The head and a part of the body come at once, also of a request that is held.
    fn http(&self, stream: &mut TcpStream, request: &[u8]) -> std::io::Result<()> {
        let is_slow =
            request.split(|byte| *byte == b'\r').next().is_some_and(|line| line.windows(5).any(|it| it == b"/slow"));
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\nContent-Length: {}\r\n\r\n",
            BODY.len()
        );
        let (first, rest) = BODY.split_at(6);
        stream.write_all(format!("{head}{first}").as_bytes())?;
        if is_slow {
            self.hold();
        }
        stream.write_all(rest.as_bytes())
    }

    /// An address for each name. The name `slow` is held.
    fn dns(&self, question: &[u8]) -> Option<Vec<u8>> {
        let mut end = 12;
        let first = question.get(13..13 + usize::from(*question.get(12)?))?;
        while *question.get(end)? != 0 {
            end += 1 + usize::from(question[end]);
        }
        let asked = question.get(12..end + 5)?;
        if first.to_ascii_lowercase().starts_with(b"slow") {
            self.hold();
        }
        let is_address = asked.ends_with(&[0, 1, 0, 1]);
        let counts: [u8; 8] = [0, 1, 0, u8::from(is_address), 0, 0, 0, 0];
        let mut answer = [&question[..2], &[0x81, 0x80], &counts, asked].concat();
        if is_address {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1]);
        }
        Some(answer)
    }
}

/// Whether a message of DNS has the address that each name has here.
pub(crate) fn is_answer(message: &[u8]) -> bool {
    message.len() > 12 && message[3] & 15 == 0 && message.ends_with(&[192, 0, 2, 1])
}
