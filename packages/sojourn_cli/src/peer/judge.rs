//! Whether a drive that was safe in ground truth is so for a peer's rover on the same ground and track, and how far the two apart.

use super::mujoco::Stance;
use nalgebra::{Rotation3, Unit, Vector3};
use serde::{Deserialize, Serialize};
use sojourn_core::{
    frames::Pose2,
    limits::Limits,
    raster::{HeightField, Raster},
    rover::Rover,
    settle::{Settled, Settler},
};
use sojourn_twin::{
    sim::score::{Score, TrackPoint},
    world::World,
};

/// Ground beyond the track, metres.
const MARGIN_M: f64 = 5.0;
/// Distance of the points of the belly whose height over the ground is taken, metres.
const BELLY_STEP_M: f64 = 0.05;
/// A track's pose that is nearer to the one before, metres and radians, is left out: the rover stood.
const STOOD: f64 = 1e-3;
/// What a drive is judged by here; slip and the wheels' speed are not those of a rover that is led.
const POSTURE: [&str; 6] = [
    "ground",
    "tilt_deg",
    "differential_deg",
    "bogie_deg",
    "wheel_drop_m",
    "clearance_m",
];

/// What limits are set to, degrees and metres, or how near one came to them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Posture {
    /// Angle between the body's up axis and the vertical, degrees.
    pub tilt_deg: f64,
    /// Half the difference of the rockers' angles, degrees.
    pub differential_deg: f64,
    /// The greater of the bogies' angles, degrees.
    pub bogie_deg: f64,
    /// Height difference of the ground under a wheel over the slope that the body stands on, metres.
    pub wheel_drop_m: f64,
    /// Least distance from belly to ground, metres.
    pub clearance_m: f64,
}

impl Posture {
    /// Nothing yet.
    const BEST: Self = Self {
        tilt_deg: 0.0,
        differential_deg: 0.0,
        bogie_deg: 0.0,
        wheel_drop_m: 0.0,
        clearance_m: f64::MAX,
    };

    /// As the suite settles it.
    #[must_use]
    pub fn of_settled(s: &Settled) -> Self {
        Self {
            tilt_deg: s.tilt_rad.to_degrees(),
            differential_deg: s.differential_rad.abs().to_degrees(),
            bogie_deg: s.bogie_rad[0].abs().max(s.bogie_rad[1].abs()).to_degrees(),
            wheel_drop_m: s.wheel_drop_m.iter().copied().fold(0.0, f64::max),
            clearance_m: s.clearance_m,
        }
    }

    /// As the peer's rover stands; `None` over unknown ground.
    #[must_use]
    pub fn of_stance(
        s: &Stance,
        ground: &Raster,
        rover: &Rover,
        settler: &Settler,
    ) -> Option<Self> {
        let up = Vector3::from(s.up);
        let (sin, cos) = s.pose.yaw_rad.sin_cos();
        // The slope of the body along a direction on the map.
        let slope = |x: f64, y: f64| -(up.x * x + up.y * y) / up.z;
        let (ahead, across) = (slope(cos, sin), slope(-sin, cos));
        let forward = Unit::new_normalize(Vector3::new(cos, sin, ahead));
        let left = up.cross(&forward);
        let b = &rover.belly;
        let over_axle_m = b.height_m - rover.wheel.radius_m;
        let steps = |from_m: f64, to_m: f64| {
            let n = ((to_m - from_m) / BELLY_STEP_M).ceil().max(1.0) as usize;
            (0..=n).map(move |i| from_m + (to_m - from_m) * i as f64 / n as f64)
        };
        let mut clearance_m = f64::MAX;
        for x in steps(b.x_min_m, b.x_max_m) {
            for y in steps(-b.half_width_m, b.half_width_m) {
                let p = *forward * x + left * y + up * over_axle_m;
                let h = ground.sample(s.pose.x_m + p.x, s.pose.y_m + p.y)?;
                clearance_m = clearance_m.min(s.axle_m + p.z - h);
            }
        }
        let (along, sides) = settler.tread();
        let mut wheel_drop_m = 0.0f64;
        for [x, y, _] in s.wheels_m {
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            for &(dx, _) in along {
                for dy in sides {
                    let h = ground.sample(x + cos * dx - sin * dy, y + sin * dx + cos * dy)?;
                    let level = h - ahead * dx - across * dy;
                    (low, high) = (low.min(level), high.max(level));
                }
            }
            wheel_drop_m = wheel_drop_m.max(high - low);
        }
        Some(Self {
            tilt_deg: up.angle(&Vector3::z()).to_degrees(),
            differential_deg: s.differential_rad.abs().to_degrees(),
            bogie_deg: s.bogie_rad[0].abs().max(s.bogie_rad[1].abs()).to_degrees(),
            wheel_drop_m,
            clearance_m,
        })
    }

