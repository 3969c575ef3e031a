//! What the ground is like as seen from orbit: slope, roughness and class in coarse cells of `map`.
//!
//! It prices ground that the rover has not seen and nothing else: it can make such ground dearer than unknown ground is, never
//! cheaper, and never safe ([`crate::check`] does not know of it).

use crate::planes::Moments;
use sojourn_core::{
    CoreError,
    classes::CLASSES,
    frames::{Frame, Map, Odom, Pose2, Transform},
    geometry::Xy,
    raster::Raster,
    rover::Rover,
    site::{CLASS, ROUGHNESS_LEAST, SLOPE_MORE, Site},
};
use std::sync::Arc;

/// Most cells that are kept; a larger site is kept in larger cells.
const MAX_CELLS: f64 = 1e6;
/// Most cells of a layer that is taken in.
const MAX_LAYER_CELLS: usize = 100_000_000;
/// Side of a kept cell where the layers are finer, in footprint radii.
const CELL_FOOTPRINTS: f64 = 0.5;
/// Half the side of the plane around a cell, in footprint radii; at least one cell.
const PLANE_FOOTPRINTS: f64 = 0.6;
/// Planes wider than this many footprint radii to each side say nothing of roughness under the rover.
const ROUGH_FOOTPRINTS: f64 = 2.0;

/// Layers of a site, all in the same cells.
#[derive(Clone, Debug, PartialEq)]
pub struct OrbitalLayers {
    /// The frame that the layers lie in: `map`.
    pub frame: String,
    /// Height, metres; not-a-number where there is no data.
    pub elevation: Raster,
    /// Standard error of the height, metres: so much roughness is the layer's own.
    pub error_m: f64,
    /// Code of the class of the ground ([`CLASSES`]); not-a-number where there is none.
    pub class: Option<Raster>,
    /// By how much steeper the ground is taken to be than it looks, degrees.
    pub slope_more_deg: Option<Raster>,
    /// How rough the ground is taken to be at least, metres.
    pub roughness_least_m: Option<Raster>,
}

impl OrbitalLayers {
    /// The layers of a site: its elevation with the error that its manifest tells, and class and doubt where it has them.
    ///
    /// # Errors
    /// [`CoreError`] when the site has no elevation.
    pub fn of_site(site: &Site) -> Result<Self, CoreError> {
        let layer = |name: &str| site.layers.get(name).cloned();
        let told = site.manifest.layers.get(sojourn_core::site::ELEVATION);
        Ok(Self {
            frame: Map::NAME.into(),
            elevation: site.elevation()?.clone(),
            error_m: told.and_then(|l| l.error).unwrap_or(0.0),
            class: layer(CLASS),
            slope_more_deg: layer(SLOPE_MORE),
            roughness_least_m: layer(ROUGHNESS_LEAST),
        })
    }

    fn check(&self) -> Result<(), CoreError> {
        let wrong = |name: &str, value: String, expected: String| {
            Err(CoreError::value("orbital layer", name, value, expected))
        };
        if self.frame != Map::NAME {
            return wrong("frame", self.frame.clone(), Map::NAME.into());
        }
        if !(0.0..=1e3).contains(&self.error_m) {
            let given = self.error_m.to_string();
            return wrong("error_m", given, "a number from 0 to 1000".into());
        }
        let e = &self.elevation;
        let shape = |r: &Raster| {
            let [x, y] = r.origin_m();
            let res_m = r.resolution_m();
            format!(
                "{} x {} cells of {res_m} m from ({x}, {y}) m",
                r.cols(),
                r.rows()
            )
        };
        if e.data().len() > MAX_LAYER_CELLS {
            return wrong(
                "elevation",
                shape(e),
                format!("at most {MAX_LAYER_CELLS} cells"),
            );
        }
        let known = |r: &Raster| r.data().iter().filter(|v| !v.is_nan()).count();
        if known(e) == 0 {
            let given = "not one cell with data".to_string();
            return wrong("elevation", given, "heights in metres".into());
        }
        let others = [
            ("class", self.class.as_ref()),
            (SLOPE_MORE, self.slope_more_deg.as_ref()),
            (ROUGHNESS_LEAST, self.roughness_least_m.as_ref()),
        ];
        for (name, layer) in others.into_iter().chain([("elevation", Some(e))]) {
            let Some(layer) = layer else {
                continue;
            };
            let place = |r: &Raster| (r.cols(), r.rows(), r.resolution_m(), r.origin_m());
            if place(layer) != place(e) {
                let expected = format!("those of the elevation: {}", shape(e));
                return wrong(name, shape(layer), expected);
            }
            if layer.data().iter().any(|v| v.is_infinite()) {
                let given = "an infinite value".to_string();
                return wrong(
                    name,
                    given,
                    "finite values, or not-a-number for no data".into(),
                );
            }
        }
        let codes = 0.0..CLASSES.len() as f32;
        let strange = |v: &&f32| !(v.is_nan() || (codes.contains(*v) && v.fract() == 0.0));
        match self
            .class
            .as_ref()
            .and_then(|c| c.data().iter().find(strange))
        {
            Some(code) => {
                let most = CLASSES.len() - 1;
                wrong("class", code.to_string(), format!("codes from 0 to {most}"))
            }
            None => Ok(()),
        }
    }
}

