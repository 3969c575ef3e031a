//! Classes of an image on the cells of the grid.

use crate::common::{Look, coarse, look, params, rover, stand};
use proptest::prelude::*;
use sojourn_core::{
    Stamp,
    camera::Pinhole,
    classes::TerrainClass,
    raster::Raster,
    rover::Rover,
    slip_forecast::{SlipForecast, SlipPriors},
};
use sojourn_perception::{
    Config, Input, Output, Perception,
    classes::Classifier,
    stereo::GreyImage,
    surface::{Beside, ClassedImage, Looker, Said, Taken, forecast, slip},
};

const SOIL: [f32; 4] = [0.9, 0.05, 0.03, 0.02];
const BEDROCK: [f32; 4] = [0.05, 0.9, 0.03, 0.02];
const SAND: [f32; 4] = [0.05, 0.05, 0.88, 0.02];
const DOUBT: [f32; 4] = [0.3, 0.3, 0.2, 0.2];

fn small() -> Rover {
    coarse(rover("perseverance"))
}

fn node(rover: &Rover) -> Perception {
    let mut p = params();
    // The core only asks whether there is a network; the classes of these tests are made by hand.
    p.classes.model = "made by hand".into();
    Perception::new(Config::new(p, rover).unwrap(), rover)
}

/// The classes of an image of the camera, column by column.
fn classed(rover: &Rover, t_s: f64, of_column: impl Fn(usize) -> [f32; 4]) -> ClassedImage {
    let (width, height) = (rover.navcam.width, rover.navcam.height);
    ClassedImage {
        stamp: Stamp::from_secs(t_s),
        size: [width, height],
        block: 1,
        answers: [width, height],
        probabilities: (0..width * height).map(|i| of_column(i % width)).collect(),
        decision: [1.0; 4],
    }
}

fn flat(_: f64, _: f64) -> f64 {
    0.0
}

/// Looks at the ground ahead of (x, 0), the classes of the image beside it.
fn see(
    node: &mut Perception,
    rover: &Rover,
    (t_s, x_m): (f64, f64),
    ground: &dyn Fn(f64, f64) -> f64,
    image: Option<ClassedImage>,
) -> Output {
    let odom_from_base_link = stand(x_m, 0.0, 0.0, ground);
    let at = Look {
        t_s,
        odom_from_base_link,
        pan_rad: 0.0,
    };
    look(node, rover, &at, ground);
    if let Some(image) = image {
        node.step(Stamp::from_secs(t_s), Input::Classed(image));
    }
    node.step(Stamp::from_secs(t_s), Input::Tick)
}

fn class_at(out: &Output, x_m: f64, y_m: f64) -> Option<TerrainClass> {
    let code = out.classes.as_ref().unwrap().class.nearest(x_m, y_m)?;
    TerrainClass::from_code(code as u8)
}

#[test]
fn the_left_of_the_image_is_the_ground_to_the_left() {
    let rover = small();
    let mut node = node(&rover);
    let half = rover.navcam.width / 2;
    let image = classed(&rover, 1.0, |c| if c < half { SAND } else { BEDROCK });
    let out = see(&mut node, &rover, (1.0, 0.0), &flat, Some(image));
    let class = &out.classes.as_ref().unwrap().class;
    // The left camera stands to the left of the rover's middle.
    let middle_m = rover.base_link_from_navcam_panned(0.0).iso.translation.y;
    let mut told = 0;
    for (i, code) in class.data().iter().enumerate() {
        let y = class.centre_m(i % class.cols(), i / class.cols())[1] - middle_m;
        if code.is_finite() && y.abs() > 0.1 {
            let expected = if y > 0.0 {
                TerrainClass::SandRipples
            } else {
                TerrainClass::Bedrock
            };
            assert_eq!(TerrainClass::from_code(*code as u8), Some(expected));
            told += 1;
        }
    }
    assert!(told > 1000, "{told}");
    let layers = out.classes.as_ref().unwrap();
    assert!((layers.probabilities[2].nearest(4.0, 1.0).unwrap() - 0.88).abs() < 1e-3);
    // Behind the rover, and under it where the height is filled by touch, nothing was seen.
    assert_eq!(class_at(&out, -6.0, 0.0), None);
    assert_eq!(class_at(&out, 0.0, 0.0), None);
    let grid = out.grid.as_ref().unwrap();
    for (i, class) in layers.class.data().iter().enumerate() {
        assert!(class.is_nan() || grid.count.data()[i] > 0.0);
    }
}

