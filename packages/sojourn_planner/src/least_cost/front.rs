//! One search: cells by distance from where it began.

use super::Enclosed;
use super::grid::{CostGrid, DIAGONAL, KNIGHT, Neighbours, STRAIGHT, STRIP, Step, Steps};

/// Rows of a page.
const PAGE_ROWS: usize = 32;
/// Cells of a page: what a search came to is marked by pages.
const PAGE: usize = PAGE_ROWS * STRIP;

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
    /// Pages that the search came to.
    pages: Vec<bool>,
    expanded: usize,
    dearest: u64,
    knights: bool,
    inside: Steps,
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
        let mut out = Self {
            nearness: vec![0; grid.costs().len()],
            buckets: vec![Vec::new(); count],
            shift,
            current: 0,
            pending: 1,
            settled: Vec::new(),
            pages: vec![false; grid.costs().len().div_ceil(PAGE)],
            expanded: 0,
            dearest: u64::from(dearest),
            knights,
            inside: Steps::inside(),
        };
        out.nearness[from as usize] = u32::MAX;
        out.pages[from as usize / PAGE] = true;
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
        while self.current < end && self.pending > 0 {
            let slot = (self.current & mask) as usize;
            let mut cells = std::mem::take(&mut self.buckets[slot]);
            self.pending -= cells.len();
            let mut open = Open {
                nearness: &mut self.nearness,
                buckets: &mut self.buckets,
                pages: &mut self.pages,
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
                    if at_edge_of_page(i) {
                        open.come_to_pages(grid, i, self.knights);
                    }
                    open.expand(grid, i, d);
                    if self.knights {
                        open.expand_knights(grid, &self.inside, i, d);
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
    }

    /// The nearest of the cells settled in the last round that the other search has reached too, with the whole
    /// distance between the two beginnings over it.
    pub fn meets(&self, grid: &CostGrid, other: &Self) -> Option<(u64, u32)> {
        let mut best: Option<(u64, u32)> = None;
        for &i in &self.settled {
            let cell = i as usize;
            // Memory that the other search never came to is not looked at.
            if !other.pages[cell / PAGE] || other.nearness[cell] == 0 {
                continue;
            }
            let whole = [self, other].map(|f| u64::from(u32::MAX - f.nearness[cell]));
            let whole = whole[0] + whole[1];
            // Of equally near ones the first by row and column.
            if best.is_none_or(|(d, j)| (whole, grid.outer(i)) < (d, grid.outer(j))) {
                best = Some((whole, i));
            }
        }
        best
    }

    /// The way back from a cell to the beginning.
    pub fn trace(&self, grid: &CostGrid, from: u32) -> Vec<u32> {
        let mut path = vec![from];
        let mut at = from as usize;
        while self.nearness[at] != u32::MAX && path.len() <= self.nearness.len() {
            let Some(next) = self.before(grid, at) else {
                break;
            };
            path.push(next as u32);
            at = next;
        }
        path
    }

    /// The neighbour over which a cell was reached.
    fn before(&self, grid: &CostGrid, at: usize) -> Option<usize> {
        let cost = grid.costs();
        let units = |o: isize| u32::from(cost[at.wrapping_add_signed(o)]);
        let steps = grid.steps(at);
        let knights: &[Step] = if self.knights { &steps.knight } else { &[] };
        let steps = (steps.straight.iter().map(|s| (s, STRAIGHT)))
            .chain(steps.diagonal.iter().map(|s| (s, DIAGONAL)))
            .chain(knights.iter().map(|s| (s, KNIGHT)));
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
    pages: &'a mut [bool],
    mask: u32,
    shift: u32,
    pushed: usize,
}

impl Open<'_> {
    /// Marks the pages that a step may lead to. Their memory is written before it is read: what is read first is given
    /// the system's page of zeros and, when written, a page of its own and a word to all cores.
    fn come_to_pages(&mut self, grid: &CostGrid, i: usize, knights: bool) {
        let steps = grid.steps(i);
        let knights: &[Step] = if knights { &steps.knight } else { &[] };
        for step in steps.straight.iter().chain(&steps.diagonal).chain(knights) {
            let j = i.wrapping_add_signed(step.to);
            if !self.pages[j / PAGE] {
                self.pages[j / PAGE] = true;
                self.nearness[j] = 0;
            }
        }
    }

    /// Steps to the eight cells around.
    #[inline(always)]
    fn expand(&mut self, grid: &CostGrid, i: usize, d: u32) {
        let beside = grid.beside(i);
        let cost = grid.costs();
        let rows = [i - STRIP, i, i + STRIP];
        let (Some([sw, s, se]), Some([w, here, e]), Some([nw, n, ne])) = (
            three(cost, rows[0], beside),
            three(cost, rows[1], beside),
            three(cost, rows[2], beside),
        ) else {
            return;
        };
        let (Some([bsw, bs, bse]), Some([bw, _, be]), Some([bnw, bn, bne])) = (
            three(self.nearness, rows[0], beside),
            three(self.nearness, rows[1], beside),
            three(self.nearness, rows[2], beside),
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
        let [west, east] = beside.map(|o| i.wrapping_add_signed(o));
        let at = [
            i - STRIP,
            west,
            east,
            i + STRIP,
            west - STRIP,
            east - STRIP,
            west + STRIP,
            east + STRIP,
        ];
        while better != 0 {
            let k = (better.trailing_zeros() & 7) as usize;
            self.reach(at[k], was[k], to[k]);
            better &= better - 1;
        }
    }

    /// Steps of a knight.
    fn expand_knights(&mut self, grid: &CostGrid, inside: &Steps, i: usize, d: u32) {
        let cost = grid.costs();
        let units = |o: isize| u32::from(cost[i.wrapping_add_signed(o)]);
        let at_edge = !(2..STRIP - 2).contains(&(i % STRIP));
        let own = at_edge.then(|| grid.steps(i));
        let steps = own.as_ref().unwrap_or(inside);
        let here = units(0);
        for step in &steps.knight {
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

/// A cell with those to the west and to the east of it.
#[inline(always)]
fn three<T: Copy>(of: &[T], i: usize, [west, east]: [isize; 2]) -> Option<[T; 3]> {
    if west == -1 && east == 1 {
        // One check of the bounds for all.
        return of[i - 1..].first_chunk::<3>().copied();
    }
    Some([
        of[i.wrapping_add_signed(west)],
        of[i],
        of[i.wrapping_add_signed(east)],
    ])
}

/// Whether a step may lead off the page of a cell.
#[inline(always)]
fn at_edge_of_page(i: usize) -> bool {
    let (col, row) = (i % STRIP, i / STRIP % PAGE_ROWS);
    !(2..STRIP - 2).contains(&col) || !(2..PAGE_ROWS - 2).contains(&row)
}
