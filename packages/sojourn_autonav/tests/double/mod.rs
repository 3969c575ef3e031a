//! A double of the world for tests: a rock field from a seed, a rover that moves exactly as commanded (no slip, no
//! noise), and a grid that is known all around. Not the simulator: it only shows what AutoNav itself does.
#![allow(dead_code)] // each user takes a part of it

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sojourn_autonav::{AutoNav, AutoNavParams, Config, Decision, Goal, Input, autonav::DriveState};
use sojourn_core::{
    Stamp,
    frames::{Pose2, Transform},
    geometry::{Xy, corridor, distance_m},
    plan::{Mode, WaypointLimits},
    raster::Raster,
    rover::Rover,
    settle::Settler,
};
use std::path::{Path, PathBuf};

/// Length of the route, metres east from the start.
pub const WORLD_MARGIN_M: f64 = 14.0;

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A shipped rover.
pub fn rover(name: &str) -> Rover {
    Rover::load(&root().join(format!("config/rovers/{name}.yaml"))).unwrap()
}

/// The shipped parameters.
pub fn params() -> AutoNavParams {
    sojourn_core::params::load_node_params(&root().join("config/autonav.param.yaml"), "autonav")
        .unwrap()
}

struct Rock {
    x_m: f64,
    y_m: f64,
    radius_m: f64,
}

/// Ground: a tilted plane, waves, and rocks.
pub struct World {
    length_m: f64,
    slope: Xy,
    waves: Vec<(f64, f64, f64, f64)>,
    rocks: Vec<Rock>,
    /// Indices of the rocks near each square of a metre.
    near: Vec<Vec<usize>>,
    cols: usize,
    rows: usize,
}

impl World {
    /// A world around the way from (0, 0) to (`length_m`, 0), all lengths in units of `scale` (1 for a rover of
    /// Perseverance's size). Rocks follow Golombek's cumulative area `k·exp(−q·D)`; the start is kept clear.
    pub fn new(seed: u64, cfa: f64, slope_deg: f64, length_m: f64, scale: f64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let tau = std::f64::consts::TAU;
        let aspect = rng.random_range(0.0..tau);
        let g = slope_deg.to_radians().tan();
        let waves = (0..12)
            .map(|i| {
                let wave_m = scale * 3.0 * 1.4f64.powi(i);
                let dir = rng.random_range(0.0..tau);
                // about 3° of slope, shared between the waves
                let height_m = wave_m / tau * 3f64.to_radians() * 0.45;
                (
                    tau / wave_m * dir.cos(),
                    tau / wave_m * dir.sin(),
                    rng.random_range(0.0..tau),
                    height_m,
                )
            })
            .collect();
        let margin = WORLD_MARGIN_M;
        let (w, h) = (length_m + 2.0 * margin, 2.0 * margin);
        let q = 1.79 + 0.152 / cfa.max(1e-6);
        let mut rocks = Vec::new();
        let mut d = 0.1;
        while cfa > 0.0 && d < 2.5 {
            let (lo, hi) = (d, d * 1.15);
            let middle = 0.5 * (lo + hi);
            let share = cfa * ((-q * lo).exp() - (-q * hi).exp());
            let area = std::f64::consts::PI * 0.25 * middle * middle * scale * scale;
            let expected = share * w * h / area;
            let count = (expected + rng.random_range(0.0..1.0)).floor() as usize;
            for _ in 0..count {
                let rock = Rock {
                    x_m: rng.random_range(-margin..length_m + margin),
                    y_m: rng.random_range(-margin..margin),
                    radius_m: 0.5 * scale * rng.random_range(lo..hi),
                };
                if rock.x_m.hypot(rock.y_m) > 3.5 * scale {
                    rocks.push(rock);
                }
            }
            d *= 1.15;
        }
        let (cols, rows) = (w.ceil() as usize, h.ceil() as usize);
        let mut near = vec![Vec::new(); cols * rows];
        for (i, rock) in rocks.iter().enumerate() {
            let r = rock.radius_m;
            let cell = |v: f64, n: usize| (v.floor().max(0.0) as usize).min(n - 1);
            for cy in cell(rock.y_m - r + margin, rows)..=cell(rock.y_m + r + margin, rows) {
                for cx in cell(rock.x_m - r + margin, cols)..=cell(rock.x_m + r + margin, cols) {
                    near[cy * cols + cx].push(i);
                }
            }
        }
        Self {
            length_m,
            slope: [g * aspect.cos(), g * aspect.sin()],
            waves,
            rocks,
            near,
            cols,
            rows,
        }
    }