#[test]
fn classes_that_come_after_their_depth_still_enter_and_others_do_not() {
    let rover = small();
    let mut node = node(&rover);
    let out = see(&mut node, &rover, (1.0, 0.0), &flat, None);
    assert_eq!(class_at(&out, 6.0, 0.0), None);
    let now = Stamp::from_secs(1.2);
    node.step(now, Input::Classed(classed(&rover, 1.0, |_| SAND)));
    let out = node.step(now, Input::Tick);
    assert_eq!(class_at(&out, 6.0, 0.0), Some(TerrainClass::SandRipples));
    assert_eq!(node.counts().classed, 1);
    // Of another stamp, of another size.
    let mut small = classed(&rover, 1.0, |_| BEDROCK);
    small.size = [rover.navcam.width / 2, rover.navcam.height];
    small.answers[0] /= 2;
    small
        .probabilities
        .truncate(small.answers[0] * small.answers[1]);
    node.step(now, Input::Classed(small));
    node.step(now, Input::Classed(classed(&rover, 0.9, |_| BEDROCK)));
    let later = Stamp::from_secs(9.0);
    assert!(node.step(later, Input::Tick).grid.is_none());
    assert_eq!((node.counts().classed, node.counts().unplaced), (1, 2));
}

#[test]
fn doubt_and_bad_numbers_say_nothing() {
    let rover = small();
    let mut node = node(&rover);
    let third = rover.navcam.width / 3;
    let image = classed(&rover, 1.0, |c| match c / third {
        0 => DOUBT,
        1 => [f32::NAN, 0.0, 0.0, 1.0],
        _ => [7.0, 0.0, 0.0, 0.0],
    });
    let out = see(&mut node, &rover, (1.0, 0.0), &flat, Some(image));
    assert!(out.grid.is_some());
    assert!(out.classes.unwrap().class.data().iter().all(|c| c.is_nan()));
    let mut torn = classed(&rover, 2.0, |_| SOIL);
    torn.probabilities.pop();
    let refused = node.counts().refused.values().sum::<u64>();
    node.step(Stamp::from_secs(2.0), Input::Classed(torn));
    let future = classed(&rover, 99.0, |_| SOIL);
    node.step(Stamp::from_secs(2.0), Input::Classed(future));
    assert_eq!(node.counts().refused.values().sum::<u64>(), refused + 2);
}

#[test]
fn newer_views_count_more_and_ground_that_changed_is_forgotten() {
    let rover = small();
    let mut node = node(&rover);
    let mut at = |k: u32, p: [f32; 4], ground: &dyn Fn(f64, f64) -> f64| {
        let t_s = f64::from(k);
        see(
            &mut node,
            &rover,
            (t_s, 0.0),
            ground,
            Some(classed(&rover, t_s, |_| p)),
        )
    };
    for k in 1..4 {
        let out = at(k, SOIL, &flat);
        assert_eq!(class_at(&out, 6.0, 0.0), Some(TerrainClass::SmoothRegolith));
    }
    at(4, SAND, &flat);
    at(5, SAND, &flat);
    let out = at(6, SAND, &flat);
    assert_eq!(class_at(&out, 6.0, 0.0), Some(TerrainClass::SandRipples));
    // A wall now stands there: the first view of it decides.
    let wall = |x: f64, y: f64| if x > 4.0 && y.abs() < 4.0 { 1.0 } else { 0.0 };
    let out = at(7, BEDROCK, &wall);
    let grid = out.grid.as_ref().unwrap();
    assert!(grid.elevation.nearest(4.55, 0.05).unwrap() > 0.8);
    assert_eq!(class_at(&out, 4.55, 0.05), Some(TerrainClass::Bedrock));
}

#[test]
fn without_a_network_there_are_no_classes() {
    let rover = small();
    let mut node = crate::common::node(&rover);
    let out = see(&mut node, &rover, (1.0, 0.0), &flat, None);
    assert!(out.grid.is_some() && out.classes.is_none() && out.views.is_empty());
}

