//! How a rover stands on the ground: quasi-static settling of a rocker-bogie, of four wheels on rockers, or on fixed axles.
//!
//! Equations after Otsu et al., "Fast approximate clearance evaluation for rovers with articulated suspension systems"
//! (J. Field Robotics 2020), with heights up instead of down, iterated to the exact contact points instead of bounded.
//! Per side: the middle and rear wheel heights give the bogie, bogie pivot and front wheel give the rocker, the two
//! rockers give roll, pitch and the differential. Wheels are rigid and as wide as they are; the contact height of a
//! wheel is `max(h + sqrt(R² − dx²) − R)` over its footprint.
//!
//! Heights of wheels at different distances from the body's centre line are first brought to one plane with the roll
//! of the previous iteration; so a tilted plane gives exactly no joint angle.

use crate::{
    frames::Pose2,
    limits::{Limits, Share},
    raster::HeightField,
    rover::Rover,
    suspension::SuspensionKind,
};
use serde::{Deserialize, Serialize};

/// Most iterations of the contact search.
pub const MAX_ITERATIONS: usize = 30;
/// The search has converged when roll, pitch and height change by less than this in sum (radians, metres).
pub const TOLERANCE: f64 = 1e-4;

/// A rover at rest on the ground.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// Height of the origin of `base_link`, metres in the frame of the height field.
    pub z_m: f64,
    /// Roll, radians (REP-103: right side down is positive).
    pub roll_rad: f64,
    /// Pitch, radians (REP-103: nose down is positive).
    pub pitch_rad: f64,
    /// Angle between body up and vertical, radians.
    pub tilt_rad: f64,
    /// Half the difference of the rockers' angles, radians (left rocker nose-up positive).
    pub differential_rad: f64,
    /// Bogie against rocker, left and right, radians (0 on flat ground).
    pub bogie_rad: [f64; 2],
    /// Heights of the six wheels' lowest points, metres, in the order of [`Rover::hubs_m`].
    pub wheel_m: [f64; 6],
    /// Greatest height difference of the ground under each wheel over the slope that the body stands on, metres: what the
    /// wheel has to climb or may fall from. An even slope has none.
    pub wheel_drop_m: [f64; 6],
    /// Least distance from the belly pan to the ground, metres.
    pub clearance_m: f64,
    /// Whether the contact search converged; if not, the worst of its cycle was taken.
    pub converged: bool,
}

/// Which limit a settled pose breaks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Excess {
    /// The limit's name in the rover file.
    pub limit: &'static str,
    /// The value found (degrees or metres, as in the file).
    pub value: f64,
    /// The limit.
    pub allowed: f64,
}

impl std::fmt::Display for Excess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {:.3}, limit {:.3}",
            self.limit, self.value, self.allowed
        )
    }
}

impl Settled {
    /// The first limit this pose breaks, when each limit is tightened to its [`Share`] (1.0 for the limit itself;
    /// clearance is raised by `1 / share` instead). A number that is not one counts as broken.
    #[must_use]
    pub fn excess(&self, limits: &Limits, share: impl Into<Share>) -> Option<Excess> {
        let share = share.into();
        let bogie = self.bogie_rad[0].abs().max(self.bogie_rad[1].abs());
        let drop = self
            .wheel_drop_m
            .iter()
            .fold(0.0f64, |m, &v| if v.is_nan() { v } else { m.max(v) });
        let too_much = [
            (
                "tilt_deg",
                self.tilt_rad.to_degrees(),
                limits.tilt_deg,
                share.tilt,
            ),
            (
                "differential_deg",
                self.differential_rad.abs().to_degrees(),
                limits.differential_deg,
                share.rest,
            ),
            (
                "bogie_deg",
                bogie.to_degrees(),
                limits.bogie_deg,
                share.rest,
            ),
            ("wheel_drop_m", drop, limits.wheel_drop_m, share.rest),
        ];
        for (limit, value, allowed, share) in too_much {
            // written so that not-a-number breaks the limit
            if !(value <= allowed * share) {
                return Some(Excess {
                    limit,
                    value,
                    allowed,
                });
            }
        }
        if !(self.clearance_m >= limits.clearance_m / share.clearance) {
            return Some(Excess {
                limit: "clearance_m",
                value: self.clearance_m,
                allowed: limits.clearance_m,
            });
        }
        None
    }
}

