//! Patches of an image by tone and texture, what is odd among them, and what is new against earlier images.

use super::{Crop, Kind, Target, Wants, rank};
use crate::classes::GreyImage;

/// Side of a patch, pixels.
pub(super) const PATCH_PX: usize = 16;
/// Numbers of a descriptor.
pub const DESCRIPTORS: usize = 4;
/// Measurements from which the memory speaks.
const ENOUGH: f64 = 12.0;
/// Order of the edges from which a patch is called layered, 0 to 1.
const LAYERED: f64 = 0.75;

/// Tone, contrast, strength of the edges (both in logarithms) and their order (0 any way, 1 all one way).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descriptor(pub [f64; DESCRIPTORS]);

impl Descriptor {
    /// Of a part of an image; `None` when it does not lie in it.
    #[must_use]
    pub fn of(image: &GreyImage<'_>, crop: Crop) -> Option<Self> {
        let inside = crop.col + crop.width <= image.width
            && crop.row + crop.height <= image.height
            && crop.width > 1
            && crop.height > 1
            && image.data.len() == image.width * image.height;
        if !inside {
            return None;
        }
        let at = |c: usize, r: usize| f64::from(image.data[r * image.width + c]);
        let (mut sum, mut square) = (0.0, 0.0);
        let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
        for r in crop.row..crop.row + crop.height {
            for c in crop.col..crop.col + crop.width {
                let v = at(c, r);
                sum += v;
                square += v * v;
                let dx = at((c + 1).min(image.width - 1), r) - at(c.saturating_sub(1), r);
                let dy = at(c, (r + 1).min(image.height - 1)) - at(c, r.saturating_sub(1));
                xx += dx * dx;
                yy += dy * dy;
                xy += dx * dy;
            }
        }
        let n = (crop.width * crop.height) as f64;
        let mean = sum / n;
        let contrast = (square / n - mean * mean).max(0.0).sqrt();
        let strength = (xx + yy) / n;
        let order = ((xx - yy).powi(2) + 4.0 * xy * xy).sqrt() / (xx + yy).max(1e-9);
        Some(Self([
            mean,
            (1.0 + contrast).ln(),
            0.5 * (1.0 + strength).ln(),
            order,
        ]))
    }
}

/// What was seen so far: running mean and variance of descriptors (Welford 1962).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    n: f64,
    mean: [f64; DESCRIPTORS],
    square: [f64; DESCRIPTORS],
}

impl Memory {
    /// Remembers.
    pub fn take(&mut self, d: &Descriptor) {
        self.n += 1.0;
        for k in 0..DESCRIPTORS {
            let off = d.0[k] - self.mean[k];
            self.mean[k] += off / self.n;
            self.square[k] += off * (d.0[k] - self.mean[k]);
        }
    }

    /// How new something is, 0 to 1: 0 while little was seen, and within one standard deviation of what was.
    #[must_use]
    pub fn novelty(&self, d: &Descriptor) -> f64 {
        if self.n < ENOUGH {
            return 0.0;
        }
        let far2: f64 = (0..DESCRIPTORS)
            .map(|k| {
                let variance = (self.square[k] / (self.n - 1.0)).max(1e-6);
                (d.0[k] - self.mean[k]).powi(2) / variance
            })
            .sum::<f64>()
            / DESCRIPTORS as f64;
        ((far2.sqrt() - 1.0) / 3.0).clamp(0.0, 1.0)
    }
}

/// Patches of an image that are unlike the rest of it, neighbours together, best first; `below` leaves out the rows above it
/// (sky). What was seen is remembered.
pub fn odd_targets(
    image: &GreyImage<'_>,
    below: usize,
    wants: &Wants,
    memory: &mut Memory,
) -> Vec<Target> {
    let first = below.div_ceil(PATCH_PX);
    let (cols, rows) = (image.width / PATCH_PX, image.height / PATCH_PX);
    if rows <= first + 1 || cols < 2 {
        return Vec::new();
    }
    let crop = |c: usize, r: usize, wide: usize, high: usize| Crop {
        col: c * PATCH_PX,
        row: r * PATCH_PX,
        width: wide * PATCH_PX,
        height: high * PATCH_PX,
    };
    let all: Vec<Option<Descriptor>> = (first * cols..rows * cols)
        .map(|i| Descriptor::of(image, crop(i % cols, i / cols, 1, 1)))
        .collect();
    let Some(all) = all.into_iter().collect::<Option<Vec<_>>>() else {
        return Vec::new();
    };
    let middles =
        std::array::from_fn::<_, DESCRIPTORS, _>(|k| robust(all.iter().map(|d| d.0[k]), 0.05));
    let off = |d: &Descriptor, k: usize| (d.0[k] - middles[k].0) / middles[k].1;
    let odd: Vec<Option<(Kind, f64)>> = all
        .iter()
        .map(|d| {
            let (tone, texture) = (off(d, 0), off(d, 2));
            let far = tone.abs().max(texture.abs());
            let kind = if d.0[3] >= LAYERED && texture > 0.5 * wants.odd_from {
                Kind::Layered
            } else if tone.abs() >= texture.abs() {
                Kind::OddTone
            } else {
                Kind::OddTexture
            };
            (far >= wants.odd_from || kind == Kind::Layered).then_some((kind, far))
        })
        .collect();
    let mut out = Vec::new();
    for (cells, kind, far) in together(&odd, cols) {
        let (c0, c1) = bounds(cells.iter().map(|i| i % cols));
        let (r0, r1) = bounds(cells.iter().map(|i| i / cols));
        let part = crop(c0, r0 + first, c1 - c0 + 1, r1 - r0 + 1);
        let new = Descriptor::of(image, part).map_or(0.0, |d| memory.novelty(&d));
        let worth = wants.weight(kind) * (far / (2.0 * wants.odd_from)).min(1.0);
        if worth > 0.0 {
            out.push(Target {
                kind,
                crop: part,
                position_m: None,
                size_m: None,
                score: worth * (1.0 + wants.novelty_weight * new),
                reason: format!(
                    "{} patch of {} x {} pixels, {far:.1} standard deviations from the rest of the image{}",
                    match kind {
                        Kind::Layered => "layered",
                        Kind::OddTone => "odd-toned",
                        _ => "odd-textured",
                    },
                    part.width,
                    part.height,
                    if new > 0.5 { ", unlike earlier images" } else { "" }
                ),
            });
        }
    }
    for d in &all {
        memory.take(d);
    }
    rank(&mut out);
    out
}

