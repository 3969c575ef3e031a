//! Float rocks, veins and nodules beside truth: veins and nodules are painted on the rock of generated worlds, rovers look at
//! them, and what perception finds by image, stereo and grid is held against what lies behind the pixels.

use super::{MARGIN_M, RANGE_M, SIDE_M, SUN_RAD, Subject, ready, score::ROCK_M};
use crate::SweepError;
use serde::Serialize;
use sojourn_core::{
    camera::Pinhole,
    classes::{SurfaceClass, TerrainClass},
};
use sojourn_perception::{
    Input,
    classes::GreyImage,
    rocks,
    small::{self, Candidate, FARTHEST_M, FARTHEST_ROCK_M, NUMBERS, Rule, Rules, Small},
    surface::View,
};
use sojourn_twin::{
    dataset::{Cameras, Labelled, Station, station},
    folder,
    generate::generate,
    render::{
        ROCK, Sun,
        marks::{Mark, MarkParams, Marks},
    },
    world::World,
};
use std::{collections::BTreeMap, ops::Range, time::Instant};

/// The first seed of the worlds that are measured on, and of those that are learnt from.
const FIRST_SEED: u64 = 73_001;
const FIRST_LEARNT: u64 = 71_001;
/// Views in every world; the first of them look at rock, as far as there is any.
const VIEWS: u64 = 4;
const AT_ROCK: u64 = 2;
/// Places that are tried for a view of rock.
const TRIES: i64 = 40;
/// Where a view of rock has rock, metres before the camera.
const AHEAD_M: f64 = 3.5;
/// Rock abundance of the worlds (Golombek's k).
const CFA: f64 = 0.06;
/// Share of the worlds' ground that is bedrock.
const BEDROCK: f64 = 0.5;
/// Fewest pixels of something that should be found: a rock, a vein, a field.
const LEAST_PX: usize = 60;
/// Something is found when this share of its pixels is, and real when this share of them is.
const FOUND_SHARE: f64 = 0.3;
const REAL_SHARE: f64 = 0.5;
/// How far beside a pixel may be taken for it, pixels.
const BESIDE_PX: i64 = 2;

/// What was measured of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Found {
    /// Rocks of 25 cm and more within 6 m, or veins or fields of nodules within 5 m, that take 60 pixels or more.
    pub there: u64,
    /// Share of them of which 30 % or more of the pixels were among the candidates that the rule chose from.
    pub proposed: f64,
    /// Share of them of which 30 % or more of the pixels were found.
    pub recall: f64,
    /// Those reported.
    pub reported: u64,
    /// Share of them of whose pixels 50 % or more are what they are reported as.
    pub precision: f64,
}

/// What was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SmallFigures {
    /// Views.
    pub views: u64,
    /// Rocks on the ground.
    pub float_rock: Found,
    /// Fields of nodules.
    pub nodule: Found,
    /// Veins.
    pub vein: Found,
    /// Seconds of one thread for one image, median.
    pub seconds: f64,
}

/// Measures over `seeds` worlds with four views each; `done` hears after every world how many there were.
///
/// # Errors
/// [`SweepError`] when a world cannot be made or a parameter is out of range.
pub fn evaluate_small(
    subject: &Subject,
    rules: &Rules,
    seeds: u64,
    done: impl FnMut(u64),
) -> Result<SmallFigures, SweepError> {
    let mut tally = Tally::default();
    views(
        subject,
        FIRST_SEED..FIRST_SEED + seeds,
        done,
        |seen, truth| {
            let begun = Instant::now();
            let found = seen.found(rules);
            tally.seconds.push(begun.elapsed().as_secs_f64());
            tally.views += 1;
            let candidates = seen.candidates();
            for (k, class) in SurfaceClass::SMALL.into_iter().enumerate() {
                let found: Vec<&Small> = found.iter().filter(|f| f.class == class).collect();
                let of_class = candidates.iter().filter(|c| c.class == class);
                let proposed = of_class.flat_map(|c| c.pixels.iter().copied());
                tally.counts[k].take(truth, class, &found, proposed);
            }
        },
    )?;
    Ok(tally.figures())
}

/// Learns the rules from `seeds` other worlds; `done` hears after every world how many there were.
///
/// # Errors
/// [`SweepError`] when a world cannot be made, a parameter is out of range, or there were too few candidates.
pub fn learn_small(
    subject: &Subject,
    seeds: u64,
    done: impl FnMut(u64),
) -> Result<Rules, SweepError> {
    let mut all: [Vec<([f64; NUMBERS], bool)>; 2] = [Vec::new(), Vec::new()];
    views(
        subject,
        FIRST_LEARNT..FIRST_LEARNT + seeds,
        done,
        |seen, truth| {
            let candidates = seen.candidates();
            for (class, of) in [SurfaceClass::Vein, SurfaceClass::Nodule]
                .into_iter()
                .zip(&mut all)
            {
                let real = truth.real(class);
                let here = candidates.iter().filter(|c| c.class == class);
                of.extend(here.map(|c| (c.numbers, share(&c.pixels, &real) >= REAL_SHARE)));
            }
        },
    )?;
    Ok(Rules {
        vein: Rule::learnt("veins", &all[0])?,
        nodule: Rule::learnt("fields of nodules", &all[1])?,
    })
}