/// What orbit tells of a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// Gradient, metres per metre, in the axes that were asked for.
    pub gradient: Xy,
    /// How steep the ground is taken to be, radians; at least as the gradient says.
    pub slope_rad: f64,
    /// Roughness, metres.
    pub sigma_m: f64,
    /// Class code.
    pub class: Option<f64>,
}

/// A cell; a gradient that is not a number means that nothing is known.
#[derive(Clone, Copy, Debug)]
struct Cell {
    gradient: [f32; 2],
    more_rad: f32,
    sigma_m: f32,
    class: f32,
}

/// The layers, brought to cells of about the rover's size.
#[derive(Clone, Debug)]
pub struct Orbital {
    cols: usize,
    rows: usize,
    cell_m: f64,
    origin_m: Xy,
    cells: Vec<Cell>,
}

impl Orbital {
    /// Takes layers in for a rover.
    ///
    /// # Errors
    /// [`CoreError`] in one sentence: another frame than `map`, layers that do not lie in the same cells, no data at all,
    /// infinite values, codes of no class.
    pub fn new(layers: &OrbitalLayers, rover: &Rover) -> Result<Self, CoreError> {
        layers.check()?;
        let e = &layers.elevation;
        let (res_m, radius_m) = (e.resolution_m(), rover.footprint_radius_m());
        let wanted_m = CELL_FOOTPRINTS * radius_m;
        let most_m = (e.data().len() as f64 / MAX_CELLS).sqrt() * res_m;
        let step = (wanted_m / res_m)
            .round()
            .max((most_m / res_m).ceil())
            .max(1.0) as usize;
        let (cols, rows) = (e.cols().div_ceil(step), e.rows().div_ceil(step));
        let cell_m = step as f64 * res_m;
        let mut sums = vec![Moments::default(); cols * rows];
        let mut out = Self {
            cols,
            rows,
            cell_m,
            origin_m: e.origin_m(),
            cells: Vec::with_capacity(cols * rows),
        };
        // From the raster's corner and one of its heights, which keeps the sums small.
        let [x0, y0] = e.origin_m();
        let z0 = e
            .data()
            .iter()
            .find(|v| !v.is_nan())
            .copied()
            .unwrap_or(0.0);
        for row in 0..e.rows() {
            for col in 0..e.cols() {
                let z = e.get(col, row);
                let [x, y] = e.centre_m(col, row);
                if !z.is_nan()
                    && let Some(sum) = sums.get_mut(row / step * cols + col / step)
                {
                    sum.add(&Moments::of(x - x0, y - y0, f64::from(z - z0)));
                }
            }
        }
        let half = (PLANE_FOOTPRINTS * radius_m / cell_m).round().max(1.0) as usize;
        let rough = half as f64 * cell_m <= ROUGH_FOOTPRINTS * radius_m;
        let error_var = layers.error_m * layers.error_m;
        // The worst that a layer says within a cell.
        let worst = |layer: Option<&Raster>, c: usize, r: usize, dear: &dyn Fn(f32) -> f64| {
            let mut found = f32::NAN;
            for row in r * step..(r + 1) * step {
                for col in c * step..(c + 1) * step {
                    let v = layer.map_or(f32::NAN, |l| l.get(col, row));
                    if !v.is_nan() && (found.is_nan() || dear(v) > dear(found)) {
                        found = v;
                    }
                }
            }
            found
        };
        for r in 0..rows {
            for c in 0..cols {
                let here = sums.get(r * cols + c).map_or(0.0, |s| s.n) > 0.0;
                let mut m = Moments::default();
                for rr in r.saturating_sub(half)..=(r + half).min(rows - 1) {
                    for cc in c.saturating_sub(half)..=(c + half).min(cols - 1) {
                        if let Some(sum) = sums.get(rr * cols + cc) {
                            m.add(sum);
                        }
                    }
                }
                let plane = if here { m.plane() } else { None };
                let own = |v: f32| f64::from(v);
                let least = worst(layers.roughness_least_m.as_ref(), c, r, &own).max(0.0);
                let sigma = |p: crate::planes::Plane| {
                    let beyond = (p.sigma_m * p.sigma_m - error_var).max(0.0).sqrt();
                    if rough { beyond as f32 } else { 0.0 }
                };
                out.cells.push(Cell {
                    gradient: plane.map_or([f32::NAN; 2], |p| [p.gx as f32, p.gy as f32]),
                    more_rad: worst(layers.slope_more_deg.as_ref(), c, r, &own)
                        .max(0.0)
                        .to_radians(),
                    sigma_m: plane.map_or(0.0, sigma).max(least),
                    class: worst(layers.class.as_ref(), c, r, &|v| {
                        let traits = CLASSES.get(v as usize);
                        traits.map_or(0.0, |t| t.added_cost)
                    }),
                });
            }
        }
        Ok(out)
    }