#[test]
fn slip_is_foreseen_by_slope_and_class() {
    let rover = rover("perseverance");
    let forecast =
        SlipForecast::new(rover.slip, 0.15, 0.1).with_priors(&SlipPriors::shipped().unwrap());
    let slope = Raster::filled(3, 1, 0.1, [0.0, 0.0], 10f32.to_radians()).unwrap();
    let codes = [TerrainClass::Bedrock, TerrainClass::SandRipples].map(|c| f32::from(c.code()));
    let class = Raster::new(3, 1, 0.1, [0.0, 0.0], vec![codes[0], codes[1], f32::NAN]).unwrap();
    let [mean, sigma] = slip(&slope, Some(&class), &forecast).unwrap();
    let [firm, sand, own] = [0, 1, 2].map(|c| mean.get(c, 0));
    assert!(firm < 0.05 && sand > 0.2, "{firm} {sand}");
    assert!((f64::from(own) - rover.slip.slip(-10f64.to_radians(), 1.0)).abs() < 1e-6);
    assert!(
        sigma.get(2, 0) > sigma.get(0, 0),
        "what is not known is less sure"
    );
    let nowhere = Raster::filled(3, 1, 0.1, [0.0, 0.0], f32::NAN).unwrap();
    assert!(
        slip(&nowhere, None, &forecast).unwrap()[0]
            .min_max()
            .is_none()
    );
}

#[test]
fn slip_begins_with_what_earlier_drives_learned() {
    let rover = rover("perseverance");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("slip_memory.json");
    let mut params = params().slip;
    params.memory_file = file.display().to_string();
    let sand = Some(f64::from(TerrainClass::SandRipples.code()));
    let uphill = -8f64.to_radians();
    let at = |f: &SlipForecast| f.forecast(uphill, 1.0, sand);
    // Not there yet: nothing was learned.
    let mut learned = forecast(&params, &rover).unwrap();
    let before = at(&learned);
    for _ in 0..50 {
        learned.learn(uphill, 1.0, sand, before.slip + 0.2);
    }
    learned.memory(&rover.name).save(&file).unwrap();
    let after = at(&forecast(&params, &rover).unwrap());
    assert!(after.slip > before.slip + 0.1, "{after:?} {before:?}");
    assert!(after.spread < before.spread, "{after:?} {before:?}");
    assert_eq!(after, at(&learned));
    let slope = Raster::filled(1, 1, 0.1, [0.0, 0.0], 8f32.to_radians()).unwrap();
    let class = slope.like(|_, _| f32::from(TerrainClass::SandRipples.code()));
    let [mean, sigma] = slip(&slope, Some(&class), &forecast(&params, &rover).unwrap()).unwrap();
    assert!((f64::from(mean.get(0, 0)) - after.slip).abs() < 1e-6);
    assert!((f64::from(sigma.get(0, 0)) - after.spread).abs() < 1e-6);
    // Another rover's, and what is none, are refused by name.
    learned.memory("other").save(&file).unwrap();
    let said = forecast(&params, &rover).unwrap_err().to_string();
    assert!(
        said.contains("slip_memory.json") && said.contains("rover"),
        "{said}"
    );
    std::fs::write(&file, "{}").unwrap();
    let said = forecast(&params, &rover).unwrap_err().to_string();
    assert!(
        said.contains("slip_memory.json") && said.contains("no memory of slip"),
        "{said}"
    );
}

fn image(k: i64, width: usize, height: usize) -> GreyImage {
    GreyImage {
        stamp: Stamp(k),
        width,
        height,
        // Swells and a grain: enough like ground that the network answers.
        pixels: (0..width * height)
            .map(|i| {
                let (u, v) = ((i % width) as f32, (i / width) as f32);
                let swell = 18.0 * (0.05 * u + 0.11 * v).sin() + 9.0 * (0.21 * u - 0.3 * v).cos();
                let grain = ((i * 2_654_435_761) >> 7) % 13;
                (90.0 + swell + grain as f32) as u8
            })
            .collect(),
    }
}

#[test]
fn the_network_is_asked_about_the_newest_image_alone() {
    let camera = small().navcam_pinhole();
    let mut params = params().classes;
    params.answer_after_s = 0.5;
    let mut looker = Looker::new(&params);
    let new = |k: i64| image(k, camera.width, camera.height);
    for k in [1, 3, 2] {
        looker.image(new(k));
    }
    let at = Stamp::from_secs;
    assert_eq!(looker.ask(at(1.0), None), None, "the camera is not known");
    assert!(looker.ask(at(1.0), Some(&camera)).is_some());
    // What comes while an answer is awaited waits, the newest of it alone.
    looker.image(new(4));
    looker.image(new(5));
    assert_eq!(looker.ask(at(1.1), Some(&camera)), None);
    assert!(!looker.is_due(at(1.4)) && looker.is_due(at(1.5)));
    assert!(looker.is_due(at(0.2)), "a clock that has gone back");
    assert_eq!(looker.answered(None), None);
    assert_eq!(
        looker.answered(Some(Said::Unlike)),
        None,
        "nothing was asked"
    );
    let l = looker.looks();
    assert_eq!((l.dropped, l.unanswered, l.used), (3, 1, 0));
    let Some(question) = looker.ask(at(1.5), Some(&camera)) else {
        panic!("the fifth image has its turn");
    };
    assert_eq!(looker.ask(at(1.6), Some(&camera)), None);
    match question.put_to(&Classifier::shipped().unwrap()) {
        Said::Classes(classed) => assert_eq!(classed.stamp, Stamp(5)),
        Said::Unlike => {}
        Said::Refused => panic!("the image fits its camera"),
    }
}

