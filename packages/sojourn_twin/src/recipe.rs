//! What a generated world is to be like: the files of `config/worlds/`.

use crate::{
    TwinError,
    surface::{CraterParams, PlateParams, RippleParams},
};
use serde::{Deserialize, Serialize};
use sojourn_core::{CoreError, classes::TerrainClass, error::in_range, files};
use std::{collections::BTreeMap, path::Path};

/// Rocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RockRecipe {
    /// Golombek's k: the share of ground that rocks would cover if arbitrarily small ones counted.
    pub cfa: f64,
    /// Least diameter, metres.
    pub min_m: f64,
    /// Greatest diameter, metres.
    pub max_m: f64,
    /// Rocks by class relative to one another; classes that are not named count 1. The mean over a world is always `cfa`.
    pub weights: BTreeMap<TerrainClass, f64>,
}

/// How kinds of ground are spread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoverRecipe {
    /// Share of the ground of each class, 0 to 1; what is left is smooth regolith. Crater walls and scarps come with the
    /// shape of the ground.
    pub shares: BTreeMap<TerrainClass, f64>,
    /// Size of patches, metres.
    pub patch_m: f64,
    /// How much sand keeps to low and rock to high ground: 0 not at all, 1 more than anything else.
    pub follows_relief: f64,
    /// Slope from which ground counts as scarp, degrees.
    pub scarp_deg: f64,
}

/// The image as taken from orbit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRecipe {
    /// Size of a pixel, metres.
    pub resolution_m: f64,
    /// Direction to the sun, degrees counter-clockwise from east.
    pub sun_azimuth_deg: f64,
    /// Height of the sun, degrees.
    pub sun_elevation_deg: f64,
    /// Standard deviation of the point-spread function, pixels.
    pub psf_px: f64,
    /// Signal over noise at mid brightness.
    pub signal_to_noise: f64,
}

/// A kind of world. Everything random comes from the seed that goes with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What it is for, for people.
    pub about: String,
    /// Extent east and north, metres; a world made from a site has the site's.
    pub size_m: [f64; 2],
    /// Cells of the elevation model, metres.
    pub dtm_resolution_m: f64,
    /// Distance of the nodes of the ground truth, metres.
    pub node_m: f64,
    /// Tilt of the regional plane, degrees; its direction comes from the seed.
    pub slope_deg: f64,
    /// Relief on top: root mean square of the slope over 2 m, degrees.
    pub relief_rms_deg: f64,
    /// Longest wavelength of the relief, metres.
    pub relief_longest_m: f64,
    /// Kinds of ground.
    pub cover: CoverRecipe,
    /// Rocks.
    pub rocks: RockRecipe,
    /// Craters.
    pub craters: CraterParams,
    /// Ripples of sand.
    pub ripples: RippleParams,
    /// Plates of bedrock.
    pub plates: PlateParams,
    /// The image.
    pub image: ImageRecipe,
    /// Date of the layers (ISO 8601): when the ground is taken to have been seen.
    pub date: String,
    /// Date after which they should not be used any more, if there is one.
    pub expiry: Option<String>,
}

