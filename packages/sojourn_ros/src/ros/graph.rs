//! Who publishes what, as the ROS graph shows it. r2r gives no list of nodes; every node publishes `/rosout`, so the
//! publishers of that topic are the nodes.

use crate::ros::run::guard;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often the graph is asked.
const EVERY: Duration = Duration::from_millis(100);

/// The watched topics with the fully qualified names of their publishers, sorted; a node that publishes twice stands
/// there twice. `None`: not asked yet, or the graph did not answer.
#[derive(Debug, Default)]
pub(crate) struct GraphWatch {
    publishers: Mutex<BTreeMap<String, Option<Vec<String>>>>,
    asked: Mutex<Option<Instant>>,
}

impl GraphWatch {
    /// Watches a fully resolved topic from now on.
    pub(crate) fn add(&self, topic: String) {
        guard(&self.publishers).entry(topic).or_default();
    }

    /// What is known of a topic.
    pub(crate) fn publishers(&self, topic: &str) -> Option<Vec<String>> {
        guard(&self.publishers).get(topic).cloned().flatten()
    }

    /// Asks the graph when it is due; on the spin thread, which owns the node.
    pub(crate) fn refresh(&self, node: &r2r::Node) {
        let mut publishers = guard(&self.publishers);
        let mut asked = guard(&self.asked);
        if publishers.is_empty() || asked.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        *asked = Some(Instant::now());
        for (topic, slot) in publishers.iter_mut() {
            *slot = match node.get_publishers_info_by_topic(topic, false) {
                Ok(all) => Some(sorted_names(
                    all.iter()
                        .map(|p| (p.node_namespace.as_str(), p.node_name.as_str())),
                )),
                Err(e) => {
                    tracing::warn!("the graph does not tell who publishes {topic}: {e}");
                    None
                }
            };
        }
    }
}

fn sorted_names<'a>(all: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut names: Vec<String> = all
        .map(|(namespace, name)| format!("{}/{name}", namespace.trim_end_matches('/')))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_and_none_is_lost() {
        let all = [("/", "guard"), ("/rover", "autonav"), ("/", "guard")];
        assert_eq!(
            sorted_names(all.into_iter()),
            ["/guard", "/guard", "/rover/autonav"]
        );
    }
}