    fn values(&self) -> [(&'static str, f64); 5] {
        [
            ("tilt_deg", self.tilt_deg),
            ("differential_deg", self.differential_deg),
            ("bogie_deg", self.bogie_deg),
            ("wheel_drop_m", self.wheel_drop_m),
            ("clearance_m", self.clearance_m),
        ]
    }

    /// The limits that are broken: name, value, limit. What is not a number breaks its own.
    fn broken(&self, l: &Limits) -> Vec<(&'static str, f64, f64)> {
        let allowed = [
            l.tilt_deg,
            l.differential_deg,
            l.bogie_deg,
            l.wheel_drop_m,
            l.clearance_m,
        ];
        let all = self.values().into_iter().zip(allowed);
        all.filter(|((name, v), allowed)| {
            let held = if *name == "clearance_m" {
                v >= allowed
            } else {
                v <= allowed
            };
            !held
        })
        .map(|((name, v), allowed)| (name, v, allowed))
        .collect()
    }

    fn worse(&self, o: &Self) -> Self {
        Self {
            tilt_deg: self.tilt_deg.max(o.tilt_deg),
            differential_deg: self.differential_deg.max(o.differential_deg),
            bogie_deg: self.bogie_deg.max(o.bogie_deg),
            wheel_drop_m: self.wheel_drop_m.max(o.wheel_drop_m),
            clearance_m: self.clearance_m.min(o.clearance_m),
        }
    }

    fn apart(&self, o: &Self) -> Self {
        Self {
            tilt_deg: (self.tilt_deg - o.tilt_deg).abs(),
            differential_deg: (self.differential_deg - o.differential_deg).abs(),
            bogie_deg: (self.bogie_deg - o.bogie_deg).abs(),
            wheel_drop_m: (self.wheel_drop_m - o.wheel_drop_m).abs(),
            clearance_m: (self.clearance_m - o.clearance_m).abs(),
        }
    }
}

/// One contiguous excess of one limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Breach {
    /// The limit's name in the rover file.
    pub limit: String,
    /// The worst value, degrees or metres.
    pub value: f64,
    /// The limit.
    pub allowed: f64,
    /// How long it lasted on the peer's clock, seconds; as scored, on the rover's.
    pub duration_s: f64,
    /// Where it began, metres in `map`.
    pub xy_m: [f64; 2],
}

/// What came of judging a drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Places that were compared.
    pub places: usize,
    /// Excesses in ground truth, slip and the wheels' speed left out.
    pub ours: Vec<Breach>,
    /// Excesses of the peer's rover.
    pub peer: Vec<Breach>,
    /// Whether one calls the drive safe and the other does not.
    pub disagree: bool,
    /// Worst of the suite's rover at the peer's places.
    pub ours_worst: Posture,
    /// Worst of the peer's.
    pub peer_worst: Posture,
    /// Greatest differences at the same place; `clearance_m` here is the greatest too.
    pub apart_most: Posture,
    /// Root mean square of the angle between the two up axes, degrees.
    pub attitude_rms_deg: f64,
    /// Greatest such angle, degrees.
    pub attitude_max_deg: f64,
    /// Root mean square of the differences of the wheels' heights, metres.
    pub wheel_height_rms_m: f64,
    /// Greatest such difference, metres.
    pub wheel_height_max_m: f64,
}

/// The ground around a track on the nodes of ground truth.
///
/// # Errors
/// When the track leaves the world.
pub fn ground_of(world: &World, track: &[TrackPoint]) -> anyhow::Result<Raster> {
    let res_m = world.resolution_m();
    let around = |of: fn(&TrackPoint) -> f64, low: bool| {
        let all = track.iter().map(of);
        let edge = if low {
            all.fold(f64::INFINITY, f64::min) - MARGIN_M
        } else {
            all.fold(f64::NEG_INFINITY, f64::max) + MARGIN_M
        };
        (edge / res_m).round()
    };
    let (i, j) = (around(|p| p.x_m, true), around(|p| p.y_m, true));
    let cols = (around(|p| p.x_m, false) - i).max(1.0) as usize;
    let rows = (around(|p| p.y_m, false) - j).max(1.0) as usize;
    // Cells whose centres are nodes.
    let corner_m = [(i - 0.5) * res_m, (j - 0.5) * res_m];
    let blank = Raster::filled(cols, rows, res_m, corner_m, 0.0)?;
    let nodes = blank.like(|c, r| {
        let [x, y] = blank.centre_m(c, r);
        world.height_m(x, y).map_or(f32::NAN, |h| h as f32)
    });
    anyhow::ensure!(
        nodes.data().iter().all(|h| h.is_finite()),
        "the track lies nearer than {MARGIN_M} m to the end of its world"
    );
    Ok(nodes)
}

