//! Randomness that belongs to a place: the same seed and the same point give the same number, whatever was asked for
//! before and whichever region is looked at.

/// A well mixed 64-bit hash of a seed, a channel and two cell numbers (SplitMix64's finaliser, chained).
#[must_use]
#[inline]
pub fn hash(seed: u64, channel: u64, ix: i64, iy: i64) -> u64 {
    let mut h = mix(seed ^ channel.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    h = mix(h ^ (ix as u64).wrapping_mul(0xd6e8_feb8_6659_fd93));
    mix(h ^ (iy as u64).wrapping_mul(0xa076_1d64_78bd_642f))
}

#[inline]
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number from 0 (included) to 1 (excluded) from a hash.
#[must_use]
#[inline]
pub fn unit(h: u64) -> f64 {
    (h >> 11) as f64 / (1u64 << 53) as f64
}

/// A number of mean 0 and variance 1 from a hash: the sum of four uniform numbers, within ±3.47. Nearly Gaussian, and
/// cheap enough for every pixel of every image.
#[must_use]
#[inline]
pub fn near_gauss(h: u64) -> f64 {
    let sum = (h & 0xffff) + ((h >> 16) & 0xffff) + ((h >> 32) & 0xffff) + (h >> 48);
    // mean 2·65535, standard deviation 65536·sqrt(4/12)
    (sum as f64 - 131_070.0) / 37_837.2
}

/// Root mean square of [`gradient`] over the plane; see the test.
pub const GRADIENT_RMS: f64 = 0.217;

/// Gradient noise (Perlin's) with one feature per unit of length: mean 0, RMS [`GRADIENT_RMS`], smooth to the second
/// derivative. `key` chooses the pattern: a [`hash`] of seed and channel.
#[must_use]
#[inline]
pub fn gradient(key: u64, x: f64, y: f64) -> f64 {
    let (fx, fy) = (x.floor(), y.floor());
    let (ix, iy) = (fx as i64 as u64, fy as i64 as u64);
    let (tx, ty) = (x - fx, y - fy);
    let corner = |dx: u64, dy: u64| {
        // One round of mixing is enough for sixteen directions; this runs for every node of a world.
        let cell = ix.wrapping_add(dx).wrapping_mul(0xd6e8_feb8_6659_fd93)
            ^ iy.wrapping_add(dy).wrapping_mul(0xa076_1d64_78bd_642f);
        let [gx, gy] = DIRECTIONS[(mix(key ^ cell) >> 60) as usize & 15];
        gx * (tx - dx as f64) + gy * (ty - dy as f64)
    };
    let fade = |t: f64| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (u, v) = (fade(tx), fade(ty));
    let south = corner(0, 0) * (1.0 - u) + corner(1, 0) * u;
    let north = corner(0, 1) * (1.0 - u) + corner(1, 1) * u;
    south * (1.0 - v) + north * v
}

/// Sixteen directions around the circle.
const DIRECTIONS: [[f64; 2]; 16] = {
    const A: f64 = 0.923_879_532_511_286_7;
    const B: f64 = 0.382_683_432_365_089_8;
    const C: f64 = std::f64::consts::FRAC_1_SQRT_2;
    [
        [1.0, 0.0],
        [A, B],
        [C, C],
        [B, A],
        [0.0, 1.0],
        [-B, A],
        [-C, C],
        [-A, B],
        [-1.0, 0.0],
        [-A, -B],
        [-C, -C],
        [-B, -A],
        [0.0, -1.0],
        [B, -A],
        [C, -C],
        [A, -B],
    ]
};

/// Fractal noise: octaves from `longest_m` down by halves to not below `shortest_m`, each with amplitude ∝ λ^`hurst`.
/// RMS is 1 when all octaves are there.
#[derive(Clone, Debug)]
pub struct Fractal {
    /// Inverse wavelength, amplitude and key of the pattern.
    octaves: Vec<(f64, f64, u64)>,
}

impl Fractal {
    /// Prepares the octaves; none when `shortest_m` exceeds `longest_m`.
    #[must_use]
    pub fn new(seed: u64, channel: u64, longest_m: f64, shortest_m: f64, hurst: f64) -> Self {
        let mut octaves = Vec::new();
        let mut wavelength_m = longest_m;
        while wavelength_m >= shortest_m && octaves.len() < 24 {
            let amplitude = (wavelength_m / longest_m).powf(hurst);
            let key = hash(seed, channel, octaves.len() as i64, 0);
            octaves.push((1.0 / wavelength_m, amplitude, key));
            wavelength_m *= 0.5;
        }
        let rms = octaves.iter().map(|o| o.1 * o.1).sum::<f64>().sqrt() * GRADIENT_RMS;
        for o in &mut octaves {
            o.1 /= rms;
        }
        Self { octaves }
    }

    /// The value at a point, metres.
    #[must_use]
    pub fn at(&self, x_m: f64, y_m: f64) -> f64 {
        self.octaves
            .iter()
            .map(|&(per_m, amplitude, key)| amplitude * gradient(key, x_m * per_m, y_m * per_m))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_rms(values: impl Iterator<Item = f64>) -> (f64, f64) {
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for v in values {
            n += 1.0;
            sum += v;
            squares += v * v;
        }
        (sum / n, (squares / n - (sum / n) * (sum / n)).sqrt())
    }

    #[test]
    fn noise_has_the_size_it_claims() {
        let points =
            |k: f64| (0..200_000).map(move |i| (f64::from(i % 447) * k, f64::from(i / 447) * k));
        let (mean, rms) =
            mean_and_rms(points(0.613).map(|(x, y)| gradient(hash(7, 1, 0, 0), x, y)));
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((rms - GRADIENT_RMS).abs() < 0.01, "{rms}");
        let f = Fractal::new(3, 2, 8.0, 0.5, 0.7);
        let (_, rms) = mean_and_rms(points(1.37).map(|(x, y)| f.at(x, y)));
        assert!((rms - 1.0).abs() < 0.06, "{rms}");
        let (mean, rms) = mean_and_rms((0..100_000).map(|i| near_gauss(hash(1, 2, i, 3))));
        assert!(
            mean.abs() < 0.01 && (rms - 1.0).abs() < 0.01,
            "{mean} {rms}"
        );
        let (mean, _) = mean_and_rms((0..100_000).map(|i| unit(hash(1, 2, i, -i))));
        assert!((mean - 0.5).abs() < 0.005, "{mean}");
    }

    #[test]
    fn seeds_and_channels_differ() {
        assert_ne!(hash(1, 2, 3, 4), hash(2, 2, 3, 4));
        assert_ne!(hash(1, 2, 3, 4), hash(1, 3, 3, 4));
        assert_ne!(hash(1, 2, 3, 4), hash(1, 2, 4, 3));
        assert!((gradient(1, -0.001, 0.5) - gradient(1, 0.001, 0.5)).abs() < 0.01);
    }
}
