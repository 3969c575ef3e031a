//! The node `autonav`: terrain grid, pose and goal in, the velocity it asks for out every tick.

use nalgebra::Matrix3;
use r2r::{
    geometry_msgs::msg::{Point, Point32, TransformStamped, TwistStamped, Vector3Stamped},
    grid_map_msgs::msg::GridMap,
    nav_msgs::msg::Odometry,
    sensor_msgs::msg::JointState,
    sojourn_msgs::msg::{AutonavStatus, CandidatePath, DriveGoal},
    std_msgs::msg::ColorRGBA,
    visualization_msgs::msg::{Marker, MarkerArray},
};
use sojourn_autonav::{
    AutoNav, AutoNavParams, Config, Decision, DriveState, Goal, Input, drift::Certainty,
    fusion::TerrainLayers, search::Weighed,
};
use sojourn_core::{
    Stamp,
    geometry::outline_and_holes,
    plan::{Mode, WaypointLimits},
    rover::Rover,
    slip_forecast::SlipMemory,
    suspension::SuspensionAngles,
    topics,
};
use sojourn_ros::{Event, NodeKit, Refused, header, msgs, run_node};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Kinds and actions of `visualization_msgs/Marker`.
const LINE_STRIP: i32 = 4;
const TEXT: i32 = 9;
const ADD: i32 = 0;
const DELETE_ALL: i32 = 3;
/// The status is sent at least this often, seconds.
const STATUS_EVERY_S: f64 = 1.0;

fn main() -> ExitCode {
    run_node("autonav", autonav)
}

fn goal(m: &DriveGoal) -> Result<Input, Refused> {
    let stamp = msgs::in_frame(&m.header, topics::DRIVE_GOAL.frame)?;
    let w = &m.waypoint;
    let mode = match Mode::from_name(&w.mode) {
        Some(mode) => mode,
        // Where there is nowhere to go the waypoint is empty.
        None if !m.active => Mode::AvoidAll,
        None => {
            return Err(Refused(format!(
                "waypoint.mode is {:?}, expected AVOID_ALL, GUARDED or DIRECTED",
                w.mode
            )));
        }
    };
    // An inactive goal counts by being inactive; its numbers only have to be numbers.
    let positive = |v: f64| if m.active { v } else { 1.0 };
    let (mut keep_in_map, mut keep_out_map) = (Vec::new(), Vec::new());
    for polygon in [&w.corridor, &m.keep_in] {
        // Holes are keep-outs.
        let (outline, holes) = outline_and_holes(&msgs::polygon(polygon)?)?;
        keep_in_map.push(outline);
        keep_out_map.extend(holes);
    }
    Ok(Input::Goal {
        stamp,
        goal: Goal {
            active: m.active,
            bundle_id: m.bundle_id.clone(),
            index: m.waypoint_index,
            xy_in_map: [w.x_m, w.y_m],
            tolerance_m: positive(w.tolerance_m),
            mode,
            keep_in_map,
            keep_out_map,
            limits: WaypointLimits {
                tilt_deg: positive(w.max_tilt_rad).to_degrees(),
                slip: positive(w.max_slip),
                speed_mps: positive(w.max_speed_mps),
            },
        },
    })
}

/// The suspension's angles, when the message names one of them.
fn suspension(m: &JointState) -> Result<Option<Input>, Refused> {
    if !topics::SUSPENSION_JOINTS
        .iter()
        .any(|joint| m.name.iter().any(|n| n == joint))
    {
        return Ok(None);
    }
    let (stamp, [differential_rad, left, right], _) = msgs::joints(m, &topics::SUSPENSION_JOINTS)?;
    Ok(Some(Input::Suspension {
        stamp,
        angles: SuspensionAngles {
            differential_rad,
            bogie_rad: [left, right],
        },
    }))
}

fn candidate(w: &Weighed) -> CandidatePath {
    let clearance = w.min_clearance_m;
    CandidatePath {
        curvature_first: w.curvature_first_per_m,
        curvature_second: w.curvature_second_per_m,
        points: w
            .poses
            .iter()
            .map(|p| Point32 {
                x: p.x_m as f32,
                y: p.y_m as f32,
                z: 0.0,
            })
            .collect(),
        chosen: w.chosen,
        safe: w.safe,
        reason: w.reason.clone(),
        cost: w.cost_s,
        max_tilt_rad: w.max_tilt_rad,
        // Infinite means that no pose was settled; on the wire everything is finite.
        min_clearance_m: if clearance.is_finite() {
            clearance
        } else {
            0.0
        },
    }
}

fn status(now: Stamp, d: &Decision) -> AutonavStatus {
    AutonavStatus {
        header: header(now, topics::AUTONAV_STATUS.frame),
        state: d.state as u8,
        reason: d.reason.clone(),
        stops: d.stops,
        candidates: d.candidates.iter().map(candidate).collect(),
    }
}

