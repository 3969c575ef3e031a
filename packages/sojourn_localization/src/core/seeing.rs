//! What stereo pairs show: the motion in the filter, and where the wheels stand.

use super::Localization;
use crate::{
    filter::{Eyes, Filter, Sight},
    messages::Refusal,
    visual::Sighting,
    vo::{Seen, StereoPair},
};
use nalgebra::{Isometry3, UnitQuaternion};
use sojourn_core::Stamp;

/// What a motion that the filter refuses is looked at once more with.
#[derive(Clone, Copy)]
enum Doubt {
    /// Wheels that run into other ground slip otherwise from one moment to the next.
    Ground,
    /// An accelerometer whose bias has stepped tilts the level.
    Accelerometer,
}

impl Localization {
    /// Takes a pair in. One that is taken at rest before the level is known waits for it: so the way is seen from its
    /// beginning.
    pub(super) fn on_pair(
        &mut self,
        now: Stamp,
        stamp: Stamp,
        pair: Box<StereoPair>,
    ) -> Result<(), Refusal> {
        let moves = self.wheels_at.is_some() && self.still_since.is_none();
        if !self.config.params.visual.enabled || (self.state.is_none() && moves) {
            return Ok(());
        }
        self.check_stamp(now, stamp, self.visual.last_pair())?;
        let mounted = pair.base_link_from_navcam.to_homogeneous();
        let focal_px = pair.camera.pinhole.fx;
        if !(mounted.iter().all(|v| v.is_finite())
            && pair.camera.baseline_m > 0.0
            && focal_px > 0.0)
        {
            return Err(Refusal::NotFinite);
        }
        if self.visual.add(stamp, pair) {
            Ok(())
        } else {
            Err(Refusal::TooOld)
        }
    }

    /// Looks at the pairs whose stamp the wheels have reached.
    pub(super) fn look(&mut self) -> Vec<Sighting> {
        let (mut out, mut stood) = (Vec::new(), Vec::new());
        let Some(state) = &mut self.state else {
            return out;
        };
        let p = &self.config.params;
        while let Some((looked, pair)) = self.visual.look() {
            self.counts.pairs += 1;
            // Where the filter believes it was then: what has been driven since is what wheels and gyro say.
            let since = state.filter.wheels_only_m() - looked.at.wheels_only_m;
            let mut there = Isometry3::from_parts(
                (state.filter.position_m() - since).into(),
                looked.at.rotation,
            );
            let mut fused = None;
            if let Seen::Moved { motion, .. } = &looked.seen {
                self.counts.motions += 1;
                let focal_px = pair.camera.pinhole.fx;
                let sight = Sight {
                    now: there,
                    key_from_now: motion.key_from_now,
                    covariance: self.visual.covariance_of(motion, 1.0 / focal_px),
                    eyes: Eyes::of(
                        focal_px,
                        pair.camera.baseline_m,
                        pair.base_link_from_navcam.translation.z,
                    ),
                };
                let see = |filter: &mut Filter| filter.see(&sight, p.visual.gate);
                let mut verdict = see(&mut state.filter);
                for doubt in [Doubt::Ground, Doubt::Accelerometer] {
                    if verdict.is_ok() {
                        break;
                    }
                    let mut anew = state.filter.clone();
                    match doubt {
                        Doubt::Ground => anew.doubt_ground(
                            there.rotation,
                            self.visual.rolled_since_key_m(&looked.at),
                            self.wheels_at.map_or(0.0, |(_, v, _)| v.speed_mps),
                            self.config.slip_sigma(0.0),
                            self.config.creep_sigma(),
                        ),
                        Doubt::Accelerometer => {
                            anew.doubt_accelerometer(p.visual.doubt_accel_mps2);
                        }
                    }
                    if let Ok(taken) = see(&mut anew) {
                        state.filter = anew;
                        verdict = Ok(taken);
                    }
                }
                fused = Some(verdict.map(|c| {
                    state.at_wheels = state.filter.odom_from_base();
                    there.translation.vector += c.moved_m;
                    there.rotation =
                        UnitQuaternion::from_scaled_axis(c.turned_rad) * there.rotation;
                    c.distance2
                }));
                let taken = matches!(fused, Some(Ok(_)));
                self.counts.outliers += u64::from(!taken);
                if let Some(ago_s) = self.visual.judged(looked.at.stamp, taken) {
                    state.filter.doubt_gyro(p.visual.doubt_bias_radps, ago_s);
                }
            }
            if self.visual.becomes_key(&looked.seen) {
                state.filter.take_key(there);
            }
            if !matches!(looked.seen, Seen::Failed { .. }) && !matches!(fused, Some(Err(_))) {
                let hubs_m = self.rover.suspension.hubs_at_m(&self.suspension);
                self.footing.stood(&there, &hubs_m, looked.at.way_m);
            } else {
                self.footing.lost();
            }
            stood.push((looked.at.stamp, there, pair));
            let sinks = self.footing.sunk().is_some();
            out.push(self.visual.conclude(looked, fused, sinks));
        }
        self.keep(stood);
        out
    }
}
