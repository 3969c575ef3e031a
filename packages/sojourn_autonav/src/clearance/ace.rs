//! Approximate clearance evaluation: bounds of every angle and of the belly's clearance from a handful of look-ups.
//!
//! ACE (Otsu et al. 2020) in the plane frame: heights are those over the regional plane, boxes around the wheels are
//! grown for the swing of the links, slip and the pose's uncertainty ([`Images`]), and where the bounds say that the
//! links could swing a hub out of its box, nothing is said. It only accepts; what it does not accept goes to exact
//! settling.

use super::{
    images::{Images, pan_parts},
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
        let (sin, cos) = pose.yaw_rad.sin_cos();
        let [ahead, left] = surfaces.along(cos, sin);
        let heading = Images::heading_of(pose.yaw_rad);
        // Where the hubs stand on the regional plane.
        let (cp, cr) = (
            (1.0 + ahead * ahead).sqrt().recip(),
            (1.0 + left * left).sqrt().recip(),
        );
        let res = surfaces.resolution_m();
        let [gx, gy] = surfaces.grid([pose.x_m, pose.y_m]);
        let at = |u: f64, v: f64| {
            [
                gx + (cos * u - sin * v) / res,
                gy + (sin * u + cos * v) / res,
            ]
        };
        let mut contact = [Range::default(); 6];
        let mut hubs = [[0.0; 2]; 6];
        let mut span_m: f64 = 0.0;
        for w in 0..6 {
            let side = if w < 3 { 1.0 } else { -1.0 };
            let hub = [
                self.linkage.hub_x_m[w % 3] * cp,
                side * self.linkage.hub_y_m[w % 3] * cr,
            ];
            let (lo, hi) = images.wheel(heading, at(hub[0], hub[1]))?;
            let (lo, hi) = (f64::from(lo), f64::from(hi));
            if !(lo.is_finite() && hi.is_finite()) {
                return None;
            }
            hubs[w] = hub;
            contact[w] = Range::new(lo.min(hi), hi);
            span_m = span_m.max(hi - lo.min(hi));
        }
        let (pitch, roll) = (ahead.atan(), left.atan());
        let on_plane = Attitude {
            pitch_up: Range::at(pitch),
            roll_up_left: Range::at(roll),
            ..Attitude::default()
        };
        let first = self.heights(&contact, &hubs, &on_plane, [ahead, left], 0.0, 0.0)?;
        // The first bounds tell how far hubs may swing and wheels lean; with these the second are true.
        let tan_left = Range::new(first.roll_up_left.lo.tan(), first.roll_up_left.hi.tan());
        let lean_m = self.half_width_m * tan_left.moved(-left).magnitude();
        let swing_m = self.swing(&first);
        if swing_m > self.swing_m {
            return None;
        }
        let attitude = self.heights(
            &contact,
            &hubs,
            &first.widened(0.1),
            [ahead, left],
            lean_m,
            swing_m,
        )?;
        // The boxes hold the span over the regional plane; the body may stand on another slope.
        let [off_ahead, off_left] = slopes_off(&attitude, [ahead, left]);
        let drop_m = span_m + 2.0 * (off_ahead * self.radius_m + off_left * self.half_width_m);
        let clearance_m =
            self.clearance(surfaces, images, heading, at, &attitude, [ahead, left])?;
        Some(Bounds {
            attitude,
            drop_m,
            clearance_m,
        })
    }

    /// Whether all ground that the wheels' boxes cover is known.
    #[must_use]
    pub fn knows(&self, surfaces: &Surfaces, images: &Images, pose: Pose2) -> bool {
        let (sin, cos) = pose.yaw_rad.sin_cos();
        let [ahead, left] = surfaces.along(cos, sin);
        let (cp, cr) = (
            (1.0 + ahead * ahead).sqrt().recip(),
            (1.0 + left * left).sqrt().recip(),
        );
        let heading = Images::heading_of(pose.yaw_rad);
        let res = surfaces.resolution_m();
        let [gx, gy] = surfaces.grid([pose.x_m, pose.y_m]);
        (0..6).all(|w| {
            let side = if w < 3 { 1.0 } else { -1.0 };
            let u = self.linkage.hub_x_m[w % 3] * cp;
            let v = side * self.linkage.hub_y_m[w % 3] * cr;
            let at = [
                gx + (cos * u - sin * v) / res,
                gy + (sin * u + cos * v) / res,
            ];
            images
                .wheel(heading, at)
                .is_some_and(|(lo, hi)| lo.is_finite() && hi.is_finite())
        })
    }

    fn heights(
        &self,
        contact: &[Range; 6],
        hubs: &[[f64; 2]; 6],
        a: &Attitude,
        [ahead, left]: [f64; 2],
        lean_m: f64,
        swing_m: f64,
    ) -> Option<Attitude> {
        let mut h = [Range::default(); 6];
        let spread = lean_m + swing_m * (ahead.abs() + 0.2 * left.abs());
        for w in 0..6 {
            let plane = ahead * hubs[w][0] + left * hubs[w][1];
            h[w] = contact[w]
                .moved(plane)
                .grown(spread)
                .minus(self.linkage.lean(w, a));
        }
        self.linkage.bound(&h)
    }

    /// How far the links may swing a hub in the plan, metres.
    fn swing(&self, a: &Attitude) -> f64 {
        let l = &self.linkage;
        let turn = a.differential.magnitude();
        let bogie = a.bogie[0].magnitude().max(a.bogie[1].magnitude());
        let tip = a.pitch_up.magnitude();
        let front = l.z_od_m * turn;
        let rear = l.pivot_z_m() * (turn + bogie) + l.rear_m() * tip.sin() * (turn + bogie);
        front.max(rear)
    }

    fn clearance(
        &self,
        surfaces: &Surfaces,
        images: &Images,
        heading: usize,
        at: impl Fn(f64, f64) -> [f64; 2],
        a: &Attitude,
        [ahead, left]: [f64; 2],
    ) -> Option<f64> {
        let _ = surfaces;
        let (cp, sp) = (a.pitch_up.cos(), a.pitch_up.sin());
        let (cr, sr) = (a.roll_up_left.cos(), a.roll_up_left.sin());
        let l = &self.linkage;
        let up = self.belly_up_m;
        let axle = a.pivot_m.lo - sp.times(Range::at(l.x_od_m)).hi - l.z_od_m * cp.hi * cr.hi
            + self.radius_m;
        let base = axle + up / (cp.hi * cr.hi);
        let slope_x = Range::new(a.pitch_up.lo.tan(), a.pitch_up.hi.tan()).moved(-ahead);
        let slope_y = Range::new(a.roll_up_left.lo.tan(), a.roll_up_left.hi.tan())
            .times(Range::new(1.0, 1.0 / cp.lo))
            .moved(-left);
        // The lean of the body shifts the belly in the plan.
        let (shift_x, shift_y) = (-up * sp.middle(), -up * sr.middle());
        let spare =
            self.part_half[0] * slope_x.magnitude() + self.part_half[1] * slope_y.magnitude();
        let mut least = f64::INFINITY;
        for &[bx, by] in &self.parts {
            let (u, v) = (bx * cp.middle() + shift_x, by * cr.middle() + shift_y);
            let high = f64::from(images.pan(heading, at(u, v))?);
            let over =
                base + (slope_x.lo * u).min(slope_x.hi * u) + (slope_y.lo * v).min(slope_y.hi * v)
                    - spare;
            least = least.min(over - high);
        }
        (least > f64::NEG_INFINITY).then_some(least)
    }
}

/// How far the body's slopes ahead and to the left may be from the regional plane's.
fn slopes_off(a: &Attitude, [ahead, left]: [f64; 2]) -> [f64; 2] {
    let off = |r: &Range, plane: f64| Range::new(r.lo.tan(), r.hi.tan()).moved(-plane).magnitude();
    [off(&a.pitch_up, ahead), off(&a.roll_up_left, left)]
}
