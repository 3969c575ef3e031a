//! The rocker-bogie as intervals: from what the ground under each wheel may be to what every angle may be.
//!
//! After Otsu et al., "Fast approximate clearance evaluation for rovers with articulated suspension systems" (J. Field
//! Robotics 2020): every angle of a rocker-bogie rises or falls with the height of each wheel, so its bounds lie at
//! corners of the box of wheel heights. Heights are up here. The bogie's angle is bounded at its own corners instead
//! of as the difference of two intervals, which is tighter. That the corners are right is shown by exhaustion over
//! [`RISE_SHARE_MAX`] in this file's tests.

use sojourn_core::rover::Rover;

/// Greatest difference of two wheels' heights of one side, as a share of the link between them, for which the corner
/// selection holds; beyond it nothing is said.
pub const RISE_SHARE_MAX: f64 = 0.6;

/// What a quantity may be, from the least to the greatest value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    /// Least value.
    pub lo: f64,
    /// Greatest value.
    pub hi: f64,
}

impl Range {
    /// From the least to the greatest value.
    #[must_use]
    pub const fn new(lo: f64, hi: f64) -> Self {
        Self { lo, hi }
    }

    /// One value.
    #[must_use]
    pub const fn at(v: f64) -> Self {
        Self { lo: v, hi: v }
    }

    /// Both ends moved out.
    #[must_use]
    pub fn grown(self, by: f64) -> Self {
        Self::new(self.lo - by, self.hi + by)
    }

    /// Both ends moved by the same.
    #[must_use]
    pub fn moved(self, by: f64) -> Self {
        Self::new(self.lo + by, self.hi + by)
    }

    /// The other way round.
    #[must_use]
    pub fn negated(self) -> Self {
        Self::new(-self.hi, -self.lo)
    }

    /// Sum.
    #[must_use]
    pub fn plus(self, o: Self) -> Self {
        Self::new(self.lo + o.lo, self.hi + o.hi)
    }

    /// Difference of independent quantities.
    #[must_use]
    pub fn minus(self, o: Self) -> Self {
        Self::new(self.lo - o.hi, self.hi - o.lo)
    }

    /// Product of independent quantities.
    #[must_use]
    pub fn times(self, o: Self) -> Self {
        let p = [
            self.lo * o.lo,
            self.lo * o.hi,
            self.hi * o.lo,
            self.hi * o.hi,
        ];
        Self::new(
            p.iter().copied().fold(f64::INFINITY, f64::min),
            p.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        )
    }

    /// Greatest magnitude.
    #[must_use]
    pub fn magnitude(self) -> f64 {
        self.lo.abs().max(self.hi.abs())
    }

    /// Middle.
    #[must_use]
    pub fn middle(self) -> f64 {
        0.5 * (self.lo + self.hi)
    }

    /// Half the distance of the ends.
    #[must_use]
    pub fn half(self) -> f64 {
        0.5 * (self.hi - self.lo)
    }

    /// Whether both ends are numbers.
    #[must_use]
    pub fn is_finite(self) -> bool {
        self.lo.is_finite() && self.hi.is_finite()
    }

    /// Whether the other range lies inside.
    #[must_use]
    pub fn holds(self, o: Self) -> bool {
        self.lo <= o.lo && o.hi <= self.hi
    }

    /// The sine of angles within ±π/2.
    #[must_use]
    pub fn sin(self) -> Self {
        Self::new(self.lo.sin(), self.hi.sin())
    }

    /// The cosine of angles within ±π.
    #[must_use]
    pub fn cos(self) -> Self {
        let least = self.magnitude().cos();
        if self.lo <= 0.0 && self.hi >= 0.0 {
            Self::new(least, 1.0)
        } else {
            Self::new(least, self.lo.abs().min(self.hi.abs()).cos())
        }
    }
}

