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
/// Way of the wheels over which slip that is felt fades, metres: half of what lies between two readings of slip.
const CLIMB_M: f64 = 0.25;
/// Less way than this since the last reading of slip is no way to learn from, metres.
const LEAST_CLIMB_M: f64 = 0.05;

/// How the rover climbs between two readings of slip.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Climb {
    /// Forward 1, backward −1; 0 before it has driven.
    direction: f64,
    /// Way of the wheels since the last reading, metres, and the same times the pitch, radians.
    way_m: f64,
    pitch_m: f64,
    /// Way of the newest decimetres, older way fading, and what of it is lost by what is known of slip, metres.
    newest_m: f64,
    lost_m: f64,
}

impl Climb {
    /// The wheels have rolled so far (metres, backward negative) at this pitch, where this slip is expected.
    fn rolled(&mut self, way_m: f64, pitch_rad: f64, slip: f64) {
        if way_m == 0.0 {
            return;
        }
        if way_m.signum() != self.direction {
            *self = Self {
                direction: way_m.signum(),
                ..Self::default()
            };
        }
        let way_m = way_m.abs();
        self.way_m += way_m;
        self.pitch_m += way_m * pitch_rad;
        let keep = (-way_m / CLIMB_M).exp();
        self.newest_m = keep * self.newest_m + way_m;
        self.lost_m = keep * self.lost_m + way_m * slip;
    }

    /// Slip was read: mean pitch since the reading before, radians, where the rover drove far enough this way.
    fn read(&mut self) -> Option<f64> {
        let mean = (self.way_m >= LEAST_CLIMB_M).then(|| self.pitch_m / self.way_m);
        (self.way_m, self.pitch_m) = (0.0, 0.0);
        mean
    }

    /// Slip that is felt over the newest decimetres; none before so much was driven.
    fn felt(&self) -> Option<f64> {
        (self.newest_m >= 0.5 * CLIMB_M).then(|| self.lost_m / self.newest_m)
    }
}

impl AutoNav {
    /// Learns slip; stops while it is over its limit, before the wheels dig in. Between two readings the rover feels how
    /// steep it stands, and knows what that costs.
    pub(super) fn embedding(&mut self, now: Stamp, scope: &Scope) -> Result<(), Halt> {
        let class = self
            .inputs
            .ground
            .as_ref()
            .and_then(|g| g.class.nearest(scope.pose.x_m, scope.pose.y_m));
        let rolled_m = std::mem::take(&mut self.rolled_m);
        let expected = self
            .checker
            .slip()
            .worst(scope.pitch_rad, rolled_m.signum(), class);
        self.climb.rolled(rolled_m, scope.pitch_rad, expected);
        let read = self.inputs.fresh_slip(now);
        let direction = match &self.phase {
            Phase::Follow(..) => 1.0,
            Phase::Back(..) => -1.0,
            _ => return Ok(()),
        };
        if let Some(slip) = read {
            let pitch_rad = self.climb.read().unwrap_or(scope.pitch_rad);
            self.checker
                .slip_mut()
                .learn(pitch_rad, direction, class, slip);
        }
        if direction < 0.0 {
            return Ok(());
        }
        // Forward only digs deeper: from here the way goes on backwards or elsewhere.
        let allowed = scope.limits.slip * self.config.slip_share;
        let most = scope.limits.slip * self.config.slip_hold_share;
        let why = if let Some(slip) = read.filter(|slip| *slip > allowed) {
            format!("slip is {slip:.2}, allowed {allowed:.2}: embedding risk")
        } else if let Some(slip) = self.climb.felt().filter(|slip| *slip > most) {
            format!(
                "slip of {slip:.2} is to be expected of the last decimetres at a pitch of {:.1} deg, on the way allowed \
                 {most:.2}: embedding risk",
                scope.pitch_rad.to_degrees()
            )
        } else {
            return Ok(());
        };
        self.climb = Climb::default();
        self.retreat(now, scope);
        Err(Halt::new(DriveState::Stopped, why))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Drives on by centimetres at a pitch that costs so much.
    fn on(climb: &mut Climb, centimetres: i32, pitch_rad: f64, slip: f64) {
        for _ in 0..centimetres.abs() {
            climb.rolled(0.01 * f64::from(centimetres.signum()), pitch_rad, slip);
        }
    }

    #[test]
    fn a_reading_belongs_to_the_pitch_of_the_way_since_the_one_before() {
        let mut c = Climb::default();
        assert_eq!(c.read(), None);
        on(&mut c, 20, -0.1, 0.2);
        on(&mut c, 30, -0.3, 0.5);
        assert!((c.read().unwrap() + 0.22).abs() < 1e-9);
        // From there anew, and only what was driven the same way counts.
        on(&mut c, 4, -0.3, 0.5);
        assert_eq!(c.read(), None);
        on(&mut c, 30, -0.3, 0.5);
        on(&mut c, -10, -0.2, 0.1);
        assert!((c.read().unwrap() + 0.2).abs() < 1e-9);
    }

    #[test]
    fn steep_decimetres_are_felt_before_half_a_metre_of_them_is_driven() {
        let mut c = Climb::default();
        on(&mut c, 10, -0.35, 0.53);
        assert_eq!(c.felt(), None, "too little way to tell");
        on(&mut c, 90, -0.35, 0.53);
        assert!((c.felt().unwrap() - 0.53).abs() < 1e-9);
        on(&mut c, 5, -0.37, 0.63);
        assert!(c.felt().unwrap() < 0.57, "a step of a few centimetres");
        on(&mut c, 15, -0.37, 0.63);
        assert!(c.felt().unwrap() > 0.57);
        // Standing changes nothing, the other way is another matter.
        c.rolled(0.0, -0.4, 0.9);
        assert!(c.felt().is_some());
        on(&mut c, -1, -0.4, 0.0);
        assert_eq!(c.felt(), None);
    }
}