    /// True height.
    pub fn height_m(&self, x: f64, y: f64) -> f64 {
        let base = self.slope[0] * x
            + self.slope[1] * y
            + self
                .waves
                .iter()
                .map(|(kx, ky, phase, h)| h * (kx * x + ky * y + phase).sin())
                .sum::<f64>();
        let (cx, cy) = (
            (x + WORLD_MARGIN_M).floor().max(0.0) as usize,
            (y + WORLD_MARGIN_M).floor().max(0.0) as usize,
        );
        let mut rise: f64 = 0.0;
        if cx < self.cols && cy < self.rows {
            for &i in &self.near[cy * self.cols + cx] {
                let rock = &self.rocks[i];
                let (dx, dy, r) = (x - rock.x_m, y - rock.y_m, rock.radius_m);
                // half a ball: as high as half its diameter
                rise = rise.max((r * r - dx * dx - dy * dy).max(0.0).sqrt());
            }
        }
        base + rise
    }

    /// Rocks that no wheel may drive over.
    pub fn high_rocks(&self, over_m: f64) -> usize {
        self.rocks.iter().filter(|r| r.radius_m > over_m).count()
    }

    /// The grid around a place: the mean of four samples per cell.
    pub fn grid(&self, at: Xy, half_m: f64, resolution_m: f64) -> Raster {
        let n = (2.0 * half_m / resolution_m).round() as usize;
        let snap = |v: f64| ((v - half_m) / resolution_m).round() * resolution_m;
        let blank = Raster::filled(n, n, resolution_m, [snap(at[0]), snap(at[1])], 0.0).unwrap();
        let q = 0.25 * resolution_m;
        blank.like(|c, r| {
            let [x, y] = blank.centre_m(c, r);
            let sum = self.height_m(x - q, y - q)
                + self.height_m(x + q, y - q)
                + self.height_m(x - q, y + q)
                + self.height_m(x + q, y + q);
            (0.25 * sum) as f32
        })
    }
}

/// What came of a drive.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub reached: bool,
    pub driven_m: f64,
    pub stops: u32,
    /// Excesses of a hard limit in truth, one text per contiguous excess.
    pub unsafe_events: Vec<String>,
    pub max_tilt_deg: f64,
    pub min_clearance_m: f64,
    /// Greatest rim speed over the limit seen, as a factor; at most 1.
    pub fastest: f64,
    /// Greatest depth outside the corridor, metres; 0 when it stayed in.
    pub outside_m: f64,
    pub sim_s: f64,
    /// Wall time of each tick that planned, milliseconds.
    pub planning_ms: Vec<f64>,
    pub settled: Vec<usize>,
    pub last_reason: String,
    pub last: Option<Decision>,
}

