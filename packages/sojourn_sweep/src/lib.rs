//! Closed-loop drives in one process, and sweeps of them over seeds, slopes and rocks.
//!
//! [`closed_loop`] wires the simulator and the cores of the nodes together as the ROS graph does, tick by tick, without
//! ROS. It is a place where packages meet, like the command line: no node depends on it.

pub mod closed_loop;
pub mod config;
pub mod course;
pub mod error;
pub mod journal;
pub mod odometry_trial;
pub mod on_map;
pub mod orb_baseline;
pub mod orbit;
pub mod parquet_file;
pub mod perception_eval;
pub mod plan;
pub mod report;
pub mod row;
pub mod run;
pub mod scene;
pub mod slip_trial;
pub mod slurm;
pub mod table;
pub mod workers;

pub use error::SweepError;

/// Processor time that this thread has used, seconds.
pub(crate) fn cpu_s() -> f64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    t.tv_sec as f64 + 1e-9 * t.tv_nsec as f64
}
