//! The figures.

use super::{ClassFigures, Seen, Spent, truth_m};
use nalgebra::{Point3, Vector3};
use serde::Serialize;
use sojourn_core::{camera::Pinhole, raster::HeightField, rover::Rover};
use sojourn_perception::rocks;
use sojourn_twin::{rocks::Rock, world::World};

/// Heights within a distance of the camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Ring {
    /// Cells compared.
    pub cells: u64,
    /// Root mean square of grid less truth, metres.
    pub rmse_m: f64,
    /// Median of the absolute value of grid less truth, metres.
    pub median_m: f64,
    /// Mean of grid less truth, metres.
    pub bias_m: f64,
    /// Share of the cells within two of their own standard deviations.
    pub within_2sigma: f64,
    /// Root mean square of the stated standard deviations, metres.
    pub sigma_m: f64,
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Frames that became a grid.
    pub frames: u64,
    /// Frames that were refused.
    pub refused: u64,
    /// Within 6 m.
    pub ring_6m: Ring,
    /// Within 10 m.
    pub ring_10m: Ring,
    /// True rocks of [`ROCK_M`] and higher within 6 m, half visible or more.
    pub rocks: u64,
    /// Share of them that a reported rock overlaps.
    pub rock_recall: f64,
    /// Rocks reported within 6 m.
    pub reported: u64,
    /// Share of them that overlap a true rock of at least half the reported height.
    pub rock_precision: f64,
    /// Median of reported less true height over the rocks found, metres.
    pub rock_height_bias_m: f64,
    /// Share of the cells within 10 m that two pixels or more truly show which the grid knows.
    pub coverage: f64,
    /// Median seconds for matching alone.
    pub match_s: f64,
    /// Mean seconds from the pair to the grid with its rocks.
    pub frame_s: f64,
    /// Mean seconds of processor time of the same, over all threads.
    pub frame_cpu_s: f64,
    /// 99th percentile of the seconds from the pair to the grid with its rocks.
    pub frame_p99_s: f64,
    /// Classes of the ground, where a network was asked.
    pub classes: Option<ClassFigures>,
}

/// Error and stated standard deviation of the cells of a ring, metres.
#[derive(Default)]
struct Cells(Vec<[f64; 2]>);

impl Cells {
    fn ring(&self) -> Ring {
        let n = self.0.len().max(1) as f64;
        let mean = |f: fn(&[f64; 2]) -> f64| self.0.iter().map(f).sum::<f64>() / n;
        Ring {
            cells: self.0.len() as u64,
            rmse_m: mean(|c| c[0] * c[0]).sqrt(),
            median_m: quantile(self.0.iter().map(|c| c[0].abs()).collect(), 0.5),
            bias_m: mean(|c| c[0]),
            within_2sigma: mean(|c| f64::from(u8::from(c[0].abs() <= 2.0 * c[1]))),
            sigma_m: mean(|c| c[1] * c[1]).sqrt(),
        }
    }
}

fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let i = (share * values.len() as f64).ceil() as usize;
    values
        .get(i.saturating_sub(1).min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0)
}

pub(super) struct Scorer {
    cells: [Cells; 2],
    spent: Vec<Spent>,
    refused: u64,
    shown: [u64; 2],
    camera: Pinhole,
    rocks: [u64; 2],
    reported: [u64; 2],
    height_errors_m: Vec<f64>,
}

/// Height from which a rock counts, metres.
pub const ROCK_M: f64 = 0.25;
/// Distance of the places of a rock that are looked at, metres.
const PATCH_M: f64 = 0.025;
/// A place is seen when the image's depth there is not less by more than this, metres.
const BEFORE_M: f64 = 0.06;

/// Distances of the two rings, metres.
const RINGS_M: [f64; 2] = [6.0, 10.0];

impl Scorer {
    pub(super) fn new(rover: &Rover) -> Self {
        Self {
            cells: [Cells::default(), Cells::default()],
            spent: Vec::new(),
            refused: 0,
            shown: [0; 2],
            camera: rover.navcam_pinhole(),
            rocks: [0; 2],
            reported: [0; 2],
            height_errors_m: Vec::new(),
        }
    }

    pub(super) fn spent(&mut self, spent: Spent) {
        self.spent.push(spent);
    }

    pub(super) fn refused(&mut self) {
        self.refused += 1;
    }

    pub(super) fn score(&mut self, world: &World, seen: &Seen) {
        let eye = seen.station.map_from_camera.iso.translation.vector;
        let e = &seen.grid.elevation;
        for row in 0..e.rows() {
            for col in 0..e.cols() {
                let at = e.centre_m(col, row);
                let away = (at[0] - eye.x).hypot(at[1] - eye.y);
                let height = f64::from(e.get(col, row));
                if away > RINGS_M[1] || height.is_nan() || seen.grid.count.get(col, row) < 1.0 {
                    continue;
                }
                let Some(truth) = truth_m(world, at, e.resolution_m()) else {
                    continue;
                };
                let sigma = f64::from(seen.grid.variance.get(col, row)).sqrt();
                for (cells, ring) in self.cells.iter_mut().zip(RINGS_M) {
                    if away <= ring {
                        cells.0.push([height - truth, sigma]);
                    }
                }
            }
        }
    }