    /// Side of a cell, metres.
    #[must_use]
    pub fn cell_m(&self) -> f64 {
        self.cell_m
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> [usize; 2] {
        [self.cols, self.rows]
    }

    /// South-west corner in `map`, metres.
    pub(crate) fn origin_m(&self) -> Xy {
        self.origin_m
    }

    /// What is told of a cell, the gradient along the axes of `map`; `None` beyond the layers and where they have no data.
    pub(crate) fn told(&self, col: usize, row: usize) -> Option<Told> {
        if col >= self.cols {
            return None;
        }
        let cell = self.cells.get(row * self.cols + col)?;
        let [gx, gy] = cell.gradient.map(f64::from);
        (!gx.is_nan()).then(|| Told {
            gradient: [gx, gy],
            slope_rad: gx.hypot(gy).atan() + f64::from(cell.more_rad),
            sigma_m: f64::from(cell.sigma_m),
            class: (!cell.class.is_nan()).then_some(f64::from(cell.class)),
        })
    }

    /// What is told of a place in `map`.
    fn at(&self, [x, y]: Xy) -> Option<Told> {
        let c = (x - self.origin_m[0]) / self.cell_m;
        let r = (y - self.origin_m[1]) / self.cell_m;
        if !(c >= 0.0 && r >= 0.0) {
            return None;
        }
        self.told(c as usize, r as usize)
    }
}

/// The orbital layers as they lie in `odom` now.
#[derive(Clone, Copy, Debug)]
pub struct FromOrbit<'a> {
    layers: &'a Arc<Orbital>,
    map_from_odom: Pose2,
    /// Sine and cosine of the turn from `odom` to `map`.
    turn: (f64, f64),
}

impl<'a> FromOrbit<'a> {
    /// Lays the layers where localization says that `map` is; tilts between the two frames do not count.
    #[must_use]
    pub fn new(layers: &'a Arc<Orbital>, map_from_odom: &Transform<Map, Odom>) -> Self {
        let map_from_odom = map_from_odom.planar();
        Self {
            layers,
            map_from_odom,
            turn: map_from_odom.yaw_rad.sin_cos(),
        }
    }

