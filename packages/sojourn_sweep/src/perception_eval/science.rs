//! The downlink queue beside truth: of many views of many worlds, are the ones that a geologist would want most among the
//! first to go home?
//!
//! The queue sees what perception sees: the left image and the rocks of the stereo grid. What an image is worth is made of
//! the world's own rocks by the same wishes. On rendered ground float rocks are the only targets whose truth is known:
//! layers and odd tones are left out of both.

use super::{Looked, MARGIN_M, RANGE_M, SIDE_M, SUN_RAD, Subject, look};
use crate::SweepError;
use serde::Serialize;
use sojourn_perception::{
    classes::GreyImage,
    science::{
        Kind, Memory, Sight, Wants,
        downlink::{Item, Product, products, queue},
        rock_targets,
    },
};
use sojourn_twin::{
    dataset::{Cameras, Labelled, Station, station},
    folder::View,
    generate::generate,
    noise,
    render::Sun,
};

/// Views in every world.
const VIEWS: u64 = 4;
/// Of all images those that count as the best.
const BEST_SHARE: f64 = 0.1;
/// Share of the whole volume that is sent.
const VOLUME_SHARE: f64 = 0.2;
/// A rock is in an image from so many pixels.
const LEAST_PX: usize = 40;
/// The first seed of the worlds, and the channel of what is drawn for them.
const FIRST_SEED: u64 = 60_001;
const CHANNEL: u64 = 0x5c_1e;
/// Greatest rock abundance of a world (Golombek's k); the least is none.
const GREATEST_CFA: f64 = 0.1;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ScienceFigures {
    /// Share of the best images that are sent whole within the share of the volume.
    pub best_in_20_percent: f64,
    /// Images that count as the best.
    pub best: usize,
    /// The same for images in random order, as it is to be expected.
    pub by_chance: f64,
    /// Share of the true worth of all images that is sent.
    pub worth_sent: f64,
    /// Images.
    pub images: usize,
    /// Rank correlation (Spearman) of the queue's worth and the true one.
    pub rank_correlation: f64,
    /// Targets found in all images.
    pub targets: usize,
}

struct Judged {
    frame: Item,
    thumbnail: Item,
    truth: f64,
}

/// Measures over `seeds` worlds with views each; `done` hears after every world how many there were.
///
/// # Errors
/// [`SweepError`] when a world cannot be made or a parameter is out of range.
pub fn evaluate_science(
    subject: &Subject,
    wants: &Wants,
    seeds: u64,
    mut done: impl FnMut(u64),
) -> Result<ScienceFigures, SweepError> {
    let mut all = Vec::new();
    let mut targets = 0;
    let mut memory = Memory::default();
    for k in 0..seeds {
        let seed = FIRST_SEED + k;
        let mut recipe = subject.recipe.clone();
        recipe.size_m = [SIDE_M, SIDE_M];
        recipe.rocks.cfa = GREATEST_CFA * noise::unit(noise::hash(seed, CHANNEL, 0, 0));
        let folder = generate(seed, &subject.body, &recipe)?;
        let world = folder.world(&View::everything())?;
        let mut cameras = Cameras::new(&subject.rover, RANGE_M, seed);
        for number in 0..VIEWS {
            let station = station(&world, &subject.rover, seed, number as i64, MARGIN_M)?;
            let sun = Sun {
                azimuth_rad: 1.3 * (seed * VIEWS + number) as f64,
                elevation_rad: SUN_RAD[number as usize % SUN_RAD.len()],
            };
            let view = cameras.view(&world, &station, sun, number);
            let Some(Looked { rocks, .. }) = look(subject, &station, &view)? else {
                continue;
            };
            let image = GreyImage {
                width: view.frame.width,
                height: view.frame.height,
                data: &view.frame.left,
            };
            let camera_from_map = station.map_from_camera.iso.inverse();
            let camera = subject.rover.navcam_pinhole();
            let sight = |p: [f64; 3]| {
                let at = camera_from_map * nalgebra::Point3::from(p);
                let [u, v] = camera.project(at.coords)?;
                Some(Sight {
                    u,
                    v,
                    distance_m: at.coords.norm(),
                    px_per_m: camera.fx / at.z,
                })
            };
            let found = rock_targets(&image, &rocks.rocks, wants, &mut memory, sight);
            targets += found.len();
            let name = format!("{seed}-{number}");
            let mut items = products(&name, &image, &found, wants);
            let (Some(frame), Some(thumbnail)) = (
                take(&mut items, Product::Frame),
                take(&mut items, Product::Thumbnail),
            ) else {
                continue;
            };
            all.push(Judged {
                frame,
                thumbnail,
                truth: true_worth(&station, &view, wants),
            });
        }
        done(k + 1);
    }
    Ok(figures(&all, targets))
}

