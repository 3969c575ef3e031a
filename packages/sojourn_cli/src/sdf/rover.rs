//! A rover file as an SDF model: body, rockers and bogies, steering, wheels, cameras, inertial unit.
//!
//! Every link has the axes of `base_link` and its origin on its joint, so that a joint needs no pose of its own. Names of
//! drives and steers are those of the topic `wheel_commands`.

use super::{Version, xml::Node};
use nalgebra::Vector3;
use sojourn_core::{
    rover::{Rover, Steering, SuspensionKind},
    topics::{DRIVE_JOINTS, STEER_JOINTS},
};
use std::f64::consts::{FRAC_PI_2, TAU};

type V3 = Vector3<f64>;

/// Shares of the rover's mass; the body has the rest. No rover file says them.
const WHEEL_MASS: f64 = 0.02;
const STEERING_MASS: f64 = 0.005;
const ROCKER_MASS: f64 = 0.03;
const BOGIE_MASS: f64 = 0.02;
/// Mechanical stops of rockers and bogies, in units of the rover's safety limits.
const STOPS: f64 = 2.0;
/// How far the body may sink about the rockers where the physics engine knows no differential, radians.
const SAG_RAD: f64 = 0.05;
/// Friction of a grouser wheel on ground.
const FRICTION: f64 = 0.9;
/// Gains of the steering actuators, per kilogram of rover.
const STEER_GAINS: [f64; 3] = [5.0, 0.1, 0.5];

/// A rigid part on its joint.
struct Part {
    name: String,
    parent: String,
    joint: String,
    origin: V3,
    /// Axis and its range, radians; none for a wheel that turns for ever.
    axis: V3,
    range: Option<f64>,
    mass_kg: f64,
    /// Size of the box that its inertia is that of, metres.
    extent: V3,
    shape: Shape,
}

enum Shape {
    Wheel,
    /// Beams from the origin to these points.
    Beams(Vec<V3>),
}

/// The model, standing with its `base_link` at a pose `[x, y, z, roll, pitch, yaw]`.
#[must_use]
pub fn model(rover: &Rover, version: Version, pose: [f64; 6], gravity_mps2: f64) -> Node {
    let parts = parts(rover);
    let mut model = Node::new("model")
        .with("name", &rover.name)
        .holding([Node::numbers("pose", &pose), body(rover, &parts, version)]);
    for part in &parts {
        model.children.push(link(rover, part));
    }
    let rocker_name = |p: &Part| p.name.starts_with("rocker");
    for part in &parts {
        let mut joint = joint(part);
        if rocker_name(part)
            && let Some(axis) = joint.children.iter_mut().find(|c| c.tag == "axis")
        {
            differential(rover, part, version, gravity_mps2, axis);
        }
        model.children.push(joint);
    }
    model.children.extend(plugins(rover, &parts));
    model
}

fn v3(p: [f64; 3]) -> V3 {
    V3::from(p)
}

