//! The heading by the sun.

use super::Localization;
use crate::{messages::Refusal, sun};
use nalgebra::{UnitQuaternion, Vector3};
use sojourn_core::Stamp;

/// A direction of another length than these is none.
const LENGTHS: [f64; 2] = [0.5, 2.0];

/// Readings of the sun.
#[derive(Clone, Debug, Default)]
pub(super) struct SunWatch {
    newest: Option<Stamp>,
    /// One since the last tick.
    waiting: Option<(Stamp, Vector3<f64>)>,
    /// Headings in a row that were refused, and when the last one agreed.
    refused: usize,
    agreed_at: Option<Stamp>,
}

impl SunWatch {
    /// A heading was taken or refused. When so many in a row were refused that the gyro is to be doubted: how long ago the
    /// last one agreed, seconds.
    fn judged(&mut self, at: Stamp, taken: bool, doubt_readings: usize) -> Option<f64> {
        if taken {
            (self.refused, self.agreed_at) = (0, Some(at));
            return None;
        }
        self.refused += 1;
        let since_s = at.since(*self.agreed_at.get_or_insert(at));
        self.refused
            .is_multiple_of(doubt_readings)
            .then_some(since_s)
    }
}

impl Localization {
    /// Keeps a reading for the next tick.
    pub(super) fn on_sun(
        &mut self,
        now: Stamp,
        stamp: Stamp,
        direction: Vector3<f64>,
    ) -> Result<(), Refusal> {
        let p = &self.config.params.sun;
        if !p.enabled || self.state.is_none() {
            return Ok(());
        }
        // Written so that not-a-number is refused.
        if !(LENGTHS[0]..=LENGTHS[1]).contains(&direction.norm()) {
            return Err(Refusal::NotFinite);
        }
        self.check_stamp(now, stamp, self.sun.newest)?;
        if now.since(stamp) > p.late_s {
            return Err(Refusal::TooOld);
        }
        self.sun.newest = Some(stamp);
        self.sun.waiting = Some((stamp, direction));
        Ok(())
    }

    /// Brings the newest reading into the heading, after the pairs of the tick.
    pub(super) fn look_at_sun(&mut self) -> Result<(), Refusal> {
        let Some((stamp, direction)) = self.sun.waiting.take() else {
            return Ok(());
        };
        let (Some(state), Some(imu_at)) = (&mut self.state, self.imu_at) else {
            return Ok(());
        };
        let p = &self.config.params;
        // The attitude is that of the newest gyro sample.
        let turned = state.rate_radps * stamp.since(imu_at);
        // What fixes have turned `odom` by since is what the odometry's heading has wrong: the very thing to be shown.
        let map_from_odom =
            UnitQuaternion::from_axis_angle(&Vector3::z_axis(), self.map.said_yaw_rad());
        let attitude = map_from_odom
            * state.filter.odom_from_base()
            * UnitQuaternion::from_scaled_axis(turned);
        let stands_rad = p.sun.stands_at(stamp);
        if !p.sun.is_compass(stands_rad) {
            return Ok(());
        }
        let seen = sun::bearing(direction, attitude, stands_rad, p.level_sigma_rad, &p.sun)
            .ok_or(Refusal::Sun)?;
        let verdict = state.filter.heading(
            seen.off_rad,
            seen.sigma_rad * seen.sigma_rad,
            &(map_from_odom.inverse() * seen.shows),
            &seen.alike_rad,
            p.sun.gate,
        );
        let doubted = self
            .sun
            .judged(stamp, verdict.is_ok(), p.sun.doubt_readings);
        if let Some(ago_s) = doubted {
            state.filter.doubt_gyro(p.visual.doubt_bias_radps, ago_s);
        }
        let corrected = verdict.map_err(|_| Refusal::Sun)?;
        self.counts.suns += 1;
        state.at_wheels = state.filter.odom_from_base();
        self.visual.turn(corrected.turned_rad);
        Ok(())
    }
}
