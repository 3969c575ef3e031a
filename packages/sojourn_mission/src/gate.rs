//! The gate: a person signs what the twin has passed, and nothing else drives.
//!
//! What is signed is the canonical JSON (RFC 8785) of an [`Approval`]: the digests of plan and report and of everything
//! they were made from. The signature is Ed25519 and is checked strictly (no weak keys, one form per signature).

use crate::MissionError;
use crate::keys::{self, KeyFile, Purpose, TrustedKeys, from_hex, short, to_hex};
use ed25519_dalek::{Signature, Signer};
use serde::{Deserialize, Serialize};
use sojourn_core::CoreError;
use sojourn_core::plan::{Plan, canonical};
use sojourn_core::report::{Report, Verdict};

/// Version of the approval's form.
pub const APPROVAL_SCHEMA_VERSION: u32 = 1;
/// What the person says by signing.
pub const STATEMENT: &str = "I have reviewed this plan and the digital twin's report on it, and I approve that the \
     rover drives it.";
/// Longest name of a signer and longest time text, bytes.
pub const MAX_NAME_BYTES: usize = 200;

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// [`APPROVAL_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// SHA-256 of the canonical plan, hexadecimal.
    pub plan_digest: String,
    /// SHA-256 of the canonical report, hexadecimal.
    pub report_digest: String,
    /// Digest of the site that plan and report stand on.
    pub site_digest: String,
    /// Digest of the rover's description.
    pub rover_digest: String,
    /// Digest of the mission's constraints.
    pub constraints_digest: String,
    /// Who signs.
    pub signer: String,
    /// What the key may be used for.
    pub purpose: Purpose,
    /// When, UTC, ISO 8601.
    pub approved_utc: String,
    /// [`STATEMENT`].
    pub statement: String,
}

/// An approval with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedApproval {
    /// What is signed.
    pub approval: Approval,
    /// The signer's public key, 64 hexadecimal digits.
    pub public_key: String,
    /// Ed25519 signature over the canonical approval, 128 hexadecimal digits.
    pub signature: String,
}

impl Approval {
    /// The text that a person is asked to sign for this plan and this report.
    ///
    /// # Errors
    /// [`MissionError::Gate`] when the twin rejected the plan or the two do not belong together; [`MissionError::Core`]
    /// when a document is not in order.
    pub fn prepare(
        plan: &Plan,
        report: &Report,
        signer: &str,
        purpose: Purpose,
        utc: &str,
    ) -> Result<Self, MissionError> {
        plan.check("plan")?;
        check_report(report)?;
        for (name, text) in [("signer", signer), ("approved_utc", utc)] {
            if text.trim().is_empty()
                || text.len() > MAX_NAME_BYTES
                || text.chars().any(char::is_control)
            {
                return Err(MissionError::Gate(format!(
                    "{name} is \"{}\", expected 1 to {MAX_NAME_BYTES} printable characters",
                    short(text)
                )));
            }
        }
        let plan_digest = plan.digest()?;
        if report.plan_digest != plan_digest {
            return Err(MissionError::Gate(format!(
                "the report is about plan {}, but this plan's digest is {plan_digest}",
                short(&report.plan_digest)
            )));
        }
        for (name, of_plan, of_report) in [
            ("site", &plan.site_digest, &report.site_digest),
            ("rover", &plan.rover_digest, &report.rover_digest),
        ] {
            if of_plan != of_report {
                return Err(MissionError::Gate(format!(
                    "plan and report stand on different {name} digests ({} and {})",
                    short(of_plan),
                    short(of_report)
                )));
            }
        }
        if !report.passed {
            return Err(MissionError::Gate(format!(
                "the twin rejected the plan: {}",
                short(&report.reason)
            )));
        }
        if report.verdict == Verdict::Reject {
            return Err(MissionError::Gate(
                "the report says passed and its verdict is reject".into(),
            ));
        }
        if let Some(limit) = report.monte_carlo.as_ref().and_then(|m| {
            m.limits
                .iter()
                .find(|l| l.violations > 0 && !(l.probability < m.reject_from))
        }) {
            return Err(MissionError::Gate(format!(
                "the report says passed, but {} breaks its limit with probability {}",
                short(&limit.channel),
                limit.probability
            )));
        }
        if let Some(finding) = report.findings.first() {
            return Err(MissionError::Gate(format!(
                "the report says passed but lists a broken limit: {}",
                short(&finding.reason)
            )));
        }
        if let Some(channel) = report.channels.iter().find(|c| c.violations > 0) {
            return Err(MissionError::Gate(format!(
                "the report says passed but counts {} values of {} beyond a limit",
                channel.violations,
                short(&channel.name)
            )));
        }
        if report.values_checked == 0 {
            return Err(MissionError::Gate(
                "the report compared no telemetry value with a limit".into(),
            ));
        }
        Ok(Self {
            schema_version: APPROVAL_SCHEMA_VERSION,
            plan_digest,
            report_digest: report.digest()?,
            site_digest: plan.site_digest.clone(),
            rover_digest: plan.rover_digest.clone(),
            constraints_digest: plan.constraints_digest.clone(),
            signer: signer.to_string(),
            purpose,
            approved_utc: utc.to_string(),
            statement: STATEMENT.into(),
        })
    }

