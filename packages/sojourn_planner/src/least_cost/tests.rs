use super::*;
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Costs of 0 are closed.
fn grid(cols: usize, cost: &[f32]) -> CostGrid {
    CostGrid::new(cols, cost.len() / cols, |c, r| cost[r * cols + c]).unwrap()
}

/// Dijkstra over true lengths with a heap, cells by column and row: as unlike the code under test as can be.
fn plain(cols: usize, cost: &[f32], start: usize, goal: usize, knights: bool) -> Option<f64> {
    let rows = cost.len() / cols;
    let at = |c: i64, r: i64| {
        let inside = c >= 0 && r >= 0 && c < cols as i64 && r < rows as i64;
        inside
            .then(|| f64::from(cost[r as usize * cols + c as usize]))
            .filter(|v| *v > 0.0)
    };
    let mut best = vec![f64::INFINITY; cost.len()];
    let mut heap = BinaryHeap::from([(Reverse(0u64), start)]);
    best[start] = 0.0;
    while let Some((Reverse(bits), i)) = heap.pop() {
        let d = f64::from_bits(bits);
        if d > best[i] {
            continue;
        }
        let (c, r) = ((i % cols) as i64, (i / cols) as i64);
        for dr in -2i64..=2 {
            for dc in -2i64..=2 {
                let over: Vec<(i64, i64)> = match (dc.abs(), dr.abs()) {
                    (0, 1) | (1, 0) => vec![],
                    (1, 1) => vec![(dc, 0), (0, dr)],
                    (2, 1) if knights => vec![(dc / 2, 0), (dc / 2, dr)],
                    (1, 2) if knights => vec![(0, dr / 2), (dc, dr / 2)],
                    _ => continue,
                };
                let Some(there) = at(c + dc, r + dr) else {
                    continue;
                };
                let sides: Vec<Option<f64>> = over.iter().map(|(x, y)| at(c + x, r + y)).collect();
                if sides.contains(&None) {
                    continue;
                }
                let here = f64::from(cost[i]);
                let length = ((dc * dc + dr * dr) as f64).sqrt();
                let mean = if dc.abs() + dr.abs() == 3 {
                    (here + there + sides.into_iter().flatten().sum::<f64>()) / 4.0
                } else {
                    (here + there) / 2.0
                };
                let j = (r + dr) as usize * cols + (c + dc) as usize;
                let to = d + length * mean;
                if to < best[j] {
                    best[j] = to;
                    // Positive floats are ordered as their bits.
                    heap.push((Reverse(to.to_bits()), j));
                }
            }
        }
    }
    Some(best[goal]).filter(|d| d.is_finite())
}

/// Costs of 1 to 20 in steps of 1/64, some closed.
fn ground(cells: usize) -> impl Strategy<Value = Vec<f32>> {
    let cell = prop_oneof![
        1 => Just(0.0f32),
        4 => (64u32..1280).prop_map(|v| v as f32 / 64.0),
    ];
    proptest::collection::vec(cell, cells)
}

proptest! {
    #[test]
    fn is_as_cheap_as_the_plain_search(
        cost in ground(40 * 40),
        start in 0usize..40 * 40,
        goal in 0usize..40 * 40,
        knights in any::<bool>(),
    ) {
        let neighbours = if knights { Neighbours::Sixteen } else { Neighbours::Eight };
        let found = least_cost(&grid(40, &cost), start, goal, neighbours);
        if cost[start] == 0.0 || cost[goal] == 0.0 {
            prop_assert_eq!(found, None);
            return Ok(());
        }
        match (found, plain(40, &cost, start, goal, knights)) {
            (Some(Found::Path(path)), Some(best)) => {
                prop_assert!(path.cost <= best * 1.004 + 1e-9, "{} against {best}", path.cost);
                prop_assert!(path.cost >= best - 1e-6, "{} against {best}", path.cost);
                prop_assert_eq!((path.cells[0], path.cells[path.cells.len() - 1]), (start, goal));
            }
            (Some(Found::Enclosed(e)), None) => {
                prop_assert!(e.reached >= 1 && cost[e.nearest] > 0.0);
                prop_assert!(plain(40, &cost, start, e.nearest, knights).is_some());
            }
            (found, best) => prop_assert!(false, "{found:?} against {best:?}"),
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let mut state = 7u64;
    let cost: Vec<f32> = (0..300 * 200)
        .map(|_| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let v = (state >> 40) as f32 / (1u64 << 24) as f32;
            if v < 0.2 { 0.0 } else { 1.0 + 9.0 * v }
        })
        .collect();
    let open = |from: usize| (from..).find(|&i| cost[i] > 0.0).unwrap();
    let (a, b) = (open(305), open(299 * 200 - 400));
    let grid = grid(300, &cost);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| least_cost(&grid, a, b, Neighbours::Sixteen))
    };
    assert_eq!(run(1), run(2));
    assert!(matches!(run(2), Some(Found::Path(_))));
}

#[test]
fn open_ground_is_crossed_nearly_straight() {
    let grid = grid(101, &[1.0; 101 * 101]);
    // Cell (0, 0) to (100, 41): the worst of eight directions, near the best of sixteen.
    let straight = (100f64 * 100.0 + 41.0 * 41.0).sqrt();
    for (neighbours, most) in [(Neighbours::Eight, 1.083), (Neighbours::Sixteen, 1.028)] {
        let Some(Found::Path(path)) = least_cost(&grid, 0, 41 * 101 + 100, neighbours) else {
            panic!("no path on open ground");
        };
        assert!(
            path.cost / straight <= most,
            "{neighbours:?}: {}",
            path.cost
        );
    }
}

#[test]
fn a_grid_without_cells_is_refused_and_costs_that_are_none_are_closed() {
    assert!(CostGrid::new(0, 5, |_, _| 1.0).is_none());
    assert!(CostGrid::new(usize::MAX, 2, |_, _| 1.0).is_none());
    let bad = [1.0, f32::NAN, -1.0, 0.0, f32::INFINITY, 1e30];
    let grid = CostGrid::new(6, 1, |c, _| bad[c]).unwrap();
    let open: Vec<bool> = (0..7).map(|i| grid.is_open(i)).collect();
    assert_eq!(open, [true, false, false, false, true, true, false]);
    assert_eq!(least_cost(&grid, 0, 1, Neighbours::Eight), None);
    assert!(matches!(
        least_cost(&grid, 0, 5, Neighbours::Eight),
        Some(Found::Enclosed(Enclosed {
            reached: 1,
            nearest: 0
        }))
    ));
}
