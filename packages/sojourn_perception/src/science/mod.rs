//! Targets for the science team in the rover's images, and what of the images is worth sending home first.
//!
//! [`rock_targets`] makes targets of rocks that the terrain grid holds, [`odd_targets`] finds patches of an image that are
//! unlike the rest of it (a stand-in for what a geologist's eye catches: tone, texture, layers), [`odd_colours`] patches of
//! another hue, [`outcrops`] exposed bedrock by the classes of its pixels, [`small_targets`] veins and nodules. [`Memory`]
//! says how new something is against what was seen before (running Gaussian over descriptors), and [`Wants`] is what the team asked for.
//! [`Watcher`] does both for the image of a view and tells where the targets stand. [`downlink`] orders images, crops and thumbnails by worth per bit.

mod areas;
pub mod downlink;
mod patches;
mod watcher;

pub use areas::{odd_colours, outcrops};
pub use patches::{DESCRIPTORS, Descriptor, Memory, odd_targets};
pub use watcher::{Known, Watcher, horizon};

use crate::classes::GreyImage;
use crate::rocks::Rock;
use crate::small::Small;
use serde::{Deserialize, Serialize};
use sojourn_core::{CoreError, classes::SurfaceClass, error::in_range, params};
use std::collections::BTreeMap;
use std::path::Path;

/// A kind of target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A rock lying on the ground.
    FloatRock,
    /// A patch whose edges run one way.
    Layered,
    /// A patch brighter or darker than nearly all of the image.
    OddTone,
    /// A patch rougher or smoother than nearly all of the image.
    OddTexture,
    /// A patch of another hue than nearly all of the image; only where the image has colour.
    OddColour,
    /// Exposed bedrock.
    Outcrop,
    /// A bright seam of mineral.
    Vein,
    /// A field of nodules.
    Nodule,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::FloatRock,
        Self::Layered,
        Self::OddTone,
        Self::OddTexture,
        Self::OddColour,
        Self::Outcrop,
        Self::Vein,
        Self::Nodule,
    ];

    /// The name in documents and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FloatRock => "float_rock",
            Self::Layered => "layered",
            Self::OddTone => "odd_tone",
            Self::OddTexture => "odd_texture",
            Self::OddColour => "odd_colour",
            Self::Outcrop => "outcrop",
            Self::Vein => "vein",
            Self::Nodule => "nodule",
        }
    }
}

/// What the science team wants: `config/science.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wants {
    /// Worth of each kind.
    pub kinds: BTreeMap<Kind, f64>,
    /// Least useful size and the size from which larger is not better, metres.
    pub size_m: [f64; 2],
    /// Distance up to which nearer is not better and the farthest useful one, metres.
    pub distance_m: [f64; 2],
    /// Robust standard deviations from which a patch is odd.
    pub odd_from: f64,
    /// How much novelty counts.
    pub novelty_weight: f64,
    /// Targets of one image that count.
    pub most_targets: usize,
    /// What is sent.
    pub downlink: downlink::Rules,
}

impl Wants {
    /// What comes with Sojourn, `config/science.yaml` as it was when this was built.
    ///
    /// # Errors
    /// [`CoreError`] when that file was broken at the time.
    pub fn shipped() -> Result<Self, CoreError> {
        let what = "config/science.yaml";
        let wants: Self =
            params::parse_yaml(what, include_str!("../../../../config/science.yaml"))?;
        wants.check(what)?;
        Ok(wants)
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and the key.
    pub fn load(path: &Path) -> Result<Self, CoreError> {
        let wants: Self = params::load_yaml(path)?;
        wants.check(&path.display().to_string())?;
        Ok(wants)
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`CoreError`] that names `what` and the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        for (kind, weight) in &self.kinds {
            in_range(what, &format!("kinds.{}", kind.name()), *weight, 0.0, 100.0)?;
        }
        for (key, [a, b]) in [("size_m", self.size_m), ("distance_m", self.distance_m)] {
            in_range(what, &format!("{key}[0]"), a, 0.01, 1000.0)?;
            in_range(what, &format!("{key}[1]"), b, a * 1.001, 1000.0)?;
        }
        in_range(what, "odd_from", self.odd_from, 1.0, 100.0)?;
        in_range(what, "novelty_weight", self.novelty_weight, 0.0, 10.0)?;
        in_range(what, "most_targets", self.most_targets as f64, 1.0, 1000.0)?;
        self.downlink.check(what)
    }

