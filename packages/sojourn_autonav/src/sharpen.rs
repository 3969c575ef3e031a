//! From means of cells back to the ground.
//!
//! A map's cell holds the mean of the ground in it. Heights interpolated between such means are flatter than the ground: a
//! stone loses a part of its top to the cells around it, and a wheel seems to stand lower than it will. What is wanted is the
//! surface, straight between the middles of the cells, whose means over the cells are those of the map. Over one axis the
//! mean of such a surface is three quarters of the middle's height and an eighth of each neighbour's; a few rounds of
//! `h ← h + (m − mean of h)` turn that around (van Cittert's iteration).

use sojourn_core::raster::Raster;

/// Share of a neighbour's height in the mean of a cell, along one axis.
const BESIDE: f32 = 0.125;
/// Rounds; each more would bring back less of the ground than it adds of the map's noise.
const ROUNDS: usize = 2;

/// The surface whose means over the cells are `mean`. Unknown cells stay unknown, and count as being as high as what lies
/// beside them.
#[must_use]
pub fn sharpened(mean: &Raster) -> Raster {
    let mut out = mean.clone();
    let (mut once, mut flat) = (mean.clone(), mean.clone());
    for _ in 0..ROUNDS {
        flatten_along(&out, &mut once);
        flatten_across(&once, &mut flat);
        let means = mean.data().iter().zip(flat.data());
        for (h, (m, f)) in out.data_mut().iter_mut().zip(means) {
            *h += m - f;
        }
    }
    out
}

/// Mean of a cell along one axis, from its height and those beside it.
#[inline]
fn flat(before: f32, here: f32, after: f32) -> f32 {
    let known = |h: f32| if h.is_nan() { here } else { h };
    here + BESIDE * ((known(before) - here) + (known(after) - here))
}

/// Means over the cells along the rows.
fn flatten_along(raster: &Raster, out: &mut Raster) {
    let cols = raster.cols();
    for (out, row) in out
        .data_mut()
        .chunks_mut(cols)
        .zip(raster.data().chunks(cols))
    {
        let inner = out.get_mut(1..).unwrap_or(&mut []);
        let from = |i: usize| row.get(i..).unwrap_or(&[]);
        for (o, (b, (h, a))) in inner
            .iter_mut()
            .zip(row.iter().zip(from(1).iter().zip(from(2))))
        {
            *o = flat(*b, *h, *a);
        }
        let at = |i: Option<usize>| i.and_then(|i| row.get(i)).copied().unwrap_or(f32::NAN);
        for end in [0, cols - 1] {
            if let Some(o) = out.get_mut(end) {
                *o = flat(at(end.checked_sub(1)), at(Some(end)), at(Some(end + 1)));
            }
        }
    }
}

/// Means over the cells across the rows.
fn flatten_across(raster: &Raster, out: &mut Raster) {
    let cols = raster.cols();
    let row = |r: Option<usize>| r.and_then(|r| raster.data().chunks(cols).nth(r));
    for (r, out) in out.data_mut().chunks_mut(cols).enumerate() {
        let Some(here) = row(Some(r)) else {
            continue;
        };
        // Beyond the edge it is as high as at it.
        let before = row(r.checked_sub(1)).unwrap_or(here);
        let after = row(Some(r + 1)).unwrap_or(here);
        for (o, (h, (b, a))) in out
            .iter_mut()
            .zip(here.iter().zip(before.iter().zip(after)))
        {
            *o = flat(*b, *h, *a);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn means(ground: &Raster) -> Raster {
        flattened(&flattened(ground, true), false)
    }

    /// Cell by cell, as it is meant.
    fn sharpened_plainly(mean: &Raster) -> Raster {
        let mut out = mean.clone();
        for _ in 0..ROUNDS {
            let flat = means(&out);
            let last = out;
            out = mean.like(|c, r| last.get(c, r) + (mean.get(c, r) - flat.get(c, r)));
        }
        out
    }

    fn flattened(raster: &Raster, along: bool) -> Raster {
        raster.like(|c, r| {
            let beside = |step: isize| {
                let (cc, rr) = if along {
                    (c.checked_add_signed(step), Some(r))
                } else {
                    (Some(c), r.checked_add_signed(step))
                };
                cc.zip(rr).map_or(f32::NAN, |(c, r)| raster.get(c, r))
            };
            flat(beside(-1), raster.get(c, r), beside(1))
        })
    }

    proptest! {
        #[test]
        fn row_by_row_is_cell_by_cell(
            (cols, rows, values) in (1usize..20, 1usize..20).prop_flat_map(|(c, r)| {
                (Just(c), Just(r), prop::collection::vec(prop_oneof![Just(f32::NAN), -1.0f32..1.0], c * r))
            }),
        ) {
            let mean = Raster::new(cols, rows, 0.1, [0.0, 0.0], values).unwrap();
            let bits = |r: &Raster| r.data().iter().map(|v| (v.is_nan(), if v.is_nan() { 0 } else { v.to_bits() })).collect::<Vec<_>>();
            prop_assert_eq!(bits(&sharpened(&mean)), bits(&sharpened_plainly(&mean)));
        }
    }

    proptest! {
        /// Random stones: what comes back is nearer to the ground than the means are, and planes stay as they are.
        #[test]
        fn stones_get_their_tops_back(
            stones in prop::collection::vec((3usize..27, 3usize..27, 1usize..4, 0.1f32..0.5), 1..8),
            slope in -0.3f32..0.3,
        ) {
            let flat = Raster::filled(30, 30, 0.1, [0.0, 0.0], 0.0).unwrap();
            let plane = flat.like(|c, r| slope * 0.1 * (c as f32 + 0.5 * r as f32));
            let ground = flat.like(|c, r| {
                let on = |&(x, y, n, h): &(usize, usize, usize, f32)| {
                    if c.abs_diff(x) < n && r.abs_diff(y) < n { h } else { 0.0 }
                };
                plane.get(c, r) + stones.iter().map(on).fold(0.0, f32::max)
            });
            let off = |a: &Raster| -> f32 {
                (2..28).flat_map(|r| (2..28).map(move |c| (c, r)))
                    .map(|(c, r)| (a.get(c, r) - ground.get(c, r)).powi(2)).sum()
            };
            let blurred = means(&ground);
            prop_assert!(off(&sharpened(&blurred)) < 0.5 * off(&blurred));
            let still = sharpened(&plane);
            prop_assert!((still.get(15, 15) - plane.get(15, 15)).abs() < 1e-4);
        }
    }

    #[test]
    fn the_unknown_stays_unknown_and_spoils_nothing() {
        let mut r = Raster::filled(9, 9, 0.1, [0.0, 0.0], 1.0).unwrap();
        r.set(4, 4, f32::NAN);
        let s = sharpened(&r);
        assert!(s.get(4, 4).is_nan() && (s.get(3, 4) - 1.0).abs() < 1e-6);
    }
}
