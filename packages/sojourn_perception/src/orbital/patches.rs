//! Hazardous cells as a few rectangles, which plans can carry as labels.

use super::{Ground, hazardous};
use sojourn_core::classes::{CLASSES, TerrainClass};

/// Connected hazardous ground smaller than this is noise, cells.
const LEAST_CELLS: usize = 3;
/// Half the side of the square whose mean decides about a cell, cells.
const SMOOTH: usize = 1;

/// A rectangle of hazardous ground.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patch {
    /// The likeliest of the hazardous classes over it.
    pub class: TerrainClass,
    /// South-west corner, `map` metres.
    pub lo_m: [f64; 2],
    /// North-east corner, `map` metres.
    pub hi_m: [f64; 2],
    /// Mean probability of the hazardous classes together.
    pub probability: f64,
}

/// Covers the cells whose probability of hazard (smoothed with their neighbours') reaches `from` with rectangles that do not
/// overlap.
#[must_use]
pub fn patches(ground: &Ground, from: f32) -> Vec<Patch> {
    let h = &ground.hazard;
    let (cols, rows) = (h.cols(), h.rows());
    let mut open: Vec<bool> = (0..cols * rows)
        .map(|i| smooth(ground, i % cols, i / cols).is_some_and(|p| p >= from))
        .collect();
    drop_small(&mut open, cols);
    let mut out = Vec::new();
    for start in 0..cols * rows {
        if open[start] {
            let (c, r) = (start % cols, start / cols);
            let wide = (c..cols).take_while(|x| open[r * cols + x]).count();
            let high = (r..rows)
                .take_while(|y| (c..c + wide).all(|x| open[y * cols + x]))
                .count();
            for y in r..r + high {
                open[y * cols + c..y * cols + c + wide].fill(false);
            }
            out.push(patch(ground, [c, r], [wide, high]));
        }
    }
    out
}

fn smooth(ground: &Ground, c: usize, r: usize) -> Option<f32> {
    let h = &ground.hazard;
    if h.get(c, r).is_nan() {
        return None;
    }
    let (mut sum, mut n) = (0.0, 0.0);
    for y in r.saturating_sub(SMOOTH)..=(r + SMOOTH).min(h.rows() - 1) {
        for x in c.saturating_sub(SMOOTH)..=(c + SMOOTH).min(h.cols() - 1) {
            let v = h.get(x, y);
            if !v.is_nan() {
                (sum, n) = (sum + v, n + 1.0);
            }
        }
    }
    Some(sum / n)
}

fn drop_small(open: &mut [bool], cols: usize) {
    let mut seen = vec![false; open.len()];
    for first in 0..open.len() {
        if seen[first] || !open[first] {
            continue;
        }
        seen[first] = true;
        let (mut part, mut next) = (Vec::new(), vec![first]);
        while let Some(i) = next.pop() {
            part.push(i);
            let c = i % cols;
            let around = [
                (c > 0).then(|| i - 1),
                (c + 1 < cols).then_some(i + 1),
                i.checked_sub(cols),
                Some(i + cols),
            ];
            for j in around.into_iter().flatten() {
                if j < open.len() && open[j] && !seen[j] {
                    seen[j] = true;
                    next.push(j);
                }
            }
        }
        if part.len() < LEAST_CELLS {
            for i in part {
                open[i] = false;
            }
        }
    }
}

fn patch(ground: &Ground, [c, r]: [usize; 2], [wide, high]: [usize; 2]) -> Patch {
    let h = &ground.hazard;
    let mut sums = [0.0f64; CLASSES.len()];
    for y in r..r + high {
        for x in c..c + wide {
            if let Some(p) = ground.probabilities.get(y * h.cols() + x) {
                for (s, p) in sums.iter_mut().zip(p) {
                    *s += f64::from(*p);
                }
            }
        }
    }
    let mut class = TerrainClass::Unknown;
    let (mut most, mut sum) = (0.0, 0.0);
    for (c, s) in CLASSES
        .iter()
        .zip(&sums)
        .filter(|(c, _)| hazardous(c.class))
    {
        sum += s;
        if *s > most {
            (class, most) = (c.class, *s);
        }
    }
    let (o, res) = (h.origin_m(), h.resolution_m());
    let at = |c: usize, r: usize| [o[0] + c as f64 * res, o[1] + r as f64 * res];
    Patch {
        class,
        lo_m: at(c, r),
        hi_m: at(c + wide, r + high),
        probability: sum / (wide * high) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sojourn_core::raster::Raster;

    fn ground(cols: usize, of: &[bool]) -> Ground {
        let rows = of.len() / cols;
        let blank = Raster::filled(cols, rows, 2.0, [10.0, 20.0], 0.0).unwrap();
        let sand = usize::from(TerrainClass::SandRipples.code());
        Ground {
            classes: blank.clone(),
            hazard: blank.like(|c, r| if of[r * cols + c] { 1.0 } else { 0.0 }),
            probabilities: of
                .iter()
                .map(|o| {
                    let mut p = [0.0; CLASSES.len()];
                    p[sand] = f32::from(u8::from(*o));
                    p
                })
                .collect(),
            strange: vec![false; of.len()],
        }
    }

    proptest! {
        #[test]
        fn rectangles_cover_the_ground_once(of in proptest::collection::vec(any::<bool>(), 120)) {
            let g = ground(12, &of);
            let all = patches(&g, 0.4);
            let mut covered = 0.0;
            for (k, p) in all.iter().enumerate() {
                covered += (p.hi_m[0] - p.lo_m[0]) * (p.hi_m[1] - p.lo_m[1]);
                prop_assert!(p.lo_m[0] >= 10.0 && p.hi_m[0] <= 34.0 && p.lo_m[1] >= 20.0 && p.hi_m[1] <= 40.0);
                for q in &all[..k] {
                    let apart = (0..2).any(|a| p.lo_m[a] >= q.hi_m[a] || q.lo_m[a] >= p.hi_m[a]);
                    prop_assert!(apart);
                }
            }
            let mut open: Vec<bool> = (0..120).map(|i| smooth(&g, i % 12, i / 12).unwrap() >= 0.4).collect();
            drop_small(&mut open, 12);
            prop_assert!((covered - 4.0 * open.iter().filter(|o| **o).count() as f64).abs() < 1e-9);
        }
    }

    #[test]
    fn a_block_of_sand_is_one_patch_and_a_single_cell_is_none() {
        let of: Vec<bool> = (0..400)
            .map(|i| ((4..10).contains(&(i % 20)) && (5..12).contains(&(i / 20))) || i == 399)
            .collect();
        let all = patches(&ground(20, &of), 0.6);
        assert_eq!(
            all.iter().map(|p| p.class).collect::<Vec<_>>(),
            vec![TerrainClass::SandRipples; all.len()]
        );
        let area: f64 = all
            .iter()
            .map(|p| (p.hi_m[0] - p.lo_m[0]) * (p.hi_m[1] - p.lo_m[1]))
            .sum();
        assert!((area - 4.0 * 38.0).abs() < 17.0, "{area}");
        assert!(all.iter().all(|p| p.lo_m[0] >= 18.0 && p.hi_m[0] <= 30.0));
    }
}
