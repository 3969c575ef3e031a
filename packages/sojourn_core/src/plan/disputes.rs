//! Ground near a plan's way about which those who say what it is are apart: model, orbital classifier, surface images,
//! measured slip. It travels with the plan, so that the twin and people see it wherever the plan goes.

use crate::{CoreError, error::in_range, geometry::Xy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most pieces of disputed ground in a plan.
pub const MAX_DISPUTED: usize = 2000;

/// A rectangle of ground on which the sources are apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DisputedGround {
    /// South-west corner, `map` metres.
    pub min_m: Xy,
    /// North-east corner, `map` metres.
    pub max_m: Xy,
    /// Levels of risk (1 to 5 each) between the most and the least worried source: 1 to 4.
    pub levels: u8,
    /// The source that says the highest risk; the first of those that say the same.
    pub most_worried: String,
    /// The source that says the lowest risk; the first of those that say the same.
    pub least_worried: String,
}

impl DisputedGround {
    /// Whether a point lies in it.
    #[must_use]
    pub fn contains(&self, [x, y]: Xy) -> bool {
        self.min_m[0] <= x && x < self.max_m[0] && self.min_m[1] <= y && y < self.max_m[1]
    }

    /// Its corners, counter-clockwise.
    #[must_use]
    pub fn outline(&self) -> [Xy; 4] {
        let ([x0, y0], [x1, y1]) = (self.min_m, self.max_m);
        [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
    }
}

/// What a comparison of the sources came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disputes {
    /// Who was compared.
    pub sources: Vec<String>,
    /// Levels from which ground counts as disputed.
    pub from_levels: u8,
    /// Ground up to this far from the way is listed, metres.
    pub within_m: f64,
    /// Length of the way over ground that two or more looked at, metres.
    pub compared_m: f64,
    /// Length of the way over disputed ground, metres.
    pub disputed_m: f64,
    /// The ground.
    pub grounds: Vec<DisputedGround>,
}

impl Disputes {
    /// The piece that holds a point; of several the one with the most levels.
    #[must_use]
    pub fn at(&self, p: Xy) -> Option<&DisputedGround> {
        self.grounds
            .iter()
            .filter(|g| g.levels >= self.from_levels && g.contains(p))
            // Of several alike the first: `max_by_key` would take the last.
            .reduce(|a, b| if b.levels > a.levels { b } else { a })
    }

    /// Checks ranges.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names `what` and the field.
    pub(super) fn check(&self, what: &str) -> Result<(), CoreError> {
        let key = |name: &str| format!("disputes.{name}");
        in_range(what, &key("within_m"), self.within_m, 0.0, 1e4)?;
        in_range(what, &key("compared_m"), self.compared_m, 0.0, 1e7)?;
        let most_m = self.compared_m;
        in_range(what, &key("disputed_m"), self.disputed_m, 0.0, most_m)?;
        let levels = f64::from(self.from_levels);
        in_range(what, &key("from_levels"), levels, 1.0, 4.0)?;
        if self.grounds.len() > MAX_DISPUTED {
            return Err(CoreError::value(
                what,
                key("grounds"),
                format!("a list of {}", self.grounds.len()),
                format!("at most {MAX_DISPUTED}"),
            ));
        }
        for (i, g) in self.grounds.iter().enumerate() {
            let key = |name: &str| key(&format!("grounds[{i}].{name}"));
            in_range(what, &key("levels"), f64::from(g.levels), 1.0, 4.0)?;
            for (axis, name) in ["x", "y"].iter().enumerate() {
                let (low, high) = (g.min_m[axis], g.max_m[axis]);
                in_range(what, &key(&format!("min_m.{name}")), low, -1e7, 1e7)?;
                in_range(what, &key(&format!("max_m.{name}")), high, low, 1e7)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground(min_m: Xy, max_m: Xy, levels: u8) -> DisputedGround {
        DisputedGround {
            min_m,
            max_m,
            levels,
            most_worried: "model".into(),
            least_worried: "orbital classifier".into(),
        }
    }

    fn disputes() -> Disputes {
        Disputes {
            sources: vec!["model".into(), "orbital classifier".into()],
            from_levels: 2,
            within_m: 10.0,
            compared_m: 40.0,
            disputed_m: 5.0,
            grounds: vec![
                ground([0.0, 0.0], [5.0, 5.0], 2),
                ground([4.0, 0.0], [9.0, 5.0], 4),
                ground([20.0, 0.0], [25.0, 5.0], 1),
            ],
        }
    }

    #[test]
    fn the_widest_dispute_holds_and_edges_belong_to_one_piece() {
        let d = disputes();
        let levels = |x: f64| d.at([x, 2.0]).map(|g| g.levels);
        assert_eq!(levels(1.0), Some(2));
        assert_eq!(levels(4.5), Some(4));
        assert_eq!(levels(9.0), None);
        // Below the level from which it counts.
        assert_eq!(levels(22.0), None);
        assert_eq!(d.at([f64::NAN, 2.0]), None);
        d.check("p").unwrap();
    }

    #[test]
    fn what_is_wrong_is_named() {
        type Spoil = fn(&mut Disputes);
        let spoils: [(Spoil, &str); 5] = [
            (|d| d.within_m = f64::NAN, "disputes.within_m"),
            (|d| d.disputed_m = 41.0, "disputes.disputed_m"),
            (|d| d.from_levels = 0, "disputes.from_levels"),
            (|d| d.grounds[1].levels = 5, "disputes.grounds[1].levels"),
            (
                |d| d.grounds[0].max_m[1] = -1.0,
                "disputes.grounds[0].max_m.y",
            ),
        ];
        for (spoil, field) in spoils {
            let mut d = disputes();
            spoil(&mut d);
            let said = d.check("plan.json").unwrap_err().to_string();
            assert!(said.contains(field), "{said}");
        }
        let mut d = disputes();
        d.grounds = vec![d.grounds[0].clone(); MAX_DISPUTED + 1];
        assert!(d.check("p").unwrap_err().to_string().contains("2001"));
    }
}
