//! The planning conversation: tools, a plan, and violations that go back as data.

use super::desk::Desk;
use super::label::Label;
use super::prompts::system;
use super::talk::{NoAnswer, Talk};
use super::tools;
use super::turn::{Block, Message, Purpose, Request, Role};
use super::view::{GridLines, Layer, Show};
use super::{plain, schemas};
use crate::error::PlanError;
use crate::freshness::ages;
use crate::validator::{AnswerTask, Code, Task, Verdict, check_answer, map_from_local};
use crate::workshop::Workshop;
use serde_json::{Value, json};
use sojourn_core::geometry::Xy;
use sojourn_core::plan::{Feature, ModelStage, Plan};
use std::sync::Arc;

/// Constraints that a claim is asked for.
const CLAIMED: [&str; 3] = ["max_slope_deg", "max_roughness_m", "length_m"];

/// A plan that the model composed and the validator passed.
#[derive(Clone, Debug)]
pub(crate) struct Composed {
    pub plan: Plan,
    pub verdict: Verdict,
    /// Soft violations of the answer, sentences.
    pub flags: Vec<String>,
}

/// Why the conversation gave no plan.
#[derive(Debug)]
pub(crate) enum NoPlan {
    /// No answer.
    Answer(NoAnswer),
    /// The model says that there is no safe route, or that it cannot tell.
    Declined(String),
    /// The rounds are spent.
    Rounds(String),
}

impl NoPlan {
    pub fn words(&self) -> String {
        match self {
            Self::Answer(a) => a.words(),
            Self::Declined(why) | Self::Rounds(why) => why.clone(),
        }
    }
}

/// A conversation under way.
pub(crate) struct Planning {
    request: Request,
    task: Task,
    /// Rounds in which violations went back.
    pub rounds: usize,
    claimed_wrongly: bool,
    nudged: bool,
}

impl Planning {
    /// Shows the ground with labels and routes and puts the task.
    pub fn new(
        talk: &Talk<'_>,
        desk: &mut Desk<'_>,
        shop: &Workshop<'_>,
    ) -> Result<Self, PlanError> {
        let (centre, span_m) = desk.overview();
        let over = desk.overlays(&[]);
        let shown = [
            Show::StartGoal,
            Show::KeepOut,
            Show::KeepIn,
            Show::Features,
            Show::Candidates,
        ];
        let mut blocks = Vec::new();
        for layer in [Layer::Ortho, Layer::Hazard] {
            let index = desk.show(layer, centre, span_m, GridLines::Coarse, &shown, &over)?;
            if let Some(v) = desk.views.get(index) {
                blocks.push(Block::Image(Arc::clone(&v.picture)));
                blocks.push(Block::Text(desk.caption(v).to_string()));
            }
        }
        let digest = shop.site.terrain_digest()?;
        let task = Task {
            map_id: plain(&shop.site.manifest.name, 60),
            map_digest: digest.chars().take(12).collect(),
            constraint_ids: CLAIMED.map(str::to_string).to_vec(),
            ends: shop.ends(),
        };
        blocks.push(Block::Text(describe(desk, shop, &task, talk)?.to_string()));
        let p = &talk.config.protocol;
        let tools = if p.tools {
            schemas::tools(!desk.surface.is_empty(), p.offer_routes)
        } else {
            Arc::default()
        };
        Ok(Self {
            request: talk.request(
                Purpose::Plan,
                &system(Purpose::Plan),
                blocks,
                ("plan", schemas::plan()),
                tools,
            ),
            task,
            rounds: 0,
            claimed_wrongly: false,
            nudged: false,
        })
    }

