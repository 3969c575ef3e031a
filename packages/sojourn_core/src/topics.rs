//! The one table of topics, services and actions. Nodes take names and QoS from here; INTERFACES.md is generated from
//! it. Names are relative, so a namespace in front of a whole rover works; `/tf`, `/tf_static`, `/clock` and
//! `/diagnostics` are absolute by convention.

/// How a topic is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QosClass {
    /// Reliable, keep the last one: a command that a newer one replaces.
    Command,
    /// Reliable, keep the last ten: sensor data and state estimates.
    Sensor,
    /// Reliable, keep the last hundred: things that must not be lost.
    Event,
    /// Reliable, transient local, keep the last one: late joiners get it.
    Latched,
    /// `/clock`: best effort for others to read, reliable here so that lockstep holds.
    Clock,
    /// Reliable, transient local, keep the last hundred: `/tf_static`.
    TfStatic,
    /// Best effort, keep the last ten: what other people's sensor drivers send, reliable or not; not part of lockstep.
    Driver,
}

impl QosClass {
    /// One line for INTERFACES.md.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Command => "reliable, volatile, keep last 1",
            Self::Sensor | Self::Clock => "reliable, volatile, keep last 10",
            Self::Event => "reliable, volatile, keep last 100",
            Self::Latched => "reliable, transient local, keep last 1",
            Self::TfStatic => "reliable, transient local, keep last 100",
            Self::Driver => "best effort, volatile, keep last 10",
        }
    }
}

/// A topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Name.
    pub name: &'static str,
    /// ROS message type.
    pub message: &'static str,
    /// Delivery.
    pub qos: QosClass,
    /// `header.frame_id`, empty when the message has none.
    pub frame: &'static str,
    /// Nodes that publish it.
    pub publishers: &'static [&'static str],
    /// Nodes that subscribe to it.
    pub subscribers: &'static [&'static str],
    /// What it is, with rate.
    pub about: &'static str,
}

/// A service or action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Name.
    pub name: &'static str,
    /// ROS type.
    pub kind: &'static str,
    /// The node that offers it.
    pub server: &'static str,
    /// What it does.
    pub about: &'static str,
}

macro_rules! topics {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $message:literal, $qos:ident, $frame:literal,
        $pubs:expr, $subs:expr, $about:literal;)*) => {
        $($(#[$doc])* #[doc = $about] pub const $id: Topic = Topic {
            name: $name, message: $message, qos: QosClass::$qos, frame: $frame,
            publishers: &$pubs, subscribers: &$subs, about: $about,
        };)*
        /// All topics, in the order of the data's way.
        pub const TOPICS: &[Topic] = &[$($id),*];
    };
}

