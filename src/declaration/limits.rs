// SPDX-License-Identifier: MPL-2.0
//! Limits on what all processes of a proxy use together: the JSON form and the validation.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::fields::{Fields, invalid};
use super::{ExecMode, ProxyConfig};
use crate::error::Result;

/// The largest share of processors: a thousand processors.
const MOST_PERCENT: u64 = 100_000;
const MOST_WEIGHT: u64 = 10_000;
const PERCENT: &str = "a percentage of one processor, a whole number from 1 to 100000";
/// No process can be started with less.
const LEAST_MEMORY: u64 = 1 << 20;
/// As many as there can be (PID_MAX_LIMIT of the kernel).
const MOST_PIDS: u64 = 1 << 22;
const BYTES: &str = "bytes, a whole number from 1048576 on";
const PIDS: &str = "a whole number from 1 to 4194304";
const WEIGHT: &str = "a whole number from 1 to 10000";

/// Each of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CgroupLimit {
    MemoryHigh,
    MemoryMax,
    PidsMax,
    CpuMax,
    IoWeight,
}

impl CgroupLimit {
    /// The field of [`CgroupLimits`].
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            CgroupLimit::MemoryHigh => "memory_high",
            CgroupLimit::MemoryMax => "memory_max",
            CgroupLimit::PidsMax => "pids_max",
            CgroupLimit::CpuMax => "cpu_max",
            CgroupLimit::IoWeight => "io_weight",
        }
    }

    /// What is declared, in words, and which values that are.
    fn range(self) -> (&'static str, RangeInclusive<u64>) {
        match self {
            CgroupLimit::MemoryHigh | CgroupLimit::MemoryMax => (BYTES, LEAST_MEMORY..=u64::MAX),
            CgroupLimit::PidsMax => (PIDS, 1..=MOST_PIDS),
            CgroupLimit::CpuMax => (PERCENT, 1..=MOST_PERCENT),
            CgroupLimit::IoWeight => (WEIGHT, 1..=MOST_WEIGHT),
        }
    }
}

/// Limits on what all processes of a proxy use together, including everything that they start (Linux, cgroup-v2). They
/// need a cgroup of its own ([`ManagerOptions::cgroup`](crate::ManagerOptions::cgroup)) and the kernel controllers that
/// are named here. If a limit cannot be set, no process is started.
///
/// A change takes effect at once, without a new process. During a handover each of the two generations has the full
/// limits.
///
/// ```
/// use proxyprocess::{CgroupLimits, Command, ProxyConfig};
///
/// let limits = CgroupLimits::default().with_memory_max(256 << 20).with_cpu_max(150);
/// let config = ProxyConfig::new(Command::new("/usr/sbin/haproxy")).with_limits(limits);
/// assert_eq!(config.limits.memory_max, Some(268_435_456));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CgroupLimits {
    /// Bytes of memory, at least 1 MiB, above which the kernel kills a process of the proxy (`memory.max`; controller
    /// `memory`).
    pub memory_max: Option<u64>,
    /// Bytes of memory above which its processes are throttled and their memory is reclaimed (`memory.high`; controller
    /// `memory`); at most [`CgroupLimits::memory_max`].
    pub memory_high: Option<u64>,
    /// The most processes and threads, 1 to 4,194,304 (`pids.max`; controller `pids`).
    pub pids_max: Option<u32>,
    /// Processor time in percent of one processor, 1 to 100,000: 150 is one and a half (`cpu.max`, per 100 ms;
    /// controller `cpu`).
    pub cpu_max: Option<u32>,
    /// Its share of the bandwidth of busy disks, 1 to 10,000, where 100 is the kernel's default (`io.weight`;
    /// controller `io`).
    pub io_weight: Option<u32>,
}

impl CgroupLimits {
    /// The same with this [`CgroupLimits::memory_max`].
    #[must_use]
    pub fn with_memory_max(mut self, bytes: u64) -> CgroupLimits {
        self.memory_max = Some(bytes);
        self
    }

    /// The same with this [`CgroupLimits::memory_high`].
    #[must_use]
    pub fn with_memory_high(mut self, bytes: u64) -> CgroupLimits {
        self.memory_high = Some(bytes);
        self
    }

    /// The same with this [`CgroupLimits::pids_max`].
    #[must_use]
    pub fn with_pids_max(mut self, most: u32) -> CgroupLimits {
        self.pids_max = Some(most);
        self
    }

    /// The same with this [`CgroupLimits::cpu_max`].
    #[must_use]
    pub fn with_cpu_max(mut self, percent: u32) -> CgroupLimits {
        self.cpu_max = Some(percent);
        self
    }

    /// The same with this [`CgroupLimits::io_weight`].
    #[must_use]
    pub fn with_io_weight(mut self, weight: u32) -> CgroupLimits {
        self.io_weight = Some(weight);
        self
    }

    /// Whether there are no limits.
    pub fn is_empty(&self) -> bool {
        *self == CgroupLimits::default()
    }

    /// The same without the memory limits.
    pub(crate) fn without_memory(&self) -> CgroupLimits {
        CgroupLimits { memory_max: None, memory_high: None, ..*self }
    }

