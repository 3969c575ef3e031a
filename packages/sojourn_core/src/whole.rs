//! The whole numbers beside a number, for loops over many: `f64::floor` and `f64::round` are calls of the C library where
//! the processor is not known to have an instruction for them.

/// `value.floor() as i64`, to the bit.
#[must_use]
#[inline]
pub fn floor(value: f64) -> i64 {
    let cut = value as i64;
    if cut as f64 > value {
        cut.saturating_sub(1)
    } else {
        cut
    }
}

/// `value.round() as i64`, to the bit: halves go away from 0.
#[must_use]
#[inline]
pub fn round(value: f64) -> i64 {
    let cut = value as i64;
    let rest = value - cut as f64;
    if rest >= 0.5 {
        cut.saturating_add(1)
    } else if rest <= -0.5 {
        cut.saturating_sub(1)
    } else {
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(v: f64) {
        assert_eq!(floor(v), v.floor() as i64, "floor of {v}");
        assert_eq!(round(v), v.round() as i64, "round of {v}");
    }

    proptest! {
        #[test]
        fn they_are_those_of_the_library(v in any::<f64>(), near in -1e6f64..1e6, whole in -1_000_000i64..1_000_000) {
            check(v);
            check(near);
            let whole = whole as f64;
            for v in [whole, whole + 0.5, whole.next_up(), whole.next_down(), (whole + 0.5).next_up(), (whole + 0.5).next_down()] {
                check(v);
            }
        }
    }

    #[test]
    fn nor_do_they_differ_at_the_ends() {
        for v in [
            0.0,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN,
            4.5e15 + 0.5,
            9.3e18,
            -9.3e18,
        ] {
            check(v);
        }
    }
}
