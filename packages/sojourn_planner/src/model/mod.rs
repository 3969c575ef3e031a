//! The conversation with a vision-language model: one view of the site, one answer bound to a schema, its labels
//! checked one by one.
//!
//! The model is the layer that reads what the ground *is*; the search is the layer that reads its shape. A label adds
//! cost or forbids ground, it never makes ground cheaper, and an answer that cannot be used leaves a plan that stands on
//! the elevation model alone and says so.

mod http;
mod labels;
mod provider;
mod render;
mod request;

pub use http::HttpProvider;
pub(crate) use labels::plain;
pub use labels::{MAX_LABELS, MAX_POINTS};
pub use provider::{ModelProvider, ModelRequest, ProviderError, Replay, provider_from};
pub use render::{View, render};
pub use request::{answer_schema, build};

use crate::error::PlanError;
use crate::route::PlanRequest;
use sojourn_core::constraints::Constraints;
use sojourn_core::plan::{Feature, ModelStage, ModelStatus, sha256_hex};
use sojourn_core::site::Site;

/// What went between planner and model, for the record.
#[derive(Clone, Debug)]
pub struct ModelExchange {
    /// The view, as PNG.
    pub view_png: Vec<u8>,
    /// The request's body.
    pub request_json: String,
    /// The answer's body, when one came.
    pub answer_json: Option<String>,
}

/// The stage's record, the labels that were taken, and the exchange.
pub(crate) type Consulted = (ModelStage, Vec<Feature>, Option<ModelExchange>);

/// Asks the model once.
pub(crate) fn consult(
    provider: &dyn ModelProvider,
    request: &PlanRequest,
    site: &Site,
    constraints: &Constraints,
) -> Result<Consulted, PlanError> {
    let view = render(site, request.start_m, request.goal_m)?;
    let request = build(&view, provider.model(), request, constraints)?;
    let mut stage = ModelStage {
        status: ModelStatus::Failed,
        provider: provider.name(),
        model: provider.model().to_string(),
        request_sha256: request.sha256.clone(),
        ..ModelStage::none()
    };
    let mut exchange = ModelExchange {
        view_png: view.png.clone(),
        request_json: request.body.clone(),
        answer_json: None,
    };
    let alone = "the route stands on the elevation model alone";
    let features = match provider.answer(&request) {
        Err(e) => {
            stage.note = format!("the provider did not answer: {e}; {alone}");
            Vec::new()
        }
        Ok(answer) => {
            stage.answer_sha256 = sha256_hex(answer.as_bytes());
            exchange.answer_json = Some(answer.clone());
            match labels::read(&answer, &view) {
                Err(why) => {
                    stage.status = ModelStatus::Refused;
                    stage.note = format!("the model's answer was refused: {why}; {alone}");
                    Vec::new()
                }
                Ok(read) => {
                    if let Some(model) = read.model {
                        stage.model = model;
                    }
                    stage.labels_accepted = read.features.len();
                    stage.labels_refused = read.refused;
                    let (n, bad) = (read.features.len(), stage.labels_refused.len());
                    if n == 0 && bad > 0 {
                        stage.status = ModelStatus::Refused;
                        stage.note =
                            format!("none of the model's {bad} labels passed the checks; {alone}");
                    } else {
                        stage.status = ModelStatus::Used;
                        stage.note = format!(
                            "{n} of the model's {} labels were taken; they only add cost or forbid ground. {}",
                            n + bad,
                            read.summary
                        )
                        .trim_end()
                        .to_string();
                    }
                    read.features
                }
            }
        }
    };
    Ok((stage, features, Some(exchange)))
}
