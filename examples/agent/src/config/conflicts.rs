// SPDX-License-Identifier: MPL-2.0
//! Addresses and files that more than one proxy has, as far as the declarations say so.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

/// A warning for each place that a proxy has which one before it has as well.
pub(super) fn conflicts<'a>(proxies: impl Iterator<Item = (&'a str, &'a Value)>) -> Vec<String> {
    let (mut conflicts, mut first) = (Vec::new(), BTreeMap::new());
    for (id, declared) in proxies {
        for (field, kind, place) in places(declared) {
            let (of, its_field) = first.entry((kind, place.clone())).or_insert_with(|| (id, field.clone()));
            if *of != id {
                conflicts.push(format!("proxies.{id}.{field}: {place} is also that of proxies.{of}.{its_field}"));
            }
        }
    }
    conflicts
}

/// What a proxy has for itself: its field, of which kind it is, and the place as the library writes it.
fn places(declared: &Value) -> Vec<(String, &'static str, String)> {
    let mut places = Vec::new();
    for (index, socket) in declared["listen"].as_array().into_iter().flatten().enumerate() {
        let address = socket.as_str().or_else(|| socket["address"].as_str());
        // Those with SO_REUSEPORT are there to be shared.
        if let Some(address) = address.filter(|_| socket["reuse_port"] != true) {
            places.push((format!("listen[{index}]"), "listen", address.to_owned()));
        }
    }
    for (kind, field) in [("tcp", "ready.tcp"), ("unix", "ready.unix")] {
        places.extend(declared["ready"][kind].as_str().map(|at| (field.to_owned(), field, at.to_owned())));
    }
    for stream in ["stdout", "stderr"] {
        let path = declared["output"][stream].as_str().filter(|path| path.starts_with('/'));
        // Devices and pipes are there to be shared.
        let is_file =
            |path: &&str| fs::metadata(path).is_ok_and(|found| found.is_file()) || fs::metadata(path).is_err();
        places.extend(path.filter(is_file).map(|path| (format!("output.{stream}"), "output", path.to_owned())));
    }
    places
}
