//! Grid maps.

use super::{in_frame, isometry};
use crate::Refused;
use crate::ros::meta::header;
use r2r::geometry_msgs::msg as geometry;
use sojourn_core::Stamp;
use sojourn_core::gridmap;
use sojourn_core::raster::Raster;

/// Layers of one grid map, each as a raster in the frame of the header. Layers beyond those asked for are left aside.
///
/// # Errors
/// Another frame, a layer is missing, or a shape that does not fit. Not-a-number in a cell means unknown and is kept.
pub fn grid_layers<const N: usize>(
    m: &r2r::grid_map_msgs::msg::GridMap,
    frame: &str,
    names: &[&str; N],
) -> Result<(Stamp, [Raster; N]), Refused> {
    let stamp = in_frame(&m.header, frame)?;
    let pose = isometry(&m.info.pose)?;
    if pose.rotation.angle() > 1e-6 {
        return Err(Refused::from(
            "the grid is rotated, expected its axes along the frame's",
        ));
    }
    let mut rasters = Vec::with_capacity(N);
    for name in names {
        let at = m
            .layers
            .iter()
            .position(|l| l == name)
            .ok_or_else(|| Refused(format!("layer {name} is missing")))?;
        let data = m
            .data
            .get(at)
            .ok_or_else(|| Refused(format!("layer {name} has no data")))?;
        let layer = gridmap::Layer {
            centre_m: [pose.translation.x, pose.translation.y],
            length_m: [m.info.length_x, m.info.length_y],
            resolution_m: m.info.resolution,
            start: [m.outer_start_index.into(), m.inner_start_index.into()],
            data: &data.data,
        };
        rasters.push(gridmap::from_columns(&layer).map_err(|e| Refused(e.to_string()))?);
    }
    let rasters = <[Raster; N]>::try_from(rasters)
        .map_err(|_| Refused::from("internal: number of layers"))?;
    Ok((stamp, rasters))
}

/// A grid map from layers over the same cells; the first is the basic one. Empty without layers.
#[must_use]
pub fn grid_to_msg(
    stamp: Stamp,
    frame: &str,
    layers: &[(&str, &Raster)],
) -> r2r::grid_map_msgs::msg::GridMap {
    use r2r::std_msgs::msg::{Float32MultiArray, MultiArrayDimension, MultiArrayLayout};
    let mut m = r2r::grid_map_msgs::msg::GridMap {
        header: header(stamp, frame),
        ..Default::default()
    };
    let Some((basic, first)) = layers.first() else {
        return m;
    };
    let [x_m, y_m] = gridmap::centre_m(first);
    let [length_x, length_y] = first.size_m();
    m.info.resolution = first.resolution_m();
    (m.info.length_x, m.info.length_y) = (length_x, length_y);
    m.info.pose.position = geometry::Point {
        x: x_m,
        y: y_m,
        z: 0.0,
    };
    m.info.pose.orientation.w = 1.0;
    m.basic_layers = vec![(*basic).to_string()];
    for (name, raster) in layers {
        let (cols, rows) = (raster.cols() as u32, raster.rows() as u32);
        let dimension = |label: &str, size, stride| MultiArrayDimension {
            label: label.to_string(),
            size,
            stride,
        };
        m.layers.push((*name).to_string());
        m.data.push(Float32MultiArray {
            layout: MultiArrayLayout {
                dim: vec![
                    dimension(gridmap::OUTER_LABEL, rows, rows * cols),
                    dimension(gridmap::INNER_LABEL, cols, cols),
                ],
                data_offset: 0,
            },
            data: gridmap::to_columns(raster),
        });
    }
    m
}
