//! The network on a thread of its own, so that no tick waits for it where time does not. Not part of the core: it reads the
//! wall's clock for the diagnostics.

use super::looker::{Question, Said};
use crate::classes::Classifier;
use std::{
    sync::{
        Arc,
        mpsc::{Receiver, TryRecvError, sync_channel},
    },
    time::{Duration, Instant},
};

/// Asks the network beside the node's beat, one question at a time.
#[derive(Debug)]
pub struct Beside {
    classifier: Arc<Classifier>,
    answers: Option<Receiver<(Said, Duration)>>,
}

/// How it stands with the answer to the last question.
#[derive(Clone, Debug, PartialEq)]
pub enum Taken {
    /// It is not there yet.
    NotYet,
    /// The answer, and the wall time that it took.
    Said(Said, Duration),
    /// There is none and will be none.
    Nothing,
}

impl Beside {
    /// With a network.
    #[must_use]
    pub fn new(classifier: Classifier) -> Self {
        Self {
            classifier: Arc::new(classifier),
            answers: None,
        }
    }

    /// Begins with a question; the answer to an earlier one is no longer wanted. Where no thread can be had, there will be
    /// no answer.
    pub fn begin(&mut self, question: Question) {
        let (send, answers) = sync_channel(1);
        let classifier = Arc::clone(&self.classifier);
        let begun = std::thread::Builder::new()
            .name("terrain_net".into())
            .spawn(move || {
                let begin = Instant::now();
                let said = question.put_to(&classifier);
                // Nobody listens any more when the node has ended.
                let _ = send.send((said, begin.elapsed()));
            });
        self.answers = begun.is_ok().then_some(answers);
    }

    /// The answer: with `wait`, as soon as it is there or certain not to come, else as it stands now.
    pub fn take(&mut self, wait: bool) -> Taken {
        let Some(answers) = &self.answers else {
            return Taken::Nothing;
        };
        let said = if wait {
            answers.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            answers.try_recv()
        };
        let taken = match said {
            Ok((said, took)) => Taken::Said(said, took),
            Err(TryRecvError::Empty) => return Taken::NotYet,
            Err(TryRecvError::Disconnected) => Taken::Nothing,
        };
        self.answers = None;
        taken
    }
}