/// A view of the left camera with its depth by stereo and the rocks of the grid.
struct Seen<'a> {
    image: GreyImage<'a>,
    view: View,
    rocks: Vec<rocks::Rock>,
}

impl Seen<'_> {
    fn found(&self, rules: &Rules) -> Vec<Small> {
        small::find(&self.image, &self.view, &self.rocks, rules)
    }

    fn candidates(&self) -> Vec<Candidate> {
        small::look(&self.image, &self.view, &self.rocks).1
    }
}

/// Takes the views of the worlds of some seeds.
fn views(
    subject: &Subject,
    seeds: Range<u64>,
    mut done: impl FnMut(u64),
    mut each: impl FnMut(&Seen<'_>, &Truth),
) -> Result<(), SweepError> {
    let first = seeds.start;
    for seed in seeds {
        let mut recipe = subject.recipe.clone();
        recipe.size_m = [SIDE_M, SIDE_M];
        recipe.rocks.cfa = CFA;
        recipe.cover.shares.insert(TerrainClass::Bedrock, BEDROCK);
        let folder = generate(seed, &subject.body, &recipe)?;
        let world = folder.world(&folder::View::everything())?;
        let marks = Marks::on_rock(&world, world.region_m(), MarkParams::default(), seed);
        let mut cameras = Cameras::new(&subject.rover, RANGE_M, seed);
        cameras.set_marks(Some(marks.clone()));
        let mut next = 0;
        for number in 0..VIEWS {
            let mut at = station(&world, &subject.rover, seed, next, MARGIN_M)?;
            next += 1;
            while number < AT_ROCK && next < TRIES && !looks_at_rock(&world, &at) {
                at = station(&world, &subject.rover, seed, next, MARGIN_M)?;
                next += 1;
            }
            let sun = Sun {
                azimuth_rad: 1.3 * (seed * VIEWS + number) as f64,
                elevation_rad: SUN_RAD[number as usize % SUN_RAD.len()],
            };
            let view = cameras.view(&world, &at, sun, number);
            if let Some(seen) = see(subject, &at, &view)? {
                let truth = Truth::of(&at, &view, &marks, &seen.view.camera);
                each(&seen, &truth);
            }
        }
        done(seed - first + 1);
    }
    Ok(())
}

/// What perception makes of a pair; nothing when it cannot be matched.
fn see<'a>(
    subject: &Subject,
    station: &Station,
    view: &'a Labelled,
) -> Result<Option<Seen<'a>>, SweepError> {
    let Some(mut r) = ready(subject, station, view)? else {
        return Ok(None);
    };
    let Ok(disparity) = r.matcher.step(&r.eyes[0], &r.eyes[1]) else {
        return Ok(None);
    };
    let depth = disparity.into_depth(r.stamp, &r.pair, &subject.params.stereo);
    r.core.step(r.stamp, Input::Depth(depth.clone()));
    let Some(grid) = r.core.step(r.stamp, Input::Tick).grid else {
        return Ok(None);
    };
    Ok(Some(Seen {
        image: GreyImage {
            width: view.frame.width,
            height: view.frame.height,
            data: &view.frame.left,
        },
        view: View {
            image: depth,
            camera: r.pair.camera,
            // The rover's `odom` is the map here.
            odom_from_camera: station.map_from_camera.iso,
            odom_from_base: nalgebra::Isometry3::identity(),
        },
        rocks: rocks::find(&grid, &subject.params.rocks).rocks,
    }))
}

fn looks_at_rock(world: &World, at: &Station) -> bool {
    let iso = at.map_from_camera.iso;
    let ahead = iso.rotation * nalgebra::Vector3::z();
    let level = ahead.xy().normalize() * AHEAD_M;
    let eye = iso.translation.vector;
    matches!(
        world.class_at(eye.x + level.x, eye.y + level.y),
        Some(TerrainClass::Bedrock | TerrainClass::Outcrop)
    )
}

#[derive(Clone, Copy, Default)]
struct Counts {
    there: u64,
    proposed: u64,
    found: u64,
    reported: u64,
    real: u64,
}

#[derive(Default)]
struct Tally {
    views: u64,
    counts: [Counts; 3],
    seconds: Vec<f64>,
}

impl Tally {
    fn figures(mut self) -> SmallFigures {
        self.seconds.sort_by(f64::total_cmp);
        let of = |class: SurfaceClass| {
            let k = SurfaceClass::SMALL.iter().position(|c| *c == class);
            let c = k
                .and_then(|k| self.counts.get(k))
                .copied()
                .unwrap_or_default();
            let share = |part: u64, all: u64| part as f64 / all.max(1) as f64;
            Found {
                there: c.there,
                proposed: share(c.proposed, c.there),
                recall: share(c.found, c.there),
                reported: c.reported,
                precision: share(c.real, c.reported),
            }
        };
        SmallFigures {
            views: self.views,
            float_rock: of(SurfaceClass::FloatRock),
            nodule: of(SurfaceClass::Nodule),
            vein: of(SurfaceClass::Vein),
            seconds: self
                .seconds
                .get(self.seconds.len() / 2)
                .copied()
                .unwrap_or(0.0),
        }
    }
}

