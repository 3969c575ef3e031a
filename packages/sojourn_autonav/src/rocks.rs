//! How much rock the wheels and the belly would meet at a pose: a quick measure that ranks ways, never makes them safe.

use crate::ground::Ground;
use sojourn_core::{frames::Pose2, geometry::Xy, limits::Limits, raster::Raster, rover::Rover};

/// Half the side of the square whose mean is taken for the ground between the rocks, footprints.
const GROUND_FOOTPRINTS: f64 = 0.5;

/// A share below this is clear ground.
const CLEAR: f64 = 0.05;

/// Rise of the ground over its surroundings, spread to the size of a wheel and of the belly's middle.
#[derive(Clone, Debug)]
pub struct Rocks {
    wheel_m: Raster,
    belly_m: Raster,
    hubs_m: [[f64; 2]; 6],
    belly_at_m: [f64; 2],
    /// A rise under a wheel that the bogie can hardly take, metres.
    block_m: f64,
    /// A rise under the belly that takes all clearance, metres.
    belly_block_m: f64,
}

impl Rocks {
    /// Rises of prepared ground.
    #[must_use]
    pub fn new(ground: &Ground, rover: &Rover, limits: &Limits) -> Self {
        let high = &ground.grown;
        let res = high.resolution_m();
        let cells = |m: f64| ((m / res).round() as usize).max(1);
        let mean = box_mean(
            &ground.seen,
            cells(GROUND_FOOTPRINTS * rover.footprint_radius_m()),
        );
        let rise = high.like(|c, r| (high.get(c, r) - mean.get(c, r)).max(0.0));
        let b = &rover.belly;
        let s = &rover.suspension;
        Self {
            wheel_m: spread(&rise, cells(0.6 * rover.wheel.radius_m)),
            belly_m: spread(&rise, cells(0.7 * b.half_width_m)),
            hubs_m: rover.hubs_m().map(|h| [h[0], h[1]]),
            belly_at_m: [
                b.x_min_m + 0.25 * (b.x_max_m - b.x_min_m),
                b.x_max_m - 0.25 * (b.x_max_m - b.x_min_m),
            ],
            block_m: limits
                .wheel_drop_m
                .min(0.75 * limits.bogie_rad() * (s.middle_hub_m[0] - s.rear_hub_m[0])),
            belly_block_m: (b.height_m - limits.clearance_m).max(0.01),
        }
    }

    /// 0 on clear ground, 1 where a limit would probably be met; grows with the square of the rise. Unknown ground
    /// counts as clear here.
    #[must_use]
    pub fn share(&self, pose: Pose2) -> f64 {
        let (s, c) = pose.yaw_rad.sin_cos();
        self.share_at([pose.x_m, pose.y_m], &self.heading(s, c))
    }

    /// The places that a heading looks at.
    #[must_use]
    pub fn heading(&self, sin: f64, cos: f64) -> Heading {
        let at = |[x, y]: [f64; 2]| [[cos * x, sin * y], [sin * x, cos * y]];
        Heading {
            wheels: self.hubs_m.map(at),
            belly: self.belly_at_m.map(|x| at([x, 0.0])),
        }
    }

    /// [`Rocks::share`] at a place for a heading that is used at many places.
    #[must_use]
    #[inline]
    pub fn share_at(&self, [x_m, y_m]: Xy, heading: &Heading) -> f64 {
        // Unknown ground has no height; the highest is looked for before what is the same for all is divided by.
        let highest = |raster: &Raster, places: &[Offset]| {
            places.iter().fold(0.0f64, |m, [[cx, sy], [sx, cy]]| {
                let h = raster.nearest(x_m + cx - sy, y_m + sx + cy).unwrap_or(0.0);
                if h > m { h } else { m }
            })
        };
        let wheel = highest(&self.wheel_m, &heading.wheels) / self.block_m;
        let belly = highest(&self.belly_m, &heading.belly) / self.belly_block_m;
        let worst = 0.0f64.max(wheel).max(belly);
        worst * worst
    }

    /// Headings around a direction for [`Rocks::share_towards`].
    #[must_use]
    pub fn towards(&self, direction_rad: f64) -> Towards {
        let (s, c) = direction_rad.sin_cos();
        let turned = |turn: f64| {
            let (s, c) = (direction_rad + turn).sin_cos();
            self.heading(s, c)
        };
        Towards {
            sin: s,
            cos: c,
            straight: turned(0.0),
            right: turned(-0.2),
            left: turned(0.2),
        }
    }

    /// The least of [`Rocks::share`] at a place over a few headings around a direction and up to `aside_m` to each side.
    #[must_use]
    pub fn share_towards(&self, at: Xy, direction: &Towards, aside_m: f64) -> f64 {
        let d = direction;
        let tried = [
            (0.0, &d.straight),
            (0.0, &d.right),
            (0.0, &d.left),
            (-1.0, &d.straight),
            (1.0, &d.straight),
        ];
        let mut least = f64::INFINITY;
        for (aside, heading) in tried {
            let (dx, dy) = (-d.sin * aside * aside_m, d.cos * aside * aside_m);
            least = least.min(self.share_at([at[0] + dx, at[1] + dy], heading));
            if least < CLEAR {
                break;
            }
        }
        least
    }
}

