//! Global planner: labels from a vision-language model, least-cost route, validator, RML-inspired writer.
//!
//! [`plan()`] makes a [`sojourn_core::plan::Plan`] over a site; [`validate()`] checks one again from the document alone;
//! [`to_xml`] writes its XML. [`model`] is the conversation with a vision-language model: it can only make ground dearer
//! or forbid it, never the other way round. The planner moves nothing: it publishes a proposal.

mod candidates;
mod coarse;
mod cost;
mod disagreement;
mod distance;
mod error;
mod freshness;
mod labelled;
pub mod least_cost;
mod line;
pub mod model;
mod params;
mod route;
pub mod score;
mod search;
mod segments;
mod slip;
mod smooth;
mod stand;
pub mod validator;
mod way;
mod waypoints;
mod workshop;
pub mod xml;

pub use candidates::{Candidate, Preset, candidates, open_ground};
pub use disagreement::{DisagreementFigures, DisagreementLayer, Pair, Voice, disagreement};
pub use error::PlanError;
pub use labelled::{GivenLabels, history_labels, plan_labelled};
pub use model::{
    Assistance, Briefing, ModelConfig, ModelRecord, Provider, ProviderError, provider_from,
};
pub use params::NodeParams;
pub use route::{PlanOutcome, PlanRequest, PlanStats, plan};
pub use validator::{Code, Verdict, Violation, validate};
pub use xml::{XmlDrive, XmlPlan, from_xml, to_xml};
