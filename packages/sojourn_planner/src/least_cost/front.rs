//! One search: cells by distance from where it began.

use super::Enclosed;
use super::grid::{CostGrid, DIAGONAL, KNIGHT, Neighbours, STRAIGHT};

/// A step from a cell: where to, and the cells that must be open as well.
#[derive(Clone, Copy)]
struct Step {
    to: isize,
    over: [isize; 2],
}

/// Dijkstra's search with buckets.
pub(super) struct Front {
    /// Distance as `u32::MAX - distance`, 0 for "not reached": memory that the search never comes to stays untouched.
    nearness: Vec<u32>,
    /// Open cells by distance, modulo the number of buckets.
    buckets: Vec<Vec<u32>>,
    /// Distances of one bucket, as a power of two.
    shift: u32,
    /// The bucket that is next.
    current: u64,
    /// Entries in the buckets, outdated ones among them.
    pending: usize,
    /// Cells whose distance became final in the last round.
    settled: Vec<u32>,
    /// First and last row of the cells settled so far, and as far beyond as a step goes.
    rows: [usize; 2],
    expanded: usize,
    dearest: u64,
    knights: bool,
    stride: usize,
    straight: [Step; 4],
    diagonal: [Step; 4],
    knight: [Step; 8],
}

impl Front {
    pub fn new(grid: &CostGrid, neighbours: Neighbours, from: u32) -> Self {
        let (least, most) = grid.range();
        // No step is cheaper than a straight one between two of the cheapest cells.
        let shift = (2 * STRAIGHT * u32::from(least)).ilog2();
        let knights = neighbours == Neighbours::Sixteen;
        let dearest = if knights {
            4 * KNIGHT * u32::from(most)
        } else {
            2 * DIAGONAL * u32::from(most)
        };
        let count = ((dearest >> shift) as usize + 2).next_power_of_two();
        let s = grid.stride() as isize;
        let step = |to, a, b| Step { to, over: [a, b] };
        let mut out = Self {
            nearness: vec![0; grid.costs().len()],
            buckets: vec![Vec::new(); count],
            shift,
            current: 0,
            pending: 1,
            settled: Vec::new(),
            rows: [usize::MAX, 0],
            expanded: 0,
            dearest: u64::from(dearest),
            knights,
            stride: grid.stride(),
            straight: [1, -1, s, -s].map(|to| step(to, 0, 0)),
            diagonal: [(1, s), (-1, s), (1, -s), (-1, -s)].map(|(x, y)| step(x + y, x, y)),
            knight: [
                (1, s),
                (-1, s),
                (1, -s),
                (-1, -s),
                (s, 1),
                (-s, 1),
                (s, -1),
                (-s, -1),
            ]
            .map(|(long, across)| step(2 * long + across, long, long + across)),
        };
        out.nearness[from as usize] = u32::MAX;
        out.buckets[0].push(from);
        out
    }

    /// Every cell nearer than this is settled.
    pub fn radius(&self) -> u64 {
        self.current << self.shift
    }

    /// Distances of one bucket.
    pub fn width(&self) -> u64 {
        1 << self.shift
    }

    /// The dearest step there can be.
    pub fn dearest_step(&self) -> u64 {
        self.dearest
    }

    /// Nothing is left to look at.
    pub fn is_done(&self) -> bool {
        self.pending == 0
    }

    /// Cells looked at so far.
    pub fn expanded(&self) -> usize {
        self.expanded
    }

