//! How a service scales a picture that is too large: the documented rule, for whoever shows pictures of odd sizes.

/// Limits of a tier of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Longest side, pixels.
    pub edge_px: u32,
    /// Most tokens, one for each 28 x 28 pixels begun.
    pub tokens: u32,
}

/// Older models.
pub const STANDARD: Tier = Tier {
    edge_px: 1568,
    tokens: 1568,
};
/// Models of high resolution.
pub const HIGH: Tier = Tier {
    edge_px: 2576,
    tokens: 4784,
};

fn tokens(w: u32, h: u32) -> u32 {
    w.div_ceil(28) * h.div_ceil(28)
}

/// The size after scaling (without the padding that follows), width and height in pixels: the largest of the same
/// aspect that keeps both limits, the short side rounded half to even.
#[must_use]
pub fn resized(width: u32, height: u32, tier: Tier) -> (u32, u32) {
    let fits = |w: u32, h: u32| w.max(h) <= tier.edge_px && tokens(w, h) <= tier.tokens;
    if width == 0 || height == 0 || fits(width, height) {
        return (width, height);
    }
    let (long, short) = (width.max(height), width.min(height));
    let at = |edge: u32| {
        let other = (f64::from(short) * f64::from(edge) / f64::from(long)).round_ties_even();
        let other = (other as u32).max(1);
        if width >= height {
            (edge, other)
        } else {
            (other, edge)
        }
    };
    let (mut lo, mut hi) = (1, long);
    while lo + 1 < hi {
        let middle = lo + (hi - lo) / 2;
        let (w, h) = at(middle);
        if fits(w, h) {
            lo = middle;
        } else {
            hi = middle;
        }
    }
    at(lo)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_documented_vectors_hold() {
        for (from, tier, to) in [
            ((1075, 1520), STANDARD, (924, 1307)),
            ((1920, 1080), STANDARD, (1456, 819)),
            ((3840, 2160), HIGH, (2576, 1449)),
            ((1000, 1000), STANDARD, (1000, 1000)),
            ((1000, 1000), HIGH, (1000, 1000)),
            ((4000, 4000), HIGH, (1932, 1932)),
            ((4000, 4000), STANDARD, (1092, 1092)),
        ] {
            assert_eq!(resized(from.0, from.1, tier), to, "{from:?}");
        }
    }

    proptest! {
        #[test]
        fn what_comes_out_fits(w in 1u32..8000, h in 1u32..8000) {
            for tier in [STANDARD, HIGH] {
                let (a, b) = resized(w, h, tier);
                prop_assert!(a <= w && b <= h && a.max(b) <= tier.edge_px && tokens(a, b) <= tier.tokens);
                prop_assert_eq!(resized(a, b, tier), (a, b));
            }
        }
    }
}
