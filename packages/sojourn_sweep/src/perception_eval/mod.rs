//! Perception beside truth: rovers stand in generated worlds, the simulator's cameras look, perception's own stereo and
//! grid work on the images, and the heights are compared with the ground's.
//!
//! Truth of a cell is the mean of the ground's heights in the middles of its squares of 5 cm. All cells count that hold
//! pixels, also those where matching went wrong; cells that were filled (under the rover, small gaps) do not.

mod classes;
mod example;
mod ripples;
mod science;
mod score;
mod small;

pub use classes::ClassFigures;
pub use example::{Example, examples};
pub use ripples::{RippleFigures, evaluate_ripples};
pub use science::{ScienceFigures, evaluate_science};
pub use score::{Figures, Ring};
pub use small::{Found, SmallFigures, evaluate_small, learn_small};

use crate::SweepError;
use classes::ClassScorer;
use score::Scorer;
use sojourn_core::{
    Stamp,
    body::Body,
    frames::{BaseLink, Map, Odom, Transform},
    rover::Rover,
};
use sojourn_perception::{
    Config, Input, Params, Perception, TerrainGrid,
    classes::Classifier,
    rocks::{self, Rocks},
    stereo::{GreyImage, Matcher, RectifiedPair},
};
use sojourn_twin::{
    dataset::{Cameras, Labelled, Station, station},
    folder::View,
    generate::generate,
    recipe::Recipe,
    render::Sun,
    world::World,
};
use std::time::Instant;

/// Rock abundances (Golombek's k) of the worlds, one after the other.
pub const CFAS: [f64; 3] = [0.05, 0.075, 0.10];
/// Places in every world.
pub const STATIONS: u64 = 3;
/// Side of a world and distance of the places from its edge, metres.
const SIDE_M: f64 = 48.0;
const MARGIN_M: f64 = 16.0;
/// Farthest ground that the cameras see, metres.
const RANGE_M: f64 = 30.0;
/// Heights of the sun, radians, one after the other.
const SUN_RAD: [f64; 3] = [0.45, 0.7, 1.0];

/// What is measured.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The rover with its cameras.
    pub rover: Rover,
    /// The planet.
    pub body: Body,
    /// The worlds; size and rocks are set by the measurement.
    pub recipe: Recipe,
    /// Perception's parameters.
    pub params: Params,
}

/// One view and what perception made of it.
struct Seen {
    station: Station,
    view: Labelled,
    grid: TerrainGrid,
    rocks: Rocks,
}

/// Measures over worlds of the seeds `1..=seeds`, with a network also the classes of the ground; `done` hears after every world how many there were.
///
/// # Errors
/// [`SweepError`] when a world cannot be made or a parameter is out of range.
pub fn evaluate(
    subject: &Subject,
    classifier: Option<Classifier>,
    seeds: u64,
    mut done: impl FnMut(u64),
) -> Result<Figures, SweepError> {
    let mut scorer = Scorer::new(&subject.rover);
    let mut subject = subject.clone();
    let mut classes = classifier.map(|network| {
        // The core keeps its views where there is a network, whichever it is.
        subject.params.classes.model = "given".into();
        ClassScorer::new(network, &subject)
    });
    let subject = &subject;
    for seed in 1..=seeds {
        let mut recipe = subject.recipe.clone();
        recipe.size_m = [SIDE_M, SIDE_M];
        recipe.rocks.cfa = CFAS[seed as usize % CFAS.len()];
        let folder = generate(seed, &subject.body, &recipe)?;
        let world = folder.world(&View::everything())?;
        let mut cameras = Cameras::new(&subject.rover, RANGE_M, seed);
        for number in 0..STATIONS {
            let station = station(&world, &subject.rover, seed, number as i64, MARGIN_M)?;
            let sun = Sun {
                azimuth_rad: 1.3 * (seed * STATIONS + number) as f64,
                elevation_rad: SUN_RAD[number as usize % SUN_RAD.len()],
            };
            let view = cameras.view(&world, &station, sun, number);
            match look(subject, &station, &view)? {
                Some(mut looked) => {
                    scorer.spent(looked.spent);
                    if let Some(classes) = &mut classes {
                        classes.score(&world, &station, &view, &mut looked.core);
                    }
                    let seen = Seen {
                        station,
                        view,
                        grid: looked.grid,
                        rocks: looked.rocks,
                    };
                    scorer.score_coverage(&seen);
                    scorer.score(&world, &seen);
                    scorer.score_rocks(&world, &seen);
                }
                None => scorer.refused(),
            }
        }
        done(seed);
    }
    Ok(Figures {
        classes: classes.map(|c| c.figures()),
        ..scorer.figures()
    })
}

