//! What the ground looks like below the distance of its nodes: grain, crumbs and pebbles on soil, roughness on rock.
//!
//! A square of slopes and tones is made once from a seed, continues into itself at its borders and is laid over the
//! ground at two scales that do not divide each other. Coarser copies serve ground farther away, so that nothing flickers.

use crate::noise::{GRADIENT_RMS, hash, unit};

/// Texels along a side.
const SIDE: usize = 512;
/// Size of a texel, metres.
pub const TEXEL_M: f32 = 0.01;
/// The second, finer laying: scale, and the turn's sine and cosine.
const FINE: [f32; 3] = [3.7, 0.6018, 0.7986];
/// Texels; more than the map has in any direction.
const ASIDE: f64 = (1u64 << 36) as f64;
/// Slopes are stored in steps of this.
const SLOPE_STEP: f32 = 0.012;
/// Steepest slope that is stored.
const STEEPEST: f32 = 1.5;

/// What a place adds to the smooth ground.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Grain {
    /// Rise per metre east.
    pub slope_x: f32,
    /// Rise per metre north.
    pub slope_y: f32,
    /// Relative change of the albedo.
    pub tone: f32,
}

/// The square at all its sizes, finest first: slopes and tone in steps.
#[derive(Debug)]
pub struct Texture {
    levels: Vec<Vec<[i8; 4]>>,
}

impl Texture {
    /// Draws the square of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut height = vec![0f32; SIDE * SIDE];
        let mut tone = vec![0f32; SIDE * SIDE];
        // Wavelengths of 32 cm down to 2 cm; steeper the shorter, as broken ground is.
        for octave in 0..5u32 {
            let cells = 16usize << octave;
            let wave_m = SIDE as f32 * TEXEL_M / cells as f32;
            let rms_m = 0.028 * wave_m;
            let key = hash(seed, 0x51, i64::from(octave), 0);
            let tone_key = hash(seed, 0x52, i64::from(octave), 0);
            for k in 0..SIDE * SIDE {
                let (x, y) = (
                    (k % SIDE * cells) as f32 / SIDE as f32,
                    (k / SIDE * cells) as f32 / SIDE as f32,
                );
                let scale = 1.0 / GRADIENT_RMS as f32;
                height[k] += rms_m * scale * wrapped(key, x, y, cells);
                tone[k] += 0.022 * scale * wrapped(tone_key, x, y, cells);
            }
        }
        pebbles(seed, &mut height, &mut tone);
        Self {
            levels: coarser(slopes(&height, &tone)),
        }
    }

    /// What lies at a place, metres in `map`, for a pixel that covers `footprint_m`.
    #[must_use]
    #[inline]
    pub fn at(&self, x_m: f64, y_m: f64, footprint_m: f32) -> Grain {
        let (x, y) = (x_m / f64::from(TEXEL_M), y_m / f64::from(TEXEL_M));
        let mut grain = self.laid(x, y, footprint_m / TEXEL_M);
        if footprint_m < 0.6 * TEXEL_M {
            let [scale, sin, cos] = FINE.map(f64::from);
            let (fx, fy) = (scale * (cos * x - sin * y), scale * (sin * x + cos * y));
            let fine = self.laid(fx, fy, footprint_m / TEXEL_M * FINE[0]);
            // Slopes turn back with the laying; what is finer is only crumbs.
            let (sin, cos) = (FINE[1], FINE[2]);
            grain.slope_x += 0.6 * (cos * fine.slope_x + sin * fine.slope_y);
            grain.slope_y += 0.6 * (cos * fine.slope_y - sin * fine.slope_x);
            grain.tone += 0.5 * fine.tone;
        }
        grain
    }

    #[inline]
    fn laid(&self, x: f64, y: f64, texels: f32) -> Grain {
        // Half a level sooner than a pixel covers a texel: bilinear reading smooths as well.
        let level = (u32::BITS - ((texels * 0.707) as u32).leading_zeros()) as usize;
        let level = level.min(self.levels.len() - 1);
        let texture = &self.levels[level];
        let side = SIDE >> level;
        let scale = 1.0 / (1usize << level) as f64;
        // A whole number of squares to the positive side, where cutting off is rounding down.
        let (x, y) = (x * scale + ASIDE, y * scale + ASIDE);
        let (i, j) = (x as i64, y as i64);
        let (u, v) = ((x - i as f64) as f32, (y - j as f64) as f32);
        let (i, j) = (i as usize & (side - 1), j as usize & (side - 1));
        let (i1, j1) = ((i + 1) & (side - 1), (j + 1) & (side - 1));
        let taps = [
            (texture[j * side + i], (1.0 - u) * (1.0 - v)),
            (texture[j * side + i1], u * (1.0 - v)),
            (texture[j1 * side + i], (1.0 - u) * v),
            (texture[j1 * side + i1], u * v),
        ];
        let mut sum = [0f32; 3];
        for (texel, weight) in taps {
            for c in 0..3 {
                sum[c] += weight * f32::from(texel[c]);
            }
        }
        Grain {
            slope_x: sum[0] * SLOPE_STEP,
            slope_y: sum[1] * SLOPE_STEP,
            tone: sum[2] * (1.0 / 256.0),
        }
    }
}