    fn weight(&self, kind: Kind) -> f64 {
        self.kinds.get(&kind).copied().unwrap_or(0.0)
    }

    /// Worth of a target of a kind, size and distance, before novelty; 0 when it is not wanted.
    #[must_use]
    pub fn worth(&self, kind: Kind, size_m: f64, distance_m: f64) -> f64 {
        let (s, d) = (self.size_m, self.distance_m);
        if !(size_m >= s[0] && distance_m <= d[1]) {
            return 0.0;
        }
        let large = (size_m / s[1]).min(1.0);
        let near = (1.0 - (distance_m - d[0]) / (d[1] - d[0])).clamp(0.1, 1.0);
        self.weight(kind) * large * near
    }
}

/// A part of an image, pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crop {
    /// First column.
    pub col: usize,
    /// First row, from the top.
    pub row: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Crop {
    /// Around a middle, cut at the image's edges; `None` when nothing of it is in the image.
    #[must_use]
    pub fn around(u: f64, v: f64, half_px: f64, width: usize, height: usize) -> Option<Self> {
        let span = |middle: f64, n: usize| {
            let lo = (middle - half_px).floor().max(0.0);
            let hi = (middle + half_px).ceil().min(n as f64);
            (hi - lo >= 2.0).then_some((lo as usize, (hi - lo) as usize))
        };
        let ((col, width), (row, height)) = (span(u, width)?, span(v, height)?);
        Some(Self {
            col,
            row,
            width,
            height,
        })
    }
}

/// Something worth a closer look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// What it is.
    pub kind: Kind,
    /// Where in the image.
    pub crop: Crop,
    /// Where in the frame that the rocks came in, metres; none where no range is known.
    pub position_m: Option<[f64; 3]>,
    /// Size, metres; none where no range is known.
    pub size_m: Option<f64>,
    /// Worth to the science team, novelty included.
    pub score: f64,
    /// One sentence: why.
    pub reason: String,
}

/// Where a rock is seen: middle in the image, pixels, and distance from the camera, metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight {
    /// Column.
    pub u: f64,
    /// Row from the top.
    pub v: f64,
    /// Distance, metres.
    pub distance_m: f64,
    /// Pixels that a metre takes there.
    pub px_per_m: f64,
}

/// Rocks of the terrain grid that stand in an image, as targets. `sight` says where a point of the rocks' frame is seen, if
/// it is. What was seen is remembered.
pub fn rock_targets(
    image: &GreyImage<'_>,
    rocks: &[Rock],
    wants: &Wants,
    memory: &mut Memory,
    sight: impl Fn([f64; 3]) -> Option<Sight>,
) -> Vec<Target> {
    let mut out: Vec<Target> = rocks
        .iter()
        .filter_map(|r| {
            let middle = [r.x_m, r.y_m, r.ground_m + 0.5 * r.height_m];
            let s = sight(middle)?;
            let size_m = r.diameter_m.max(r.height_m);
            let worth = wants.worth(Kind::FloatRock, size_m, s.distance_m);
            let crop = Crop::around(
                s.u,
                s.v,
                0.6 * size_m * s.px_per_m,
                image.width,
                image.height,
            )?;
            if worth <= 0.0 {
                return None;
            }
            let new = Descriptor::of(image, crop).map_or(0.0, |d| memory.novelty(&d));
            Some(Target {
                kind: Kind::FloatRock,
                crop,
                position_m: Some(middle),
                size_m: Some(size_m),
                score: worth * (1.0 + wants.novelty_weight * new),
                reason: format!(
                    "rock {size_m:.2} m across and {:.2} m high, {:.1} m away{}",
                    r.height_m,
                    s.distance_m,
                    if new > 0.5 {
                        ", unlike what was seen before"
                    } else {
                        ""
                    }
                ),
            })
        })
        .collect();
    rank(&mut out);
    for t in &out {
        if let Some(d) = Descriptor::of(image, t.crop) {
            memory.take(&d);
        }
    }
    out
}

