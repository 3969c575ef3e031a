//! The end of a conversation: the way down without a model, and what the plan and its record say of it.

use super::{Assistance, Found};
use crate::error::PlanError;
use crate::model::chain::Chain;
use crate::model::plain;
use crate::model::provider::Skill;
use crate::model::record::{Exchange, Head, TRANSCRIPT_VERSION};
use crate::model::talk::{NoAnswer, Talk};
use crate::model::turn::record_block;
use crate::route::{PlanOutcome, searched};
use crate::validator::Verdict;
use crate::workshop::Workshop;
use serde_json::json;
use sojourn_core::constraints::Constraints;
use sojourn_core::plan::{ModelLevel, ModelStage, ModelStatus, sha256_hex};

/// Nothing of a model: the elevation model alone, with stricter limits.
pub(super) fn without_model(
    talk: &mut Talk<'_>,
    shop: &Workshop<'_>,
    why: &NoAnswer,
) -> Result<PlanOutcome, PlanError> {
    let share = talk.config.protocol.geometry_only_slope_share;
    let stricter = Constraints {
        max_slope_deg: shop.mission.max_slope_deg * share,
        ..shop.mission.clone()
    };
    let status = match why {
        NoAnswer::Provider(_) | NoAnswer::Own(_) => ModelStatus::Failed,
        _ => ModelStatus::Refused,
    };
    let what = match status {
        ModelStatus::Failed => "the provider did not answer",
        _ => "the model's answer was refused",
    };
    let mut out = ModelStage {
        status,
        provider: talk.provider.name(),
        model: talk.model.clone(),
        level: Some(ModelLevel::GeometryOnly),
        note: format!(
            "{what}: {}; the route stands on the elevation model alone, on slopes of at most {:.1}°",
            plain(&why.words(), 300),
            stricter.max_slope_deg
        ),
        ..ModelStage::none()
    };
    match searched(shop, out.clone(), &[], Some(&stricter)) {
        Ok(outcome) => Ok(outcome),
        Err(e) => {
            // Stricter limits that leave no way are said, not loosened in silence.
            out.note = format!(
                "{}; with these limits there is no safe route: {e}",
                out.note
            );
            Err(PlanError::NoRoute {
                x_m: shop.request.goal_m[0],
                y_m: shop.request.goal_m[1],
                why: out.note,
            })
        }
    }
}

pub(super) fn stage(talk: &Talk<'_>, level: ModelLevel, found: &Found, note: &str) -> ModelStage {
    let all = found.labels_taken + found.labels_refused.len();
    ModelStage {
        status: ModelStatus::Used,
        provider: talk.provider.name(),
        model: talk
            .exchanges
            .iter()
            .rev()
            .find_map(|e| e.reply.as_ref())
            .map_or_else(|| talk.model.clone(), |r| r.model.clone()),
        level: Some(level),
        note: format!(
            "{note}; {} of its {all} labels hold, they only add cost or forbid ground. {}",
            found.labels_taken, found.summary
        )
        .trim_end()
        .to_string(),
        ..ModelStage::none()
    }
}

/// What a person should know.
pub(super) fn flags(found: &Found, verdict: &Verdict) -> Vec<String> {
    let mut out = found.flags.clone();
    out.extend(
        found
            .disagreements
            .iter()
            .map(|d| format!("the passes disagree: {}", d.text)),
    );
    if let Some(c) = &found.criticism {
        out.extend(
            c.findings
                .iter()
                .map(|f| format!("critic ({}): {f}", c.verdict)),
        );
        if !c.unchecked.is_empty() {
            out.push(format!(
                "the critic could not judge the segments {:?}",
                c.unchecked
            ));
        }
    }
    out.extend(verdict.violations.iter().map(|v| v.message.clone()));
    let mut seen = std::collections::BTreeSet::new();
    out.retain(|f| seen.insert(f.clone()));
    out.truncate(60);
    out.iter().map(|f| plain(f, 400)).collect()
}

/// Digests of everything that was asked and answered.
pub(super) fn seal(stage: &mut ModelStage, exchanges: &[Exchange], chain: &Chain) {
    stage.transcript_sha256 = chain.end().to_string();
    let keys: String = exchanges.iter().map(|e| e.key.as_str()).collect();
    stage.request_sha256 = sha256_hex(keys.as_bytes());
    let answers: Vec<_> = exchanges
        .iter()
        .filter_map(|e| e.reply.as_ref())
        .map(|r| {
            let blocks: Vec<_> = r.blocks.iter().map(record_block).collect();
            json!([blocks, r.stop_reason, r.model]).to_string()
        })
        .collect();
    if !answers.is_empty() {
        stage.answer_sha256 = sha256_hex(answers.concat().as_bytes());
    }
}

/// What the conversation is about.
pub(super) fn head(shop: &Workshop<'_>, assistance: &Assistance<'_>) -> Result<Head, PlanError> {
    let provider = assistance.provider;
    Ok(Head {
        version: TRANSCRIPT_VERSION,
        provider: provider.name(),
        model: provider.model().to_string(),
        skill: match provider.skill() {
            Skill::Whole => "whole".into(),
            Skill::Reduced => "reduced".into(),
        },
        map_digest: shop.site.terrain_digest()?,
        config_sha256: assistance.config.digest()?,
        knowledge: assistance
            .briefing
            .knowledge
            .iter()
            .map(|k| (k.name.clone(), sha256_hex(k.text.as_bytes())))
            .collect(),
    })
}