/// Gradient noise that repeats after `cells` cells.
fn wrapped(key: u64, x: f32, y: f32, cells: usize) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (tx, ty) = (x - fx, y - fy);
    let corner = |dx: usize, dy: usize| {
        let (i, j) = ((fx as usize + dx) % cells, (fy as usize + dy) % cells);
        let angle = unit(hash(key, 0, i as i64, j as i64)) as f32 * std::f32::consts::TAU;
        angle.cos() * (tx - dx as f32) + angle.sin() * (ty - dy as f32)
    };
    let fade = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (u, v) = (fade(tx), fade(ty));
    let south = corner(0, 0) * (1.0 - u) + corner(1, 0) * u;
    let north = corner(0, 1) * (1.0 - u) + corner(1, 1) * u;
    south * (1.0 - v) + north * v
}

/// Pebbles of 2 cm to 12 cm, many small and few large, half sunk.
fn pebbles(seed: u64, height: &mut [f32], tone: &mut [f32]) {
    let draw = |n: i64, what: i64| unit(hash(seed, 0x53, n, what)) as f32;
    for n in 0..900 {
        // number ∝ D^−2 between the ends
        let radius = 0.5 * 2.0 / (1.0 - draw(n, 0) * (1.0 - 2.0 / 12.0));
        let (cx, cy) = (draw(n, 1) * SIDE as f32, draw(n, 2) * SIDE as f32);
        let (tall, shade) = (0.35 + 0.35 * draw(n, 3), 0.4 * draw(n, 4) - 0.2);
        let (squeeze, turn) = (0.65 + 0.35 * draw(n, 5), draw(n, 6) * std::f32::consts::PI);
        let (sin, cos) = turn.sin_cos();
        let r = radius.ceil() as i64 + 1;
        for dy in -r..=r {
            for dx in -r..=r {
                let (i, j) = (cx as i64 + dx, cy as i64 + dy);
                let (x, y) = (i as f32 - cx, j as f32 - cy);
                let (a, b) = (cos * x + sin * y, (cos * y - sin * x) / squeeze);
                let q = (a * a + b * b) / (radius * radius);
                if q < 1.0 {
                    let side = SIDE as i64;
                    let k = j.rem_euclid(side) as usize * SIDE + i.rem_euclid(side) as usize;
                    height[k] += tall * radius * TEXEL_M * (1.0 - q).sqrt();
                    tone[k] += shade;
                }
            }
        }
    }
}

fn slopes(height: &[f32], tone: &[f32]) -> Vec<[i8; 4]> {
    let at = |i: usize, j: usize| height[(j % SIDE) * SIDE + i % SIDE];
    (0..SIDE * SIDE)
        .map(|k| {
            let (i, j) = (k % SIDE, k / SIDE);
            let rise = |a: f32, b: f32| {
                let s = (b - a) / (2.0 * TEXEL_M);
                (s.clamp(-STEEPEST, STEEPEST) / SLOPE_STEP).round() as i8
            };
            [
                rise(at(i + SIDE - 1, j), at(i + 1, j)),
                rise(at(i, j + SIDE - 1), at(i, j + 1)),
                (tone[k] * 256.0).round().clamp(-127.0, 127.0) as i8,
                0,
            ]
        })
        .collect()
}

fn coarser(finest: Vec<[i8; 4]>) -> Vec<Vec<[i8; 4]>> {
    let mut levels = vec![finest];
    let mut side = SIDE;
    while let Some(last) = levels.last().filter(|_| side > 1) {
        side /= 2;
        let next = (0..side * side)
            .map(|k| {
                let (i, j) = (2 * (k % side), 2 * (k / side));
                let mut out = [0i8; 4];
                for (c, out) in out.iter_mut().enumerate() {
                    let at = |i: usize, j: usize| i32::from(last[j * 2 * side + i][c]);
                    let sum = at(i, j) + at(i + 1, j) + at(i, j + 1) + at(i + 1, j + 1);
                    *out = (sum / 4) as i8;
                }
                out
            })
            .collect();
        levels.push(next);
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grain_is_rough_nearby_and_smooth_far_away() {
        let t = Texture::new(1);
        let rms = |footprint_m: f32| {
            let n = 4000;
            let sum: f32 = (0..n)
                .map(|k| {
                    let g = t.at(0.137 * f64::from(k), -0.071 * f64::from(k), footprint_m);
                    g.slope_x * g.slope_x + g.slope_y * g.slope_y
                })
                .sum();
            (sum / n as f32).sqrt()
        };
        let (near, far) = (rms(0.004), rms(0.5));
        assert!(near > 0.1 && near < 0.8, "{near}");
        assert!(far < 0.3 * near, "{far} {near}");
        assert_eq!(t.at(1.5, 2.5, 0.01), Texture::new(1).at(1.5, 2.5, 0.01));
        assert_ne!(t.at(1.5, 2.5, 0.01), Texture::new(2).at(1.5, 2.5, 0.01));
        // It continues into itself.
        let side_m = SIDE as f64 * f64::from(TEXEL_M);
        let (a, b) = (t.laid(3.25, 7.5, 1.0), t.laid(3.25 + SIDE as f64, 7.5, 1.0));
        assert_eq!(a, b, "{side_m}");
    }
}
