//! Searches on the map beside the node's beat, one at a time.

use sojourn_core::Stamp;
use sojourn_localization::finding::{Answer, OrbitalMap, Search};
use std::sync::{
    Arc,
    mpsc::{Receiver, RecvTimeoutError, sync_channel},
};
use std::time::Duration;

struct Running {
    stamp: Stamp,
    answer_at: Stamp,
    answers: Receiver<Answer>,
    late: bool,
}

/// Runs searches on a thread of its own.
pub struct Worker {
    map: Arc<OrbitalMap>,
    patience: Duration,
    running: Option<Running>,
}

impl Worker {
    /// `patience` is how long it waits for an answer that is due, by the wall's clock.
    pub fn new(map: OrbitalMap, patience: Duration) -> Self {
        Self {
            map: Arc::new(map),
            patience,
            running: None,
        }
    }

    /// Begins a search; the node's core begins none before the last one was answered.
    pub fn begin(&mut self, search: Arc<Search>) {
        let (send, answers) = sync_channel(1);
        let (stamp, answer_at) = (search.stamp, search.answer_at);
        let map = Arc::clone(&self.map);
        let begun = std::thread::Builder::new()
            .name("map_fix".into())
            .spawn(move || {
                // Nobody listens any more when the answer came too late.
                let _ = send.send(search.run(&map));
            });
        if let Err(e) = begun {
            // The channel is closed: the answer will be that there is none.
            tracing::error!("the search on the map cannot be begun: {e}");
        }
        self.running = Some(Running {
            stamp,
            answer_at,
            answers,
            late: false,
        });
    }

    /// The answer, at the moment that the search named or as soon as it is there after that.
    pub fn answer(&mut self, now: Stamp) -> Option<Answer> {
        let running = self.running.as_mut()?;
        if now < running.answer_at {
            return None;
        }
        let stamp = running.stamp;
        let late = std::mem::replace(&mut running.late, true);
        let patience = if late { Duration::ZERO } else { self.patience };
        let answer = match running.answers.recv_timeout(patience) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                if !late {
                    tracing::warn!(
                        "the search on the map of {:.1} s takes longer than map_fix.answer_after_s",
                        stamp.as_secs()
                    );
                }
                return None;
            }
            Err(RecvTimeoutError::Disconnected) => {
                Search::unanswered(stamp, "the search came to no end")
            }
        };
        self.running = None;
        Some(answer)
    }
}
