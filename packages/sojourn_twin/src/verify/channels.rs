//! The telemetry channels: their names, units and limits, and the bookkeeping of every value.

use sojourn_core::report::{ChannelSummary, Finding};
use std::collections::BTreeMap;

/// Most findings a report lists.
pub const MAX_FINDINGS: usize = 100;

/// Where and when a sample was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Place {
    /// East, metres in `map`.
    pub x_m: f64,
    /// North, metres in `map`.
    pub y_m: f64,
    /// Way from the start, metres.
    pub distance_m: f64,
    /// Time from the start, seconds.
    pub time_s: f64,
    /// Index of the waypoint driven to.
    pub waypoint: usize,
}

/// One value of one channel with the limits that hold for it just now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// The value.
    pub value: f64,
    /// Lower limit.
    pub lower: Option<f64>,
    /// Upper limit.
    pub upper: Option<f64>,
}

struct Channel {
    name: String,
    unit: &'static str,
    samples: u64,
    min: f64,
    max: f64,
    lower: Option<f64>,
    upper: Option<f64>,
    violations: u64,
    /// Whether the previous sample was beyond a limit: only the first of an excess is a finding.
    beyond: bool,
}

/// All channels of a drive. Values are checked and forgotten.
#[derive(Default)]
pub struct Ledger {
    channels: Vec<Channel>,
    index: BTreeMap<String, usize>,
    findings: Vec<Finding>,
    checked: u64,
    violations: u64,
}

impl Ledger {
    /// Declares a channel and returns its number.
    pub fn declare(&mut self, name: impl Into<String>, unit: &'static str) -> usize {
        let name = name.into();
        if let Some(&i) = self.index.get(&name) {
            return i;
        }
        self.index.insert(name.clone(), self.channels.len());
        self.channels.push(Channel {
            name,
            unit,
            samples: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            lower: None,
            upper: None,
            violations: 0,
            beyond: false,
        });
        self.channels.len() - 1
    }

    /// Compares a value with its limits and counts it. Not-a-number breaks the limits.
    pub fn check(&mut self, channel: usize, v: Value, at: Place) {
        let Some(c) = self.channels.get_mut(channel) else {
            return;
        };
        self.checked += 1;
        c.samples += 1;
        c.min = c.min.min(v.value);
        c.max = c.max.max(v.value);
        // The summary shows the tightest limit of the drive.
        c.lower = tightest(c.lower, v.lower, f64::max);
        c.upper = tightest(c.upper, v.upper, f64::min);
        let low = v.lower.filter(|&l| !(v.value >= l));
        let high = v.upper.filter(|&u| !(v.value <= u));
        let Some(limit) = low.or(high) else {
            // A channel whose limits are both open still may not be not-a-number.
            c.beyond = v.value.is_nan();
            return;
        };
        c.violations += 1;
        self.violations += 1;
        let first = !std::mem::replace(&mut c.beyond, true);
        if first && self.findings.len() < MAX_FINDINGS {
            let side = if low.is_some() { "below" } else { "above" };
            let reason = format!(
                "{} is {} {}, {side} its limit {}, at ({:.1}, {:.1}) m, {:.1} m along the way to waypoint {}",
                c.name,
                rounded(v.value),
                c.unit,
                rounded(limit),
                at.x_m,
                at.y_m,
                at.distance_m,
                at.waypoint
            );
            let finding = finding(&c.name, v.value, limit, at, reason);
            self.findings.push(finding);
        }
    }

    /// Adds a finding that is not the excess of a sample.
    pub fn add(&mut self, channel: &str, value: f64, limit: f64, at: Place, reason: String) {
        self.violations += 1;
        if self.findings.len() < MAX_FINDINGS {
            self.findings
                .push(finding(channel, value, limit, at, reason));
        }
    }

    /// Values compared so far.
    #[must_use]
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// Values and other things found wrong so far.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.violations
    }

    /// Names in order, for the head of a table.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.channels.iter().map(|c| c.name.as_str())
    }

    /// Least and greatest value of a channel, when it has any.
    #[must_use]
    pub fn range(&self, name: &str) -> Option<(f64, f64)> {
        let c = self.channels.get(*self.index.get(name)?)?;
        (c.samples > 0).then_some((c.min, c.max))
    }

    /// The summary of every channel and the findings.
    #[must_use]
    pub fn finish(self) -> (Vec<ChannelSummary>, Vec<Finding>) {
        let summary = |c: Channel| ChannelSummary {
            name: c.name,
            unit: c.unit.into(),
            samples: c.samples,
            // An empty channel has no range; a report holds only finite numbers.
            min: finite(c.min),
            max: finite(c.max),
            lower_limit: c.lower,
            upper_limit: c.upper,
            violations: c.violations,
        };
        (
            self.channels.into_iter().map(summary).collect(),
            self.findings,
        )
    }
}

fn tightest(old: Option<f64>, new: Option<f64>, pick: fn(f64, f64) -> f64) -> Option<f64> {
    match (old, new) {
        (Some(a), Some(b)) => Some(pick(a, b)),
        (a, b) => a.or(b),
    }
}

fn finding(channel: &str, value: f64, limit: f64, at: Place, reason: String) -> Finding {
    Finding {
        channel: channel.into(),
        value: finite(value),
        limit: finite(limit),
        x_m: finite(at.x_m),
        y_m: finite(at.y_m),
        distance_m: at.distance_m,
        time_s: at.time_s,
        waypoint: at.waypoint,
        reason,
    }
}

/// Reports are signed as JSON, which has no not-a-number; the reason keeps the word.
fn finite(v: f64) -> f64 {
    if v.is_finite() { v } else { 0.0 }
}

fn rounded(v: f64) -> String {
    let text = format!("{v:.3}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn up_to(value: f64, upper: f64) -> Value {
        Value {
            value,
            lower: None,
            upper: Some(upper),
        }
    }

    #[test]
    fn an_excess_is_found_once() {
        let mut l = Ledger::default();
        let c = l.declare("tilt_deg", "deg");
        for v in [1.0, 30.0, 31.0, 2.0, f64::NAN, 3.0] {
            l.check(
                c,
                up_to(v, 25.0),
                Place {
                    x_m: 4.0,
                    ..Place::default()
                },
            );
        }
        assert_eq!((l.checked(), l.violations()), (6, 3));
        let (channels, findings) = l.finish();
        assert_eq!(findings.len(), 2);
        assert!(findings[0].reason.contains("30 deg") && findings[1].reason.contains("NaN"));
        assert!(findings.iter().all(|f| f.value.is_finite()));
        assert_eq!(channels[0].violations, 3);
    }

    proptest! {
        #[test]
        fn exactly_the_values_beyond_are_counted(values in proptest::collection::vec(-10.0f64..10.0, 1..200), lo in -5.0f64..0.0, hi in 0.0f64..5.0) {
            let mut l = Ledger::default();
            let c = l.declare("x", "m");
            for &value in &values {
                l.check(c, Value { value, lower: Some(lo), upper: Some(hi) }, Place::default());
            }
            let beyond = values.iter().filter(|v| **v < lo || **v > hi).count() as u64;
            prop_assert_eq!(l.violations(), beyond);
            prop_assert_eq!(l.checked(), values.len() as u64);
        }
    }
}
