//! Dirt on a lens: dark blotches that stay at the same pixels while the scene moves.
//!
//! The logarithms of the grey levels, less their mean over the image, are averaged over views that differ: what the scene
//! has there averages out, what the lens takes away stays. A blotch is what is darker in that mean than all places of a ring around
//! it; so a horizon, vignetting and the sky are none. Parts of the rover that always stand at the same pixels and are darker than
//! all around them look the same as dirt.

use super::GreyImage;

/// Side of the blocks that are averaged, pixels.
const BLOCK_PX: usize = 8;
/// Views that differ before anything is said, and those that the mean goes back over.
const ENOUGH: u32 = 12;
const MEMORY: u32 = 24;
/// Correlation with the last view that counted up to which a view differs.
const ALIKE: f64 = 0.9;
/// Radii of the rings, blocks.
const RINGS: [i64; 3] = [3, 6, 12];
/// Places of a ring, and how many of them have to lie in the image.
const PLACES: usize = 8;
const IN_IMAGE: usize = 6;
/// Least darkness of a blotch, in the logarithm, and in standard deviations of neighbouring blocks' difference.
const DARKER: f32 = 0.12;
const SIGMAS: f32 = 3.0;
/// Added to the levels before the logarithm: noise in shadow is no contrast.
const FLOOR: f32 = 12.0;

/// Watches one lens.
#[derive(Clone, Debug, Default)]
pub struct Dirt {
    cols: usize,
    rows: usize,
    /// Levels of the last view that counted.
    last: Vec<f32>,
    mean: Vec<f32>,
    views: u32,
}

impl Dirt {
    /// Looks at an image. One that is like the last that counted says nothing new; another size begins anew; of fewer than 3 x 3
    /// blocks nothing is learnt.
    pub fn look(&mut self, image: &GreyImage) {
        let (cols, rows) = (image.width / BLOCK_PX, image.height / BLOCK_PX);
        let fits = image.width.checked_mul(image.height) == Some(image.pixels.len());
        if !fits || cols < 3 || rows < 3 {
            return;
        }
        let levels = levels(image, cols, rows);
        if (self.cols, self.rows) != (cols, rows) {
            *self = Self {
                cols,
                rows,
                ..Self::default()
            };
        }
        if self.views > 0 && correlation(&levels, &self.last) > ALIKE {
            return;
        }
        self.views = (self.views + 1).min(MEMORY);
        self.mean.resize(levels.len(), 0.0);
        for (m, v) in self.mean.iter_mut().zip(&levels) {
            *m += (v - *m) / self.views as f32;
        }
        self.last = levels;
    }

    /// Share of the image that blotches take; none before enough views that differ.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let dirty = self.blocks()?;
        let n = dirty.iter().filter(|d| **d).count();
        Some(n as f64 / dirty.len() as f64)
    }

    /// Which blocks of 8 x 8 pixels blotches take, row by row from the top; none before enough views that differ.
    #[must_use]
    pub fn blocks(&self) -> Option<Vec<bool>> {
        if self.views < ENOUGH {
            return None;
        }
        let least = DARKER.max(SIGMAS * self.grain());
        Some(
            (0..self.mean.len())
                .map(|i| RINGS.iter().any(|r| self.darker(i, *r) >= least))
                .collect(),
        )
    }

    /// How much darker a block is than the darkest place of a ring around it; 0 where too little of that is in the image.
    fn darker(&self, block: usize, radius: i64) -> f32 {
        let (x, y) = ((block % self.cols) as i64, (block / self.cols) as i64);
        let aside = (radius as f64 * std::f64::consts::FRAC_1_SQRT_2).round() as i64;
        let ring: [[i64; 2]; PLACES] = [
            [radius, 0],
            [aside, aside],
            [0, radius],
            [-aside, aside],
            [-radius, 0],
            [-aside, -aside],
            [0, -radius],
            [aside, -aside],
        ];
        let inside = |[u, v]: [i64; 2]| {
            let (u, v) = (x + u, y + v);
            let is_in = u >= 0 && v >= 0 && u < self.cols as i64 && v < self.rows as i64;
            is_in.then(|| self.mean[v as usize * self.cols + u as usize])
        };
        let (mut darkest, mut places) = (f32::INFINITY, 0);
        for level in ring.into_iter().filter_map(inside) {
            darkest = darkest.min(level);
            places += 1;
        }
        if places < IN_IMAGE {
            return 0.0;
        }
        darkest - self.mean[block]
    }

    /// Standard deviation of a block's level in the mean, by the median of the differences of neighbours in a row.
    fn grain(&self) -> f32 {
        let lines = self.mean.chunks_exact(self.cols);
        let mut steps: Vec<f32> = lines
            .flat_map(|l| l.windows(2).map(|w| (w[1] - w[0]).abs()))
            .collect();
        steps.sort_by(f32::total_cmp);
        let middle = steps.get(steps.len() / 2).copied().unwrap_or(0.0);
        1.4826 * middle / std::f32::consts::SQRT_2
    }
}

/// Logarithms of the blocks' mean levels, less the mean of all.
fn levels(image: &GreyImage, cols: usize, rows: usize) -> Vec<f32> {
    let mut sums = vec![0u32; cols * rows];
    for (y, line) in image
        .pixels
        .chunks_exact(image.width)
        .take(rows * BLOCK_PX)
        .enumerate()
    {
        let of = &mut sums[y / BLOCK_PX * cols..][..cols];
        for (sum, block) in of.iter_mut().zip(line.chunks_exact(BLOCK_PX)) {
            *sum += block.iter().map(|v| u32::from(*v)).sum::<u32>();
        }
    }
    let pixels = (BLOCK_PX * BLOCK_PX) as f32;
    let mut out: Vec<f32> = sums
        .iter()
        .map(|s| (*s as f32 / pixels + FLOOR).ln())
        .collect();
    let mean = out.iter().sum::<f32>() / out.len() as f32;
    for v in &mut out {
        *v -= mean;
    }
    out
}

