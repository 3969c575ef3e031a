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

#[cfg(test)]
mod tests {
    use super::*;

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
