// SPDX-License-Identifier: MPL-2.0
//! How a proxy is stopped, with its JSON form: one signal, or several steps.

use std::ffi::OsString;

use serde_json::{Value, json};

use super::fields::{Fields, expected, invalid, milliseconds};
use super::text;
use crate::command::Command;
use crate::defaults::MAX_STOP_STEPS;
use crate::error::Result;
use crate::lifecycle::{StopAction, StopSettings, StopStep};
use crate::sys::signal::Signal;

const STEPS: &str = "a list of 1 to 16 steps";

/// Reads `stop_signal`, `grace_period_ms`, `stop` and `leftover_grace_ms`; what is absent stays as it is.
pub(crate) fn read_stop(fields: &mut Fields, stop: &mut StopSettings) -> Result<()> {
    let signal = read_signal(fields, "stop_signal")?;
    let grace_period = fields.milliseconds("grace_period_ms")?;
    let place = fields.place("stop");
    if let Some(value) = fields.take("stop") {
        refuse_both(&place, signal.is_some(), grace_period.is_some())?;
        stop.steps = read_steps(&place, value)?;
    }
    stop.signal = signal.unwrap_or(stop.signal);
    stop.grace_period = grace_period.unwrap_or(stop.grace_period);
    stop.leftover_grace = fields.milliseconds("leftover_grace_ms")?.unwrap_or(stop.leftover_grace);
    Ok(())
}

/// Reads the list of steps, which stands at `place`.
pub(crate) fn read_steps(place: &str, value: Value) -> Result<Vec<StopStep>> {
    let Value::Array(items) = value else { return Err(expected(place, STEPS, &value)) };
    if items.is_empty() || items.len() > MAX_STOP_STEPS {
        return Err(invalid(format!("{place}: expected {STEPS}, got {}", items.len())));
    }
    let step = |(index, item)| read_step(Fields::of(format!("{place}[{index}]"), item)?);
    items.into_iter().enumerate().map(step).collect()
}

fn read_step(mut fields: Fields) -> Result<StopStep> {
    let signal = read_signal(&mut fields, "signal")?;
    let command = fields.list_of("command", ["a string", "strings"], text::from_json)?;
    let duration = fields.milliseconds("for_ms")?;
    let leader_only = fields.boolean("leader_only")?;
    let neither = fields.missing("signal", &format!("{SIGNAL}, or a command"));
    let no_time = fields.missing("for_ms", "milliseconds");
    let places = ["command", "leader_only"].map(|field| fields.place(field));
    fields.finish()?;
    let duration = duration.ok_or(no_time);
    match (signal, command) {
        (Some(_), Some(_)) => Err(invalid(format!("{}: expected none beside a signal", places[0]))),
        (None, Some(_)) if leader_only.is_some() => {
            Err(invalid(format!("{}: expected none beside a command", places[1])))
        }
        (None, Some(argv)) => Ok(StopStep::command(argv, duration?)),
        (Some(signal), None) if leader_only == Some(true) => Ok(StopStep::new(signal, duration?).leader_only()),
        (Some(signal), None) => Ok(StopStep::new(signal, duration?)),
        (None, None) => Err(neither),
    }
}

const SIGNAL: &str = "a signal like \"SIGTERM\" or 15";

/// Takes a field with the name or number of a signal.
pub(super) fn read_signal(fields: &mut Fields, field: &str) -> Result<Option<Signal>> {
    let text = match fields.take(field) {
        None => return Ok(None),
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) => number.to_string(),
        Some(other) => return Err(expected(&fields.place(field), SIGNAL, &other)),
    };
    text.parse().map(Some).map_err(|error: crate::Error| error.within(fields.place(field)))
}

/// Puts the fields that [`read_stop`] reads; what has its default value is left out.
pub(super) fn put_stop(stop: &StopSettings, put: &mut impl FnMut(&str, Value)) {
    let default = StopSettings::default();
    if stop.signal != default.signal {
        put("stop_signal", stop.signal.stored_name().into());
    }
    if stop.grace_period != default.grace_period {
        put("grace_period_ms", milliseconds(stop.grace_period));
    }
    if !stop.steps.is_empty() {
        put("stop", steps_to_json(&stop.steps));
    }
    if stop.leftover_grace != default.leftover_grace {
        put("leftover_grace_ms", milliseconds(stop.leftover_grace));
    }
}

