//! The channel dictionary: what is measured, in which unit, how often, within which limits and for which flight rule.
//!
//! It is data (`config/telemetry/*.yaml`). The code knows how to work out quantities; the dictionary says which of them
//! are telemetry and what is allowed. A channel without a quantity, an unknown key, a limit that cannot be read or that
//! contradicts another is refused.

use super::{
    expression::{Expression, Scope},
    quantities::{Catalogue, WHEELS},
};
use serde::Deserialize;
use sojourn_core::{CoreError, params, rover::Rover, suspension::SuspensionKind};
use std::{collections::BTreeMap, path::Path};

/// Most channels of a dictionary.
pub const MAX_CHANNELS: usize = 10_000;

/// When a channel is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// In every sample.
    Any,
    /// While the rover drives forward.
    Drive,
    /// While it turns in place.
    Turn,
    /// While it moves in either way.
    Moving,
    /// Once at the beginning of every segment.
    Segment,
    /// Once at the beginning of the drive.
    Start,
}

impl Phase {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Drive => "drive",
            Self::Turn => "turn",
            Self::Moving => "moving",
            Self::Segment => "segment",
            Self::Start => "start",
        }
    }
}

/// Bounds as they stand in a file: `abs` is short for a `min` and a `max` of the same size.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BoundsText {
    min: Option<Bound>,
    max: Option<Bound>,
    abs: Option<Bound>,
}

/// A number or an expression.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Bound {
    Number(f64),
    Text(String),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelText {
    name: String,
    unit: String,
    description: String,
    rate_hz: f64,
    phase: Phase,
    rule: String,
    hard: Option<BoundsText>,
    soft: Option<BoundsText>,
    /// Why no input can break the limit. Such a channel is listed, not counted.
    untrippable: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    id: String,
    category: String,
    text: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    #[serde(default)]
    rules: Vec<RuleText>,
    #[serde(default)]
    channels: Vec<ChannelText>,
}

/// A flight rule that channels serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Short name.
    pub id: String,
    /// Kind of reason that a rejection by it counts as.
    pub category: String,
    /// One sentence.
    pub text: String,
}

/// Lower and upper bound; either may be open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bounds {
    /// Least value allowed.
    pub min: Option<Expression>,
    /// Greatest value allowed.
    pub max: Option<Expression>,
}

/// One channel.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelDef {
    /// Name, for example `wheel.lf.slip`.
    pub name: String,
    /// Unit.
    pub unit: String,
    /// What it is, one sentence.
    pub description: String,
    /// How often it is looked at, per second of driving (not more often than there are samples).
    pub rate_hz: f64,
    /// When it is looked at.
    pub phase: Phase,
    /// Index of its flight rule.
    pub rule: usize,
    /// A value beyond is a violation.
    pub hard: Bounds,
    /// A value beyond is a warning.
    pub soft: Bounds,
    /// Why no input can break the limit, when so.
    pub untrippable: Option<String>,
    /// Where its value stands among the quantities.
    pub quantity: usize,
}

/// All channels and rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Dictionary {
    /// Channels, in the order of the files' names and of the files.
    pub channels: Vec<ChannelDef>,
    /// Flight rules.
    pub rules: Vec<Rule>,
}

impl Dictionary {
    /// Reads every `*.yaml` of a folder.
    ///
    /// # Errors
    /// [`CoreError`] that names file, channel and key.
    pub fn load(dir: &Path) -> Result<Self, CoreError> {
        let entries = std::fs::read_dir(dir).map_err(|e| CoreError::io(dir, "reading", e))?;
        let mut files: Vec<_> = entries
            .filter_map(|e| e.ok().map(|e| e.path()))
            .filter(|p| p.extension().is_some_and(|e| e == "yaml"))
            .collect();
        files.sort();
        if files.is_empty() {
            return Err(CoreError::format(
                dir.display().to_string(),
                "holds no *.yaml, expected the channel dictionary",
            ));
        }
        let mut texts = Vec::new();
        for file in files {
            let text = sojourn_core::files::read_text(&file, params::MAX_CONFIG_BYTES)?;
            texts.push((file.display().to_string(), text));
        }
        Self::parse(&texts)
    }

