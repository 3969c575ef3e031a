//! A conversation in a form that belongs to no service: requests, replies, and what is kept of them for the record.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sojourn_core::plan::sha256_hex;
use std::sync::Arc;

/// A picture that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// PNG.
    pub png: Vec<u8>,
    /// Columns.
    pub width_px: usize,
    /// Rows.
    pub height_px: usize,
    /// Hex SHA-256 of its pixels (RGB, row by row), so that another compression is the same picture.
    pub sha256: String,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The host.
    User,
    /// The model.
    Assistant,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Words or JSON.
    Text(String),
    /// A picture.
    Image(Arc<Picture>),
    /// The model asks for a tool.
    ToolUse {
        /// The service's name of this call.
        id: String,
        /// Which tool.
        name: String,
        /// Its arguments.
        input: Value,
    },
    /// What the tool gave.
    ToolResult {
        /// The call it answers.
        id: String,
        /// Whether it worked.
        ok: bool,
        /// The answer. Everything that came from outside stands in it as JSON text.
        body: Value,
        /// A picture with it.
        image: Option<Arc<Picture>>,
    },
    /// Something that only the service understands and that goes back unchanged, such as a thinking block.
    Opaque(Value),
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What.
    pub blocks: Vec<Block>,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Positions on a card of known crosses.
    Calibrate,
    /// Labels, the first time.
    Scan,
    /// Labels, by fresh eyes.
    SecondPass,
    /// Classes of numbered cells, for models without coordinates.
    Cells,
    /// One among drawn routes.
    Pick,
    /// The planning conversation.
    Plan,
    /// The critic.
    Critic,
}

impl Purpose {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Calibrate => "calibration card",
            Self::Scan => "labels, first pass",
            Self::SecondPass => "labels, second pass",
            Self::Cells => "cells",
            Self::Pick => "pick a route",
            Self::Plan => "planning",
            Self::Critic => "critic",
        }
    }
}

/// A tool as the model is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// Name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// JSON schema of its arguments.
    pub schema: Value,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What it is for.
    pub purpose: Purpose,
    /// Model asked for.
    pub model: String,
    /// The role, the frame and the rules.
    pub system: String,
    /// Everything said so far; only ever appended to.
    pub messages: Vec<Message>,
    /// Tools on offer.
    pub tools: Arc<Vec<ToolSpec>>,
    /// Name and schema of the answer.
    pub format: (&'static str, Arc<Value>),
    /// Room for the answer, tokens.
    pub max_tokens: u32,
    /// Effort asked for.
    pub effort: String,
}

impl Request {
    /// The request for the record: pictures by digest.
    #[must_use]
    pub fn record(&self) -> Value {
        json!({
            "purpose": self.purpose,
            "model": self.model,
            "system": self.system,
            "tools": self.tools.iter().map(|t| json!({"name": t.name, "schema": t.schema})).collect::<Vec<_>>(),
            "format": self.format.1.as_ref(),
            "max_tokens": self.max_tokens,
            "effort": self.effort,
            "messages": self.messages.iter().map(record_message).collect::<Vec<_>>(),
        })
    }

    /// What a recording is found by: SHA-256 of the record.
    #[must_use]
    pub fn key(&self) -> String {
        // A `Value`'s map is ordered by key, so its text is the same for the same request.
        sha256_hex(self.record().to_string().as_bytes())
    }

    /// Tokens of the question, estimated: four bytes of text are one, a picture is one for each 28 x 28 pixels.
    #[must_use]
    pub fn tokens_estimated(&self) -> u64 {
        let mut text = self.system.len();
        let mut visual = 0usize;
        let mut picture =
            |p: &Picture| visual += p.width_px.div_ceil(28) * p.height_px.div_ceil(28);
        for block in self.messages.iter().flat_map(|m| &m.blocks) {
            match block {
                Block::Text(t) => text += t.len(),
                Block::Image(p) => picture(p),
                Block::ToolUse { input, .. } => text += input.to_string().len(),
                Block::ToolResult { body, image, .. } => {
                    text += body.to_string().len();
                    if let Some(p) = image {
                        picture(p);
                    }
                }
                Block::Opaque(_) => {}
            }
        }
        (text / 4 + visual) as u64
    }

