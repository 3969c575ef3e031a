//! Approximate clearance evaluation: bounds of every angle and of the belly's clearance from a handful of look-ups.
//!
//! ACE (Otsu et al. 2020) in the plane frame: heights are those over the regional plane, boxes around the wheels are
//! grown for the swing of the links, slip and the pose's uncertainty ([`Images`]), and where the bounds say that the
//! links could swing a hub out of its box, nothing is said. It only accepts; what it does not accept goes to exact
//! settling.
//!
//! The drop of a wheel has images of its own: what a wheel touches is the highest ground under its tread, and says
//! nothing of the lowest, from which it may fall.

use super::{
    images::{Footing, Images, pan_parts},
    linkage::{Attitude, Linkage, Range},
    surfaces::Surfaces,
};
use sojourn_core::{frames::Pose2, rover::Rover};

/// Bounds of a rover at rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Angles.
    pub attitude: Attitude,
    /// Greatest span of the ground under a wheel over the slope that the body may stand on, metres.
    pub drop_m: f64,
    /// Least distance of the belly from the ground, metres.
    pub clearance_m: f64,
}

impl Bounds {
    /// Greatest tilt, radians.
    #[must_use]
    pub fn tilt_rad(&self) -> f64 {
        let (p, r) = (
            self.attitude.pitch_up.magnitude(),
            self.attitude.roll_up_left.magnitude(),
        );
        (p.cos() * r.cos()).clamp(-1.0, 1.0).acos()
    }
}

/// The rover's geometry for look-ups.
#[derive(Clone, Debug)]
pub struct Ace {
    /// Joints and links.
    pub linkage: Linkage,
    radius_m: f64,
    half_width_m: f64,
    belly_up_m: f64,
    parts: [[f64; 2]; 6],
    part_half: [f64; 2],
    swing_m: f64,
}

/// The regional plane as a pose sees it, and the rover standing on it.
#[derive(Clone, Copy, Debug)]
struct OnPlane {
    /// Slopes ahead and to the left.
    ahead: f64,
    left: f64,
    /// Hubs along the heading and to the left, metres from the pose.
    hubs: [[f64; 2]; 6],
    attitude: Attitude,
}

/// Where a pose looks things up.
#[derive(Clone, Copy, Debug)]
struct Spot {
    heading: usize,
    sin: f64,
    cos: f64,
    grid: [f64; 2],
    res_m: f64,
}

impl Spot {
    fn new(surfaces: &Surfaces, pose: Pose2) -> Self {
        let (sin, cos) = pose.yaw_rad.sin_cos();
        Self {
            heading: Images::heading_of(pose.yaw_rad),
            sin,
            cos,
            grid: surfaces.grid([pose.x_m, pose.y_m]),
            res_m: surfaces.resolution_m(),
        }
    }

    fn at(&self, [u, v]: [f64; 2]) -> [f64; 2] {
        [
            self.grid[0] + (self.cos * u - self.sin * v) / self.res_m,
            self.grid[1] + (self.sin * u + self.cos * v) / self.res_m,
        ]
    }
}

impl Ace {
    /// Geometry of a rover whose links may swing a hub by `swing_m` in the plan.
    #[must_use]
    pub fn new(rover: &Rover, swing_m: f64) -> Self {
        let b = &rover.belly;
        Self {
            linkage: Linkage::new(rover),
            radius_m: rover.wheel.radius_m,
            half_width_m: 0.5 * rover.wheel.width_m,
            belly_up_m: b.height_m - rover.wheel.radius_m,
            parts: pan_parts(rover),
            part_half: [(b.x_max_m - b.x_min_m) / 6.0, 0.5 * b.half_width_m],
            swing_m,
        }
    }

    /// Bounds at a pose in `odom`; `None` where ground is unknown, or so rough that nothing can be said.
    #[must_use]
    pub fn bounds(&self, surfaces: &Surfaces, images: &Images, pose: Pose2) -> Option<Bounds> {
        let spot = Spot::new(surfaces, pose);
        let plane = self.on_plane(surfaces.along(spot.cos, spot.sin));
        let feet = self.feet(images, &spot, &plane)?;
        let first = self.heights(&feet, &plane, &plane.attitude, 0.0, 0.0)?;
        // The first bounds tell how far hubs may swing and the body's slopes may be from the plane's; with these the
        // second are true.
        let tan_roll = tan(first.roll_up_left);
        let lean_m = self.half_width_m * tan_roll.moved(-plane.left).magnitude();
        let swing_m = self.swing(&first);
        if swing_m > self.swing_m {
            return None;
        }
        let attitude = self.heights(&feet, &plane, &first.widened(0.1), lean_m, swing_m)?;
        let (ahead, tan_roll) = (
            tan(attitude.pitch_up).moved(-plane.ahead),
            tan(attitude.roll_up_left),
        );
        // The images hold the span over the regional plane; the body may stand on another slope.
        let span_m = feet.iter().fold(0.0f64, |m, f| m.max(f.span_m));
        let across = tan_roll.moved(-plane.left);
        let drop_m = span_m
            + 2.0 * ahead.magnitude() * self.radius_m
            + 2.0 * across.magnitude() * self.half_width_m;
        // A roll's slope is steeper across a body that is pitched.
        let pitched = Range::new(1.0, 1.0 / attitude.pitch_up.cos().lo);
        let across = tan_roll.times(pitched).moved(-plane.left);
        Some(Bounds {
            attitude,
            drop_m,
            clearance_m: self.clearance(images, &spot, &attitude, [ahead, across])?,
        })
    }

