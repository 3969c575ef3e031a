//! What the rover sees around itself: points of stereo pairs gathered into an orthoimage and a height patch.

use super::{CELL_M, plane::Plane};
use sojourn_core::{CoreError, error::in_range};

/// A point of the ground that a camera saw, in the `local` frame: origin at the rover, z up, x and y along those of `map`
/// as far as the rover's own heading is right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalPoint {
    /// East of the rover, metres.
    pub x_m: f32,
    /// North of the rover, metres.
    pub y_m: f32,
    /// Above the rover, metres.
    pub z_m: f32,
    /// Brightness as the detector gives it, linear in light, any unit above 0.
    pub brightness: f32,
    /// Standard deviation of the range, metres.
    pub range_sigma_m: f32,
}

impl LocalPoint {
    fn usable(&self) -> bool {
        let finite = [
            self.x_m,
            self.y_m,
            self.z_m,
            self.brightness,
            self.range_sigma_m,
        ];
        finite.iter().all(|v| v.is_finite()) && self.brightness > 0.0 && self.range_sigma_m > 0.0
    }
}

/// Cells that two views have to share before their exposures are compared.
const LEAST_SHARED: usize = 30;

/// Gathers points; see [`PatchBuilder::finish`].
#[derive(Clone, Debug)]
pub struct PatchBuilder {
    side: usize,
    /// Sums of weight, weight × height, weight × brightness.
    sums: Vec<[f64; 3]>,
    refused: usize,
}

impl PatchBuilder {
    /// An empty patch that reaches `radius_m` from the rover.
    ///
    /// # Errors
    /// [`CoreError::Value`] for a radius outside 5 to 40 m.
    pub fn new(radius_m: f64) -> Result<Self, CoreError> {
        let radius_m = in_range("local patch", "radius_m", radius_m, 5.0, 40.0)?;
        // a multiple of eight cells, so that the coarser grids share its middle
        let side = 8 * (2.0 * radius_m / CELL_M / 8.0).ceil() as usize;
        Ok(Self {
            side,
            sums: vec![[0.0; 3]; side * side],
            refused: 0,
        })
    }

    /// Adds points; those that are not plausible numbers are refused and counted, those beyond the radius left out.
    /// A point counts by the inverse square of its range's deviation, near ones no more than with a quarter of a cell.
    pub fn add(&mut self, points: &[LocalPoint]) {
        for p in points {
            if !p.usable() {
                self.refused += 1;
                continue;
            }
            let Some(cell) = self.cell_of(p).and_then(|k| self.sums.get_mut(k)) else {
                continue;
            };
            let sigma = f64::from(p.range_sigma_m).max(0.25 * CELL_M);
            let w = 1.0 / (sigma * sigma);
            cell[0] += w;
            cell[1] += w * f64::from(p.z_m);
            cell[2] += w * f64::from(p.brightness);
        }
    }

    /// What the brightness of points is to be multiplied by so that it is that of the cells they fall into; 1 when they
    /// share fewer than [`LEAST_SHARED`] cells with what was gathered.
    #[must_use]
    pub fn gain_of(&self, points: &[LocalPoint]) -> f32 {
        let mut sums = vec![[0.0f64; 2]; self.sums.len()];
        for p in points.iter().filter(|p| p.usable()) {
            if let Some(cell) = self.cell_of(p).and_then(|k| sums.get_mut(k)) {
                cell[0] += 1.0;
                cell[1] += f64::from(p.brightness);
            }
        }
        let (mut shared, mut here, mut new) = (0usize, 0.0, 0.0);
        for (own, sum) in self.sums.iter().zip(&sums) {
            if own[0] > 0.0 && sum[0] > 0.0 {
                shared += 1;
                here += own[2] / own[0];
                new += sum[1] / sum[0];
            }
        }
        if shared < LEAST_SHARED || !(new > 0.0) {
            return 1.0;
        }
        (here / new) as f32
    }

