//! A wheel that stands while the others turn: a drive that is stuck, broken or not switched on drags over the ground, and the
//! rover slips and digs in sooner than a slip measured over a way can tell.

use sojourn_core::Stamp;

/// Longest step that speeds are held over, seconds.
const MAX_STEP_S: f64 = 0.5;
/// A wheel stands when it turns by less than this share of what it should, for how fast the others turn.
const STANDS_BELOW: f64 = 0.2;
/// A wheel that should turn by less than this share of the fastest (one near the middle of a turn) is not judged.
const JUDGED_FROM: f64 = 0.3;

/// How far each wheel has stood still while it should have turned.
#[derive(Clone, Debug, Default)]
pub(super) struct Stall {
    before: Option<Stamp>,
    missed_m: [f64; 6],
}

impl Stall {
    /// Takes what the rims do and what they should, m/s, as they were until `stamp`. Both count relative to the fastest: drives
    /// that come up slowly, or that wait for the steering, do so together.
    pub(super) fn take(&mut self, stamp: Stamp, rims_mps: &[f64; 6], asked_mps: &[f64; 6]) {
        let Some(before) = self.before.replace(stamp) else {
            return;
        };
        let dt_s = stamp.since(before).clamp(0.0, MAX_STEP_S);
        let fastest = |v: &[f64; 6]| v.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let (turns_mps, asked_max_mps) = (fastest(rims_mps), fastest(asked_mps));
        if !(asked_max_mps > 0.0 && turns_mps > 0.0) {
            return;
        }
        for ((missed_m, rim_mps), asked) in self.missed_m.iter_mut().zip(rims_mps).zip(asked_mps) {
            let share = asked.abs() / asked_max_mps;
            if !(share >= JUDGED_FROM) {
                continue;
            }
            let should_mps = share * turns_mps;
            *missed_m = if rim_mps.abs() >= STANDS_BELOW * should_mps {
                0.0
            } else {
                *missed_m + should_mps * dt_s
            };
        }
    }

    /// The wheel that has missed most, when that is more than `most_m`, and how much, metres.
    pub(super) fn stands(&self, most_m: f64) -> Option<(usize, f64)> {
        self.missed_m
            .iter()
            .copied()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .filter(|(_, m)| !(*m <= most_m))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AHEAD: [f64; 6] = [0.04; 6];

    fn after(seconds: f64, rims_mps: [f64; 6], asked_mps: [f64; 6]) -> Stall {
        let mut s = Stall::default();
        for i in 0..=(seconds * 10.0) as i64 {
            s.take(Stamp(1 + i * 100_000_000), &rims_mps, &asked_mps);
        }
        s
    }

    #[test]
    fn a_wheel_that_stands_is_told_after_the_way_that_it_missed() {
        let mut rims = AHEAD;
        rims[3] = 0.0;
        assert_eq!(after(2.0, rims, AHEAD).stands(0.1), None);
        let (wheel, missed_m) = after(3.0, rims, AHEAD).stands(0.1).unwrap();
        assert!(wheel == 3 && (missed_m - 0.12).abs() < 1e-9, "{missed_m}");
        // Backwards alike.
        let back = |v: [f64; 6]| v.map(|v| -v);
        assert_eq!(
            after(3.0, back(rims), back(AHEAD)).stands(0.1).unwrap().0,
            3
        );
        rims[3] = f64::NAN;
        assert_eq!(after(3.0, rims, AHEAD).stands(0.1).unwrap().0, 3);
    }

    #[test]
    fn all_that_stand_one_near_the_middle_of_a_turn_and_a_stop_are_none() {
        assert_eq!(after(100.0, [0.0; 6], AHEAD).stands(0.1), None);
        let mut turning = AHEAD;
        turning[1] = 0.01;
        let mut rims = turning;
        rims[1] = 0.0;
        assert_eq!(after(100.0, rims, turning).stands(0.1), None);
        assert_eq!(after(100.0, rims, [0.0; 6]).stands(0.1), None);
    }

    #[test]
    fn a_wheel_that_turns_again_is_forgiven() {
        let mut rims = AHEAD;
        rims[0] = 0.0;
        let mut s = after(3.0, rims, AHEAD);
        assert!(s.stands(0.1).is_some());
        s.take(Stamp(4_000_000_001), &AHEAD, &AHEAD);
        assert_eq!(s.stands(0.0), None);
    }

    proptest! {
        /// Wheels that all do their share of what is asked, however slowly, are never said to stand.
        #[test]
        fn wheels_that_do_their_share_never_stand(
            asked in prop::array::uniform6(-0.05f64..0.05), slow in prop::collection::vec((0.0f64..1.0, 0i64..2_000_000_000), 1..60),
        ) {
            let mut s = Stall::default();
            let mut now = Stamp(1);
            for (share, step) in slow {
                now = Stamp(now.0 + step);
                s.take(now, &asked.map(|v| v * share), &asked);
                prop_assert_eq!(s.stands(0.0), None);
            }
        }
    }
}