/// Bounds of the suspension for bounds of the wheels' heights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Attitude {
    /// Nose up, radians.
    pub pitch_up: Range,
    /// Left side up, radians.
    pub roll_up_left: Range,
    /// Half the difference of the rockers, radians (left nose up is positive).
    pub differential: Range,
    /// Bogie against rocker, left and right, radians.
    pub bogie: [Range; 2],
    /// Mean height of the two rocker pivots over the wheels' contact plane, metres.
    pub pivot_m: Range,
}

impl Attitude {
    fn each(&self, o: &Self, f: impl Fn(Range, Range) -> Range) -> Self {
        Self {
            pitch_up: f(self.pitch_up, o.pitch_up),
            roll_up_left: f(self.roll_up_left, o.roll_up_left),
            differential: f(self.differential, o.differential),
            bogie: [f(self.bogie[0], o.bogie[0]), f(self.bogie[1], o.bogie[1])],
            pivot_m: f(self.pivot_m, o.pivot_m),
        }
    }

    /// Whether the other's angles lie inside.
    #[must_use]
    pub fn holds(&self, o: &Self) -> bool {
        self.pitch_up.holds(o.pitch_up)
            && self.roll_up_left.holds(o.roll_up_left)
            && self.differential.holds(o.differential)
            && self.bogie[0].holds(o.bogie[0])
            && self.bogie[1].holds(o.bogie[1])
    }

    /// The smallest ranges that hold both.
    #[must_use]
    pub fn joined(&self, o: &Self) -> Self {
        self.each(o, |a, b| Range::new(a.lo.min(b.lo), a.hi.max(b.hi)))
    }

    /// A little more room on both sides, so that rounds come to hold themselves.
    #[must_use]
    pub fn widened(&self, share: f64) -> Self {
        self.each(self, |a, _| a.grown(share * a.half() + 0.002))
    }
}

/// Lengths and angles of one side, named as in the paper: f front, d rocker pivot, b bogie pivot, m middle, r rear.
#[derive(Clone, Copy, Debug)]
pub struct Linkage {
    /// Hubs along the body, front, middle, rear, metres.
    pub hub_x_m: [f64; 3],
    /// Hubs across the body, metres.
    pub hub_y_m: [f64; 3],
    /// The lateral distance that wheel heights are brought to, metres.
    pub y_ref_m: f64,
    /// Rocker pivot along the body, metres.
    pub x_od_m: f64,
    /// Rocker pivot over the axles, metres.
    pub z_od_m: f64,
    l_df: f64,
    l_fb: f64,
    l_bm: f64,
    l_mr: f64,
    phi_f: f64,
    phi_m: f64,
    kappa_d0: f64,
    kappa_b0: f64,
}

struct Side {
    kappa_d: Range,
    bogie: Range,
    h_d: Range,
}

impl Linkage {
    /// The geometry of a rover, hubs taken at the height of the wheel's radius as settling does.
    #[must_use]
    pub fn new(rover: &Rover) -> Self {
        let s = &rover.suspension;
        let r = rover.wheel.radius_m;
        let (xf, xm, xr) = (s.front_hub_m[0], s.middle_hub_m[0], s.rear_hub_m[0]);
        let (xd, zd) = (s.rocker_pivot_m[0], s.rocker_pivot_m[2] - r);
        let (xb, zb) = (s.bogie_pivot_m[0], s.bogie_pivot_m[2] - r);
        let (kappa_b0, kappa_d0) = (zb.atan2(xm - xb), zd.atan2(xf - xd));
        let hub_y_m = [s.front_hub_m[1], s.middle_hub_m[1], s.rear_hub_m[1]];
        Self {
            hub_x_m: [xf, xm, xr],
            hub_y_m,
            y_ref_m: hub_y_m.iter().sum::<f64>() / 3.0,
            x_od_m: xd,
            z_od_m: zd,
            l_df: (xf - xd).hypot(zd),
            l_fb: (xf - xb).hypot(zb),
            l_bm: (xm - xb).hypot(zb),
            l_mr: xm - xr,
            phi_f: kappa_d0 - zb.atan2(xf - xb),
            phi_m: kappa_b0,
            kappa_d0,
            kappa_b0,
        }
    }

