//! An archive of images that can be asked: which are like this one, which show most of a class, which are unlike all.

use super::classify::{Classified, Classifier};
use serde::{Deserialize, Serialize};
use sojourn_core::classes::SurfaceClass;
use std::collections::BTreeMap;

/// What is kept of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The file, relative to the archive's folder.
    pub file: String,
    /// Share of the image's pixels by class name, unknown among them.
    pub shares: BTreeMap<String, f64>,
    /// How unlike the images learnt from it is; above 1 it is unlike ([`Classified::distance`]).
    pub distance: f64,
    /// The network's pooled features.
    pub features: Vec<f32>,
}

impl Entry {
    /// What is kept of an answer. A class with less probability than `unknown_below` is unknown; that an image is
    /// unlike those learnt from stands in `distance`, not here.
    #[must_use]
    pub fn new(file: String, said: &Classified, unknown_below: f32) -> Self {
        let mut counts = [0_u64; SurfaceClass::OF_IMAGES.len()];
        let pixels = said.probabilities.pixels();
        for pixel in 0..pixels {
            let (class, probability) = said.decided(pixel);
            let class = if probability >= unknown_below {
                class
            } else {
                SurfaceClass::Unknown
            };
            counts[class as usize] += 1;
        }
        let share = |n: u64| n as f64 / pixels.max(1) as f64;
        Self {
            file,
            shares: SurfaceClass::OF_IMAGES
                .iter()
                .zip(counts)
                .map(|(s, n)| (s.traits().name.to_owned(), share(n)))
                .collect(),
            distance: said.distance,
            features: said.pooled.clone(),
        }
    }
}

/// An entry's place in the archive and the number it was ranked by.
pub type Ranked = (usize, f64);

/// Entries by how alike they are to an image with these features, the most alike first: Mahalanobis distance of pooled
/// features. An entry whose features are of another length or not numbers comes last.
#[must_use]
pub fn alike(classifier: &Classifier, entries: &[Entry], features: &[f32]) -> Vec<Ranked> {
    let mut ranked: Vec<Ranked> = entries
        .iter()
        .map(|e| classifier.unlikeness(&e.features, features))
        .enumerate()
        .collect();
    ranked.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    ranked
}

/// Entries by the share of a class, the greatest first.
#[must_use]
pub fn by_class(entries: &[Entry], class: SurfaceClass) -> Vec<Ranked> {
    by(entries, |e| {
        e.shares.get(class.traits().name).copied().unwrap_or(0.0)
    })
}

/// Entries by how unlike the images learnt from they are, the strangest first.
#[must_use]
pub fn strange(entries: &[Entry]) -> Vec<Ranked> {
    by(entries, |e| e.distance)
}

fn by(entries: &[Entry], number: impl Fn(&Entry) -> f64) -> Vec<Ranked> {
    let mut ranked: Vec<Ranked> = entries.iter().map(number).enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked
}

/// A picture of any size as the network wants it: whole blocks of pixels averaged until a row has fewer than twice
/// `across` pixels, then cut at the right and below to multiples of 32. None when less than 32 pixels are left.
#[must_use]
pub fn fitted(
    width: usize,
    height: usize,
    levels: &[u8],
    across: usize,
) -> Option<(usize, usize, Vec<u8>)> {
    let block = (width / across.max(1)).max(1);
    let multiple = super::net::MULTIPLE;
    let cut = |side: usize| side / block / multiple * multiple;
    let (w, h) = (cut(width), cut(height));
    if w == 0 || h == 0 || levels.len() != width * height {
        return None;
    }
    let area = (block * block) as u32;
    let mut out = Vec::with_capacity(w * h);
    for y in 0..h {
        for x in 0..w {
            let mut sum = area / 2;
            for row in y * block..(y + 1) * block {
                let from = row * width + x * block;
                sum += levels[from..from + block]
                    .iter()
                    .map(|v| u32::from(*v))
                    .sum::<u32>();
            }
            out.push((sum / area) as u8);
        }
    }
    Some((w, h, out))
}

#[cfg(test)]
mod tests {
    use super::super::GreyImage;
    use super::*;

    fn entry(file: &str, seed: usize) -> Entry {
        let data: Vec<u8> = (0..64 * 64)
            .map(|k| ((k * seed * 7 + k / 64) % 251) as u8)
            .collect();
        let classifier = Classifier::shipped().unwrap();
        let image = GreyImage {
            width: 64,
            height: 64,
            data: &data,
        };
        Entry::new(file.into(), &classifier.classify(&image).unwrap(), 0.5)
    }

    #[test]
    fn an_image_is_most_like_itself_and_shares_add_up() {
        let entries = [entry("a", 1), entry("b", 5), entry("c", 11)];
        for (k, e) in entries.iter().enumerate() {
            assert!((e.shares.values().sum::<f64>() - 1.0).abs() < 1e-9);
            let ranked = alike(&Classifier::shipped().unwrap(), &entries, &e.features);
            assert_eq!(ranked[0], (k, 0.0));
            assert!(ranked[1].1 > 0.0 && ranked[1].1 <= ranked[2].1);
        }
        let mut bad = entries.to_vec();
        bad[0].features = vec![f32::NAN; 3];
        let ranked = alike(&Classifier::shipped().unwrap(), &bad, &entries[1].features);
        assert_eq!((ranked[0].0, ranked[2].0), (1, 0));
        for ranked in [by_class(&entries, SurfaceClass::Sand), strange(&entries)] {
            assert!(ranked.windows(2).all(|w| w[0].1 >= w[1].1));
        }
    }

    #[test]
    fn large_pictures_are_averaged_and_cut() {
        let levels: Vec<u8> = (0..1030 * 70)
            .map(|k| if k % 2 == 0 { 10 } else { 20 })
            .collect();
        let (w, h, out) = fitted(1030, 140, &[levels.clone(), levels].concat(), 256).unwrap();
        assert_eq!((w, h), (256, 32));
        assert!(out.iter().all(|v| *v == 15));
        assert_eq!(fitted(31, 200, &[0; 6200], 256), None);
        assert_eq!(fitted(64, 64, &[0; 3], 256), None);
    }
}
