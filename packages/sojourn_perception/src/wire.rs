//! What goes out, as ROS messages (feature `ros`).

use crate::{
    layers::DerivedLayers,
    map::TerrainGrid,
    ripples::RippleLayers,
    rocks::Rocks,
    science::{Target, Wants},
    surface::ClassLayers,
};
use r2r::geometry_msgs::msg::Point;
use r2r::grid_map_msgs::msg::GridMap;
use r2r::sensor_msgs::msg::{PointCloud2, PointField};
use r2r::sojourn_msgs::msg::ScienceTarget;
use r2r::std_msgs::msg::ColorRGBA;
use r2r::visualization_msgs::msg::{Marker, MarkerArray};
use sojourn_core::Stamp;
use sojourn_core::frames::{Frame, Odom};
use sojourn_core::raster::Raster;
use sojourn_core::topics::{self, grid_layers as names};
use sojourn_ros::msgs;

/// `visualization_msgs/Marker`: types and actions.
const CYLINDER: i32 = 3;
const TEXT: i32 = 9;
const ADD: i32 = 0;
const DELETE_ALL: i32 = 3;
/// `sensor_msgs/PointField`: 32-bit floating point.
const FLOAT32: u8 = 7;
/// Fields of a rock in the list, in their order.
pub const ROCK_FIELDS: [&str; 6] = ["x", "y", "z", "diameter", "height", "height_sigma"];

/// The six layers of `terrain_grid`; with classes, `class` takes the place of `age`.
#[must_use]
pub fn grid_to_msg(
    grid: &TerrainGrid,
    derived: &DerivedLayers,
    classes: Option<&ClassLayers>,
) -> GridMap {
    msgs::grid_to_msg(
        grid.stamp,
        Odom::NAME,
        &[
            (names::ELEVATION, &grid.elevation),
            (names::VARIANCE, &grid.variance),
            (names::COUNT, &grid.count),
            classes.map_or((names::AGE, &grid.age), |c| (names::CLASS, &c.class)),
            (names::HAZARD, &derived.hazard),
            (names::HAZARD_CONFIDENCE, &derived.hazard_confidence),
        ],
    )
}

/// What `terrain_layers` tells beside the grid's own layers.
#[derive(Clone, Copy, Debug)]
pub struct MoreLayers<'a> {
    /// Slope, roughness, step, upper envelope.
    pub derived: &'a DerivedLayers,
    /// Ripples.
    pub ripples: &'a RippleLayers,
    /// Slip and its standard deviation.
    pub slip: &'a [Raster; 2],
    /// Classes, where the node works with them.
    pub classes: Option<&'a ClassLayers>,
}

/// The layers of `terrain_layers`; with classes, also their probabilities and `age`.
#[must_use]
pub fn layers_to_msg(grid: &TerrainGrid, more: &MoreLayers<'_>) -> GridMap {
    let mut layers = vec![
        (names::MIN, &grid.low),
        (names::MAX, &grid.high),
        (names::UPPER_BOUND, &more.derived.upper_bound),
        (names::SLOPE, &more.derived.slope),
        (names::ROUGHNESS, &more.derived.roughness),
        (names::STEP, &more.derived.step),
        (names::RIPPLE_HEIGHT, &more.ripples.height),
        (names::RIPPLE_WAVELENGTH, &more.ripples.wavelength),
        (names::RIPPLE_ACROSS, &more.ripples.across),
        (names::SLIP, &more.slip[0]),
        (names::SLIP_SIGMA, &more.slip[1]),
    ];
    if let Some(classes) = more.classes {
        layers.push((names::AGE, &grid.age));
        layers.extend(names::PROBABILITIES.into_iter().zip(&classes.probabilities));
    }
    msgs::grid_to_msg(grid.stamp, Odom::NAME, &layers)
}