fn parts(rover: &Rover) -> Vec<Part> {
    let s = &rover.suspension;
    let hubs = rover.hubs_m().map(v3);
    let (stop, bogie_stop) = (
        STOPS * rover.limits.differential_deg.to_radians(),
        STOPS * rover.limits.bogie_deg.to_radians(),
    );
    let across = V3::y();
    let mut parts = Vec::new();
    for (side, sign) in [("left", 1.0), ("right", -1.0)] {
        let at = |p: [f64; 3]| V3::new(p[0], sign * p[1], p[2]);
        let (rocker, bogie) = (format!("rocker_{side}"), format!("bogie_{side}"));
        let arm = |name: &str, parent: &str, origin: V3, stop, share, ends: Vec<V3>| {
            let reach = ends.iter().fold(0.0f64, |m, e| m.max((e - origin).norm()));
            Part {
                name: name.into(),
                parent: parent.into(),
                joint: format!("{name}_pivot"),
                origin,
                axis: across,
                range: Some(stop),
                mass_kg: share * rover.mass_kg,
                extent: V3::new(reach, 0.1 * reach, 0.1 * reach),
                shape: Shape::Beams(ends),
            }
        };
        let k = if sign > 0.0 { 0 } else { 3 };
        let (pivot, bogie_pivot) = (at(s.rocker_pivot_m), at(s.bogie_pivot_m));
        match s.kind {
            SuspensionKind::RockerBogie => {
                let ends = vec![hubs[k], bogie_pivot];
                parts.push(arm(&rocker, "base_link", pivot, stop, ROCKER_MASS, ends));
                let ends = vec![hubs[k + 1], hubs[k + 2]];
                parts.push(arm(
                    &bogie,
                    &rocker,
                    bogie_pivot,
                    bogie_stop,
                    BOGIE_MASS,
                    ends,
                ));
            }
            SuspensionKind::Rockers => {
                let ends = vec![hubs[k], hubs[k + 2]];
                parts.push(arm(&rocker, "base_link", pivot, stop, ROCKER_MASS, ends));
            }
            SuspensionKind::Fixed => {}
        }
    }
    for i in (0..6).filter(|i| rover.has_wheel()[*i]) {
        parts.extend(wheel(rover, i, hubs[i]));
    }
    parts
}

/// A wheel, and its steering where it has one.
fn wheel(rover: &Rover, i: usize, hub: V3) -> Vec<Part> {
    let side = if i < 3 { "left" } else { "right" };
    let mut parent = match (rover.suspension.kind, i % 3) {
        (SuspensionKind::Fixed, _) => "base_link".to_string(),
        (SuspensionKind::RockerBogie, 1 | 2) => format!("bogie_{side}"),
        _ => format!("rocker_{side}"),
    };
    let suffix = DRIVE_JOINTS[i].trim_start_matches("drive_");
    let (r, w) = (rover.wheel.radius_m, rover.wheel.width_m);
    let mut parts = Vec::new();
    if rover.drive.steering == Steering::CornerSteered && i % 3 != 1 {
        let name = format!("steering_{suffix}");
        parts.push(Part {
            name: name.clone(),
            parent,
            joint: STEER_JOINTS[i].into(),
            origin: hub,
            axis: V3::z(),
            range: Some(FRAC_PI_2),
            mass_kg: STEERING_MASS * rover.mass_kg,
            extent: V3::repeat(0.5 * r),
            shape: Shape::Beams(vec![hub + V3::new(0.0, 0.0, r)]),
        });
        parent = name;
    }
    parts.push(Part {
        name: format!("wheel_{suffix}"),
        parent,
        joint: DRIVE_JOINTS[i].into(),
        origin: hub,
        axis: V3::y(),
        range: None,
        mass_kg: WHEEL_MASS * rover.mass_kg,
        extent: V3::new(2.0 * r, w, 2.0 * r),
        shape: Shape::Wheel,
    });
    parts
}

fn inertial(mass_kg: f64, center: V3, extent: V3) -> Node {
    let square = extent.component_mul(&extent);
    let moment = |a: f64, b: f64| mass_kg * (a + b) / 12.0;
    let mut inertia = Node::new("inertia");
    for (name, value) in [
        ("ixx", moment(square.y, square.z)),
        ("ixy", 0.0),
        ("ixz", 0.0),
        ("iyy", moment(square.x, square.z)),
        ("iyz", 0.0),
        ("izz", moment(square.x, square.y)),
    ] {
        inertia
            .children
            .push(Node::text(name, format!("{value:.9}")));
    }
    Node::new("inertial").holding([
        Node::numbers("pose", &[center.x, center.y, center.z, 0.0, 0.0, 0.0]),
        Node::numbers("mass", &[mass_kg]),
        inertia,
    ])
}

fn named(tag: &str, name: &str) -> Node {
    Node::new(tag).with("name", name)
}

fn geometry(shape: Node) -> Node {
    Node::new("geometry").holding([shape])
}

fn boxed(size: V3) -> Node {
    geometry(Node::new("box").holding([Node::numbers("size", size.as_slice())]))
}

