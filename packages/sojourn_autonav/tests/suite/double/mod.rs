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

/// How the double sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Senses {
    /// All ground around the rover, as it is.
    Perfect,
    /// What a camera on the mast sees: within its angle of view, not behind rocks, not under the rover, with noise; and
    /// odometry that does not know of slip (this share of the way is lost).
    Camera {
        /// Seed of the noise.
        seed: u64,
        /// Share of the way that is lost.
        slip: f64,
    },
}

/// The map that a camera builds, in the rover's own (drifting) `odom`.
struct Seen {
    raster: Raster,
    sigma_m: Raster,
    rng: ChaCha8Rng,
}

impl Seen {
    fn new(seed: u64, resolution_m: f64, length_m: f64) -> Self {
        let cols = ((length_m + 2.0 * WORLD_MARGIN_M) / resolution_m) as usize;
        let rows = (2.0 * WORLD_MARGIN_M / resolution_m) as usize;
        let origin = [-WORLD_MARGIN_M, -WORLD_MARGIN_M];
        let blank = |v| Raster::filled(cols, rows, resolution_m, origin, v).unwrap();
        Self {
            raster: blank(f32::NAN),
            sigma_m: blank(f32::MAX),
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// One image with the mast turned by `pan_rad`.
    fn look(&mut self, world: &World, rover: &Rover, truth: &Pose2, odom: &Pose2, pan_rad: f64) {
        let cam = rover.navcam.position_m;
        let half = 0.5 * rover.navcam.hfov_deg.to_radians();
        let lowest = rover.navcam.down_deg.to_radians() + 0.5 * rover.navcam.vfov_deg.to_radians();
        let base_z = world.height_m(truth.x_m, truth.y_m);
        let step = 0.5 * self.raster.resolution_m();
        let reach = rover.navcam.range_max_m;
        let rays = (2.0 * half * reach / step).ceil() as usize;
        for ray in 0..=rays {
            let azimuth = pan_rad - half + 2.0 * half * ray as f64 / rays as f64;
            let mut highest = -lowest.tan();
            let mut d = step;
            while d < reach {
                let (fx, fy) = (cam[0] + d * azimuth.cos(), cam[1] + d * azimuth.sin());
                let [wx, wy] = truth.point(fx, fy);
                let h = world.height_m(wx, wy);
                let slope = (h - base_z - cam[2]) / d;
                if slope >= highest {
                    highest = slope;
                    let [ox, oy] = odom.point(fx, fy);
                    let sigma = (0.004 + 0.0004 * d * d) as f32;
                    if let Some((c, r)) = self.raster.cell_of(ox, oy)
                        && sigma <= self.sigma_m.get(c, r)
                    {
                        // twelve evenly drawn numbers make a normal one
                        let normal: f64 = (0..12).map(|_| self.rng.random_range(-0.5..0.5)).sum();
                        self.raster.set(c, r, h as f32 + sigma * normal as f32);
                        self.sigma_m.set(c, r, sigma);
                    }
                }
                d += step;
            }
        }
    }

    fn window(&self, at: Xy, half_m: f64) -> Raster {
        let res = self.raster.resolution_m();
        let n = (2.0 * half_m / res).round() as usize;
        let [x0, y0] = self.raster.origin_m();
        let snap = |v: f64, o: f64| o + ((v - half_m - o) / res).round() * res;
        let blank = Raster::filled(n, n, res, [snap(at[0], x0), snap(at[1], y0)], 0.0).unwrap();
        blank.like(|c, r| {
            let [x, y] = blank.centre_m(c, r);
            self.raster
                .cell_of(x, y)
                .map_or(f32::NAN, |(c, r)| self.raster.get(c, r))
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
pub fn drive(
    world: &World,
    rover: &Rover,
    half_width_m: f64,
    scale: f64,
    mode: Mode,
    senses: Senses,
) -> Outcome {
    let (seed, slip) = match senses {
        Senses::Perfect => (0, 0.0),
        Senses::Camera { seed, slip } => (seed, slip),
    };
    let resolution_m = 0.1 * scale.max(0.5);
    let mut seen = Seen::new(seed, resolution_m, world.length_m);
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
    // where the rover is, and where it thinks it is
    let (mut pose, mut odom, mut index) = (Pose2::default(), Pose2::default(), 0);
    let mut out = Outcome {
        min_clearance_m: f64::INFINITY,
        ..Outcome::default()
    };
    let mut grid_at: Option<Xy> = None;
    let mut grid_time = f64::NEG_INFINITY;
    let mut checked_m = f64::NEG_INFINITY;
    let mut turned = 0.0;
    let mut turned_since_image = 0.0;
    let mut in_excess = false;
    let (mut roll, mut pitch) = (0.0, 0.0);
    let mut planning = 0;
    let z = |p: &Pose2| world.height_m(p.x_m, p.y_m);
    // without slip the drive takes length / speed; four times that is enough
    let most_ticks = (4.0 * length_m / rover.drive.cruise_mps / tick_s) as usize;
    for tick in 0..most_ticks {
        let t = 1.0 + tick as f64 * tick_s;
        let now = Stamp::from_secs(t);
        let here = [pose.x_m, pose.y_m];
        if grid_at.is_none_or(|g| distance_m(g, here) >= rover.cadence.image_every_m)
            || turned_since_image >= 20f64.to_radians()
            || t - grid_time >= rover.cadence.image_every_s.max(1.0)
        {
            let half_m = 10.0 * scale.max(0.5);
            let elevation = if senses == Senses::Perfect {
                world.grid(here, half_m, resolution_m)
            } else {
                // a look around where the drive begins, then ahead
                let pans = if tick == 0 { 6 } else { 1 };
                for i in 0..pans {
                    let pan_rad = f64::from(i) * std::f64::consts::TAU / 6.0;
                    seen.look(world, rover, &pose, &odom, pan_rad);
                }
                seen.window([odom.x_m, odom.y_m], half_m)
            };
            nav.step(
                now,
                Input::Grid {
                    stamp: now,
                    elevation,
                },
            );
            grid_at = Some(here);
            grid_time = t;
            turned_since_image = 0.0;
        }
        if senses != Senses::Perfect
            && let Some(s) = settler.settle(&truth, pose)
        {
            (roll, pitch) = (s.roll_rad, s.pitch_rad);
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
            Transform::from_xyz_rpy([odom.x_m, odom.y_m, z(&pose)], roll, pitch, odom.yaw_rad);
        nav.step(
            now,
            Input::Pose {
                stamp: now,
                odom_from_base_link,
                certainty: None,
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
            keep_out_map: Vec::new(),
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
        odom = odom.moved(v.speed_mps * tick_s, v.turn_radps * tick_s);
        pose = pose.moved(v.speed_mps * tick_s * (1.0 - slip), v.turn_radps * tick_s);
        out.driven_m += v.speed_mps.abs() * tick_s;
        turned_since_image += v.turn_radps.abs() * tick_s;
        turned += v.turn_radps.abs() * tick_s * f64::from(u8::from(v.speed_mps == 0.0));
        out.outside_m = out.outside_m.max(odom.y_m.abs() - half_width_m);
    }
    out.outside_m = out.outside_m.max(0.0);
    out
}
