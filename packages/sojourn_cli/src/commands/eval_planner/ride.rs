//! A plan's line ridden over the true ground: the simulator's wheels on the world's true soils, without a planner or an
//! AutoNav that would look at the ground on the way. What it counts is what the route itself led the rover into.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sojourn_core::Stamp;
use sojourn_core::body::Body;
use sojourn_core::frames::{Pose2, wrap_rad};
use sojourn_core::geometry::{Xy, distance_m, length_m};
use sojourn_core::kinematics::Velocity;
use sojourn_core::rover::Rover;
use sojourn_twin::folder::{View, WorldFolder};
use sojourn_twin::sim::{SimConfig, Simulator};
use sojourn_twin::world::World;
use std::sync::Arc;

/// Nodes of the true ground, metres: a third of a wheel's width.
const NODE_M: f64 = 0.1;
/// Ground beside the lines without rocks, metres: AutoNav drives around these.
const FREE_M: f64 = 1.8;
/// Way of the wheels in one step, metres: less than a tenth of a wheel's radius.
const STEP_M: f64 = 0.02;
/// Way of the wheels over which slip is taken, metres.
const WINDOW_M: f64 = 0.5;
/// Slip over a window from which the rover gets nowhere.
const NOWHERE: f64 = 0.9;
/// Windows of getting nowhere, one after another, that make an embedding.
const EMBEDDED: usize = 4;
/// Where the rover is set down again after it was embedded: so far ahead on the line, metres.
const PULLED_M: f64 = 4.0;
/// Where it cannot stand it is set down farther on, metre by metre, so many times at most: a small crater that no map shows.
const TRIES: u8 = 10;
/// Point on the line that is steered for: so far ahead, metres.
const AHEAD_M: f64 = 1.5;
/// Off the heading by more than this it turns in place, until it is off by less than the other, radians.
const TURN_RAD: [f64; 2] = [0.6, 0.05];

/// What a ride met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ride {
    /// Places where the wheels turned and the rover stayed: it is set down behind each and goes on.
    pub embeddings: usize,
    /// Contiguous stretches of slip beyond the rover's limit, embeddings among them.
    pub slips: usize,
    /// Way of the wheels beyond that limit, metres.
    pub slip_m: f64,
    /// Greatest slip over half a metre of the wheels' way.
    pub greatest_slip: f64,
    /// Slip over the whole of it.
    pub mean_slip: f64,
    /// It came to the end of the line.
    pub arrived: bool,
}

/// The true ground of a scene around lines that are to be ridden, the same for all of them.
pub(super) fn ground(folder: &WorldFolder, lines: &[&[Xy]]) -> anyhow::Result<Arc<World>> {
    let clear_m = lines
        .iter()
        .flat_map(|line| {
            let n = length_m(line).ceil() as usize + 1;
            (0..=n).map(|k| {
                let [x, y] = point_at(line, k as f64);
                [x, y, FREE_M]
            })
        })
        .collect();
    let view = View {
        node_m: Some(NODE_M),
        clear_m,
        ..View::everything()
    };
    Ok(Arc::new(folder.world(&view)?))
}

/// Rides a line.
///
/// # Errors
/// One sentence when the rover can stand neither at the start nor a few metres on.
pub(super) fn ride(
    world: &Arc<World>,
    rover: &Rover,
    body: &Body,
    seed: u64,
    line: &[Xy],
) -> anyhow::Result<Ride> {
    let (sim, pose, along_m) = stand(world, rover, body, seed, line, 0.0)?;
    let mut rider = Rider {
        sim,
        pose,
        line,
        length_m: length_m(line),
        along_m,
        now_s: 0.0,
        turning: false,
    };
    let mut out = Ride::default();
    let (mut beyond, mut nowhere, mut windows) = (false, 0, 0.0);
    // Every window is a window's way of the wheels; one that never ends is a rover that turns in place for ever.
    let most = (6.0 * rider.length_m / WINDOW_M) as usize + 100;
    for _ in 0..most {
        match rider.window(rover) {
            Window::Arrived => {
                out.arrived = true;
                break;
            }
            Window::Blocked => break,
            Window::Slip(slip) => {
                windows += 1.0;
                out.mean_slip += (slip - out.mean_slip) / windows;
                out.greatest_slip = out.greatest_slip.max(slip);
                let over = slip > rover.limits.slip;
                out.slips += usize::from(over && !beyond);
                out.slip_m += if over { WINDOW_M } else { 0.0 };
                beyond = over;
                nowhere = if slip > NOWHERE { nowhere + 1 } else { 0 };
            }
        }
        if nowhere == EMBEDDED {
            out.embeddings += 1;
            (beyond, nowhere) = (false, 0);
            if !rider.pull_out(world, rover, body, seed) {
                out.arrived = rider.along_m + PULLED_M >= rider.length_m;
                break;
            }
        }
    }
    Ok(out)
}

