//! The local grid as the planner uses it: holes closed, the starting place filled in, rocks grown, and the
//! surfaces between which the ground may lie.

use crate::{
    clearance::{Heights, Images, Surfaces},
    config::PlannerKind,
    disc::Disc,
    sharpen::sharpened,
};
use nalgebra::Vector3;
use sojourn_core::{
    frames::{BaseLink, Odom, Transform},
    raster::{HeightField, Raster},
    rover::Rover,
    settle::Settler,
};

/// Ground that is known because the rover stands on it: the plane under the rover where a drive began. All in `odom`.
///
/// A camera on a mast does not see what is under and close around the rover. What it has not seen there is taken as
/// the plane that the rover stands on; what it has seen always counts more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StartPatch {
    centre_m: Vector3<f64>,
    /// Slope of the plane along x and y.
    gradient: [f64; 2],
    radius_m: f64,
}

impl StartPatch {
    /// The patch under a rover that stands at a pose; `None` when it stands on its edge.
    #[must_use]
    pub fn under(odom_from_base_link: &Transform<Odom, BaseLink>, radius_m: f64) -> Option<Self> {
        let up = odom_from_base_link.iso.rotation * Vector3::z();
        (up.z > 0.5).then(|| Self {
            centre_m: odom_from_base_link.iso.translation.vector,
            gradient: [-up.x / up.z, -up.y / up.z],
            radius_m,
        })
    }

    fn height_m(&self, x_m: f64, y_m: f64) -> Option<f64> {
        let (dx, dy) = (x_m - self.centre_m.x, y_m - self.centre_m.y);
        (dx.hypot(dy) <= self.radius_m)
            .then(|| self.centre_m.z + self.gradient[0] * dx + self.gradient[1] * dy)
    }
}

/// Prepared ground in `odom`.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The surface whose means over the cells are those seen, holes of one cell closed, starting place filled in.
    pub seen: Raster,
    /// Highest that the ground may be.
    pub high: Raster,
    /// The same, rocks grown by the uncertainty of the pose.
    pub grown: Raster,
    /// Lowest that the ground may be.
    pub low: Raster,
    /// How far the rover may stand from where the map has it, metres.
    pub drift_m: f64,
    /// Class codes, not-a-number where unknown.
    pub class: Raster,
    /// Both surfaces less the regional plane.
    pub surfaces: Option<Surfaces>,
    /// What a wheel's contact may be, by place and heading.
    pub images: Option<Images>,
    /// Goodness of discs, for the baseline that uses it.
    pub disc: Option<Disc>,
}

impl Ground {
    /// Prepares a window of the map: mean, lowest, highest, class. Heights that are not finite are unknown.
    #[must_use]
    pub fn prepare(
        [mean, low, high, class]: &[Raster; 4],
        patch: Option<&StartPatch>,
        inflate_m: f64,
    ) -> Self {
        let (mut seen, mut low, mut high) = (
            sharpened(&filled(mean, patch)),
            filled(low, patch),
            filled(high, patch),
        );
        hold_to_spans(&mut seen, &low, &high);
        let ends = low.data_mut().iter_mut().zip(high.data_mut());
        for ((low, high), seen) in ends.zip(seen.data()) {
            (*low, *high) = (low.min(*seen), high.max(*seen));
        }
        Self::between(seen, [low, high], class.clone(), inflate_m)
    }

    /// The same from one height a cell, the mean of what was seen in it: the height map that flight's ENav has, for the
    /// baselines. What the ground does within a cell has to be covered by their boxes.
    #[must_use]
    pub fn of_means(
        mean: &Raster,
        class: &Raster,
        patch: Option<&StartPatch>,
        inflate_m: f64,
    ) -> Self {
        let seen = filled(mean, patch);
        let ends = [seen.clone(), seen.clone()];
        Self::between(seen, ends, class.clone(), inflate_m)
    }

    fn between(seen: Raster, [low, high]: [Raster; 2], class: Raster, inflate_m: f64) -> Self {
        let reach = (inflate_m / seen.resolution_m()).round().clamp(0.0, 20.0) as i64;
        let grown = if reach == 0 {
            high.clone()
        } else {
            grow(&high, reach)
        };
        Self {
            seen,
            high,
            grown,
            low,
            drift_m: inflate_m,
            class,
            surfaces: None,
            images: None,
            disc: None,
        }
    }

    /// Works out what the clearance check of a planner looks up.
    #[must_use]
    pub fn with_images(
        mut self,
        rover: &Rover,
        settler: &Settler,
        swing_m: f64,
        kind: PlannerKind,
    ) -> Self {
        if kind == PlannerKind::GestaltDisc {
            self.disc = Disc::new(&self.seen, rover);
            return self;
        }
        let heights = Heights {
            mean: &self.seen,
            low: &self.low,
            high: &self.grown,
        };
        let surfaces = if kind == PlannerKind::AceGravity {
            Surfaces::level(&heights)
        } else {
            Surfaces::new(&heights)
        };
        self.images = surfaces
            .as_ref()
            .map(|s| Images::new(s, rover, settler, swing_m));
        self.surfaces = surfaces;
        self
    }

