//! The picture of one run: hillshade of ground truth with its rocks, corridor, track, stops and unsafe places.

use crate::report::ReportError;
use crate::report::canvas::{Canvas, Rgba};
use sojourn_core::geometry::{Xy, corridor};
use sojourn_core::raster::HeightField;
use sojourn_mission::executive::DriveState;
use sojourn_sweep::closed_loop::{Observer, RunResult, TickView};
use sojourn_sweep::plan::RunSpec;
use sojourn_sweep::run::Sweep;
use sojourn_sweep::scene::Scene;
use std::ops::ControlFlow;

/// Length of the way, pixels per metre times the longer side at most this.
const LONG_SIDE_PX: f64 = 1500.0;
const BAND_PX: u32 = 70;
/// Standing for longer than this is a stop, seconds.
const STAND_S: f64 = 0.5;

const TRACK: Rgba = [20, 90, 200, 255];
const ESTIMATE: Rgba = [255, 255, 255, 220];
const STOP: Rgba = [255, 205, 0, 255];
const UNSAFE: Rgba = [215, 0, 40, 255];
const NEWEST: Rgba = [240, 130, 0, 200];
const CORRIDOR: Rgba = [70, 140, 255, 255];
const INK: Rgba = [25, 20, 18, 255];
const PAPER: Rgba = [252, 250, 246, 255];

/// What is kept while the run is driven again.
#[derive(Default)]
pub struct Track {
    truth: Vec<Xy>,
    estimate: Vec<Xy>,
    stops: Vec<(Xy, String)>,
    standing_s: f64,
    before_s: Option<f64>,
    last_candidates: Vec<Vec<Xy>>,
}

impl Observer for Track {
    fn tick(&mut self, view: &TickView<'_>) -> ControlFlow<()> {
        let now_s = view.now.as_secs();
        let dt_s = self.before_s.map_or(0.0, |b| now_s - b);
        self.before_s = Some(now_s);
        let here = [view.truth.pose.x_m, view.truth.pose.y_m];
        let far = |line: &[Xy], p: Xy| {
            line.last()
                .is_none_or(|l| sojourn_core::geometry::distance_m(*l, p) > 0.05)
        };
        if far(&self.truth, here) {
            self.truth.push(here);
        }
        if let Some(e) = view.estimate {
            let p = (e.map_from_odom * e.odom_from_base_link).planar();
            if far(&self.estimate, [p.x_m, p.y_m]) {
                self.estimate.push([p.x_m, p.y_m]);
            }
        }
        if view.state == DriveState::Driving && view.velocity.is_stop() {
            let before_s = self.standing_s;
            self.standing_s += dt_s;
            if before_s <= STAND_S && self.standing_s > STAND_S {
                let why = view.autonav.map_or(String::new(), |d| d.reason.clone());
                self.stops.push((here, why));
            }
        } else {
            self.standing_s = 0.0;
        }
        if let (Some(d), Some(e)) = (view.autonav, view.estimate) {
            // In true place: candidates are in odom, the rover's error is taken out.
            let shift = view.truth.map_from_base_link * e.odom_from_base_link.inverse();
            self.last_candidates = d
                .candidates
                .iter()
                .map(|c| {
                    c.poses
                        .iter()
                        .map(|p| {
                            let q = shift.iso.transform_point(&[p.x_m, p.y_m, 0.0].into());
                            [q.x, q.y]
                        })
                        .collect()
                })
                .collect();
        }
        ControlFlow::Continue(())
    }
}

/// Map metres to pixels: the way goes from left to right.
struct Frame {
    origin: Xy,
    along: Xy,
    px_per_m: f64,
    half_width_m: f64,
}

impl Frame {
    fn px(&self, p: Xy) -> [f32; 2] {
        let d = [p[0] - self.origin[0], p[1] - self.origin[1]];
        let x = d[0] * self.along[0] + d[1] * self.along[1];
        let y = d[1] * self.along[0] - d[0] * self.along[1];
        [
            (x * self.px_per_m) as f32,
            ((self.half_width_m - y) * self.px_per_m) as f32 + BAND_PX as f32,
        ]
    }

    fn map(&self, px: f64, py: f64) -> Xy {
        let x = px / self.px_per_m;
        let y = self.half_width_m - py / self.px_per_m;
        [
            self.origin[0] + x * self.along[0] - y * self.along[1],
            self.origin[1] + x * self.along[1] + y * self.along[0],
        ]
    }
}

