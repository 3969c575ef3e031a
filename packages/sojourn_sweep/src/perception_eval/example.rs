//! Views of a generated world with everything that perception makes of them, for pictures.

use super::{MARGIN_M, RANGE_M, SIDE_M, SUN_RAD, Subject, ready};
use crate::SweepError;
use sojourn_perception::{
    Input, TerrainGrid,
    rocks::{self, Rocks},
    stereo::{Disparity, GreyImage},
    surface::View as Seen,
};
use sojourn_twin::{
    dataset::{Cameras, station},
    folder::View,
    generate::generate,
    render::Sun,
};
use std::sync::Arc;

/// Rock abundance of the world (Golombek's k).
const CFA: f64 = 0.07;

/// A view and what perception makes of it.
#[derive(Clone, Debug)]
pub struct Example {
    /// The rectified pair.
    pub pair: [GreyImage; 2],
    /// Disparities of the left image.
    pub disparity: Disparity,
    /// Its depth and where it was taken.
    pub view: Arc<Seen>,
    /// The grid that it gives.
    pub grid: TerrainGrid,
    /// The grid's rocks.
    pub rocks: Rocks,
}

/// Views of the world of a seed; those that perception refuses are left out.
///
/// # Errors
/// [`SweepError`] when the world cannot be made or a parameter is out of range.
pub fn examples(subject: &Subject, seed: u64, views: u64) -> Result<Vec<Example>, SweepError> {
    let mut subject = subject.clone();
    // Targets are wanted, so that the core gives its views out.
    subject.params.science.wants = "shipped".into();
    let mut recipe = subject.recipe.clone();
    recipe.size_m = [SIDE_M, SIDE_M];
    recipe.rocks.cfa = CFA;
    let world = generate(seed, &subject.body, &recipe)?.world(&View::everything())?;
    let mut cameras = Cameras::new(&subject.rover, RANGE_M, seed);
    let mut out = Vec::new();
    for number in 0..views {
        let at = station(&world, &subject.rover, seed, number as i64, MARGIN_M)?;
        let sun = Sun {
            azimuth_rad: 1.3 * (seed * views + number) as f64,
            elevation_rad: SUN_RAD[number as usize % SUN_RAD.len()],
        };
        let shot = cameras.view(&world, &at, sun, number);
        let Some(mut r) = ready(&subject, &at, &shot)? else {
            continue;
        };
        let Ok(disparity) = r.matcher.step(&r.eyes[0], &r.eyes[1]) else {
            continue;
        };
        let depth = disparity
            .clone()
            .into_depth(r.stamp, &r.pair, &subject.params.stereo);
        r.core.step(r.stamp, Input::Depth(depth));
        let said = r.core.step(r.stamp, Input::Tick);
        if let (Some(grid), Some(view)) = (said.grid, said.views.first()) {
            out.push(Example {
                pair: r.eyes,
                disparity,
                view: view.clone(),
                rocks: rocks::find(&grid, &subject.params.rocks),
                grid,
            });
        }
    }
    Ok(out)
}