    /// Reads the dictionary from (name, text) pairs.
    ///
    /// # Errors
    /// As [`Dictionary::load`].
    pub fn parse(texts: &[(String, String)]) -> Result<Self, CoreError> {
        let catalogue = Catalogue::all();
        let mut files = Vec::new();
        let mut rules: Vec<Rule> = Vec::new();
        for (what, text) in texts {
            let file: FileText = params::parse_yaml(what, text)?;
            for r in &file.rules {
                if rules.iter().any(|known| known.id == r.id) {
                    return Err(twice(what, "rules", &r.id));
                }
                rules.push(Rule {
                    id: r.id.clone(),
                    category: r.category.clone(),
                    text: r.text.clone(),
                });
            }
            files.push((what, file));
        }
        let mut channels = Vec::new();
        let mut seen = BTreeMap::new();
        for (what, file) in files {
            for text in &file.channels {
                for (name, part) in expanded(&text.name) {
                    let c = channel(what, text, name, part, &rules, &catalogue)?;
                    if seen.insert(c.name.clone(), ()).is_some() {
                        return Err(twice(what, "channels", &c.name));
                    }
                    channels.push(c);
                }
            }
        }
        if channels.is_empty() || channels.len() > MAX_CHANNELS {
            return Err(CoreError::value(
                "channel dictionary",
                "channels",
                channels.len(),
                format!("1 to {MAX_CHANNELS} channels"),
            ));
        }
        Ok(Self { channels, rules })
    }

    /// The channels that a rover has: none of wheels and joints that are not there.
    #[must_use]
    pub fn of_rover(&self, rover: &Rover) -> Self {
        let mut missing: Vec<String> = WHEELS
            .iter()
            .zip(rover.has_wheel())
            .filter(|(_, there)| !there)
            .map(|(wheel, _)| format!("wheel.{wheel}."))
            .collect();
        let kind = rover.suspension.kind;
        if kind != SuspensionKind::RockerBogie {
            missing.extend(["joint.bogie".into(), "load.middle".into()]);
        }
        if kind == SuspensionKind::Fixed {
            missing.push("joint.".into());
        }
        let there = |c: &&ChannelDef| !missing.iter().any(|m| c.name.starts_with(m.as_str()));
        Self {
            channels: self.channels.iter().filter(there).cloned().collect(),
            rules: self.rules.clone(),
        }
    }

    /// The rule of a channel.
    #[must_use]
    pub fn rule_of(&self, channel: usize) -> Option<&Rule> {
        self.channels
            .get(channel)
            .and_then(|c| self.rules.get(c.rule))
    }
}

fn twice(what: &str, list: &str, name: &str) -> CoreError {
    CoreError::value(what, list, format!("\"{name}\" twice"), "each name once")
}

/// A name with a list in braces stands for one channel per word: `wheel.{lf,rf}.load_n`. Gives name and word.
fn expanded(name: &str) -> Vec<(String, String)> {
    let Some((head, rest)) = name.split_once('{') else {
        return vec![(name.to_string(), String::new())];
    };
    let Some((list, tail)) = rest.split_once('}') else {
        return vec![(name.to_string(), String::new())];
    };
    list.split(',')
        .map(|word| {
            let word = word.trim();
            (format!("{head}{word}{tail}"), word.to_string())
        })
        .collect()
}

fn channel(
    what: &str,
    text: &ChannelText,
    name: String,
    part: String,
    rules: &[Rule],
    catalogue: &Catalogue,
) -> Result<ChannelDef, CoreError> {
    let key = |k: &str| format!("{name}.{k}");
    let Some(quantity) = catalogue.index_of(&name) else {
        return Err(CoreError::value(
            what,
            "channels",
            &name,
            "the name of a quantity that the twin works out",
        ));
    };
    let Some(rule) = rules.iter().position(|r| r.id == text.rule) else {
        return Err(CoreError::value(
            what,
            key("rule"),
            &text.rule,
            "the id of a rule of the dictionary",
        ));
    };
    for (field, value) in [("unit", &text.unit), ("description", &text.description)] {
        if value.trim().is_empty() {
            return Err(CoreError::value(what, key(field), "empty", "some words"));
        }
    }
    sojourn_core::error::in_range(what, &key("rate_hz"), text.rate_hz, 1e-4, 1e3)?;
    let hard = bounds(what, &key("hard"), text.hard.as_ref())?;
    let soft = bounds(what, &key("soft"), text.soft.as_ref())?;
    let limited = [&hard.min, &hard.max, &soft.min, &soft.max]
        .iter()
        .any(|b| b.is_some());
    if !limited {
        return Err(CoreError::value(
            what,
            key("hard"),
            "no limit at all",
            "a min, max or abs under hard or soft",
        ));
    }
    Ok(ChannelDef {
        unit: text.unit.clone(),
        description: text.description.replace("{}", &part),
        rate_hz: text.rate_hz,
        phase: text.phase,
        rule,
        hard,
        soft,
        untrippable: text.untrippable.clone(),
        quantity,
        name,
    })
}