    /// The cell that a point falls into.
    fn cell_of(&self, p: &LocalPoint) -> Option<usize> {
        let half = 0.5 * self.side as f64;
        let (c, r) = (
            (f64::from(p.x_m) / CELL_M + half).floor(),
            (f64::from(p.y_m) / CELL_M + half).floor(),
        );
        let inside = |v: f64| v >= 0.0 && v < self.side as f64;
        (inside(c) && inside(r)).then(|| r as usize * self.side + c as usize)
    }

    /// Points that were refused.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// The patch: weighted means by cell, holes where nothing was seen.
    #[must_use]
    pub fn finish(&self) -> LocalPatch {
        let mean = |k: usize| {
            let data = self.sums.iter().map(|s| {
                if s[0] > 0.0 {
                    (s[k] / s[0]) as f32
                } else {
                    f32::NAN
                }
            });
            Plane {
                side: self.side,
                data: data.collect(),
            }
        };
        LocalPatch {
            height_m: mean(1),
            brightness: mean(2),
        }
    }
}

/// Orthoimage and heights around the rover, square, [`CELL_M`] cells, the rover in the middle; holes where nothing is known.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalPatch {
    pub(super) height_m: Plane,
    pub(super) brightness: Plane,
}

impl LocalPatch {
    /// A patch from its cells, south row first; not-a-number is a hole.
    ///
    /// # Errors
    /// [`CoreError::Value`] when the two do not hold `side`² cells or the side is not a multiple of 8 from 40 to 320.
    pub fn from_cells(
        side: usize,
        height_m: Vec<f32>,
        brightness: Vec<f32>,
    ) -> Result<Self, CoreError> {
        let n = side.saturating_mul(side);
        if !(40..=320).contains(&side)
            || !side.is_multiple_of(8)
            || height_m.len() != n
            || brightness.len() != n
        {
            return Err(CoreError::value(
                "local patch",
                "size",
                format!(
                    "{side} x {side} with {} heights and {} brightnesses",
                    height_m.len(),
                    brightness.len()
                ),
                "a side of 40 to 320 cells, a multiple of 8, and side² values of each",
            ));
        }
        let both =
            |k: usize| height_m[k].is_finite() && brightness[k].is_finite() && brightness[k] > 0.0;
        let pick = |data: &[f32]| Plane {
            side,
            data: (0..n)
                .map(|k| if both(k) { data[k] } else { f32::NAN })
                .collect(),
        };
        Ok(Self {
            height_m: pick(&height_m),
            brightness: pick(&brightness),
        })
    }

    /// Cells along a side.
    #[must_use]
    pub fn side(&self) -> usize {
        self.height_m.side
    }

    /// The part within a square that reaches so far from the rover, metres.
    #[must_use]
    pub fn within(&self, reach_m: f64) -> Self {
        let side = 8 * (2.0 * reach_m / CELL_M / 8.0).ceil().max(1.0) as usize;
        if side >= self.side() {
            return self.clone();
        }
        let first = (self.side() - side) / 2;
        let cut = |p: &Plane| Plane::from_fn(side, |c, r| p.at(c + first, r + first));
        Self {
            height_m: cut(&self.height_m),
            brightness: cut(&self.brightness),
        }
    }

    /// The patch as it would be with a heading that is off by an angle, radians.
    #[must_use]
    pub fn turned(&self, angle_rad: f64) -> Self {
        Self {
            height_m: self.height_m.rotated(angle_rad),
            brightness: self.brightness.rotated(angle_rad),
        }
    }

    /// Area seen, square metres.
    #[must_use]
    pub fn seen_m2(&self) -> f64 {
        self.height_m.known_share() * (self.side() * self.side()) as f64 * CELL_M * CELL_M
    }

    /// Brightness of the cells, south row first; not-a-number is a hole.
    #[must_use]
    pub fn brightness(&self) -> &[f32] {
        &self.brightness.data
    }

    /// Heights of the cells over the rover, metres, south row first; not-a-number is a hole.
    #[must_use]
    pub fn height_m(&self) -> &[f32] {
        &self.height_m.data
    }
}
