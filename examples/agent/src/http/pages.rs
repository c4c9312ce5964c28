// SPDX-License-Identifier: MPL-2.0
//! What there is to be read over HTTP.

use super::answer::{Answer, Status};
use super::request::Request;
use crate::agent::Agent;

const HTML: &str = "text/html; charset=utf-8";

/// What is answered to a request.
pub(super) fn answer(request: &Request, agent: &Agent, hosts: &[String]) -> Answer {
    if !request.is_for(hosts) {
        return Answer::of(Status::Misdirected);
    }
    match request.path.as_str() {
        "/" => Answer::new(HTML, include_str!("page/index.html")),
        "/page.css" => Answer::new("text/css; charset=utf-8", include_str!("page/page.css")),
        "/page.js" => Answer::new("text/javascript; charset=utf-8", include_str!("page/page.js")),
        "/metrics" => Answer::new("text/plain; version=0.0.4; charset=utf-8", agent.manager.metrics()),
        "/status.json" => match agent.status() {
            Ok(status) => Answer::new("application/json", format!("{status}\n")),
            Err(_) => Answer::of(Status::Failed),
        },
        _ => Answer::of(Status::NotFound),
    }
}
