//! Conversations on record: every exchange as it was, pictures by digest, nothing secret; and their replay.

use super::provider::{Provider, ProviderError, Skill, Watch};
use super::turn::{Reply, Request, Usage, block_of_record, record_block};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sojourn_core::{CoreError, files};
use std::collections::BTreeMap;
use std::path::Path;

/// Version of the transcript's form.
pub const TRANSCRIPT_VERSION: u32 = 1;
/// Longest transcript that is read, bytes.
const MAX_BYTES: u64 = 256 << 20;

/// One request and what came back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Digest of the request's record: what a replay finds it by.
    pub key: String,
    /// The request, pictures by digest.
    pub request: Value,
    /// The reply; absent when none came.
    pub reply: Option<RecordedReply>,
    /// Why none came.
    pub error: Option<String>,
}

/// A reply on record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedReply {
    /// The model's message.
    pub blocks: Vec<Value>,
    /// Why it ended.
    pub stop_reason: String,
    /// Of a refusal, its category.
    pub refusal: Option<String>,
    /// The model as it says.
    pub model: String,
    /// Tokens.
    pub usage: Usage,
    /// The service's name of the request.
    pub request_id: String,
    /// It came to its end.
    pub complete: bool,
    /// Time, seconds.
    pub seconds: f64,
    /// Requests sent for it.
    pub attempts: u32,
}

impl RecordedReply {
    /// For the record.
    #[must_use]
    pub fn of(r: &Reply) -> Self {
        Self {
            blocks: r.blocks.iter().map(record_block).collect(),
            stop_reason: r.stop_reason.clone(),
            refusal: r.refusal.clone(),
            model: r.model.clone(),
            usage: r.usage,
            request_id: r.request_id.clone(),
            complete: r.complete,
            seconds: r.seconds,
            attempts: r.attempts,
        }
    }

    /// As it was.
    ///
    /// # Errors
    /// One sentence when a block is none.
    pub fn reply(&self) -> Result<Reply, String> {
        Ok(Reply {
            blocks: self
                .blocks
                .iter()
                .map(block_of_record)
                .collect::<Result<_, _>>()?,
            stop_reason: self.stop_reason.clone(),
            refusal: self.refusal.clone(),
            model: self.model.clone(),
            usage: self.usage,
            request_id: self.request_id.clone(),
            complete: self.complete,
            seconds: self.seconds,
            attempts: self.attempts,
        })
    }
}

/// Everything that was said for one plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// [`TRANSCRIPT_VERSION`].
    pub version: u32,
    /// Who was asked.
    pub provider: String,
    /// Which model.
    pub model: String,
    /// What the protocol trusted it with: `whole` or `reduced`.
    pub skill: String,
    /// Digest of the ground.
    pub map_digest: String,
    /// Digest of the configuration.
    pub config_sha256: String,
    /// Digests of the knowledge files by name.
    pub knowledge: BTreeMap<String, String>,
    /// In order.
    pub exchanges: Vec<Exchange>,
    /// What the host did and found, one line each, in order: tools, violations, decisions.
    pub events: Vec<Event>,
}

/// Something that the host did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Exchanges that came before it.
    pub after: usize,
    /// What kind: `tool`, `violation`, `critic`, `decision`, `label`, `calibration`.
    pub kind: String,
    /// One line.
    pub text: String,
}

impl Transcript {
    /// Reads a transcript.
    ///
    /// # Errors
    /// [`CoreError`] that names the file.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let what = path.display().to_string();
        let text = files::read_text(path, MAX_BYTES)?;
        let out: Self = serde_json::from_str(&text)
            .map_err(|e| CoreError::format(&what, format!("is no transcript: {e}")))?;
        if out.version != TRANSCRIPT_VERSION {
            return Err(CoreError::value(
                what,
                "version",
                out.version,
                TRANSCRIPT_VERSION.to_string(),
            ));
        }
        Ok(out)
    }

    /// As JSON text.
    ///
    /// # Errors
    /// [`CoreError::Format`] when it cannot be written.
    pub fn text(&self) -> Result<String, CoreError> {
        serde_json::to_string_pretty(self)
            .map(|t| t + "\n")
            .map_err(|e| CoreError::format("transcript", e.to_string()))
    }
}

/// Answers from a transcript: the recorded reply to the same request, byte for byte, or none.
pub struct Replay {
    file: String,
    transcript: Transcript,
    /// Where a request that is not on record goes.
    live: Option<Box<dyn Provider>>,
}

impl Replay {
    /// A transcript's file.
    ///
    /// # Errors
    /// [`ProviderError::Core`] that names the file.
    pub fn open(path: &Path) -> Result<Self, ProviderError> {
        Ok(Self {
            // Without the folder: the same recording elsewhere makes the same plan.
            file: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            transcript: Transcript::load(path)?,
            live: None,
        })
    }

    /// Goes on with a provider where the record ends: a conversation that was broken off is taken up again.
    #[must_use]
    pub fn then(mut self, live: Box<dyn Provider>) -> Self {
        self.live = Some(live);
        self
    }
}

impl Provider for Replay {
    fn name(&self) -> String {
        match &self.live {
            Some(live) => live.name(),
            None => format!("replay:{}", self.file),
        }
    }

    fn model(&self) -> &str {
        match &self.live {
            Some(live) => live.model(),
            None => &self.transcript.model,
        }
    }

    fn skill(&self) -> Skill {
        match &self.live {
            Some(live) => live.skill(),
            None if self.transcript.skill == "reduced" => Skill::Reduced,
            None => Skill::Whole,
        }
    }

    fn send(&self, request: &Request, watch: &Watch<'_>) -> Result<Reply, ProviderError> {
        let key = request.key();
        let found = self.transcript.exchanges.iter().find(|e| e.key == key);
        match (found.and_then(|e| e.reply.as_ref()), &self.live) {
            (Some(reply), _) => reply
                .reply()
                .map_err(|why| CoreError::format(&self.file, why).into()),
            (None, Some(live)) => live.send(request, watch),
            (None, None) => match found.and_then(|e| e.error.clone()) {
                // What failed then fails again.
                Some(why) => Err(ProviderError::Transport {
                    endpoint: self.name(),
                    why,
                }),
                None => Err(ProviderError::NotRecorded {
                    recording: self.file.clone(),
                    purpose: request.purpose.name(),
                    key,
                }),
            },
        }
    }
}
