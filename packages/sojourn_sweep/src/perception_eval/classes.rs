//! Classes of the grid's cells beside the classes of the world.
//!
//! What is firm rock in the world should be bedrock to the network, ripples of sand sand, firm soil soil, and a rock of 25 cm
//! and more big rock. Loose soil, scarps and smaller rocks have no class of their own among the network's and are left out.

use super::{Subject, score::ROCK_M};
use nalgebra::Vector3;
use serde::Serialize;
use sojourn_core::{
    Stamp,
    camera::Pinhole,
    classes::{SURFACES, SurfaceClass, TerrainClass},
    raster::HeightField,
};
use sojourn_perception::{
    Input, Perception,
    classes::{Classifier, net::CLASSES},
    config::ClassParams,
    stereo::GreyImage,
    surface::{Looker, Said},
};
use sojourn_twin::{
    dataset::{Labelled, Station},
    rocks::Rock,
    world::World,
};
use std::collections::BTreeMap;

/// Farthest cell that counts, metres from the camera.
const FARTHEST_M: f64 = 10.0;

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Images that the network was asked about.
    pub images: u64,
    /// Of them those that it calls unlike what it learnt from.
    pub unlike: u64,
    /// Known cells within 10 m whose ground has a class that the network can know, in all images that it answered.
    pub cells: u64,
    /// Share of them that got a class.
    pub decided: f64,
    /// Share of these whose class is right.
    pub right: f64,
    /// Share of the decided cells of sand that were called soil or bedrock.
    pub missed_sand: f64,
    /// Share of the decided cells of rocks of 25 cm and more that were not called big rock.
    pub missed_big_rock: f64,
    /// Decided cells by true class and the class given.
    pub given: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
}

pub(super) struct ClassScorer {
    classifier: Classifier,
    params: ClassParams,
    camera: Pinhole,
    images: u64,
    unlike: u64,
    cells: u64,
    given: [[u64; CLASSES]; CLASSES],
}

impl ClassScorer {
    pub(super) fn new(classifier: Classifier, subject: &Subject) -> Self {
        Self {
            classifier,
            params: subject.params.classes.clone(),
            camera: subject.rover.navcam_pinhole(),
            images: 0,
            unlike: 0,
            cells: 0,
            given: [[0; CLASSES]; CLASSES],
        }
    }

    /// Asks about the left image of a view whose depth is in the core's grid.
    pub(super) fn score(
        &mut self,
        world: &World,
        station: &Station,
        view: &Labelled,
        core: &mut Perception,
    ) {
        let stamp = Stamp::from_secs(1.0);
        let mut looker = Looker::new(&self.params);
        looker.image(GreyImage {
            stamp,
            width: view.frame.width,
            height: view.frame.height,
            pixels: view.frame.left.clone(),
        });
        let Some(question) = looker.ask(stamp, Some(&self.camera)) else {
            return;
        };
        self.images += 1;
        match question.put_to(&self.classifier) {
            Said::Classes(classed) => core.step(stamp, Input::Classed(classed)),
            Said::Unlike => {
                self.unlike += 1;
                return;
            }
            Said::Refused => return,
        };
        let out = core.step(stamp, Input::Tick);
        let (Some(grid), Some(layers)) = (out.grid, out.classes) else {
            return;
        };
        let eye: Vector3<f64> = station.map_from_camera.iso.translation.vector;
        let class = &layers.class;
        let [w, s, e, n] = [-1.0, -1.0, 1.0, 1.0].map(|v| v * (FARTHEST_M + 1.0));
        let mut rocks = world.rocks_in([eye.x + w, eye.y + s, eye.x + e, eye.y + n]);
        rocks.retain(|r| r.height_m >= ROCK_M);
        for row in 0..class.rows() {
            for col in 0..class.cols() {
                let [x, y] = class.centre_m(col, row);
                let far = (x - eye.x).hypot(y - eye.y) > FARTHEST_M;
                if far || grid.count.get(col, row) < 1.0 {
                    continue;
                }
                let Some(truth) = truth(world, &rocks, x, y) else {
                    continue;
                };
                self.cells += 1;
                let code = class.get(col, row);
                let said = TerrainClass::from_code(code as u8).filter(|_| code.is_finite());
                let said = said.and_then(|c| SURFACES.iter().position(|s| s.terrain == c));
                if let Some(count) = said.and_then(|k| self.given[truth].get_mut(k)) {
                    *count += 1;
                }
            }
        }
    }

    pub(super) fn figures(&self) -> ClassFigures {
        let sum = |row: &[u64; CLASSES]| row.iter().sum::<u64>();
        let decided: u64 = self.given.iter().map(sum).sum();
        let right: u64 = (0..CLASSES).map(|k| self.given[k][k]).sum();
        let share = |part: u64, all: u64| part as f64 / all.max(1) as f64;
        let [soil, bedrock, sand, rock] = [
            SurfaceClass::Soil,
            SurfaceClass::Bedrock,
            SurfaceClass::Sand,
            SurfaceClass::BigRock,
        ]
        .map(|c| c as usize);
        let of_sand = &self.given[sand];
        let name = |k: usize| SURFACES[k].name;
        let row = |k: usize| (0..CLASSES).map(|c| (name(c), self.given[k][c])).collect();
        ClassFigures {
            images: self.images,
            unlike: self.unlike,
            cells: self.cells,
            decided: share(decided, self.cells),
            right: share(right, decided),
            missed_sand: share(of_sand[soil] + of_sand[bedrock], sum(of_sand)),
            missed_big_rock: share(
                sum(&self.given[rock]) - self.given[rock][rock],
                sum(&self.given[rock]),
            ),
            given: (0..CLASSES).map(|k| (name(k), row(k))).collect(),
        }
    }
}

/// What the ground of a place should be to the network, by place in [`SURFACES`].
/// `rocks` are the ones around that are high enough to be big.
fn truth(world: &World, rocks: &[Rock], x: f64, y: f64) -> Option<usize> {
    world.height_m(x, y)?;
    if world.on_rock(x, y)? {
        let is_big = |r: &Rock| (r.x_m - x).hypot(r.y_m - y) <= r.reach_m;
        return rocks
            .iter()
            .any(is_big)
            .then_some(SurfaceClass::BigRock as usize);
    }
    let surface = match world.class_at(x, y)? {
        TerrainClass::Bedrock | TerrainClass::Outcrop => SurfaceClass::Bedrock,
        TerrainClass::SandRipples => SurfaceClass::Sand,
        TerrainClass::SmoothRegolith => SurfaceClass::Soil,
        _ => return None,
    };
    Some(surface as usize)
}
