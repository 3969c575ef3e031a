//! How the ground gets a person's signature.

use crate::link::{Link, Signature, Waited};
use crate::{End, failed, none, say, seconds};
use r2r::sojourn_msgs::srv::SubmitSignature;
use sojourn_core::conduct::Event;
use sojourn_core::files;
use sojourn_core::plan::Plan;
use sojourn_core::report::Report;
use sojourn_mission::MissionError;
use sojourn_mission::conductor::{
    Answer, ApprovalBy, GroundParams, MAX_ANSWER_BYTES, exit, parse_answer,
};
use sojourn_mission::gate::{self, Approval, SignedApproval};
use sojourn_mission::keys::{KeyFile, Purpose};
use sojourn_ros::answer;
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::time::Instant;

/// How often an answer that cannot be read is asked for again.
const TRIES: usize = 3;

/// A signature, and who waits to hear what became of it.
pub(crate) struct Granted {
    pub(crate) signed: SignedApproval,
    request: Option<Signature>,
}

impl Granted {
    fn by_key(signed: SignedApproval) -> Self {
        Self {
            signed,
            request: None,
        }
    }

    /// Tells the one who handed the signature in.
    pub(crate) fn answer(self, bundle_id: Result<String, String>) {
        let Some(request) = self.request else { return };
        let response = match bundle_id {
            Ok(bundle_id) => SubmitSignature::Response {
                accepted: true,
                message: "accepted".into(),
                bundle_id,
            },
            Err(message) => SubmitSignature::Response {
                accepted: false,
                message,
                bundle_id: String::new(),
            },
        };
        answer(request, response);
    }
}

/// Finds out at the start that the key cannot be used, not after a long planning.
pub(crate) fn check_key(params: &GroundParams) -> Result<(), MissionError> {
    if params.key_file.is_empty() {
        Ok(())
    } else {
        KeyFile::load(Path::new(&params.key_file)).map(drop)
    }
}

/// Gets the plan approved, or ends.
pub(crate) async fn get(
    link: &mut Link,
    params: &GroundParams,
    plan: &Plan,
    report: &Report,
) -> Result<Granted, End> {
    let until = (params.approval_timeout_s > 0.0)
        .then(|| Instant::now() + seconds(params.approval_timeout_s));
    let utc = utc_now()?;
    match params.approval {
        ApprovalBy::Auto => sign(params, plan, report, &utc).map(Granted::by_key),
        ApprovalBy::Ask => {
            ask_for(params, plan, report, &utc, "stdin")?;
            ask(link, params, plan, report, until).await
        }
        ApprovalBy::Service => {
            ask_for(params, plan, report, &utc, "service")?;
            serve(link, plan, report, &utc, until).await
        }
    }
}

fn ask_for(
    params: &GroundParams,
    plan: &Plan,
    report: &Report,
    utc: &str,
    how: &str,
) -> Result<(), End> {
    let approval = Approval::prepare(plan, report, &params.signer, Purpose::Flight, utc)?;
    say(&Event::AwaitingApproval {
        how: how.into(),
        plan_digest: approval.plan_digest.clone(),
        report_digest: approval.report_digest.clone(),
        approval: Box::new(serde_json::to_value(&approval)?),
    });
    Ok(())
}

fn sign(
    params: &GroundParams,
    plan: &Plan,
    report: &Report,
    utc: &str,
) -> Result<SignedApproval, End> {
    if params.key_file.is_empty() {
        return Err(failed(
            "approved, but parameter key_file is empty, so there is no key to sign with",
        ));
    }
    let key = KeyFile::load(Path::new(&params.key_file))?;
    Ok(gate::approve(plan, report, &key, &params.signer, utc)?)
}

fn refused(reason: &str) -> End {
    End::Code(exit::NOT_APPROVED, none("IDLE", reason))
}

