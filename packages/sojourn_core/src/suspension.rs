//! The suspension of a rover file: which of three kinds it is follows from the points that it names.

use crate::{CoreError, error::in_range};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the wheels hang on the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuspensionKind {
    /// Six wheels: on each side a rocker with a bogie behind it, the rockers joined by a differential.
    RockerBogie,
    /// Four wheels: on each side a rocker with a wheel at each end, joined by a differential.
    Rockers,
    /// Four wheels on axles fixed to the body: uneven ground leaves one in the air.
    Fixed,
}

/// How a suspension stands, angles as in [`crate::settle::Settled`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SuspensionAngles {
    /// Half the difference of the rockers' angles, left nose-up positive, radians.
    pub differential_rad: f64,
    /// Bogie against rocker, left and right, nose-up positive, radians.
    pub bogie_rad: [f64; 2],
}

/// One side of the suspension (the left; the right is its mirror image), `[x, y, z]` in `base_link`, metres.
///
/// A rover of four wheels has a middle hub and a bogie pivot all the same, in the middle between its wheels and over its
/// rear hub, so that arrays of six hold for every rover; [`crate::rover::Rover::has_wheel`] tells which are there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "SuspensionFile", into = "SuspensionFile")]
#[schemars(with = "SuspensionFile")]
pub struct Suspension {
    /// Which kind.
    pub kind: SuspensionKind,
    /// Front wheel hub.
    pub front_hub_m: [f64; 3],
    /// Middle wheel hub.
    pub middle_hub_m: [f64; 3],
    /// Rear wheel hub.
    pub rear_hub_m: [f64; 3],
    /// Rocker pivot (the differential's axis through the body).
    pub rocker_pivot_m: [f64; 3],
    /// Bogie pivot.
    pub bogie_pivot_m: [f64; 3],
}

/// The suspension as a rover file gives it: all five points for a rocker-bogie, hubs and rocker pivot for four wheels on
/// rockers, the two hubs alone for fixed axles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspensionFile {
    /// Front wheel hub, left side, metres in `base_link`.
    pub front_hub_m: [f64; 3],
    /// Middle wheel hub; six wheels only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub middle_hub_m: Option<[f64; 3]>,
    /// Rear wheel hub.
    pub rear_hub_m: [f64; 3],
    /// Pivot of the rocker on the body; absent for fixed axles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rocker_pivot_m: Option<[f64; 3]>,
    /// Pivot of the bogie on the rocker; six wheels only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bogie_pivot_m: Option<[f64; 3]>,
}

impl TryFrom<SuspensionFile> for Suspension {
    type Error = String;

    fn try_from(f: SuspensionFile) -> Result<Self, String> {
        let (front, rear) = (f.front_hub_m, f.rear_hub_m);
        let between = |a: [f64; 3], b: [f64; 3]| [0, 1, 2].map(|k| 0.5 * (a[k] + b[k]));
        // Levels of what is not there: a wheel's radius over the hubs, as pivots are.
        let over = |p: [f64; 3]| [p[0], p[1], 2.0 * p[2]];
        let middle = between(front, rear);
        let (kind, middle_hub_m, rocker_pivot_m, bogie_pivot_m) = match (
            f.middle_hub_m,
            f.rocker_pivot_m,
            f.bogie_pivot_m,
        ) {
            (Some(m), Some(d), Some(b)) => (SuspensionKind::RockerBogie, m, d, b),
            (None, Some(d), None) => (
                SuspensionKind::Rockers,
                middle,
                d,
                over(between(middle, rear)),
            ),
            (None, None, None) => (
                SuspensionKind::Fixed,
                middle,
                over(middle),
                over(between(middle, rear)),
            ),
            (m, d, b) => {
                let given = |there: bool| if there { "given" } else { "missing" };
                return Err(format!(
                    "suspension: middle_hub_m is {}, rocker_pivot_m {}, bogie_pivot_m {}; expected all three (six \
                         wheels on rockers and bogies), rocker_pivot_m alone (four wheels on rockers) or none (four \
                         wheels on fixed axles)",
                    given(m.is_some()),
                    given(d.is_some()),
                    given(b.is_some())
                ));
            }
        };
        Ok(Self {
            kind,
            front_hub_m: front,
            middle_hub_m,
            rear_hub_m: rear,
            rocker_pivot_m,
            bogie_pivot_m,
        })
    }
}

impl From<Suspension> for SuspensionFile {
    fn from(s: Suspension) -> Self {
        let six = s.kind == SuspensionKind::RockerBogie;
        Self {
            front_hub_m: s.front_hub_m,
            middle_hub_m: six.then_some(s.middle_hub_m),
            rear_hub_m: s.rear_hub_m,
            rocker_pivot_m: (s.kind != SuspensionKind::Fixed).then_some(s.rocker_pivot_m),
            bogie_pivot_m: six.then_some(s.bogie_pivot_m),
        }
    }
}

impl Suspension {
    /// Where the six hubs are in `base_link` when the suspension stands so, metres, in the order of
    /// [`crate::rover::Rover::hubs_m`].
    #[must_use]
    pub fn hubs_at_m(&self, angles: &SuspensionAngles) -> [[f64; 3]; 6] {
        let left = [self.front_hub_m, self.middle_hub_m, self.rear_hub_m];
        let [lf, lm, lr] = self.side_at_m(left, angles.differential_rad, angles.bogie_rad[0]);
        let right = left.map(|[x, y, z]| [x, -y, z]);
        let [rf, rm, rr] = self.side_at_m(right, -angles.differential_rad, angles.bogie_rad[1]);
        [lf, lm, lr, rf, rm, rr]
    }