enum Window {
    Arrived,
    Blocked,
    /// Mean slip over a window.
    Slip(f64),
}

struct Rider<'a> {
    sim: Simulator,
    pose: Pose2,
    line: &'a [Xy],
    length_m: f64,
    along_m: f64,
    now_s: f64,
    turning: bool,
}

impl Rider<'_> {
    /// Drives until the wheels have gone a window's way.
    fn window(&mut self, rover: &Rover) -> Window {
        let cruise_mps = rover.drive.cruise_mps;
        let dt_s = (STEP_M / cruise_mps).min(1.0);
        let steps = (WINDOW_M / (cruise_mps * dt_s)).ceil();
        let (mut driven, mut slip) = (0.0, 0.0);
        // Half a turn in place at most, a few times over.
        let turns = 4.0 * std::f64::consts::PI / (rover.drive.turn_rate_radps * dt_s);
        for _ in 0..(steps + turns) as usize {
            self.look();
            if self.along_m >= self.length_m - 0.5 {
                return Window::Arrived;
            }
            let command = self.command(rover);
            self.now_s += dt_s;
            let out = self.sim.step(Stamp::from_secs(self.now_s), command);
            self.pose = out.truth.pose;
            if out.blocked.is_some() {
                return Window::Blocked;
            }
            if command.speed_mps > 0.0 {
                slip += out.truth.slip;
                driven += 1.0;
                if driven >= steps {
                    return Window::Slip(slip / driven);
                }
            }
        }
        // The wheels turn in place and the rover does not: it has dug itself in.
        Window::Slip(if driven > 0.0 { slip / driven } else { 1.0 })
    }

    /// Moves the place on the line to the one nearest to the rover, never back.
    fn look(&mut self) {
        let here = [self.pose.x_m, self.pose.y_m];
        let far = |s: f64| distance_m(point_at(self.line, s), here);
        let mut best = (far(self.along_m), self.along_m);
        for k in 1..=10 {
            let s = (self.along_m + 0.1 * f64::from(k)).min(self.length_m);
            let d = far(s);
            if d < best.0 {
                best = (d, s);
            }
        }
        self.along_m = best.1;
    }

    fn command(&mut self, rover: &Rover) -> Velocity {
        let pose = self.pose;
        let [x, y] = point_at(self.line, self.along_m + AHEAD_M);
        let off_rad = wrap_rad((y - pose.y_m).atan2(x - pose.x_m) - pose.yaw_rad);
        self.turning = off_rad.abs() > TURN_RAD[usize::from(self.turning)];
        let speed_mps = rover.drive.cruise_mps;
        if self.turning {
            return Velocity {
                speed_mps: 0.0,
                turn_radps: rover.drive.turn_rate_radps * off_rad.signum(),
            };
        }
        let most = speed_mps / rover.drive.min_turn_radius_m.max(0.5);
        Velocity {
            speed_mps,
            // The arc through a point ahead (pure pursuit, Coulter 1992).
            turn_radps: (2.0 * speed_mps * off_rad.sin() / AHEAD_M).clamp(-most, most),
        }
    }

    /// Sets the rover down farther ahead; false at the end of the line or where it can stand nowhere.
    fn pull_out(&mut self, world: &Arc<World>, rover: &Rover, body: &Body, seed: u64) -> bool {
        let from_m = self.along_m + PULLED_M;
        if from_m >= self.length_m - 0.5 {
            return false;
        }
        let Ok((sim, pose, along_m)) = stand(world, rover, body, seed, self.line, from_m) else {
            return false;
        };
        (self.sim, self.pose, self.along_m) = (sim, pose, along_m);
        (self.now_s, self.turning) = (0.0, false);
        true
    }
}

/// Sets the rover down on the line, or where it can stand next; with how far along that is.
fn stand(
    world: &Arc<World>,
    rover: &Rover,
    body: &Body,
    seed: u64,
    line: &[Xy],
    from_m: f64,
) -> anyhow::Result<(Simulator, Pose2, f64)> {
    let mut first = None;
    for k in 0..TRIES {
        let along_m = from_m + f64::from(k);
        match set_down(world, rover, body, seed, line, along_m) {
            Ok((sim, pose)) => return Ok((sim, pose, along_m)),
            Err(e) => first = first.or(Some(e)),
        }
    }
    Err(first.unwrap_or_else(|| anyhow::anyhow!("the ride over the true ground has no line")))
}