/// Drives from (0, 0) to (`length_m`, 0) over waypoints 10 m (times the scale) apart.
pub fn drive(world: &World, rover: &Rover, half_width_m: f64, scale: f64, mode: Mode) -> Outcome {
    let config = Config::new(&params(), rover).unwrap();
    let mut nav = AutoNav::new(config, rover.clone()).unwrap();
    let settler = Settler::new(rover, 0.025 * rover.footprint_radius_m());
    let length_m = world.length_m;
    let count = (length_m / (10.0 * scale)).ceil().max(1.0) as usize;
    let waypoint = |i: usize| [length_m * i as f64 / count as f64, 0.0];
    let limits = WaypointLimits {
        tilt_deg: rover.limits.tilt_deg,
        slip: rover.limits.slip,
        speed_mps: rover.drive.cruise_mps,
    };
    let tick_s = rover.cadence.control_period_s;
    let tolerance_m = scale;
    let truth = |x: f64, y: f64| Some(world.height_m(x, y));
    let (mut pose, mut index) = (Pose2::default(), 0);
    let mut out = Outcome {
        min_clearance_m: f64::INFINITY,
        ..Outcome::default()
    };
    let mut grid_at: Option<Xy> = None;
    let mut grid_time = f64::NEG_INFINITY;
    let mut checked_m = f64::NEG_INFINITY;
    let mut turned = 0.0;
    let mut in_excess = false;
    let mut planning = 0;
    let z = |p: &Pose2| world.height_m(p.x_m, p.y_m);
    // without slip the drive takes length / speed; four times that is enough
    let most_ticks = (4.0 * length_m / rover.drive.cruise_mps / tick_s) as usize;
    for tick in 0..most_ticks {
        let t = 1.0 + tick as f64 * tick_s;
        let now = Stamp::from_secs(t);
        let here = [pose.x_m, pose.y_m];
        if grid_at.is_none_or(|g| distance_m(g, here) >= rover.cadence.image_every_m)
            || t - grid_time >= rover.cadence.image_every_s.max(1.0)
        {
            let elevation = world.grid(here, 10.0 * scale.max(0.5), 0.1 * scale.max(0.5));
            nav.step(
                now,
                Input::Grid {
                    stamp: now,
                    elevation,
                },
            );
            grid_at = Some(here);
            grid_time = t;
        }
        // truth: settle the rover every tenth of a metre (times the scale) or every few degrees of a turn
        if out.driven_m - checked_m >= 0.1 * scale || turned > 0.05 {
            checked_m = out.driven_m;
            turned = 0.0;
            if let Some(s) = settler.settle(&truth, pose) {
                out.max_tilt_deg = out.max_tilt_deg.max(s.tilt_rad.to_degrees());
                out.min_clearance_m = out.min_clearance_m.min(s.clearance_m);
                match s.excess(&rover.limits, 1.0) {
                    Some(e) if !in_excess => {
                        in_excess = true;
                        out.unsafe_events.push(format!("{e} at {pose:?}"));
                    }
                    Some(_) => {}
                    None => in_excess = false,
                }
            }
        }
        let odom_from_base_link =
            Transform::from_xyz_rpy([pose.x_m, pose.y_m, z(&pose)], 0.0, 0.0, pose.yaw_rad);
        nav.step(
            now,
            Input::Pose {
                stamp: now,
                odom_from_base_link,
            },
        );
        let map_from_odom = Transform::from_xyz_rpy([100.0, 50.0, 0.0], 0.0, 0.0, 0.0);
        nav.step(
            now,
            Input::MapFromOdom {
                stamp: now,
                map_from_odom,
            },
        );
        let target = waypoint(index + 1);
        let shift = |p: Xy| [p[0] + 100.0, p[1] + 50.0];
        let mut keep_in = vec![corridor(
            shift(waypoint(index)),
            shift(target),
            half_width_m,
        )];
        if index + 1 < count {
            keep_in.push(corridor(
                shift(target),
                shift(waypoint(index + 2)),
                half_width_m,
            ));
        }
        let goal = Goal {
            active: true,
            bundle_id: "test".into(),
            index: index as u32,
            xy_in_map: shift(target),
            tolerance_m,
            mode,
            keep_in_map: keep_in,
            limits,
        };
        nav.step(now, Input::Goal { stamp: now, goal });
        let clock = std::time::Instant::now();
        let d = nav.step(now, Input::Tick).unwrap();
        let ms = clock.elapsed().as_secs_f64() * 1e3;
        if d.planning != planning {
            planning = d.planning;
            out.planning_ms.push(ms);
            out.settled.push(d.settled);
        }
        out.fastest = out.fastest.max(
            sojourn_core::kinematics::fastest_rim_mps(rover, d.velocity)
                / rover.limits.wheel_speed_mps,
        );
        out.stops = d.stops;
        out.sim_s = t;
        out.last_reason.clone_from(&d.reason);
        let (gave_up, state, v) = (d.gave_up, d.state, d.velocity);
        out.last = Some(d);
        if state == DriveState::Goal {
            index += 1;
            if index == count {
                out.reached = true;
                break;
            }
            continue;
        }
        if gave_up {
            break;
        }
        pose = pose.moved(v.speed_mps * tick_s, v.turn_radps * tick_s);
        out.driven_m += v.speed_mps.abs() * tick_s;
        turned += v.turn_radps.abs() * tick_s * f64::from(u8::from(v.speed_mps == 0.0));
        out.outside_m = out.outside_m.max(pose.y_m.abs() - half_width_m);
    }
    out.outside_m = out.outside_m.max(0.0);
    out
}