    /// The bytes that are signed.
    ///
    /// # Errors
    /// [`MissionError::Core`].
    pub fn message(&self) -> Result<Vec<u8>, MissionError> {
        Ok(canonical("approval", self)?)
    }
}

/// Signs a plan and its report with a person's key.
///
/// # Errors
/// As [`Approval::prepare`], and [`MissionError::Key`] when the key is not in order.
pub fn approve(
    plan: &Plan,
    report: &Report,
    key: &KeyFile,
    signer: &str,
    utc: &str,
) -> Result<SignedApproval, MissionError> {
    let approval = Approval::prepare(plan, report, signer, key.purpose, utc)?;
    let signing = key.signing_key("key")?;
    let signature = signing.sign(&approval.message()?);
    Ok(SignedApproval {
        approval,
        public_key: key.public_key.clone(),
        signature: to_hex(&signature.to_bytes()),
    })
}

/// Joins an approval with a signature that was made elsewhere, and checks it.
///
/// # Errors
/// [`MissionError::Gate`] when the signature does not fit.
pub fn join(
    approval: Approval,
    public_key: &[u8],
    signature: &[u8],
) -> Result<SignedApproval, MissionError> {
    let signed = SignedApproval {
        approval,
        public_key: to_hex(public_key),
        signature: to_hex(signature),
    };
    signed.check_signature()?;
    Ok(signed)
}

/// Checks a signed approval against the plan and the report: same digests, the twin passed it, the signature is right.
/// Whether the key is trusted is a question of its own: [`Trust::check`].
///
/// # Errors
/// [`MissionError`] that says what does not fit.
pub fn verify(plan: &Plan, report: &Report, signed: &SignedApproval) -> Result<(), MissionError> {
    let a = &signed.approval;
    let expected = Approval::prepare(plan, report, &a.signer, a.purpose, &a.approved_utc)?;
    for (name, found, expected) in [
        (
            "schema_version",
            &a.schema_version.to_string(),
            &expected.schema_version.to_string(),
        ),
        ("plan_digest", &a.plan_digest, &expected.plan_digest),
        ("report_digest", &a.report_digest, &expected.report_digest),
        ("site_digest", &a.site_digest, &expected.site_digest),
        ("rover_digest", &a.rover_digest, &expected.rover_digest),
        (
            "constraints_digest",
            &a.constraints_digest,
            &expected.constraints_digest,
        ),
        ("statement", &a.statement, &expected.statement),
    ] {
        if found != expected {
            return Err(MissionError::Gate(format!(
                "the approval's {name} is {}, expected {}",
                short(found),
                short(expected)
            )));
        }
    }
    signed.check_signature()
}