topics! {
    CLOCK = "/clock", "rosgraph_msgs/msg/Clock", Clock, "", ["simulator"], [],
        "Simulated time, one message per control period.";
    SIM_TICK = "sim_tick", "sojourn_msgs/msg/Tick", Event, "", ["simulator"],
        ["perception", "localization", "autonav", "guard", "executive"],
        "One per control period: the time, and in lockstep how many messages each topic has carried so far.";
    HEARTBEAT = "heartbeat", "sojourn_msgs/msg/Heartbeat", Event, "",
        ["perception", "localization", "autonav", "guard", "executive", "recorder"],
        ["simulator", "guard", "executive"],
        "One per control period and node: alive, what it is doing, and in lockstep done with that tick.";
    DEPTH = "navcam/depth", "sensor_msgs/msg/Image", Sensor, "navcam_left_optical_frame", ["simulator"],
        ["perception"], "Depth along the optical axis, 32FC1 metres, not-a-number where there is none; one per image event.";
    LEFT_IMAGE = "navcam/left/image_rect", "sensor_msgs/msg/Image", Sensor, "navcam_left_optical_frame",
        ["simulator"], ["perception", "localization"], "Left image, mono8; one per image event.";
    RIGHT_IMAGE = "navcam/right/image_rect", "sensor_msgs/msg/Image", Sensor, "navcam_left_optical_frame",
        ["simulator"], ["perception", "localization"], "Right image, mono8, rectified with the left one; one per image event.";
    LEFT_RAW = "navcam/left/image_raw", "sensor_msgs/msg/Image", Driver, "navcam_left_optical_frame", [], ["perception"],
        "Left image as the camera takes it, where files tell the cameras (parameter cameras); from the camera's driver.";
    RIGHT_RAW = "navcam/right/image_raw", "sensor_msgs/msg/Image", Driver, "navcam_left_optical_frame", [], ["perception"],
        "Right image as the camera takes it; any frame_id.";
    RIGHT_INFO = "navcam/right/camera_info", "sensor_msgs/msg/CameraInfo", Sensor, "navcam_left_optical_frame",
        ["simulator"], ["perception", "localization"], "Intrinsics of the right image, P[3] = -fx * baseline; one per image event, before its images.";
    LEFT_INFO = "navcam/left/camera_info", "sensor_msgs/msg/CameraInfo", Sensor, "navcam_left_optical_frame",
        ["simulator"], ["perception"], "Intrinsics; one per image event, before its images.";
    NAVCAM_POSE = "navcam/pose", "geometry_msgs/msg/PoseStamped", Sensor, "base_link", ["simulator"],
        ["perception", "localization"], "Where the left camera stood in base_link (the mast pans); one per image event, before its images.";
    IMU = "imu/data_raw", "sensor_msgs/msg/Imu", Sensor, "base_link", ["simulator"], ["localization", "guard"],
        "Angular rate and specific force; no orientation (orientation_covariance[0] = -1).";
    SUN_SENSOR = "sun_sensor", "geometry_msgs/msg/Vector3Stamped", Sensor, "base_link", ["simulator"], ["localization"],
        "Unit vector to the sun; once a second while the sun is up.";
    WHEELS = "wheel_states", "sensor_msgs/msg/JointState", Sensor, "", ["simulator"], ["localization", "autonav", "guard"],
        "Six drives (velocity rad/s, position rad), six steers (position rad) and the suspension (differential, bogie_left, bogie_right: position rad), named drive_lf …, steer_lf …; effort of the drives (N m) where it is known; one per control period.";
    BATTERY = "battery_state", "sensor_msgs/msg/BatteryState", Sensor, "", ["simulator"], [],
        "Voltage, current (negative when discharging), charge and temperature of the rover's battery; one per second.";
    TEMPERATURES = "temperatures", "sensor_msgs/msg/Temperature", Sensor, "", ["simulator"], [],
        "Temperature of a part, degrees Celsius: frame_id names it, drive_lf … drive_rr or electronics; one per part and second.";
    TRUTH = "ground_truth/odometry", "nav_msgs/msg/Odometry", Sensor, "map", ["simulator"], [],
        "True pose and speed, for scorers and recordings only; no node may use it. One per second.";
    TF = "/tf", "tf2_msgs/msg/TFMessage", Event, "", ["localization"], [],
        "odom to base_link and map to odom, one per control period.";
    TF_STATIC = "/tf_static", "tf2_msgs/msg/TFMessage", TfStatic, "", ["localization"], [],
        "base_link to the navigation camera's optical frame with the mast straight ahead.";
    ODOMETRY = "odometry", "nav_msgs/msg/Odometry", Sensor, "odom", ["localization"],
        ["perception", "autonav", "guard", "executive"],
        "Pose of base_link in odom with covariance, speed; one per control period.";
    MAP_FROM_ODOM = "map_from_odom", "geometry_msgs/msg/TransformStamped", Sensor, "map", ["localization"],
        ["autonav", "executive"], "The transform map to odom; one per control period.";
    SLIP = "slip", "geometry_msgs/msg/Vector3Stamped", Sensor, "base_link", ["localization"], ["autonav"],
        "Slip that visual odometry has seen: x the share of the wheels' way that the ground took back, y its standard deviation, z that way in metres; one per measurement.";
    INITIAL_POSE = "initialpose", "geometry_msgs/msg/PoseWithCovarianceStamped", Event, "map", [], ["localization"],
        "Somebody knows where the rover is (RViz and Nav2 publish it): map to odom moves so that it stands there; the height stays.";
    MAP_POSE = "map_pose", "geometry_msgs/msg/PoseWithCovarianceStamped", Event, "map", [], ["localization"],
        "Somebody has found the rover on the map: where it stood at the stamp, with covariance of x, y and yaw; may come late. What the estimate can believe moves map to odom; the height stays.";
    MAP_FIX = "map_fix", "geometry_msgs/msg/PoseWithCovarianceStamped", Event, "map", ["localization"], [],
        "Where localization found the rover on the orbital map at the stamp, with covariance of x, y and yaw; one per fix, at the moment it is used. The height is not measured.";
    TERRAIN_GRID = "terrain_grid", "grid_map_msgs/msg/GridMap", Sensor, "odom", ["perception"],
        ["autonav"], "Local terrain: layers elevation, variance, count, age (where perception has a terrain network: class), hazard, hazard_confidence; 10 cm cells; one per image event.";
    TERRAIN_LAYERS = "terrain_layers", "grid_map_msgs/msg/GridMap", Sensor, "odom", ["perception"],
        [], "More about the same cells: layers min, max, upper_bound, slope, roughness, step, ripple_height, ripple_wavelength, ripple_across, slip, slip_sigma, and where there are classes age, p_soil, p_bedrock, p_sand, p_big_rock; one after every terrain_grid while somebody listens.";
    ROCKS = "rocks", "sensor_msgs/msg/PointCloud2", Sensor, "odom", ["perception"],
        [], "The rocks of the newest terrain_grid as a list: one point each at its foot, fields x, y, z, diameter, height, height_sigma, float32 metres.";
    ROCK_MARKERS = "rock_markers", "visualization_msgs/msg/MarkerArray", Sensor, "odom", ["perception"],
        [], "The same rocks as cylinders, and their abundance (Golombek's k) in words, for RViz and Foxglove.";
    SCIENCE_TARGETS = "science/targets", "sojourn_msgs/msg/ScienceTarget", Event, "odom", ["perception"],
        [], "Something worth a closer look: float rocks, outcrops, veins, nodules, layered and odd patches of the left image whose depth is known; best first after the terrain_grid of their image. Confidence is the score as a share of the greatest there can be (config/science.yaml). With why, in a sentence, and the part of the picture that shows it.";
    DRIVE_GOAL = "drive_goal", "sojourn_msgs/msg/DriveGoal", Command, "map", ["executive"], ["autonav", "guard"],
        "The waypoint to drive to and the corridor to stay in; while it is active the guard has the executive's permission; one per control period.";
    DRIVE_STATUS = "drive_status", "sojourn_msgs/msg/DriveStatus", Sensor, "map", ["executive"],
        [], "State of the drive; once a second and on change.";
    AUTONAV_STATUS = "autonav_status", "sojourn_msgs/msg/AutonavStatus", Sensor, "odom", ["autonav"],
        ["executive"], "What AutoNav does and why, with the candidate paths of its newest decision; once a second and on change.";
    AUTONAV_MARKERS = "autonav_markers", "visualization_msgs/msg/MarkerArray", Sensor, "odom", ["autonav"],
        [], "Candidate paths of AutoNav's newest planning (green taken, blue safe, red not) and its reason, for RViz and Foxglove; one per planning.";
    CMD_VEL_NAV = "cmd_vel_nav", "geometry_msgs/msg/TwistStamped", Command, "base_link", ["autonav"], ["guard"],
        "Velocity AutoNav asks for; one per control period.";
    CMD_VEL = "cmd_vel", "geometry_msgs/msg/TwistStamped", Command, "base_link", ["guard"],
        ["simulator", "base"], "Velocity the guard lets through; one per control period.";
    E_STOP = "e_stop", "std_msgs/msg/Bool", Command, "", [], ["guard"],
        "The emergency stop, from whatever a person presses: true stops the rover until false was said and reset_guard was called.";
    WHEEL_COMMANDS = "wheel_commands", "sensor_msgs/msg/JointState", Command, "", ["base"], [],
        "Six drives (velocity rad/s) and six steers (position rad), named as in wheel_states; one per control period.";
    PLAN = "plan", "sojourn_msgs/msg/Plan", Latched, "map", ["planner"], [], "The newest plan.";
    TERRAIN_FEATURES = "terrain_features", "sojourn_msgs/msg/TerrainFeatures", Latched, "map", ["planner"], [],
        "Labels behind the newest plan.";
    PLAN_PATH = "plan_path", "nav_msgs/msg/Path", Latched, "map", ["planner"], [],
        "The newest plan as a line, for displays.";
    VERIFICATION = "verification_report", "sojourn_msgs/msg/VerificationReport", Latched, "map", ["twin"], [],
        "The newest verdict of the twin.";
    DIAGNOSTICS = "/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", Event, "", ["every node"], [],
        "Health of every node; once a second and on change.";
}