fn set_down(
    world: &Arc<World>,
    rover: &Rover,
    body: &Body,
    seed: u64,
    line: &[Xy],
    along_m: f64,
) -> anyhow::Result<(Simulator, Pose2)> {
    let ([x, y], [u, v]) = (point_at(line, along_m), point_at(line, along_m + AHEAD_M));
    let start = Pose2::new(x, y, (v - y).atan2(u - x));
    let config = SimConfig {
        extra_slip: 0.0,
        images: false,
        ..SimConfig::demo(seed, start, None)
    };
    let sim = Simulator::new(world.clone(), rover.clone(), body, config)
        .with_context(|| "the ride over the true ground cannot begin")?;
    Ok((sim, start))
}

/// The point so far along a line, metres; its ends beyond them.
fn point_at(line: &[Xy], along_m: f64) -> Xy {
    let mut left_m = along_m.max(0.0);
    for w in line.windows(2) {
        let d = distance_m(w[0], w[1]);
        if d > 0.0 && left_m <= d {
            let t = left_m / d;
            return [
                w[0][0] + t * (w[1][0] - w[0][0]),
                w[0][1] + t * (w[1][1] - w[0][1]),
            ];
        }
        left_m -= d;
    }
    line.last().copied().unwrap_or([0.0, 0.0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::world::recipe;
    use crate::launch::places::Places;
    use sojourn_core::classes::TerrainClass;
    use sojourn_twin::generate::generate;

    /// A slope of 60 m, all of one class (of smooth regolith without one), with the way up.
    fn slope(class: Option<TerrainClass>) -> (Arc<World>, Rover, Body, Xy) {
        let places = Places::find();
        let mut recipe = recipe(&places, "sand_slopes").unwrap();
        recipe.size_m = [60.0, 60.0];
        recipe.slope_deg = 13.0;
        recipe.relief_rms_deg = 0.5;
        recipe.rocks.cfa = 0.0;
        recipe.cover.shares = class.map(|c| (c, 1.0)).into_iter().collect();
        let body = crate::ground::body(&places, "mars").unwrap();
        let (rover, _) = crate::ground::rover(&places, "perseverance").unwrap();
        let folder = generate(3, &body, &recipe).unwrap();
        let up = super::super::scene::Course::Up.direction(folder.site.elevation().unwrap());
        let world = ground(&folder, &[&[[30.0, 5.0], [30.0, 55.0]]]).unwrap();
        (world, rover, body, up)
    }

    /// Straight up and straight down.
    fn up_and_down(class: Option<TerrainClass>) -> [Ride; 2] {
        let (world, rover, body, up) = slope(class);
        let at = |s: f64| [30.0 + s * up[0], 30.0 + s * up[1]];
        let lines = [
            [at(-12.0), at(0.0), at(12.0)],
            [at(12.0), at(0.0), at(-12.0)],
        ];
        lines.map(|line| ride(&world, &rover, &body, 3, &line).unwrap())
    }

    #[test]
    fn ripples_hold_the_rover_uphill_and_firm_ground_does_not() {
        let [up, down] = up_and_down(Some(TerrainClass::SandRipples));
        assert!(up.embeddings >= 2 && up.slips >= up.embeddings, "{up:?}");
        assert!(
            up.slip_m >= 2.0 && up.greatest_slip > 0.95 && up.arrived,
            "{up:?}"
        );
        assert!(
            down.embeddings == 0 && down.slips == 0 && down.arrived,
            "{down:?}"
        );
        let [up, down] = up_and_down(None);
        assert!(up.slips == 0 && up.arrived && down.arrived, "{up:?}");
        assert!(up.mean_slip > 0.05 && up.mean_slip < 0.4, "{up:?}");
    }

    #[test]
    fn a_rover_that_cannot_stand_is_set_down_farther_on() {
        let (world, rover, body, _) = slope(None);
        let off_the_edge = [[30.0, -1.0], [30.0, 20.0]];
        let made = ride(&world, &rover, &body, 3, &off_the_edge).unwrap();
        assert!(made.arrived && made.embeddings == 0, "{made:?}");
        let nowhere = [[300.0, -1.0], [300.0, 20.0]];
        let said = ride(&world, &rover, &body, 3, &nowhere).unwrap_err();
        assert!(said.to_string().contains("cannot begin"), "{said:#}");
    }

    #[test]
    fn places_along_a_line_are_by_its_length() {
        let line = [[0.0, 0.0], [3.0, 0.0], [3.0, 0.0], [3.0, 4.0]];
        assert_eq!(point_at(&line, -1.0), [0.0, 0.0]);
        assert_eq!(point_at(&line, 2.0), [2.0, 0.0]);
        assert_eq!(point_at(&line, 5.0), [3.0, 2.0]);
        assert_eq!(point_at(&line, 50.0), [3.0, 4.0]);
    }
}
