//! Veins and nodules on rock: small things that a geologist looks for, painted on the ground of a view.
//!
//! They change the ground's brightness alone, not its height, lie on bedrock and outcrop, and follow from a seed and the
//! place. A world has none unless a measurement asks for them ([`super::Renderer::set_marks`]).

use crate::{noise, world::World};
use serde::{Deserialize, Serialize};
use sojourn_core::classes::TerrainClass;
use std::{collections::BTreeMap, f64::consts::TAU};

/// Side of the squares that marks are found by, metres.
const BIN_M: f64 = 0.25;
/// Side of the squares in which one vein or one field of nodules may begin, metres.
const SQUARE_M: f64 = 1.0;
/// Farthest that a mark shows beyond its outline: half the footprint of the coarsest pixel, metres.
const HALO_M: f64 = 0.03;

const CHANNEL: u64 = 0x71;

/// How many there are and what they look like. Sizes are drawn evenly between the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkParams {
    /// Veins that begin on a square metre of rock.
    pub veins_per_m2: f64,
    /// Width of a vein in its middle, metres; its ends are half as wide.
    pub vein_width_m: [f64; 2],
    /// Length of a vein, metres.
    pub vein_length_m: [f64; 2],
    /// Albedo of a vein relative to the rock's.
    pub vein_tone: f64,
    /// Fields of nodules on a square metre of rock.
    pub fields_per_m2: f64,
    /// Nodules of a field.
    pub nodules: [u32; 2],
    /// Radius of a field, metres.
    pub field_m: [f64; 2],
    /// Diameter of a nodule, metres.
    pub nodule_m: [f64; 2],
    /// Albedo of a nodule relative to the rock's.
    pub nodule_tone: f64,
}

impl Default for MarkParams {
    /// Bright veins of sulphate and dark nodules, of the sizes that a navigation camera resolves within a few metres.
    fn default() -> Self {
        Self {
            veins_per_m2: 0.06,
            vein_width_m: [0.02, 0.05],
            vein_length_m: [0.8, 2.5],
            vein_tone: 1.7,
            fields_per_m2: 0.05,
            nodules: [12, 40],
            field_m: [0.3, 0.6],
            nodule_m: [0.03, 0.06],
            nodule_tone: 0.5,
        }
    }
}

/// What a mark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A bright line.
    Vein,
    /// A dark disc, one of a field.
    Nodule,
}

/// A piece of a vein, or a nodule (whose ends are one).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shape {
    mark: Mark,
    /// Number of the vein or field.
    group: u32,
    from: [f64; 2],
    to: [f64; 2],
    radius_m: [f64; 2],
}

/// The marks of a region.
#[derive(Clone, Debug)]
pub struct Marks {
    params: MarkParams,
    bins: BTreeMap<(i64, i64), Vec<Shape>>,
    groups: u32,
}

impl Marks {
    /// Those of the rock in a region `[x0, y0, x1, y1]` (metres in `map`).
    #[must_use]
    pub fn on_rock(world: &World, region_m: [f64; 4], params: MarkParams, seed: u64) -> Self {
        let mut marks = Self {
            params,
            bins: BTreeMap::new(),
            groups: 0,
        };
        let squares = region_m.map(|v| (v / SQUARE_M).floor() as i64);
        for iy in squares[1]..=squares[3] {
            for ix in squares[0]..=squares[2] {
                let draw = |n: i64, what: i64| {
                    noise::unit(noise::hash(
                        noise::hash(seed, CHANNEL, ix, iy),
                        CHANNEL,
                        n,
                        what,
                    ))
                };
                let at = [ix, iy].map(|i| i as f64 * SQUARE_M);
                let from = [at[0] + SQUARE_M * draw(0, 0), at[1] + SQUARE_M * draw(0, 1)];
                if !is_rock(world, from) {
                    continue;
                }
                let chance = draw(0, 2) / (SQUARE_M * SQUARE_M);
                if chance < params.veins_per_m2 {
                    marks.vein(world, from, draw);
                } else if chance < params.veins_per_m2 + params.fields_per_m2 {
                    marks.field(world, from, draw);
                }
            }
        }
        marks
    }

