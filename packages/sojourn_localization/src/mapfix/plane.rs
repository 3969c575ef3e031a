//! Square grids of numbers with holes, and the filters that the matcher needs.

/// A square grid, south row first; not-a-number is a hole.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plane {
    pub side: usize,
    pub data: Vec<f32>,
}

impl Plane {
    pub fn from_fn(side: usize, mut value: impl FnMut(usize, usize) -> f32) -> Self {
        let mut data = Vec::with_capacity(side * side);
        for r in 0..side {
            for c in 0..side {
                data.push(value(c, r));
            }
        }
        Self { side, data }
    }

    pub fn at(&self, c: usize, r: usize) -> f32 {
        self.data[r * self.side + c]
    }

    pub fn map(&self, f: impl Fn(f32) -> f32) -> Self {
        Self {
            side: self.side,
            data: self.data.iter().map(|v| f(*v)).collect(),
        }
    }

    pub fn zip(&self, other: &Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let pairs = self.data.iter().zip(&other.data);
        Self {
            side: self.side,
            data: pairs.map(|(a, b)| f(*a, *b)).collect(),
        }
    }

    /// Share of cells that hold a number.
    pub fn known_share(&self) -> f64 {
        let n = self.data.iter().filter(|v| v.is_finite()).count();
        n as f64 / self.data.len().max(1) as f64
    }

    /// Mean of the cells that hold a number; 0 without any.
    pub fn mean(&self) -> f64 {
        let known = self.data.iter().filter(|v| v.is_finite());
        let (n, sum) = known.fold((0.0, 0.0), |(n, s), v| (n + 1.0, s + f64::from(*v)));
        sum / f64::max(n, 1.0)
    }

    /// Standard deviation of the cells that hold a number; 0 without any.
    pub fn deviation(&self) -> f64 {
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for v in self.data.iter().filter(|v| v.is_finite()) {
            let v = f64::from(*v);
            n += 1.0;
            sum += v;
            squares += v * v;
        }
        if n < 2.0 {
            return 0.0;
        }
        let mean = sum / n;
        (squares / n - mean * mean).max(0.0).sqrt()
    }

    /// A Gaussian blur (three running means, Wells 1986) of the cells that hold a number. A cell has a value afterwards
    /// when the known cells around it carry at least `least` of the weight.
    pub fn blurred(&self, sigma_px: f64, least: f32) -> Self {
        let reach = (((4.0 * sigma_px * sigma_px + 1.0).sqrt() - 1.0) / 2.0).round() as usize;
        if reach == 0 {
            return self.clone();
        }
        let mut weight = self.map(|v| if v.is_finite() { 1.0 } else { 0.0 });
        let mut value = self.map(|v| if v.is_finite() { v } else { 0.0 });
        for _ in 0..3 {
            value = value
                .running_mean(reach)
                .turned()
                .running_mean(reach)
                .turned();
            weight = weight
                .running_mean(reach)
                .turned()
                .running_mean(reach)
                .turned();
        }
        value.zip(&weight, |v, w| if w >= least { v / w } else { f32::NAN })
    }

    /// The running mean along rows over `2·reach + 1` cells; cells beyond the border count as 0.
    fn running_mean(&self, reach: usize) -> Self {
        let side = self.side;
        let share = 1.0 / (2 * reach + 1) as f32;
        let mut out = vec![0f32; side * side];
        for (row, line) in self.data.chunks(side).zip(out.chunks_mut(side)) {
            let mut sum: f64 = row.iter().take(reach).map(|v| f64::from(*v)).sum();
            for c in 0..side {
                sum += row.get(c + reach).map_or(0.0, |v| f64::from(*v));
                if c > reach {
                    sum -= f64::from(row[c - reach - 1]);
                }
                line[c] = sum as f32 * share;
            }
        }
        Self { side, data: out }
    }

    fn turned(&self) -> Self {
        Self::from_fn(self.side, |c, r| self.at(r, c))
    }

    /// Slopes along columns (east) and rows (north) per unit of `cell`, by central differences.
    pub fn slopes(&self, cell_m: f64) -> [Self; 2] {
        let side = self.side;
        let half = (0.5 / cell_m) as f32;
        let inside = |k: usize| k > 0 && k + 1 < side;
        [
            Self::from_fn(side, |c, r| {
                if inside(c) {
                    half * (self.at(c + 1, r) - self.at(c - 1, r))
                } else {
                    f32::NAN
                }
            }),
            Self::from_fn(side, |c, r| {
                if inside(r) {
                    half * (self.at(c, r + 1) - self.at(c, r - 1))
                } else {
                    f32::NAN
                }
            }),
        ]
    }

    /// Departure from the surroundings as a share of them: what is left of brightness when exposure, haze and broad
    /// shading are taken away.
    pub fn contrast(&self, around_px: f64) -> Self {
        let around = self.blurred(around_px, 0.02);
        self.zip(
            &around,
            |v, a| if a > 1e-6 { v / a - 1.0 } else { f32::NAN },
        )
    }

    /// Departure from the surroundings.
    pub fn detail(&self, around_px: f64) -> Self {
        self.zip(&self.blurred(around_px, 0.02), |v, a| v - a)
    }

    /// Turns the grid about its middle by an angle (radians counter-clockwise); bilinear, holes stay holes.
    pub fn rotated(&self, angle_rad: f64) -> Self {
        let (sin, cos) = angle_rad.sin_cos();
        let middle = 0.5 * (self.side as f64 - 1.0);
        Self::from_fn(self.side, |c, r| {
            let (x, y) = (c as f64 - middle, r as f64 - middle);
            self.sample(middle + cos * x + sin * y, middle - sin * x + cos * y)
        })
    }

    /// Bilinear at a place in cells; not-a-number outside and beside holes.
    pub fn sample(&self, x: f64, y: f64) -> f32 {
        let last = self.side as f64 - 1.0;
        if !(x >= 0.0 && y >= 0.0 && x <= last && y <= last) {
            return f32::NAN;
        }
        let (c, r) = (
            (x as usize).min(self.side - 2),
            (y as usize).min(self.side - 2),
        );
        let (tx, ty) = ((x - c as f64) as f32, (y - r as f64) as f32);
        let south = self.at(c, r) * (1.0 - tx) + self.at(c + 1, r) * tx;
        let north = self.at(c, r + 1) * (1.0 - tx) + self.at(c + 1, r + 1) * tx;
        south * (1.0 - ty) + north * ty
    }

    /// Every `step`-th cell.
    pub fn thinned(&self, step: usize) -> Self {
        Self::from_fn(self.side / step, |c, r| self.at(c * step, r * step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blur_keeps_planes_and_does_not_spread_holes() {
        let mut p = Plane::from_fn(40, |c, r| 2.0 + 0.1 * c as f32 - 0.05 * r as f32);
        p.data[20 * 40 + 20] = f32::NAN;
        let b = p.blurred(2.0, 0.5);
        assert!((b.at(15, 25) - 2.25).abs() < 0.02, "{}", b.at(15, 25));
        assert!(b.at(20, 20).is_finite());
        assert!(p.contrast(3.0).at(20, 20).is_nan());
    }

    #[test]
    fn a_turn_by_a_quarter_moves_east_to_north() {
        let mut p = Plane::from_fn(21, |_, _| 0.0);
        p.data[10 * 21 + 18] = 1.0;
        let q = p.rotated(std::f64::consts::FRAC_PI_2);
        assert!((q.at(10, 18) - 1.0).abs() < 1e-5);
    }
}