/// Lines of the candidates over the ground, and what AutoNav does over the rover.
fn markers(now: Stamp, d: &Decision, core: &AutoNav) -> MarkerArray {
    let height = |x: f64, y: f64| {
        core.ground()
            .and_then(|g| g.seen.sample(x, y))
            .unwrap_or(0.0)
    };
    let blank = |id: usize, kind: i32| Marker {
        header: header(now, topics::AUTONAV_MARKERS.frame),
        ns: "autonav".into(),
        id: i32::try_from(id).unwrap_or(i32::MAX),
        type_: kind,
        action: ADD,
        pose: r2r::geometry_msgs::msg::Pose {
            orientation: r2r::geometry_msgs::msg::Quaternion {
                w: 1.0,
                ..Default::default()
            },
            ..Default::default()
        },
        ..Marker::default()
    };
    let mut all = vec![Marker {
        action: DELETE_ALL,
        ..blank(0, LINE_STRIP)
    }];
    for (i, c) in d.candidates.iter().enumerate() {
        let (r, g, b) = match (c.chosen, c.safe) {
            (true, _) => (0.1, 0.9, 0.2),
            (false, true) => (0.2, 0.5, 1.0),
            (false, false) => (0.9, 0.2, 0.1),
        };
        let mut line = blank(i + 1, LINE_STRIP);
        line.scale.x = if c.chosen { 0.08 } else { 0.03 };
        line.color = ColorRGBA { r, g, b, a: 1.0 };
        line.points = c
            .poses
            .iter()
            .map(|p| Point {
                x: p.x_m,
                y: p.y_m,
                z: height(p.x_m, p.y_m) + 0.05,
            })
            .collect();
        all.push(line);
    }
    if let Some(p) = d.candidates.iter().find_map(|c| c.poses.first()) {
        let mut text = blank(d.candidates.len() + 1, TEXT);
        text.scale.z = 0.4;
        text.color = ColorRGBA {
            r: 1.0,
            g: 1.0,
            b: 1.0,
            a: 1.0,
        };
        (text.pose.position.x, text.pose.position.y) = (p.x_m, p.y_m);
        text.pose.position.z = height(p.x_m, p.y_m) + 3.0;
        text.text.clone_from(&d.reason);
        all.push(text);
    }
    MarkerArray { markers: all }
}

/// What is kept of slip from drive to drive.
struct Memory {
    file: Option<PathBuf>,
    rover: String,
}

impl Memory {
    fn of(params: &AutoNavParams, rover: &Rover) -> Self {
        let file = &params.slip_memory_file;
        Self {
            file: (!file.is_empty()).then(|| file.into()),
            rover: rover.name.clone(),
        }
    }

    /// Tells AutoNav what is known of slip before this drive.
    fn begin(&self, params: &AutoNavParams, core: &mut AutoNav) -> anyhow::Result<()> {
        let priors = params.slip_priors()?;
        if !core.expect_slip(&priors) {
            tracing::info!(
                "the table of slip belongs to {}, not to {}: the rover's own model counts on every class",
                priors.rover,
                self.rover
            );
        }
        if let Some(file) = self.file.as_ref().filter(|f| f.exists()) {
            core.recall_slip(&SlipMemory::load(file, &self.rover)?)?;
        }
        Ok(())
    }

    /// Writes what is known now; a memory that cannot be written is told and stops nothing.
    fn keep(&self, core: &AutoNav) {
        if let Some(file) = &self.file
            && let Err(e) = core.slip().memory(&self.rover).save(file)
        {
            tracing::error!("what was learned of slip is not kept: {e}");
        }
    }
}

