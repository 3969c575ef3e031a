//! What the node says of itself: whether images come and are used.

use crate::{Perception, config::Source};
use sojourn_core::{
    Stamp,
    health::{Health, HealthLevel, NodeState},
};

impl Perception {
    /// Health with what the further sensors lack.
    pub(crate) fn health(&self, now: Stamp) -> Health {
        let health = self.camera_health(now);
        let since = self.first_tick.unwrap_or(now);
        let lacks: Vec<String> = self
            .sensors
            .iter()
            .filter_map(|s| s.complaint(now, since))
            .collect();
        if lacks.is_empty() || health.level == HealthLevel::Error {
            return health;
        }
        let words = std::iter::once(health.reason.clone()).chain(lacks);
        let said: Vec<String> = words.filter(|w| !w.is_empty()).collect();
        Health::warn(health.state, said.join("; "))
    }

    fn camera_health(&self, now: Stamp) -> Health {
        let newest = if self.config.params.source == Source::None {
            self.newest_entry
        } else {
            self.newest_image
        };
        let since = newest.or(self.first_tick).unwrap_or(now);
        let silence_s = now.since(since);
        let (p, period_s) = (&self.config.params, self.config.image_period_s);
        let refused = match self.last_refusal {
            Some(why) if self.refused_since_image > 0 => {
                let n = self.refused_since_image;
                format!("; {n} inputs refused since, the last: {}", why.describe())
            }
            _ => String::new(),
        };
        if silence_s > period_s + p.image_error_s {
            let what = if newest.is_some() {
                "no usable depth image"
            } else {
                "never a usable depth image"
            };
            return Health::error(
                NodeState::Fault,
                format!("{what} for {silence_s:.1} s{refused}"),
            );
        }
        let state = if newest.is_some() {
            NodeState::Active
        } else {
            NodeState::Starting
        };
        if newest.is_some() && silence_s > period_s + p.image_warn_s {
            return Health::warn(
                state,
                format!("no usable depth image for {silence_s:.1} s{refused}"),
            );
        }
        if self.refused_since_image > 0 {
            return Health::warn(state, refused.trim_start_matches("; "));
        }
        if state == NodeState::Starting {
            return Health {
                reason: "waiting for the first image, its camera and its odometry".into(),
                ..Health::ok(state)
            };
        }
        Health::ok(state)
    }
}
