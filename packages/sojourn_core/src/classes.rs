//! Terrain classes: one table that the planner, the twin and perception share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of ground as it can be told apart from orbit or from the mast. The order is that of the codes in rasters.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TerrainClass {
    /// Flat, firm rock.
    Bedrock,
    /// Rock standing out of the ground.
    Outcrop,
    /// Many rocks close together.
    BoulderField,
    /// Sand ripples and dunes.
    SandRipples,
    /// Loose sand and dust without form.
    LooseSoil,
    /// A crater's wall or rim, a scarp, a steep slope.
    CraterOrScarp,
    /// Firm soil with some pebbles.
    SmoothRegolith,
    /// Shadow, or no data: nothing is seen there.
    ShadowOrNoData,
    /// Nothing could be told.
    Unknown,
}

/// What a class means for a drive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassTraits {
    /// The class.
    pub class: TerrainClass,
    /// The name in documents.
    pub name: &'static str,
    /// Cost added per metre when a label says so; never negative, so a label can only make ground dearer.
    pub added_cost: f64,
    /// Whether a confident label forbids the ground.
    pub forbids: bool,
}

/// One row of [`CLASSES`].
const fn row(
    class: TerrainClass,
    name: &'static str,
    added_cost: f64,
    forbids: bool,
) -> ClassTraits {
    ClassTraits {
        class,
        name,
        added_cost,
        forbids,
    }
}

/// All classes, in the order of the enum.
pub const CLASSES: [ClassTraits; 9] = [
    row(TerrainClass::Bedrock, "bedrock", 0.0, false),
    row(TerrainClass::Outcrop, "outcrop", 1.0, false),
    row(TerrainClass::BoulderField, "boulder_field", 4.0, false),
    row(TerrainClass::SandRipples, "sand_ripples", 4.0, false),
    row(TerrainClass::LooseSoil, "loose_soil", 2.0, false),
    row(TerrainClass::CraterOrScarp, "crater_or_scarp", 8.0, true),
    row(TerrainClass::SmoothRegolith, "smooth_regolith", 0.0, false),
    row(
        TerrainClass::ShadowOrNoData,
        "shadow_or_no_data",
        0.5,
        false,
    ),
    row(TerrainClass::Unknown, "unknown", 0.5, false),
];

impl TerrainClass {
    /// What the class means.
    #[must_use]
    pub fn traits(self) -> ClassTraits {
        CLASSES[self as usize]
    }

    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.traits().name
    }

    /// The code in class rasters, 0 for the first of [`CLASSES`].
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// From the code in class rasters.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        CLASSES.get(usize::from(code)).map(|t| t.class)
    }

    /// From the name in documents, without regard to case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        CLASSES
            .iter()
            .find(|t| t.name.eq_ignore_ascii_case(name))
            .map(|t| t.class)
    }
}

/// What a rover's own cameras tell apart. The order is that of the codes in AI4Mars masks, then unknown, then what image and
/// depth tell together ([`SurfaceClass::SMALL`]). The list is open: what is added comes last.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SurfaceClass {
    /// Firm or loose soil with pebbles.
    Soil,
    /// Flat rock, also broken into plates.
    Bedrock,
    /// Sand: smooth drifts, ripples, dunes.
    Sand,
    /// A rock too tall to drive over.
    BigRock,
    /// Not told: sky, the rover itself, doubt, an image unlike those learnt from.
    Unknown,
    /// A rock lying on the ground, of any height that the terrain grid shows.
    FloatRock,
    /// Round concretions of some centimetres, many together.
    Nodule,
    /// A bright seam of mineral in rock.
    Vein,
}

/// One row of [`SURFACES`]: the same ground in the three vocabularies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SurfaceTraits {
    /// The class of the image.
    pub surface: SurfaceClass,
    /// The name in documents, as in the columns of an AI4Mars manifest.
    pub name: &'static str,
    /// The code in AI4Mars masks (Swan et al. 2021); none for unknown, which a mask writes as
    /// [`AI4MARS_UNLABELLED`], and for what AI4Mars has no label of.
    pub ai4mars_code: Option<u8>,
    /// The class that mission, planner and grid know it as. Its soil stands in `config/soils.yaml` under the same
    /// class: [`crate::soil::SoilTable::soil`].
    pub terrain: TerrainClass,
}

/// The code of unlabelled pixels in AI4Mars masks.
pub const AI4MARS_UNLABELLED: u8 = 255;

/// One row of [`SURFACES`].
const fn surface(
    surface: SurfaceClass,
    name: &'static str,
    ai4mars_code: Option<u8>,
    terrain: TerrainClass,
) -> SurfaceTraits {
    SurfaceTraits {
        surface,
        name,
        ai4mars_code,
        terrain,
    }
}