/// Asks about one image on the thread of its own and waits for the answer.
fn beside(looker: &mut Looker, beside: &mut Beside, camera: &Pinhole) -> Option<ClassedImage> {
    let question = looker.ask(Stamp(9), Some(camera)).unwrap();
    beside.begin(question);
    let Taken::Said(said, _) = beside.take(true) else {
        panic!("no answer");
    };
    assert_eq!(beside.take(true), Taken::Nothing, "it is taken once");
    looker.answered(Some(said))
}

#[test]
fn an_answer_from_its_own_thread_is_the_answer_and_black_says_nothing() {
    let camera = small().navcam_pinhole();
    let classifier = Classifier::shipped().unwrap();
    let mut looker = Looker::new(&params().classes);
    let mut thread = Beside::new(classifier.clone());
    assert_eq!(thread.take(true), Taken::Nothing, "nothing was asked");
    let mut ask = |image: GreyImage| {
        looker.image(image);
        let said = beside(&mut looker, &mut thread, &camera);
        (said, looker.looks())
    };
    let mut black = image(1, camera.width, camera.height);
    black.pixels.fill(0);
    let (said, l) = ask(black);
    assert_eq!((said, l.used, l.unlike), (None, 1, 1));
    let (said, l) = ask(image(2, 64, 64));
    assert_eq!((said, l.used, l.refused), (None, 1, 1));
    // The same on a thread as in place, to the last bit.
    let new = image(3, camera.width, camera.height);
    let classifier = undaunted();
    let mut looker = Looker::new(&params().classes);
    looker.image(new.clone());
    let said = beside(&mut looker, &mut Beside::new(classifier.clone()), &camera);
    let mut alone = Looker::new(&params().classes);
    alone.image(new);
    let question = alone.ask(Stamp(9), Some(&camera)).unwrap();
    let in_place = alone.answered(Some(question.put_to(&classifier)));
    assert!(said.is_some_and(|image| image.is_whole() && Some(image) == in_place));
}

/// The shipped network, to which nothing is unlike what it learnt from.
fn undaunted() -> Classifier {
    let mut bytes = include_bytes!("../../models/terrain.safetensors").to_vec();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let farthest = tensors.tensor("pooled.farthest").unwrap();
    let at = farthest.data().as_ptr() as usize - bytes.as_ptr() as usize;
    bytes[at..at + 4].copy_from_slice(&1e9f32.to_le_bytes());
    Classifier::new(&bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the network says, probabilities of cells stay probabilities, and the given class is likely enough.
    #[test]
    fn cells_hold_probabilities(raw in prop::collection::vec(prop::array::uniform4(0.0..1.0f32), 1..40)) {
        let rover = small();
        let mut node = node(&rover);
        let sure: Vec<[f32; 4]> = raw
            .iter()
            .map(|p| p.map(|v| v / p.iter().sum::<f32>().max(1e-3)))
            .collect();
        for k in 1..3 {
            let t_s = f64::from(k);
            let image = classed(&rover, t_s, |c| sure[(c * k as usize) % sure.len()]);
            let out = see(&mut node, &rover, (t_s, 0.3 * t_s), &flat, Some(image));
            let layers = out.classes.unwrap();
            for i in 0..layers.class.data().len() {
                let p = layers.probabilities.each_ref().map(|l| l.data()[i]);
                if p[0].is_nan() {
                    prop_assert!(layers.class.data()[i].is_nan());
                    continue;
                }
                prop_assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-3);
                let class = TerrainClass::from_code(layers.class.data()[i] as u8);
                prop_assert!(layers.class.data()[i].is_nan() || class.is_some());
                prop_assert!(layers.class.data()[i].is_nan() || p.iter().any(|v| *v >= 0.499));
            }
        }
    }
}
