//! Cells on a plane and the bucketed Dijkstra over them.

use sojourn_core::geometry::Xy;

/// Most buckets; dearer ways count as none.
const MAX_BUCKETS: usize = 400_000;

/// The eight neighbours, columns and rows.
pub(super) const NEIGHBOURS: [(isize, isize); 8] = [
    (1, 0),
    (-1, 0),
    (0, 1),
    (0, -1),
    (1, 1),
    (1, -1),
    (-1, 1),
    (-1, -1),
];

/// Square cells over a rectangle of `odom`.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    pub cols: usize,
    pub rows: usize,
    pub cell_m: f64,
    /// South-west corner, metres.
    pub origin_m: Xy,
}

impl Grid {
    pub fn len(&self) -> usize {
        self.cols * self.rows
    }

    #[inline]
    pub fn index(&self, p: Xy) -> Option<(usize, usize)> {
        let c = (p[0] - self.origin_m[0]) / self.cell_m;
        let r = (p[1] - self.origin_m[1]) / self.cell_m;
        (c >= 0.0 && r >= 0.0 && c < self.cols as f64 && r < self.rows as f64)
            .then_some((c as usize, r as usize))
    }

    pub fn centre(&self, c: usize, r: usize) -> Xy {
        [
            self.origin_m[0] + (c as f64 + 0.5) * self.cell_m,
            self.origin_m[1] + (r as f64 + 0.5) * self.cell_m,
        ]
    }

    /// Cells along the rim.
    pub fn rim(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let cell = |r: usize| (0..self.cols).map(move |c| (c, r));
        (0..self.rows)
            .flat_map(cell)
            .filter(|&(c, r)| r == 0 || c == 0 || r + 1 == self.rows || c + 1 == self.cols)
    }

    /// Costs from cells that have one (`seeds`) to all others, in buckets of `width_s`: within a bucket the order does not
    /// matter by more than that. `rate(n, d, direction)` is the cost per metre of driving out of cell `n` along `direction`
    /// towards its neighbour on the other side of [`NEIGHBOURS`]`[d]`; `None` where the rover must not be.
    pub fn spread(
        &self,
        width_s: f64,
        seeds: impl Iterator<Item = (usize, f64)>,
        rate: impl Fn(usize, usize, Xy) -> Option<f64>,
    ) -> Vec<f64> {
        let mut to_go_s = vec![f64::INFINITY; self.len()];
        let mut buckets: Vec<Vec<usize>> = Vec::new();
        let push = |buckets: &mut Vec<Vec<usize>>, cost: f64, i: usize| {
            let k = (cost / width_s) as usize;
            if k < MAX_BUCKETS {
                if buckets.len() <= k {
                    buckets.resize_with(k + 1, Vec::new);
                }
                if let Some(b) = buckets.get_mut(k) {
                    b.push(i);
                }
            }
        };
        for (i, cost) in seeds {
            if let Some(v) = to_go_s.get_mut(i) {
                *v = cost;
                push(&mut buckets, cost, i);
            }
        }
        let mut done = vec![f64::INFINITY; to_go_s.len()];
        let mut k = 0;
        while k < buckets.len() {
            let Some(i) = buckets.get_mut(k).and_then(Vec::pop) else {
                k += 1;
                continue;
            };
            let here = to_go_s.get(i).copied().unwrap_or(f64::INFINITY);
            // Looked at already with this cost or a better one.
            match done.get_mut(i) {
                Some(d) if here < *d => *d = here,
                _ => continue,
            }
            let (c, r) = (i % self.cols, i / self.cols);
            for (d, (dc, dr)) in NEIGHBOURS.into_iter().enumerate() {
                let (Some(nc), Some(nr)) = (c.checked_add_signed(dc), r.checked_add_signed(dr))
                else {
                    continue;
                };
                if nc >= self.cols || nr >= self.rows {
                    continue;
                }
                let n = nr * self.cols + nc;
                let steps = if d < 4 { 1.0 } else { std::f64::consts::SQRT_2 };
                // the rover drives from the neighbour to here, against the direction of the search
                let direction = [-(dc as f64) / steps, -(dr as f64) / steps];
                let Some(rate) = rate(n, d, direction) else {
                    continue;
                };
                let cost = here + rate * steps * self.cell_m;
                if let Some(best) = to_go_s.get_mut(n)
                    && cost < *best
                {
                    *best = cost;
                    push(&mut buckets, cost, n);
                }
            }
        }
        to_go_s
    }

    /// Cost at a point from the cells around it, with `pace_spm` to their centres; infinite where none has one.
    pub fn nearest_s(&self, to_go_s: &[f64], p: Xy, pace_spm: f64) -> f64 {
        let fx = (p[0] - self.origin_m[0]) / self.cell_m - 0.5;
        let fy = (p[1] - self.origin_m[1]) / self.cell_m - 0.5;
        let mut best = f64::INFINITY;
        let (west, south) = (fx.floor(), fy.floor());
        for dr in 0..2 {
            for dc in 0..2 {
                let (c, r) = (west + f64::from(dc), south + f64::from(dr));
                if c < 0.0 || r < 0.0 || c >= self.cols as f64 || r >= self.rows as f64 {
                    continue;
                }
                let (c, r) = (c as usize, r as usize);
                if let Some(&v) = to_go_s.get(r * self.cols + c) {
                    let q = self.centre(c, r);
                    best = best.min(v + (q[0] - p[0]).hypot(q[1] - p[1]) * pace_spm);
                }
            }
        }
        best
    }
}
