//! Asking: budgets, the record, and what an envelope has to look like before anybody reads the letter.

use super::capabilities::Capabilities;
use super::chain::{Chain, Record};
use super::config::ModelConfig;
use super::protocol::Journal;
use super::provider::{Provider, ProviderError, Watch};
use super::record::{Event, Exchange, count_key, probe_key};
use super::turn::{Block, Message, Purpose, Reply, Request, Role, ToolSpec, Usage};
use crate::error::PlanError;
use crate::validator::{Envelope, Limits, Violation, check_envelope};
use serde::Serialize;
use serde_json::{Value, json};
use sojourn_core::CoreError;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spent {
    /// Requests sent, those that failed included.
    pub requests: usize,
    /// Views shown on request.
    pub views: usize,
    /// Calls of tools.
    pub tool_calls: usize,
    /// Tokens.
    pub tokens: Usage,
    /// US dollars where the price is known.
    pub usd: f64,
    /// Time of the requests, seconds.
    pub seconds: f64,
}

/// A conversation with one provider, under budgets and on record.
pub(crate) struct Talk<'a> {
    pub provider: &'a dyn Provider,
    pub model: String,
    pub config: &'a ModelConfig,
    pub limits: &'a Limits,
    pub watch: &'a Watch<'a>,
    pub spent: Spent,
    pub exchanges: Vec<Exchange>,
    pub events: Vec<Event>,
    /// The record's chain so far.
    pub chain: Chain,
    /// Takes every line of the record as it comes.
    pub journal: Option<&'a Journal<'a>>,
    /// Why the record cannot be kept any more.
    pub broken: Option<CoreError>,
    /// What the service said of the model that is asked.
    pub known: Capabilities,
    /// Kinds of questions that were counted.
    pub counted: BTreeSet<Purpose>,
}

/// Why a question stayed without an answer that can be read.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The provider gave none.
    Provider(ProviderError),
    /// The model declined, with the category.
    Refused(String),
    /// What came is not whole.
    Envelope(Vec<Violation>),
    /// What came is no answer to the question.
    Unreadable(String),
    /// The host could not ask.
    Own(String),
}

impl NoAnswer {
    pub fn words(&self) -> String {
        match self {
            Self::Provider(e) => e.to_string(),
            Self::Refused(category) => format!("the model declined (category {category})"),
            Self::Unreadable(why) | Self::Own(why) => why.clone(),
            Self::Envelope(v) => v
                .iter()
                .map(|v| v.message.as_str())
                .collect::<Vec<_>>()
                .join("; "),
        }
    }

    /// Something of the host's own.
    pub fn own(e: PlanError) -> Self {
        Self::Own(e.to_string())
    }

    /// Whether a person stopped it.
    pub fn cancelled(&self) -> bool {
        matches!(self, Self::Provider(ProviderError::Cancelled))
    }

    /// Whether another model could do better.
    pub fn another_may(&self) -> bool {
        !matches!(
            self,
            Self::Provider(ProviderError::Cancelled | ProviderError::Budget(_)) | Self::Own(_)
        )
    }
}

impl<'a> Talk<'a> {
    pub fn note(&mut self, kind: &str, text: impl Into<String>) {
        let text = super::plain(&text.into(), 600);
        (self.watch.progress)(&format!("{kind}: {text}"));
        let event = Event {
            after: self.exchanges.len(),
            kind: kind.to_string(),
            text,
        };
        self.keep(Record::Event(event.clone()));
        self.events.push(event);
    }

    /// Puts a record at the end of the chain.
    pub fn keep(&mut self, record: Record) {
        if self.broken.is_some() {
            return;
        }
        let kept = self.chain.add(record).and_then(|line| match self.journal {
            Some(journal) => journal(&line),
            None => Ok(()),
        });
        self.broken = kept.err();
    }

    fn keep_exchange(&mut self, exchange: Exchange) {
        self.keep(Record::Exchange(Box::new(exchange.clone())));
        self.exchanges.push(exchange);
    }