async fn ask(
    link: &mut Link,
    params: &GroundParams,
    plan: &Plan,
    report: &Report,
    until: Option<Instant>,
) -> Result<Granted, End> {
    let mut input = BufReader::new(tokio::io::stdin());
    for _ in 0..TRIES {
        let mut line = Vec::new();
        let read = async {
            (&mut input)
                .take(MAX_ANSWER_BYTES as u64 + 1)
                .read_until(b'\n', &mut line)
                .await
        };
        match link.wait(read, until).await? {
            Waited::TimedOut => return Err(refused("nobody answered in time")),
            Waited::Done(Ok(0)) => return Err(refused("standard input ended without an answer")),
            Waited::Done(Ok(_)) => {}
            Waited::Done(Err(e)) => {
                return Err(failed(format!("standard input cannot be read: {e}")));
            }
        }
        match parse_answer(&String::from_utf8_lossy(&line)) {
            Ok(Answer::No { reason }) if reason.is_empty() => {
                return Err(refused("the plan was not approved"));
            }
            Ok(Answer::No { reason }) => {
                return Err(refused(&format!("the plan was not approved: {reason}")));
            }
            // The time of the answer, not of the question.
            Ok(Answer::Yes) => return sign(params, plan, report, &utc_now()?).map(Granted::by_key),
            Ok(Answer::Signed(signed)) => match gate::verify(plan, report, &signed) {
                Ok(()) => return Ok(Granted::by_key(*signed)),
                Err(e) => say(&Event::Error {
                    message: e.to_string(),
                }),
            },
            Err(e) => say(&Event::Error {
                message: e.to_string(),
            }),
        }
    }
    Err(refused("no usable answer came"))
}

async fn serve(
    link: &mut Link,
    plan: &Plan,
    report: &Report,
    utc: &str,
    until: Option<Instant>,
) -> Result<Granted, End> {
    loop {
        let request = match link.signature(until).await? {
            Waited::TimedOut => return Err(refused("nobody signed in time")),
            Waited::Done(request) => request,
        };
        match check(&request.message, plan, report, utc) {
            Ok(signed) => {
                return Ok(Granted {
                    signed,
                    request: Some(request),
                });
            }
            Err(e) => {
                let message = e.to_string();
                tracing::warn!("a signature was refused: {message}");
                let response = SubmitSignature::Response {
                    accepted: false,
                    message,
                    bundle_id: String::new(),
                };
                answer(request, response);
            }
        }
    }
}

// The message does not say what the key is for, but the signature covers it: one of the two fits, or none.
fn check(
    m: &SubmitSignature::Request,
    plan: &Plan,
    report: &Report,
    utc: &str,
) -> Result<SignedApproval, MissionError> {
    let mut last = MissionError::Gate("the signature fits nothing".into());
    for purpose in [Purpose::Flight, Purpose::Simulation] {
        let approval = Approval::prepare(plan, report, &m.signer, purpose, utc)?;
        for (name, said, expected) in [
            ("plan_digest", &m.plan_digest, &approval.plan_digest),
            ("report_digest", &m.report_digest, &approval.report_digest),
        ] {
            if said != expected {
                return Err(MissionError::Gate(format!(
                    "{name} is not that of the plan that waits, {expected}"
                )));
            }
        }
        match gate::join(approval, &m.public_key, &m.signature) {
            Ok(signed) => return Ok(signed),
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// The text of `plan.xml` when it is there and belongs to this plan.
pub(crate) fn plan_xml(path: &Path, plan: &Plan) -> Option<String> {
    if !path.exists() {
        return None;
    }
    match (
        files::read_text(path, sojourn_mission::bundle::MAX_FILE_BYTES as u64),
        plan.digest(),
    ) {
        (Ok(text), Ok(digest)) if text.contains(&digest) => Some(text),
        (Err(e), _) => {
            tracing::warn!("left out of the bundle: {e}");
            None
        }
        _ => {
            tracing::warn!(
                "left out of the bundle: {} is the XML of another plan",
                path.display()
            );
            None
        }
    }
}

fn utc_now() -> Result<String, End> {
    let format =
        time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    time::OffsetDateTime::now_utc()
        .format(format)
        .map_err(|e| failed(format!("the time cannot be written: {e}")))
}
