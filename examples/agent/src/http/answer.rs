// SPDX-License-Identifier: MPL-2.0
//! An answer of HTTP/1.1, as it is sent.

use std::sync::Arc;

const PLAIN: &str = "text/plain; charset=utf-8";

/// The page has its own script and style alone, is in no frame of another, and makes no elements of a text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    BadRequest,
    NotFound,
    NotAllowed,
    /// The request is for another server.
    Misdirected,
    TooLarge,
    Failed,
    Busy,
    NotSupported,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::BadRequest => "400 Bad Request",
            Status::NotFound => "404 Not Found",
            Status::NotAllowed => "405 Method Not Allowed",
            Status::Misdirected => "421 Misdirected Request",
            Status::TooLarge => "431 Request Header Fields Too Large",
            Status::Failed => "500 Internal Server Error",
            Status::Busy => "503 Service Unavailable",
            Status::NotSupported => "505 HTTP Version Not Supported",
        }
    }
}

/// Clients that are sent the same one share its bytes.
#[derive(Clone)]
pub(super) struct Answer {
    bytes: Arc<[u8]>,
    /// Where the body begins.
    body: usize,
}

impl Answer {
    pub(super) fn new(kind: &str, body: &str) -> Answer {
        Answer::with(Status::Ok, kind, body)
    }

    /// One that says no more than that.
    pub(super) fn of(status: Status) -> Answer {
        Answer::with(status, PLAIN, &format!("{}\n", status.as_str()))
    }

    fn with(status: Status, kind: &str, body: &str) -> Answer {
        let allow = if status == Status::NotAllowed { "Allow: GET, HEAD\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{allow}Cache-Control: no-store\r\n\
             Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
             Cross-Origin-Resource-Policy: same-origin\r\nConnection: close\r\n\r\n",
            status.as_str(),
            body.len()
        );
        Answer { bytes: [head.as_bytes(), body.as_bytes()].concat().into(), body: head.len() }
    }

    /// As it is sent.
    pub(super) fn bytes(&self, with_body: bool) -> &[u8] {
        if with_body { &self.bytes } else { &self.bytes[..self.body] }
    }
}
