//! The whole rover: how fast it moves when its wheels turn as they are told and the ground gives what it can.
//!
//! Quasi-static: the forces of all wheels, the weight's share along the slope and the yaw moment add up to nothing. The
//! three unknowns are the body's speeds ahead, to the left, and about its up axis. Slip of every wheel, creep down a side
//! slope, the drag of a wheel that stands still, skid steering and being stuck all come out of that one balance.

use super::{loads::wheel_loads_n, table::WheelTable, wheel::Contact};
use rayon::prelude::*;
use sojourn_core::{
    body::Body,
    kinematics::{WheelMotion, velocity_from},
    rover::{Rover, Wheel},
    settle::Settled,
    soil::Soil,
};

/// Most steps of the balance's search.
const MAX_STEPS: usize = 40;
/// Steps of the slower way to the balance at most.
const MAX_RELAXING: usize = 200;
/// The balance holds when the forces left over are this share of the weight.
const BALANCED: f64 = 1e-4;
/// Speeds below this share of the fastest rim's are smoothed over: ground that stands does not choose a direction.
const STILL: f64 = 0.01;
/// Faster than this share of the fastest rim no rover slides in a balance: beyond, it falls.
const FASTEST: f64 = 1.5;
/// How deep a wheel can dig itself in, in wheel radii, sinkage included: to the hub, nearly.
const DEEPEST: f64 = 0.9;

/// One wheel after a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WheelContact {
    /// Force on the ground at right angles to the body's plane, newtons; 0 for a wheel that is off the ground.
    pub load_n: f64,
    /// `1 − ground speed / rim speed` along the wheel's heading, −1 (locked) to 1 (spinning on the spot).
    pub slip: f64,
    /// Sinkage with what the wheel has dug, metres.
    pub sinkage_m: f64,
    /// Drawbar along the wheel's heading, newtons: what is left after the soil's resistance.
    pub drawbar_n: f64,
    /// Force to the wheel's left, newtons.
    pub side_n: f64,
    /// Torque of the drive about the axle, N·m; driving forward positive.
    pub torque_nm: f64,
    /// Share of what the ground could give that is used, 0 to 1.
    pub used: f64,
}

/// How the rover moves, and what each wheel has to do with it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traction {
    /// Along the body's x axis, over the ground, m/s.
    pub forward_mps: f64,
    /// Along the body's y axis, m/s: creep.
    pub left_mps: f64,
    /// About the body's up axis, rad/s.
    pub turn_radps: f64,
    /// Share of the wheels' way that is lost, over all wheels along their headings: of the way straight ahead, of the turn
    /// in place. Negative when it is pushed ahead downhill, above 1 when it slides back.
    pub slip: f64,
    /// The wheels turn and the rover does not move.
    pub stuck: bool,
    /// Whether a balance was found; if not, the last step of its search stands.
    pub balanced: bool,
    /// The wheels.
    pub wheels: [WheelContact; 6],
}

/// What a rover's wheels have done to the ground so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tracks {
    /// How deep each wheel has dug itself in, metres.
    pub dug_m: [f64; 6],
    /// Last balance, in rim speeds: where the next search begins.
    pub(super) last: [f64; 3],
}

/// A rover's traction on a set of soils.
#[derive(Clone, Debug)]
pub struct Dynamics {
    rover: Rover,
    center_m: [f64; 3],
    gravity_mps2: f64,
    hubs_m: [[f64; 3]; 6],
    reach_m: f64,
    tables: Vec<WheelTable>,
}

/// What a step is about.
struct Step<'a> {
    tables: [&'a WheelTable; 6],
    loads_n: [f64; 6],
    walls_n: [f64; 6],
    steer: [(f64, f64); 6],
    rim_mps: [f64; 6],
    /// Weight along x and y, its moment about the up axis over `reach_m`, newtons.
    gravity_n: [f64; 3],
    weight_n: f64,
    fastest_mps: f64,
}

impl Dynamics {
    /// Prepares the tables: some milliseconds for each soil.
    #[must_use]
    pub fn new(rover: &Rover, body: &Body, soils: &[Soil]) -> Self {
        let hubs_m = rover.hubs_m();
        let static_n = rover.mass_kg * body.gravity_mps2 / rover.wheel_count() as f64;
        let table = |s: &Soil| WheelTable::new(s, &rover.wheel, static_n, body.gravity_mps2);
        Self {
            center_m: rover.center_m(),
            gravity_mps2: body.gravity_mps2,
            hubs_m,
            reach_m: hubs_m.iter().fold(0.1f64, |m, h| m.max(h[0].hypot(h[1]))),
            tables: soils.par_iter().map(table).collect(),
            rover: rover.clone(),
        }
    }

    /// Number of soils.
    #[must_use]
    pub fn soils(&self) -> usize {
        self.tables.len()
    }