    /// A vein from a place on, as far as there is rock: steps of 15 cm that wander.
    fn vein(&mut self, world: &World, from: [f64; 2], draw: impl Fn(i64, i64) -> f64) {
        const STEP_M: f64 = 0.15;
        const WANDER: f64 = 0.5;
        let p = self.params;
        let steps = (between(p.vein_length_m, draw(1, 0)) / STEP_M)
            .round()
            .max(1.0) as i64;
        let half_m = 0.5 * between(p.vein_width_m, draw(1, 1));
        let mut turn = TAU * draw(1, 2);
        let mut at = from;
        for k in 0..steps {
            turn += WANDER * (draw(2, k) - 0.5);
            let to = [at[0] + STEP_M * turn.cos(), at[1] + STEP_M * turn.sin()];
            if !is_rock(world, to) {
                break;
            }
            let wide = |k: i64| {
                let along = k as f64 / steps as f64;
                half_m * (1.0 - (2.0 * along - 1.0).abs() * 0.5)
            };
            self.put(Shape {
                mark: Mark::Vein,
                group: self.groups,
                from: at,
                to,
                radius_m: [wide(k), wide(k + 1)],
            });
            at = to;
        }
        self.groups += 1;
    }

    fn field(&mut self, world: &World, middle: [f64; 2], draw: impl Fn(i64, i64) -> f64) {
        let p = self.params;
        let [few, many] = p.nodules.map(f64::from);
        let reach_m = between(p.field_m, draw(1, 0));
        for k in 0..between([few, many], draw(1, 1)).round() as i64 {
            let (away, turn) = (reach_m * draw(2, k).sqrt(), TAU * draw(3, k));
            let at = [middle[0] + away * turn.cos(), middle[1] + away * turn.sin()];
            if is_rock(world, at) {
                self.put(Shape {
                    mark: Mark::Nodule,
                    group: self.groups,
                    from: at,
                    to: at,
                    radius_m: [0.5 * between(p.nodule_m, draw(4, k)); 2],
                });
            }
        }
        self.groups += 1;
    }

    fn put(&mut self, shape: Shape) {
        let pad = shape.radius_m[0].max(shape.radius_m[1]) + HALO_M;
        let span = |k: usize| {
            let (a, b) = (shape.from[k], shape.to[k]);
            bin(a.min(b) - pad)..=bin(a.max(b) + pad)
        };
        for iy in span(1) {
            for ix in span(0) {
                self.bins.entry((ix, iy)).or_default().push(shape);
            }
        }
    }

    /// The shapes near a place, with the distance beyond their outline, metres (negative within it).
    fn near(&self, x_m: f64, y_m: f64) -> impl Iterator<Item = (&Shape, f64)> {
        let shapes = self.bins.get(&(bin(x_m), bin(y_m)));
        shapes
            .into_iter()
            .flatten()
            .map(move |s| (s, s.beyond(x_m, y_m)))
    }

    /// What lies at a place, metres in `map`, and the number of its vein or field.
    #[must_use]
    pub fn at(&self, x_m: f64, y_m: f64) -> Option<(Mark, u32)> {
        self.near(x_m, y_m)
            .filter(|(_, beyond)| *beyond <= 0.0)
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(s, _)| (s.mark, s.group))
    }

    /// Albedo relative to the ground's at a place, for a pixel that covers `footprint_m`.
    #[must_use]
    pub fn tone(&self, x_m: f64, y_m: f64, footprint_m: f32) -> f32 {
        let wide = f64::from(footprint_m).clamp(1e-3, 2.0 * HALO_M);
        let mut tone = 1.0;
        for (s, beyond) in self.near(x_m, y_m) {
            let cover = (0.5 - beyond / wide).clamp(0.0, 1.0);
            let own = match s.mark {
                Mark::Vein => self.params.vein_tone,
                Mark::Nodule => self.params.nodule_tone,
            };
            // Pieces of one vein overlap: the one that covers most counts.
            let here = 1.0 + cover * (own - 1.0);
            if (here - 1.0f64).abs() > (tone - 1.0f64).abs() {
                tone = here;
            }
        }
        tone as f32
    }

    /// How many veins and fields there are.
    #[must_use]
    pub fn groups(&self) -> u32 {
        self.groups
    }
}

