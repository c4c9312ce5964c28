// SPDX-License-Identifier: MPL-2.0
//! How the programs are asked, and what holds a request open.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::open::Open;
use crate::postgres;
use crate::result::Result;
use crate::upstream::{BODY, Upstream, is_answer};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a program passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Traffic {
    /// Bytes; an open request is a connection.
    Tcp,
    /// Bytes inside of TLS, from a client that is `openssl s_client`.
    Tls,
    /// Requests of HTTP; an open one has a part of its answer.
    Http,
    /// The same, as to a proxy that is told where to go.
    HttpProxy,
    /// The same over TLS.
    Https,
    /// SOCKS, version 5.
    Socks,
    /// A tunnel by the method CONNECT.
    Connect,
    /// Questions of DNS; an open one has been passed on.
    Dns,
    /// Queries of PostgreSQL; an open one has been passed on.
    Postgres,
    /// Connections that carry nothing.
    Accept,
}

/// How one program is asked.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) traffic: Traffic,
    /// What a connection that carries nothing else begins with; an answer to it says that it is served.
    pub(crate) hello: Vec<u8>,
}

impl Client {
    /// Whether it answers now.
    pub(crate) fn ask(&self, to: SocketAddr, upstream: &Upstream) -> bool {
        self.try_ask(to, upstream).unwrap_or(false)
    }

    fn try_ask(&self, to: SocketAddr, upstream: &Upstream) -> Result<bool> {
        match self.traffic {
            Traffic::Http | Traffic::HttpProxy | Traffic::Https => {
                let mut open = self.get(to, upstream, "/")?;
                Ok(open.finish_http(BODY))
            }
            Traffic::Dns => {
                let socket = UdpSocket::bind((to.ip(), 0))?;
                socket.set_read_timeout(Some(PATIENCE))?;
                socket.send_to(&question(&unique("quick")), to)?;
                let mut buffer = [0; 2048];
                let count = socket.recv(&mut buffer)?;
                Ok(is_answer(&buffer[..count]))
            }
            Traffic::Accept => Ok(Open::Idle(self.greet(to)?).is_open()),
            Traffic::Postgres => {
                let mut stream = connect(to)?;
                postgres::log_in(&mut stream)?;
                postgres::query(&mut stream, "select quick")?;
                Ok(postgres::is_complete(&mut stream))
            }
            _ => Ok(self.tunnel(to, upstream)?.echoes()),
        }
    }

    /// A request that is open: the upstream has it, or the tunnel stands.
    pub(crate) fn open(&self, to: SocketAddr, upstream: &Upstream) -> Result<Open> {
        let held = upstream.held();
        let open = match self.traffic {
            Traffic::Http | Traffic::HttpProxy | Traffic::Https => self.get(to, upstream, "/slow")?,
            Traffic::Dns => {
                let mut stream = connect(to)?;
                let question = question(&unique("slow"));
                let length = u16::try_from(question.len())?.to_be_bytes();
                stream.write_all(&[&length[..], &question].concat())?;
                Open::Dns(stream)
            }
            Traffic::Postgres => {
                let mut stream = connect(to)?;
                postgres::log_in(&mut stream)?;
                postgres::query(&mut stream, "select slow")?;
                Open::Postgres(stream)
            }
            Traffic::Accept => return Ok(Open::Idle(self.greet(to)?)),
            _ => {
                let mut open = self.tunnel(to, upstream)?;
                return if open.echoes() { Ok(open) } else { Err("the tunnel does not echo".into()) };
            }
        };
        let begun = Instant::now();
        while upstream.held() == held {
            if begun.elapsed() > Duration::from_secs(15) {
                return Err("an open request does not reach the upstream".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(open)
    }

    fn get(&self, to: SocketAddr, upstream: &Upstream, path: &str) -> Result<Open> {
        let at = upstream.address;
        let path = format!("{path}?{}", unique("q"));
        let target = if self.traffic == Traffic::HttpProxy { format!("http://{at}{path}") } else { path };
        let text = format!("GET {target} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
        if self.traffic == Traffic::Https {
            let (mut child, stdout) = s_client(to)?;
            child.stdin.as_mut().ok_or("no stdin")?.write_all(text.as_bytes())?;
            return Ok(Open::Tls(child, stdout));
        }
        let mut stream = connect(to)?;
        stream.write_all(text.as_bytes())?;
        Ok(Open::Http(stream))
    }

    fn greet(&self, to: SocketAddr) -> Result<TcpStream> {
        let mut stream = connect(to)?;
        if !self.hello.is_empty() {
            stream.write_all(&self.hello)?;
            let mut answer = [0; 4096];
            if stream.read(&mut answer)? == 0 {
                return Err("no answer".into());
            }
        }
        Ok(stream)
    }

    fn tunnel(&self, to: SocketAddr, upstream: &Upstream) -> Result<Open> {
        if self.traffic == Traffic::Tls {
            let (child, stdout) = s_client(to)?;
            return Ok(Open::Tls(child, stdout));
        }
        let mut stream = connect(to)?;
        let mut buffer = [0; 512];
        match self.traffic {
            Traffic::Socks => {
                stream.write_all(&[5, 1, 0])?;
                stream.read_exact(&mut buffer[..2])?;
                let SocketAddr::V4(at) = upstream.address else { return Err("IPv4 only".into()) };
                let port = at.port().to_be_bytes();
                stream.write_all(&[&[5, 1, 0, 1][..], &at.ip().octets(), &port].concat())?;
                stream.read_exact(&mut buffer[..10])?;
                if buffer[1] != 0 {
                    return Err("SOCKS refused".into());
                }
            }
            Traffic::Connect => {
                let at = upstream.address;
                stream.write_all(format!("CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n\r\n").as_bytes())?;
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut buffer[..1])?;
                    head.push(buffer[0]);
                }
                if !head.starts_with(b"HTTP/1.1 200") && !head.starts_with(b"HTTP/1.0 200") {
                    return Err("CONNECT refused".into());
                }
            }
            _ => {}
        }
        Ok(Open::Tcp(stream))
    }
}

pub(crate) fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn s_client(to: SocketAddr) -> Result<(Child, std::process::ChildStdout)> {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-quiet", "-connect", &to.to_string()]);
    let mut child = client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let stdout = child.stdout.take().ok_or("no stdout")?;
    Ok((child, stdout))
}

/// A word that was not used before: what a program keeps is no answer.
fn unique(begin: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{begin}{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Asks for the address of NAME.example.com.
fn question(name: &str) -> Vec<u8> {
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [name, "example", "com"] {
        question.push(u8::try_from(label.len()).unwrap_or(0));
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    question
}
