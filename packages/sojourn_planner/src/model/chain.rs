//! The chain of a transcript: every record holds the digest of the one before it, so that none can be changed, left out or
//! put in later without notice. A transcript's file has one record on a line, written as it comes; what broke off is
//! whole up to its last line.

use super::record::{Event, Exchange, Head};
use serde::{Deserialize, Serialize};
use sojourn_core::CoreError;
use sojourn_core::plan::digest_of;

/// A record of a transcript.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    /// The first: who is asked, about which ground, with which configuration.
    Head(Head),
    /// One request and what came back.
    Exchange(Box<Exchange>),
    /// Something that the host did.
    Event(Event),
}

/// A record in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    /// Digest of the record before; empty for the first.
    before: String,
    record: Record,
}

impl Link {
    /// SHA-256 of the canonical form. How long an answer took is no part of it: the same words make the same chain.
    fn digest(&self) -> Result<String, CoreError> {
        if let Record::Exchange(e) = &self.record
            && e.reply.as_ref().is_some_and(|r| r.seconds != 0.0)
        {
            let mut timeless = self.clone();
            if let Record::Exchange(e) = &mut timeless.record
                && let Some(reply) = &mut e.reply
            {
                reply.seconds = 0.0;
            }
            return digest_of("record of a transcript", &timeless);
        }
        digest_of("record of a transcript", self)
    }
}

/// The end of a chain that grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    end: String,
    records: usize,
}

impl Chain {
    /// Digest of the last record, hex; empty before the first.
    #[must_use]
    pub fn end(&self) -> &str {
        &self.end
    }

    /// Records so far.
    #[must_use]
    pub fn records(&self) -> usize {
        self.records
    }

    /// Adds a record; its line for the file, without the line's end.
    ///
    /// # Errors
    /// [`CoreError::Format`] when it cannot be written.
    pub fn add(&mut self, record: Record) -> Result<String, CoreError> {
        let link = Link {
            before: self.end.clone(),
            record,
        };
        let line = serde_json::to_string(&link)
            .map_err(|e| CoreError::format("transcript", e.to_string()))?;
        self.end = link.digest()?;
        self.records += 1;
        Ok(line)
    }

    /// Takes a line of a file in when it follows.
    fn follow(&mut self, what: &str, line: &str) -> Result<Record, CoreError> {
        let n = self.records + 1;
        let link: Link = serde_json::from_str(line).map_err(|e| {
            CoreError::format(what, format!("record {n} is none of a transcript: {e}"))
        })?;
        if link.before != self.end {
            return Err(CoreError::format(
                what,
                format!(
                    "the chain is broken at record {n}: it follows {}, the record before it is {}; a record was changed, left out or put in",
                    short(&link.before),
                    short(&self.end)
                ),
            ));
        }
        self.end = link.digest()?;
        self.records = n;
        Ok(link.record)
    }
}

fn short(digest: &str) -> String {
    if digest.is_empty() {
        return "nothing".into();
    }
    digest.chars().take(12).collect()
}

/// The records of a transcript's text and the end of their chain. With `torn`, a last line that broke off is left out.
///
/// # Errors
/// [`CoreError`] that names `what`, the record and what is wrong.
pub fn read(what: &str, text: &str, torn: bool) -> Result<(Vec<Record>, Chain), CoreError> {
    let mut chain = Chain::default();
    let mut out = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            continue;
        }
        match chain.follow(what, line.trim_end()) {
            Ok(record) => out.push(record),
            Err(_) if torn && !line.ends_with('\n') => break,
            Err(e) => return Err(e),
        }
    }
    Ok((out, chain))
}
