// SPDX-License-Identifier: MPL-2.0
//! Metrics of a manager and its proxies.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Manager;
use super::metrics_text::{MetricKind, MetricsText, Seconds};
use super::usages::Usage;
use crate::supervisor::events::{BOUNDS_MS, Counters, TimeHistogram};
use crate::supervisor::{LogSizes, ProxyStatus};
use crate::sys::cgroup::control::{self, CgroupMemory};

use MetricKind::{Counter, Gauge, Histogram};

/// The usual length of the text, and the part of each proxy.
const BYTES: usize = 8 << 10;
const BYTES_OF_PROXY: usize = 640;

impl Manager {
    /// The body of [`Manager::metrics`].
    pub(super) fn measure(&self) -> String {
        if self.check_usable().is_err() {
            return String::new(); // as the status
        }
        let all = Arc::new(self.look());
        let sizes = self.log_sizes(&all);
        let mut text = MetricsText::with_capacity(BYTES + all.len() * BYTES_OF_PROXY);
        of_manager(&mut text, &self.counters, &all);
        of_proxies(&mut text, &all, &self.usages(&all));
        of_cgroups(&mut text, &all);
        of_logs(&mut text, &all, &sizes);
        text.into_text()
    }

    fn usages(&self, all: &[ProxyStatus]) -> Vec<Option<Usage>> {
        // Nothing panics while it is held.
        let mut usages = self.usages.lock().unwrap_or_else(PoisonError::into_inner);
        usages.of(all.iter().map(|status| status.pid), Instant::now())
    }
}

