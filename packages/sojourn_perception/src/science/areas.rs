//! Areas of an image: exposed bedrock by the classes of its pixels, and patches of another hue.

use super::{
    Crop, Kind, Memory, Target, Wants,
    patches::{Descriptor, PATCH_PX, bounds, robust, together},
    rank,
};
use crate::classes::GreyImage;

/// Share of a patch's pixels that are bedrock where it belongs to an outcrop.
const ROCK_SHARE: f64 = 0.7;
/// Share of an image from which an outcrop is not worth more for being larger.
const LARGE_SHARE: f64 = 0.05;
/// Fewest patches of an outcrop.
const LEAST_PATCHES: usize = 4;
/// Least spread of the hue of plain ground, in shares of the light: below it is compression and noise.
const HUE_SPREAD: f64 = 0.004;
/// Least mean level of a patch whose hue is judged, 0 to 255: shadow has none.
const LEAST_LEVEL: f64 = 20.0;

/// Exposed bedrock: neighbouring patches whose pixels are rock (`is_rock`, row by row from the top). Nothing when the sizes
/// do not fit. What was seen is not remembered here: [`super::odd_targets`] does that for the same patches.
#[must_use]
pub fn outcrops(
    image: &GreyImage<'_>,
    is_rock: &[bool],
    wants: &Wants,
    memory: &Memory,
) -> Vec<Target> {
    if image.data.len() != image.width * image.height || is_rock.len() != image.data.len() {
        return Vec::new();
    }
    let (cols, rows) = (image.width / PATCH_PX, image.height / PATCH_PX);
    let patches: Vec<Option<(Kind, f64)>> = (0..cols * rows)
        .map(|i| {
            let first = i / cols * PATCH_PX * image.width + i % cols * PATCH_PX;
            let rock: usize = (0..PATCH_PX)
                .map(|r| &is_rock[first + r * image.width..][..PATCH_PX])
                .map(|line| line.iter().filter(|rock| **rock).count())
                .sum();
            let share = rock as f64 / (PATCH_PX * PATCH_PX) as f64;
            (share >= ROCK_SHARE).then_some((Kind::Outcrop, share))
        })
        .collect();
    let mut out = Vec::new();
    for (cells, kind, _) in together(&patches, cols.max(1)) {
        if cells.len() < LEAST_PATCHES {
            continue;
        }
        let crop = around(&cells, cols, 0);
        let share = cells.len() as f64 / patches.len() as f64;
        let new = Descriptor::of(image, crop).map_or(0.0, |d| memory.novelty(&d));
        let worth = wants.weight(kind) * (share / LARGE_SHARE).min(1.0);
        if worth > 0.0 {
            out.push(Target {
                kind,
                crop,
                position_m: None,
                size_m: None,
                score: worth * (1.0 + wants.novelty_weight * new),
                reason: format!("outcrop of bedrock, {:.0} % of the image", 100.0 * share),
            });
        }
    }
    rank(&mut out);
    out
}

/// Patches of another hue than the rest of an image in colour (three bytes a pixel: red, green, blue), neighbours together,
/// best first; `below` leaves out the rows above it (sky). The hue is red's and blue's share of the light, so that light and shade
/// of one colour are the same; what is nearly black or burnt out has none. Grey images hold none.
#[must_use]
pub fn odd_colours(
    width: usize,
    height: usize,
    rgb: &[u8],
    below: usize,
    wants: &Wants,
) -> Vec<Target> {
    let first = below.div_ceil(PATCH_PX);
    let (cols, rows) = (width / PATCH_PX, height / PATCH_PX);
    if rgb.len() != 3 * width * height || rows <= first + 1 || cols < 2 {
        return Vec::new();
    }
    let hues: Vec<Option<[f64; 2]>> = (first * cols..rows * cols)
        .map(|i| hue(rgb, width, i % cols * PATCH_PX, i / cols * PATCH_PX))
        .collect();
    let middles: [(f64, f64); 2] = std::array::from_fn(|k| {
        let (middle, spread) = robust(hues.iter().flatten().map(|h| h[k]), HUE_SPREAD);
        (middle, spread)
    });
    let odd: Vec<Option<(Kind, f64)>> = hues
        .iter()
        .map(|h| {
            let h = (*h)?;
            let off = (0..2).map(|k| ((h[k] - middles[k].0) / middles[k].1).abs());
            let far = off.fold(0.0, f64::max);
            (far >= wants.odd_from).then_some((Kind::OddColour, far))
        })
        .collect();
    let mut out = Vec::new();
    for (cells, kind, far) in together(&odd, cols) {
        let worth = wants.weight(kind) * (far / (2.0 * wants.odd_from)).min(1.0);
        let crop = around(&cells, cols, first);
        let of = |k: usize| {
            let here = cells.iter().filter_map(|i| hues[*i]).map(|h| h[k]);
            here.sum::<f64>() / cells.len() as f64 - middles[k].0
        };
        let words = match (of(0) > 0.0, of(0).abs() >= of(1).abs(), of(1) > 0.0) {
            (true, true, _) => "redder",
            (false, true, _) => "less red",
            (_, false, true) => "bluer",
            (_, false, false) => "less blue",
        };
        if worth > 0.0 {
            out.push(Target {
                kind,
                crop,
                position_m: None,
                size_m: None,
                score: worth,
                reason: format!(
                    "odd-coloured patch of {} x {} pixels, {words} than the rest of the image by {far:.1} standard deviations",
                    crop.width, crop.height
                ),
            });
        }
    }
    rank(&mut out);
    out
}