/// The geometry that settling needs, worked out once per rover.
#[derive(Clone, Debug)]
pub struct Settler {
    radius_m: f64,
    /// Offsets over the footprint of a wheel along its rolling direction and the wheel's rise there.
    along: Vec<(f64, f64)>,
    across_m: [f64; 3],
    hub_x_m: [f64; 3],
    hub_y_m: [f64; 3],
    /// The lateral distance all wheel heights are brought to.
    y_ref_m: f64,
    // links, named as in the paper: f front hub, d differential (rocker) pivot, b bogie pivot, m middle, r rear
    l_df: f64,
    l_fb: f64,
    l_bm: f64,
    l_mr: f64,
    phi_f: f64,
    phi_m: f64,
    kappa_d0: f64,
    kappa_b0: f64,
    x_od: f64,
    z_od: f64,
    belly: Vec<[f64; 2]>,
    belly_z_m: f64,
    kind: SuspensionKind,
    /// Centre of mass in `base_link`.
    center_m: [f64; 3],
}

impl Settler {
    /// Prepares the geometry of a rover. The hubs are taken at the height of the wheel radius, so that flat ground
    /// means no joint angle; `step_m` is the spacing of the samples under wheels and belly (0.05 m is fine for a
    /// full-size rover).
    #[must_use]
    pub fn new(rover: &Rover, step_m: f64) -> Self {
        let s = &rover.suspension;
        let r = rover.wheel.radius_m;
        let (xf, xm, xr) = (s.front_hub_m[0], s.middle_hub_m[0], s.rear_hub_m[0]);
        let (xd, zd) = (s.rocker_pivot_m[0], s.rocker_pivot_m[2] - r);
        let (xb, zb) = (s.bogie_pivot_m[0], s.bogie_pivot_m[2] - r);
        let (l_bm, l_mr) = ((xm - xb).hypot(zb), xm - xr);
        let six = s.kind == SuspensionKind::RockerBogie;
        // With four wheels the rear hub stands where the bogie pivot would.
        let (l_df, l_fb) = if six {
            ((xf - xd).hypot(zd), (xf - xb).hypot(zb))
        } else {
            ((xf - xd).hypot(zd), xf - xr)
        };
        let kappa_b0 = zb.atan2(xm - xb);
        let kappa_d0 = zd.atan2(xf - xd);
        let phi_f = if six {
            kappa_d0 - zb.atan2(xf - xb)
        } else {
            kappa_d0
        };
        let n = (r / step_m).floor().max(1.0) as i32;
        let along = (-n..=n)
            .map(|i| {
                let dx = f64::from(i) * r / f64::from(n) * 0.98;
                (dx, (r * r - dx * dx).max(0.0).sqrt() - r)
            })
            .collect();
        let half = 0.5 * rover.wheel.width_m;
        let b = &rover.belly;
        let count = |span: f64| (span / (2.0 * step_m)).ceil().max(1.0) as usize;
        let (nx, ny) = (count(b.x_max_m - b.x_min_m), count(2.0 * b.half_width_m));
        let mut belly = Vec::with_capacity((nx + 1) * (ny + 1));
        for i in 0..=nx {
            for j in 0..=ny {
                belly.push([
                    b.x_min_m + (b.x_max_m - b.x_min_m) * i as f64 / nx as f64,
                    -b.half_width_m + 2.0 * b.half_width_m * j as f64 / ny as f64,
                ]);
            }
        }
        Self {
            radius_m: r,
            along,
            across_m: [-half, 0.0, half],
            hub_x_m: [xf, xm, xr],
            hub_y_m: [s.front_hub_m[1], s.middle_hub_m[1], s.rear_hub_m[1]],
            y_ref_m: (s.front_hub_m[1] + s.middle_hub_m[1] + s.rear_hub_m[1]) / 3.0,
            l_df,
            l_fb,
            l_bm,
            l_mr,
            phi_f,
            phi_m: kappa_b0,
            kappa_d0,
            kappa_b0,
            x_od: xd,
            z_od: zd,
            belly,
            belly_z_m: b.height_m,
            kind: s.kind,
            center_m: rover.center_m(),
        }
    }

