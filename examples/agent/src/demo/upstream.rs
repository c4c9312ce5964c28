// SPDX-License-Identifier: MPL-2.0
//! What stands at the two ends of the demonstration's proxy.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::Result;
use crate::proxy::serve;

/// How long an answer may take, also on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts a server in this process that answers each line, and says where it listens.
pub(super) fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::Builder::new().name("upstream".to_owned()).spawn(move || serve(listener, None, answer))?;
    Ok(address)
}

fn answer(stream: TcpStream) -> io::Result<()> {
    for line in BufReader::new(&stream).lines() {
        (&stream).write_all(format!("upstream heard {:?}\n", line?).as_bytes())?;
    }
    Ok(())
}

/// A connection through the proxy.
pub(super) struct Conversation(BufReader<TcpStream>);

impl Conversation {
    pub(super) fn open(to: SocketAddr) -> io::Result<Conversation> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Conversation(BufReader::new(stream)))
    }

    /// Says a line and returns the upstream's answer to it.
    pub(super) fn ask(&mut self, line: &str) -> io::Result<String> {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes())?;
        let mut answer = String::new();
        self.0.read_line(&mut answer)?;
        let expected = format!("upstream heard {line:?}");
        if answer.trim_end() != expected {
            return Err(io::Error::other(format!("ask upstream {line:?}: expected {expected:?}, got {answer:?}")));
        }
        Ok(expected)
    }
}