impl Counts {
    fn take(
        &mut self,
        truth: &Truth,
        class: SurfaceClass,
        found: &[&Small],
        proposed: impl Iterator<Item = usize>,
    ) {
        let reported = truth.around(&mut found.iter().flat_map(|f| f.pixels.iter().copied()));
        // A float rock is proposed by the grid, and nothing chooses among them.
        let proposed = if class == SurfaceClass::FloatRock {
            reported.clone()
        } else {
            truth.around(&mut { proposed })
        };
        let real = truth.real(class);
        let things = truth
            .things
            .get(&class)
            .into_iter()
            .flat_map(BTreeMap::values);
        for thing in things.filter(|t| t.counts()) {
            self.there += 1;
            self.proposed += u64::from(share(&thing.pixels, &proposed) >= FOUND_SHARE);
            self.found += u64::from(share(&thing.pixels, &reported) >= FOUND_SHARE);
        }
        for f in found {
            self.reported += 1;
            self.real += u64::from(share(&f.pixels, &real) >= REAL_SHARE);
        }
    }
}

/// Share of some pixels that are set.
fn share(pixels: &[usize], of: &[bool]) -> f64 {
    let set = pixels.iter().filter(|i| of.get(**i) == Some(&true));
    set.count() as f64 / pixels.len().max(1) as f64
}

/// A rock, a vein or a field in an image.
#[derive(Clone, Debug, Default)]
struct Thing {
    pixels: Vec<usize>,
    /// Whether it is high and near enough.
    wanted: bool,
}

impl Thing {
    fn counts(&self) -> bool {
        self.wanted && self.pixels.len() >= LEAST_PX
    }
}

/// What is in an image.
struct Truth {
    width: usize,
    things: BTreeMap<SurfaceClass, BTreeMap<u32, Thing>>,
    pixels: usize,
}

impl Truth {
    fn of(station: &Station, view: &Labelled, marks: &Marks, camera: &Pinhole) -> Self {
        let frame = &view.frame;
        let iso = station.map_from_camera.iso;
        let eye = iso.translation.vector;
        let mut things: BTreeMap<_, BTreeMap<u32, Thing>> = SurfaceClass::SMALL
            .into_iter()
            .map(|class| (class, BTreeMap::new()))
            .collect();
        let mut put = |class: SurfaceClass, number: u32, pixel: usize, wanted: bool| {
            let of = things.entry(class).or_default().entry(number).or_default();
            of.pixels.push(pixel);
            of.wanted = wanted;
        };
        for (i, depth) in frame.depth_m.iter().enumerate() {
            let depth = f64::from(*depth);
            let number = usize::from(view.rocks[i]);
            if number > 0 {
                let rock = &view.rocks_in_view[number - 1];
                let near = (rock.x_m - eye.x).hypot(rock.y_m - eye.y) <= FARTHEST_ROCK_M;
                put(
                    SurfaceClass::FloatRock,
                    number as u32,
                    i,
                    near && rock.height_m >= ROCK_M,
                );
            } else if depth <= FARTHEST_M && frame.class[i] & ROCK == 0 {
                let ray = camera.ray((i % frame.width) as f64, (i / frame.width) as f64);
                let at = iso * nalgebra::Point3::from(ray * depth);
                if let Some((mark, group)) = marks.at(at.x, at.y) {
                    let class = match mark {
                        Mark::Vein => SurfaceClass::Vein,
                        Mark::Nodule => SurfaceClass::Nodule,
                    };
                    put(class, group, i, true);
                }
            }
        }
        Self {
            width: frame.width,
            things,
            pixels: frame.depth_m.len(),
        }
    }

    /// The pixels of all things of a class and those beside them.
    fn real(&self, class: SurfaceClass) -> Vec<bool> {
        let things = self
            .things
            .get(&class)
            .into_iter()
            .flat_map(BTreeMap::values);
        self.around(&mut things.flat_map(|t| t.pixels.iter().copied()))
    }

    /// The pixels and those beside them.
    fn around(&self, of: &mut dyn Iterator<Item = usize>) -> Vec<bool> {
        let mut out = vec![false; self.pixels];
        let (w, h) = (self.width as i64, (self.pixels / self.width.max(1)) as i64);
        for i in of {
            let (x, y) = (i as i64 % w, i as i64 / w);
            for v in (y - BESIDE_PX).max(0)..=(y + BESIDE_PX).min(h - 1) {
                for u in (x - BESIDE_PX).max(0)..=(x + BESIDE_PX).min(w - 1) {
                    out[(v * w + u) as usize] = true;
                }
            }
        }
        out
    }
}