/// Draws the picture as PNG.
///
/// # Errors
/// [`ReportError::Picture`].
pub fn draw(
    sweep: &Sweep,
    spec: &RunSpec,
    scene: &Scene,
    result: &RunResult,
    track: &Track,
) -> Result<Vec<u8>, ReportError> {
    let (start, goal) = (
        [scene.start.x_m, scene.start.y_m],
        [scene.goal.x_m, scene.goal.y_m],
    );
    let half_width_m = sweep.config().scene.half_width_m + 2.0;
    let length_m = sojourn_core::geometry::distance_m(start, goal).max(0.1);
    let along = [
        (goal[0] - start[0]) / length_m,
        (goal[1] - start[1]) / length_m,
    ];
    let width_m = length_m + 2.0 * half_width_m;
    let frame = Frame {
        origin: [
            start[0] - half_width_m * along[0],
            start[1] - half_width_m * along[1],
        ],
        along,
        px_per_m: LONG_SIDE_PX / width_m,
        half_width_m,
    };
    let height_px = (2.0 * half_width_m * frame.px_per_m).round() as u32;
    let mut canvas = Canvas::new(LONG_SIDE_PX as u32, height_px + BAND_PX, PAPER)?;
    hillshade(&mut canvas, &frame, scene, height_px);
    rocks(&mut canvas, &frame, sweep, scene);
    let mut edge: Vec<[f32; 2]> = corridor(start, goal, sweep.config().scene.half_width_m)
        .into_iter()
        .map(|p| frame.px(p))
        .collect();
    edge.extend(edge.first().copied());
    canvas.line(&edge, 1.5, CORRIDOR, Some([6.0, 5.0]));
    let line = |points: &[Xy]| points.iter().map(|p| frame.px(*p)).collect::<Vec<_>>();
    for c in &track.last_candidates {
        canvas.line(&line(c), 0.8, NEWEST, None);
    }
    canvas.line(&line(&track.estimate), 1.2, ESTIMATE, None);
    canvas.line(&line(&track.truth), 2.4, TRACK, None);
    for (at, _) in &track.stops {
        canvas.disc(frame.px(*at), 4.0, STOP, INK);
    }
    for e in &result.score.events {
        canvas.disc(frame.px([e.x_m, e.y_m]), 5.5, UNSAFE, INK);
    }
    canvas.disc(frame.px(start), 6.0, [255, 255, 255, 255], INK);
    canvas.disc(frame.px(goal), 6.0, [60, 180, 80, 255], INK);
    words(&mut canvas, spec, result);
    canvas.png()
}

fn hillshade(canvas: &mut Canvas, frame: &Frame, scene: &Scene, height_px: u32) {
    let step = 1.0 / frame.px_per_m;
    for py in 0..height_px {
        for px in 0..LONG_SIDE_PX as u32 {
            let [x, y] = frame.map(f64::from(px) + 0.5, f64::from(py) + 0.5);
            let h = |dx: f64, dy: f64| scene.world.height_m(x + dx, y + dy);
            let (Some(e), Some(w), Some(n), Some(s)) =
                (h(step, 0.0), h(-step, 0.0), h(0.0, step), h(0.0, -step))
            else {
                continue;
            };
            let (gx, gy) = ((e - w) / (2.0 * step), (n - s) / (2.0 * step));
            // Sun in the north-west at 45 degrees, as maps have it.
            let light = (1.0 + 0.7 * gx - 0.7 * gy) / (2.0 * (1.0 + gx * gx + gy * gy)).sqrt();
            let v = (light.clamp(0.05, 1.0) * 225.0) as u8;
            canvas.pixel(
                px,
                py + BAND_PX,
                [v, (f64::from(v) * 0.86) as u8, (f64::from(v) * 0.72) as u8],
            );
        }
    }
}

/// Rims of the rocks that are higher than the rover's wheels take without more.
fn rocks(canvas: &mut Canvas, frame: &Frame, sweep: &Sweep, scene: &Scene) {
    let high_m = sweep.rover().wheel.radius_m;
    for rock in scene.world.rocks_in(scene.world.region_m()) {
        if rock.height_m < 0.5 * high_m {
            continue;
        }
        let colour = if rock.height_m > high_m {
            [150, 20, 20, 90]
        } else {
            [160, 110, 0, 60]
        };
        let at = frame.px([rock.x_m, rock.y_m]);
        if at[1] > BAND_PX as f32 {
            let radius = (0.5 * rock.diameter_m * frame.px_per_m) as f32;
            canvas.disc(at, radius.max(1.0), colour, [60, 30, 20, 120]);
        }
    }
}

fn words(canvas: &mut Canvas, spec: &RunSpec, result: &RunResult) {
    let s = &result.score;
    canvas.rectangle(0.0, 0.0, LONG_SIDE_PX as f32, BAND_PX as f32, PAPER);
    let first = format!(
        "run {}: {} ({}), CFA {:.0} %, slope {:.0} deg, goal {}, seed {}: {}",
        spec.run,
        spec.planner,
        spec.sensing.name(),
        100.0 * spec.scene.cfa,
        spec.scene.slope_deg,
        spec.scene.direction.name(),
        spec.seed_number,
        result.outcome.name()
    );
    let second = format!(
        "{:.1} m in {:.0} s, {} unsafe events, tilt <= {:.1} deg, clearance >= {:.2} m, slip <= {:.2}, {} of {} plannings without path",
        s.distance_driven_m,
        s.sim_s,
        s.unsafe_events,
        s.max_tilt_deg,
        s.min_clearance_m.unwrap_or(f64::NAN),
        s.max_slip,
        result.counts.cycles_without_path,
        result.counts.cycles
    );
    let cut = |text: &str| text.chars().take(150).collect::<String>();
    canvas.words(10.0, 6.0, 2, INK, &cut(&first));
    canvas.words(10.0, 27.0, 1, INK, &cut(&second));
    canvas.words(10.0, 40.0, 1, INK, &cut(&result.reason));
    canvas.words(
        10.0,
        54.0,
        1,
        INK,
        "blue: true way, white: own estimate, yellow: stops, red dots: unsafe, orange lines: last candidates; rocks: brown over half a wheel's radius, red over one",
    );
}
