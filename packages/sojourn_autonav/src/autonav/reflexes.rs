//! What the rover feels on the way counts more than what the map says: slip, lean and suspension that go beyond their
//! shares stop it, and it goes back.

use super::{AutoNav, Phase};
use crate::{
    follow::Turn,
    inputs::Scope,
    status::{DriveState, Halt},
};
use sojourn_core::{Stamp, frames::wrap_rad};

/// What a tilt that stays the same is measured apart, radians.
const LEAN_NOISE_RAD: f64 = 0.002;
/// What a share of the suspension's limits that stays the same is measured apart.
const STRAIN_NOISE: f64 = 0.01;

impl AutoNav {
    /// Learns slip; stops while it is over its limit, before the wheels dig in.
    pub(super) fn embedding(&mut self, now: Stamp, scope: &Scope) -> Result<(), Halt> {
        let Some(slip) = self.inputs.fresh_slip(now) else {
            return Ok(());
        };
        let direction = match &self.phase {
            Phase::Follow(..) => 1.0,
            Phase::Back(..) => -1.0,
            _ => return Ok(()),
        };
        let class = self
            .inputs
            .ground
            .as_ref()
            .and_then(|g| g.class.nearest(scope.pose.x_m, scope.pose.y_m));
        self.checker
            .slip_mut()
            .learn(scope.pitch_rad, direction, class, slip);
        let allowed = scope.limits.slip * self.config.slip_share;
        if slip > allowed && direction > 0.0 {
            // Forward only digs deeper: from here the way goes on backwards or elsewhere.
            let why = format!("slip is {slip:.2}, allowed {allowed:.2}: embedding risk");
            self.retreat(now, scope);
            return Err(Halt::new(DriveState::Stopped, why));
        }
        Ok(())
    }

    /// Stops a way ahead on which the rover leans more than the map said, before the guard has to. Where the way begins
    /// beyond the share, it may lean as much as it did there.
    pub(super) fn leaning(&mut self, now: Stamp, scope: &Scope) -> Result<(), Halt> {
        if !matches!(self.phase, Phase::Follow(..)) {
            return Ok(());
        }
        let tilt_rad = scope.tilt_rad;
        let share_rad = self.config.hold_share.tilt * scope.limits.tilt_rad();
        let began_rad = *self.leant_rad.get_or_insert(tilt_rad) + LEAN_NOISE_RAD;
        let allowed_rad = share_rad.max(began_rad);
        if tilt_rad <= allowed_rad {
            return Ok(());
        }
        self.retreat(now, scope);
        Err(Halt::new(
            DriveState::Stopped,
            format!(
                "tilt is {:.1} deg, on the way allowed {:.1} deg",
                tilt_rad.to_degrees(),
                allowed_rad.to_degrees()
            ),
        ))
    }

    /// Stops a way or a turn on which the suspension takes more than the map said, before the guard has to. Where it begins
    /// beyond the share, it may take as much as it did there. Such a place is not driven over again.
    pub(super) fn straining(&mut self, now: Stamp, scope: &Scope) -> Result<(), Halt> {
        if !matches!(
            self.phase,
            Phase::Follow(..) | Phase::Turn(..) | Phase::Back(..)
        ) {
            return Ok(());
        }
        let Some(worst) = self.inputs.strain(now, &scope.limits) else {
            return Ok(());
        };
        let share = worst.value / worst.allowed;
        let began = *self.strained.get_or_insert(share) + STRAIN_NOISE;
        let most = self.config.suspension_hold_share.max(began);
        if share <= most {
            return Ok(());
        }
        self.strained = None;
        self.way_on.legs.clear();
        match &self.phase {
            Phase::Turn(turn, ..) => {
                let back_rad = wrap_rad(turn.from_rad - scope.pose.yaw_rad);
                self.phase = Phase::Look(Turn::by(scope.pose.yaw_rad, back_rad));
                self.checker.remember_felt(scope.pose, worst);
                self.next = None;
                self.stops = self.stops.saturating_add(1);
            }
            Phase::Back(_) => {
                self.phase = Phase::Plan;
                self.stops = self.stops.saturating_add(1);
            }
            _ => {
                self.checker.remember_felt(scope.pose, worst);
                self.retreat(now, scope);
            }
        }
        let why = format!(
            "{} is {:.1}, on the way allowed {:.1}",
            worst.limit,
            worst.value,
            most * worst.allowed
        );
        Err(Halt::new(DriveState::Stopped, why))
    }

    /// Here the ground is worse than the map says: back on the track, or a new way from here.
    fn retreat(&mut self, now: Stamp, scope: &Scope) {
        self.remember_dead_end([scope.pose.x_m, scope.pose.y_m]);
        self.next = None;
        self.way_on.legs.clear();
        self.stops = self.stops.saturating_add(1);
        self.blocked_since = Some(now);
        self.phase = match self.way_back(scope) {
            Some(track) => Phase::Back(track),
            None => Phase::Plan,
        };
    }
}
