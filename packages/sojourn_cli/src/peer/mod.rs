//! The twin beside others: another simulator with the same rover on the same height field along the same route, and the
//! tracks of real rovers.

pub mod compare;
pub mod course;
pub mod judge;
pub mod mujoco;
pub mod route;
pub mod tracks;