    /// Bogie's angle against its link, and the bogie pivot's height.
    fn bogie_at(&self, m: f64, r: f64) -> (f64, f64) {
        let kappa_b = self.phi_m + asin((r - m) / self.l_mr);
        (kappa_b, m + self.l_bm * kappa_b.sin())
    }

    fn rocker_at(&self, f: f64, b: f64) -> f64 {
        self.phi_f + asin((b - f) / self.l_fb)
    }

    /// Bounds of one side from its wheels' heights (front, middle, rear); `None` where the corner selection is not
    /// shown to hold.
    fn side(&self, [f, m, r]: [Range; 3]) -> Option<Side> {
        let (most_m, most_f) = (RISE_SHARE_MAX * self.l_mr, RISE_SHARE_MAX * self.l_fb);
        // Written so that not-a-number gives nothing.
        if !((r.hi - m.lo).max(m.hi - r.lo) <= most_m) {
            return None;
        }
        let b0 = self.kappa_b0 - self.kappa_d0;
        let (_, b_low) = self.bogie_at(m.lo, r.lo);
        let (_, b_high) = self.bogie_at(m.hi, r.hi);
        let (kb_mid_up, b_mid_up) = self.bogie_at(m.hi, r.lo);
        let (kb_mid_down, b_mid_down) = self.bogie_at(m.lo, r.hi);
        if !((b_high - f.lo).max(f.hi - b_low) <= most_f) {
            return None;
        }
        let pivot = |f: f64, b: f64| f + self.l_df * self.rocker_at(f, b).sin();
        Some(Side {
            kappa_d: Range::new(self.rocker_at(f.hi, b_low), self.rocker_at(f.lo, b_high)),
            bogie: Range::new(
                self.rocker_at(f.hi, b_mid_down) - kb_mid_down + b0,
                self.rocker_at(f.lo, b_mid_up) - kb_mid_up + b0,
            ),
            h_d: Range::new(pivot(f.lo, b_low), pivot(f.hi, b_high)),
        })
    }

    /// Bounds of every angle from bounds of the six wheels' heights (left front, middle, rear, right front, …), brought
    /// to one plane; `None` where nothing can be said.
    #[must_use]
    pub fn bound(&self, h: &[Range; 6]) -> Option<Attitude> {
        let l = self.side([h[0], h[1], h[2]])?;
        let r = self.side([h[3], h[4], h[5]])?;
        let pitch_up = Range::new(
            self.kappa_d0 - 0.5 * (l.kappa_d.hi + r.kappa_d.hi),
            self.kappa_d0 - 0.5 * (l.kappa_d.lo + r.kappa_d.lo),
        );
        let cos = pitch_up.cos();
        if !(cos.lo > 0.5) {
            return None;
        }
        let lateral = |rise: f64, outward: bool| {
            // the cosine that makes the quotient greatest in size where it bounds, least where it does not
            let c = if outward { cos.lo } else { cos.hi };
            asin_whole(rise / (2.0 * self.y_ref_m * c))
        };
        let (lo, hi) = (l.h_d.lo - r.h_d.hi, l.h_d.hi - r.h_d.lo);
        Some(Attitude {
            pitch_up,
            roll_up_left: Range::new(lateral(lo, lo < 0.0), lateral(hi, hi > 0.0)),
            differential: Range::new(
                0.5 * (r.kappa_d.lo - l.kappa_d.hi),
                0.5 * (r.kappa_d.hi - l.kappa_d.lo),
            ),
            bogie: [l.bogie, r.bogie],
            pivot_m: Range::new(0.5 * (l.h_d.lo + r.h_d.lo), 0.5 * (l.h_d.hi + r.h_d.hi)),
        })
    }