fn material(rgb: [f64; 3]) -> Node {
    let [r, g, b] = rgb;
    Node::new("material").holding([
        Node::numbers("ambient", &[r, g, b, 1.0]),
        Node::numbers("diffuse", &[r, g, b, 1.0]),
    ])
}

/// The body with its sensors. Its centre of mass is where it puts the whole rover's where the rover file says.
fn body(rover: &Rover, parts: &[Part], version: Version) -> Node {
    let carried: f64 = parts.iter().map(|p| p.mass_kg).sum();
    let moment: V3 = parts.iter().map(|p| p.mass_kg * p.origin).sum();
    let mass_kg = rover.mass_kg - carried;
    let center = (rover.mass_kg * v3(rover.center_m()) - moment) / mass_kg;
    let b = &rover.belly;
    let size = V3::new(
        b.x_max_m - b.x_min_m,
        2.0 * b.half_width_m,
        0.8 * b.half_width_m,
    );
    let middle = [
        0.5 * (b.x_min_m + b.x_max_m),
        0.0,
        b.height_m + 0.5 * size.z,
    ];
    let pose = Node::numbers("pose", &[middle[0], 0.0, middle[2], 0.0, 0.0, 0.0]);
    let mast_m = rover.navcam.position_m[2];
    let mut link = named("link", "base_link").holding([
        inertial(mass_kg, center, size),
        named("collision", "belly").holding([pose.clone(), boxed(size)]),
        named("visual", "belly").holding([pose, boxed(size), material([0.75, 0.72, 0.66])]),
    ]);
    let n = rover.navcam.position_m;
    let top_m = b.height_m + size.z;
    if mast_m > top_m {
        let radius_m = 0.04 * rover.footprint_radius_m();
        let length_m = mast_m - top_m - 2.0 * radius_m;
        let x = n[0].min(b.x_max_m);
        let stands = [
            x - 2.0 * radius_m,
            n[1] - 0.5 * rover.navcam.baseline_m,
            top_m + 0.5 * length_m,
        ];
        link.children.push(named("visual", "mast").holding([
            Node::numbers("pose", &[stands[0], stands[1], stands[2], 0.0, 0.0, 0.0]),
            geometry(cylinder(radius_m, length_m.max(radius_m))),
            material([0.8, 0.8, 0.8]),
        ]));
    }
    link.children.push(imu(rover));
    link.children.extend(cameras(rover, version));
    link
}

fn cylinder(radius_m: f64, length_m: f64) -> Node {
    Node::new("cylinder").holding([
        Node::numbers("radius", &[radius_m]),
        Node::numbers("length", &[length_m]),
    ])
}

fn link(rover: &Rover, part: &Part) -> Node {
    let o = part.origin;
    let mut link = named("link", &part.name).holding([
        Node::numbers("pose", &[o.x, o.y, o.z, 0.0, 0.0, 0.0]),
        inertial(part.mass_kg, V3::zeros(), part.extent),
    ]);
    match &part.shape {
        Shape::Wheel => {
            // SDF's cylinders stand along z.
            let turned = Node::numbers("pose", &[0.0, 0.0, 0.0, 0.25 * TAU, 0.0, 0.0]);
            let rim = geometry(cylinder(rover.wheel.radius_m, rover.wheel.width_m));
            let friction = Node::new("ode").holding([
                Node::numbers("mu", &[FRICTION]),
                Node::numbers("mu2", &[FRICTION]),
            ]);
            let surface = Node::new("surface").holding([
                Node::new("friction").holding([friction]),
                Node::new("contact")
                    .holding([Node::new("ode").holding([Node::numbers("min_depth", &[0.001])])]),
            ]);
            link.children.push(named("collision", "rim").holding([
                turned.clone(),
                rim.clone(),
                surface,
            ]));
            link.children.push(named("visual", "rim").holding([
                turned,
                rim,
                material([0.25, 0.25, 0.27]),
            ]));
        }
        Shape::Beams(ends) => {
            for (k, end) in ends.iter().enumerate() {
                link.children
                    .push(beam(&format!("beam_{k}"), end - o, rover.wheel.radius_m));
            }
        }
    }
    link
}

