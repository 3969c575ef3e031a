//! Parts of the protocol that an evaluation leaves out to see what they are worth.

use crate::cli_error::CliError;
use sojourn_planner::{Briefing, ModelConfig};

/// Every part, in the order in which they are told.
pub(super) const PARTS: [&str; 9] = [
    "crops",
    "attention",
    "tools",
    "critic",
    "surface",
    "knowledge",
    "routes",
    "second_pass",
    "calibration",
];

/// One way to ask: the protocol without a part.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    /// What is left out for the comparison; empty for what everything is compared with.
    pub part: String,
    /// How models are talked to.
    pub config: ModelConfig,
    /// What they are told beside the map.
    pub briefing: Briefing,
}

impl Variant {
    /// What the parts are compared with: the protocol without those that the user does not want at all.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a name that is no part.
    pub fn whole(
        config: ModelConfig,
        briefing: Briefing,
        without: &[String],
    ) -> Result<Self, CliError> {
        let mut out = Self {
            part: String::new(),
            config,
            briefing,
        };
        for part in without {
            out.leave_out("--without", part)?;
        }
        Ok(out)
    }

    fn leave_out(&mut self, option: &str, part: &str) -> Result<(), CliError> {
        let p = &mut self.config.protocol;
        match part {
            "crops" => p.crops = 0,
            "attention" => p.attention = false,
            "surface" => p.surface_views = 0,
            "tools" => p.tools = false,
            "critic" => p.critic = false,
            "second_pass" => p.second_pass = false,
            "calibration" => p.calibrate = false,
            "routes" => p.offer_routes = false,
            "knowledge" => self.briefing.knowledge.clear(),
            other => {
                return Err(CliError::Usage(format!(
                    "{option}: \"{other}\" is no part, expected one of {}",
                    PARTS.join(", ")
                )));
            }
        }
        Ok(())
    }
}

/// Other budgets and scales to ask with.
#[derive(Clone, Debug, Default)]
pub(super) struct Others {
    /// Close views, at most.
    pub crops: Vec<usize>,
    /// Sides of close views, metres.
    pub crop_spans_m: Vec<f64>,
}

/// The whole, then the same without each of the parts, then with each of the other budgets and scales.
///
/// # Errors
/// [`CliError::Usage`] for a name that is no part or is given twice, for a part that the whole does not have, and for a
/// budget or scale out of bounds.
pub(super) fn variants(
    whole: Variant,
    ablate: &[String],
    others: &Others,
) -> Result<Vec<Variant>, CliError> {
    let all = ablate.iter().any(|a| a == "all");
    let parts: Vec<&str> = match all {
        true => PARTS.to_vec(),
        false => ablate.iter().map(String::as_str).collect(),
    };
    let mut out = vec![whole.clone()];
    for part in parts {
        let mut one = whole.clone();
        one.leave_out("--ablate", part)?;
        one.part = part.into();
        let nothing = one.config == whole.config && one.briefing == whole.briefing;
        if nothing && all {
            continue;
        }
        if nothing || out.iter().any(|v| v.part == part) {
            return Err(CliError::Usage(format!(
                "--ablate: {part} is left out already"
            )));
        }
        out.push(one);
    }
    let mut other = |option: &str, value: String, change: &dyn Fn(&mut ModelConfig)| {
        let mut one = whole.clone();
        change(&mut one.config);
        one.part = format!("{option}={value}");
        if let Err(e) = one.config.check("the protocol") {
            return Err(CliError::Usage(format!("--{option}: {e}")));
        }
        // What the whole is asked with already needs no second conversation.
        if one.config != whole.config && out.iter().all(|v| v.part != one.part) {
            out.push(one);
        }
        Ok(())
    };
    for n in &others.crops {
        other("crops", n.to_string(), &|c| c.protocol.crops = *n)?;
    }
    for m in &others.crop_spans_m {
        other("crop-span", m.to_string(), &|c| c.protocol.crop_span_m = *m)?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_planner::model::Knowledge;

    fn whole(without: &[&str]) -> Result<Variant, CliError> {
        let briefing = Briefing {
            knowledge: vec![Knowledge {
                name: "a.md".into(),
                text: "drive with care".into(),
            }],
            ..Briefing::default()
        };
        let without: Vec<String> = without.iter().map(ToString::to_string).collect();
        Variant::whole(ModelConfig::shipped().unwrap(), briefing, &without)
    }

    fn ablated(without: &[&str], ablate: &[&str]) -> Result<Vec<Variant>, CliError> {
        let ablate: Vec<String> = ablate.iter().map(ToString::to_string).collect();
        variants(whole(without)?, &ablate, &Others::default())
    }

    #[test]
    fn every_part_changes_what_is_asked_and_no_two_the_same() {
        let all = ablated(&[], &["all"]).unwrap();
        assert_eq!(all.len(), 1 + PARTS.len());
        for (i, a) in all.iter().enumerate() {
            for b in &all[..i] {
                assert!(
                    a.config != b.config || a.briefing != b.briefing,
                    "{} {}",
                    a.part,
                    b.part
                );
            }
        }
        // What is not there cannot be left out once more.
        let fewer = ablated(&["critic", "knowledge"], &["all"]).unwrap();
        assert_eq!(fewer.len(), PARTS.len() - 1);
        assert!(fewer.iter().all(|v| !v.config.protocol.critic));
    }

    #[test]
    fn wrong_parts_are_named() {
        for (without, ablate, words) in [
            (&["eyes"][..], &[][..], "--without: \"eyes\" is no part"),
            (&[], &["ears"], "--ablate: \"ears\" is no part"),
            (&[], &["tools", "tools"], "tools is left out already"),
            (&["tools"], &["tools"], "tools is left out already"),
        ] {
            let said = ablated(without, ablate).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
        }
    }
}
