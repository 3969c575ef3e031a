//! The conversation with a vision-language model, under one protocol, whoever answers.
//!
//! The model is the layer that reads what the ground *is*; the search is the layer that reads its shape. A label adds
//! cost or forbids ground, it never makes ground cheaper; a route that a model composes has to pass the validator; and
//! what cannot be used leaves a plan that says so. The host decides what is asked next and when it ends. Nothing here
//! reads a clock; sockets are opened by the providers alone.

mod anthropic;
mod attention;
mod briefing;
mod canvas;
mod capabilities;
pub mod chain;
mod config;
pub(crate) mod desk;
pub mod folder;
mod label;
mod openai;
mod passes;
mod planning;
mod prompts;
mod protocol;
mod provider;
mod record;
pub mod resize;
mod retry;
pub mod schemas;
mod surface;
mod talk;
mod tools;
mod transport;
mod turn;
mod view;
mod viewer;

pub use anthropic::{Anthropic, body as anthropic_body};
pub use briefing::{Briefing, DriveRecord, Knowledge, MAX_RECORDS};
pub use capabilities::Capabilities;
pub use config::{Budgets, Endpoints, HttpLimits, ModelConfig, Price, Protocol};
pub use label::{Action, Confidence, Disagreement, Label, Science, area_m2, iou, merge};
pub use openai::{OpenAi, body as openai_body};
pub use passes::{Calibration, Criticism};
pub use prompts::system;
pub(crate) use protocol::advise;
pub use protocol::{Assistance, Journal, ModelRecord, NoReport, Twin, TwinWord};
pub use provider::{Provider, ProviderError, Skill, Watch, provider_from};
pub use record::{Event, Exchange, Head, Replay, Transcript, check_transcript};
pub use surface::{GreyFrame, SurfaceView};
pub use talk::Spent;
pub use turn::{Block, Message, Picture, Purpose, Reply, Request, Role, ToolSpec, Usage};
pub use view::{
    Crosses, GridLines, Layer, Show, View, calibration_card, map_from_px as view_map_from_px,
    px_from_map as view_px_from_map,
};
pub use viewer::html as conversation_html;

/// A text from outside, fit for a document: one line, no control characters, not longer than `longest` characters.
pub(crate) fn plain(text: &str, longest: usize) -> String {
    let mut out = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    if out.chars().count() > longest {
        out = out.chars().take(longest.saturating_sub(1)).collect();
        out.push('…');
    }
    out
}