/// A place in `base_link`, turned: `[[cos·x, sin·y], [sin·x, cos·y]]`, metres.
type Offset = [[f64; 2]; 2];

/// The places under wheels and belly for one heading.
#[derive(Clone, Copy, Debug)]
pub struct Heading {
    wheels: [Offset; 6],
    belly: [Offset; 2],
}

/// A direction and the headings that are tried around it.
#[derive(Clone, Copy, Debug)]
pub struct Towards {
    sin: f64,
    cos: f64,
    straight: Heading,
    right: Heading,
    left: Heading,
}

/// Mean over a square of `2·half + 1` cells on a side, of the known cells.
fn box_mean(raster: &Raster, half: usize) -> Raster {
    let (cols, rows) = (raster.cols(), raster.rows());
    let width = cols + 1;
    let mut sum = vec![[0.0f64; 2]; width * (rows + 1)];
    for r in 0..rows {
        let mut line = [0.0f64; 2];
        for c in 0..cols {
            let v = f64::from(raster.get(c, r));
            if v.is_finite() {
                line[0] += v;
                line[1] += 1.0;
            }
            let above = sum[r * width + c + 1];
            sum[(r + 1) * width + c + 1] = [above[0] + line[0], above[1] + line[1]];
        }
    }
    raster.like(|c, r| {
        let (c0, c1) = (c.saturating_sub(half), (c + half + 1).min(cols));
        let (r0, r1) = (r.saturating_sub(half), (r + half + 1).min(rows));
        let k = |i: usize| {
            sum[r1 * width + c1][i] + sum[r0 * width + c0][i]
                - sum[r1 * width + c0][i]
                - sum[r0 * width + c1][i]
        };
        if k(1) > 0.5 {
            (k(0) / k(1)) as f32
        } else {
            f32::NAN
        }
    })
}

/// Highest value within a square, one axis after the other; unknown cells are passed over.
fn spread(raster: &Raster, half: usize) -> Raster {
    let (cols, rows) = (raster.cols(), raster.rows());
    let higher = |best: &mut [f32], values: &[f32]| {
        for (b, v) in best.iter_mut().zip(values) {
            // Never so for what is not a number.
            *b = if *v > *b { *v } else { *b };
        }
    };
    let mut along = vec![f32::NEG_INFINITY; cols * rows];
    for (best, row) in along.chunks_mut(cols).zip(raster.data().chunks(cols)) {
        higher(best, row);
        for k in 1..=half.min(cols) {
            higher(best, row.get(k..).unwrap_or(&[]));
            higher(best.get_mut(k..).unwrap_or(&mut []), row);
        }
    }
    let mut best = raster.clone();
    for (r, line) in best.data_mut().chunks_mut(cols).enumerate() {
        line.fill(f32::NEG_INFINITY);
        let near = r.saturating_sub(half)..(r + half + 1).min(rows);
        for row in along.chunks(cols).take(near.end).skip(near.start) {
            higher(line, row);
        }
        for v in line.iter_mut().filter(|v| **v == f32::NEG_INFINITY) {
            *v = f32::NAN;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::rover;
    use proptest::prelude::*;

    /// Cell by cell, as it is meant.
    fn spread_plainly(raster: &Raster, half: usize) -> Raster {
        let near = |i: usize| i.saturating_sub(half)..=i + half;
        raster.like(|c, r| {
            let values = near(r).flat_map(|r| near(c).map(move |c| raster.get(c, r)));
            values.fold(f32::NAN, f32::max)
        })
    }

    proptest! {
        #[test]
        fn what_is_highest_in_a_square_is_found(
            (cols, rows, values) in (1usize..20, 1usize..20).prop_flat_map(|(c, r)| {
                (Just(c), Just(r), prop::collection::vec(prop_oneof![Just(f32::NAN), 0.0f32..1.0], c * r))
            }),
            half in 0usize..4,
        ) {
            let raster = Raster::new(cols, rows, 0.1, [0.0, 0.0], values).unwrap();
            let bits = |r: &Raster| r.data().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&spread(&raster, half)), bits(&spread_plainly(&raster, half)));
        }
    }

    #[test]
    fn a_rock_between_the_wheels_is_less_than_one_under_a_wheel() {
        let r = rover("perseverance");
        let blank = Raster::filled(160, 160, 0.1, [-8.0, -8.0], 0.0).unwrap();
        let rock = blank.like(|c, row| {
            let [x, y] = blank.centre_m(c, row);
            if x.hypot(y) < 0.25 { 0.25 } else { 0.0 }
        });
        let rocks = Rocks::new(&Ground::of(&rock, None, 0.0), &r, &r.limits);
        let over = rocks.share(Pose2::new(0.0, 0.0, 0.0));
        let under_left = rocks.share(Pose2::new(0.0, -r.hubs_m()[1][1], 0.0));
        assert!(under_left > 1.0 && over < 0.4, "{under_left} {over}");
        assert!(rocks.share(Pose2::new(5.0, 5.0, 1.0)) < 0.01);
    }
}