/// Median, and standard deviation by the median absolute deviation, `least` or more.
pub(super) fn robust(values: impl Iterator<Item = f64>, least: f64) -> (f64, f64) {
    let mut v: Vec<f64> = values.collect();
    let median = |v: &mut Vec<f64>| {
        v.sort_by(f64::total_cmp);
        v.get(v.len() / 2).copied().unwrap_or(0.0)
    };
    let middle = median(&mut v);
    let mut off: Vec<f64> = v.iter().map(|x| (x - middle).abs()).collect();
    (middle, (1.4826 * median(&mut off)).max(least))
}

/// Least and greatest.
pub(super) fn bounds(values: impl Iterator<Item = usize>) -> (usize, usize) {
    values.fold((usize::MAX, 0), |(lo, hi), v| (lo.min(v), hi.max(v)))
}

/// Patches that touch, the kind and oddness of the oddest.
type Part = (Vec<usize>, Kind, f64);

/// Odd patches that touch by a side, with the kind and oddness of the oddest.
pub(super) fn together(odd: &[Option<(Kind, f64)>], cols: usize) -> Vec<Part> {
    let mut seen = vec![false; odd.len()];
    let mut out = Vec::new();
    for start in 0..odd.len() {
        let Some(mut best) = odd[start].filter(|_| !seen[start]) else {
            continue;
        };
        seen[start] = true;
        let (mut part, mut next) = (Vec::new(), vec![start]);
        while let Some(i) = next.pop() {
            part.push(i);
            if let Some(here) = odd[i].filter(|here| here.1 > best.1) {
                best = here;
            }
            let c = i % cols;
            let around = [
                (c > 0).then(|| i - 1),
                (c + 1 < cols).then_some(i + 1),
                i.checked_sub(cols),
                Some(i + cols),
            ];
            for j in around.into_iter().flatten() {
                if j < odd.len() && !seen[j] && odd[j].is_some() {
                    seen[j] = true;
                    next.push(j);
                }
            }
        }
        out.push((part, best.0, best.1));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(of: impl Fn(usize, usize) -> u8) -> Vec<u8> {
        (0..192 * 128).map(|i| of(i % 192, i / 192)).collect()
    }

    fn image(data: &[u8]) -> GreyImage<'_> {
        GreyImage {
            width: 192,
            height: 128,
            data,
        }
    }

    fn grain(c: usize, r: usize) -> u8 {
        let h = (c * 73_856_093) ^ (r * 19_349_663);
        100 + (h / 64 % 17) as u8
    }

    #[test]
    fn a_bright_stone_is_found_where_it_lies_and_plain_ground_holds_nothing() {
        let wants = Wants::shipped().unwrap();
        let plain = pixels(grain);
        let plain = image(&plain);
        assert_eq!(
            odd_targets(&plain, 32, &wants, &mut Memory::default()),
            vec![]
        );
        let inside = |c: usize, r: usize| (64..112).contains(&c) && (64..96).contains(&r);
        let stone = pixels(|c, r| if inside(c, r) { 200 } else { grain(c, r) });
        let found = odd_targets(&image(&stone), 32, &wants, &mut Memory::default());
        let best = found.first().unwrap();
        assert_eq!(best.kind, Kind::OddTone);
        assert!(best.crop.col <= 64 && best.crop.col + best.crop.width >= 112);
        assert!(best.crop.row >= 32 && best.score > 0.0);
    }

    #[test]
    fn what_was_often_seen_is_not_new() {
        let plain = pixels(grain);
        let plain = image(&plain);
        let mut memory = Memory::default();
        odd_targets(&plain, 0, &Wants::shipped().unwrap(), &mut memory);
        let usual = Crop {
            col: 16,
            row: 16,
            width: 16,
            height: 16,
        };
        assert!(memory.novelty(&Descriptor::of(&plain, usual).unwrap()) < 0.3);
        let dark = pixels(|_, _| 3);
        assert!(memory.novelty(&Descriptor::of(&image(&dark), usual).unwrap()) > 0.9);
        let beyond = Crop { col: 190, ..usual };
        assert_eq!(Descriptor::of(&plain, beyond), None);
    }
}
