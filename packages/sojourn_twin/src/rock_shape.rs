//! Shapes of rocks: faceted blocks, flat slabs and rounded cobbles, each from one number.
//!
//! A shape is a height over a plan outline of the area of the unit circle, with height 1 at its highest point. Blocks and
//! slabs are what planes cut off: steep side faces around, one tilted face on top. Rounded ones are half ellipsoids with
//! an uneven outline.

use crate::noise;
use std::f64::consts::{PI, TAU};

/// Most side faces of a block.
pub const MAX_SIDES: usize = 8;

/// One side face: the outline's edge `normal · p ≤ distance`, and how fast the face rises inwards.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Side {
    normal: [f64; 2],
    distance: f64,
    /// Height per unit of distance.
    steepness: f64,
}

/// A shape of unit size.
// It lives on the stack while one rock is drawn; boxing would cost more than the bytes.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RockShape {
    /// A block or slab.
    Faceted(Faceted),
    /// A worn cobble.
    Rounded(Rounded),
}

/// A convex body cut by planes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faceted {
    sides: [Side; MAX_SIDES],
    count: usize,
    /// Height of the top face at the centre and its slope east and north.
    top: [f64; 3],
}

/// A half ellipsoid with three lobes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounded {
    /// Cosine and sine of the long axis.
    axis: [f64; 2],
    /// Half length along the long axis; across it is the inverse.
    stretch: f64,
    lobe: f64,
    phase: f64,
}

/// Depth of the lobes of rounded rocks, as a share of the radius.
const LOBE: f64 = 0.06;
/// Share of rounded rocks.
const ROUNDED: f64 = 0.3;
/// Farthest point of a block's outline, in radii, and the blocks cut to get one.
const MAX_REACH: f64 = 1.5;
const TRIES: i64 = 8;
/// Greatest half length of a rounded rock.
const MAX_STRETCH: f64 = 1.25;

impl RockShape {
    /// The shape that belongs to a number.
    #[must_use]
    pub fn of(key: u64) -> Self {
        let u = |k: i64| noise::unit(noise::hash(key, 0x22, k, 0));
        // A block with a long corner would need much room for its area: another is cut instead.
        let mut blocks =
            (0..TRIES).map(|k| Self::Faceted(Faceted::of(noise::hash(key, 0x24, k, 0))));
        let block = if u(0) < ROUNDED {
            None
        } else {
            blocks.find(|b| b.reach() < MAX_REACH)
        };
        block.unwrap_or_else(|| {
            let turn = TAU * u(1);
            Self::Rounded(Rounded {
                axis: [turn.cos(), turn.sin()],
                stretch: 1.0 + (MAX_STRETCH - 1.0) * u(2),
                lobe: LOBE * u(3),
                phase: TAU * u(4),
            })
        })
    }

    /// Height at `(u, v)` in units of the rock's radius, 0 to 1; 0 outside the outline.
    #[must_use]
    pub fn height(&self, u: f64, v: f64) -> f64 {
        match self {
            Self::Faceted(f) => f.height(u, v),
            Self::Rounded(r) => r.height(u, v),
        }
    }

    /// The farthest point of the outline, in units of the radius.
    #[must_use]
    pub fn reach(&self) -> f64 {
        match self {
            Self::Faceted(f) => f.outline().iter().fold(0.0, |m, p| m.max(p[0].hypot(p[1]))),
            Self::Rounded(r) => r.stretch * (1.0 + r.lobe),
        }
    }

    /// The outline, counter-clockwise, in units of the radius.
    #[must_use]
    pub fn outline(&self) -> Vec<[f64; 2]> {
        match self {
            Self::Faceted(f) => f.outline(),
            Self::Rounded(r) => (0..16)
                .map(|k| {
                    let (s, c) = (TAU * f64::from(k) / 16.0).sin_cos();
                    let edge = r.edge([c, s]);
                    [edge * c, edge * s]
                })
                .collect(),
        }
    }
}

impl Faceted {
    fn of(key: u64) -> Self {
        let u = |k: i64| noise::unit(noise::hash(key, 0x23, k, 0));
        let count = 5 + (u(0) * 4.0) as usize;
        let turn = TAU * u(1);
        let (long, (s, c)) = (1.0 + 0.35 * u(2), (PI * u(3)).sin_cos());
        let mut shape = Self {
            sides: [Side::default(); MAX_SIDES],
            count: count.min(MAX_SIDES),
            top: [1.0, 0.3 * (2.0 * u(4) - 1.0), 0.3 * (2.0 * u(5) - 1.0)],
        };
        for k in 0..shape.count {
            let i = 10 + 3 * k as i64;
            let angle = turn + TAU * (k as f64 + 0.7 * (u(i) - 0.5)) / shape.count as f64;
            // stretched along one axis: the plane's distance grows with its share of that axis
            let along = angle.cos() * c + angle.sin() * s;
            let grow = (along * along * long + (1.0 - along * along) / long).sqrt();
            shape.sides[k] = Side {
                normal: [angle.cos(), angle.sin()],
                distance: (0.85 + 0.15 * u(i + 1)) * grow,
                steepness: 1.6 + 4.0 * u(i + 2),
            };
        }
        shape.normalise();
        shape
    }

