//! What the command `sojourn` is made of. Nothing here links ROS: nodes are processes that [`launch`] starts.

pub mod args;
pub mod cli_error;
pub mod commands;
pub mod corpus;
pub mod dataset_pictures;
pub mod demo;
pub mod doctor;
pub mod grey_file;
pub mod ground;
pub mod interrupt;
pub mod labelled;
pub mod launch;
pub mod localize;
pub mod orbital_labels;
pub mod peer;
pub mod pixels;
pub mod report;
pub mod sdf;
pub mod strip;
pub mod world_pictures;
