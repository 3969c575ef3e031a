//! What a node has received and not yet taken, and when a tick's inputs are complete. Pure: no ROS, no clock.
//!
//! In lockstep a tick announces how many messages each topic has carried so far. The inputs of the tick are then exactly
//! the first so many messages of each topic, whatever has arrived beyond them, ordered by stamp, topic and arrival on the
//! topic. That makes a run repeatable although the processes run at their own pace.

use sojourn_core::Stamp;
use std::collections::{BTreeMap, VecDeque};

/// A stream's message whose stamp is further than this from the tick that takes it in is refused, seconds: its sender's
/// clock is another one, or it has been under way for too long. What a node still believes within that its core decides.
pub const MAX_AGE_S: f64 = 10.0;

/// Which messages of a topic a node wants at a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All since the last tick.
    All,
    /// The newest only.
    Latest,
}

/// Counts of one topic since the start, for diagnostics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicCounts {
    /// Messages that arrived.
    pub received: u64,
    /// Messages whose content was refused (not-a-number, wrong frame, stale, …).
    pub refused: u64,
    /// Messages lost because the queue was full.
    pub dropped: u64,
}

#[derive(Debug)]
struct Entry<I> {
    sequence: u64,
    tick: u64,
    stamp: Stamp,
    input: I,
}

#[derive(Debug)]
struct Queue<I> {
    name: String,
    keep: Keep,
    by_tick: bool,
    stream: bool,
    capacity: usize,
    entries: VecDeque<Entry<I>>,
    counts: TopicCounts,
    /// The stamp of the newest message refused for its stamp, and when.
    off_clock: Option<(Stamp, Stamp)>,
    // Of a topic ordered by tick: messages per tick that have arrived, older ones folded into `settled`.
    per_tick: BTreeMap<u64, u64>,
    settled: u64,
}

/// The queues of all topics that a node subscribes to.
#[derive(Debug)]
pub struct Inbox<I> {
    queues: Vec<Queue<I>>,
}

impl<I> Default for Inbox<I> {
    fn default() -> Self {
        Self { queues: Vec::new() }
    }
}

/// How many messages each topic has carried up to the previous tick.
pub type Announced = BTreeMap<String, u64>;

impl<I> Inbox<I> {
    /// Adds a topic and returns its number. `by_tick`: several nodes publish on it and each message carries the number of
    /// the tick it was sent in, so that is what decides when a message is taken.
    pub fn add(&mut self, name: &str, keep: Keep, by_tick: bool, capacity: usize) -> usize {
        self.queues.push(Queue {
            name: name.to_string(),
            keep,
            by_tick,
            stream: false,
            off_clock: None,
            capacity: capacity.max(1),
            entries: VecDeque::new(),
            counts: TopicCounts::default(),
            per_tick: BTreeMap::new(),
            settled: 0,
        });
        self.queues.len() - 1
    }

    /// From now on messages of a topic are refused for their stamp, when they have one: see [`MAX_AGE_S`].
    pub fn check_stamps(&mut self, topic: usize) {
        if let Some(queue) = self.queues.get_mut(topic) {
            queue.stream = true;
        }
    }

    /// What has been refused for its stamp since the last call: topic and why.
    pub fn off_clock(&mut self) -> Vec<(String, String)> {
        let why = |(stamp, now): (Stamp, Stamp)| {
            let age_s = now.since(stamp);
            if age_s > 0.0 {
                format!("stamp is {age_s:.3} s old, at most {MAX_AGE_S} s allowed")
            } else {
                format!(
                    "stamp is {:.3} s in the future, at most {MAX_AGE_S} s allowed",
                    -age_s
                )
            }
        };
        let queues = self.queues.iter_mut();
        queues
            .filter_map(|q| Some((q.name.clone(), why(q.off_clock.take()?))))
            .collect()
    }