    /// To the area of the unit circle and height 1.
    fn normalise(&mut self) {
        let outline = self.outline();
        let area = 0.5
            * (0..outline.len())
                .map(|k| {
                    let (a, b) = (outline[k], outline[(k + 1) % outline.len()]);
                    a[0] * b[1] - a[1] * b[0]
                })
                .sum::<f64>();
        let scale = (PI / area.max(1e-6)).sqrt();
        for side in &mut self.sides[..self.count] {
            side.distance *= scale;
            side.steepness /= scale;
        }
        for slope in &mut self.top[1..] {
            *slope /= scale;
        }
        let mut highest = 1e-6f64;
        for i in -12..=12 {
            for j in -12..=12 {
                highest = highest.max(self.height(f64::from(i) * 0.1, f64::from(j) * 0.1));
            }
        }
        for side in &mut self.sides[..self.count] {
            side.steepness /= highest;
        }
        self.top = self.top.map(|t| t / highest);
    }

    fn height(&self, u: f64, v: f64) -> f64 {
        let mut h = self.top[0] + self.top[1] * u + self.top[2] * v;
        for side in &self.sides[..self.count] {
            let inside = side.distance - side.normal[0] * u - side.normal[1] * v;
            h = h.min(side.steepness * inside);
        }
        h.clamp(0.0, 1.0)
    }

    /// The polygon that the sides leave of a large square, counter-clockwise.
    fn outline(&self) -> Vec<[f64; 2]> {
        let mut polygon = vec![[-4.0, -4.0], [4.0, -4.0], [4.0, 4.0], [-4.0, 4.0]];
        for side in &self.sides[..self.count] {
            let gap = |p: &[f64; 2]| side.distance - side.normal[0] * p[0] - side.normal[1] * p[1];
            let mut kept = Vec::with_capacity(polygon.len() + 1);
            for k in 0..polygon.len() {
                let (a, b) = (polygon[k], polygon[(k + 1) % polygon.len()]);
                let (ga, gb) = (gap(&a), gap(&b));
                if ga >= 0.0 {
                    kept.push(a);
                }
                if (ga >= 0.0) != (gb >= 0.0) {
                    let t = ga / (ga - gb);
                    kept.push([a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]);
                }
            }
            polygon = kept;
        }
        polygon
    }
}

impl Rounded {
    /// Distance of the outline in a direction of length 1.
    fn edge(&self, [c, s]: [f64; 2]) -> f64 {
        let (along, across) = (
            c * self.axis[0] + s * self.axis[1],
            s * self.axis[0] - c * self.axis[1],
        );
        let ellipse = 1.0 / (along / self.stretch).hypot(across * self.stretch);
        // cos 3θ of the direction relative to the axis
        let lobes = (3.0 * across.atan2(along) + self.phase).cos();
        // the lobes' mean square would add to the area
        ellipse * (1.0 + self.lobe * lobes) / (1.0 + 0.5 * self.lobe * self.lobe).sqrt()
    }

    fn height(&self, u: f64, v: f64) -> f64 {
        let d = u.hypot(v);
        if d < 1e-9 {
            return 1.0;
        }
        let q = d / self.edge([u / d, v / d]);
        if q < 1.0 { (1.0 - q * q).sqrt() } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_shape_covers_the_area_of_its_circle(key: u64) {
            let shape = RockShape::of(key);
            let (n, step) = (160, 4.0 / 160.0);
            let (mut covered, mut highest) = (0.0, 0.0f64);
            for i in 0..n {
                for j in 0..n {
                    let (u, v) = ((f64::from(i) + 0.5) * step - 2.0, (f64::from(j) + 0.5) * step - 2.0);
                    let h = shape.height(u, v);
                    prop_assert!((0.0..=1.0).contains(&h));
                    if h > 0.0 {
                        covered += step * step;
                        prop_assert!(u.hypot(v) <= shape.reach() + 1e-9);
                    }
                    highest = highest.max(h);
                }
            }
            prop_assert!((covered / PI - 1.0).abs() < 0.03, "{}", covered / PI);
            prop_assert!(highest > 0.9);
            prop_assert!(shape.reach() < MAX_REACH, "{}", shape.reach());
            prop_assert!(shape.outline().len() >= 3);
        }
    }
}
