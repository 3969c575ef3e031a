//! The shell kit of the nodes: everything that a node needs between its pure core and ROS 2, and that r2r does not give.
//!
//! Read in this order: [`inbox`] and [`lockstep`] (how ticks make a run repeatable), [`params`] (one strict struct),
//! [`convert`] (what is refused); then, with the feature `ros`, the kit itself (`run_node`, `NodeKit`, `RunningNode`,
//! `Simulator`). `examples/template_node.rs` is a whole node.

pub mod convert;
pub mod error;
pub mod inbox;
pub mod lockstep;
pub mod msgdef;
pub mod params;
#[cfg(feature = "ros")]
pub mod ros;
pub mod tree;

pub use convert::Refused;
pub use error::KitError;
pub use params::{ParamError, ParamValue};
pub use tree::FrameTree;

#[cfg(feature = "ros")]
pub use ros::msgs;
#[cfg(feature = "ros")]
pub use ros::{
    answer::answer,
    kit::{NodeKit, RawInput, run_node},
    meta::{MsgMeta, header, stamp_from_msg, stamp_to_msg},
    publisher::{Publisher, qos_profile},
    run::{Event, RunningNode, Tick},
    simulator::Simulator,
    ticks::TickMode,
};