    /// Where settling takes the ground under a wheel: offsets along its rolling direction with the rise of the tread over
    /// its lowest point (at most 0), and offsets across; every pair is one sample. Metres.
    #[must_use]
    pub fn tread(&self) -> (&[(f64, f64)], &[f64; 3]) {
        (&self.along, &self.across_m)
    }

    /// Contact height of a wheel whose hub stands over `(x, y)`, and the ground's span under it over the body's slope;
    /// `None` where any ground under it is unknown.
    ///
    /// `ahead` is the slope of the body, `across` that of the wheel's axle (up to the left): a wheel leans with the body,
    /// so on a side slope its tread lies on the ground and does not stand on its edge.
    #[inline]
    fn wheel(
        &self,
        ground: &impl HeightField,
        [x, y]: [f64; 2],
        (c, s): (f64, f64),
        [ahead, across]: [f64; 2],
    ) -> Option<(f64, f64)> {
        let (mut contact, mut lo, mut hi) = (f64::NEG_INFINITY, f64::INFINITY, f64::NEG_INFINITY);
        for &(dx, rise) in &self.along {
            for dy in self.across_m {
                let h = ground.height_m(x + c * dx - s * dy, y + s * dx + c * dy)? - across * dy;
                // What is not a number never wins, as with `max`.
                let (top, level) = (h + rise, h - ahead * dx);
                contact = if top > contact { top } else { contact };
                lo = if level < lo { level } else { lo };
                hi = if level > hi { level } else { hi };
            }
        }
        Some((contact, hi - lo))
    }

    /// Joint angles and the pivot's height of one side from its wheels' heights (all relative to one plane).
    fn side(&self, h: [f64; 3]) -> Side {
        let asin = |v: f64| v.clamp(-1.0, 1.0).asin();
        if self.kind != SuspensionKind::RockerBogie {
            let kappa_d = self.phi_f + asin((h[2] - h[0]) / self.l_fb);
            return Side {
                kappa_b: kappa_d - self.kappa_d0 + self.kappa_b0,
                kappa_d,
                h_d: h[0] + self.l_df * kappa_d.sin(),
            };
        }
        let kappa_b = self.phi_m + asin((h[2] - h[1]) / self.l_mr);
        let h_b = h[1] + self.l_bm * kappa_b.sin();
        let kappa_d = self.phi_f + asin((h_b - h[0]) / self.l_fb);
        Side {
            kappa_b,
            kappa_d,
            h_d: h[0] + self.l_df * kappa_d.sin(),
        }
    }