/// Where every ROS node publishes its log.
pub const ROSOUT: &str = "/rosout";

/// Services and actions.
pub const SERVICES: &[Service] = &[
    PLAN_ROUTE,
    VERIFY_PLAN,
    SUBMIT_SIGNATURE,
    UPLINK_BUNDLE,
    EXECUTE_DRIVE,
    RESET_GUARD,
    FIND_ON_MAP,
    RESET_LOCALIZATION,
];
/// Plans a route.
pub const PLAN_ROUTE: Service = Service {
    name: "plan_route",
    kind: "sojourn_msgs/srv/PlanRoute",
    server: "planner",
    about: "Plans from start to goal over the node's site.",
};
/// Verifies a plan.
pub const VERIFY_PLAN: Service = Service {
    name: "verify_plan",
    kind: "sojourn_msgs/srv/VerifyPlan",
    server: "twin",
    about: "Drives a plan in the twin and reports.",
};
/// Hands in a signature.
pub const SUBMIT_SIGNATURE: Service = Service {
    name: "submit_signature",
    kind: "sojourn_msgs/srv/SubmitSignature",
    server: "ground",
    about: "Hands in a person's signature made elsewhere.",
};
/// Sends a bundle to the rover.
pub const UPLINK_BUNDLE: Service = Service {
    name: "uplink_bundle",
    kind: "sojourn_msgs/srv/UplinkBundle",
    server: "executive",
    about: "Sends the files of a signed bundle; the executive accepts or refuses it.",
};
/// Drives an accepted bundle.
pub const EXECUTE_DRIVE: Service = Service {
    name: "execute_drive",
    kind: "sojourn_msgs/action/ExecuteDrive",
    server: "executive",
    about: "Drives an accepted bundle; feedback is the drive's status; cancel stops the rover.",
};