    /// Bogie pivot over the axles, metres.
    #[must_use]
    pub fn pivot_z_m(&self) -> f64 {
        self.l_bm * self.kappa_b0.sin()
    }

    /// Distance of the middle and the rear hub, metres.
    #[must_use]
    pub fn rear_m(&self) -> f64 {
        self.l_mr
    }

    /// The correction that brings a wheel's height to the common plane, metres: what settling subtracts.
    #[must_use]
    pub fn lean(&self, wheel: usize, a: &Attitude) -> Range {
        let left = if wheel < 3 { 1.0 } else { -1.0 };
        let y = left * (self.hub_y_m[wheel % 3] - self.y_ref_m);
        a.roll_up_left
            .sin()
            .times(a.pitch_up.cos())
            .times(Range::at(y))
    }
}

/// Arcsine by its series for moderate arguments; exact to 2e-5 rad within [`RISE_SHARE_MAX`].
fn asin(v: f64) -> f64 {
    if v.abs() > 0.35 {
        return asin_whole(v);
    }
    let q = v * v;
    v * (1.0
        + q * (1.0 / 6.0
            + q * (3.0 / 40.0 + q * (15.0 / 336.0 + q * (105.0 / 3456.0 + q * 0.022_372_159)))))
}

fn asin_whole(v: f64) -> f64 {
    v.clamp(-1.0, 1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::rover;

    /// The corners by plain evaluation, `(kappa_d, bogie, h_d)`.
    fn plain(l: &Linkage, [f, m, r]: [f64; 3]) -> [f64; 3] {
        let kappa_b = l.phi_m + ((r - m) / l.l_mr).asin();
        let b = m + l.l_bm * kappa_b.sin();
        let kappa_d = l.phi_f + ((b - f) / l.l_fb).asin();
        [
            kappa_d,
            kappa_d - kappa_b - l.kappa_d0 + l.kappa_b0,
            f + l.l_df * kappa_d.sin(),
        ]
    }

    /// Each angle rises or falls with each wheel over the whole table of heights that is let in.
    #[test]
    fn the_corners_are_monotone_over_all_tabulated_heights() {
        for name in ["perseverance", "testbed"] {
            let l = Linkage::new(&rover(name));
            let most = RISE_SHARE_MAX * l.l_fb.max(l.l_mr);
            let steps = 60;
            let at = |i: i32| most * f64::from(i) / f64::from(steps);
            let sign = [[-1.0, -1.0, 1.0], [1.0, 1.0, 1.0], [1.0, -1.0, 1.0]];
            let mut seen = 0;
            // Only differences count, so the front wheel stays at 0 and the others take every height.
            for i in -steps..=steps {
                for j in -steps..=steps {
                    let (m, r) = (at(i), at(j));
                    let b =
                        m + l.l_bm * (l.phi_m + ((r - m) / l.l_mr).clamp(-1.0, 1.0).asin()).sin();
                    if (r - m).abs() > RISE_SHARE_MAX * l.l_mr || b.abs() > RISE_SHARE_MAX * l.l_fb
                    {
                        continue;
                    }
                    seen += 1;
                    let h = [0.0, m, r];
                    let here = plain(&l, h);
                    for (wheel, signs) in sign.iter().enumerate() {
                        let mut up = h;
                        up[wheel] += 1e-4;
                        for (v, (a, b)) in signs.iter().zip(here.iter().zip(plain(&l, up))) {
                            assert!(v * (b - a) > 0.0, "{name} wheel {wheel} at {h:?}: {a} {b}");
                        }
                    }
                }
            }
            assert!(seen > 2000, "{seen}");
        }
    }

    #[test]
    fn the_series_is_the_arcsine() {
        for i in -600..=600 {
            let v = f64::from(i) / 1000.0;
            assert!((asin(v) - v.asin()).abs() < 2e-5, "{v}");
        }
    }
}