    /// Whether [`Ground::with_images`] has been called.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.images.is_some() || self.disc.is_some()
    }

    /// From heights alone.
    #[must_use]
    pub fn of(elevation: &Raster, patch: Option<&StartPatch>, inflate_m: f64) -> Self {
        let unknown = elevation.like(|_, _| f32::NAN);
        let e = || elevation.clone();
        Self::prepare(&[e(), e(), e(), unknown], patch, inflate_m)
    }
}

impl HeightField for Ground {
    fn height_m(&self, x_m: f64, y_m: f64) -> Option<f64> {
        self.grown.sample(x_m, y_m)
    }
}

/// A layer with its holes closed: what was not seen around the start is the patch, and a hole of one cell its highest neighbour.
fn filled(layer: &Raster, patch: Option<&StartPatch>) -> Raster {
    let plane = |c: usize, r: usize| {
        let [x, y] = layer.centre_m(c, r);
        patch
            .and_then(|p| p.height_m(x, y))
            .map_or(f32::NAN, |h| h as f32)
    };
    let mut filled = layer.clone();
    let mut holes = Vec::new();
    for (i, h) in filled.data_mut().iter_mut().enumerate() {
        if !h.is_finite() {
            let at = (i % layer.cols(), i / layer.cols());
            *h = plane(at.0, at.1);
            if !h.is_finite() {
                holes.push(at);
            }
        }
    }
    // From what is known without them: a hole is not closed over a closed one.
    let closed: Vec<f32> = holes.iter().map(|&(c, r)| close(&filled, c, r)).collect();
    for ((c, r), h) in holes.into_iter().zip(closed) {
        filled.set(c, r, h);
    }
    filled
}

/// How far beyond what a cell spans the sharpened surface may go in its middle, share of the span. Not at all would be right
/// for that one point, but what is straight between the middles then cuts off tops that lie a quarter of a cell beside them.
const BEYOND_SPAN: f32 = 0.25;

/// Takes from a sharpened surface what is no ground: beside an edge it goes beyond the lowest and the highest that was seen in a
/// cell. Cells that tell no span stay as they are.
fn hold_to_spans(seen: &mut Raster, low: &Raster, high: &Raster) {
    let spans = low.data().iter().zip(high.data());
    for (seen, (low, high)) in seen.data_mut().iter_mut().zip(spans) {
        let more = BEYOND_SPAN * (high - low);
        if more > 0.0 {
            *seen = seen.clamp(low - more, high + more);
        }
    }
}

fn neighbour(raster: &Raster, c: usize, r: usize, dc: i64, dr: i64) -> f32 {
    match (
        c.checked_add_signed(dc as isize),
        r.checked_add_signed(dr as isize),
    ) {
        (Some(c), Some(r)) => raster.get(c, r),
        _ => f32::NAN,
    }
}

/// A hole with at least five known neighbours takes the highest of them.
fn close(raster: &Raster, c: usize, r: usize) -> f32 {
    let (mut known, mut highest) = (0, f32::NEG_INFINITY);
    for dr in -1..=1 {
        for dc in -1..=1 {
            let h = neighbour(raster, c, r, dc, dr);
            if h.is_finite() {
                known += 1;
                highest = highest.max(h);
            }
        }
    }
    if known >= 5 { highest } else { f32::NAN }
}