/// Clears a fault of the guard.
pub const RESET_GUARD: Service = Service {
    name: "reset_guard",
    kind: "std_srvs/srv/Trigger",
    server: "guard",
    about: "Clears the guard's latched fault; refused with the reason while its cause lasts.",
};

/// Looks for the rover on the orbital map.
pub const FIND_ON_MAP: Service = Service {
    name: "find_on_map",
    kind: "std_srvs/srv/Trigger",
    server: "localization",
    about: "Looks for the rover on the orbital map in what its last stereo pairs saw; the answer says that the search will begin, the fix comes as map_fix.",
};

/// Begins the estimate of localization anew.
pub const RESET_LOCALIZATION: Service = Service {
    name: "reset_localization",
    kind: "std_srvs/srv/Trigger",
    server: "localization",
    about: "Begins the estimate anew where the rover stands: odom starts there, map_from_odom is that of the parameters until initialpose; refused while a wheel turns.",
};

/// Layer names of the terrain grid; at most six go on the wire with `terrain_grid`.
pub mod grid_layers {
    /// Height in `odom`, metres; not-a-number where unseen.
    pub const ELEVATION: &str = "elevation";
    /// Variance of the height, m².
    pub const VARIANCE: &str = "variance";
    /// Number of depth pixels behind the height.
    pub const COUNT: &str = "count";
    /// Seconds since the cell was last seen.
    pub const AGE: &str = "age";
    /// 0 (level) to 1 (at or beyond a limit of the rover); not-a-number where too little is known.
    pub const HAZARD: &str = "hazard";
    /// 0 (nothing known) to 1: how sure the hazard is.
    pub const HAZARD_CONFIDENCE: &str = "hazard_confidence";
    /// Class of the ground, a code of [`crate::classes::TerrainClass`]; AutoNav reads it from `terrain_grid` where it is told.
    pub const CLASS: &str = "class";
    /// Lowest point seen, metres. On `terrain_layers`, as are all that follow.
    pub const MIN: &str = "min";
    /// Highest point seen, metres.
    pub const MAX: &str = "max";
    /// Highest that the ground may be, metres.
    pub const UPPER_BOUND: &str = "upper_bound";
    /// Slope of the ground under the wheels, radians.
    pub const SLOPE: &str = "slope";
    /// Root mean square deviation from that slope, metres.
    pub const ROUGHNESS: &str = "roughness";
    /// Rise or fall within a wheel's diameter beyond that slope, metres.
    pub const STEP: &str = "step";
    /// Height of sand ripples from trough to crest, metres; 0 where there are none.
    pub const RIPPLE_HEIGHT: &str = "ripple_height";
    /// From crest to crest, metres.
    pub const RIPPLE_WAVELENGTH: &str = "ripple_wavelength";
    /// Direction across the crests, radians counter-clockwise from x of `odom`, 0 to π.
    pub const RIPPLE_ACROSS: &str = "ripple_across";
    /// Slip to be expected uphill, share of the wheels' way.
    pub const SLIP: &str = "slip";
    /// Its standard deviation.
    pub const SLIP_SIGMA: &str = "slip_sigma";
    /// Probabilities of the classes of [`crate::classes::SURFACES`], unknown left out.
    pub const PROBABILITIES: [&str; 4] = ["p_soil", "p_bedrock", "p_sand", "p_big_rock"];
}