    /// Asks the service what the model can do; the error is why it cannot do this work. A service that does not say is
    /// believed to serve what was asked for.
    pub fn probe(&mut self) -> Result<(), NoAnswer> {
        self.known = Capabilities::default();
        if !self.config.protocol.probe {
            return Ok(());
        }
        (self.watch.progress)(&format!("asking what {} can do", self.model));
        let result = self.provider.capabilities(&self.model, self.watch);
        let mut exchange = Exchange {
            key: probe_key(&self.model),
            request: json!({"purpose": "what the model can do", "model": self.model}),
            reply: None,
            found: None,
            error: None,
        };
        match result {
            // Nothing was asked.
            Ok(None) => return Ok(()),
            Ok(Some(known)) => {
                exchange.found = serde_json::to_value(&known).ok();
                self.known = known;
            }
            Err(ProviderError::Cancelled) => {
                return Err(NoAnswer::Provider(ProviderError::Cancelled));
            }
            Err(e) => exchange.error = Some(super::plain(&e.to_string(), 400)),
        }
        self.keep_exchange(exchange);
        if self.known.images == Some(false) {
            return Err(NoAnswer::Unreadable(format!(
                "the service says that {} sees no pictures",
                super::plain(&self.model, 60)
            )));
        }
        if self.known.structured_outputs == Some(false) {
            self.note(
                "decision",
                "the service promises no answers by schema; they are checked here as always",
            );
        }
        Ok(())
    }

    /// Room for an answer: the configuration's, or what the model can give.
    fn room(&self) -> u32 {
        let most = self.known.max_tokens.unwrap_or(u64::MAX);
        let own = self.config.budgets.max_tokens;
        u32::try_from(most).map_or(own, |most| own.min(most))
    }

    /// Has the first question of a kind counted before it is put: one that is too long, too dear or refused costs nothing.
    fn count_first(&mut self, request: &Request) -> Result<(), NoAnswer> {
        if !self.config.protocol.count_tokens || !self.counted.insert(request.purpose) {
            return Ok(());
        }
        let result = self.provider.count(request, self.watch);
        let mut exchange = Exchange {
            key: count_key(request),
            request: json!({"purpose": format!("tokens of: {}", request.purpose.name()), "key": request.key()}),
            reply: None,
            found: None,
            error: None,
        };
        let refused = match result {
            Ok(None) => return Ok(()),
            Ok(Some(n)) => {
                exchange.found = Some(json!(n));
                self.too_much(request, n)
            }
            Err(ProviderError::Cancelled) => {
                return Err(NoAnswer::Provider(ProviderError::Cancelled));
            }
            Err(e) => {
                exchange.error = Some(super::plain(&e.to_string(), 400));
                // What is wrong with the question now will be wrong with it then; anything else is the counter's trouble.
                matches!(
                    e,
                    ProviderError::Status {
                        status: 400 | 413,
                        ..
                    }
                )
                .then_some(NoAnswer::Provider(e))
            }
        };
        self.keep_exchange(exchange);
        refused.map_or(Ok(()), Err)
    }

    fn too_much(&self, request: &Request, tokens: u64) -> Option<NoAnswer> {
        let most = self.known.max_input_tokens.unwrap_or(u64::MAX);
        if tokens > most {
            return Some(NoAnswer::Own(format!(
                "the question has {tokens} tokens, the model takes at most {most}"
            )));
        }
        let question = Usage {
            input: tokens,
            ..Usage::default()
        };
        let usd = self.config.price(&request.model)?.usd(&question);
        let most = self.config.budgets.usd;
        (self.spent.usd + usd > most).then(|| {
            NoAnswer::Provider(ProviderError::Budget(format!(
                "the question alone would cost {usd:.2} US dollars after {:.2}, the budget is {most}",
                self.spent.usd
            )))
        })
    }