    /// Names of the topics.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.queues.iter().map(|q| q.name.as_str())
    }

    /// Counts per topic.
    pub fn counts(&self) -> impl Iterator<Item = (&str, TopicCounts)> {
        self.queues.iter().map(|q| (q.name.as_str(), q.counts))
    }

    /// A message has arrived. `input` is what it means to the node, `None` when it means nothing; `refused` when it was
    /// bad. `tick` is the number of the tick it was sent in, 0 when it carries none.
    pub fn push(&mut self, topic: usize, tick: u64, stamp: Stamp, input: Option<I>, refused: bool) {
        let Some(queue) = self.queues.get_mut(topic) else {
            return;
        };
        queue.counts.received += 1;
        queue.counts.refused += u64::from(refused);
        if queue.by_tick && tick > 0 {
            *queue.per_tick.entry(tick).or_default() += 1;
        }
        let Some(input) = input else { return };
        if queue.entries.len() >= queue.capacity {
            queue.entries.pop_front();
            queue.counts.dropped += 1;
        }
        queue.entries.push_back(Entry {
            sequence: queue.counts.received,
            tick,
            stamp,
            input,
        });
    }

    /// The first topic that has not yet carried what was announced for this tick, with (received, announced).
    pub fn missing(&self, tick: u64, announced: &Announced) -> Option<(&str, u64, u64)> {
        self.queues.iter().find_map(|q| {
            let want = *announced.get(&q.name)?;
            let have = if q.by_tick {
                q.settled + q.per_tick.range(..tick).map(|(_, n)| n).sum::<u64>()
            } else {
                q.counts.received
            };
            (have < want).then_some((q.name.as_str(), have, want))
        })
    }

    /// Takes the inputs of a tick in the order (stamp, topic, arrival). `announced` is `None` when running free: then
    /// everything that is there is taken. `now` is the tick's time; without it no stamp is checked.
    pub fn take(&mut self, tick: u64, now: Option<Stamp>, announced: Option<&Announced>) -> Vec<I> {
        let mut order: Vec<usize> = (0..self.queues.len()).collect();
        order.sort_by(|a, b| {
            self.queues[*a]
                .name
                .cmp(&self.queues[*b].name)
                .then(a.cmp(b))
        });
        let mut taken: Vec<Entry<I>> = Vec::new();
        for index in order {
            let queue = &mut self.queues[index];
            let limit = announced.and_then(|a| a.get(&queue.name).copied());
            if queue.by_tick {
                let older: Vec<u64> = queue.per_tick.range(..tick).map(|(t, _)| *t).collect();
                for t in older {
                    queue.settled += queue.per_tick.remove(&t).unwrap_or(0);
                }
            }
            let mut mine = Vec::new();
            let mut rest = VecDeque::new();
            for entry in queue.entries.drain(..) {
                let due = match (announced, limit) {
                    (None, _) => true,
                    (Some(_), _) if queue.by_tick => {
                        // What carries no tick comes from outside the lockstep and would arrive at random.
                        if entry.tick == 0 {
                            continue;
                        }
                        entry.tick < tick
                    }
                    (Some(_), Some(limit)) => entry.sequence <= limit,
                    (Some(_), None) => true,
                };
                let dated = queue.stream && entry.stamp != Stamp::default();
                match now.filter(|now| dated && now.since(entry.stamp).abs() > MAX_AGE_S) {
                    _ if !due => rest.push_back(entry),
                    Some(now) => {
                        queue.counts.refused += 1;
                        queue.off_clock = Some((entry.stamp, now));
                    }
                    None => mine.push(entry),
                }
            }
            queue.entries = rest;
            if queue.by_tick {
                // Arrival order between publishers is accidental.
                mine.sort_by_key(|e| e.tick);
            }
            match queue.keep {
                Keep::All => taken.extend(mine),
                Keep::Latest => taken.extend(mine.pop()),
            }
        }
        taken.sort_by_key(|e| e.stamp);
        taken.into_iter().map(|e| e.input).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(secs: f64) -> Stamp {
        Stamp::from_secs(secs)
    }

    fn announced(pairs: &[(&str, u64)]) -> Announced {
        pairs.iter().map(|(n, c)| ((*n).to_string(), *c)).collect()
    }

    #[test]
    fn waits_for_what_was_announced_and_leaves_the_rest() {
        let mut inbox = Inbox::default();
        let a = inbox.add("/a", Keep::All, false, 100);
        inbox.push(a, 0, at(1.0), Some(1), false);
        assert_eq!(
            inbox.missing(2, &announced(&[("/a", 2)])),
            Some(("/a", 1, 2))
        );
        inbox.push(a, 0, at(1.1), Some(2), false);
        inbox.push(a, 0, at(1.2), Some(3), false);
        assert_eq!(inbox.missing(2, &announced(&[("/a", 2)])), None);
        assert_eq!(
            inbox.take(2, None, Some(&announced(&[("/a", 2)]))),
            vec![1, 2]
        );
        assert_eq!(inbox.take(3, None, Some(&announced(&[("/a", 3)]))), vec![3]);
    }

    #[test]
    fn a_stream_is_refused_for_its_stamp_and_counted() {
        let mut inbox = Inbox::default();
        let a = inbox.add("/imu", Keep::All, false, 100);
        let b = inbox.add("/plan", Keep::All, false, 100);
        inbox.check_stamps(a);
        let stamps = [
            at(50.0),
            at(89.9),
            at(90.1),
            at(100.0),
            at(109.0),
            at(111.0),
            Stamp::default(),
        ];
        for (i, stamp) in stamps.into_iter().enumerate() {
            inbox.push(a, 0, stamp, Some(i), false);
        }
        // a latched topic may be as old as it is
        inbox.push(b, 0, at(1.0), Some(9), false);
        assert_eq!(inbox.take(1, Some(at(100.0)), None), vec![6, 9, 2, 3, 4]);
        assert_eq!(
            inbox.counts().map(|c| c.1.refused).collect::<Vec<_>>(),
            [3, 0]
        );
        let said = inbox.off_clock();
        assert!(
            said.len() == 1 && said[0].0 == "/imu" && said[0].1.contains("11.000 s in the future"),
            "{said:?}"
        );
        assert!(inbox.off_clock().is_empty());
        // in lockstep it still counts as arrived
        inbox.push(a, 0, at(1.0), Some(10), false);
        assert_eq!(inbox.missing(1, &announced(&[("/imu", 8)])), None);
        assert!(
            inbox
                .take(2, Some(at(100.0)), Some(&announced(&[("/imu", 8)])))
                .is_empty()
        );
    }

    #[test]
    fn a_refused_message_still_counts() {
        let mut inbox: Inbox<u8> = Inbox::default();
        let a = inbox.add("/a", Keep::All, false, 100);
        inbox.push(a, 0, at(1.0), None, true);
        assert_eq!(inbox.missing(1, &announced(&[("/a", 1)])), None);
        assert_eq!(inbox.counts().next().map(|c| c.1.refused), Some(1));
    }

    #[test]
    fn latest_keeps_the_newest_of_the_announced() {
        let mut inbox = Inbox::default();
        let a = inbox.add("/a", Keep::Latest, false, 100);
        for i in 0..5 {
            inbox.push(a, 0, at(1.0), Some(i), false);
        }
        assert_eq!(inbox.take(1, None, Some(&announced(&[("/a", 3)]))), vec![2]);
        assert_eq!(inbox.take(2, None, None), vec![4]);
    }

    #[test]
    fn heartbeats_go_by_their_tick_and_outsiders_are_left_out() {
        let mut inbox = Inbox::default();
        let h = inbox.add("/heartbeat", Keep::All, true, 100);
        inbox.push(h, 2, at(1.1), Some("fast 2"), false);
        inbox.push(h, 0, at(0.0), Some("outsider"), false);
        inbox.push(h, 1, at(1.0), Some("fast 1"), false);
        assert!(inbox.missing(2, &announced(&[("/heartbeat", 2)])).is_some());
        inbox.push(h, 1, at(1.0), Some("slow 1"), false);
        assert_eq!(inbox.missing(2, &announced(&[("/heartbeat", 2)])), None);
        assert_eq!(
            inbox
                .take(2, None, Some(&announced(&[("/heartbeat", 2)])))
                .len(),
            2
        );
        assert_eq!(inbox.missing(3, &announced(&[("/heartbeat", 3)])), None);
        assert_eq!(
            inbox.take(3, None, Some(&announced(&[("/heartbeat", 3)]))),
            vec!["fast 2"]
        );
    }

    #[test]
    fn a_full_queue_loses_the_oldest_and_says_so() {
        let mut inbox = Inbox::default();
        let a = inbox.add("/a", Keep::All, false, 2);
        for i in 0..5 {
            inbox.push(a, 0, at(1.0), Some(i), false);
        }
        assert_eq!(inbox.counts().next().map(|c| c.1.dropped), Some(3));
        assert_eq!(inbox.take(1, None, None), vec![3, 4]);
    }

    proptest! {
        /// Whatever the interleaving of two topics, the inputs of each tick are the same.
        #[test]
        fn interleaving_does_not_matter(order in prop::collection::vec(any::<bool>(), 40)) {
            let run = |order: &[bool]| {
                let mut inbox = Inbox::default();
                let topics = [inbox.add("/a", Keep::All, false, 100), inbox.add("/b", Keep::All, false, 100)];
                let mut sent = [0u64; 2];
                let mut out = Vec::new();
                let mut steps = order.iter().copied();
                for tick in 1..=10u64 {
                    let want = announced(&[("/a", tick), ("/b", tick)]);
                    while inbox.missing(tick, &want).is_some() {
                        let mut which = usize::from(steps.next().unwrap_or(false));
                        if sent[which] >= 10 {
                            which = 1 - which;
                        }
                        sent[which] += 1;
                        inbox.push(topics[which], 0, Stamp(sent[which] as i64), Some((which, sent[which])), false);
                    }
                    out.push(inbox.take(tick, None, Some(&want)));
                }
                out
            };
            prop_assert_eq!(run(&order), run(&[]));
        }
    }
}
