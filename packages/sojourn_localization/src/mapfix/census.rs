//! The modified census transform with a dead band (after Zabih and Woodfill 1994; Fröba and Ernst 2004 compare with the
//! window's mean; the third state "about the same" is left out of the count), and the count of agreement.
//!
//! Each cell gets two words of 64 bits: which of the 8 × 8 samples around it are brighter than their mean by more than the
//! dead band, and which are darker. Brightness may be scaled or shifted at will, holes are neither, and a place is compared
//! with another by a few logical operations and counts of bits.

use super::plane::Plane;

/// Samples along a side of the window.
const WINDOW: i64 = 8;
/// A window with fewer known samples has no code.
const LEAST_KNOWN: u32 = 44;

/// The codes of a grid.
#[derive(Clone, Debug)]
pub(super) struct Codes {
    pub side: usize,
    pub brighter: Vec<u64>,
    pub darker: Vec<u64>,
    /// Set bits of both words.
    pub active: Vec<u8>,
    /// Sums of them over everything south and west of a cell's north-eastern corner, `side + 1` along a side.
    offered: Vec<u32>,
}

/// Sums from the south-western corner on.
fn summed(active: &[u8], side: usize) -> Vec<u32> {
    let mut sums = vec![0u32; (side + 1) * (side + 1)];
    for r in 0..side {
        let mut line = 0;
        for c in 0..side {
            line += u32::from(active[r * side + c]);
            sums[(r + 1) * (side + 1) + c + 1] = sums[r * (side + 1) + c + 1] + line;
        }
    }
    sums
}

impl Codes {
    /// Codes of every cell from samples `spacing` cells apart, with a dead band in units of the grid.
    pub fn of(plane: &Plane, spacing: usize, dead_band: f32) -> Self {
        let side = plane.side;
        let mut codes = Self {
            side,
            brighter: vec![0; side * side],
            darker: vec![0; side * side],
            active: vec![0; side * side],
            offered: Vec::new(),
        };
        let before = (WINDOW / 2) as usize * spacing;
        let after = (WINDOW / 2 - 1) as usize * spacing;
        for r in before..side.saturating_sub(after) {
            for c in before..side.saturating_sub(after) {
                let k = r * side + c;
                let (b, d) = code(plane, k - before * side - before, spacing, dead_band);
                codes.brighter[k] = b;
                codes.darker[k] = d;
                codes.active[k] = (b | d).count_ones() as u8;
            }
        }
        codes.offered = summed(&codes.active, side);
        codes
    }

    /// Mean of set bits per cell over a square.
    fn mean_active(&self, first: [usize; 2], side: usize) -> f32 {
        let n = self.side + 1;
        let [c0, r0] = first.map(|v| v.min(self.side));
        let [c1, r1] = first.map(|v| (v + side).min(self.side));
        let at = |c: usize, r: usize| f64::from(self.offered[r * n + c]);
        let sum = at(c1, r1) + at(c0, r0) - at(c1, r0) - at(c0, r1);
        (sum / (((c1 - c0) * (r1 - r0)).max(1)) as f64) as f32
    }

    /// Every second cell.
    pub fn halved(&self) -> Self {
        let half = self.side / 2;
        let pick = |data: &[u64]| -> Vec<u64> {
            (0..half * half)
                .map(|k| data[2 * (k / half) * self.side + 2 * (k % half)])
                .collect()
        };
        let (brighter, darker) = (pick(&self.brighter), pick(&self.darker));
        let active: Vec<u8> = brighter
            .iter()
            .zip(&darker)
            .map(|(b, d)| (b | d).count_ones() as u8)
            .collect();
        Self {
            side: half,
            brighter,
            darker,
            offered: summed(&active, half),
            active,
        }
    }
}

/// The code of the window whose south-western sample is cell `first`.
fn code(plane: &Plane, first: usize, spacing: usize, dead_band: f32) -> (u64, u64) {
    let mut samples = [0f32; (WINDOW * WINDOW) as usize];
    let (mut sum, mut known) = (0f32, 0u32);
    for (j, line) in samples.chunks_mut(WINDOW as usize).enumerate() {
        let row = first + j * spacing * plane.side;
        for (i, s) in line.iter_mut().enumerate() {
            *s = plane.data[row + i * spacing];
            if s.is_finite() {
                sum += *s;
                known += 1;
            }
        }
    }
    if known < LEAST_KNOWN {
        return (0, 0);
    }
    let mean = sum / known as f32;
    let (mut brighter, mut darker) = (0u64, 0u64);
    for (k, s) in samples.iter().enumerate() {
        // Comparisons with not-a-number are false, so a hole is neither.
        brighter |= u64::from(s - mean > dead_band) << k;
        darker |= u64::from(mean - s > dead_band) << k;
    }
    (brighter, darker)
}

/// A place of the local patch that takes part in the count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Centre {
    /// Cell of the patch.
    pub col: usize,
    /// Cell of the patch.
    pub row: usize,
    pub brighter: u64,
    pub darker: u64,
}

