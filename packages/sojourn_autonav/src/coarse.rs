//! The coarse memory of the ground: what planes and rocks were like in every coarse cell that was ever seen near the rover,
//! and how often the rover has thought there.
//!
//! The fine window moves on and forgets; without a memory of what lies beyond it the rover would go back and forth between
//! two ways that are both blocked.

use crate::planes::Plane;
use sojourn_core::geometry::Xy;

/// What was seen of a coarse cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// Gradient of the rover-sized plane around the cell, metres per metre.
    pub gradient: [f64; 2],
    /// Standard deviation about the plane, metres.
    pub sigma_m: f64,
    /// How much of a limit rocks take when driving to each of the eight neighbours.
    pub rocks: [f32; 8],
    /// Class code of the middle.
    pub class: Option<f64>,
    /// Fine cells behind it.
    pub fine_cells: f64,
}

impl Known {
    pub(crate) fn new(plane: Plane, fine_cells: f64) -> Self {
        Self {
            gradient: [plane.gx, plane.gy],
            sigma_m: plane.sigma_m,
            rocks: [0.0; 8],
            class: None,
            fine_cells,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Which cell of `odom` lies here now.
    at: [i64; 2],
    known: Option<Known>,
    visits: f32,
}

/// A ring buffer of coarse cells over `odom`.
#[derive(Clone, Debug)]
pub struct CoarseMap {
    cell_m: f64,
    n: i64,
    slots: Vec<Slot>,
}

impl CoarseMap {
    /// An empty memory of `size_m` on a side.
    #[must_use]
    pub fn new(size_m: f64, cell_m: f64) -> Self {
        let n = (size_m / cell_m).round().clamp(8.0, 2000.0) as i64;
        Self {
            cell_m,
            n,
            slots: vec![Slot::default(); (n * n) as usize],
        }
    }

    fn slot(&self, [col, row]: [i64; 2]) -> usize {
        (row.rem_euclid(self.n) * self.n + col.rem_euclid(self.n)) as usize
    }

    fn own(&mut self, at: [i64; 2]) -> Option<&mut Slot> {
        let i = self.slot(at);
        let slot = self.slots.get_mut(i)?;
        if slot.at != at {
            *slot = Slot {
                at,
                ..Slot::default()
            };
        }
        Some(slot)
    }

    /// Takes what was seen of a cell, unless more was seen of it before.
    pub fn take(&mut self, at: [i64; 2], known: Known) {
        if let Some(slot) = self.own(at)
            && slot
                .known
                .is_none_or(|old| known.fine_cells >= KEEP_SHARE * old.fine_cells)
        {
            slot.known = Some(known);
        }
    }

    /// What is known of a cell.
    #[must_use]
    pub fn known(&self, at: [i64; 2]) -> Option<&Known> {
        let slot = self.slots.get(self.slot(at))?;
        slot.known.as_ref().filter(|_| slot.at == at)
    }

    /// How often the rover has thought at a cell.
    #[must_use]
    pub fn visits(&self, at: [i64; 2]) -> f64 {
        self.slots
            .get(self.slot(at))
            .filter(|s| s.at == at)
            .map_or(0.0, |s| f64::from(s.visits))
    }

    /// The rover thinks at a place.
    pub fn visit(&mut self, xy: Xy, radius_m: f64) {
        let reach = (radius_m / self.cell_m).ceil() as i64;
        let middle = xy.map(|v| (v / self.cell_m).floor() as i64);
        for row in middle[1] - reach..=middle[1] + reach {
            for col in middle[0] - reach..=middle[0] + reach {
                let [x, y] = [col, row].map(|i| (i as f64 + 0.5) * self.cell_m);
                if (x - xy[0]).hypot(y - xy[1]) <= radius_m
                    && let Some(slot) = self.own([col, row])
                {
                    slot.visits += 1.0;
                }
            }
        }
    }

    /// From a place no way led on: it counts as if the rover had thought there so often at least.
    pub fn shun(&mut self, xy: Xy, visits: f32) {
        if let Some(slot) = self.own(xy.map(|v| (v / self.cell_m).floor() as i64)) {
            slot.visits = slot.visits.max(visits);
        }
    }

    /// Another goal: where the rover has been says nothing any more.
    pub fn forget_visits(&mut self) {
        for slot in &mut self.slots {
            slot.visits = 0.0;
        }
    }
}

/// A view of a cell replaces the one before when it rests on at least this share of its fine cells.
const KEEP_SHARE: f64 = 0.9;

#[cfg(test)]
mod tests {
    use super::*;

    fn known(fine_cells: f64) -> Known {
        let plane = Plane {
            gx: fine_cells,
            gy: 0.0,
            sigma_m: 0.0,
        };
        Known::new(plane, fine_cells)
    }

    #[test]
    fn fuller_views_stay_and_what_is_far_away_is_forgotten() {
        let mut m = CoarseMap::new(8.0, 0.4);
        m.take([3, -4], known(100.0));
        m.take([3, -4], known(20.0));
        assert_eq!(m.known([3, -4]).map(|k| k.fine_cells), Some(100.0));
        m.take([3, -4], known(95.0));
        assert_eq!(m.known([3, -4]).map(|k| k.fine_cells), Some(95.0));
        m.take([23, -4], known(10.0));
        assert!(m.known([3, -4]).is_none() && m.known([23, -4]).is_some());
    }

    #[test]
    fn visits_count_around_the_rover_until_another_goal() {
        let mut m = CoarseMap::new(8.0, 0.4);
        m.visit([0.2, 0.2], 0.5);
        m.visit([0.2, 0.2], 0.1);
        assert!(m.visits([0, 0]) == 2.0 && m.visits([1, 0]) == 1.0 && m.visits([2, 0]) == 0.0);
        m.forget_visits();
        assert!(m.visits([0, 0]) == 0.0);
    }
}