    /// The table of a soil, by its place in the list given to [`Dynamics::new`].
    #[must_use]
    pub fn table(&self, soil: usize) -> Option<&WheelTable> {
        self.tables.get(soil)
    }

    /// Moves the rover for `dt_s`: how it stands, the soil under each wheel (by place in the list; beyond it the last) and
    /// how the wheels turn. `tracks` is carried from step to step.
    #[must_use]
    pub fn step(
        &self,
        tracks: &mut Tracks,
        settled: &Settled,
        soils: [usize; 6],
        motion: &WheelMotion,
        dt_s: f64,
    ) -> Traction {
        let Some(last) = self.tables.last() else {
            return Traction::default();
        };
        let tables = soils.map(|k| self.tables.get(k).unwrap_or(last));
        let step = self.prepare(tables, tracks, settled, motion);
        let moving = step.fastest_mps > 0.0 && step.fastest_mps.is_finite();
        let (q, balanced) = if moving {
            self.balance(&step, tracks, motion)
        } else {
            // The gears hold: a rover whose wheels stand stays where it is.
            ([0.0; 3], true)
        };
        tracks.last = q;
        let mut out = Traction {
            balanced,
            ..Traction::default()
        };
        let scale = if moving { step.fastest_mps } else { 0.0 };
        [out.forward_mps, out.left_mps] = [q[0] * scale, q[1] * scale];
        out.turn_radps = q[2] * scale / self.reach_m;
        out.slip = slip_of(&step.rim_mps, |i| {
            self.ground_speed(i, q, step.steer[i]).0 * scale
        });
        // Within the smoothing around standing still no way is told from none.
        let speed = q[0].hypot(q[1]).max(q[2].abs());
        if moving && speed < 1.5 * STILL {
            out.stuck = true;
            [out.forward_mps, out.left_mps, out.turn_radps] = [0.0; 3];
            out.slip = 1.0;
        }
        for i in 0..6 {
            let (u, v) = self.ground_speed(i, q, step.steer[i]);
            let (fx, fy, c, slip) = self.wheel_force(&step, i, u, v);
            let dug_m = dig(
                step.tables[i].dig(),
                tracks.dug_m[i],
                c.sinkage_m,
                self.rover.wheel.radius_m,
                [step.rim_mps[i] * dt_s, u * scale * dt_s],
            );
            tracks.dug_m[i] = dug_m;
            out.wheels[i] = WheelContact {
                load_n: step.loads_n[i],
                slip,
                sinkage_m: c.sinkage_m + dug_m,
                drawbar_n: fx,
                side_n: fy,
                torque_nm: c.torque_nm,
                used: if c.capacity_n > 0.0 {
                    (c.thrust_n.hypot(c.side_n) / c.capacity_n).min(1.0)
                } else {
                    0.0
                },
            };
        }
        out
    }