    /// Settles the rover with its middle axle's centre over a planar pose given in the frame of the height field.
    ///
    /// Returns `None` where the ground under a wheel or under the belly is unknown.
    #[must_use]
    pub fn settle(&self, ground: &impl HeightField, pose: Pose2) -> Option<Settled> {
        let (s, c) = pose.yaw_rad.sin_cos();
        let mut xs = [self.hub_x_m; 2];
        let mut body = Body::default();
        let mut previous = Body::default();
        let mut heights = [0.0; 6];
        let mut drops = [0.0; 6];
        let mut converged = false;
        for iteration in 0..MAX_ITERATIONS {
            let cos_roll = body.roll_up_left.cos();
            let sin_roll = body.roll_up_left.sin();
            let (sin_pitch, cos_pitch) = body.pitch_up.sin_cos();
            let mut sides = [Side::default(); 2];
            for (side, sign) in [1.0, -1.0].into_iter().enumerate() {
                let mut h = [0.0; 3];
                for &w in self.wheels() {
                    // The body's left axis leans back when the nose is up and the left side too.
                    let lx = xs[side][w] - sign * self.hub_y_m[w] * sin_roll * sin_pitch;
                    let ly = sign * self.hub_y_m[w] * cos_roll;
                    let at = [pose.x_m + c * lx - s * ly, pose.y_m + s * lx + c * ly];
                    let slope = [sin_pitch / cos_pitch, sin_roll / cos_roll];
                    let (contact, span) = self.wheel(ground, at, (c, s), slope)?;
                    heights[side * 3 + w] = contact;
                    drops[side * 3 + w] = span;
                    h[w] = contact - sign * (self.hub_y_m[w] - self.y_ref_m) * sin_roll * cos_pitch;
                }
                sides[side] = self.side(h);
            }
            let pitch_up = self.kappa_d0 - 0.5 * (sides[0].kappa_d + sides[1].kappa_d);
            let lateral = (sides[0].h_d - sides[1].h_d) / (2.0 * self.y_ref_m * pitch_up.cos());
            let mut next = Body {
                roll_up_left: lateral.clamp(-1.0, 1.0).asin(),
                pitch_up,
                h_d: 0.5 * (sides[0].h_d + sides[1].h_d),
                sides,
            };
            let change = (next.roll_up_left - body.roll_up_left).abs()
                + (next.pitch_up - body.pitch_up).abs()
                + (next.h_d - body.h_d).abs();
            if iteration > 1 && change < TOLERANCE {
                body = next;
                converged = true;
                break;
            }
            // Between two rock faces the search can swing for ever; half steps end most of it.
            if iteration > MAX_ITERATIONS / 3 {
                next.roll_up_left = 0.5 * (next.roll_up_left + body.roll_up_left);
                next.pitch_up = 0.5 * (next.pitch_up + body.pitch_up);
            }
            previous = body;
            body = next;
            self.move_wheels(&body, &mut xs);
        }
        if self.kind != SuspensionKind::RockerBogie {
            for side in 0..2 {
                heights[3 * side + 1] = 0.5 * (heights[3 * side] + heights[3 * side + 2]);
            }
        }
        if self.kind == SuspensionKind::Fixed {
            self.stand_on_three(&mut body);
            self.stand_on_three(&mut previous);
        }
        let mut out = self.finish(ground, pose, &body, heights, drops)?;
        out.converged = converged;
        if !converged {
            // Take the worse of the last two states of the cycle.
            let other = self.finish(ground, pose, &previous, heights, drops)?;
            out.clearance_m = out.clearance_m.min(other.clearance_m);
            if other.tilt_rad > out.tilt_rad {
                (out.roll_rad, out.pitch_rad, out.tilt_rad) =
                    (other.roll_rad, other.pitch_rad, other.tilt_rad);
            }
            if other.differential_rad.abs() > out.differential_rad.abs() {
                out.differential_rad = other.differential_rad;
            }
            for i in 0..2 {
                if other.bogie_rad[i].abs() > out.bogie_rad[i].abs() {
                    out.bogie_rad[i] = other.bogie_rad[i];
                }
            }
        }
        Some(out)
    }

