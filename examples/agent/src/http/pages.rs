// SPDX-License-Identifier: MPL-2.0
//! What there is to be read over HTTP.

use std::sync::Arc;

use super::answer::{Answer, Status};
use super::kept::Kept;
use super::request::Request;
use crate::agent::Agent;

const HTML: &str = "text/html; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the pages are made of.
pub(super) struct Pages {
    agent: Arc<Agent>,
    /// By which names the server may be called.
    hosts: Vec<String>,
    metrics: Kept,
    status: Kept,
}

impl Pages {
    pub(super) fn of(agent: Arc<Agent>, hosts: Vec<String>) -> Pages {
        Pages { agent, hosts, metrics: Kept::default(), status: Kept::default() }
    }

    /// What is answered to a request.
    pub(super) fn answer(&self, request: &Request) -> Answer {
        if !request.is_for(&self.hosts) {
            return Answer::of(Status::Misdirected);
        }
        match request.path.as_str() {
            "/" => Answer::new(HTML, include_str!("page/index.html")),
            "/page.css" => Answer::new("text/css; charset=utf-8", include_str!("page/page.css")),
            "/page.js" => Answer::new("text/javascript; charset=utf-8", include_str!("page/page.js")),
            "/metrics" => self.metrics.or(|| Answer::new(METRICS, &self.agent.manager.metrics())),
            "/status.json" => self.status.or(|| match self.agent.status() {
                Ok(status) => Answer::new("application/json", &format!("{status}\n")),
                Err(_) => Answer::of(Status::Failed),
            }),
            _ => Answer::of(Status::NotFound),
        }
    }
}
