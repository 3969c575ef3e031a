//! Guard and executive: what they hear and what they tell.

use super::{Graph, Mail};
use sojourn_autonav::guard;
use sojourn_core::Stamp;
use sojourn_mission::executive::{self, DriveState};

impl Graph {
    pub(super) fn guard(&mut self, now: Stamp, heard: &Mail) {
        use guard::Input;
        self.guard
            .step(now, Input::Publishers(guard::Publishers::RIGHT));
        if let Some((stamp, goal)) = &heard.goal {
            self.guard.step(
                now,
                Input::Permission {
                    stamp: *stamp,
                    active: goal.active,
                },
            );
        }
        if let Some((stamp, speed_mps)) = heard.ground {
            self.guard.step(now, Input::Ground { stamp, speed_mps });
        }
        if let Some((stamp, reading)) = heard.suspension {
            self.guard.step(now, Input::Wheels { stamp, reading });
        }
        if let Some((stamp, velocity)) = heard.asked {
            self.guard.step(now, Input::Command { stamp, velocity });
        }
        for (node, stamp, health) in &heard.beats {
            self.guard.step(
                now,
                Input::Heartbeat {
                    node: (*node).to_string(),
                    stamp: *stamp,
                    state: health.state,
                    level: health.level,
                },
            );
        }
        for s in &heard.imu {
            self.guard.step(
                now,
                Input::Imu {
                    stamp: s.stamp,
                    rate_radps: s.gyro_radps,
                    force_mps2: s.accel_mps2,
                },
            );
        }
        if let Some(d) = self.guard.step(now, Input::Tick) {
            if !d.passing && self.shown.state == DriveState::Driving {
                self.account.counts.guard_stops += 1;
            }
            self.mail.passed = Some((now, d.velocity));
            self.shown.velocity = d.velocity;
            self.mail.beats.push(("guard", now, d.health));
        }
    }

    pub(super) fn execute(&mut self, now: Stamp, hold: bool, heard: &Mail) {
        use executive::Input;
        let mut inputs = Vec::with_capacity(8);
        inputs.extend(
            heard
                .status
                .iter()
                .map(|(stamp, state, reason)| Input::Autonav {
                    stamp: *stamp,
                    state: *state,
                    reason: reason.clone(),
                }),
        );
        inputs.extend(
            heard
                .beats
                .iter()
                .map(|(node, stamp, health)| Input::Heartbeat {
                    stamp: *stamp,
                    node: (*node).to_string(),
                    health: health.clone(),
                }),
        );
        inputs.extend(
            heard
                .map_from_odom
                .map(|(stamp, map_from_odom)| Input::MapFromOdom {
                    stamp,
                    map_from_odom,
                }),
        );
        inputs.extend(
            heard
                .odometry
                .map(|(stamp, odom_from_base_link)| Input::Odometry {
                    stamp,
                    odom_from_base_link,
                }),
        );
        let d = self.executive.tick(now, hold, &inputs);
        self.shown.state = d.status.state;
        self.mail.goal = Some((now, d.goal));
        self.mail.beats.push(("executive", now, d.health));
        self.shown.outcome = d.outcome;
    }
}