    /// The wheels of a side that there are.
    fn wheels(&self) -> &'static [usize] {
        match self.kind {
            SuspensionKind::RockerBogie => &[0, 1, 2],
            SuspensionKind::Rockers | SuspensionKind::Fixed => &[0, 2],
        }
    }

    /// Fixed axles: rockers would have met the ground with all four wheels by turning against each other. Without them
    /// the body stands on the higher diagonal and leans, over it, towards its centre of mass onto a third wheel.
    fn stand_on_three(&self, body: &mut Body) {
        let [left, right] = &body.sides;
        let half_m = 0.5 * (self.hub_x_m[0] - self.hub_x_m[2]);
        let middle_m = 0.5 * (self.hub_x_m[0] + self.hub_x_m[2]);
        let track_m = self.y_ref_m;
        // How far the ends of the left rocker, and of the right one against it, stand from the common plane.
        let twist_m = half_m * (0.5 * (right.kappa_d - left.kappa_d)).sin();
        let [cx, cy, cz] = self.center_m;
        let sx = cx - middle_m - cz * body.pitch_up.sin();
        let sy = cy - cz * body.roll_up_left.sin();
        let (along, across) = (twist_m.abs() / half_m, twist_m.abs() / track_m);
        // Left front and right rear are high where the left rocker's nose is up. Left of that diagonal lies the left rear.
        let (pitch, roll) = if twist_m >= 0.0 {
            if half_m * sy - track_m * sx > 0.0 {
                (along, -across)
            } else {
                (-along, across)
            }
        } else if half_m * sy + track_m * sx > 0.0 {
            (-along, -across)
        } else {
            (along, across)
        };
        body.pitch_up += pitch.atan();
        body.roll_up_left += roll.atan();
        body.h_d += twist_m.abs() + pitch * (self.x_od - middle_m);
        for side in &mut body.sides {
            side.kappa_d = self.kappa_d0;
            side.kappa_b = self.kappa_b0;
        }
    }

    /// Where the hubs stand over the ground, seen from the body's origin, after the links have turned.
    fn move_wheels(&self, body: &Body, xs: &mut [[f64; 3]; 2]) {
        let (sp, cp) = body.pitch_up.sin_cos();
        let x_d = self.x_od * cp - self.z_od * sp;
        for (x, side) in xs.iter_mut().zip(&body.sides) {
            let front = x_d + self.l_df * side.kappa_d.cos();
            if self.kind != SuspensionKind::RockerBogie {
                let rear = front - self.l_fb * (side.kappa_d - self.phi_f).cos();
                *x = [front, 0.5 * (front + rear), rear];
                continue;
            }
            let bogie = front - self.l_fb * (side.kappa_d - self.phi_f).cos();
            let middle = bogie + self.l_bm * side.kappa_b.cos();
            let rear = middle - self.l_mr * (side.kappa_b - self.phi_m).cos();
            *x = [front, middle, rear];
        }
    }

    fn finish(
        &self,
        ground: &impl HeightField,
        pose: Pose2,
        body: &Body,
        wheel_m: [f64; 6],
        wheel_drop_m: [f64; 6],
    ) -> Option<Settled> {
        let (sp, cp) = body.pitch_up.sin_cos();
        let (sr, cr) = body.roll_up_left.sin_cos();
        // Height of the axle's centre, then of base_link, one wheel radius below it along the body's up axis.
        let axle_z_m = body.h_d - self.x_od * sp - self.z_od * cp * cr + self.radius_m;
        let z_m = axle_z_m - self.radius_m * cp * cr;
        let (s, c) = pose.yaw_rad.sin_cos();
        let up = self.belly_z_m - self.radius_m;
        let mut clearance_m = f64::INFINITY;
        for &[bx, by] in &self.belly {
            // body point (bx, by, up) seen from the axle's centre: nose up by the pitch, left side up by the roll
            let lx = bx * cp - up * cr * sp - by * sr * sp;
            let ly = by * cr - up * sr;
            let lz = bx * sp + (by * sr + up * cr) * cp;
            let h = ground.height_m(pose.x_m + c * lx - s * ly, pose.y_m + s * lx + c * ly)?;
            clearance_m = clearance_m.min(axle_z_m + lz - h);
        }
        let [left, right] = &body.sides;
        let bogie = |side: &Side| side.kappa_d - side.kappa_b - self.kappa_d0 + self.kappa_b0;
        Some(Settled {
            z_m,
            roll_rad: body.roll_up_left,
            pitch_rad: -body.pitch_up,
            tilt_rad: (cp * cr).clamp(-1.0, 1.0).acos(),
            differential_rad: 0.5 * (right.kappa_d - left.kappa_d),
            bogie_rad: [bogie(left), bogie(right)],
            wheel_m,
            wheel_drop_m,
            clearance_m,
            converged: true,
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Side {
    kappa_b: f64,
    kappa_d: f64,
    h_d: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Body {
    roll_up_left: f64,
    pitch_up: f64,
    h_d: f64,
    sides: [Side; 2],
}

#[cfg(test)]
mod tests;