    /// Settles the cells of the next `buckets` buckets; the radius grows by all of them even when nothing is left.
    pub fn advance(&mut self, grid: &CostGrid, buckets: u64) {
        self.settled.clear();
        let mask = self.buckets.len() as u64 - 1;
        let end = self.current + buckets;
        let cost = grid.costs();
        while self.current < end && self.pending > 0 {
            let slot = (self.current & mask) as usize;
            let mut cells = std::mem::take(&mut self.buckets[slot]);
            self.pending -= cells.len();
            let mut open = Open {
                nearness: &mut self.nearness,
                buckets: &mut self.buckets,
                mask: mask as u32,
                shift: self.shift,
                pushed: 0,
            };
            for &cell in &cells {
                let i = cell as usize;
                let d = u32::MAX - open.nearness[i];
                // A shorter way was found since: it was settled in an earlier bucket.
                if u64::from(d >> open.shift) == self.current {
                    self.settled.push(cell);
                    open.expand(cost, self.stride, i, d);
                    if self.knights {
                        open.expand_knights(cost, &self.knight, i, d);
                    }
                }
            }
            self.pending += open.pushed;
            cells.clear();
            self.buckets[slot] = cells;
            self.current += 1;
        }
        self.current = end;
        self.expanded += self.settled.len();
        let rows = self.settled.iter().map(|&i| i as usize / self.stride);
        self.rows = rows.fold(self.rows, |[a, b], r| [a.min(r - 2), b.max(r + 2)]);
    }

    /// The nearest of the cells settled in the last round that the other search has reached too, with the whole
    /// distance between the two beginnings over it.
    pub fn meets(&self, other: &Self) -> Option<(u64, u32)> {
        // Memory that the other search never came to is not looked at.
        let reached = other.rows[0].saturating_mul(self.stride)..(other.rows[1] + 1) * self.stride;
        self.settled
            .iter()
            .filter(|&&i| reached.contains(&(i as usize)))
            .filter_map(|&i| {
                let there = other.nearness[i as usize];
                let here = self.nearness[i as usize];
                (there > 0).then(|| (u64::from(u32::MAX - there) + u64::from(u32::MAX - here), i))
            })
            .min()
    }

    /// The way back from a cell to the beginning.
    pub fn trace(&self, grid: &CostGrid, from: u32) -> Vec<u32> {
        let mut path = vec![from];
        let mut at = from as usize;
        while self.nearness[at] != u32::MAX && path.len() <= self.nearness.len() {
            let Some(next) = self.before(grid.costs(), at) else {
                break;
            };
            path.push(next as u32);
            at = next;
        }
        path
    }

    /// The neighbour over which a cell was reached.
    fn before(&self, cost: &[u16], at: usize) -> Option<usize> {
        let units = |o: isize| u32::from(cost[at.wrapping_add_signed(o)]);
        let steps = self
            .straight
            .iter()
            .map(|s| (s, STRAIGHT))
            .chain(self.diagonal.iter().map(|s| (s, DIAGONAL)))
            .chain(
                self.knight
                    .iter()
                    .filter(|_| self.knights)
                    .map(|s| (s, KNIGHT)),
            );
        for (step, weight) in steps {
            let j = at.wrapping_add_signed(step.to);
            let closed = cost[j] == 0
                || (weight != STRAIGHT && step.over.iter().any(|&o| units(o) == 0))
                || self.nearness[j] == 0;
            if closed {
                continue;
            }
            let between: u32 = if weight == KNIGHT {
                step.over.iter().map(|&o| units(o)).sum()
            } else {
                0
            };
            let length = (units(0) + between + u32::from(cost[j])) * weight;
            if u32::MAX - self.nearness[j] + length == u32::MAX - self.nearness[at] {
                return Some(j);
            }
        }
        None
    }

    /// What can be reached, once nothing is left to look at.
    pub fn enclosed(&self, grid: &CostGrid, goal: u32) -> Enclosed {
        let [c, r] = grid.col_row(goal);
        let mut reached = 0;
        let mut nearest = (usize::MAX, 0);
        for (i, _) in self.nearness.iter().enumerate().filter(|(_, n)| **n > 0) {
            reached += 1;
            let [x, y] = grid.col_row(i as u32);
            let (dx, dy) = (x.abs_diff(c), y.abs_diff(r));
            nearest = nearest.min((dx * dx + dy * dy, grid.outer(i as u32)));
        }
        Enclosed {
            reached,
            nearest: nearest.1,
        }
    }
}