/// Least set bits of a code that takes part: flat places say nothing.
const LEAST_ACTIVE: u8 = 6;

/// The places of a patch every `step` cells, apart by half: quadrants north-east and south-west, and the two others. Both
/// halves surround the rover, so that each can tell a turn from a shift.
pub(super) fn centres(codes: &Codes, step: usize) -> [Vec<Centre>; 2] {
    let mut halves = [Vec::new(), Vec::new()];
    let middle = codes.side / 2;
    for row in (0..codes.side).step_by(step) {
        for col in (0..codes.side).step_by(step) {
            let k = row * codes.side + col;
            if codes.active[k] < LEAST_ACTIVE {
                continue;
            }
            let half = usize::from((row >= middle) != (col >= middle));
            halves[half].push(Centre {
                col,
                row,
                brighter: codes.brighter[k],
                darker: codes.darker[k],
            });
        }
    }
    halves
}

/// Agreement of a set of places with the map over a square of shifts.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    /// Agreeing less contradicting comparisons.
    pub net: Vec<i32>,
    /// Comparisons that the map's codes offer, from their mean over the patch's square.
    pub offered: Vec<i32>,
    /// Comparisons that the places offer.
    pub own: i32,
}

/// Counts for every shift of `0..shifts` cells east and north of a patch of `patch` cells along a side; shift (0, 0) puts
/// cell (0, 0) of the patch on cell `origin` of the map. The map must reach far enough; places that do not are left out.
pub(super) fn count(
    map: &Codes,
    places: &[Centre],
    patch: usize,
    origin: [usize; 2],
    shifts: usize,
) -> Counts {
    let mut net = vec![0i32; shifts * shifts];
    let fits = |p: &&Centre| {
        p.col + origin[0] + shifts <= map.side && p.row + origin[1] + shifts <= map.side
    };
    let places: Vec<&Centre> = places.iter().filter(fits).collect();
    for dy in 0..shifts {
        let net = &mut net[dy * shifts..(dy + 1) * shifts];
        for p in &places {
            let first = (p.row + origin[1] + dy) * map.side + p.col + origin[0];
            let brighter = &map.brighter[first..first + shifts];
            let darker = &map.darker[first..first + shifts];
            for ((net, b), d) in net.iter_mut().zip(brighter).zip(darker) {
                let agree = (p.brighter & b) | (p.darker & d);
                let contradict = (p.brighter & d) | (p.darker & b);
                *net += agree.count_ones() as i32 - contradict.count_ones() as i32;
            }
        }
    }
    let own = places
        .iter()
        .map(|p| (p.brighter | p.darker).count_ones() as i32)
        .sum();
    let n = places.len() as f32;
    let offered = (0..shifts * shifts)
        .map(|k| {
            let at = [origin[0] + k % shifts, origin[1] + k / shifts];
            (n * map.mean_active(at, patch)) as i32
        })
        .collect();
    Counts { net, offered, own }
}

/// Least share of the map's comparisons to the patch's that the score is normalised with: a flat piece of map does not
/// score by its few.
const LEAST_OFFER: f32 = 0.3;

/// A correlation from −1 to 1: the net count over the geometric mean of what both offer.
pub(super) fn score(net: i32, own: i32, offered: i32) -> f32 {
    let own = own.max(1) as f32;
    let offered = (offered as f32).max(LEAST_OFFER * own);
    net as f32 / (own * offered).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waves(side: usize) -> Plane {
        Plane::from_fn(side, |c, r| {
            let (x, y) = (c as f32, r as f32);
            (0.31 * x + 0.1 * y).sin() + (0.17 * y - 0.2 * x).cos() + (0.05 * x * y).sin()
        })
    }

    #[test]
    fn codes_do_not_see_exposure() {
        let p = waves(24);
        let a = Codes::of(&p, 1, 0.1);
        let b = Codes::of(&p.map(|v| 3.0 + 2.0 * v), 1, 0.2);
        assert_eq!(a.brighter, b.brighter);
        assert_eq!(a.darker, b.darker);
    }

    #[test]
    fn a_piece_of_the_map_scores_one_where_it_was_cut() {
        let map = waves(96);
        let patch = Plane::from_fn(40, |c, r| map.at(c + 13, r + 22));
        let places = centres(&Codes::of(&patch, 1, 0.05), 2).concat();
        let counts = count(&Codes::of(&map, 1, 0.05), &places, 40, [0, 0], 50);
        let scores: Vec<f32> = (0..2500)
            .map(|k| score(counts.net[k], counts.own, counts.offered[k]))
            .collect();
        let best = (0..2500)
            .max_by(|a, b| scores[*a].total_cmp(&scores[*b]))
            .unwrap();
        assert_eq!((best % 50, best / 50), (13, 22));
        assert!((scores[best] - 1.0).abs() < 0.2, "{}", scores[best]);
    }

    #[test]
    fn holes_have_no_code() {
        let p = waves(24).map(|_| f32::NAN);
        assert!(Codes::of(&p, 1, 0.1).active.iter().all(|a| *a == 0));
    }
}