    fn prepare<'a>(
        &self,
        tables: [&'a WheelTable; 6],
        tracks: &Tracks,
        settled: &Settled,
        motion: &WheelMotion,
    ) -> Step<'a> {
        let weight_n = self.rover.mass_kg * self.gravity_mps2;
        let (sin_pitch, cos_pitch) = settled.pitch_rad.sin_cos();
        let (sin_roll, cos_roll) = settled.roll_rad.sin_cos();
        let upright = cos_pitch * cos_roll;
        let vertical = wheel_loads_n(&self.rover, self.gravity_mps2, settled);
        // REP-103: nose down is positive and pulls ahead, right side down is positive and pulls to the right.
        let (gx, gy) = (weight_n * sin_pitch, -weight_n * sin_roll * cos_pitch);
        let width_m = self.rover.wheel.width_m;
        let mut walls_n = [0.0; 6];
        for (i, w) in walls_n.iter_mut().enumerate() {
            *w = tables[i].wall().force_n(width_m, tracks.dug_m[i]);
        }
        Step {
            tables,
            loads_n: vertical.map(|n| (n * upright).max(0.0)),
            walls_n,
            steer: motion.steer_rad.map(f64::sin_cos),
            rim_mps: motion.rim_mps,
            gravity_n: [
                gx,
                gy,
                (self.center_m[0] * gy - self.center_m[1] * gx) / self.reach_m,
            ],
            weight_n,
            fastest_mps: motion.rim_mps.iter().fold(0.0f64, |m, v| m.max(v.abs())),
        }
    }

    /// Speed of the ground under a wheel along and to the left of its heading, in rim speeds.
    fn ground_speed(&self, i: usize, q: [f64; 3], (s, c): (f64, f64)) -> (f64, f64) {
        let [x, y, _] = self.hubs_m[i];
        let (vx, vy) = (
            q[0] - q[2] * y / self.reach_m,
            q[1] + q[2] * x / self.reach_m,
        );
        (vx * c + vy * s, vy * c - vx * s)
    }

    /// Force of a wheel along and to the left of its heading, newtons, with its contact and slip. Speeds in rim speeds.
    fn wheel_force(&self, step: &Step, i: usize, u: f64, v: f64) -> (f64, f64, Contact, f64) {
        let rim = step.rim_mps[i] / step.fastest_mps.max(f64::MIN_POSITIVE);
        let smooth = |x: f64| x / (x * x + STILL * STILL).sqrt();
        // A wheel that turns backwards is one that rolls forward, seen from behind.
        let dir = if rim.abs() > 1e-9 {
            rim.signum()
        } else if u < 0.0 {
            -1.0
        } else {
            1.0
        };
        let (w, along) = (rim * dir, u * dir);
        let reference = w.max(along.abs()).max(STILL);
        // Pushed against its turning a wheel slips wholly; one that hardly turns comes to that without a jump.
        let slip = ((w - along) / reference).min(1.0);
        let table = step.tables[i];
        let c = table.look_up_with_side(step.loads_n[i], slip, v / reference);
        let fx = dir * c.thrust_n - (c.resistance_n + step.walls_n[i]) * smooth(u);
        // Beside a wheel that has sunk in stands soil too; it gives as the soil under the wheel shears.
        let depth_m = c.sinkage_m;
        let chord_m = (depth_m * (2.0 * self.rover.wheel.radius_m - depth_m))
            .max(0.0)
            .sqrt();
        let beside_n = table.wall().force_n(chord_m, depth_m) + step.walls_n[i];
        let gave = 1.0 - (-c.side_gain * (v / reference).abs()).exp();
        let fy = -c.side_n - beside_n * gave * v.signum();
        (
            fx,
            fy,
            Contact {
                torque_nm: dir * c.torque_nm,
                ..c
            },
            slip,
        )
    }

    /// Forces left over, in weights, at speeds in rim speeds: along x, along y, moment over reach.
    fn left_over(&self, step: &Step, q: [f64; 3]) -> [f64; 3] {
        let mut sum = step.gravity_n;
        for i in 0..6 {
            let (s, c) = step.steer[i];
            let (u, v) = self.ground_speed(i, q, (s, c));
            let (along, across, ..) = self.wheel_force(step, i, u, v);
            let (fx, fy) = (along * c - across * s, along * s + across * c);
            sum[0] += fx;
            sum[1] += fy;
            sum[2] += (self.hubs_m[i][0] * fy - self.hubs_m[i][1] * fx) / self.reach_m;
        }
        sum.map(|f| f / step.weight_n)
    }

    /// Newton's method; the Jacobian is kept for as long as it serves. Where a step does not help, the rover is let move
    /// a little the way the forces push it, which always leads towards rest.
    fn balance(&self, step: &Step, tracks: &Tracks, motion: &WheelMotion) -> ([f64; 3], bool) {
        let asked = velocity_from(&self.rover, motion);
        let kinematic = [
            0.9 * asked.speed_mps / step.fastest_mps,
            0.0,
            0.9 * asked.turn_radps * self.reach_m / step.fastest_mps,
        ];
        let size = |f: [f64; 3]| f.iter().map(|v| v * v).sum::<f64>().sqrt();
        let (mut q, mut f) = (tracks.last, self.left_over(step, tracks.last));
        if size(f) > 0.05 {
            let fresh = self.left_over(step, kinematic);
            if size(fresh) < size(f) {
                (q, f) = (kinematic, fresh);
            }
        }
        let mut inverse = None;
        for _ in 0..MAX_STEPS {
            if size(f) < BALANCED {
                return (q, true);
            }
            let kept = inverse.is_some();
            let way = match inverse.or_else(|| self.jacobian_inverse(step, q, f)) {
                Some(m) => {
                    inverse = Some(m);
                    Into::<[f64; 3]>::into(-(m * nalgebra::Vector3::from(f)))
                }
                None => f,
            };
            let mut share = 1.0;
            let mut better = None;
            while share > 0.05 {
                let next = moved(q, way, share);
                let left = self.left_over(step, next);
                if size(left) < (1.0 - 0.1 * share) * size(f) {
                    better = Some((next, left));
                    break;
                }
                if kept {
                    break;
                }
                share *= 0.4;
            }
            match better {
                Some((next, left)) => {
                    if size(left) > 0.3 * size(f) {
                        inverse = None;
                    }
                    (q, f) = (next, left);
                }
                None if kept => inverse = None,
                None => {
                    q = moved(q, f, 0.1);
                    f = self.left_over(step, q);
                    inverse = None;
                }
            }
        }
        if size(f) < 1e-2 {
            return (q, true);
        }
        self.relax(step, q, f)
    }

    /// Where Newton's method goes back and forth over an edge of the forces, as with a wheel on rock that hardly turns,
    /// the rover is let move through time as the forces push it, in implicit steps that grow as it comes to rest
    /// (pseudo-transient continuation: Kelley and Keyes 1998). Soil only ever takes energy, so that this leads to the
    /// balance.
    fn relax(&self, step: &Step, mut q: [f64; 3], mut f: [f64; 3]) -> ([f64; 3], bool) {
        let size = |f: [f64; 3]| nalgebra::Vector3::from(f).norm();
        let mut span = 0.1;
        for _ in 0..MAX_RELAXING {
            if size(f) < BALANCED {
                break;
            }
            let slowed = nalgebra::Matrix3::identity() / span - self.jacobian(step, q, f, 1e-6);
            let next = slowed
                .lu()
                .solve(&nalgebra::Vector3::from(f))
                .map(|way| moved(q, way.into(), 1.0));
            match next.map(|q| (q, self.left_over(step, q))) {
                Some((next, left)) if size(left) < size(f) => {
                    (q, f) = (next, left);
                    span = (2.0 * span).min(1e6);
                }
                _ => span = (0.25 * span).max(1e-9),
            }
        }
        (q, size(f) < 1e-2)
    }

    fn jacobian(&self, step: &Step, q: [f64; 3], f: [f64; 3], h: f64) -> nalgebra::Matrix3<f64> {
        let mut m = nalgebra::Matrix3::zeros();
        for k in 0..3 {
            let mut beside = q;
            beside[k] += h;
            let g = self.left_over(step, beside);
            for r in 0..3 {
                m[(r, k)] = (g[r] - f[r]) / h;
            }
        }
        m
    }

    fn jacobian_inverse(
        &self,
        step: &Step,
        q: [f64; 3],
        f: [f64; 3],
    ) -> Option<nalgebra::Matrix3<f64>> {
        self.jacobian(step, q, f, 1e-4)
            .try_inverse()
            .filter(|m| m.iter().all(|v| v.is_finite()))
    }
}