fn bounds(what: &str, key: &str, text: Option<&BoundsText>) -> Result<Bounds, CoreError> {
    let Some(text) = text else {
        return Ok(Bounds::default());
    };
    let compiled = |name: &str, bound: &Option<Bound>| -> Result<Option<Expression>, CoreError> {
        match bound {
            None => Ok(None),
            Some(Bound::Number(v)) => Ok(Some(Expression::number(*v))),
            Some(Bound::Text(t)) => Expression::compile(t, LIMIT_SCOPE)
                .map(Some)
                .map_err(|e| CoreError::format(what, format!("{key}.{name}: {e}"))),
        }
    };
    if text.abs.is_some() && (text.min.is_some() || text.max.is_some()) {
        return Err(CoreError::value(
            what,
            key,
            "abs together with min or max",
            "either abs, or min and max",
        ));
    }
    if let Some(abs) = &text.abs {
        let max = compiled("abs", &text.abs)?;
        let negative = match abs {
            Bound::Number(v) => Bound::Number(-v),
            Bound::Text(t) => Bound::Text(format!("-({t})")),
        };
        return Ok(Bounds {
            min: compiled("abs", &Some(negative))?,
            max,
        });
    }
    Ok(Bounds {
        min: compiled("min", &text.min)?,
        max: compiled("max", &text.max)?,
    })
}

/// Names that limits may use. `limit.*` are the waypoint's limits, never looser than the rover's; `plate.*` the ratings
/// of motors, battery and heat; `wheel_dps` the wheels' greatest turning speed in degrees per second.
pub const LIMIT_SCOPE: Scope = Scope {
    names: &[
        "rover.limits.tilt_deg",
        "rover.limits.differential_deg",
        "rover.limits.bogie_deg",
        "rover.limits.clearance_m",
        "rover.limits.wheel_drop_m",
        "rover.limits.slip",
        "rover.limits.wheel_speed_mps",
        "rover.mass_kg",
        "rover.wheel.radius_m",
        "rover.wheel.width_m",
        "rover.drive.cruise_mps",
        "rover.drive.turn_rate_dps",
        "rover.belly.height_m",
        "rover.footprint_m",
        "rover.weight_n",
        "limit.tilt_deg",
        "limit.slip",
        "limit.speed_mps",
        "waypoint.timeout_s",
        "waypoint.tolerance_m",
        "plan.distance_m",
        "plan.allowed_s",
        "plan.waypoints",
        "plate.static_load_n",
        "plate.torque_nm",
        "plate.current_a",
        "plate.power_w",
        "plate.bus_v",
        "plate.battery_wh",
        "plate.charge_min",
        "plate.source_w",
        "plate.housekeeping_w",
        "plate.motor_min_c",
        "plate.motor_max_c",
        "mission.segment_max_m",
        "mission.sol_s",
        "mission.drive_s",
        "mission.retreat_charge",
        "wheel_dps",
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "rules:\n  - {id: R, category: tilt, text: upright}\n";
    const GOOD: &str = "channels:\n  - name: attitude.tilt_deg\n    unit: deg\n    description: tilt\n    rate_hz: 1\n    phase: any\n    rule: R\n    hard: {max: limit.tilt_deg}\n";

    fn parse(text: &str) -> Result<Dictionary, String> {
        Dictionary::parse(&[("t.yaml".into(), format!("{RULES}{text}"))]).map_err(|e| e.to_string())
    }

    #[test]
    fn a_small_dictionary_is_read() {
        let d = parse(GOOD).unwrap();
        assert_eq!(d.channels.len(), 1);
        let wheels = GOOD.replace("attitude.tilt_deg", "\"wheel.{lf, rr}.load_n\"");
        let d = parse(&wheels).unwrap();
        assert_eq!(d.channels[1].name, "wheel.rr.load_n");
        assert_eq!(d.rule_of(0).unwrap().category, "tilt");
    }

    #[test]
    fn a_wrong_dictionary_is_refused_with_the_key() {
        let twice = format!("{GOOD}{}", GOOD.replace("channels:\n", ""));
        for (text, words) in [
            (
                GOOD.replace("tilt_deg\n", "colour\n"),
                vec!["attitude.colour"],
            ),
            (GOOD.replace("rate_hz: 1", "rate_hz: .nan"), vec!["rate_hz"]),
            (GOOD.replace("rate_hz: 1", "rate_hz: -1"), vec!["rate_hz"]),
            (GOOD.replace("phase: any", "phase: ever"), vec!["ever"]),
            (GOOD.replace("rule: R", "rule: Q"), vec!["rule", "Q"]),
            (GOOD.replace("unit: deg", "unit: ''"), vec!["unit"]),
            (
                GOOD.replace("unit: deg", "unit: deg\n    colour: red"),
                vec!["colour"],
            ),
            (
                GOOD.replace("max: limit.tilt_deg", "max: limit.slope"),
                vec!["limit.slope"],
            ),
            (
                GOOD.replace("max: limit", "abs: 3, max: limit"),
                vec!["abs"],
            ),
            (
                GOOD.replace("    hard: {max: limit.tilt_deg}\n", ""),
                vec!["no limit"],
            ),
            (twice, vec!["twice"]),
            (String::new(), vec!["channels"]),
        ] {
            let said = parse(&text).unwrap_err();
            for word in words {
                assert!(said.contains(word), "{text}\n{said}");
            }
        }
    }
}