    /// The layers.
    pub(crate) fn layers(&self) -> &'a Arc<Orbital> {
        self.layers
    }

    /// A place in `odom` as it lies in `map`.
    pub(crate) fn in_map(&self, [x, y]: Xy) -> Xy {
        let (s, c) = self.turn;
        let p = &self.map_from_odom;
        [p.x_m + c * x - s * y, p.y_m + s * x + c * y]
    }

    /// What is told of a place in `odom`, the gradient along the axes of `odom`.
    #[must_use]
    pub fn at(&self, p: Xy) -> Option<Told> {
        let (s, c) = self.turn;
        let told = self.layers.at(self.in_map(p))?;
        let [gx, gy] = told.gradient;
        Some(Told {
            gradient: [c * gx + s * gy, c * gy - s * gx],
            ..told
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::rover;

    fn layers(cell_m: f64, height: impl Fn(Xy) -> f64) -> OrbitalLayers {
        let n = (60.0 / cell_m) as usize;
        let flat = Raster::filled(n, n, cell_m, [100.0, 200.0], 0.0).unwrap();
        OrbitalLayers {
            frame: "map".into(),
            elevation: flat.like(|c, r| height(flat.centre_m(c, r)) as f32),
            error_m: 0.0,
            class: None,
            slope_more_deg: None,
            roughness_least_m: None,
        }
    }

    #[test]
    fn slopes_are_told_in_the_axes_of_odom() {
        let r = rover("perseverance");
        for cell_m in [0.25, 1.0, 5.0] {
            let o = Arc::new(Orbital::new(&layers(cell_m, |[x, _]| 0.2 * x), &r).unwrap());
            assert!(o.cell_m() >= 0.9 && o.cell_m() <= 5.0);
            let turned = Transform::from_xyz_rpy([130.0, 230.0, 4.0], 0.0, 0.0, 0.5);
            let told = FromOrbit::new(&o, &turned).at([3.0, -2.0]).unwrap();
            let [gx, gy] = told.gradient;
            assert!((gx - 0.2 * 0.5f64.cos()).abs() < 1e-4, "{told:?}");
            assert!((gy + 0.2 * 0.5f64.sin()).abs() < 1e-4, "{told:?}");
            assert!((told.slope_rad - 0.2f64.atan()).abs() < 1e-4 && told.sigma_m < 1e-3);
            assert!(FromOrbit::new(&o, &turned).at([400.0, 0.0]).is_none());
        }
    }

    #[test]
    fn doubt_and_classes_are_the_worst_within_a_cell_and_holes_say_nothing() {
        let r = rover("perseverance");
        let mut l = layers(0.5, |[x, _]| if x < 110.0 { f64::NAN } else { 0.0 });
        let mark = |v: f32| l.elevation.like(|c, _| if c == 60 { v } else { f32::NAN });
        (l.class, l.slope_more_deg) = (Some(mark(4.0)), Some(mark(5.0)));
        l.roughness_least_m = Some(mark(0.1));
        let o = Arc::new(Orbital::new(&l, &r).unwrap());
        let still = Transform::from_xyz_rpy([0.0; 3], 0.0, 0.0, 0.0);
        let see = FromOrbit::new(&o, &still);
        let told = see.at([130.7, 220.0]).unwrap();
        assert_eq!(told.class, Some(4.0));
        assert!((told.slope_rad.to_degrees() - 5.0).abs() < 1e-4);
        assert!((told.sigma_m - 0.1).abs() < 1e-6);
        let plain = see.at([120.0, 220.0]).unwrap();
        assert!(plain.class.is_none() && plain.slope_rad == 0.0 && plain.sigma_m == 0.0);
        assert!(see.at([103.0, 220.0]).is_none());
    }

    #[test]
    fn bad_layers_are_refused_in_one_sentence_each() {
        let r = rover("perseverance");
        let good = layers(1.0, |_| 0.0);
        let other = Raster::filled(59, 60, 1.0, [100.0, 200.0], 0.0).unwrap();
        let shifted = Raster::filled(60, 60, 1.0, [101.0, 200.0], 0.0).unwrap();
        let nothing = good.elevation.like(|_, _| f32::NAN);
        let endless = good
            .elevation
            .like(|c, _| if c == 7 { f32::INFINITY } else { 0.0 });
        let strange = good.elevation.like(|_, _| 2.5);
        let bad = [
            (
                "frame",
                OrbitalLayers {
                    frame: "odom".into(),
                    ..good.clone()
                },
            ),
            (
                "59 x 60",
                OrbitalLayers {
                    class: Some(other),
                    ..good.clone()
                },
            ),
            (
                "(101, 200)",
                OrbitalLayers {
                    slope_more_deg: Some(shifted),
                    ..good.clone()
                },
            ),
            (
                "not one cell",
                OrbitalLayers {
                    elevation: nothing,
                    ..good.clone()
                },
            ),
            (
                "infinite",
                OrbitalLayers {
                    elevation: endless,
                    ..good.clone()
                },
            ),
            (
                "2.5",
                OrbitalLayers {
                    class: Some(strange),
                    ..good.clone()
                },
            ),
            (
                "error_m",
                OrbitalLayers {
                    error_m: f64::NAN,
                    ..good.clone()
                },
            ),
        ];
        for (word, layers) in bad {
            let e = Orbital::new(&layers, &r).unwrap_err().to_string();
            assert!(e.contains("orbital layer") && e.contains(word), "{e}");
            assert!(!e.contains('\n'), "{e}");
        }
        assert!(Orbital::new(&good, &r).is_ok());
    }
}
