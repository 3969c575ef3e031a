//! What goes home first: thumbnails, crops of targets and whole frames, by worth per bit under a budget.

use super::{Crop, Target, Wants, image_worth};
use crate::classes::GreyImage;
use serde::{Deserialize, Serialize};
use sojourn_core::{CoreError, error::in_range};

/// Bits that a picture takes at least: its header.
const HEADER_BITS: f64 = 800.0;

/// How images are cut up for the link.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Width of the thumbnail that goes first, pixels.
    pub thumbnail_px: usize,
    /// Margin around a target's crop, share of its side.
    pub crop_margin: f64,
    /// Worth of a thumbnail, share of its image's.
    pub thumbnail_share: f64,
}

impl Rules {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError`] that names `what` and the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        let px = self.thumbnail_px as f64;
        in_range(what, "downlink.thumbnail_px", px, 8.0, 1024.0)?;
        in_range(what, "downlink.crop_margin", self.crop_margin, 0.0, 5.0)?;
        in_range(
            what,
            "downlink.thumbnail_share",
            self.thumbnail_share,
            0.0,
            1.0,
        )?;
        Ok(())
    }
}

/// What is sent of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Product {
    /// A small version of all of it.
    Thumbnail,
    /// The part around its target of this number.
    Crop(usize),
    /// All of it.
    Frame,
}

/// Something that could be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Name of the image.
    pub image: String,
    /// What of it.
    pub product: Product,
    /// Part of the image; none for all of it.
    pub crop: Option<Crop>,
    /// Size, bits.
    pub bits: f64,
    /// Worth to the science team.
    pub worth: f64,
}

impl Item {
    fn per_bit(&self) -> f64 {
        self.worth / self.bits.max(1.0)
    }
}

/// The queue and what of it fits into a budget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// In the order in which they are sent.
    pub items: Vec<Item>,
    /// Of them, from the front, those that fit.
    pub within: usize,
    /// Bits of these.
    pub bits: f64,
}

/// Bits that a part of an image takes without loss: entropy of the differences between neighbours (first-order; what
/// predictive coders as ICER's lossless mode or JPEG-LS come near to).
#[must_use]
pub fn bits(image: &GreyImage<'_>, crop: Option<Crop>) -> f64 {
    let c = crop.unwrap_or(Crop {
        col: 0,
        row: 0,
        width: image.width,
        height: image.height,
    });
    let mut counts = [0u32; 256];
    let mut n = 0u32;
    for r in c.row..(c.row + c.height).min(image.height) {
        let line = image
            .data
            .get(r * image.width + c.col..r * image.width + (c.col + c.width).min(image.width));
        for w in line.unwrap_or_default().windows(2) {
            counts[usize::from(w[1].wrapping_sub(w[0]))] += 1;
            n += 1;
        }
    }
    let total = f64::from(n.max(1));
    let entropy: f64 = counts
        .iter()
        .filter(|k| **k > 0)
        .map(|k| {
            let p = f64::from(*k) / total;
            -p * p.log2()
        })
        .sum();
    HEADER_BITS + entropy * total
}

/// Everything that could be sent of an image: thumbnail, crops of its best targets, frame.
#[must_use]
pub fn products(name: &str, image: &GreyImage<'_>, targets: &[Target], wants: &Wants) -> Vec<Item> {
    let rules = wants.downlink;
    let worth = image_worth(targets, wants);
    let frame_bits = bits(image, None);
    let shrink = (rules.thumbnail_px as f64 / image.width.max(1) as f64).min(1.0);
    let item = |product, crop, bits, worth| Item {
        image: name.to_string(),
        product,
        crop,
        bits,
        worth,
    };
    let mut out = vec![item(
        Product::Thumbnail,
        None,
        HEADER_BITS + (frame_bits - HEADER_BITS) * shrink * shrink,
        worth * rules.thumbnail_share,
    )];
    for (k, t) in targets.iter().take(wants.most_targets).enumerate() {
        let side = t.crop.width.max(t.crop.height) as f64 * (0.5 + rules.crop_margin);
        let middle = |lo: usize, n: usize| lo as f64 + 0.5 * n as f64;
        let (u, v) = (
            middle(t.crop.col, t.crop.width),
            middle(t.crop.row, t.crop.height),
        );
        if let Some(crop) = Crop::around(u, v, side, image.width, image.height) {
            out.push(item(
                Product::Crop(k),
                Some(crop),
                bits(image, Some(crop)),
                t.score,
            ));
        }
    }
    out.push(item(Product::Frame, None, frame_bits, worth));
    out
}

/// Orders everything: thumbnails first, in order of worth per bit; then crops and frames in order of worth per bit. Of the
/// whole, as many from the front as the budget takes.
#[must_use]
pub fn queue(mut items: Vec<Item>, budget_bits: f64) -> Queue {
    items.retain(|i| i.bits.is_finite() && i.worth.is_finite() && i.bits > 0.0);
    items.sort_by(|a, b| {
        let later = |i: &Item| i.product != Product::Thumbnail;
        later(a)
            .cmp(&later(b))
            .then(b.per_bit().total_cmp(&a.per_bit()))
            .then(a.image.cmp(&b.image))
            .then(a.product.cmp(&b.product))
    });
    let (mut within, mut sum) = (0, 0.0);
    for i in &items {
        if sum + i.bits > budget_bits {
            break;
        }
        sum += i.bits;
        within += 1;
    }
    Queue {
        items,
        within,
        bits: sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(image: &str, product: Product, bits: f64, worth: f64) -> Item {
        Item {
            image: image.into(),
            product,
            crop: None,
            bits,
            worth,
        }
    }

    #[test]
    fn thumbnails_go_first_then_worth_per_bit() {
        let q = queue(
            vec![
                item("a", Product::Frame, 1000.0, 10.0),
                item("b", Product::Frame, 1000.0, 20.0),
                item("b", Product::Crop(0), 100.0, 15.0),
                item("a", Product::Thumbnail, 10.0, 0.1),
                item("c", Product::Frame, 1000.0, f64::NAN),
            ],
            1200.0,
        );
        let names: Vec<(&str, Product)> = q
            .items
            .iter()
            .map(|i| (i.image.as_str(), i.product))
            .collect();
        assert_eq!(
            names,
            [
                ("a", Product::Thumbnail),
                ("b", Product::Crop(0)),
                ("b", Product::Frame),
                ("a", Product::Frame)
            ]
        );
        assert_eq!((q.within, q.bits), (3, 1110.0));
    }

    #[test]
    fn flat_pictures_are_small_and_noise_is_large() {
        let size = |of: &dyn Fn(usize) -> u8| {
            let data: Vec<u8> = (0..64 * 64).map(of).collect();
            let image = GreyImage {
                width: 64,
                height: 64,
                data: &data,
            };
            bits(&image, None)
        };
        let flat = size(&|_| 80);
        let noise = size(&|i| (i.wrapping_mul(i).wrapping_mul(2_654_435_761) >> 7) as u8);
        assert!(flat < 1000.0 && noise > 20_000.0, "{flat} {noise}");
    }

    proptest! {
        #[test]
        fn the_budget_holds(
            all in proptest::collection::vec((1.0f64..1e6, 0.0f64..10.0, 0usize..4), 0..40),
            budget in 0.0f64..2e6,
        ) {
            let items: Vec<Item> = all
                .iter()
                .enumerate()
                .map(|(k, (bits, worth, p))| {
                    let product = match p {
                        0 => Product::Thumbnail,
                        3 => Product::Frame,
                        k => Product::Crop(*k),
                    };
                    item(&k.to_string(), product, *bits, *worth)
                })
                .collect();
            let q = queue(items, budget);
            prop_assert!(q.bits <= budget && q.within <= q.items.len() && q.items.len() == all.len());
        }
    }
}