/// The poses of a track without those at which the rover only stood.
#[must_use]
pub fn poses_of(track: &[TrackPoint]) -> Vec<Pose2> {
    let mut out: Vec<Pose2> = Vec::new();
    for p in track {
        let stood = out.last().is_some_and(|l| {
            (l.x_m - p.x_m).hypot(l.y_m - p.y_m) < STOOD && (l.yaw_rad - p.yaw_rad).abs() < STOOD
        });
        if !stood {
            out.push(Pose2::new(p.x_m, p.y_m, p.yaw_rad));
        }
    }
    out
}

/// Holds the peer's rover against the limits and against the suite's at the same places.
#[must_use]
pub fn judge(score: &Score, stances: &[Stance], ground: &Raster, rover: &Rover) -> Judgement {
    let settler = Settler::new(rover, (0.2 * rover.wheel.radius_m).max(0.01));
    let ours: Vec<Breach> = score
        .events
        .iter()
        .filter(|e| POSTURE.contains(&e.channel.as_str()))
        .map(|e| Breach {
            limit: e.channel.clone(),
            value: e.value,
            allowed: e.limit,
            duration_s: e.duration_s,
            xy_m: [e.x_m, e.y_m],
        })
        .collect();
    let mut peer: Vec<Breach> = Vec::new();
    let mut open: Vec<(&'static str, usize, f64)> = Vec::new();
    let [mut ours_worst, mut peer_worst] = [Posture::BEST; 2];
    let mut apart_most: Option<Posture> = None;
    let (mut angles, mut heights) = (Vec::new(), Vec::new());
    for s in stances {
        let own = settler.settle(ground, s.pose);
        let (Some(own), Some(stands)) = (own, Posture::of_stance(s, ground, rover, &settler))
        else {
            continue;
        };
        let settled = Posture::of_settled(&own);
        ours_worst = ours_worst.worse(&settled);
        peer_worst = peer_worst.worse(&stands);
        let apart = stands.apart(&settled);
        apart_most = Some(apart_most.map_or(apart, |most| Posture {
            clearance_m: most.clearance_m.max(apart.clearance_m),
            ..most.worse(&apart)
        }));
        let turn = Rotation3::from_euler_angles(own.roll_rad, own.pitch_rad, s.pose.yaw_rad);
        let up = turn * Vector3::z();
        angles.push(up.angle(&Vector3::from(s.up)).to_degrees());
        let centre_m = rover.wheel.radius_m / own.roll_rad.cos();
        for (contact_m, [_, _, z]) in own.wheel_m.iter().zip(s.wheels_m) {
            heights.push(contact_m + centre_m - z);
        }
        let broken = stands.broken(&rover.limits);
        open.retain(|(name, ..)| broken.iter().any(|(n, ..)| n == name));
        for (name, value, allowed) in broken {
            if let Some(&(_, i, since_s)) = open.iter().find(|(n, ..)| *n == name) {
                if let Some(b) = peer.get_mut(i) {
                    let worse = if name == "clearance_m" {
                        value < b.value
                    } else {
                        value > b.value
                    };
                    if worse {
                        b.value = value;
                    }
                    b.duration_s = s.time_s - since_s;
                }
            } else {
                open.push((name, peer.len(), s.time_s));
                peer.push(Breach {
                    limit: name.into(),
                    value,
                    allowed,
                    duration_s: 0.0,
                    xy_m: [s.pose.x_m, s.pose.y_m],
                });
            }
        }
    }
    let square = |v: &[f64]| (v.iter().map(|x| x * x).sum::<f64>() / v.len().max(1) as f64).sqrt();
    let most = |v: &[f64]| v.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    Judgement {
        places: angles.len(),
        disagree: ours.is_empty() != peer.is_empty(),
        ours,
        peer,
        ours_worst,
        peer_worst,
        apart_most: apart_most.unwrap_or(Posture {
            clearance_m: 0.0,
            ..Posture::BEST
        }),
        attitude_rms_deg: square(&angles),
        attitude_max_deg: most(&angles),
        wheel_height_rms_m: square(&heights),
        wheel_height_max_m: most(&heights),
    }
}
