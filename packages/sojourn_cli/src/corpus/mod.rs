//! Plans that are known to be bad or good, and what the verification says of them.
//!
//! A corpus must not grade itself: besides the built-in one (made from a seed), a folder of somebody else's plans with
//! an `expected.json` is judged in the same way. The soil and the relief of a later drive are not in it: the verifier
//! draws its own.

pub mod bad;
pub mod folder;
pub mod good;

use crate::{ground, launch::places::Places};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sojourn_core::{plan::Plan, rover::Rover, site::Site};
use sojourn_twin::{
    TwinError,
    verify::{Samples, Setup, VerifyOptions, verify},
};
use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc};

/// What a plan deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// To pass, with or without warnings.
    Pass,
    /// To be rejected.
    Reject,
}

/// One plan of a corpus.
pub struct Case {
    /// Name, unique in the corpus.
    pub name: String,
    /// What kind of good or bad.
    pub family: String,
    /// The plan's document as it would lie on a disk; it need not be valid.
    pub document: String,
    /// The ground it is verified on.
    pub site: Arc<Site>,
    /// The rover.
    pub rover: Arc<Rover>,
    /// What it deserves.
    pub expect: Expect,
    /// Kinds of reason of which at least one has to be given; empty for any.
    pub reasons: Vec<String>,
}

/// The built-in corpus: good plans, and `variants` bad ones of every family, from a seed.
///
/// The rover is Perseverance. The ground is Mars, nobody knows its soil, and a rover with small wheels is rightly refused on
/// most of it.
///
/// # Errors
/// One sentence, when the configuration cannot be read or the ground gives too few good plans.
pub fn built_in(
    places: &Places,
    seed: u64,
    good: usize,
    variants: usize,
) -> anyhow::Result<Vec<Case>> {
    let body = ground::body(places, "mars")?;
    let rovers = [Arc::new(ground::rover(places, "perseverance")?.0)];
    let (constraints, _) = ground::mission(places, None)?;
    let stuff = good::Stuff {
        body: &body,
        rovers: &rovers,
        constraints: &constraints,
        seed,
    };
    let plans = good::plans(&stuff, good)?;
    let mut cases = bad::cases(&stuff, &plans, variants)?;
    cases.extend(good::cases(&plans)?);
    Ok(cases)
}

/// What the verification said.
#[derive(Clone, Debug, Serialize)]
pub struct Judgement {
    /// Name of the plan.
    pub name: String,
    /// Its family.
    pub family: String,
    /// What was expected.
    pub expect: Expect,
    /// Kinds of reason that were expected.
    pub expected_reasons: Vec<String>,
    /// Whether it was rejected (refused documents count).
    pub rejected: bool,
    /// Kinds of reason that were given.
    pub reasons: BTreeSet<String>,
    /// The verifier's sentence.
    pub sentence: String,
}

impl Judgement {
    /// Whether a bad plan was rejected for a reason that was expected, or a good one passed.
    #[must_use]
    pub fn right(&self) -> bool {
        match self.expect {
            Expect::Pass => !self.rejected,
            Expect::Reject => {
                self.rejected
                    && (self.expected_reasons.is_empty()
                        || self
                            .expected_reasons
                            .iter()
                            .any(|r| self.reasons.contains(r)))
            }
        }
    }
}

/// The figures of one family.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Family {
    /// Plans.
    pub plans: usize,
    /// Of them rejected.
    pub rejected: usize,
    /// Of them judged as expected.
    pub right: usize,
}

/// The figures of a corpus.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Score {
    /// Bad plans.
    pub bad: usize,
    /// Bad plans that were rejected with the right reason.
    pub bad_rejected: usize,
    /// Bad plans that were rejected for whatever reason.
    pub bad_rejected_for_any_reason: usize,
    /// Good plans.
    pub good: usize,
    /// Good plans that were rejected.
    pub good_rejected: usize,
    /// By family.
    pub families: BTreeMap<String, Family>,
    /// Judgements that were not as expected.
    pub wrong: Vec<Judgement>,
}

impl Score {
    /// Adds everything up.
    #[must_use]
    pub fn of(judgements: Vec<Judgement>) -> Self {
        let mut score = Self::default();
        for j in judgements {
            let family = score.families.entry(j.family.clone()).or_default();
            family.plans += 1;
            family.rejected += usize::from(j.rejected);
            family.right += usize::from(j.right());
            match j.expect {
                Expect::Pass => {
                    score.good += 1;
                    score.good_rejected += usize::from(j.rejected);
                }
                Expect::Reject => {
                    score.bad += 1;
                    score.bad_rejected += usize::from(j.right());
                    score.bad_rejected_for_any_reason += usize::from(j.rejected);
                }
            }
            if !j.right() {
                score.wrong.push(j);
            }
        }
        score
    }

    /// Every bad plan rejected with the right reason, and at most 2 % of the good ones rejected.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.bad_rejected == self.bad && 50 * self.good_rejected <= self.good
    }
}

/// Verifies one plan as `sojourn verify` does; the samples are left out only where the nominal run rejects already.
#[must_use]
pub fn judge(case: &Case, setup: &Setup) -> Judgement {
    let options = VerifyOptions {
        samples: Samples::WhenNominalPasses,
        ..VerifyOptions::standard()
    };
    let (rejected, reasons, sentence) = match Plan::parse(&case.name, &case.document) {
        Err(e) => (true, one("document"), e.to_string()),
        Ok(plan) => match verify(&plan, &case.site, &case.rover, setup, options) {
            Err(e @ TwinError::Mismatch { .. }) => (true, one("digest"), e.to_string()),
            Err(e) => (true, one("document"), e.to_string()),
            Ok(report) => {
                let mut reasons: BTreeSet<String> =
                    report.findings.iter().map(|f| f.category.clone()).collect();
                reasons.extend(report.first_failure.map(|f| f.category));
                (!report.passed, reasons, report.reason)
            }
        },
    };
    Judgement {
        name: case.name.clone(),
        family: case.family.clone(),
        expect: case.expect,
        expected_reasons: case.reasons.clone(),
        rejected,
        reasons,
        sentence,
    }
}