/// What perception made of a pair.
struct Looked {
    core: Perception,
    grid: TerrainGrid,
    rocks: Rocks,
    spent: Spent,
}

/// Seconds that a frame took.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spent {
    match_s: f64,
    all_s: f64,
    cpu_s: f64,
}

/// Perception before it has seen the pair of a view: it knows camera, calibration and pose.
struct Ready {
    core: Perception,
    matcher: Matcher,
    pair: RectifiedPair,
    stamp: Stamp,
    eyes: [GreyImage; 2],
}

/// Nothing where the pair's cameras cannot be matched.
fn ready(
    subject: &Subject,
    station: &Station,
    view: &Labelled,
) -> Result<Option<Ready>, SweepError> {
    let rover = &subject.rover;
    let config = Config::new(subject.params.clone(), rover)?;
    let stereo = config.params.stereo.clone();
    let mut core = Perception::new(config, rover);
    let camera = rover.navcam_pinhole();
    let pair = RectifiedPair {
        camera,
        baseline_m: rover.navcam.baseline_m,
    };
    let stamp = Stamp::from_secs(1.0);
    let eye = |pixels: &[u8]| GreyImage {
        stamp,
        width: view.frame.width,
        height: view.frame.height,
        pixels: pixels.to_vec(),
    };
    let eyes = [eye(&view.frame.left), eye(&view.frame.right)];
    let Ok(matcher) = Matcher::new(pair, &stereo) else {
        return Ok(None);
    };
    let pose: Transform<Map, BaseLink> = Transform::from_xyz_rpy(
        [station.pose.x_m, station.pose.y_m, station.z_m],
        station.roll_rad,
        station.pitch_rad,
        station.pose.yaw_rad,
    );
    let odom: Transform<Odom, BaseLink> = Transform::new(pose.iso);
    let base_from_camera = Transform::new(pose.iso.inverse() * station.map_from_camera.iso);
    core.step(stamp, Input::CameraInfo(camera));
    core.step(stamp, Input::CameraPose(stamp, base_from_camera));
    core.step(stamp, Input::Odometry(stamp, odom));
    Ok(Some(Ready {
        core,
        matcher,
        pair,
        stamp,
        eyes,
    }))
}

fn look(
    subject: &Subject,
    station: &Station,
    view: &Labelled,
) -> Result<Option<Looked>, SweepError> {
    let Some(mut r) = ready(subject, station, view)? else {
        return Ok(None);
    };
    let stereo = &subject.params.stereo;
    let (begin, cpu) = (Instant::now(), processor_s());
    let Ok(disparity) = r.matcher.step(&r.eyes[0], &r.eyes[1]) else {
        return Ok(None);
    };
    let match_s = begin.elapsed().as_secs_f64();
    let depth = disparity.into_depth(r.stamp, &r.pair, stereo);
    r.core.step(r.stamp, Input::Depth(depth));
    let Some(grid) = r.core.step(r.stamp, Input::Tick).grid else {
        return Ok(None);
    };
    let rocks = rocks::find(&grid, &subject.params.rocks);
    let spent = Spent {
        match_s,
        all_s: begin.elapsed().as_secs_f64(),
        cpu_s: processor_s() - cpu,
    };
    Ok(Some(Looked {
        core: r.core,
        grid,
        rocks,
        spent,
    }))
}

/// Processor time of this process, seconds.
fn processor_s() -> f64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}

/// Mean of the ground's heights in the middles of the squares of 5 cm of a cell, metres.
fn truth_m(world: &World, [x, y]: [f64; 2], res_m: f64) -> Option<f64> {
    use sojourn_core::raster::HeightField;
    let n = (res_m / 0.05).round().max(1.0) as i32;
    let mut sum = 0.0;
    for row in 0..n {
        for col in 0..n {
            let at = |k: i32| ((f64::from(k) + 0.5) / f64::from(n) - 0.5) * res_m;
            sum += world.height_m(x + at(col), y + at(row))?;
        }
    }
    Some(sum / f64::from(n * n))
}
