//! What the kit reads of every message: its stamp, and the tick it was sent in where it says so.

use r2r::builtin_interfaces::msg::Time;
use sojourn_core::Stamp;

/// The stamp of a message. Messages without one count as older than all others of their tick.
pub trait MsgMeta {
    /// Stamp of the header, or of the first element that has one.
    fn stamp(&self) -> Option<Stamp>;
    /// Number of the tick the message was sent in, for topics that several nodes publish on.
    fn tick(&self) -> Option<u64> {
        None
    }
}

/// From a ROS time.
#[must_use]
pub fn stamp_from_msg(time: &Time) -> Stamp {
    Stamp::from_parts(time.sec, time.nanosec)
}

/// To a ROS time.
#[must_use]
pub fn stamp_to_msg(stamp: Stamp) -> Time {
    let (sec, nanosec) = stamp.to_parts();
    Time { sec, nanosec }
}

/// A header for a message.
#[must_use]
pub fn header(stamp: Stamp, frame: &str) -> r2r::std_msgs::msg::Header {
    r2r::std_msgs::msg::Header {
        stamp: stamp_to_msg(stamp),
        frame_id: frame.to_string(),
    }
}

macro_rules! with_header {
    ($($package:ident: $($name:ident),*;)*) => {$($(
        impl MsgMeta for r2r::$package::msg::$name {
            fn stamp(&self) -> Option<Stamp> {
                Some(stamp_from_msg(&self.header.stamp))
            }
        }
    )*)*};
}

macro_rules! without_stamp {
    ($($package:ident: $($name:ident),*;)*) => {$($(
        impl MsgMeta for r2r::$package::msg::$name {
            fn stamp(&self) -> Option<Stamp> {
                None
            }
        }
    )*)*};
}

with_header! {
    diagnostic_msgs: DiagnosticArray;
    geometry_msgs: PointStamped, PoseStamped, PoseWithCovarianceStamped, TransformStamped, TwistStamped,
        TwistWithCovarianceStamped, Vector3Stamped, WrenchStamped;
    nav_msgs: OccupancyGrid, Odometry, Path;
    sensor_msgs: BatteryState, CameraInfo, CompressedImage, Image, Imu, JointState, LaserScan, MagneticField, NavSatFix,
        PointCloud2, Range, Temperature;
    sojourn_msgs: AutonavStatus, DriveGoal, DriveStatus, Plan, ScienceTarget, TerrainFeatures, VerificationReport;
    visualization_msgs: Marker;
}

without_stamp! {
    geometry_msgs: Point, Pose, Twist, Vector3;
    std_msgs: Bool, Empty, Float32, Float64, Int32, Int64, String, UInt32, UInt64;
}

impl MsgMeta for r2r::sojourn_msgs::msg::Heartbeat {
    fn stamp(&self) -> Option<Stamp> {
        Some(stamp_from_msg(&self.header.stamp))
    }
    fn tick(&self) -> Option<u64> {
        Some(self.tick)
    }
}

impl MsgMeta for r2r::sojourn_msgs::msg::Tick {
    fn stamp(&self) -> Option<Stamp> {
        Some(stamp_from_msg(&self.stamp))
    }
}

impl MsgMeta for r2r::rosgraph_msgs::msg::Clock {
    fn stamp(&self) -> Option<Stamp> {
        Some(stamp_from_msg(&self.clock))
    }
}

impl MsgMeta for r2r::grid_map_msgs::msg::GridMap {
    fn stamp(&self) -> Option<Stamp> {
        Some(stamp_from_msg(&self.header.stamp))
    }
}

impl MsgMeta for r2r::tf2_msgs::msg::TFMessage {
    fn stamp(&self) -> Option<Stamp> {
        self.transforms
            .first()
            .map(|t| stamp_from_msg(&t.header.stamp))
    }
}

impl MsgMeta for r2r::visualization_msgs::msg::MarkerArray {
    fn stamp(&self) -> Option<Stamp> {
        self.markers
            .first()
            .map(|m| stamp_from_msg(&m.header.stamp))
    }
}