impl Recipe {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`TwinError::Core`] that names the file and the key.
    pub fn load(path: &Path) -> Result<Self, TwinError> {
        let what = path.display().to_string();
        let text = files::read_text(path, 1 << 20)?;
        let recipe: Self =
            serde_yaml::from_str(&text).map_err(|e| CoreError::format(&what, e.to_string()))?;
        recipe.check(&what)?;
        Ok(recipe)
    }

    /// Checks every value; `what` names the document.
    ///
    /// # Errors
    /// [`TwinError::Core`] that names the key.
    pub fn check(&self, what: &str) -> Result<(), TwinError> {
        let range = |name: &str, v: f64, lo: f64, hi: f64| in_range(what, name, v, lo, hi);
        let dtm_m = range("dtm_resolution_m", self.dtm_resolution_m, 0.05, 100.0)?;
        for (name, v) in [("size_m[0]", self.size_m[0]), ("size_m[1]", self.size_m[1])] {
            range(name, v, 8.0 * dtm_m, 20_000.0 * dtm_m)?;
        }
        range("node_m", self.node_m, 0.01, dtm_m)?;
        range("slope_deg", self.slope_deg, 0.0, 35.0)?;
        range("relief_rms_deg", self.relief_rms_deg, 0.0, 20.0)?;
        range("relief_longest_m", self.relief_longest_m, 4.0 * dtm_m, 1e5)?;
        self.check_cover(what)?;
        let r = &self.rocks;
        range("rocks.cfa", r.cfa, 0.0, 0.2)?;
        range("rocks.min_m", r.min_m, 0.02, 1.0)?;
        range("rocks.max_m", r.max_m, 1.5 * r.min_m, 5.0)?;
        for (class, w) in &r.weights {
            range(&format!("rocks.weights.{}", class.name()), *w, 0.0, 20.0)?;
        }
        let c = &self.craters;
        range("craters.per_km2_over_10m", c.per_km2_over_10m, 0.0, 1000.0)?;
        range("craters.least_m", c.least_m, 0.5, 1000.0)?;
        range("craters.greatest_m", c.greatest_m, c.least_m, 1000.0)?;
        range(
            "ripples.wavelength_m",
            self.ripples.wavelength_m,
            0.2,
            100.0,
        )?;
        range("ripples.height_ratio", self.ripples.height_ratio, 0.0, 0.2)?;
        range("ripples.across_deg", self.ripples.across_deg, -360.0, 360.0)?;
        range("plates.size_m", self.plates.size_m, 0.3, 50.0)?;
        range("plates.step_m", self.plates.step_m, 0.0, 1.0)?;
        range("plates.crack_m", self.plates.crack_m, 0.0, 1.0)?;
        let i = &self.image;
        range("image.resolution_m", i.resolution_m, 0.05, 10.0)?;
        range("image.sun_azimuth_deg", i.sun_azimuth_deg, -360.0, 360.0)?;
        range("image.sun_elevation_deg", i.sun_elevation_deg, 5.0, 90.0)?;
        range("image.psf_px", i.psf_px, 0.0, 4.0)?;
        range("image.signal_to_noise", i.signal_to_noise, 1.0, 1e6)?;
        for (name, date) in [("date", Some(&self.date)), ("expiry", self.expiry.as_ref())] {
            if let Some(date) = date.filter(|d| !looks_like_date(d)) {
                return Err(CoreError::value(what, name, date, "YYYY-MM-DD").into());
            }
        }
        Ok(())
    }

    fn check_cover(&self, what: &str) -> Result<(), TwinError> {
        let cover = &self.cover;
        in_range(what, "cover.patch_m", cover.patch_m, 1.0, 1e4)?;
        in_range(what, "cover.follows_relief", cover.follows_relief, 0.0, 1.0)?;
        in_range(what, "cover.scarp_deg", cover.scarp_deg, 5.0, 90.0)?;
        let mut sum = 0.0;
        for (class, share) in &cover.shares {
            let name = format!("cover.shares.{}", class.name());
            if !SPREAD.contains(class) {
                let names: Vec<_> = SPREAD.iter().map(|c| c.name()).collect();
                return Err(CoreError::value(
                    what,
                    name,
                    share,
                    format!("only {}", names.join(", ")),
                )
                .into());
            }
            sum += in_range(what, &name, *share, 0.0, 1.0)?;
        }
        in_range(what, "cover.shares (their sum)", sum, 0.0, 1.0)?;
        Ok(())
    }

    /// The same world with one class of ground wherever its shape does not make crater walls or scarps; `None` for a class
    /// that cannot be asked for.
    #[must_use]
    pub fn all_of(mut self, class: TerrainClass) -> Option<Self> {
        self.cover.shares.clear();
        if SPREAD.contains(&class) {
            self.cover.shares.insert(class, 1.0);
        } else if class != TerrainClass::SmoothRegolith {
            return None;
        }
        self.about = format!("{} all over", class.traits().name);
        Some(self)
    }

    /// The share of a class that is asked for.
    #[must_use]
    pub fn share(&self, class: TerrainClass) -> f64 {
        self.cover.shares.get(&class).copied().unwrap_or(0.0)
    }
}

/// The classes whose share can be asked for.
pub const SPREAD: [TerrainClass; 5] = [
    TerrainClass::Bedrock,
    TerrainClass::Outcrop,
    TerrainClass::BoulderField,
    TerrainClass::SandRipples,
    TerrainClass::LooseSoil,
];

fn looks_like_date(text: &str) -> bool {
    text.len() == 10
        && text.char_indices().all(|(i, c)| match i {
            4 | 7 => c == '-',
            _ => c.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{config, recipe};

    #[test]
    fn the_shipped_recipes_are_right() {
        let mut seen = 0;
        for entry in std::fs::read_dir(config("worlds")).unwrap() {
            Recipe::load(&entry.unwrap().path()).unwrap();
            seen += 1;
        }
        assert!(seen >= 5);
    }

    #[test]
    fn a_world_can_be_of_one_class() {
        let all = |class: TerrainClass| recipe("mixed").all_of(class);
        let loose = all(TerrainClass::LooseSoil).unwrap();
        loose.check("loose").unwrap();
        assert_eq!(loose.share(TerrainClass::LooseSoil), 1.0);
        assert_eq!(loose.share(TerrainClass::Bedrock), 0.0);
        let smooth = all(TerrainClass::SmoothRegolith).unwrap();
        assert!(smooth.cover.shares.is_empty());
        assert!(all(TerrainClass::CraterOrScarp).is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        type Spoil = fn(&mut Recipe);
        let cases: [(&str, Spoil); 7] = [
            ("rocks.cfa", |r| r.rocks.cfa = 0.5),
            ("size_m[0]", |r| r.size_m[0] = 1.0),
            ("slope_deg", |r| r.slope_deg = f64::NAN),
            ("their sum", |r| {
                r.cover.shares.insert(TerrainClass::Bedrock, 0.6);
                r.cover.shares.insert(TerrainClass::LooseSoil, 0.6);
            }),
            ("crater_or_scarp", |r| {
                r.cover.shares.insert(TerrainClass::CraterOrScarp, 0.1);
            }),
            ("rocks.max_m", |r| r.rocks.max_m = 0.05),
            ("date", |r| r.date = "yesterday".into()),
        ];
        for (key, spoil) in cases {
            let mut r = recipe("mixed");
            spoil(&mut r);
            let message = r.check("r").unwrap_err().to_string();
            assert!(message.contains(key), "{key}: {message}");
        }
    }
}