fn take(items: &mut Vec<Item>, product: Product) -> Option<Item> {
    let k = items.iter().position(|i| i.product == product)?;
    Some(items.swap_remove(k))
}

/// Worth of the rocks that really are in an image.
fn true_worth(station: &Station, view: &Labelled, wants: &Wants) -> f64 {
    let mut pixels = vec![0usize; view.rocks_in_view.len() + 1];
    for n in &view.rocks {
        if let Some(p) = pixels.get_mut(usize::from(*n)) {
            *p += 1;
        }
    }
    let eye = station.map_from_camera.iso.translation.vector;
    let mut worths: Vec<f64> = view
        .rocks_in_view
        .iter()
        .enumerate()
        .filter(|(k, _)| pixels[k + 1] >= LEAST_PX)
        .map(|(_, r)| {
            let away_m = (r.x_m - eye.x)
                .hypot(r.y_m - eye.y)
                .hypot(eye.z - station.z_m);
            wants.worth(Kind::FloatRock, r.diameter_m.max(r.height_m), away_m)
        })
        .collect();
    worths.sort_by(|a, b| b.total_cmp(a));
    worths.iter().take(wants.most_targets).sum()
}

fn figures(all: &[Judged], targets: usize) -> ScienceFigures {
    if all.is_empty() {
        return ScienceFigures::default();
    }
    let volume: f64 = all.iter().map(|j| j.frame.bits).sum();
    let items = all
        .iter()
        .flat_map(|j| [j.thumbnail.clone(), j.frame.clone()])
        .collect();
    let sent = queue(items, VOLUME_SHARE * volume);
    let whole: Vec<&str> = sent.items[..sent.within]
        .iter()
        .filter(|i| i.product == Product::Frame)
        .map(|i| i.image.as_str())
        .collect();
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|a, b| all[*b].truth.total_cmp(&all[*a].truth).then(a.cmp(b)));
    let best = ((BEST_SHARE * all.len() as f64).round() as usize).max(1);
    let is_sent = |j: &Judged| whole.contains(&j.frame.image.as_str());
    let hit = order[..best].iter().filter(|i| is_sent(&all[**i])).count();
    let worth: f64 = all.iter().map(|j| j.truth).sum();
    let got: f64 = all.iter().filter(|j| is_sent(j)).map(|j| j.truth).sum();
    ScienceFigures {
        best_in_20_percent: hit as f64 / best as f64,
        best,
        by_chance: whole.len() as f64 / all.len() as f64,
        worth_sent: if worth > 0.0 { got / worth } else { 0.0 },
        images: all.len(),
        rank_correlation: spearman(
            &all.iter().map(|j| j.frame.worth).collect::<Vec<_>>(),
            &all.iter().map(|j| j.truth).collect::<Vec<_>>(),
        ),
        targets,
    }
}

/// Correlation of ranks; equal values share their mean rank.
fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let n = a.len() as f64;
    let mean = (n - 1.0) / 2.0;
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(&b) {
        ab += (x - mean) * (y - mean);
        aa += (x - mean).powi(2);
        bb += (y - mean).powi(2);
    }
    if aa > 0.0 && bb > 0.0 {
        ab / (aa * bb).sqrt()
    } else {
        0.0
    }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    values
        .iter()
        .map(|v| {
            let below = values.iter().filter(|w| *w < v).count() as f64;
            let same = values.iter().filter(|w| *w == v).count() as f64;
            below + 0.5 * (same - 1.0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(k: usize, worth: f64, truth: f64) -> Judged {
        let item = |product, bits| Item {
            image: k.to_string(),
            product,
            crop: None,
            bits,
            worth,
        };
        Judged {
            frame: item(Product::Frame, 1e6),
            thumbnail: item(Product::Thumbnail, 1e3),
            truth,
        }
    }

    #[test]
    fn a_queue_that_knows_sends_the_best_and_one_that_is_wrong_does_not() {
        let right: Vec<Judged> = (0..50).map(|k| judged(k, k as f64, k as f64)).collect();
        let f = figures(&right, 0);
        assert_eq!((f.best, f.best_in_20_percent, f.images), (5, 1.0, 50));
        assert!(f.by_chance <= 0.2 && (f.rank_correlation - 1.0).abs() < 1e-9);
        let wrong: Vec<Judged> = (0..50).map(|k| judged(k, -(k as f64), k as f64)).collect();
        let f = figures(&wrong, 0);
        assert_eq!(f.best_in_20_percent, 0.0);
        assert!((f.rank_correlation + 1.0).abs() < 1e-9);
    }
}