/// Correlation of two views, each with mean 0; 1 where one of them is even.
fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(x, y)| f64::from(x * y));
        products.sum()
    };
    let scale = (dot(a, a) * dot(b, b)).sqrt();
    if scale > 1e-9 { dot(a, b) / scale } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_core::Stamp;
    use std::f64::consts::TAU;

    const WIDTH: usize = 320;
    const HEIGHT: usize = 240;
    /// Middles and radii of the blotches, pixels.
    const BLOTCHES: [[f64; 3]; 3] = [
        [80.0, 60.0, 20.0],
        [220.0, 150.0, 32.0],
        [150.0, 200.0, 14.0],
    ];

    /// Ground with stones and their shadows that moves with the frame under a sky; corners darker, as lenses make them.
    fn frame(number: usize, dirt: f64) -> GreyImage {
        let move_px = 23.0 * number as f64;
        let pixel = |i: usize| {
            let (u, v) = ((i % WIDTH) as f64, (i / WIDTH) as f64);
            let (x, y) = (u + 1.7 * move_px, v + move_px);
            let wave = |a: f64, b: f64| (TAU * (a * x + b * y)).sin();
            let h = ((x / 3.0) as usize * 73_856_093) ^ ((y / 3.0) as usize * 19_349_663);
            let grain = (h / 64 % 31) as f64 - 15.0;
            let place = (x / 40.0) as usize * 31 + (y / 30.0) as usize * 17;
            let stone = place.is_multiple_of(7);
            let mut level = 110.0
                + 18.0 * wave(0.013, 0.004)
                + 12.0 * wave(-0.02, 0.03)
                + grain
                + if stone { -50.0 } else { 0.0 };
            if v < 40.0 {
                level = 200.0;
            }
            let from_middle = (u - 160.0).hypot(v - 120.0) / 200.0;
            level *= 1.0 - 0.35 * from_middle * from_middle;
            for [a, b, r] in BLOTCHES {
                let off = (u - a).hypot(v - b) / r;
                level *= 1.0 - dirt * (1.5 * (1.0 - off)).clamp(0.0, 1.0);
            }
            level.clamp(0.0, 255.0) as u8
        };
        GreyImage {
            stamp: Stamp(number as i64),
            width: WIDTH,
            height: HEIGHT,
            pixels: (0..WIDTH * HEIGHT).map(pixel).collect(),
        }
    }

    fn watched(frames: usize, dirt: f64) -> Dirt {
        let mut watched = Dirt::default();
        for k in 0..frames {
            watched.look(&frame(k, dirt));
        }
        watched
    }

    #[test]
    fn blotches_that_stay_are_found_where_they_are() {
        let watched = watched(14, 0.5);
        let blocks = watched.blocks().unwrap();
        let cols = WIDTH / BLOCK_PX;
        let off = |i: usize, [a, b, r]: [f64; 3]| {
            let middle = |k: usize| (k * BLOCK_PX) as f64 + 4.0;
            (middle(i % cols) - a).hypot(middle(i / cols) - b) / r
        };
        for blotch in BLOTCHES {
            let core: Vec<usize> = (0..blocks.len())
                .filter(|i| off(*i, blotch) < 0.5)
                .collect();
            let found = core.iter().filter(|i| blocks[**i]).count();
            assert!(
                2 * found > core.len(),
                "{blotch:?}: {found} of {}",
                core.len()
            );
        }
        let beside = (0..blocks.len())
            .filter(|i| blocks[*i] && BLOTCHES.iter().all(|b| off(*i, *b) > 1.4))
            .count();
        assert!(beside <= 2, "{beside}");
        let painted: f64 = BLOTCHES
            .iter()
            .map(|b| std::f64::consts::PI * b[2] * b[2])
            .sum();
        let share = watched.share().unwrap() * (WIDTH * HEIGHT) as f64 / painted;
        assert!((0.4..1.3).contains(&share), "{share}");
    }

    #[test]
    fn clean_lenses_are_clean_under_a_moving_scene_with_sky_and_vignetting() {
        for frames in [12, 16, 24, 60] {
            assert_eq!(watched(frames, 0.0).share(), Some(0.0), "{frames}");
        }
    }

    #[test]
    fn a_scene_that_stands_still_says_nothing_and_a_cleaned_lens_is_forgiven() {
        let mut still = Dirt::default();
        for _ in 0..30 {
            still.look(&frame(3, 0.5));
        }
        assert_eq!(still.share(), None);
        let mut cleaned = watched(14, 0.5);
        assert!(cleaned.share().unwrap() > 0.01);
        for k in 14..140 {
            cleaned.look(&frame(k, 0.0));
        }
        assert_eq!(cleaned.share(), Some(0.0));
    }

    #[test]
    fn images_that_do_not_fit_change_nothing_and_another_size_begins_anew() {
        let mut d = watched(14, 0.5);
        let share = d.share();
        let mut bad = frame(50, 0.0);
        bad.pixels.pop();
        d.look(&bad);
        d.look(&GreyImage {
            width: 0,
            height: 0,
            pixels: vec![],
            ..bad
        });
        assert_eq!(d.share(), share);
        d.look(&GreyImage {
            stamp: Stamp(0),
            width: 64,
            height: 64,
            pixels: vec![9; 64 * 64],
        });
        assert_eq!(d.share(), None);
    }
}