    /// Goes on, with what came back from critic or twin first, until there is a plan that passes or no more hope.
    pub fn next(
        &mut self,
        feedback: Option<Value>,
        talk: &mut Talk<'_>,
        desk: &mut Desk<'_>,
        shop: &Workshop<'_>,
    ) -> Result<Composed, NoPlan> {
        if let Some(value) = feedback {
            self.say(value);
        }
        loop {
            let reply = talk.ask(&self.request).map_err(NoPlan::Answer)?;
            self.request.messages.push(Message {
                role: Role::Assistant,
                blocks: reply.blocks.clone(),
            });
            if reply.stop_reason == "tool_use" {
                let results = self.use_tools(&reply.blocks, talk, desk, shop);
                self.request.messages.push(Message {
                    role: Role::User,
                    blocks: results,
                });
                continue;
            }
            let text = reply.text();
            if text.trim().is_empty() {
                if self.nudged {
                    return Err(NoPlan::Answer(NoAnswer::Unreadable(
                        "the answer holds no text, twice".into(),
                    )));
                }
                self.nudged = true;
                self.say(json!({"host": "the answer was empty; answer with the plan"}));
                continue;
            }
            match self.judge(&text, talk, desk, shop)? {
                Ok(composed) => return Ok(*composed),
                Err(violations) => {
                    if self.rounds >= talk.config.protocol.rounds {
                        return Err(NoPlan::Rounds(format!(
                            "after {} rounds the plan still broke hard rules: {}",
                            self.rounds,
                            violations
                                .first()
                                .and_then(|v| v["message"].as_str())
                                .unwrap_or("no word")
                        )));
                    }
                    self.rounds += 1;
                    self.say(json!({
                        "host": "the plan breaks hard rules; mend exactly these and answer with the whole plan",
                        "round": self.rounds,
                        "rounds": talk.config.protocol.rounds,
                        "violations": violations,
                    }));
                }
            }
        }
    }

    fn say(&mut self, value: Value) {
        self.request.messages.push(Message {
            role: Role::User,
            blocks: vec![Block::Text(value.to_string())],
        });
    }

    /// Every call gets its result, in the order of the calls.
    fn use_tools(
        &mut self,
        blocks: &[Block],
        talk: &mut Talk<'_>,
        desk: &mut Desk<'_>,
        shop: &Workshop<'_>,
    ) -> Vec<Block> {
        let mut out = Vec::new();
        for block in blocks {
            let Block::ToolUse { id, name, input } = block else {
                continue;
            };
            let b = &talk.config.budgets;
            let (views_left, calls_left) = (
                b.views.saturating_sub(talk.spent.views),
                b.tool_calls.saturating_sub(talk.spent.tool_calls),
            );
            let offered = self.request.tools.iter().any(|t| t.name == name);
            let mut outcome = if !offered {
                tools::unknown(name)
            } else if calls_left == 0 {
                tools::Outcome {
                    ok: false,
                    body: json!({"ok": false, "code": "BUDGET", "detail": "no calls are left; answer with the plan"}),
                    image: None,
                }
            } else {
                tools::run(desk, shop, name, input, views_left)
            };
            talk.spent.tool_calls += 1;
            talk.spent.views += usize::from(outcome.image.is_some());
            outcome.body["budget"] = json!({
                "views_left": b.views.saturating_sub(talk.spent.views),
                "calls_left": b.tool_calls.saturating_sub(talk.spent.tool_calls),
            });
            let told = plain(&input.to_string(), 160);
            let how = if outcome.ok {
                "done".to_string()
            } else {
                format!("refused ({})", outcome.body["code"].as_str().unwrap_or("?"))
            };
            talk.note("tool", format!("{} {told}: {how}", plain(name, 40)));
            out.push(Block::ToolResult {
                id: id.clone(),
                ok: outcome.ok,
                body: outcome.body,
                image: outcome.image,
            });
        }
        out
    }

