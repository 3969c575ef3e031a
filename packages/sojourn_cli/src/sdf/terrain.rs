//! The ground of an exported world: a height map for the wheels, a mesh with a picture for the eye, rocks as meshes.

use super::Plot;
use sojourn_core::raster::HeightField;
use sojourn_twin::{
    folder::{View, WorldFolder},
    rocks::Rock,
    world::World,
};
use std::fmt::Write as _;

/// Steps of a 16-bit height map.
const STEPS: f64 = 65_535.0;
/// How far a rock's mesh goes on below its outline, as a share of its diameter.
const ROOT: f64 = 0.3;
/// Rings of vertices between a rock's outline and its middle.
const RINGS: usize = 4;
/// Colour of dust at an albedo of [`MID_ALBEDO`], red, green, blue.
const DUST: [f64; 3] = [178.0, 124.0, 88.0];
const MID_ALBEDO: f64 = 0.22;

/// Heights over the plot, without the rocks that stand as meshes.
pub struct Ground {
    world: World,
    /// The same without any rocks.
    bare: World,
    plot: Plot,
    /// Rocks that are left out of the heights.
    rocks: Vec<Rock>,
    /// Metres in `map` that are height 0 of the exported world.
    zero_m: f64,
}

/// A grid of heights, row by row from the north.
pub struct Grid {
    /// Nodes along a side.
    pub side: usize,
    /// Heights over the exported world's zero, metres.
    pub heights_m: Vec<f64>,
    /// Least of them.
    pub least_m: f64,
    /// Greatest less least; more than nothing.
    pub range_m: f64,
}

impl Ground {
    /// Prepares the ground; rocks of `rocks_over_m` and more stand as meshes.
    ///
    /// # Errors
    /// One sentence when there is no ground in the middle of the plot.
    pub fn new(folder: &WorldFolder, plot: Plot, rocks_over_m: f64) -> anyhow::Result<Self> {
        let half = 0.5 * plot.size_m;
        let [x, y] = plot.center_m;
        let view = View::everything();
        let world = folder.world(&view)?;
        let mut bare = folder.clone();
        bare.document.recipe.rocks.cfa = 0.0;
        let bare = bare.world(&view)?;
        let mut rocks = world.rocks_in([x - half, y - half, x + half, y + half]);
        // A rock over the edge would stand half in the air.
        rocks.retain(|r| {
            let inside = |v: f64| v.abs() + r.reach_m < half;
            r.diameter_m >= rocks_over_m && inside(r.x_m - x) && inside(r.y_m - y)
        });
        rocks.sort_by(|a, b| {
            b.diameter_m
                .total_cmp(&a.diameter_m)
                .then(a.x_m.total_cmp(&b.x_m))
        });
        let mut ground = Self {
            world,
            bare,
            plot,
            rocks,
            zero_m: 0.0,
        };
        // To the millimetre, so that it can be written down exactly.
        ground.zero_m = (ground.height_m(0.0, 0.0)? * 1000.0).round() / 1000.0;
        Ok(ground)
    }

    /// Metres in `map` that are height 0 of the exported world.
    #[must_use]
    pub fn zero_m(&self) -> f64 {
        self.zero_m
    }

    /// The rocks that stand as meshes, largest first.
    #[must_use]
    pub fn rocks(&self) -> &[Rock] {
        &self.rocks
    }

    /// Height at a place of the plot (metres from its middle, east and north), without the rocks that stand as meshes.
    ///
    /// # Errors
    /// One sentence when there is no ground.
    pub fn height_m(&self, east_m: f64, north_m: f64) -> anyhow::Result<f64> {
        let [x, y] = [
            self.plot.center_m[0] + east_m,
            self.plot.center_m[1] + north_m,
        ];
        // Nodes of the ground that a rock raised are not looked at, not even the next beside it.
        let margin_m = 2.0 * self.world.resolution_m();
        let near = |r: &Rock| (x - r.x_m).hypot(y - r.y_m) < r.reach_m + margin_m;
        let ground = if self.rocks.iter().any(near) {
            &self.bare
        } else {
            &self.world
        };
        let Some(z) = ground.height_m(x, y) else {
            anyhow::bail!(
                "there is no ground at ({x:.1}, {y:.1}) m: give a smaller --size or another --center"
            );
        };
        Ok(z - self.zero_m)
    }

    /// Height at a place of the plot with all rocks; `None` without ground.
    #[must_use]
    pub fn with_rocks_m(&self, east_m: f64, north_m: f64) -> Option<f64> {
        let [x, y] = self.plot.center_m;
        let z = self.world.height_m(x + east_m, y + north_m)?;
        Some(z - self.zero_m)
    }

    /// Heights on `side` × `side` nodes.
    ///
    /// # Errors
    /// One sentence when there is no ground somewhere.
    pub fn grid(&self, side: usize) -> anyhow::Result<Grid> {
        let step_m = self.plot.size_m / (side - 1) as f64;
        let half = 0.5 * self.plot.size_m;
        let mut heights_m = Vec::with_capacity(side * side);
        for row in 0..side {
            for col in 0..side {
                let (east, north) = (col as f64 * step_m - half, half - row as f64 * step_m);
                heights_m.push(self.height_m(east, north)?);
            }
        }
        let least_m = heights_m.iter().copied().fold(f64::INFINITY, f64::min);
        let most_m = heights_m.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Ok(Grid {
            side,
            heights_m,
            least_m,
            range_m: (most_m - least_m).max(1e-3),
        })
    }