/// A bar from a link's origin to a point.
fn beam(name: &str, to: V3, wheel_m: f64) -> Node {
    let (length, middle) = (to.norm(), 0.5 * to);
    let yaw = to.y.atan2(to.x);
    let pitch = -to.z.atan2(to.x.hypot(to.y));
    let thick = 0.15 * wheel_m;
    named("visual", name).holding([
        Node::numbers("pose", &[middle.x, middle.y, middle.z, 0.0, pitch, yaw]),
        boxed(V3::new(length.max(thick), thick, thick)),
        material([0.6, 0.6, 0.62]),
    ])
}

fn joint(part: &Part) -> Node {
    let mut axis = Node::new("axis").holding([Node::numbers("xyz", part.axis.as_slice())]);
    let (lower, upper) = match part.range {
        Some(r) => (-r, r),
        // SDF's own figure for "no limit".
        None => (-1e16, 1e16),
    };
    axis.children.push(Node::new("limit").holding([
        Node::text("lower", sdf_limit(lower)),
        Node::text("upper", sdf_limit(upper)),
    ]));
    named("joint", &part.joint)
        .with("type", "revolute")
        .holding([
            Node::text("parent", &part.parent),
            Node::text("child", &part.name),
            axis,
        ])
}

fn sdf_limit(v: f64) -> String {
    if v.abs() < 1e6 {
        super::xml::number(v)
    } else {
        format!("{v:e}")
    }
}

/// What keeps the body up between the rockers: the differential where the engine knows mimic joints, springs at the pivots
/// where it does not.
fn differential(rover: &Rover, part: &Part, version: Version, gravity_mps2: f64, axis: &mut Node) {
    let s = &rover.suspension;
    let base_m = s.front_hub_m[0] - s.rear_hub_m[0];
    let off_m = (rover.center_m()[0] - s.rocker_pivot_m[0]).abs() + 0.1 * base_m;
    let stiffness = rover.mass_kg * gravity_mps2 * off_m / (2.0 * SAG_RAD);
    axis.children.push(Node::new("dynamics").holding([
        Node::numbers("damping", &[0.1 * stiffness]),
        Node::numbers("friction", &[0.0]),
        Node::numbers("spring_reference", &[0.0]),
        Node::numbers("spring_stiffness", &[stiffness]),
    ]));
    if version == Version::V1_11 && part.name == "rocker_right" {
        axis.children.push(
            Node::new("mimic")
                .with("joint", "rocker_left_pivot")
                .holding([
                    Node::numbers("multiplier", &[-1.0]),
                    Node::numbers("offset", &[0.0]),
                    Node::numbers("reference", &[0.0]),
                ]),
        );
    }
}

fn imu(rover: &Rover) -> Node {
    let noise = |sigma: f64, bias: f64| {
        Node::new("noise").with("type", "gaussian").holding([
            Node::text("mean", 0),
            Node::numbers("stddev", &[sigma]),
            Node::text("bias_mean", 0),
            Node::text("bias_stddev", format!("{bias:e}")),
        ])
    };
    let axes = |tag: &str, sigma: f64, bias: f64| {
        Node::new(tag).holding(["x", "y", "z"].map(|a| Node::new(a).holding([noise(sigma, bias)])))
    };
    let i = &rover.imu;
    let rate = rover.cadence.imu_per_control as f64 / rover.cadence.control_period_s;
    named("sensor", "imu").with("type", "imu").holding([
        Node::text("always_on", 1),
        Node::numbers("update_rate", &[rate]),
        Node::text("topic", "imu/data_raw"),
        Node::new("imu").holding([
            axes(
                "angular_velocity",
                i.gyro_sigma_radps,
                i.gyro_bias_sigma_radps,
            ),
            axes("linear_acceleration", i.accel_sigma_mps2, 0.0),
        ]),
    ])
}