impl SignedApproval {
    /// The signer's key as bytes.
    ///
    /// # Errors
    /// [`MissionError::Key`].
    pub fn public_key_bytes(&self) -> Result<[u8; 32], MissionError> {
        Ok(keys::parse_public_key("approval", &self.public_key)?.to_bytes())
    }

    /// Checks the signature over the approval.
    ///
    /// # Errors
    /// [`MissionError::Gate`] when it is not this key's signature over this approval.
    pub fn check_signature(&self) -> Result<(), MissionError> {
        let key = keys::parse_public_key("approval", &self.public_key)?;
        let bytes = from_hex::<64>(&self.signature).ok_or_else(|| {
            MissionError::Gate("the signature is not a string of 128 hexadecimal digits".into())
        })?;
        key.verify_strict(&self.approval.message()?, &Signature::from_bytes(&bytes))
            .map_err(|_| {
                MissionError::Gate(format!(
                    "the signature is not that of key {} over this approval",
                    keys::key_id(key.as_bytes())
                ))
            })
    }
}

/// Whose signature a rover accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Keys that were put on the rover.
    pub keys: TrustedKeys,
    /// Whether a simulated rover takes any key made for simulation.
    pub allow_simulation_keys: bool,
}

impl Trust {
    /// Decides about the key of an approval whose signature has been checked. `hardware`: the rover is a real one.
    ///
    /// # Errors
    /// [`MissionError::Gate`] with the reason.
    pub fn check(&self, signed: &SignedApproval, hardware: bool) -> Result<(), MissionError> {
        let key = signed.public_key_bytes()?;
        let id = keys::key_id(&key);
        let trusted = self.keys.purpose_of(&key);
        if hardware {
            if signed.approval.purpose != Purpose::Flight || trusted == Some(Purpose::Simulation) {
                return Err(MissionError::Gate(format!(
                    "key {id} was made for simulation and this rover is a real one"
                )));
            }
            if trusted.is_none() {
                return Err(MissionError::Gate(format!(
                    "key {id} is not among this rover's trusted keys"
                )));
            }
            return Ok(());
        }
        if trusted.is_some()
            || (self.allow_simulation_keys && signed.approval.purpose == Purpose::Simulation)
        {
            return Ok(());
        }
        Err(MissionError::Gate(format!(
            "key {id} is not among this rover's trusted keys"
        )))
    }
}