    /// The ground's picture from above, sunlight aside, as PNG.
    ///
    /// # Errors
    /// One sentence when it cannot be written.
    pub fn picture(&self, side: usize) -> anyhow::Result<Vec<u8>> {
        let half = 0.5 * self.plot.size_m;
        let [x, y] = self.plot.center_m;
        let window = self.world.window([x - half, y - half, x + half, y + half]);
        let (res, step_m) = (window.resolution_m(), self.plot.size_m / side as f64);
        let mut data = Vec::with_capacity(3 * side * side);
        for row in 0..side {
            for col in 0..side {
                let gx = (x - half + (col as f64 + 0.5) * step_m) / res;
                let gy = (y + half - (row as f64 + 0.5) * step_m) / res;
                let (i, j) = (gx.floor(), gy.floor());
                let albedo = window.albedo(i as i64, j as i64, gx - i, gy - j);
                data.extend(DUST.map(|c| (c * albedo / MID_ALBEDO).clamp(0.0, 255.0) as u8));
            }
        }
        crate::pixels::rgb8(side, side, &data)
    }

    /// All rocks as one OBJ file with a group for each, in the exported world's frame.
    ///
    /// # Errors
    /// One sentence when there is no ground under one.
    pub fn rocks_obj(&self) -> anyhow::Result<String> {
        let mut out = String::from("mtllib rocks.mtl\nusemtl rock\n");
        let mut first = 1;
        for (k, rock) in self.rocks.iter().enumerate() {
            let _ = writeln!(out, "o {}", rock_name(k));
            first += self.rock_obj(rock, first, &mut out)?;
        }
        Ok(out)
    }

    /// One rock: rings from below the outline up to the middle. Returns the number of its vertices.
    fn rock_obj(&self, rock: &Rock, first: usize, out: &mut String) -> anyhow::Result<usize> {
        let (shape, radius) = (rock.shape(), 0.5 * rock.diameter_m);
        let outline = shape.outline();
        let n = outline.len();
        let mut vertex = |u: f64, v: f64, below_m: f64| -> anyhow::Result<()> {
            let (x, y) = (rock.x_m + radius * u, rock.y_m + radius * v);
            let (east, north) = (x - self.plot.center_m[0], y - self.plot.center_m[1]);
            let rise_m = rock.height_m * shape.height(u, v);
            let z = self.height_m(east, north)? + rise_m - below_m;
            let _ = writeln!(out, "v {east:.3} {north:.3} {z:.3}");
            Ok(())
        };
        for [u, v] in &outline {
            vertex(*u, *v, ROOT * rock.diameter_m)?;
        }
        for ring in 0..RINGS {
            // closer together at the outline, where the faces are steep
            let share = 1.0 - (ring as f64 / RINGS as f64).powf(1.5);
            for [u, v] in &outline {
                vertex(share * u, share * v, 0.0)?;
            }
        }
        vertex(0.0, 0.0, 0.0)?;
        for ring in 0..RINGS {
            for k in 0..n {
                let (a, b) = (first + ring * n + k, first + ring * n + (k + 1) % n);
                let _ = writeln!(out, "f {a} {b} {} {}", b + n, a + n);
            }
        }
        let (inner, top) = (first + RINGS * n, first + (RINGS + 1) * n);
        for k in 0..n {
            let _ = writeln!(out, "f {} {} {top}", inner + k, inner + (k + 1) % n);
        }
        Ok((RINGS + 1) * n + 1)
    }
}

/// Name of a rock's group.
#[must_use]
pub fn rock_name(k: usize) -> String {
    format!("rock_{k}")
}

impl Grid {
    /// As a 16-bit grey PNG whose darkest pixel is the least height and whose brightest is the greatest.
    ///
    /// # Errors
    /// One sentence when it cannot be written.
    pub fn png(&self) -> anyhow::Result<Vec<u8>> {
        let step = |z: &f64| {
            let step = ((z - self.least_m) / self.range_m * STEPS).round();
            step.clamp(0.0, STEPS) as u16
        };
        let data: Vec<u16> = self.heights_m.iter().map(step).collect();
        crate::pixels::grey16(self.side, self.side, &data)
    }

    /// As an OBJ mesh of squares with the coordinates of the picture.
    #[must_use]
    pub fn obj(&self, size_m: f64) -> String {
        let n = self.side;
        let (step_m, half) = (size_m / (n - 1) as f64, 0.5 * size_m);
        let mut out = String::from("mtllib terrain.mtl\no terrain\nusemtl ground\n");
        for (k, z) in self.heights_m.iter().enumerate() {
            let (col, row) = ((k % n) as f64, (k / n) as f64);
            let (x, y) = (col * step_m - half, half - row * step_m);
            let _ = writeln!(out, "v {} {} {z:.3}", short(x), short(y));
        }
        let at = |k: usize| k as f64 / (n - 1) as f64;
        for k in 0..n * n {
            let _ = writeln!(out, "vt {:.4} {:.4}", at(k % n), 1.0 - at(k / n));
        }
        for row in 0..n - 1 {
            for col in 0..n - 1 {
                let nw = row * n + col + 1;
                let (ne, sw, se) = (nw + 1, nw + n, nw + n + 1);
                let _ = writeln!(out, "f {sw}/{sw} {se}/{se} {ne}/{ne} {nw}/{nw}");
            }
        }
        out
    }
}

/// To the tenth of a millimetre, without zeros at the end.
fn short(v: f64) -> String {
    super::xml::number((v * 1e4).round() / 1e4)
}

/// The materials of ground and rocks.
#[must_use]
pub fn materials() -> [(&'static str, String); 2] {
    let rock = DUST.map(|c| format!("{:.3}", 0.75 * c / 255.0)).join(" ");
    [
        (
            "terrain.mtl",
            "newmtl ground\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nmap_Kd terrain_albedo.png\n".into(),
        ),
        (
            "rocks.mtl",
            format!("newmtl rock\nKa {rock}\nKd {rock}\nKs 0 0 0\n"),
        ),
    ]
}