/// Kinds of reason that a rejection can have: the categories of the flight rules, `digest` and `document`.
#[must_use]
pub fn kinds(setup: &Setup) -> BTreeSet<String> {
    let rules = setup.dictionary.rules.iter();
    let mut kinds: BTreeSet<String> = rules.map(|r| r.category.clone()).collect();
    kinds.extend(["digest".to_string(), "document".to_string()]);
    kinds
}

/// Expected reasons that no rejection can have, each with the plans that name it: they always count as not given.
#[must_use]
pub fn unknown_reasons(cases: &[Case], setup: &Setup) -> BTreeMap<String, Vec<String>> {
    let known = kinds(setup);
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in cases {
        for reason in case.reasons.iter().filter(|r| !known.contains(*r)) {
            out.entry(reason.clone())
                .or_default()
                .push(case.name.clone());
        }
    }
    out
}

fn one(reason: &str) -> BTreeSet<String> {
    BTreeSet::from([reason.to_string()])
}

/// Judges all plans; `done` is called once for each.
#[must_use]
pub fn judge_all(cases: &[Case], setup: &Setup, done: &(dyn Fn() + Sync)) -> Vec<Judgement> {
    cases
        .par_iter()
        .map(|c| {
            let judgement = judge(c, setup);
            done();
            judgement
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judgement(expect: Expect, rejected: bool, expected: &[&str], given: &[&str]) -> Judgement {
        Judgement {
            name: String::new(),
            family: "f".into(),
            expect,
            expected_reasons: expected.iter().map(|s| (*s).to_string()).collect(),
            rejected,
            reasons: given.iter().map(|s| (*s).to_string()).collect(),
            sentence: String::new(),
        }
    }

    #[test]
    fn a_rejection_for_another_reason_does_not_count() {
        let score = Score::of(vec![
            judgement(Expect::Reject, true, &["slip"], &["slip", "soil"]),
            judgement(Expect::Reject, true, &["slip"], &["time"]),
            judgement(Expect::Reject, false, &["slip"], &[]),
            judgement(Expect::Pass, true, &[], &["slip"]),
            judgement(Expect::Pass, false, &[], &[]),
        ]);
        assert_eq!((score.bad, score.bad_rejected), (3, 1));
        assert_eq!(score.bad_rejected_for_any_reason, 2);
        assert_eq!((score.good, score.good_rejected), (2, 1));
        assert!(!score.holds() && score.wrong.len() == 3);
        assert!(Score::default().holds());
    }

    #[test]
    fn a_reason_that_no_rejection_has_is_told() {
        let places = Places::find();
        let setup = Setup::load(&places.shared("config").unwrap()).unwrap();
        let mut cases = built_in(&places, 2, 1, 1).unwrap();
        cases.truncate(2);
        cases[0].reasons = vec!["slip".into(), "boulder".into()];
        cases[1].reasons = vec!["boulder".into()];
        let unknown = unknown_reasons(&cases, &setup);
        assert_eq!(unknown.keys().collect::<Vec<_>>(), ["boulder"]);
        assert_eq!(
            unknown["boulder"],
            [cases[0].name.clone(), cases[1].name.clone()]
        );
    }

    /// One bad plan of every family and some good ones, written as a folder and read back as somebody else's.
    #[test]
    fn a_small_corpus_is_judged_right_from_a_folder() {
        let places = Places::find();
        let cases = built_in(&places, 2, 3, 1).unwrap();
        let dir = tempfile::tempdir().unwrap();
        folder::write(dir.path(), &cases).unwrap();
        assert!(
            folder::write(dir.path(), &cases).is_err(),
            "holds one already"
        );
        let read = folder::read(dir.path(), &places).unwrap();
        assert_eq!(read.len(), cases.len());
        let mut setup = Setup::load(&places.shared("config").unwrap()).unwrap();
        assert!(unknown_reasons(&cases, &setup).is_empty());
        setup.settings.monte_carlo.samples = 10;
        let score = Score::of(judge_all(&read, &setup, &|| {}));
        assert!(score.bad >= 35 && score.good == 3, "{score:?}");
        assert!(score.holds(), "{:?}", score.wrong);
    }

    #[test]
    fn a_list_that_is_wrong_is_refused() {
        let places = Places::find();
        let dir = tempfile::tempdir().unwrap();
        let said = |text: &str| {
            std::fs::write(dir.path().join(folder::EXPECTED), text).unwrap();
            folder::read(dir.path(), &places)
                .map(|_| ())
                .unwrap_err()
                .to_string()
        };
        assert!(folder::read(&dir.path().join("none"), &places).is_err());
        assert!(said("{").contains("expected.json"));
        assert!(said(r#"{"plans": []}"#).contains("no plans"));
        let entry = |plan: &str, expect: &str| {
            format!(
                r#"{{"plans": [{{"plan": "{plan}", "site": "s", "rover": "perseverance", "expect": "{expect}"}}]}}"#
            )
        };
        assert!(said(&entry("../../etc/passwd", "pass")).contains("inside the folder"));
        assert!(said(&entry("a.json", "perhaps")).contains("perhaps"));
        assert!(said(&entry("a.json", "pass")).contains("plans[0]"));
    }
}
