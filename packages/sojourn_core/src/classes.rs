//! Terrain classes: one table that the planner, the twin and perception share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of ground as it can be told apart from orbit or from the mast.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TerrainClass {
    /// Flat, firm rock.
    Bedrock,
    /// Firm soil with some pebbles.
    FirmSoil,
    /// Loose sand.
    Sand,
    /// Sand ripples and dunes.
    SandRipple,
    /// Many rocks close together.
    BoulderField,
    /// Rock standing out of the ground.
    Outcrop,
    /// A crater's wall or rim.
    CraterWall,
    /// A scarp or steep slope.
    SteepSlope,
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

/// All classes, in the order of the enum.
pub const CLASSES: [ClassTraits; 9] = [
    ClassTraits {
        class: TerrainClass::Bedrock,
        name: "bedrock",
        added_cost: 0.0,
        forbids: false,
    },
    ClassTraits {
        class: TerrainClass::FirmSoil,
        name: "firm_soil",
        added_cost: 0.0,
        forbids: false,
    },
    ClassTraits {
        class: TerrainClass::Sand,
        name: "sand",
        added_cost: 2.0,
        forbids: false,
    },
    ClassTraits {
        class: TerrainClass::SandRipple,
        name: "sand_ripple",
        added_cost: 4.0,
        forbids: false,
    },
    ClassTraits {
        class: TerrainClass::BoulderField,
        name: "boulder_field",
        added_cost: 4.0,
        forbids: false,
    },
    ClassTraits {
        class: TerrainClass::Outcrop,
        name: "outcrop",
        added_cost: 1.0,
        forbids: false,
    },
    ClassTraits {
        class: TerrainClass::CraterWall,
        name: "crater_wall",
        added_cost: 8.0,
        forbids: true,
    },
    ClassTraits {
        class: TerrainClass::SteepSlope,
        name: "steep_slope",
        added_cost: 8.0,
        forbids: true,
    },
    ClassTraits {
        class: TerrainClass::Unknown,
        name: "unknown",
        added_cost: 0.5,
        forbids: false,
    },
];

impl TerrainClass {
    /// What the class means.
    #[must_use]
    pub fn traits(self) -> ClassTraits {
        CLASSES[self as usize]
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
        for t in CLASSES {
            assert_eq!(t.class.traits(), t);
            assert_eq!(
                TerrainClass::from_name(&t.name.to_uppercase()),
                Some(t.class)
            );
            assert!(t.added_cost >= 0.0);
        }
        assert_eq!(TerrainClass::from_name("lava"), None);
    }
}