    /// Whether all ground that the wheels' boxes cover is known.
    #[must_use]
    pub fn knows(&self, surfaces: &Surfaces, images: &Images, pose: Pose2) -> bool {
        let spot = Spot::new(surfaces, pose);
        let plane = self.on_plane(surfaces.along(spot.cos, spot.sin));
        self.feet(images, &spot, &plane).is_some()
    }

    /// The rover on the regional plane, as settling finds it there.
    fn on_plane(&self, [ahead, left]: [f64; 2]) -> OnPlane {
        let pitch = ahead.atan();
        let (sin_p, cos_p) = pitch.sin_cos();
        let roll = (left * cos_p).atan();
        let (sin_r, cos_r) = roll.sin_cos();
        let l = &self.linkage;
        OnPlane {
            ahead,
            left,
            hubs: std::array::from_fn(|w| {
                let y = if w < 3 { 1.0 } else { -1.0 } * l.hub_y_m[w % 3];
                // The body's left axis leans back when the nose is up and the left side too.
                [l.hub_x_m[w % 3] * cos_p - y * sin_r * sin_p, y * cos_r]
            }),
            attitude: Attitude {
                pitch_up: Range::at(pitch),
                roll_up_left: Range::at(roll),
                ..Attitude::default()
            },
        }
    }

    fn feet(&self, images: &Images, spot: &Spot, plane: &OnPlane) -> Option<[Footing; 6]> {
        let mut feet = [Footing::default(); 6];
        for (foot, hub) in feet.iter_mut().zip(&plane.hubs) {
            *foot = images.wheel(spot.heading, spot.at(*hub))?;
        }
        Some(feet)
    }

    fn heights(
        &self,
        feet: &[Footing; 6],
        plane: &OnPlane,
        a: &Attitude,
        lean_m: f64,
        swing_m: f64,
    ) -> Option<Attitude> {
        let mut h = [Range::default(); 6];
        let spread = lean_m + swing_m * (plane.ahead.abs() + 0.2 * plane.left.abs());
        for (w, (h, (foot, [u, v]))) in h.iter_mut().zip(feet.iter().zip(&plane.hubs)).enumerate() {
            *h = Range::new(foot.lo_m, foot.hi_m)
                .moved(plane.ahead * u + plane.left * v)
                .grown(spread)
                .minus(self.linkage.lean(w, a));
        }
        self.linkage.bound(&h)
    }

    /// How far the links may swing a hub in the plan, metres: to first order, with the links turned the same way.
    fn swing(&self, a: &Attitude) -> f64 {
        let l = &self.linkage;
        let turn = a.differential.magnitude();
        let bogie = a.bogie[0].magnitude().max(a.bogie[1].magnitude());
        let tip = a.pitch_up.magnitude();
        let front = l.z_od_m * turn;
        let rear = l.pivot_z_m() * (turn + bogie) + l.rear_m() * tip.sin() * (turn + bogie);
        front.max(rear)
    }

    /// Least distance of the belly from the ground; the body's slopes less the plane's, ahead and to the left.
    fn clearance(
        &self,
        images: &Images,
        spot: &Spot,
        a: &Attitude,
        [slope_x, slope_y]: [Range; 2],
    ) -> Option<f64> {
        let (cp, sp) = (a.pitch_up.cos(), a.pitch_up.sin());
        let (cr, sr) = (a.roll_up_left.cos(), a.roll_up_left.sin());
        let l = &self.linkage;
        let up = self.belly_up_m;
        let axle = a.pivot_m.lo - sp.times(Range::at(l.x_od_m)).hi - l.z_od_m * cp.hi * cr.hi
            + self.radius_m;
        let base = axle + up / (cp.hi * cr.hi);
        // The lean of the body shifts the belly in the plan.
        let (shift_x, shift_y) = (-up * sp.middle(), -up * sr.middle());
        let spare =
            self.part_half[0] * slope_x.magnitude() + self.part_half[1] * slope_y.magnitude();
        let mut least = f64::INFINITY;
        for &[bx, by] in &self.parts {
            let (u, v) = (bx * cp.middle() + shift_x, by * cr.middle() + shift_y);
            let high = f64::from(images.pan(spot.heading, spot.at([u, v]))?);
            let over =
                base + (slope_x.lo * u).min(slope_x.hi * u) + (slope_y.lo * v).min(slope_y.hi * v)
                    - spare;
            least = least.min(over - high);
        }
        (least > f64::NEG_INFINITY).then_some(least)
    }
}

/// The tangent of angles within ±π/2.
fn tan(r: Range) -> Range {
    Range::new(r.lo.tan(), r.hi.tan())
}
