//! What the node says of itself.

use super::Localization;
use sojourn_core::{
    Stamp,
    health::{Health, NodeState},
};

/// How long a gap in the data is spoken of, seconds.
const GAP_REPORT_S: f64 = 10.0;
/// Longest time without usable gravity before it is spoken of, seconds.
const LEVEL_REPORT_S: f64 = 10.0;

impl Localization {
    pub(super) fn health(&self, now: Stamp) -> Health {
        let p = &self.config.params;
        let begin = self.first_tick.unwrap_or(now);
        let mut silent = Vec::new();
        for (name, at, limit_s) in [
            ("IMU", self.imu_at, p.imu_timeout_s),
            (
                "wheel states",
                self.wheels_at.map(|w| w.0),
                p.wheels_timeout_s,
            ),
        ] {
            let silence_s = now.since(at.unwrap_or(begin));
            if silence_s > limit_s {
                let never = if at.is_none() { "never" } else { "no" };
                silent.push(format!("{never} {name} for {silence_s:.2} s"));
            }
        }
        if !silent.is_empty() {
            return Health::error(NodeState::Fault, silent.join(", "));
        }
        if let Some(force) = self.wrong_gravity_mps2 {
            let g = self.config.gravity_mps2;
            return Health::error(
                NodeState::Starting,
                format!(
                    "at rest the IMU shows {force:.3} m/s2, the body file says {g:.3}: is it the right body, and does the \
                     rover stand still?"
                ),
            );
        }
        if self.state.is_none() || self.wheels_at.is_none() {
            let n = self.levelling.samples();
            return Health {
                reason: format!("levelling, {n} of {} samples at rest", p.init_samples),
                ..Health::ok(NodeState::Starting)
            };
        }
        if let Some((n, why)) = self.refused_since_tick {
            let reason = format!("{n} inputs refused, the last: {}", why.describe());
            return Health::warn(NodeState::Active, reason);
        }
        if let Some((at, name)) = self.gap_at
            && now.since(at) < GAP_REPORT_S
        {
            let reason = format!(
                "a gap in the {name} was bridged; the pose may have lost the rover's way in it"
            );
            return Health::warn(NodeState::Active, reason);
        }
        if let Some(sunk) = self.footing.sunk() {
            return Health::warn(NodeState::Active, sunk.describe());
        }
        if let Some(reason) = self.visual.warning() {
            return Health::warn(NodeState::Active, reason);
        }
        if self
            .level_at
            .is_some_and(|at| now.since(at) > LEVEL_REPORT_S)
        {
            let reason = "the IMU's specific force is far from gravity; roll and pitch drift";
            return Health::warn(NodeState::Active, reason);
        }
        Health::ok(NodeState::Active)
    }
}