    /// Pictures in it.
    #[must_use]
    pub fn pictures(&self) -> Vec<&Arc<Picture>> {
        let blocks = self.messages.iter().flat_map(|m| &m.blocks);
        blocks
            .filter_map(|b| match b {
                Block::Image(p) => Some(p),
                Block::ToolResult { image, .. } => image.as_ref(),
                _ => None,
            })
            .collect()
    }
}

fn record_message(m: &Message) -> Value {
    json!({"role": m.role, "blocks": m.blocks.iter().map(record_block).collect::<Vec<_>>()})
}

fn record_picture(p: &Picture) -> Value {
    json!({"sha256": p.sha256, "width_px": p.width_px, "height_px": p.height_px})
}

/// A block for the record.
#[must_use]
pub(crate) fn record_block(block: &Block) -> Value {
    match block {
        Block::Text(t) => json!({"type": "text", "text": t}),
        Block::Image(p) => json!({"type": "image", "image": record_picture(p)}),
        Block::ToolUse { id, name, input } => {
            json!({"type": "tool_use", "id": id, "name": name, "input": input})
        }
        Block::ToolResult {
            id,
            ok,
            body,
            image,
        } => json!({"type": "tool_result", "id": id, "ok": ok, "body": body,
                    "image": image.as_deref().map(record_picture)}),
        Block::Opaque(v) => json!({"type": "opaque", "value": v}),
    }
}

/// The block of a model's message from the record.
pub(crate) fn block_of_record(v: &Value) -> Result<Block, String> {
    let text = |key: &str| {
        v.get(key)
            .and_then(Value::as_str)
            .map(str::to_string)
            .ok_or_else(|| format!("a recorded block lacks \"{key}\""))
    };
    match v.get("type").and_then(Value::as_str) {
        Some("text") => Ok(Block::Text(text("text")?)),
        Some("tool_use") => Ok(Block::ToolUse {
            id: text("id")?,
            name: text("name")?,
            input: v.get("input").cloned().unwrap_or(Value::Null),
        }),
        Some("opaque") => Ok(Block::Opaque(
            v.get("value").cloned().unwrap_or(Value::Null),
        )),
        other => Err(format!(
            "a recorded answer holds a block of type {other:?}, expected text, tool_use or opaque"
        )),
    }
}

/// Tokens of one exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Of the question, without those below.
    pub input: u64,
    /// Of the answer.
    pub output: u64,
    /// Of the question, read from the service's cache.
    pub cache_read: u64,
    /// Of the question, written into it.
    pub cache_write: u64,
}

impl Usage {
    /// Tokens of the whole question.
    #[must_use]
    pub fn prompt(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
    }
}

/// The blocks of a model's message as they stand in a record.
mod recorded {
    use super::{Block, block_of_record, record_block};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use serde_json::Value;

    pub fn serialize<S: Serializer>(blocks: &[Block], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(blocks.iter().map(record_block))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Block>, D::Error> {
        Vec::<Value>::deserialize(from)?
            .iter()
            .map(|v| block_of_record(v).map_err(D::Error::custom))
            .collect()
    }
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The model's message.
    #[serde(with = "recorded")]
    pub blocks: Vec<Block>,
    /// Why it ended, in the words of the Messages API (`end_turn`, `tool_use`, `max_tokens`, `refusal`, …).
    pub stop_reason: String,
    /// Of a refusal, its category.
    pub refusal: Option<String>,
    /// The model that answered, as it says.
    pub model: String,
    /// Tokens.
    pub usage: Usage,
    /// The service's name of the request.
    pub request_id: String,
    /// The answer came to its end.
    pub complete: bool,
    /// Time that it took, seconds.
    pub seconds: f64,
    /// Requests sent for it, counting those that failed.
    pub attempts: u32,
}

impl Reply {
    /// All text, in order.
    #[must_use]
    pub fn text(&self) -> String {
        self.blocks
            .iter()
            .filter_map(|b| match b {
                Block::Text(t) => Some(t.as_str()),
                _ => None,
            })
            .collect()
    }
}
