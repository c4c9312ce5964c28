// SPDX-License-Identifier: MPL-2.0
//! Both ends of the traffic: servers to be proxied, and clients.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::support::WATCHDOG;

/// An address on loopback that nothing else uses.
///
/// Every call has an IP address of its own, because connections from 127.0.0.1 would now and then occupy a port
/// that was free when it was chosen.
pub(crate) fn free_address() -> SocketAddr {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let number = u8::try_from(NUMBER.fetch_add(1, Ordering::Relaxed)).expect("few addresses a test process");
    let ip = Ipv4Addr::new(127, 1 + high % 254, low, number);
    let listener = TcpListener::bind((ip, 0)).expect("bind an address of loopback");
    listener.local_addr().expect("a bound address")
}

/// A server on a thread; it ends with the value.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Server {
    /// Returns all that it gets.
    pub(crate) fn echo() -> Server {
        Server::start(|mut stream| {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
        })
    }

    /// Answers each HTTP request with this text.
    pub(crate) fn http(text: &'static str) -> Server {
        Server::start(move |mut stream| {
            let mut request = Vec::new();
            let mut buffer = [0; 1024];
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(count @ 1..) => request.extend_from_slice(&buffer[..count]),
                    _ => return,
                }
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
            let _ = stream.write_all(format!("{head}{text}").as_bytes());
        })
    }

    fn start(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind loopback");
        let address = listener.local_addr().expect("a bound address");
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        std::thread::spawn(move || {
            for stream in listener.incoming().take_while(|_| !until.load(Ordering::SeqCst)).flatten() {
                let serve = serve.clone();
                std::thread::spawn(move || serve(stream));
            }
        });
        Server { address, ended }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// Connects if a process listens.
pub(crate) fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(WATCHDOG)).expect("set a timeout");
    Some(stream)
}

/// Whether no process listens.
pub(crate) fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

/// Sends a text and returns as much as comes back.
#[track_caller]
pub(crate) fn echo(stream: &mut TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).expect("send");
    let mut buffer = vec![0; text.len()];
    stream.read_exact(&mut buffer).expect("receive");
    String::from_utf8(buffer).expect("the text that was sent")
}

/// Asks for a page and returns the whole answer.
#[track_caller]
pub(crate) fn get(mut stream: TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.0\r\nHost: test\r\n\r\n").expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("receive");
    answer
}