impl Shape {
    /// Distance of a place beyond the outline, metres; negative within it.
    fn beyond(&self, x: f64, y: f64) -> f64 {
        let along = [self.to[0] - self.from[0], self.to[1] - self.from[1]];
        let off = [x - self.from[0], y - self.from[1]];
        let square = along[0] * along[0] + along[1] * along[1];
        let t = if square > 0.0 {
            ((off[0] * along[0] + off[1] * along[1]) / square).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let away = (off[0] - t * along[0]).hypot(off[1] - t * along[1]);
        away - between(self.radius_m, t)
    }
}

fn bin(v: f64) -> i64 {
    (v / BIN_M).floor() as i64
}

fn between([a, b]: [f64; 2], t: f64) -> f64 {
    a + (b - a) * t
}

fn is_rock(world: &World, [x, y]: [f64; 2]) -> bool {
    matches!(
        world.class_at(x, y),
        Some(TerrainClass::Bedrock | TerrainClass::Outcrop)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        folder::View,
        generate::generate,
        recipe::Recipe,
        testing::{mars, recipe},
    };

    #[test]
    fn marks_lie_on_rock_and_are_the_same_whatever_region_is_asked_for() {
        let mut small = Recipe {
            size_m: [40.0, 40.0],
            ..recipe("mixed")
        };
        small.cover.shares.insert(TerrainClass::Bedrock, 0.5);
        let world = generate(3, &mars(), &small)
            .unwrap()
            .world(&View::everything())
            .unwrap();
        let all = Marks::on_rock(&world, [0.0, 0.0, 40.0, 40.0], MarkParams::default(), 5);
        let part = Marks::on_rock(&world, [10.0, 10.0, 30.0, 30.0], MarkParams::default(), 5);
        assert!(all.groups() > part.groups() && part.groups() > 0);
        let mut found = [0, 0];
        for k in 0..400 * 400 {
            let (x, y) = (0.1 * f64::from(k % 400), 0.1 * f64::from(k / 400));
            let here = all.at(x, y);
            // No vein or field reaches farther than its length.
            if (13.0..27.0).contains(&x) && (13.0..27.0).contains(&y) {
                assert_eq!(part.at(x, y).map(|h| h.0), here.map(|h| h.0));
            }
            let Some((mark, _)) = here else { continue };
            found[usize::from(mark == Mark::Nodule)] += 1;
            let tone = all.tone(x, y, 1e-3);
            assert!(
                if mark == Mark::Vein {
                    tone > 1.2
                } else {
                    tone < 0.8
                },
                "{tone}"
            );
        }
        assert!(found[0] > 30 && found[1] > 10, "{found:?}");
        assert_eq!(
            Marks::on_rock(
                &world,
                [0.0; 4],
                MarkParams {
                    veins_per_m2: 0.0,
                    fields_per_m2: 0.0,
                    ..MarkParams::default()
                },
                5
            )
            .groups(),
            0
        );
    }

    #[test]
    fn a_coarse_pixel_sees_a_nodule_fainter_than_a_fine_one() {
        let mut m = Marks {
            params: MarkParams::default(),
            bins: BTreeMap::new(),
            groups: 1,
        };
        m.put(Shape {
            mark: Mark::Vein,
            group: 0,
            from: [0.0, 0.0],
            to: [1.0, 0.0],
            radius_m: [0.01, 0.01],
        });
        assert_eq!(m.at(0.5, 0.005), Some((Mark::Vein, 0)));
        assert_eq!(m.at(0.5, 0.02), None);
        assert!((m.tone(0.5, 0.0, 0.001) - 1.7).abs() < 1e-6);
        let coarse = m.tone(0.5, 0.01, 0.04);
        assert!(coarse > 1.2 && coarse < 1.5, "{coarse}");
        assert_eq!(m.tone(0.5, 0.2, 0.04), 1.0);
    }
}
