// SPDX-License-Identifier: MPL-2.0
//! Reads what a process said before it ended, and looks for what it complains of. All of it is for people: what cannot be
//! read is not told.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::declaration::{Listen, ListenAddress};
use crate::lifecycle::hints::taken_port;
use crate::store::{LogPart, LogPositions};
use crate::supervisor::mailbox::{Done, LastWords};
use crate::supervisor::spec::Spec;
use crate::sys::proc::port_holder::{self, PortHolder, TakenAddress};

/// How often the descriptors of all processes are read, and how long that may take: with many processes it takes as long as
/// many starts.
const SEARCH_PERIOD: Duration = Duration::from_secs(2);
const SEARCH_TIME: Duration = Duration::from_millis(100);

/// How long what was found is good for another proxy that complains of the same address, or for the same one again.
const FOUND_IS_GOOD_FOR: Duration = Duration::from_secs(10);

/// What is to be read after the end of a process, or a start that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// What the process has written.
    Output(LogPart),
    /// An address of `listen` is taken: by what?
    TakenListen,
}

/// Finds what has an address: one search at a time, for the proxy that comes first.
#[derive(Debug, Default)]
pub(super) struct AddressSearch(Mutex<Searches>);

#[derive(Debug, Default)]
struct Searches {
    last: Option<Instant>,
    /// What was found a short while ago.
    found: Vec<(TakenAddress, PortHolder, Instant)>,
}

impl Searches {
    /// What one of these was found to be taken by. Programs do not always name the IP address.
    fn known(&self, all: &[TakenAddress]) -> Option<(TakenAddress, PortHolder)> {
        let is_same = |one: &TakenAddress, other: &TakenAddress| {
            let ip = one.ip == other.ip || one.ip.is_none() || other.ip.is_none();
            (one.is_udp, one.port) == (other.is_udp, other.port) && ip
        };
        let good = self.found.iter().filter(|(.., at)| at.elapsed() < FOUND_IS_GOOD_FOR);
        let mut known = good.filter(|(address, ..)| all.iter().any(|wanted| is_same(wanted, address)));
        known.next().map(|(address, holder, _)| (address.clone(), holder.clone()))
    }
}

impl AddressSearch {
    fn of_any(&self, all: &[TakenAddress]) -> Option<(TakenAddress, PortHolder)> {
        if all.is_empty() {
            return None;
        }
        let mut searches = self.0.try_lock().ok()?;
        if searches.last.is_some_and(|last| last.elapsed() < SEARCH_PERIOD) {
            return searches.known(all);
        }
        let found = port_holder::of_any(all, Instant::now() + SEARCH_TIME).ok().flatten();
        let now = Instant::now();
        searches.last = Some(now);
        searches.found.retain(|(.., at)| at.elapsed() < FOUND_IS_GOOD_FOR);
        searches.found.extend(found.clone().map(|(address, holder)| (address, holder, now)));
        found
    }

    /// What the process said last that has ended before this job, which is done.
    pub(super) fn last_words(&self, spec: &Spec, unread: Unread, done: &Done, positions: &LogPositions) -> LastWords {
        let (lines, taken) = match unread {
            Unread::Output(part) => {
                let next_begins = if let Done::Started(started) = done { started.output_begins } else { None };
                let lines = spec.last_lines(part, next_begins, positions).unwrap_or_default();
                // Of an adopted process the lines may be those of another one.
                let is_certain = matches!(part, LogPart::From(_));
                let taken = if is_certain { in_lines(spec, &lines) } else { Vec::new() };
                (lines, taken)
            }
            Unread::TakenListen => (Vec::new(), declared(spec)),
        };
        // Only where the next start waits anyway.
        let taken_address = if let Done::CleanedUp(_) = done { self.of_any(&taken) } else { None };
        LastWords { lines, taken_address, taken_by: None }
    }
}

fn declared(spec: &Spec) -> Vec<TakenAddress> {
    let taken = |socket: &Listen| {
        let (is_udp, address) = match &socket.address {
            ListenAddress::Tcp(address) => (false, address),
            ListenAddress::Udp(address) => (true, address),
            ListenAddress::Unix(_) => return None,
        };
        Some(TakenAddress { is_udp, ip: Some(address.ip()), port: address.port() })
    };
    spec.config.listen.iter().filter_map(taken).collect()
}

/// A program does not say whether it means TCP or UDP.
fn in_lines(spec: &Spec, lines: &[String]) -> Vec<TakenAddress> {
    let candidates = taken_port::candidates(lines, spec.config.command.argv());
    let taken = |is_udp| candidates.iter().map(move |&(ip, port)| TakenAddress { is_udp, ip, port });
    taken(false).chain(taken(true)).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn address_that_was_found_is_known_while_no_search_is_made() {
        let taken = |ip, port| TakenAddress { is_udp: false, ip, port };
        let (address, now) = (taken(Some(Ipv4Addr::LOCALHOST.into()), 80), Instant::now());
        let found = vec![(address.clone(), PortHolder::Unreadable, now)];
        let search = AddressSearch(Mutex::new(Searches { last: Some(now), found }));
        let known = Some((address.clone(), PortHolder::Unreadable));
        assert_eq!(search.of_any(&[taken(None, 81), taken(None, 80)]), known);
        assert_eq!(search.of_any(&[address]), known);
        let others = [
            taken(None, 81),
            taken(Some(Ipv4Addr::UNSPECIFIED.into()), 80),
            TakenAddress { is_udp: true, ip: None, port: 80 },
        ];
        assert_eq!(search.of_any(&others), None);
    }
}
