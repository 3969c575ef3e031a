//! Random places of a site, planned between, with a flood fill as the judge of whether there is a way.
#![allow(dead_code)]

use sojourn_core::constraints::Constraints;
use sojourn_core::geometry::distance_m;
use sojourn_core::raster::Raster;
use sojourn_core::rover::Rover;
use sojourn_core::site::Site;
use sojourn_planner::{PlanError, PlanRequest, candidates, open_ground, plan};
use std::time::Instant;

/// What came of the pairs.
#[derive(Debug, Default)]
pub struct Tally {
    pub pairs: usize,
    /// Pairs between which the flood fill found a way over open cells.
    pub with_a_way: usize,
    /// Of those, pairs for which the search found one too.
    pub searched: usize,
    /// Of those, pairs for which a whole plan came out.
    pub planned: usize,
    pub seconds: Vec<f64>,
    pub distance_most_m: f64,
    /// Why there was no plan although there is a way over open cells.
    pub refused: Vec<String>,
}

impl Tally {
    pub fn seconds_median(&self) -> f64 {
        let mut s = self.seconds.clone();
        s.sort_by(f64::total_cmp);
        s.get(s.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Plans between `count` pairs of open cells at least 20 m apart.
pub fn run(
    site: &Site,
    rover: &Rover,
    constraints: &Constraints,
    count: usize,
    seed: u64,
) -> Result<Tally, PlanError> {
    let open = open_ground(site, rover, constraints)?;
    let islands = islands(&open);
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut draw = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize) % n
    };
    let cells: Vec<usize> = (0..islands.len()).filter(|&i| islands[i] > 0).collect();
    let mut tally = Tally::default();
    while tally.pairs < count {
        let (a, b) = (cells[draw(cells.len())], cells[draw(cells.len())]);
        let at = |i: usize| open.centre_m(i % open.cols(), i / open.cols());
        if distance_m(at(a), at(b)) < 20.0 {
            continue;
        }
        tally.pairs += 1;
        let request = PlanRequest {
            name: "pair".into(),
            start_m: at(a),
            goal_m: at(b),
            seed: 1,
            slip: None,
        };
        let begin = Instant::now();
        let made = plan(&request, site, rover, constraints, None);
        tally.seconds.push(begin.elapsed().as_secs_f64());
        let way = islands[a] == islands[b];
        match made {
            Ok(made) => {
                assert!(way, "a plan where the flood fill found no way: {request:?}");
                tally.with_a_way += 1;
                tally.searched += 1;
                tally.planned += 1;
                tally.distance_most_m = tally.distance_most_m.max(made.plan.distance_m);
            }
            Err(why) if way => {
                tally.with_a_way += 1;
                let found = candidates(&request, site, rover, constraints, &[], 1)?;
                tally.searched += found.len();
                tally.refused.push(why.to_string());
            }
            Err(_) => {}
        }
    }
    Ok(tally)
}

/// Numbers of the connected parts of the open cells, 0 where closed; a diagonal step needs both cells beside it open.
fn islands(open: &Raster) -> Vec<u32> {
    let (cols, rows) = (open.cols() as i64, open.rows() as i64);
    let free = |c: i64, r: i64| {
        c >= 0 && r >= 0 && c < cols && r < rows && open.get(c as usize, r as usize) > 0.5
    };
    let mut island = vec![0u32; (cols * rows) as usize];
    let mut next = 0;
    for first in 0..cols * rows {
        if island[first as usize] > 0 || !free(first % cols, first / cols) {
            continue;
        }
        next += 1;
        let mut stack = vec![(first % cols, first / cols)];
        island[first as usize] = next;
        while let Some((c, r)) = stack.pop() {
            for (dc, dr) in [
                (1, 0),
                (-1, 0),
                (0, 1),
                (0, -1),
                (1, 1),
                (-1, 1),
                (1, -1),
                (-1, -1),
            ] {
                let (x, y) = (c + dc, r + dr);
                if free(x, y) && free(c, y) && free(x, r) && island[(y * cols + x) as usize] == 0 {
                    island[(y * cols + x) as usize] = next;
                    stack.push((x, y));
                }
            }
        }
    }
    island
}