    fn side_at_m(&self, hubs: [[f64; 3]; 3], rocker_rad: f64, bogie_rad: f64) -> [[f64; 3]; 3] {
        // A turn of the nose up by an angle around a point, in the plane of the side.
        let turned = |p: [f64; 3], around: [f64; 3], up_rad: f64| {
            let (sin, cos) = up_rad.sin_cos();
            let (x, z) = (p[0] - around[0], p[2] - around[2]);
            [
                around[0] + x * cos - z * sin,
                p[1],
                around[2] + x * sin + z * cos,
            ]
        };
        let with_rocker = |p| turned(p, self.rocker_pivot_m, rocker_rad);
        let with_bogie = |p| with_rocker(turned(p, self.bogie_pivot_m, bogie_rad));
        let [front, middle, rear] = hubs;
        match self.kind {
            SuspensionKind::Fixed => hubs,
            SuspensionKind::Rockers => hubs.map(with_rocker),
            SuspensionKind::RockerBogie => {
                [with_rocker(front), with_bogie(middle), with_bogie(rear)]
            }
        }
    }

    /// Which wheels of a side there are: front, middle, rear.
    #[must_use]
    pub fn wheels_of_a_side(&self) -> [bool; 3] {
        [true, self.kind == SuspensionKind::RockerBogie, true]
    }

    /// Checks that such a suspension can be built with such wheels.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names `what` and the key.
    pub fn check(&self, what: &str, radius_m: f64, width_m: f64) -> Result<(), CoreError> {
        let six = self.kind == SuspensionKind::RockerBogie;
        let mut points = vec![
            ("front_hub_m", self.front_hub_m),
            ("rear_hub_m", self.rear_hub_m),
        ];
        if self.kind != SuspensionKind::Fixed {
            points.push(("rocker_pivot_m", self.rocker_pivot_m));
        }
        if six {
            points.push(("middle_hub_m", self.middle_hub_m));
            points.push(("bogie_pivot_m", self.bogie_pivot_m));
        }
        for (name, p) in points {
            for (axis, v) in ["x", "y", "z"].iter().zip(p) {
                in_range(what, &format!("suspension.{name}.{axis}"), v, -10.0, 10.0)?;
            }
            let key = format!("suspension.{name}.y (the left side)");
            in_range(what, &key, p[1], 0.05, 10.0)?;
            if name.ends_with("hub_m") {
                // Settling puts the hubs a radius over the ground: other heights would stand tilted on flat ground.
                let key = format!("suspension.{name}.z (flat ground: the wheel's radius)");
                in_range(what, &key, p[2], 0.9 * radius_m, 1.1 * radius_m)?;
                let key = format!("suspension.{name}.y (half the wheel's width at least)");
                in_range(what, &key, p[1], 0.5 * width_m, 10.0)?;
            }
        }
        self.check_order(what, radius_m)?;
        let hubs = if six {
            vec![self.rear_hub_m, self.middle_hub_m, self.front_hub_m]
        } else {
            vec![self.rear_hub_m, self.front_hub_m]
        };
        for pair in hubs.windows(2) {
            let (along, across) = (pair[1][0] - pair[0][0], (pair[1][1] - pair[0][1]).abs());
            if across < width_m && along < 2.0 * radius_m {
                return Err(CoreError::value(
                    what,
                    "suspension",
                    format!("two hubs {along:.3} m apart"),
                    format!(
                        "at least {:.3} m, or the wheels run into each other",
                        2.0 * radius_m
                    ),
                ));
            }
        }
        Ok(())
    }

    fn check_order(&self, what: &str, radius_m: f64) -> Result<(), CoreError> {
        let rear = ("rear_hub_m", self.rear_hub_m);
        let bogie = ("bogie_pivot_m", self.bogie_pivot_m);
        let middle = ("middle_hub_m", self.middle_hub_m);
        let rocker = ("rocker_pivot_m", self.rocker_pivot_m);
        let front = ("front_hub_m", self.front_hub_m);
        let (parts, pivots) = match self.kind {
            SuspensionKind::RockerBogie => (
                vec![rear, bogie, middle, rocker, front],
                vec![rocker, bogie],
            ),
            SuspensionKind::Rockers => (vec![rear, rocker, front], vec![rocker]),
            SuspensionKind::Fixed => (vec![rear, front], vec![]),
        };
        if !parts.windows(2).all(|w| w[0].1[0] < w[1].1[0]) {
            let found: Vec<_> = parts.iter().map(|(n, p)| format!("{n} {}", p[0])).collect();
            let order: Vec<_> = parts.iter().map(|(n, _)| *n).collect();
            return Err(CoreError::value(
                what,
                "suspension",
                format!("x of {}", found.join(", ")),
                format!("x that grows from {}", order.join(" over ")),
            ));
        }
        for (name, pivot) in pivots {
            if pivot[2] <= radius_m {
                let key = format!("suspension.{name}.z");
                let expected = format!("more than a wheel's radius, {radius_m} m: above the hubs");
                return Err(CoreError::value(what, &key, pivot[2], expected));
            }
        }
        Ok(())
    }
}