fn of_manager(text: &mut MetricsText, counters: &Counters, all: &[ProxyStatus]) {
    text.family("proxyprocess_info", Gauge, "The version of the library.");
    text.sample("proxyprocess_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);

    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for status in all {
        *states.entry(status.state.as_str()).or_default() += 1;
    }
    text.family("proxyprocess_proxies", Gauge, "Proxies by state, as far as there are any in it.");
    for (state, count) in states {
        text.sample("proxyprocess_proxies", &[("state", state)], count);
    }
    let ready = all.iter().filter(|status| status.ready).count();
    text.single("proxyprocess_proxies_ready", Gauge, "Proxies that are ready.", ready);

    let mut count = |name, help, value| text.single(name, Counter, help, value);
    count("proxyprocess_starts_total", "Processes that were started.", counters.starts.get());
    count("proxyprocess_start_failures_total", "Starts that failed.", counters.start_failures.get());
    count("proxyprocess_adoptions_total", "Processes that were adopted.", counters.adoptions.get());
    count("proxyprocess_waits_total", "Waits before a start.", counters.waits.get());
    count("proxyprocess_given_up_total", "Proxies that were given up after failures.", counters.given_up.get());
    count("proxyprocess_not_ready_total", "Processes that were not ready in time.", counters.not_ready.get());
    let expirations = counters.watchdog_expirations.get();
    count("proxyprocess_watchdog_expirations_total", "Processes that did not feed their watchdog.", expirations);
    count("proxyprocess_handovers_total", "Handovers to a next process.", counters.handovers.get());
    count("proxyprocess_snapshots_written_total", "Snapshots that were written.", counters.snapshots_written.get());
    count(
        "proxyprocess_snapshot_failures_total",
        "Snapshots that could not be written.",
        counters.snapshot_failures.get(),
    );

    let cut = counters.log_bytes_cut.get();
    count("proxyprocess_log_cut_bytes_total", "Bytes that were taken away from logs with a limit.", cut);

    let name = "proxyprocess_exits_total";
    text.family(name, Counter, "Processes that ended: as expected or not, and how.");
    for (expected, exits) in [("false", &counters.exits_unexpected), ("true", &counters.exits_expected)] {
        let kinds = [
            ("success", &exits.success),
            ("code", &exits.code),
            ("signal", &exits.signal),
            ("unknown", &exits.unknown),
        ];
        for (kind, counter) in kinds {
            text.sample(name, &[("expected", expected), ("kind", kind)], counter.get());
        }
    }
    let name = "proxyprocess_start_seconds";
    times(text, name, "Time of a start until the program was executed.", &counters.start_times);
    let name = "proxyprocess_ready_seconds";
    times(text, name, "Time from a start until the process was ready.", &counters.ready_times);
}

fn times(text: &mut MetricsText, name: &str, help: &str, times: &TimeHistogram) {
    text.family(name, Histogram, help);
    let mut sum = 0;
    for (index, counter) in times.counts.iter().enumerate() {
        sum += counter.get();
        let seconds = |bound: &u64| Seconds(Duration::from_millis(*bound)).to_string();
        let bound = BOUNDS_MS.get(index).map_or_else(|| "+Inf".to_owned(), seconds);
        text.sample(&format!("{name}_bucket"), &[("le", &bound)], sum);
    }
    text.sample(&format!("{name}_sum"), &[], Seconds(times.sum()));
    text.sample(&format!("{name}_count"), &[], sum);
}

/// A metric with a sample for each proxy that has a value.
fn each<T: Display>(
    text: &mut MetricsText,
    all: &[ProxyStatus],
    name: &str,
    kind: MetricKind,
    help: &str,
    value: impl Fn(&ProxyStatus) -> Option<T>,
) {
    text.family(name, kind, help);
    for status in all {
        if let Some(value) = value(status) {
            text.sample(name, &[("proxy", &status.id)], value);
        }
    }
}

fn of_logs(text: &mut MetricsText, all: &[ProxyStatus], sizes: &[LogSizes]) {
    let name = "proxyprocess_proxy_log_bytes";
    text.family(name, Gauge, "How much of its log is on disk.");
    for (status, sizes) in all.iter().zip(sizes) {
        for (stream, size) in ["stdout", "stderr"].into_iter().zip(sizes) {
            if let Some(size) = size {
                text.sample(name, &[("proxy", &status.id), ("stream", stream)], size);
            }
        }
    }
}

/// The memory of the cgroups of the proxies, if it is controlled: in the cgroups of one manager either all or none are.
fn of_cgroups(text: &mut MetricsText, all: &[ProxyStatus]) {
    let cgroups = || all.iter().filter_map(|status| Some((status, status.cgroup.as_deref()?)));
    // The cgroup of a proxy without a process may be gone.
    if cgroups().find_map(|(_, cgroup)| control::has(cgroup, "memory").ok()) != Some(true) {
        return;
    }
    let memory: Vec<_> =
        cgroups().filter_map(|(status, cgroup)| Some((status.id.as_str(), control::memory(cgroup)?))).collect();
    let mut each = |name: &str, kind, help: &str, value: fn(&CgroupMemory) -> Option<String>| {
        text.family(name, kind, help);
        for (id, memory) in &memory {
            if let Some(value) = value(memory) {
                text.sample(name, &[("proxy", id)], value);
            }
        }
    };
    let name = "proxyprocess_proxy_cgroup_memory_bytes";
    each(name, Gauge, "Memory of all its processes, with caches.", |memory| Some(memory.current.to_string()));
    let name = "proxyprocess_proxy_cgroup_memory_peak_bytes";
    each(name, Gauge, "The most memory that all its processes had.", |memory| Some(memory.peak?.to_string()));
    let name = "proxyprocess_proxy_cgroup_memory_waiting_seconds_total";
    let help = "How long any of its processes has waited for memory.";
    each(name, Counter, help, |memory| Some(Seconds(memory.pressure?).to_string()));
    let name = "proxyprocess_proxy_cgroup_oom_kills_total";
    let help = "Processes of it that the kernel has killed for lack of memory.";
    each(name, Counter, help, |memory| Some(memory.oom_kills.to_string()));
}

fn of_proxies(text: &mut MetricsText, all: &[ProxyStatus], usages: &[Option<Usage>]) {
    text.family("proxyprocess_proxy_state", Gauge, "The state of the proxy: 1 of that which it has.");
    for status in all {
        text.sample("proxyprocess_proxy_state", &[("proxy", &status.id), ("state", status.state.as_str())], 1);
    }
    each(text, all, "proxyprocess_proxy_ready", Gauge, "Whether the proxy is ready.", |status| {
        Some(u8::from(status.ready))
    });
    let help = "Starts after the first start or adoption.";
    each(text, all, "proxyprocess_proxy_restarts_total", Counter, help, |status| Some(status.restarts));
    each(text, all, "proxyprocess_proxy_uptime_seconds", Gauge, "How long its process has been running.", |status| {
        Some(Seconds(Duration::from_millis(status.uptime_ms?)))
    });
    let used = || all.iter().zip(usages).filter_map(|(status, usage)| Some((status.id.as_str(), usage.as_ref()?)));
    text.family("proxyprocess_proxy_cpu_seconds_total", Counter, "Processor time of its process.");
    for (id, usage) in used() {
        text.sample("proxyprocess_proxy_cpu_seconds_total", &[("proxy", id)], Seconds(usage.cpu));
    }
    text.family("proxyprocess_proxy_resident_bytes", Gauge, "Resident memory of its process.");
    for (id, usage) in used() {
        text.sample("proxyprocess_proxy_resident_bytes", &[("proxy", id)], usage.resident);
    }
}