/// The stereo pair: two cameras at one rate; the right one's projection carries the baseline.
fn cameras(rover: &Rover, version: Version) -> [Node; 2] {
    let n = &rover.navcam;
    let pinhole = rover.navcam_pinhole();
    let down = n.down_deg.to_radians();
    [("left", 0.0), ("right", n.baseline_m)].map(|(side, right_m)| {
        let p = n.position_m;
        let mut lens = Node::new("lens").holding([Node::new("intrinsics").holding([
            Node::numbers("fx", &[pinhole.fx]),
            Node::numbers("fy", &[pinhole.fy]),
            Node::numbers("cx", &[pinhole.cx]),
            Node::numbers("cy", &[pinhole.cy]),
            Node::text("s", 0),
        ])]);
        let mut camera = Node::new("camera");
        // Without these, which SDF 1.9 began without, the camera information lacks the baseline.
        if version == Version::V1_11 {
            lens.children.push(Node::new("projection").holding([
                Node::numbers("p_fx", &[pinhole.fx]),
                Node::numbers("p_fy", &[pinhole.fy]),
                Node::numbers("p_cx", &[pinhole.cx]),
                Node::numbers("p_cy", &[pinhole.cy]),
                Node::numbers("tx", &[-pinhole.fx * right_m]),
                Node::text("ty", 0),
            ]));
            let frame = format!("navcam_{side}_optical_frame");
            camera.children.push(Node::text("optical_frame_id", frame));
        }
        let camera = camera.holding([
            Node::numbers("horizontal_fov", &[n.hfov_deg.to_radians()]),
            Node::new("image").holding([
                Node::text("width", n.width),
                Node::text("height", n.height),
                Node::text("format", "L8"),
            ]),
            Node::new("clip").holding([
                Node::numbers("near", &[0.05]),
                Node::numbers("far", &[500.0]),
            ]),
            lens,
        ]);
        named("sensor", &format!("navcam_{side}"))
            .with("type", "camera")
            .holding([
                Node::numbers("pose", &[p[0], p[1] - right_m, p[2], 0.0, down, 0.0]),
                Node::numbers("update_rate", &[1.0 / rover.cadence.image_every_s]),
                Node::text("topic", format!("navcam/{side}/image_raw")),
                camera,
            ])
    })
}

fn plugin(system: &str) -> Node {
    let file: String = system
        .chars()
        .enumerate()
        .flat_map(|(i, c)| {
            let dash = (c.is_uppercase() && i > 0).then_some('-');
            dash.into_iter().chain(c.to_lowercase())
        })
        .collect();
    Node::new("plugin")
        .with("filename", format!("gz-sim-{file}-system"))
        .with("name", format!("gz::sim::systems::{system}"))
}

/// Actuators and ground truth.
fn plugins(rover: &Rover, parts: &[Part]) -> Vec<Node> {
    let mut plugins = Vec::new();
    for part in parts {
        let topic = Node::text("topic", format!("/model/{}/{}", rover.name, part.joint));
        let joint_name = Node::text("joint_name", &part.joint);
        if part.joint.starts_with("drive_") {
            plugins.push(plugin("JointController").holding([joint_name, topic]));
        } else if part.joint.starts_with("steer_") {
            let gains = STEER_GAINS.map(|g| g * rover.mass_kg);
            plugins.push(plugin("JointPositionController").holding([
                joint_name,
                topic,
                Node::numbers("p_gain", &[gains[0]]),
                Node::numbers("i_gain", &[gains[1]]),
                Node::numbers("d_gain", &[gains[2]]),
            ]));
        }
    }
    plugins.push(plugin("JointStatePublisher"));
    plugins.push(plugin("OdometryPublisher").holding([
        Node::text("odom_frame", "map"),
        Node::text("robot_base_frame", "base_link"),
        Node::text("odom_topic", "ground_truth/odometry"),
        Node::text("odom_publish_frequency", 1),
        Node::text("dimensions", 3),
    ]));
    plugins
}
