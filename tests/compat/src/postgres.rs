// SPDX-License-Identifier: MPL-2.0
//! As much of the protocol of PostgreSQL (version 3) as a pooler needs on either side.

use std::io::{Read, Result, Write};
use std::net::TcpStream;

const VERSION: [u8; 4] = [0, 3, 0, 0];

/// Whether this is how a client begins.
pub(crate) fn is_startup(got: &[u8]) -> bool {
    got.get(4..8) == Some(&VERSION) && got.len() >= usize::try_from(length(got)).unwrap_or(usize::MAX)
}

/// How a client asks for TLS first, and the answer of a server that has none.
pub(crate) const TLS_REQUEST: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
pub(crate) const NO_TLS: &[u8] = b"N";

/// What a server says of itself, and that it waits for a query.
pub(crate) const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0S\0\0\0\x18server_version\x0015.0\0Z\0\0\0\x05I";

/// The end of a query.
pub(crate) const DONE: &[u8] = b"C\0\0\0\x0dSELECT 0\0Z\0\0\0\x05I";

/// Begins, as a client, and returns once a query can be sent.
pub(crate) fn log_in(stream: &mut TcpStream) -> Result<()> {
    const WORDS: &[u8] = b"user\0postgres\0database\0postgres\0\0";
    let total = u32::try_from(WORDS.len() + 8).unwrap_or(0).to_be_bytes();
    stream.write_all(&[&total[..], &VERSION, WORDS].concat())?;
    until_ready(stream)
}

pub(crate) fn query(stream: &mut TcpStream, text: &str) -> Result<()> {
    let total = u32::try_from(text.len() + 5).unwrap_or(0).to_be_bytes();
    stream.write_all(&[b"Q", &total[..], text.as_bytes(), b"\0"].concat())
}

/// Whether the answer to a query comes to its end.
pub(crate) fn is_complete(stream: &mut TcpStream) -> bool {
    until_ready(stream).is_ok()
}

fn until_ready(stream: &mut TcpStream) -> Result<()> {
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        let mut body = vec![0; usize::try_from(length(&head[1..])).unwrap_or(4).saturating_sub(4)];
        stream.read_exact(&mut body)?;
        match head[0] {
            b'Z' => return Ok(()),
            b'E' => return Err(std::io::Error::other("an error of the server")),
            _ => {}
        }
    }
}

fn length(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