fn moved(q: [f64; 3], way: [f64; 3], share: f64) -> [f64; 3] {
    let mut next = q;
    for (n, w) in next.iter_mut().zip(way) {
        *n = (*n + share * w.clamp(-0.5, 0.5)).clamp(-FASTEST, FASTEST);
    }
    next
}

/// Share of the wheels' way that the body does not make: one less the ground speed along every wheel's heading over its
/// rim speed, wheels weighed by the square of their rim speed. Straight ahead that is the share of the way that is lost,
/// in place that of the turn, and on a curve it goes from one to the other without a jump: measured by the way ahead
/// alone, a turn with a trace of way ahead would slip without bound. A wheel that stands has no say.
fn slip_of(rim_mps: &[f64; 6], along: impl Fn(usize) -> f64) -> f64 {
    let turned: f64 = rim_mps.iter().map(|r| r * r).sum();
    if !(turned > 0.0) {
        return 0.0;
    }
    let made: f64 = rim_mps.iter().enumerate().map(|(i, r)| r * along(i)).sum();
    1.0 - made / turned
}

/// How deep a wheel stands in its own hole when it goes on slipping so (0 to 1), metres.
#[must_use]
pub fn steady_dug_m(soil: &Soil, wheel: &Wheel, sinkage_m: f64, slip: f64) -> f64 {
    let Soil::Deformable(d) = soil else {
        return 0.0;
    };
    let mut dug_m = 0.0;
    for _ in 0..400 {
        let way_m = [0.1 * wheel.radius_m, 0.1 * wheel.radius_m * (1.0 - slip)];
        dug_m = dig(d.dig, dug_m, sinkage_m, wheel.radius_m, way_m);
    }
    dug_m
}

/// How deep a wheel stands in its own hole after a step, metres: slipping digs, rolling on leaves the hole behind over
/// the length of the contact. At a steady slip that settles at `dig · length · s / (1 − s)`. `way_m` is the rim's and the
/// ground's.
fn dig(dig: f64, dug_m: f64, sinkage_m: f64, radius_m: f64, way_m: [f64; 2]) -> f64 {
    let [rim, ground] = way_m.map(f64::abs);
    let with = way_m[0] * way_m[1] >= 0.0;
    let slipped_m = if with { (rim - ground).max(0.0) } else { rim };
    let sunk_m = sinkage_m.clamp(0.0, radius_m);
    let length_m = radius_m * (1.0 - sunk_m / radius_m).acos();
    if length_m <= 0.0 {
        return 0.0;
    }
    let next = (dug_m + dig * slipped_m) / (1.0 + ground / length_m);
    next.min((DEEPEST * radius_m - sinkage_m).max(0.0))
}