/// Red's and blue's share of a patch's light; none where it is too dark or burnt out.
fn hue(rgb: &[u8], width: usize, col: usize, row: usize) -> Option<[f64; 2]> {
    let mut sum = [0u64; 3];
    let mut burnt = 0;
    for r in row..row + PATCH_PX {
        let line = &rgb[3 * (r * width + col)..][..3 * PATCH_PX];
        for pixel in line.chunks_exact(3) {
            burnt += usize::from(pixel.contains(&255));
            for (s, v) in sum.iter_mut().zip(pixel) {
                *s += u64::from(*v);
            }
        }
    }
    let pixels = PATCH_PX * PATCH_PX;
    let all = sum.iter().sum::<u64>() as f64;
    let fits = all >= 3.0 * LEAST_LEVEL * pixels as f64 && 4 * burnt <= pixels;
    fits.then(|| [sum[0] as f64 / all, sum[2] as f64 / all])
}

/// The crop of some patches, whose first row is the image's `first`.
fn around(cells: &[usize], cols: usize, first: usize) -> Crop {
    let (c0, c1) = bounds(cells.iter().map(|i| i % cols));
    let (r0, r1) = bounds(cells.iter().map(|i| i / cols));
    Crop {
        col: c0 * PATCH_PX,
        row: (r0 + first) * PATCH_PX,
        width: (c1 - c0 + 1) * PATCH_PX,
        height: (r1 - r0 + 1) * PATCH_PX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grain(i: usize) -> f64 {
        let h = (i % 192 * 73_856_093) ^ (i / 192 * 19_349_663);
        100.0 + (h / 64 % 17) as f64
    }

    #[test]
    fn an_outcrop_is_a_target_where_its_pixels_are_and_specks_are_none() {
        let wants = Wants::shipped().unwrap();
        let data: Vec<u8> = (0..192 * 128).map(|i| grain(i) as u8).collect();
        let image = GreyImage {
            width: 192,
            height: 128,
            data: &data,
        };
        let rock: Vec<bool> = (0..192 * 128)
            .map(|i| {
                let (c, r) = (i % 192, i / 192);
                ((64..128).contains(&c) && (48..96).contains(&r)) || (c < 20 && r < 20)
            })
            .collect();
        let found = outcrops(&image, &rock, &wants, &Memory::default());
        assert_eq!(found.len(), 1);
        let crop = Crop {
            col: 64,
            row: 48,
            width: 64,
            height: 48,
        };
        assert_eq!((found[0].kind, found[0].crop), (Kind::Outcrop, crop));
        assert!(found[0].score > 0.0 && found[0].reason.contains("12 %"));
        assert_eq!(
            outcrops(&image, &rock[1..], &wants, &Memory::default()),
            vec![]
        );
    }

    #[test]
    fn another_hue_is_a_target_and_shade_grey_and_brightness_are_none() {
        let wants = Wants::shipped().unwrap();
        let picture = |tint: &dyn Fn(usize, usize) -> [f64; 3]| -> Vec<u8> {
            (0..192 * 128)
                .flat_map(|i| tint(i % 192, i / 192).map(|t| (grain(i) * t).min(255.0) as u8))
                .collect()
        };
        let tan = [1.2, 0.9, 0.6];
        let inside = |c: usize, r: usize| (64..112).contains(&c) && (64..96).contains(&r);
        let blue = picture(&|c, r| if inside(c, r) { [0.9, 0.9, 0.9] } else { tan });
        let found = odd_colours(192, 128, &blue, 16, &wants);
        let best = found.first().unwrap();
        assert_eq!(best.kind, Kind::OddColour);
        assert!(
            best.crop.col <= 64 && best.crop.col + best.crop.width >= 112,
            "{best:?}"
        );
        assert!(best.reason.contains("blu") || best.reason.contains("less red"));
        let shade = picture(&|c, r| tan.map(|t| if inside(c, r) { 0.5 * t } else { t }));
        let grey = picture(&|c, r| [if inside(c, r) { 1.4 } else { 0.7 }; 3]);
        let black = picture(&|c, r| if inside(c, r) { [0.0, 0.0, 0.1] } else { tan });
        for (name, data) in [("shade", shade), ("grey", grey), ("black", black)] {
            assert_eq!(odd_colours(192, 128, &data, 16, &wants), vec![], "{name}");
        }
        assert_eq!(odd_colours(192, 128, &blue[3..], 16, &wants), vec![]);
    }
}