/// Highest value within a disc; unknown cells stay unknown.
fn grow(raster: &Raster, reach: i64) -> Raster {
    let cols = raster.cols();
    let mut out = raster.clone();
    for dr in -reach..=reach {
        let half = ((reach * reach - dr * dr) as f64).sqrt() as i64;
        for (r, best) in out.data_mut().chunks_mut(cols).enumerate() {
            let Some(row) = r
                .checked_add_signed(dr as isize)
                .and_then(|r| raster.data().chunks(cols).nth(r))
            else {
                continue;
            };
            for dc in -half..=half {
                let (skip, lead) = (dc.max(0) as usize, (-dc).max(0) as usize);
                let from = row.get(skip..).unwrap_or(&[]);
                for (b, v) in best.iter_mut().skip(lead).zip(from) {
                    // Never so where one of the two is not a number.
                    *b = if *v > *b { *v } else { *b };
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn holes_close_and_rocks_grow_but_the_unknown_stays_unknown() {
        let mut r = Raster::filled(20, 20, 0.1, [0.0, 0.0], 0.0).unwrap();
        r.set(5, 5, f32::NAN);
        r.set(10, 10, 0.4);
        for row in 0..20 {
            for col in 15..20 {
                r.set(col, row, f32::NAN);
            }
        }
        r.set(2, 2, f32::INFINITY);
        let g = Ground::of(&r, None, 0.1);
        assert_eq!(g.grown.get(5, 5), 0.0);
        assert_eq!(g.grown.get(2, 2), 0.0);
        // A stone of one cell is higher than the mean of that cell.
        assert!(g.seen.get(10, 10) > 0.4 && g.grown.get(11, 10) == g.seen.get(10, 10));
        assert!(g.grown.get(12, 10) < 0.01);
        assert!(g.grown.get(17, 10).is_nan());
        assert!(g.seen.get(11, 10) < 0.05 && g.high.get(11, 10) < 0.05);
    }

    #[test]
    fn flights_height_map_has_one_height_a_cell() {
        let mut mean = Raster::filled(20, 20, 0.1, [0.0, 0.0], 0.0).unwrap();
        mean.set(10, 10, 0.4);
        mean.set(5, 5, f32::NAN);
        let g = Ground::of_means(&mean, &mean, None, 0.1);
        // A stone is not made higher than it was seen, and no cell spans anything.
        assert_eq!(g.seen.get(10, 10), 0.4);
        for layer in [&g.low, &g.high] {
            assert_eq!(layer.data(), g.seen.data());
        }
        assert_eq!([g.seen.get(5, 5), g.grown.get(11, 10)], [0.0, 0.4]);
    }

    #[test]
    fn beside_an_edge_the_surface_keeps_to_what_cells_span() {
        // A step within the cells of column 10; those beside it are even.
        let mean = Raster::filled(20, 20, 0.1, [0.0, 0.0], 0.0).unwrap();
        let step = |at: [f32; 3]| {
            mean.like(|c, _| match c {
                0..10 => at[0],
                10 => at[1],
                _ => at[2],
            })
        };
        let told = |more: f32| {
            let layers = [
                step([0.0, 0.2, 0.4]),
                step([-more, 0.0, 0.4 - more]),
                step([more, 0.4, 0.4 + more]),
                mean.clone(),
            ];
            Ground::prepare(&layers, None, 0.0)
        };
        let (even, alone) = (told(0.004), told(0.0));
        assert!(
            (even.seen.get(9, 5) + 0.006).abs() < 1e-6,
            "{}",
            even.seen.get(9, 5)
        );
        assert!((even.seen.get(11, 5) - 0.406).abs() < 1e-6);
        // No span is told there: nothing is known against what sharpening says.
        assert!(alone.seen.get(9, 5) < -0.02 && alone.seen.get(11, 5) > 0.42);
    }

    /// Cell by cell, as it is meant.
    fn grow_plainly(raster: &Raster, reach: i64) -> Raster {
        let near = |c: usize, r: usize| {
            (-reach..=reach)
                .flat_map(move |dr| (-reach..=reach).map(move |dc| (dc, dr)))
                .filter(move |(dc, dr)| dc * dc + dr * dr <= reach * reach)
                .map(move |(dc, dr)| neighbour(raster, c, r, dc, dr))
        };
        raster.like(|c, r| match raster.get(c, r) {
            own if own.is_nan() => own,
            own => near(c, r).fold(own, f32::max),
        })
    }

    proptest! {
        #[test]
        fn what_is_highest_in_a_disc_is_found(
            (cols, rows, values) in (1usize..20, 1usize..20).prop_flat_map(|(c, r)| {
                (Just(c), Just(r), prop::collection::vec(prop_oneof![Just(f32::NAN), 0.1f32..1.0], c * r))
            }),
            reach in 0i64..6,
        ) {
            let raster = Raster::new(cols, rows, 0.1, [0.0, 0.0], values).unwrap();
            let bits = |r: &Raster| r.data().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&grow(&raster, reach)), bits(&grow_plainly(&raster, reach)));
        }
    }

    #[test]
    fn the_starting_place_is_the_plane_the_rover_stands_on() {
        let r = Raster::filled(40, 40, 0.1, [-2.0, -2.0], f32::NAN).unwrap();
        let pose = Transform::from_xyz_rpy([0.0, 0.0, 1.0], 0.0, -0.1, 0.0);
        let patch = StartPatch::under(&pose, 1.0).unwrap();
        let g = Ground::of(&r, Some(&patch), 0.0);
        let ahead = g.height_m(0.5, 0.0).unwrap();
        assert!((ahead - (1.0 + 0.5 * 0.1f64.tan())).abs() < 1e-3, "{ahead}");
        assert!(g.height_m(1.5, 0.0).is_none());
        assert!(
            StartPatch::under(&Transform::from_xyz_rpy([0.0; 3], 2.0, 0.0, 0.0), 1.0).is_none()
        );
    }
}
