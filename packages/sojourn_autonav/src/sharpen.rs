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
    for _ in 0..ROUNDS {
        let flat = flattened(&flattened(&out, true), false);
        let last = out;
        out = mean.like(|c, r| last.get(c, r) + (mean.get(c, r) - flat.get(c, r)));
    }
    out
}

/// Means over the cells along one axis.
fn flattened(raster: &Raster, along: bool) -> Raster {
    raster.like(|c, r| {
        let here = raster.get(c, r);
        let beside = |step: isize| {
            let (cc, rr) = if along {
                (c.checked_add_signed(step), Some(r))
            } else {
                (Some(c), r.checked_add_signed(step))
            };
            let h = cc.zip(rr).map_or(f32::NAN, |(c, r)| raster.get(c, r));
            if h.is_nan() { here } else { h }
        };
        here + BESIDE * ((beside(-1) - here) + (beside(1) - here))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn means(ground: &Raster) -> Raster {
        flattened(&flattened(ground, true), false)
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