/// The rocks as a list: one point each at the foot of its middle, with [`ROCK_FIELDS`] in metres.
#[must_use]
pub fn rocks_to_msg(stamp: Stamp, found: &Rocks) -> PointCloud2 {
    let field = |(k, name): (usize, &&str)| PointField {
        name: (*name).to_string(),
        offset: 4 * k as u32,
        datatype: FLOAT32,
        count: 1,
    };
    let point_step = 4 * ROCK_FIELDS.len() as u32;
    let rocks = found.rocks.iter();
    let data = rocks.flat_map(|r| {
        let values = [
            r.x_m,
            r.y_m,
            r.ground_m,
            r.diameter_m,
            r.height_m,
            r.height_sigma_m,
        ];
        values.into_iter().flat_map(|v| (v as f32).to_le_bytes())
    });
    let width = found.rocks.len() as u32;
    PointCloud2 {
        header: sojourn_ros::header(stamp, Odom::NAME),
        height: 1,
        width,
        fields: ROCK_FIELDS.iter().enumerate().map(field).collect(),
        is_bigendian: false,
        point_step,
        row_step: point_step * width,
        data: data.collect(),
        is_dense: true,
    }
}

/// Targets as messages, in their order; those without a place are left out.
#[must_use]
pub fn targets_to_msgs(stamp: Stamp, targets: &[Target], wants: &Wants) -> Vec<ScienceTarget> {
    let named = targets.iter().enumerate();
    named
        .filter_map(|(k, t)| {
            let [x, y, z] = t.position_m?;
            Some(ScienceTarget {
                header: sojourn_ros::header(stamp, Odom::NAME),
                id: format!("{}-{k}", stamp.0),
                position: Point { x, y, z },
                kind: t.kind.name().into(),
                confidence: wants.share_of_best(t.score),
                size_m: t.size_m?,
                reason: t.reason.clone(),
                image_topic: topics::LEFT_IMAGE.name.into(),
                image_frame: topics::LEFT_IMAGE.frame.into(),
                crop_x: t.crop.col as u32,
                crop_y: t.crop.row as u32,
                crop_width: t.crop.width as u32,
                crop_height: t.crop.height as u32,
            })
        })
        .collect()
}

/// The rocks as cylinders, and their abundance in words over the middle of the grid.
#[must_use]
pub fn rocks_to_markers(grid: &TerrainGrid, found: &Rocks) -> MarkerArray {
    let blank = |id: usize, kind: i32| {
        let mut m = Marker {
            header: sojourn_ros::header(grid.stamp, Odom::NAME),
            ns: "rocks".into(),
            id: i32::try_from(id).unwrap_or(i32::MAX),
            type_: kind,
            action: ADD,
            ..Marker::default()
        };
        m.pose.orientation.w = 1.0;
        m
    };
    let mut markers = vec![Marker {
        action: DELETE_ALL,
        ..blank(0, CYLINDER)
    }];
    for (k, rock) in found.rocks.iter().enumerate() {
        let mut m = blank(k + 1, CYLINDER);
        (m.pose.position.x, m.pose.position.y) = (rock.x_m, rock.y_m);
        m.pose.position.z = rock.ground_m + 0.5 * rock.height_m;
        (m.scale.x, m.scale.y, m.scale.z) = (rock.diameter_m, rock.diameter_m, rock.height_m);
        m.color = ColorRGBA {
            r: 0.9,
            g: 0.45,
            b: 0.1,
            a: 0.6,
        };
        markers.push(m);
    }
    if let Some(k) = found.cfa {
        let mut m = blank(found.rocks.len() + 1, TEXT);
        let ([x, y], [w, h]) = (grid.elevation.origin_m(), grid.elevation.size_m());
        (m.pose.position.x, m.pose.position.y) = (x + 0.5 * w, y + 0.5 * h);
        let top = grid
            .elevation
            .min_max()
            .map_or(0.0, |(_, top)| f64::from(top));
        m.pose.position.z = top + 2.0;
        m.scale.z = 0.4;
        m.color = ColorRGBA {
            r: 1.0,
            g: 1.0,
            b: 1.0,
            a: 1.0,
        };
        m.text = format!("{} rocks, abundance {:.1} %", found.rocks.len(), 100.0 * k);
        markers.push(m);
    }
    MarkerArray { markers }
}
