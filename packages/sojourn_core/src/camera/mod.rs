//! Camera models: from a point to its pixel and from a pixel to its ray.
//!
//! [`Pinhole`] is the ideal camera of a rectified image. [`Distortion`] adds the two lens models that ROS names in
//! `sensor_msgs/CameraInfo` (`plumb_bob`, `equidistant`). [`CahvModel`] is JPL's family CAHV, CAHVOR, CAHVORE, as the
//! labels of rover images carry it. [`CameraModel`] is any of them with the size of its image, read from a YAML file or
//! from a PDS3 label ([`pds`]). [`linearize`] makes the linear camera that an image is warped to before stereo, [`rectify`]
//! does so for both eyes of a pair by their files.
//!
//! Pixels are counted from 0 at the centre of the upper left pixel, u to the right, v down, in all models.

pub mod cahv;
mod distortion;
pub mod linearize;
mod model;
pub mod pds;
mod pinhole;
pub mod rectify;
pub mod residual;
pub mod ros_file;

pub use cahv::{CahvModel, Lens};
pub use distortion::{Coefficients, Distortion};
pub use model::{CameraModel, Projection, Ray};
pub use pinhole::Pinhole;