    /// All limits in the order in which they are written: memory is reclaimed before a process is killed for it.
    pub(crate) fn all(&self) -> [(CgroupLimit, Option<u64>); 5] {
        let CgroupLimits { memory_max, memory_high, pids_max, cpu_max, io_weight } = *self;
        [
            (CgroupLimit::MemoryHigh, memory_high),
            (CgroupLimit::MemoryMax, memory_max),
            (CgroupLimit::PidsMax, pids_max.map(u64::from)),
            (CgroupLimit::CpuMax, cpu_max.map(u64::from)),
            (CgroupLimit::IoWeight, io_weight.map(u64::from)),
        ]
    }
}

/// Reads limits, which stand at `place`.
pub(crate) fn read_limits(place: &str, value: Value) -> Result<CgroupLimits> {
    let small = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let mut fields = Fields::of(place, value)?;
    let limits = CgroupLimits {
        memory_max: fields.read("memory_max", BYTES, Value::as_u64)?,
        memory_high: fields.read("memory_high", BYTES, Value::as_u64)?,
        pids_max: fields.read("pids_max", PIDS, small)?,
        cpu_max: fields.read("cpu_max", PERCENT, small)?,
        io_weight: fields.read("io_weight", WEIGHT, small)?,
    };
    fields.finish()?;
    Ok(limits)
}

/// The object that [`read_limits`] reads.
pub(super) fn to_json(limits: &CgroupLimits) -> Value {
    let declared =
        limits.all().into_iter().filter_map(|(limit, value)| Some((limit.as_str().to_owned(), value?.into())));
    Value::Object(declared.collect())
}

impl ProxyConfig {
    pub(super) fn validate_limits(&self) -> Result<()> {
        let limits = &self.limits;
        if limits.is_empty() {
            return Ok(());
        }
        if self.mode != ExecMode::DAEMON {
            return Err(invalid(format!("limits: expected none for the mode \"{}\"", self.mode)));
        }
        for (limit, value) in limits.all() {
            let (name, (wanted, range)) = (limit.as_str(), limit.range());
            if let Some(value) = value.filter(|value| !range.contains(value)) {
                return Err(invalid(format!("limits.{name}: expected {wanted}, got {value}")));
            }
        }
        match (limits.memory_high, limits.memory_max) {
            (Some(high), Some(max)) if high > max => {
                Err(invalid(format!("limits.memory_high: expected at most memory_max, {max}, got {high}")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;

    fn parse(limits: &str) -> Result<ProxyConfig> {
        ProxyConfig::from_json(&format!(r#"{{"command": ["a"], "limits": {limits}}}"#))
    }

    #[test]
    fn limits_are_read_and_written_and_make_no_other_process() {
        let plain = ProxyConfig::new(Command::new("a"));
        for nothing in ["null", "{}", r#"{"memory_max": null}"#] {
            assert_eq!(parse(nothing).unwrap(), plain, "{nothing}");
        }
        let text = r#"{"memory_max": 1048577, "memory_high": 1048576, "pids_max": 4194304, "cpu_max": 100000, "io_weight": 10000}"#;
        let config = parse(text).unwrap();
        let limits =
            CgroupLimits::default().with_memory_max(1_048_577).with_memory_high(1 << 20).with_pids_max(1 << 22);
        assert_eq!(config.limits, limits.with_cpu_max(100_000).with_io_weight(10_000));
        assert_eq!(ProxyConfig::from_json(&serde_json::to_string(&config.to_json()).unwrap()).unwrap(), config);
        assert!(config.same_process(&plain));
        let equal = parse(r#"{"memory_max": 18446744073709551615, "memory_high": 18446744073709551615}"#).unwrap();
        assert_eq!(equal.limits.memory_max, Some(u64::MAX));
    }

    #[test]
    fn wrong_limits_are_refused_and_the_field_named() {
        let cases = [
            ("1", "limits: expected an object, got 1"),
            (r#"{"memory": 1}"#, "limits.memory: unknown field, "),
            (
                r#"{"memory_max": 1048575}"#,
                "limits.memory_max: expected bytes, a whole number from 1048576 on, got 1048575",
            ),
            (
                r#"{"memory_max": "1G"}"#,
                "limits.memory_max: expected bytes, a whole number from 1048576 on, got a string",
            ),
            (r#"{"memory_high": -1}"#, "limits.memory_high: expected bytes, a whole number from 1048576 on, got -1"),
            (r#"{"pids_max": 0}"#, "limits.pids_max: expected a whole number from 1 to 4194304, got 0"),
            (
                r#"{"pids_max": 4294967296}"#,
                "limits.pids_max: expected a whole number from 1 to 4194304, got 4294967296",
            ),
            (r#"{"cpu_max": 1.5}"#, "limits.cpu_max: expected a percentage of one processor, a whole number from 1 to"),
            (
                r#"{"cpu_max": 100001}"#,
                "limits.cpu_max: expected a percentage of one processor, a whole number from 1 to",
            ),
            (r#"{"io_weight": 10001}"#, "limits.io_weight: expected a whole number from 1 to 10000, got 10001"),
            (
                r#"{"memory_max": 1048576, "memory_high": 1048577}"#,
                "limits.memory_high: expected at most memory_max, 1048576, got 1048577",
            ),
        ];
        for (limits, expected) in cases {
            let error = parse(limits).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{limits}: {error}");
        }
        let error = ProxyConfig::from_json(r#"{"mode": "noop", "limits": {"pids_max": 1}}"#).unwrap_err();
        assert_eq!(error.to_string(), r#"limits: expected none for the mode "noop""#);
    }
}