/// The list that [`read_steps`] reads.
pub(crate) fn steps_to_json(steps: &[StopStep]) -> Value {
    let step = |StopStep { action, duration, .. }: &StopStep| {
        let duration = milliseconds(*duration);
        match action {
            StopAction::Signal { signal, leader_only: false } => {
                json!({"signal": signal.stored_name(), "for_ms": duration})
            }
            StopAction::Signal { signal, leader_only: true } => {
                json!({"signal": signal.stored_name(), "for_ms": duration, "leader_only": true})
            }
            StopAction::Command(argv) => json!({"command": words_to_json(argv), "for_ms": duration}),
        }
    };
    steps.iter().map(step).collect()
}

/// Program and arguments as a list.
pub(super) fn words_to_json(argv: &[OsString]) -> Value {
    argv.iter().map(|word| text::to_json(word)).collect()
}

/// Checks what can be written in Rust and C, and not in JSON.
pub(super) fn validate_stop(stop: &StopSettings) -> Result<()> {
    if stop.steps.len() > MAX_STOP_STEPS {
        return Err(invalid(format!("stop: expected {STEPS}, got {}", stop.steps.len())));
    }
    if stop.steps.is_empty() {
        return Ok(());
    }
    for (index, step) in stop.steps.iter().enumerate() {
        if let StopAction::Command(argv) = &step.action {
            let command = Command::from_argv(argv.clone());
            command.validate().map_err(|error| error.joined(&format!("stop[{index}]")))?;
        }
    }
    if !stop.leftover_grace.is_zero() && stop.last_signal().is_none() {
        return Err(invalid("leftover_grace_ms: expected none without a signal in stop, which they would get"));
    }
    let default = StopSettings::default();
    refuse_both("stop", stop.signal != default.signal, stop.grace_period != default.grace_period)
}