    /// The verdict on an answer: a plan, the violations for the model, or the end.
    fn judge(
        &mut self,
        text: &str,
        talk: &mut Talk<'_>,
        desk: &mut Desk<'_>,
        shop: &Workshop<'_>,
    ) -> Result<Result<Box<Composed>, Vec<Value>>, NoPlan> {
        let own = |e: PlanError| NoPlan::Answer(NoAnswer::own(e));
        let task = AnswerTask {
            task: self.task.clone(),
            views: desk.seen(),
            claimed_wrongly_before: self.claimed_wrongly,
        };
        let (verdict, accepted) = check_answer(text, &task, desk.ground).map_err(own)?;
        desk.claims.extend(verdict.claims.iter().cloned());
        self.claimed_wrongly |= verdict
            .violations
            .iter()
            .any(|v| v.code == Code::ClaimMismatch);
        if verdict.ok && accepted.is_none() {
            // No route, on purpose.
            let decision = serde_json::from_str::<Value>(text).ok();
            let word = decision
                .as_ref()
                .and_then(|v| v["decision"].as_str())
                .unwrap_or("no route");
            return Err(NoPlan::Declined(format!(
                "the model answered {}",
                plain(word, 40)
            )));
        }
        let Some(accepted) = accepted else {
            for v in verdict.hard() {
                let message = v.message.clone();
                talk.note("violation", message);
            }
            return Ok(Err(tools::violations(desk, &verdict.violations)));
        };
        let mut labels = desk.labels.clone();
        labels.extend(accepted.answer.features.iter().map(|f| {
            Label {
                id: plain(&f.id, 20),
                class: f.terrain_class,
                polygon: f
                    .outline
                    .iter()
                    .map(|p| map_from_local(p.xy(), desk.ground.north_west_m()))
                    .collect(),
                risk: f.risk,
                action: f.action,
                confidence: f.confidence,
                science: f.science_value,
                views: f.evidence_view_ids.iter().map(|v| plain(v, 20)).collect(),
                note: plain(&f.note, 200),
                source: "plan".into(),
            }
        }));
        let features: Vec<Feature> = labels.iter().map(|l| l.feature(&talk.model)).collect();
        let nw = desk.ground.north_west_m();
        let anchors: Vec<Xy> = accepted
            .answer
            .anchors
            .iter()
            .map(|a| map_from_local([a.x_m, a.y_m], nw))
            .collect();
        let (chain, map) = match shop.chain(&anchors, &features, &desk.routes) {
            Ok(made) => made,
            Err(wrong) => {
                for v in &wrong {
                    talk.note("violation", v.message.clone());
                }
                return Ok(Err(tools::violations(desk, &wrong)));
            }
        };
        let plan = shop
            .document(&chain, &map, &features, ModelStage::none())
            .map_err(own)?;
        let judged = shop.judge(&plan).map_err(own)?;
        if !judged.ok {
            for v in judged.hard() {
                talk.note("violation", v.message.clone());
            }
            return Ok(Err(tools::violations(desk, &judged.violations)));
        }
        desk.labels = labels;
        let mut flags: Vec<String> = verdict
            .violations
            .iter()
            .map(|v| v.message.clone())
            .collect();
        flags.extend(
            accepted
                .answer
                .open_questions
                .iter()
                .take(10)
                .map(|q| format!("open question of the model: {}", plain(q, 200))),
        );
        Ok(Ok(Box::new(Composed {
            plan,
            verdict: judged,
            flags,
        })))
    }
}

/// The task: numbers and texts, what is from outside marked as such.
fn describe(
    desk: &Desk<'_>,
    shop: &Workshop<'_>,
    about: &Task,
    talk: &Talk<'_>,
) -> Result<Value, PlanError> {
    let ages = ages(shop.site, shop.mission)?;
    let (g, m) = (desk.ground, shop.mission);
    let zones = |list: &[Vec<Xy>]| -> Value {
        list.iter()
            .map(|z| z.iter().map(|p| desk.local(*p)).collect::<Vec<_>>())
            .collect()
    };
    let mut task = json!({
        "task": "plan a route from start to goal",
        "map_id": about.map_id,
        "map_digest": about.map_digest,
        "schema_version": "1",
        "map_size_m": g.elevation.size_m(),
        "start": desk.local(desk.ends[0]),
        "goal": desk.local(desk.ends[1]),
        "goal_tolerance_m": m.goal_tolerance_m,
        "constraints": [
            {"id": "max_slope_deg", "limit": g.bounds.slope_deg, "unit": "deg", "why": g.bounds.slope_why},
            {"id": "max_roughness_m", "limit": g.bounds.roughness_m, "unit": "m"},
            {"id": "length_m", "limit": g.limits.route.max_length_m, "unit": "m"},
        ],
        "rover": {
            "name": shop.rover.name,
            "footprint_radius_m": shop.rover.footprint_radius_m(),
            "max_slip": shop.rover.limits.slip,
        },
        "keep_out": zones(&m.keep_out),
        "keep_in": zones(&m.keep_in),
        "max_drive_s": m.max_drive_s,
        "clearance_m": m.clearance_m,
        "stops": m.stops.iter().map(|s| json!({"name": plain(&s.name, 80), "at": desk.local(s.at_m), "tolerance_m": s.tolerance_m})).collect::<Vec<_>>(),
        "layers": ages.iter().map(|a| json!({"layer": plain(&a.layer, 40), "age_days": a.age_days, "stale": a.stale})).collect::<Vec<_>>(),
        "labels": desk.labels_json(),
        "candidates": desk.routes_json(8),
        "budgets": {"views": talk.config.budgets.views, "tool_calls": talk.config.budgets.tool_calls},
        "operator_note": {"source": "operator", "trusted": false, "text": desk.briefing.note},
        "knowledge": desk.briefing.knowledge.iter().map(|k| json!({"file": plain(&k.name, 80), "text": k.text})).collect::<Vec<_>>(),
    });
    if !desk.surface.is_empty() {
        let told = desk.surface.iter().map(|v| desk.surface_caption(v));
        task["surface_views"] = told.collect();
    }
    Ok(task)
}
