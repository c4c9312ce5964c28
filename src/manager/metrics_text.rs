// SPDX-License-Identifier: MPL-2.0
//! The text format of Prometheus, version 0.0.4 (its documentation, "Exposition formats"): families of samples.

use std::fmt::{Display, Write};
use std::time::Duration;

/// A text to which families are appended.
#[derive(Debug, Default)]
pub(super) struct MetricsText(String);

/// The type of a family.
#[derive(Debug, Clone, Copy)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

impl MetricsText {
    /// An empty text with this capacity.
    pub(super) fn with_capacity(bytes: usize) -> MetricsText {
        MetricsText(String::with_capacity(bytes))
    }

    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &str, kind: MetricKind, help: &str) {
        let kind = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    /// A family with one sample without labels.
    pub(super) fn single(&mut self, name: &str, kind: MetricKind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// A sample of the family.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            self.0.push_str(label);
            self.0.push_str("=\"");
            escape(text, &mut self.0);
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        self.0.push(' ');
        // UNWRAP: not needed, because writing to a String never fails.
        let _ = write!(self.0, "{value}");
        self.0.push('\n');
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // UNWRAP: not needed, because writing to a String never fails.
        let _ = writeln!(self.0, "{line}");
    }
}

fn escape(text: &str, to: &mut String) {
    // Most values need no escaping; this checks all bytes at once.
    if !text.bytes().fold(false, |found, byte| found | matches!(byte, b'\\' | b'"' | b'\n')) {
        return to.push_str(text);
    }
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        to.push_str(&rest[..at]);
        to.push_str(match rest.as_bytes()[at] {
            b'\n' => "\\n",
            b'"' => "\\\"",
            _ => "\\\\",
        });
        rest = &rest[at + 1..];
    }
    to.push_str(rest);
}

/// A duration in seconds, to the microsecond.
pub(super) struct Seconds(pub(super) Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, ms, us) = (self.0.as_secs(), self.0.subsec_millis(), self.0.subsec_micros());
        match (us, us % 1000) {
            (0, _) => write!(f, "{seconds}"),
            (_, 0) => write!(f, "{seconds}.{ms:03}"),
            _ => write!(f, "{seconds}.{us:06}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_families_named() {
        let mut text = MetricsText::default();
        text.single("a_total", MetricKind::Counter, "How often.", 3);
        text.family("b", MetricKind::Gauge, "What.");
        text.sample("b", &[("proxy", "x\"\\\ny"), ("state", "idle")], Seconds(Duration::from_millis(1500)));
        assert_eq!(
            text.into_text(),
            "# HELP a_total How often.\n# TYPE a_total counter\na_total 3\n\
             # HELP b What.\n# TYPE b gauge\nb{proxy=\"x\\\"\\\\\\ny\",state=\"idle\"} 1.500\n"
        );
        assert_eq!(Seconds(Duration::from_secs(60)).to_string(), "60");
        assert_eq!(Seconds(Duration::from_micros(1_000_040)).to_string(), "1.000040");
    }
}
