//! The ideal pinhole, as `sensor_msgs/CameraInfo` describes a rectified image.

use nalgebra::Vector3;

/// Intrinsics of a rectified camera; the optical frame is x right, y down, z forward.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pinhole {
    /// Columns, pixels.
    pub width: usize,
    /// Rows, pixels.
    pub height: usize,
    /// Focal length in x, pixels.
    pub fx: f64,
    /// Focal length in y, pixels.
    pub fy: f64,
    /// Principal point, pixels.
    pub cx: f64,
    /// Principal point, pixels.
    pub cy: f64,
}

impl Pinhole {
    /// From the full angles of view, radians.
    #[must_use]
    pub fn from_fov(width: usize, height: usize, hfov_rad: f64, vfov_rad: f64) -> Self {
        Self {
            width,
            height,
            fx: 0.5 * width as f64 / (0.5 * hfov_rad).tan(),
            fy: 0.5 * height as f64 / (0.5 * vfov_rad).tan(),
            cx: 0.5 * width as f64 - 0.5,
            cy: 0.5 * height as f64 - 0.5,
        }
    }

    /// Direction of the ray through a pixel's centre, scaled so that z is 1: multiply by depth to get the point.
    #[must_use]
    #[inline]
    pub fn ray(&self, u: f64, v: f64) -> Vector3<f64> {
        Vector3::new((u - self.cx) / self.fx, (v - self.cy) / self.fy, 1.0)
    }

    /// Pixel of a point in the optical frame, `None` behind the camera.
    #[must_use]
    #[inline]
    pub fn project(&self, point: Vector3<f64>) -> Option<[f64; 2]> {
        (point.z > 1e-9).then(|| {
            [
                self.cx + self.fx * point.x / point.z,
                self.cy + self.fy * point.y / point.z,
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_pixel_comes_back(u in 0.0f64..640., v in 0.0f64..480., depth in 0.5f64..50.) {
            let cam = Pinhole::from_fov(640, 480, 96f64.to_radians(), 73f64.to_radians());
            let p = cam.project(cam.ray(u, v) * depth).unwrap();
            prop_assert!((p[0] - u).abs() < 1e-9 && (p[1] - v).abs() < 1e-9);
        }
    }
}