/// AI4Mars classes as mission classes and soils, in the order of [`SurfaceClass`].
///
/// Sand becomes `sand_ripples`, the weakest soil in the table: a flat drift cannot be told from a megaripple's flank by
/// class alone, and the worse one counts. Soil becomes `smooth_regolith`, big rock `boulder_field`; nodules and veins are
/// seen in rock, which they do not change for a wheel.
pub const SURFACES: [SurfaceTraits; 8] = [
    surface(
        SurfaceClass::Soil,
        "soil",
        Some(0),
        TerrainClass::SmoothRegolith,
    ),
    surface(
        SurfaceClass::Bedrock,
        "bedrock",
        Some(1),
        TerrainClass::Bedrock,
    ),
    surface(
        SurfaceClass::Sand,
        "sand",
        Some(2),
        TerrainClass::SandRipples,
    ),
    surface(
        SurfaceClass::BigRock,
        "big_rock",
        Some(3),
        TerrainClass::BoulderField,
    ),
    surface(
        SurfaceClass::Unknown,
        "unknown",
        None,
        TerrainClass::Unknown,
    ),
    surface(
        SurfaceClass::FloatRock,
        "float_rock",
        None,
        TerrainClass::BoulderField,
    ),
    surface(SurfaceClass::Nodule, "nodule", None, TerrainClass::Bedrock),
    surface(SurfaceClass::Vein, "vein", None, TerrainClass::Bedrock),
];

impl SurfaceClass {
    /// What a network tells from the image alone, and unknown.
    pub const OF_IMAGES: [Self; 5] = [
        Self::Soil,
        Self::Bedrock,
        Self::Sand,
        Self::BigRock,
        Self::Unknown,
    ];

    /// What takes image, depth and terrain grid together.
    pub const SMALL: [Self; 3] = [Self::FloatRock, Self::Nodule, Self::Vein];

    /// Its row in [`SURFACES`].
    #[must_use]
    pub fn traits(self) -> SurfaceTraits {
        SURFACES[self as usize]
    }

    /// From the code in an AI4Mars mask; none for unlabelled and for codes that AI4Mars does not have.
    #[must_use]
    pub fn from_ai4mars(code: u8) -> Option<Self> {
        SURFACES
            .iter()
            .find(|s| s.ai4mars_code == Some(code))
            .map(|s| s.surface)
    }

    /// From the name in documents.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        SURFACES
            .iter()
            .find(|s| s.name.eq_ignore_ascii_case(name))
            .map(|s| s.surface)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_surface_has_a_soil_and_sand_has_the_weakest() {
        let soils = crate::soil::SoilTable::shipped().unwrap();
        for (code, s) in SURFACES.iter().enumerate() {
            assert_eq!(s.surface as usize, code);
            assert_eq!(s.surface.traits(), *s);
            assert_eq!(SurfaceClass::from_name(s.name), Some(s.surface));
            assert_eq!(
                serde_json::to_value(s.surface).unwrap(),
                serde_json::json!(s.name)
            );
            match s.ai4mars_code {
                Some(c) => {
                    assert_eq!(SurfaceClass::from_ai4mars(c), Some(s.surface));
                    assert!(soils.soil(s.terrain).is_some(), "{}", s.name);
                }
                None => assert!(code >= SurfaceClass::Unknown as usize),
            }
        }
        let all = SurfaceClass::OF_IMAGES.iter().chain(&SurfaceClass::SMALL);
        assert!(all.copied().eq(SURFACES.map(|s| s.surface)));
        let weakness = |s: SurfaceClass| soils.weakness(s.traits().terrain).unwrap();
        for other in [
            SurfaceClass::Soil,
            SurfaceClass::Bedrock,
            SurfaceClass::BigRock,
        ] {
            assert!(weakness(SurfaceClass::Sand) > weakness(other));
        }
        assert_eq!(SurfaceClass::from_ai4mars(AI4MARS_UNLABELLED), None);
        assert_eq!(SurfaceClass::from_ai4mars(4), None);
    }

    #[test]
    fn the_table_follows_the_enum_and_only_adds_cost() {
        for (code, t) in CLASSES.iter().enumerate() {
            assert_eq!(t.class.traits(), *t);
            assert_eq!(usize::from(t.class.code()), code);
            assert_eq!(TerrainClass::from_code(t.class.code()), Some(t.class));
            assert_eq!(
                TerrainClass::from_name(&t.name.to_uppercase()),
                Some(t.class)
            );
            assert_eq!(
                serde_json::to_value(t.class).unwrap(),
                serde_json::json!(t.name)
            );
            assert!(t.added_cost >= 0.0);
        }
        assert_eq!(TerrainClass::from_name("lava"), None);
        assert_eq!(TerrainClass::from_code(9), None);
    }
}