/// What a step changes.
struct Open<'a> {
    nearness: &'a mut [u32],
    buckets: &'a mut [Vec<u32>],
    mask: u32,
    shift: u32,
    pushed: usize,
}

impl Open<'_> {
    /// Steps to the eight cells around.
    #[inline(always)]
    fn expand(&mut self, cost: &[u16], stride: usize, i: usize, d: u32) {
        // Rows of three at once: one check of the bounds for each.
        let (south, north) = (i - stride - 1, i + stride - 1);
        let (Some(&[sw, s, se]), Some(&[w, here, e]), Some(&[nw, n, ne])) = (
            cost[south..].first_chunk::<3>(),
            cost[i - 1..].first_chunk::<3>(),
            cost[north..].first_chunk::<3>(),
        ) else {
            return;
        };
        let (Some(&[bsw, bs, bse]), Some(&[bw, _, be]), Some(&[bnw, bn, bne])) = (
            self.nearness[south..].first_chunk::<3>(),
            self.nearness[i - 1..].first_chunk::<3>(),
            self.nearness[north..].first_chunk::<3>(),
        ) else {
            return;
        };
        let was = [bs, bw, be, bn, bsw, bse, bnw, bne];
        let there = [s, w, e, n, sw, se, nw, ne];
        // A diagonal step squeezes past both cells beside it: neither may be closed.
        let open = [
            s > 0,
            w > 0,
            e > 0,
            n > 0,
            (sw > 0) & (s > 0) & (w > 0),
            (se > 0) & (s > 0) & (e > 0),
            (nw > 0) & (n > 0) & (w > 0),
            (ne > 0) & (n > 0) & (e > 0),
        ];
        // All eight at once and without branches: whether a step helps cannot be foreseen.
        let near = u32::MAX - d;
        let mut to = [0u32; 8];
        for k in 0..8 {
            let weight = if k < 4 { STRAIGHT } else { DIAGONAL };
            let step = (u32::from(here) + u32::from(there[k])) * weight;
            to[k] = if open[k] {
                near.saturating_sub(step)
            } else {
                0
            };
        }
        let mut better = 0u32;
        for k in 0..8 {
            better |= u32::from(to[k] > was[k]) << k;
        }
        let at = [
            i - stride,
            i - 1,
            i + 1,
            i + stride,
            south,
            south + 2,
            north,
            north + 2,
        ];
        while better != 0 {
            let k = (better.trailing_zeros() & 7) as usize;
            self.reach(at[k], was[k], to[k]);
            better &= better - 1;
        }
    }

    /// Steps of a knight.
    fn expand_knights(&mut self, cost: &[u16], steps: &[Step; 8], i: usize, d: u32) {
        let units = |o: isize| u32::from(cost[i.wrapping_add_signed(o)]);
        let here = units(0);
        for step in steps {
            let (a, b, there) = (units(step.over[0]), units(step.over[1]), units(step.to));
            if a > 0 && b > 0 && there > 0 {
                let length = (here + a + b + there) * KNIGHT;
                self.relax(i.wrapping_add_signed(step.to), d, length);
            }
        }
    }

    #[inline(always)]
    fn relax(&mut self, j: usize, d: u32, step: u32) {
        // Ways longer than a u32 counts are not followed.
        let nearness = (u32::MAX - d).saturating_sub(step);
        let was = self.nearness[j];
        if nearness > was {
            self.reach(j, was, nearness);
        }
    }

    /// A shorter way to a cell.
    #[inline(always)]
    fn reach(&mut self, j: usize, was: u32, nearness: u32) {
        self.nearness[j] = nearness;
        let bucket = (u32::MAX - nearness) >> self.shift;
        // It may be in that bucket already.
        if was == 0 || (u32::MAX - was) >> self.shift != bucket {
            self.buckets[(bucket & self.mask) as usize].push(j as u32);
            self.pushed += 1;
        }
    }
}
