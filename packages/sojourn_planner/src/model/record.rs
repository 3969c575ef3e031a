//! Conversations on record: every exchange as it was, pictures by digest, nothing secret; and their replay.

use super::capabilities::Capabilities;
use super::chain::{Chain, Record, read};
use super::provider::{Provider, ProviderError, Skill, Watch};
use super::turn::{Reply, Request};
use crate::validator::{Code, Violation};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sojourn_core::plan::Plan;
use sojourn_core::{CoreError, files};
use std::collections::BTreeMap;
use std::path::Path;

/// Version of the transcript's form.
pub const TRANSCRIPT_VERSION: u32 = 2;
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
    pub reply: Option<Reply>,
    /// What the service said of a model or counted, where it was asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Value>,
    /// Why none came.
    pub error: Option<String>,
}

/// What the question for a model's capabilities is found by.
pub(crate) fn probe_key(model: &str) -> String {
    format!("model:{model}")
}

/// What the count of a request's tokens is found by.
pub(crate) fn count_key(request: &Request) -> String {
    format!("count:{}", request.key())
}

/// What a conversation was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
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
}

/// Everything that was said for one plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcript {
    /// What it is about.
    pub head: Head,
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
    /// Reads a transcript, every record of whose chain follows the one before it.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the record.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        Self::read(path, false)
    }

    /// Reads one that may have broken off in the middle of its last line.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the record.
    pub fn load_torn(path: &Path) -> Result<Self, CoreError> {
        Self::read(path, true)
    }

    fn read(path: &Path, torn: bool) -> Result<Self, CoreError> {
        let what = path.display().to_string();
        let text = files::read_text(path, MAX_BYTES)?;
        let (records, _) = read(&what, &text, torn)?;
        let mut records = records.into_iter();
        let Some(Record::Head(head)) = records.next() else {
            return Err(CoreError::format(
                what,
                "is no transcript: it does not begin with what it is about",
            ));
        };
        if head.version != TRANSCRIPT_VERSION {
            return Err(CoreError::value(
                what,
                "version",
                head.version,
                TRANSCRIPT_VERSION.to_string(),
            ));
        }
        let mut out = Self {
            head,
            exchanges: Vec::new(),
            events: Vec::new(),
        };
        for record in records {
            match record {
                Record::Exchange(e) => out.exchanges.push(*e),
                Record::Event(e) => out.events.push(e),
                Record::Head(_) => {
                    return Err(CoreError::format(what, "begins twice"));
                }
            }
        }
        Ok(out)
    }

    /// The records in the order in which they came.
    fn records(&self) -> Vec<Record> {
        let mut out = vec![Record::Head(self.head.clone())];
        let mut events = self.events.iter().peekable();
        for (k, exchange) in self.exchanges.iter().enumerate() {
            while let Some(e) = events.next_if(|e| e.after <= k) {
                out.push(Record::Event(e.clone()));
            }
            out.push(Record::Exchange(Box::new(exchange.clone())));
        }
        out.extend(events.cloned().map(Record::Event));
        out
    }

    /// As the text of a file: a record on each line.
    ///
    /// # Errors
    /// [`CoreError::Format`] when it cannot be written.
    pub fn text(&self) -> Result<String, CoreError> {
        let mut chain = Chain::default();
        let mut out = String::new();
        for record in self.records() {
            out += &chain.add(record)?;
            out.push('\n');
        }
        Ok(out)
    }

    /// The end of its chain.
    ///
    /// # Errors
    /// [`CoreError::Format`] when a record cannot be written.
    pub fn chain(&self) -> Result<Chain, CoreError> {
        let mut chain = Chain::default();
        for record in self.records() {
            chain.add(record)?;
        }
        Ok(chain)
    }
}

/// What stands against a plan's record of its conversation: a sentence for each, none when it is whole and this plan's.
///
/// # Errors
/// [`CoreError`] when there is no such file.
pub fn check_transcript(plan: &Plan, path: &Path) -> Result<Vec<Violation>, CoreError> {
    let wrong = |why: String| vec![Violation::hard(Code::TranscriptBroken, why)];
    // A file that is not there is the caller's mistake, not the plan's.
    files::read_text(path, MAX_BYTES)?;
    let chain = match Transcript::load(path).and_then(|t| t.chain()) {
        Ok(chain) => chain,
        Err(e) => return Ok(wrong(e.to_string())),
    };
    let named = &plan.model.transcript_sha256;
    Ok(if named.is_empty() {
        wrong("the plan names no record of a conversation".into())
    } else if named != chain.end() {
        wrong(format!(
            "{}: its chain of {} records ends with {}, the plan was made after {named}",
            path.display(),
            chain.records(),
            chain.end()
        ))
    } else {
        Vec::new()
    })
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

    /// A transcript that was read before; `name` is its file's.
    #[must_use]
    pub fn of(name: &str, transcript: Transcript) -> Self {
        Self {
            file: name.to_string(),
            transcript,
            live: None,
        }
    }

    /// What the service said then.
    fn again<T: serde::de::DeserializeOwned>(
        &self,
        e: &Exchange,
    ) -> Result<Option<T>, ProviderError> {
        if let Some(why) = &e.error {
            return Err(ProviderError::Transport {
                endpoint: self.name(),
                why: why.clone(),
            });
        }
        let found = e.found.clone().unwrap_or(Value::Null);
        serde_json::from_value(found)
            .map_err(|why| CoreError::format(&self.file, format!("{}: {why}", e.key)).into())
    }

    /// What is on record under a key.
    fn found(&self, key: &str) -> Option<&Exchange> {
        self.transcript.exchanges.iter().find(|e| e.key == key)
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
            None => &self.transcript.head.model,
        }
    }

    fn skill(&self) -> Skill {
        match &self.live {
            Some(live) => live.skill(),
            None if self.transcript.head.skill == "reduced" => Skill::Reduced,
            None => Skill::Whole,
        }
    }

    fn capabilities(
        &self,
        model: &str,
        watch: &Watch<'_>,
    ) -> Result<Option<Capabilities>, ProviderError> {
        match (self.found(&probe_key(model)), &self.live) {
            (Some(e), _) => self.again(e),
            (None, Some(live)) => live.capabilities(model, watch),
            (None, None) => Ok(None),
        }
    }

    fn count(&self, request: &Request, watch: &Watch<'_>) -> Result<Option<u64>, ProviderError> {
        match (self.found(&count_key(request)), &self.live) {
            (Some(e), _) => self.again(e),
            (None, Some(live)) => live.count(request, watch),
            (None, None) => Ok(None),
        }
    }

    fn send(&self, request: &Request, watch: &Watch<'_>) -> Result<Reply, ProviderError> {
        let key = request.key();
        let found = self.found(&key);
        match (found.and_then(|e| e.reply.as_ref()), &self.live) {
            (Some(reply), _) => Ok(reply.clone()),
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