/// Veins and fields of nodules as targets; `sight` as for [`rock_targets`], which float rocks are left to. What was seen is
/// remembered.
pub fn small_targets(
    image: &GreyImage<'_>,
    found: &[Small],
    wants: &Wants,
    memory: &mut Memory,
    sight: impl Fn([f64; 3]) -> Option<Sight>,
) -> Vec<Target> {
    let mut out = Vec::new();
    for small in found {
        let (kind, words) = match small.class {
            SurfaceClass::Vein => (Kind::Vein, "bright vein"),
            SurfaceClass::Nodule => (Kind::Nodule, "field of dark nodules"),
            _ => continue,
        };
        let Some(s) = sight(small.position_m) else {
            continue;
        };
        let (half_px, size_m) = (0.6 * small.size_m * s.px_per_m, small.size_m);
        let crop = Crop::around(s.u, s.v, half_px, image.width, image.height);
        let worth = wants.worth(kind, size_m, s.distance_m);
        let Some(crop) = crop.filter(|_| worth > 0.0) else {
            continue;
        };
        let descriptor = Descriptor::of(image, crop);
        let new = descriptor.map_or(0.0, |d| memory.novelty(&d));
        out.push((
            descriptor,
            Target {
                kind,
                crop,
                position_m: Some(small.position_m),
                size_m: Some(size_m),
                score: worth * (1.0 + wants.novelty_weight * new),
                reason: format!("{words} {size_m:.1} m long, {:.1} m away", s.distance_m),
            },
        ));
    }
    for d in out.iter().filter_map(|(d, _)| d.as_ref()) {
        memory.take(d);
    }
    let mut out: Vec<Target> = out.into_iter().map(|(_, t)| t).collect();
    rank(&mut out);
    out
}

/// Best first; equal ones from the top left.
pub fn rank(targets: &mut [Target]) {
    targets.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then((a.crop.row, a.crop.col).cmp(&(b.crop.row, b.crop.col)))
    });
}

/// Worth of an image: its best targets together.
#[must_use]
pub fn image_worth(targets: &[Target], wants: &Wants) -> f64 {
    let mut scores: Vec<f64> = targets.iter().map(|t| t.score).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    // From zero: the sum of nothing is -0.0 in Rust, which people would read.
    scores
        .iter()
        .take(wants.most_targets)
        .fold(0.0, |sum, s| sum + s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn large_near_rocks_are_worth_most_and_what_is_out_of_view_is_none() {
        let wants = Wants::shipped().unwrap();
        let data: Vec<u8> = (0..64 * 64).map(|i| (i * 7 % 200) as u8).collect();
        let image = GreyImage {
            width: 64,
            height: 64,
            data: &data,
        };
        let rock = |x_m: f64, diameter_m: f64| Rock {
            x_m,
            y_m: 0.0,
            ground_m: 0.0,
            diameter_m,
            height_m: 0.5 * diameter_m,
            height_sigma_m: 0.01,
        };
        let rocks = [
            rock(4.0, 0.3),
            rock(4.5, 0.9),
            rock(11.0, 0.9),
            rock(40.0, 2.0),
            rock(-3.0, 1.0),
        ];
        let see = |p: [f64; 3]| {
            (p[0] > 0.0).then(|| Sight {
                u: 32.0,
                v: 32.0,
                distance_m: p[0],
                px_per_m: 50.0 / p[0],
            })
        };
        let found = rock_targets(&image, &rocks, &wants, &mut Memory::default(), see);
        let at: Vec<f64> = found.iter().map(|t| t.position_m.unwrap()[0]).collect();
        assert_eq!(at, [4.5, 4.0, 11.0]);
        assert!(image_worth(&found, &wants) > image_worth(&found[1..], &wants));
    }

    #[test]
    fn wrong_wishes_are_named() {
        let mut wants = Wants::shipped().unwrap();
        wants.size_m = [1.0, 0.5];
        assert!(
            wants
                .check("w")
                .unwrap_err()
                .to_string()
                .contains("size_m[1]")
        );
    }

    proptest! {
        #[test]
        fn crops_stay_in_the_image(u in -50.0f64..150.0, v in -50.0f64..150.0, half in 0.1f64..80.0) {
            if let Some(c) = Crop::around(u, v, half, 100, 80) {
                prop_assert!(c.col + c.width <= 100 && c.row + c.height <= 80 && c.width >= 2 && c.height >= 2);
            }
        }
    }
}