fn check_report(report: &Report) -> Result<(), MissionError> {
    for (name, value) in [
        ("distance_m", report.distance_m),
        ("duration_s", report.duration_s),
        ("max_tilt_deg", report.max_tilt_deg),
        ("min_clearance_m", report.min_clearance_m),
        ("max_slip", report.max_slip),
    ] {
        if !value.is_finite() {
            return Err(CoreError::value("report", name, value, "a finite number").into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{plan, report, test_key};

    fn signed() -> (Plan, Report, SignedApproval) {
        let plan = plan();
        let report = report(&plan);
        let signed = approve(
            &plan,
            &report,
            &test_key(Purpose::Flight, 1),
            "A. Person",
            "2026-01-01T00:00:00Z",
        );
        (plan, report, signed.unwrap())
    }

    #[test]
    fn what_was_signed_is_accepted() {
        let (plan, report, signed) = signed();
        verify(&plan, &report, &signed).unwrap();
        let text = serde_json::to_string(&signed).unwrap();
        assert_eq!(
            serde_json::from_str::<SignedApproval>(&text).unwrap(),
            signed
        );
    }

    #[test]
    fn a_signature_made_elsewhere_is_accepted_and_a_wrong_one_is_not() {
        let (_, _, s) = signed();
        let key = s.public_key_bytes().unwrap();
        let mut signature = from_hex::<64>(&s.signature).unwrap();
        assert_eq!(join(s.approval.clone(), &key, &signature).unwrap(), s);
        signature[5] ^= 1;
        assert!(join(s.approval.clone(), &key, &signature).is_err());
        assert!(join(s.approval.clone(), &key, &signature[..63]).is_err());
        assert!(join(s.approval, &[0; 32], &signature).is_err());
    }

    #[test]
    fn nobody_can_sign_what_the_twin_rejected() {
        let plan = plan();
        let key = test_key(Purpose::Flight, 1);
        type Spoil = (&'static str, fn(&mut Report));
        let cases: [Spoil; 7] = [
            ("rejected", |r| r.passed = false),
            ("is about plan", |r| r.plan_digest = "0".repeat(64)),
            ("site digests", |r| r.site_digest = "1".repeat(64)),
            ("rover digests", |r| r.rover_digest = "1".repeat(64)),
            ("no telemetry", |r| r.values_checked = 0),
            ("beyond a limit", |r| r.channels[0].violations = 2),
            ("max_tilt_deg", |r| r.max_tilt_deg = f64::NAN),
        ];
        for (expected, spoil) in cases {
            let mut bad = report(&plan);
            spoil(&mut bad);
            let message = approve(&plan, &bad, &key, "p", "t")
                .unwrap_err()
                .to_string();
            assert!(message.contains(expected), "{expected}: {message}");
        }
        assert!(
            approve(&plan, &report(&plan), &key, " ", "t")
                .unwrap_err()
                .to_string()
                .contains("signer")
        );
    }

    #[test]
    fn a_changed_plan_or_approval_is_refused() {
        let (plan, report, s) = signed();
        let mut other = plan.clone();
        other.waypoints[0].timeout_s += 1.0;
        assert!(verify(&other, &report, &s).is_err());
        let mut renamed = s.clone();
        renamed.approval.signer = "Somebody Else".into();
        assert!(
            verify(&plan, &report, &renamed)
                .unwrap_err()
                .to_string()
                .contains("signature")
        );
        let mut promoted = s;
        promoted.approval.purpose = Purpose::Simulation;
        assert!(
            verify(&plan, &report, &promoted)
                .unwrap_err()
                .to_string()
                .contains("signature")
        );
    }

    #[test]
    fn who_is_trusted() {
        let plan = plan();
        let report = report(&plan);
        let sign = |key: &KeyFile| approve(&plan, &report, key, "p", "t").unwrap();
        let (flight, sim) = (
            test_key(Purpose::Flight, 1),
            test_key(Purpose::Simulation, 2),
        );
        let trust = |list: &[(&KeyFile, Purpose)], allow_simulation_keys| {
            let mut keys = TrustedKeys::default();
            for (key, purpose) in list {
                keys.add(
                    keys::parse_public_key("k", &key.public_key).unwrap(),
                    *purpose,
                )
                .unwrap();
            }
            Trust {
                keys,
                allow_simulation_keys,
            }
        };
        let ok = |t: &Trust, key: &KeyFile, hardware| t.check(&sign(key), hardware).is_ok();
        // A real rover takes trusted flight keys only.
        for allow in [false, true] {
            assert!(ok(
                &trust(&[(&flight, Purpose::Flight)], allow),
                &flight,
                true
            ));
            assert!(!ok(&trust(&[], allow), &flight, true));
            assert!(!ok(&trust(&[], allow), &sim, true));
            assert!(!ok(
                &trust(&[(&sim, Purpose::Simulation)], allow),
                &sim,
                true
            ));
            assert!(
                !ok(&trust(&[(&sim, Purpose::Flight)], allow), &sim, true),
                "the approval itself says simulation"
            );
        }
        // A simulated rover takes trusted keys, and simulation keys when it is told so.
        assert!(ok(
            &trust(&[(&flight, Purpose::Flight)], false),
            &flight,
            false
        ));
        assert!(ok(&trust(&[], true), &sim, false));
        assert!(!ok(&trust(&[], true), &flight, false));
        assert!(!ok(&trust(&[], false), &sim, false));
        // A simulation key that claims to be a flight key.
        let mut forged = sim.clone();
        forged.purpose = Purpose::Flight;
        assert!(!ok(&trust(&[], true), &forged, true));
        assert!(!ok(
            &trust(&[(&sim, Purpose::Simulation)], true),
            &forged,
            true
        ));
    }
}
