// SPDX-License-Identifier: MPL-2.0
//! The JSON form of what the kernel holds of a process: `rlimits`, `nice`, `cpu_affinity`, `umask`, `no_new_privs`, `argv0`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fields::{Fields, expected};
use super::text;
use crate::command::{Command, LAST_CPU, NICE, ProcessSettings, Resource, ResourceLimit, UMASK};
use crate::error::Result;

const LIMIT: &str = "a whole number from 0 on or \"unlimited\"";
const CPUS: &str = "CPUs from 0 to 8191, each a number, or a range like \"0-3\"";

/// Reads the fields into the command.
pub(super) fn read(fields: &mut Fields, mut command: Command) -> Result<Command> {
    if let Some(rlimits) = fields.take("rlimits") {
        command = read_rlimits(&fields.place("rlimits"), rlimits, command)?;
    }
    let nice = |value: &Value| value.as_i64().and_then(|number| number.try_into().ok());
    if let Some(nice) = fields.read("nice", NICE, nice)? {
        command = command.nice(nice);
    }
    if let Some(cpus) = fields.take("cpu_affinity") {
        command = command.cpu_affinity(read_cpus(&fields.place("cpu_affinity"), cpus)?);
    }
    if let Some(mask) = fields.read("umask", UMASK, |value| text::octal(value.as_str()?))? {
        command = command.umask(mask);
    }
    if fields.boolean("no_new_privs")?.unwrap_or(false) {
        command = command.no_new_privs();
    }
    if let Some(name) = fields.read("argv0", "a string", text::from_json)? {
        command = command.argv0(name);
    }
    Ok(command)
}

/// Reads limits by the names of their resources, which stand at `place`.
pub(crate) fn read_rlimits(place: &str, value: Value, mut command: Command) -> Result<Command> {
    let mut fields = Fields::of(place, value)?;
    for resource in Resource::ALL {
        if let Some(value) = fields.take(resource.as_str()) {
            command = command.rlimit(resource, read_limit(fields.place(resource.as_str()), value)?);
        }
    }
    fields.finish()?;
    Ok(command)
}

fn read_limit(place: String, value: Value) -> Result<ResourceLimit> {
    if let Some(limit) = limit(&value) {
        return Ok(ResourceLimit::new(limit));
    }
    if !value.is_object() {
        return Err(expected(&place, &format!("{LIMIT}, or an object with soft and hard"), &value));
    }
    let mut fields = Fields::of(place, value)?;
    let soft = fields.read("soft", LIMIT, limit)?;
    let hard = fields.read("hard", LIMIT, limit)?;
    let missing = fields.missing("soft", LIMIT);
    fields.finish()?;
    let soft = ResourceLimit::soft(soft.ok_or(missing)?);
    Ok(hard.map_or(soft, |hard| soft.with_hard(hard)))
}

fn limit(value: &Value) -> Option<u64> {
    match value.as_str() {
        Some("unlimited") => Some(ResourceLimit::UNLIMITED),
        _ => value.as_u64(),
    }
}

fn limit_to_json(limit: u64) -> Value {
    if limit == ResourceLimit::UNLIMITED { "unlimited".into() } else { limit.into() }
}

/// Reads a list of CPUs, which stands at `place`.
pub(crate) fn read_cpus(place: &str, value: Value) -> Result<BTreeSet<u32>> {
    let Value::Array(items) = value else { return Err(expected(place, &format!("a list of {CPUS}"), &value)) };
    let mut cpus = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let range = cpu_range(item).ok_or_else(|| expected(&format!("{place}[{index}]"), CPUS, item))?;
        cpus.extend(range);
    }
    Ok(cpus)
}

fn cpu_range(item: &Value) -> Option<std::ops::RangeInclusive<u32>> {
    let (first, last) = match item {
        Value::Number(number) => (number.as_u64()?.try_into().ok()?, number.as_u64()?.try_into().ok()?),
        Value::String(range) => {
            let (first, last) = range.split_once('-')?;
            (decimal(first)?, decimal(last)?)
        }
        _ => return None,
    };
    // What is not bounded could not be collected.
    (first <= last && last <= LAST_CPU).then_some(first..=last)
}

/// Without the sign that a number may begin with elsewhere.
fn decimal(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn cpus_to_json(cpus: &BTreeSet<u32>) -> Value {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &cpu in cpus {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == cpu => *last = cpu,
            _ => ranges.push((cpu, cpu)),
        }
    }
    let item = |(first, last)| if first == last { Value::from(first) } else { format!("{first}-{last}").into() };
    ranges.into_iter().map(item).collect()
}