/// Of the two forms one alone may be declared.
fn refuse_both(place: &str, signal: bool, grace_period: bool) -> Result<()> {
    let short =
        [("stop_signal", signal), ("grace_period_ms", grace_period)].into_iter().find(|(_, is_there)| *is_there);
    match short {
        Some((short, _)) => Err(invalid(format!("{place}: expected no {short} beside it, which declares one step"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;
    use std::time::Duration;

    use crate::command::Command;
    use crate::declaration::ProxyConfig;
    use crate::defaults::LONGEST_PERIOD;

    fn parse(fields: &str) -> Result<ProxyConfig> {
        ProxyConfig::from_json(&format!(r#"{{"command": ["a"], {fields}}}"#))
    }

    fn step(signal: &str, ms: u64) -> StopStep {
        StopStep::new(signal.parse().unwrap(), Duration::from_millis(ms))
    }

    #[test]
    fn steps_are_read_and_written_and_one_is_not_the_short_form() {
        let text = r#""stop": [{"signal": "USR1", "for_ms": 30000, "leader_only": true}, {"signal": 40, "for_ms": 0}],
            "leftover_grace_ms": 7"#;
        let config = parse(text).unwrap();
        let steps = vec![step("SIGUSR1", 30_000).leader_only(), step("40", 0)];
        assert_eq!(config.stop.steps, steps);
        assert_eq!(config.stop.leftover_grace, Duration::from_millis(7));
        let written = Value::from(config.to_json());
        let first = json!({"signal": "SIGUSR1", "for_ms": 30000, "leader_only": true});
        assert_eq!(written["stop"], json!([first, {"signal": "40", "for_ms": 0}]));
        assert_eq!(ProxyConfig::from_json(&written.to_string()).unwrap(), config);

        let most = ProxyConfig::new(Command::new("a"))
            .with_stop(StopSettings::default().with_steps(vec![step("SIGINT", 5000); MAX_STOP_STEPS]));
        assert_eq!(ProxyConfig::from_json(&Value::from(most.to_json()).to_string()).unwrap(), most);
        let endless = StopSettings::default().with_steps([StopStep::new(Signal::INT, Duration::MAX)]);
        assert_eq!(steps_to_json(&endless.steps)[0]["for_ms"], milliseconds(LONGEST_PERIOD));
    }

    #[test]
    fn command_of_a_step_is_read_and_written() {
        let text = r#""stop": [{"command": ["drain", [255]], "for_ms": 7}, {"signal": 15, "for_ms": 8}], "leftover_grace_ms": 9"#;
        let config = parse(text).unwrap();
        let drain = StopStep::command(["drain".into(), OsString::from_vec(vec![255])], Duration::from_millis(7));
        assert_eq!(config.stop.steps, [drain, step("SIGTERM", 8)]);
        let written = Value::from(config.to_json());
        assert_eq!(written["stop"][0], json!({"command": ["drain", [255]], "for_ms": 7}));
        assert_eq!(ProxyConfig::from_json(&written.to_string()).unwrap(), config);
    }

    #[test]
    fn wrong_steps_are_refused_and_the_field_named() {
        let many = vec![r#"{"signal": 15, "for_ms": 1}"#; MAX_STOP_STEPS + 1].join(",");
        let many = format!(r#""stop": [{many}]"#);
        let cases = [
            (r#""stop": []"#, "stop: expected a list of 1 to 16 steps, got 0"),
            (&*many, "stop: expected a list of 1 to 16 steps, got 17"),
            (r#""stop": "SIGTERM""#, "stop: expected a list of 1 to 16 steps, got a string"),
            (r#""stop": {"signal": 15, "for_ms": 1}"#, "stop: expected a list of 1 to 16 steps, got an object"),
            (r#""stop": [15]"#, "stop[0]: expected an object, got 15"),
            (
                r#""stop": [{"for_ms": 1}]"#,
                "stop[0].signal: expected a signal like \"SIGTERM\" or 15, or a command, got nothing",
            ),
            (r#""stop": [{"command": ["a"]}]"#, "stop[0].for_ms: expected milliseconds, got nothing"),
            (r#""stop": [{"command": "a", "for_ms": 1}]"#, "stop[0].command: expected a list of strings, got a string"),
            (r#""stop": [{"command": [], "for_ms": 1}]"#, "stop[0].command: expected a program and its arguments"),
            (
                r#""stop": [{"signal": 1, "for_ms": 1}, {"command": ["a", "b\u0000"], "for_ms": 1}]"#,
                "stop[1].command[1]: ",
            ),
            (
                r#""stop": [{"signal": 15, "command": ["a"], "for_ms": 1}]"#,
                "stop[0].command: expected none beside a signal",
            ),
            (
                r#""stop": [{"command": ["a"], "for_ms": 1, "leader_only": false}]"#,
                "stop[0].leader_only: expected none beside a command",
            ),
            (
                r#""stop": [{"command": ["a"], "for_ms": 1}], "leftover_grace_ms": 1"#,
                "leftover_grace_ms: expected none without a signal in stop",
            ),
            (r#""stop": [{"signal": 15}]"#, "stop[0].for_ms: expected milliseconds, got nothing"),
            (r#""stop": [{"signal": "SIGX", "for_ms": 1}]"#, "stop[0].signal: expected a signal"),
            (r#""stop": [{"signal": 65, "for_ms": 1}]"#, "stop[0].signal: expected a signal"),
            (r#""stop": [{"signal": true, "for_ms": 1}]"#, "stop[0].signal: expected a signal"),
            (
                r#""stop": [{"signal": 1, "for_ms": 1}, {"signal": 2, "for_ms": 31622400001}]"#,
                "stop[1].for_ms: expected milliseconds, a whole number from 0 to 31622400000, got 31622400001",
            ),
            (
                r#""stop": [{"signal": 1, "for_ms": 1, "leader_only": 1}]"#,
                "stop[0].leader_only: expected true or false, got 1",
            ),
            (
                r#""stop": [{"signal": 1, "for": 1}]"#,
                "stop[0].for: unknown field, expected one of signal, command, for_ms, leader_only",
            ),
            (
                r#""stop": [{"signal": 1, "for_ms": 1}], "stop_signal": "SIGINT""#,
                "stop: expected no stop_signal beside it, which declares one step",
            ),
            (
                r#""stop": [{"signal": 1, "for_ms": 1}], "grace_period_ms": 5000"#,
                "stop: expected no grace_period_ms beside it, which declares one step",
            ),
        ];
        for (fields, expected) in cases {
            let error = parse(fields).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{fields}: {error}");
        }
    }

    #[test]
    fn both_forms_are_refused_where_they_are_not_read_from_json() {
        let config = |stop: StopSettings| ProxyConfig::new(Command::new("a")).with_stop(stop).validate();
        let steps = StopSettings::default().with_steps([step("SIGTERM", 1)]);
        assert_eq!(config(steps.clone()), Ok(()));
        let said = |stop: StopSettings| config(stop).unwrap_err().to_string();
        assert!(said(steps.clone().with_signal(Signal::KILL)).starts_with("stop: expected no stop_signal"));
        assert!(said(steps.with_grace_period(Duration::MAX)).starts_with("stop: expected no grace_period_ms"));
        let many = StopSettings::default().with_steps(vec![step("SIGTERM", 1); MAX_STOP_STEPS + 1]);
        assert_eq!(said(many), "stop: expected a list of 1 to 16 steps, got 17");
    }

    #[test]
    fn steps_are_no_part_of_the_process() {
        let short = ProxyConfig::new(Command::new("a"));
        let steps = short.clone().with_stop(StopSettings::default().with_steps([step("SIGTERM", 1)]));
        assert!(short.same_process(&steps));
    }
}