    /// Counts the cells that two true pixels or more fall into, and those of them that the grid knows.
    pub(super) fn score_coverage(&mut self, seen: &Seen) {
        let (frame, e) = (&seen.view.frame, &seen.grid.elevation);
        let pose = seen.station.map_from_camera.iso;
        let rotation = pose.rotation.to_rotation_matrix();
        let eye = pose.translation.vector;
        let [ox, oy] = e.origin_m();
        let mut hits = vec![0u8; e.cols() * e.rows()];
        for (k, depth) in frame.depth_m.iter().enumerate() {
            let ray = self
                .camera
                .ray((k % frame.width) as f64, (k / frame.width) as f64);
            let at = eye + rotation * ray * f64::from(*depth);
            let (c, r) = (
                (at.x - ox) / e.resolution_m(),
                (at.y - oy) / e.resolution_m(),
            );
            // false for not-a-number
            if (at - eye).xy().norm() <= RINGS_M[1]
                && c >= 0.0
                && r >= 0.0
                && c < e.cols() as f64
                && r < e.rows() as f64
            {
                let hit = &mut hits[r as usize * e.cols() + c as usize];
                *hit = hit.saturating_add(1);
            }
        }
        for (hits, count) in hits.iter().zip(seen.grid.count.data()) {
            if *hits >= 2 {
                self.shown[0] += 1;
                self.shown[1] += u64::from(*count > 0.0);
            }
        }
    }

    pub(super) fn score_rocks(&mut self, world: &World, seen: &Seen) {
        let eye = seen.station.map_from_camera.iso.translation.vector;
        let near = |x: f64, y: f64| (x - eye.x).hypot(y - eye.y) <= RINGS_M[0];
        let reach = RINGS_M[0] + 3.0;
        let truth = world.rocks_in([eye.x - reach, eye.y - reach, eye.x + reach, eye.y + reach]);
        let found = &seen.rocks.rocks;
        let overlap = |f: &rocks::Rock, t: &Rock| {
            (f.x_m - t.x_m).hypot(f.y_m - t.y_m) <= 0.5 * (f.diameter_m + t.diameter_m)
        };
        for t in &truth {
            let counts = t.height_m >= ROCK_M && near(t.x_m, t.y_m);
            if !counts || self.visible_share(world, seen, t) < 0.5 {
                continue;
            }
            self.rocks[0] += 1;
            let at = found.iter().filter(|f| overlap(f, t));
            if let Some(f) = at.max_by(|a, b| a.height_m.total_cmp(&b.height_m)) {
                self.rocks[1] += 1;
                self.height_errors_m.push(f.height_m - t.height_m);
            }
        }
        for f in found.iter().filter(|f| near(f.x_m, f.y_m)) {
            self.reported[0] += 1;
            let real = |t: &&Rock| t.height_m >= 0.5 * f.height_m && overlap(f, t);
            self.reported[1] += u64::from(truth.iter().any(|t| real(&t)));
        }
    }

    /// Share of the rock's surface that faces the camera which the left image shows, as the camera sees it.
    fn visible_share(&self, world: &World, seen: &Seen, rock: &Rock) -> f64 {
        let camera_from_map = seen.station.map_from_camera.iso.inverse();
        let eye = seen.station.map_from_camera.iso.translation.vector;
        let frame = &seen.view.frame;
        let (mut facing, mut shown) = (0.0, 0.0);
        let steps = (rock.reach_m / PATCH_M).ceil() as i32;
        for j in -steps..=steps {
            for i in -steps..=steps {
                let x = rock.x_m + PATCH_M * f64::from(i);
                let y = rock.y_m + PATCH_M * f64::from(j);
                if world.on_rock(x, y) != Some(true) {
                    continue;
                }
                let h = |dx: f64, dy: f64| world.height_m(x + dx, y + dy);
                let d = PATCH_M;
                let (Some(z), Some(e), Some(w), Some(n), Some(s)) =
                    (h(0.0, 0.0), h(d, 0.0), h(-d, 0.0), h(0.0, d), h(0.0, -d))
                else {
                    continue;
                };
                let normal = Vector3::new((w - e) / (2.0 * d), (s - n) / (2.0 * d), 1.0);
                let place = Vector3::new(x, y, z);
                let away = eye - place;
                let weight = normal.dot(&away) / away.norm().powi(3);
                if weight <= 0.0 {
                    continue;
                }
                facing += weight;
                let p = camera_from_map.transform_point(&Point3::from(place)).coords;
                let Some([u, v]) = self.camera.project(p) else {
                    continue;
                };
                let (u, v) = (u.round(), v.round());
                let inside =
                    u >= 0.0 && v >= 0.0 && u < frame.width as f64 && v < frame.height as f64;
                let depth = || f64::from(frame.depth_m[v as usize * frame.width + u as usize]);
                if inside && depth() > p.z - BEFORE_M {
                    shown += weight;
                }
            }
        }
        if facing > 0.0 { shown / facing } else { 0.0 }
    }

    pub(super) fn figures(&self) -> Figures {
        let n = self.spent.len().max(1) as f64;
        let mean = |f: fn(&Spent) -> f64| self.spent.iter().map(f).sum::<f64>() / n;
        let all = || self.spent.iter().map(|s| s.all_s).collect();
        Figures {
            frames: self.spent.len() as u64,
            refused: self.refused,
            ring_6m: self.cells[0].ring(),
            ring_10m: self.cells[1].ring(),
            rocks: self.rocks[0],
            rock_recall: self.rocks[1] as f64 / self.rocks[0].max(1) as f64,
            reported: self.reported[0],
            rock_precision: self.reported[1] as f64 / self.reported[0].max(1) as f64,
            rock_height_bias_m: quantile(self.height_errors_m.clone(), 0.5),
            coverage: self.shown[1] as f64 / self.shown[0].max(1) as f64,
            match_s: quantile(self.spent.iter().map(|s| s.match_s).collect(), 0.5),
            frame_s: mean(|s| s.all_s),
            frame_cpu_s: mean(|s| s.cpu_s),
            frame_p99_s: quantile(all(), 0.99),
            classes: None,
        }
    }
}