    pub fn request(
        &self,
        purpose: Purpose,
        system: &str,
        blocks: Vec<Block>,
        format: (&'static str, Arc<Value>),
        tools: Arc<Vec<ToolSpec>>,
    ) -> Request {
        Request {
            purpose,
            model: self.model.clone(),
            system: system.to_string(),
            messages: vec![Message {
                role: Role::User,
                blocks,
            }],
            tools,
            format,
            max_tokens: self.room(),
            effort: self.config.endpoints.effort.clone(),
        }
    }

    /// The first budget that is spent.
    pub fn overspent(&self) -> Option<String> {
        let (b, s) = (&self.config.budgets, &self.spent);
        [
            (s.requests as f64, b.requests as f64, "requests"),
            (
                s.tokens.output as f64,
                b.output_tokens as f64,
                "tokens of answers",
            ),
            (s.usd, b.usd, "US dollars"),
            (s.seconds, b.wall_s, "seconds"),
        ]
        .into_iter()
        .find(|(spent, most, _)| spent >= most)
        .map(|(spent, most, what)| {
            format!("the budget of {most} {what} is spent ({spent:.2} so far)")
        })
    }

    /// Sends a request; the reply has come to its end by `end_turn`, or by `tool_use` where tools were offered.
    pub fn ask(&mut self, request: &Request) -> Result<Reply, NoAnswer> {
        let reply = self.send(request)?;
        if reply.stop_reason != "max_tokens" {
            return self.opened(request, reply);
        }
        // Half an answer is none; once it may have more room.
        self.note(
            "decision",
            "the answer was cut off for lack of room; asked once more with twice the room",
        );
        let mut roomy = request.clone();
        roomy.max_tokens = request.max_tokens.saturating_mul(2);
        if let Some(most) = self.known.max_tokens.and_then(|n| u32::try_from(n).ok()) {
            roomy.max_tokens = roomy.max_tokens.min(most);
        }
        let reply = self.send(&roomy)?;
        self.opened(&roomy, reply)
    }

    fn send(&mut self, request: &Request) -> Result<Reply, NoAnswer> {
        if self.watch.cancelled() {
            return Err(NoAnswer::Provider(ProviderError::Cancelled));
        }
        if let Some(why) = self.overspent() {
            return Err(NoAnswer::Provider(ProviderError::Budget(why)));
        }
        if let Some(e) = &self.broken {
            // What cannot be recorded is not said.
            return Err(NoAnswer::Own(e.to_string()));
        }
        self.count_first(request)?;
        (self.watch.progress)(&format!(
            "asking {} ({})",
            self.model,
            request.purpose.name()
        ));
        self.spent.requests += 1;
        let result = self.provider.send(request, self.watch);
        let mut exchange = Exchange {
            key: request.key(),
            request: request.record(),
            reply: None,
            found: None,
            error: None,
        };
        match result {
            Ok(reply) => {
                self.spent.requests += (reply.attempts.max(1) - 1) as usize;
                self.count(&reply);
                exchange.reply = Some(reply.clone());
                self.keep_exchange(exchange);
                Ok(reply)
            }
            Err(e) => {
                exchange.error = Some(super::plain(&e.to_string(), 400));
                self.keep_exchange(exchange);
                Err(NoAnswer::Provider(e))
            }
        }
    }

    fn count(&mut self, reply: &Reply) {
        let (t, u) = (&mut self.spent.tokens, &reply.usage);
        // A service may claim anything; the sums must not wrap.
        t.input = t.input.saturating_add(u.input);
        t.output = t.output.saturating_add(u.output);
        t.cache_read = t.cache_read.saturating_add(u.cache_read);
        t.cache_write = t.cache_write.saturating_add(u.cache_write);
        self.spent.usd += self.config.price(&self.model).map_or(0.0, |p| p.usd(u));
        self.spent.seconds += reply.seconds;
    }

    /// Section A of the checklist.
    fn opened(&mut self, request: &Request, reply: Reply) -> Result<Reply, NoAnswer> {
        if reply.stop_reason == "refusal" {
            return Err(NoAnswer::Refused(
                reply.refusal.clone().unwrap_or_else(|| "none given".into()),
            ));
        }
        let calls = reply
            .blocks
            .iter()
            .any(|b| matches!(b, Block::ToolUse { .. }));
        let tools = reply.stop_reason == "tool_use" && calls && !request.tools.is_empty();
        let envelope = Envelope {
            // A request for tools is a good end too.
            stop_reason: if tools {
                "end_turn".into()
            } else {
                reply.stop_reason.clone()
            },
            complete: reply.complete,
            model_asked: self.model.clone(),
            // A local server serves what it has loaded under any name.
            model_echo: if self.model == "default" {
                self.model.clone()
            } else {
                reply.model.clone()
            },
            prompt_tokens: reply.usage.prompt(),
            prompt_tokens_estimated: request.tokens_estimated(),
            overspent: Vec::new(),
        };
        let wrong = check_envelope(&envelope, self.limits);
        if wrong.is_empty() {
            return Ok(reply);
        }
        for v in &wrong {
            let text = v.message.clone();
            self.note("violation", text);
        }
        Err(NoAnswer::Envelope(wrong))
    }
}

/// The text of an answer as JSON of a type. The error is one sentence for the model and for people.
pub(crate) fn read<T: serde::de::DeserializeOwned>(
    reply: &Reply,
    limits: &Limits,
) -> Result<T, String> {
    let text = reply.text();
    if text.trim().is_empty() {
        return Err("the answer holds no text".into());
    }
    if text.len() > limits.answer.max_bytes {
        return Err(format!(
            "the answer is {} bytes long, expected at most {}",
            text.len(),
            limits.answer.max_bytes
        ));
    }
    let mut out = Vec::new();
    let Some(mut value) = crate::validator::parse_value(&text, limits, &mut out) else {
        return Err(out.first().map_or_else(String::new, |v| v.message.clone()));
    };
    crate::validator::fold_names(&mut value);
    serde_json::from_value(value).map_err(|e| {
        format!(
            "the answer does not follow its schema: {}",
            super::plain(&e.to_string(), 200)
        )
    })
}