/// Names of the joints in [`WHEELS`], in the order of [`crate::rover::Rover::hubs_m`].
pub const DRIVE_JOINTS: [&str; 6] = [
    "drive_lf", "drive_lm", "drive_lr", "drive_rf", "drive_rm", "drive_rr",
];
/// Name of the electronics' box in [`TEMPERATURES`].
pub const ELECTRONICS: &str = "electronics";
/// Names of the steering joints in [`WHEELS`], same order.
pub const STEER_JOINTS: [&str; 6] = [
    "steer_lf", "steer_lm", "steer_lr", "steer_rf", "steer_rm", "steer_rr",
];

/// Names of the suspension's joints in [`WHEELS`]: half the difference of the rockers' angles (left nose-up positive), then
/// bogie against rocker, as in [`crate::settle::Settled`].
pub const SUSPENSION_JOINTS: [&str; 3] = ["differential", "bogie_left", "bogie_right"];

/// INTERFACES.md, generated.
#[must_use]
pub fn interfaces_markdown() -> String {
    let mut out = String::from(
        "# Interfaces\n\nGenerated from `sojourn_core::topics` by `cargo xtask docs`; do not edit.\n\n\
         Names are relative; every node also has the standard parameter services, `/rosout` and `/parameter_events`.\n\
         The recorder takes whatever its parameter file names and is not listed as a subscriber.\n\n\
         ## Topics\n\n| topic | type | delivery | frame | publishers | subscribers | what it is |\n|---|---|---|---|---|---|---|\n",
    );
    for t in TOPICS {
        out += &format!(
            "| `{}` | `{}` | {} | {} | {} | {} | {} |\n",
            t.name,
            t.message,
            t.qos.describe(),
            if t.frame.is_empty() {
                "–".to_string()
            } else {
                format!("`{}`", t.frame)
            },
            t.publishers.join(", "),
            t.subscribers.join(", "),
            t.about
        );
    }
    out +=
        "\n## Services and actions\n\n| name | type | server | what it does |\n|---|---|---|---|\n";
    for s in SERVICES {
        out += &format!(
            "| `{}` | `{}` | {} | {} |\n",
            s.name, s.kind, s.server, s.about
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = TOPICS
            .iter()
            .map(|t| t.name)
            .chain(SERVICES.iter().map(|s| s.name))
            .collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(before, names.len());
    }

    #[test]
    fn nobody_uses_ground_truth_to_drive() {
        assert!(TRUTH.subscribers.is_empty());
    }
}