async fn autonav(mut kit: NodeKit<Input>) -> anyhow::Result<()> {
    let rover_file = kit.params::<AutoNavParams>()?.rover_file;
    let rover = Rover::load(Path::new(&rover_file))?;
    let checked = rover.clone();
    let params: AutoNavParams = kit.params_settable(Config::WEIGHTS, move |p| {
        Config::new(p, &checked)
            .map(drop)
            .map_err(|e| e.to_string())
    })?;
    let mut core = AutoNav::new(Config::new(&params, &rover)?, rover.clone())?;
    let memory = Memory::of(&params, &rover);
    memory.begin(&params, &mut core)?;
    core.see_from_orbit(params.orbital(&rover)?.map(Arc::new));

    kit.subscribe_latest(&topics::TERRAIN_GRID, |m: GridMap| {
        use topics::grid_layers::{CLASS, ELEVATION, VARIANCE};
        let frame = topics::TERRAIN_GRID.frame;
        let (stamp, [elevation]) = msgs::grid_layers(&m, frame, &[ELEVATION])?;
        let told = |name: &str| -> Result<_, Refused> {
            if !m.layers.iter().any(|l| l == name) {
                return Ok(None);
            }
            let (_, [layer]) = msgs::grid_layers(&m, frame, &[name])?;
            Ok(Some(layer))
        };
        let layers = Box::new(TerrainLayers {
            variance: told(VARIANCE)?,
            class: told(CLASS)?,
            ..TerrainLayers::of(elevation)
        });
        Ok(Some(Input::Terrain { stamp, layers }))
    })?;
    kit.subscribe(&topics::ODOMETRY, |m: Odometry| {
        let o = msgs::odometry_in_odom(&m)?;
        // A covariance of nothing but zeros says nothing.
        let told = o.pose_covariance.iter().any(|v| *v != 0.0);
        let speed_var = m.twist.covariance.first().copied().unwrap_or(0.0);
        let of = [0, 1, 5];
        let certainty = told.then(|| Certainty {
            planar: Matrix3::from_fn(|i, j| o.pose_covariance[of[i] * 6 + of[j]]),
            speed_mps: o.linear_mps.x,
            speed_sigma_mps: speed_var.max(0.0).sqrt(),
        });
        Ok(Some(Input::Pose {
            stamp: o.stamp,
            odom_from_base_link: o.to_from_base_link,
            certainty,
        }))
    })?;
    kit.subscribe(&topics::MAP_FROM_ODOM, |m: TransformStamped| {
        let (stamp, map_from_odom) = msgs::transform(&m)?;
        Ok(Some(Input::MapFromOdom {
            stamp,
            map_from_odom,
        }))
    })?;
    kit.subscribe(&topics::DRIVE_GOAL, |m: DriveGoal| goal(&m).map(Some))?;
    kit.subscribe(&topics::SLIP, |m: Vector3Stamped| {
        let stamp = msgs::in_frame(&m.header, topics::SLIP.frame)?;
        let slip = msgs::finite("slip", m.vector.x)?;
        Ok(Some(Input::Slip { stamp, slip }))
    })?;
    kit.subscribe(&topics::WHEELS, |m: JointState| suspension(&m))?;
    let cmd_vel = kit.publisher::<TwistStamped>(&topics::CMD_VEL_NAV)?;
    let markers_out = kit.publisher::<MarkerArray>(&topics::AUTONAV_MARKERS)?;
    let status_out = kit.publisher::<AutonavStatus>(&topics::AUTONAV_STATUS)?;

    let newest = Arc::new(AtomicI64::new(0));
    let (last, last_tick) = (cmd_vel.clone(), Arc::clone(&newest));
    kit.on_stop(move || {
        let stop = msgs::twist_to_msg(Stamp(last_tick.load(Ordering::SeqCst)), 0.0, 0.0);
        if let Err(e) = last.publish(&stop) {
            tracing::error!("the last stop could not be sent: {e}");
        }
    });

    let mut node = kit.run()?;
    let mut planning_ms = 0.0;
    let mut told: Option<(Stamp, u8, u32, u64)> = None;
    loop {
        match node.next().await? {
            Event::Tick(tick) => {
                newest.store(tick.now.0, Ordering::SeqCst);
                for input in tick.inputs {
                    core.step(tick.now, input);
                }
                let began = std::time::Instant::now();
                let Some(d) = core.step(tick.now, Input::Tick) else {
                    continue;
                };
                if told.is_none_or(|(.., planning)| planning != d.planning) {
                    planning_ms = began.elapsed().as_secs_f64() * 1e3;
                }
                let v = d.velocity;
                cmd_vel.publish(&msgs::twist_to_msg(tick.now, v.speed_mps, v.turn_radps))?;
                let news = (d.state as u8, d.stops, d.planning);
                if told.is_none_or(|(.., planning)| planning != news.2) && !d.candidates.is_empty()
                {
                    markers_out.publish(&markers(tick.now, &d, &core))?;
                }
                let due = told.is_none_or(|(at, state, stops, planning)| {
                    (state, stops, planning) != news || tick.now.since(at) >= STATUS_EVERY_S - 1e-6
                });
                if due {
                    if told.is_none_or(|(_, state, ..)| state != news.0) {
                        tracing::info!("{:?}: {}", d.state, d.reason);
                        if d.state == DriveState::Goal {
                            memory.keep(&core);
                        }
                    }
                    status_out.publish(&status(tick.now, &d))?;
                    told = Some((tick.now, news.0, news.1, news.2));
                }
                node.diagnostic("stops", d.stops);
                node.diagnostic("plannings", d.planning);
                node.diagnostic("poses_settled", d.settled);
                node.diagnostic("poses_looked_up", d.looked_up);
                node.diagnostic("think_stops", d.think_stops);
                node.diagnostic("rocks_grown_m", format!("{:.2}", d.inflate_m));
                node.diagnostic("planning_ms", format!("{planning_ms:.1}"));
                node.done(d.health)?;
            }
            Event::ParametersChanged => {
                core.weigh_by(&Config::new(&node.params()?, &rover)?);
            }
            Event::Stop => {
                memory.keep(&core);
                return Ok(());
            }
        }
    }
}