/// Puts the fields that [`read`] reads, those that are declared.
pub(super) fn put(settings: &ProcessSettings, put: &mut impl FnMut(&str, Value)) {
    let ProcessSettings { rlimits, nice, cpu_affinity, umask, no_new_privs, argv0 } = settings;
    if !rlimits.is_empty() {
        let limit = |limit: &ResourceLimit| match limit.hard {
            Some(hard) if hard == limit.soft => limit_to_json(hard),
            Some(hard) => json!({"soft": limit_to_json(limit.soft), "hard": limit_to_json(hard)}),
            None => json!({"soft": limit_to_json(limit.soft)}),
        };
        let limits = rlimits.iter().map(|(resource, declared)| (resource.to_string(), limit(declared)));
        put("rlimits", Value::Object(limits.collect()));
    }
    if let Some(nice) = nice {
        put("nice", (*nice).into());
    }
    if let Some(cpus) = cpu_affinity {
        put("cpu_affinity", cpus_to_json(cpus));
    }
    if let Some(mask) = umask {
        put("umask", format!("{mask:04o}").into());
    }
    if *no_new_privs {
        put("no_new_privs", true.into());
    }
    if let Some(name) = argv0 {
        put("argv0", text::to_json(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::ProxyConfig;

    fn read(fields: &str) -> Result<ProxyConfig> {
        ProxyConfig::from_json(&format!("{{\"command\": [\"a\"], {fields}}}"))
    }

    #[test]
    fn limits_and_cpus_are_read_in_each_of_their_forms() {
        let text = r#""rlimits": {"core": 0, "memlock": "unlimited", "nofile": {"soft": 9},
            "nproc": {"soft": 1, "hard": "unlimited"}}, "cpu_affinity": [7, "0-2", 2, "4-4"]"#;
        let command = read(text).unwrap().command;
        let expected = Command::new("a")
            .rlimit(Resource::Core, ResourceLimit::new(0))
            .rlimit(Resource::Memlock, ResourceLimit::new(u64::MAX))
            .rlimit(Resource::Nofile, ResourceLimit::soft(9))
            .rlimit(Resource::Nproc, ResourceLimit::soft(1).with_hard(u64::MAX))
            .cpu_affinity([0, 1, 2, 4, 7]);
        assert_eq!(command, expected);
        let written = ProxyConfig::new(command).to_json();
        assert_eq!(written["cpu_affinity"], json!(["0-2", 4, 7]));
        let limits = json!({"core": 0, "memlock": "unlimited", "nofile": {"soft": 9},
            "nproc": {"soft": 1, "hard": "unlimited"}});
        assert_eq!(written["rlimits"], limits);
    }

    #[test]
    fn a_value_that_cannot_be_read_is_named() {
        let cases = [
            (r#""rlimits": 1"#, "rlimits: expected an object, got 1"),
            (r#""rlimits": {"files": 1}"#, "rlimits.files: unknown field, expected one of as, core, "),
            (
                r#""rlimits": {"core": -1}"#,
                "rlimits.core: expected a whole number from 0 on or \"unlimited\", or an object",
            ),
            (r#""rlimits": {"core": "infinity"}"#, "rlimits.core: expected a whole number from 0 on"),
            (r#""rlimits": {"core": {"hard": 1}}"#, "rlimits.core.soft: expected a whole number from 0 on"),
            (r#""rlimits": {"core": {"soft": 1, "max": 1}}"#, "rlimits.core.max: unknown field"),
            (r#""rlimits": {"core": {"soft": 2, "hard": 1}}"#, "rlimits.core: expected a soft limit"),
            (r#""nice": 2147483648"#, "nice: expected a whole number from -20 to 19, got 2147483648"),
            (r#""cpu_affinity": "0-3""#, "cpu_affinity: expected a list of CPUs"),
            (r#""cpu_affinity": []"#, "cpu_affinity: expected CPUs, got an empty list"),
            (r#""cpu_affinity": [1, 8192]"#, "cpu_affinity[1]: expected CPUs from 0 to 8191"),
            (r#""cpu_affinity": ["0-4294967295"]"#, "cpu_affinity[0]: expected CPUs"),
            (r#""cpu_affinity": ["3-1"]"#, "cpu_affinity[0]: expected CPUs"),
            (r#""cpu_affinity": ["+1-3"]"#, "cpu_affinity[0]: expected CPUs"),
            (r#""umask": 18"#, "umask: expected an octal text from \"0000\" to \"0777\", got 18"),
            (r#""umask": "22""#, "umask: expected an octal text"),
            (r#""umask": "1000""#, "umask: expected an octal text"),
            (r#""no_new_privs": 1"#, "no_new_privs: expected true or false"),
            (r#""argv0": 1"#, "argv0: expected a string, got 1"),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
