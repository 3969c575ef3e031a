//! Scenes: what the planner may read of a world, and the truth that it is judged by.

use super::PlannerArgs;
use crate::cli_error::CliError;
use crate::commands::world;
use crate::ground;
use crate::launch::places::Places;
use clap::ValueEnum;
use sojourn_core::classes::TerrainClass;
use sojourn_core::geometry::Xy;
use sojourn_core::plan::Feature;
use sojourn_core::raster::Raster;
use sojourn_core::site::Site;
use sojourn_planner::model::{Action, Confidence, Label, Science, SurfaceView};
use sojourn_planner::score::{HAZARD, true_risk};
use sojourn_twin::folder::WorldFolder;
use sojourn_twin::generate::{CLASSES, generate};
use sojourn_twin::recipe::Recipe;
use std::path::{Path, PathBuf};

/// List of pictures from the surface in a scene's folder.
const SURFACE_LIST: &str = "surface.json";

/// A scene.
pub(super) struct Scene {
    pub name: String,
    /// Which kind of ground it is.
    pub world: String,
    /// Whether nothing was fitted or chosen on this kind of ground, where that is known.
    pub unseen: Option<bool>,
    pub site: Site,
    /// Codes of the classes that are really there.
    pub truth: Raster,
    /// The whole of the true ground, where there is one.
    pub folder: Option<WorldFolder>,
    /// Pictures from the surface, where the scene brings some.
    pub surface: Vec<SurfaceView>,
    /// What the orbital classifier says, once a model was to be shown what it doubts.
    pub classified: Option<Vec<Label>>,
    /// Seed of the scene; 0 for one from a folder without a world.
    pub seed: u64,
}

/// Where the goal lies, seen from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Course {
    /// To the east.
    East,
    /// Up the slope of the plane through the whole scene.
    Up,
    /// Down it.
    Down,
    /// Along its contour lines.
    Across,
}

impl Course {
    /// As a direction of length 1.
    pub(super) fn direction(self, elevation: &Raster) -> Xy {
        let [gx, gy] = gradient(elevation);
        let g = gx.hypot(gy);
        if self == Self::East || g <= 0.0 {
            return [1.0, 0.0];
        }
        match self {
            Self::Across => [-gy / g, gx / g],
            Self::Down => [-gx / g, -gy / g],
            _ => [gx / g, gy / g],
        }
    }
}

/// Gradient of the plane nearest to a raster in the sense of least squares.
fn gradient(raster: &Raster) -> Xy {
    // About the middle of a rectangle x and y are uncorrelated, but for the holes, which hardly tilt a scene.
    let (o, s) = (raster.origin_m(), raster.size_m());
    let middle = [o[0] + 0.5 * s[0], o[1] + 0.5 * s[1]];
    let mut sums = [[0.0f64; 2]; 2];
    let known = raster.data().iter().filter(|v| v.is_finite());
    let mean = known.clone().map(|v| f64::from(*v)).sum::<f64>() / known.count().max(1) as f64;
    for (i, v) in raster.data().iter().enumerate() {
        if v.is_finite() {
            let p = raster.centre_m(i % raster.cols(), i / raster.cols());
            for k in 0..2 {
                let d = p[k] - middle[k];
                sums[k][0] += d * (f64::from(*v) - mean);
                sums[k][1] += d * d;
            }
        }
    }
    sums.map(|[zd, dd]| if dd > 0.0 { zd / dd } else { 0.0 })
}

/// Worlds that something of the suite was fitted or chosen on: the orbital classifier (`sojourn train orbital`), the cost of
/// labels, the demo. Scenes of any other world count as terrain that was not seen in tuning.
const SEEN: [&str; 6] = ["mixed", "sandy", "hazard", "firm", "demo", "sand_slopes"];

/// A scene that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Its name, which no other of this run has.
    pub name: String,
    from: From,
}

#[derive(Clone, Debug)]
enum From {
    /// A folder that the user gives.
    Folder(PathBuf),
    /// Made from a seed.
    Seed {
        seed: u64,
        world: String,
        recipe: Box<Recipe>,
    },
}

/// The scenes that were asked for, in order.
pub(super) fn asked(places: &Places, args: &PlannerArgs) -> Result<Vec<Asked>, CliError> {
    match (&args.scenes, &args.set) {
        (Some((a, b)), None) => {
            let mut out = Vec::new();
            for name in &args.world {
                let world = Path::new(name).file_stem().unwrap_or_default();
                let world = world.to_string_lossy().into_owned();
                let recipe = world::recipe(places, name)?;
                let own = recipe.size_m;
                let sides: Vec<[f64; 2]> = match args.span.is_empty() {
                    true => vec![own],
                    false => args.span.iter().map(|m| [*m, *m]).collect(),
                };
                for size_m in sides {
                    let recipe = Recipe {
                        size_m,
                        ..recipe.clone()
                    };
                    recipe.check(&format!("--world {name}, --span {}", size_m[0]))?;
                    out.extend((*a..*b).map(|seed| Asked {
                        name: format!("{world}-{:.0}m-seed-{seed:06}", size_m[0]),
                        from: From::Seed {
                            seed,
                            world: world.clone(),
                            recipe: Box::new(recipe.clone()),
                        },
                    }));
                }
            }
            let mut names: Vec<&str> = out.iter().map(|a| a.name.as_str()).collect();
            names.sort_unstable();
            if let Some(twice) = names.windows(2).find(|w| w[0] == w[1]) {
                return Err(CliError::Usage(format!(
                    "--world, --span: the scene {} is asked for twice",
                    twice[0]
                )));
            }
            Ok(out)
        }
        (None, Some(dir)) => {
            let entries = std::fs::read_dir(dir)
                .map_err(|e| sojourn_core::CoreError::io(dir, "reading", e))?;
            let mut out: Vec<Asked> = entries
                .flatten()
                .map(|e| e.path())
                .filter(|p| p.join("manifest.json").is_file())
                .map(|p| Asked {
                    name: p
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned(),
                    from: From::Folder(p),
                })
                .collect();
            out.sort_by(|a, b| a.name.cmp(&b.name));
            if out.is_empty() {
                return Err(CliError::Failed(format!(
                    "{}: holds no scenes, expected folders with manifest.json and truth/manifest.json",
                    dir.display()
                )));
            }
            Ok(out)
        }
        _ => Err(CliError::Usage(
            "--scenes A..B or --set DIR is needed".into(),
        )),
    }
}

impl Asked {
    /// What its result depends on beside the provider's set-up.
    pub fn describe(&self) -> serde_json::Value {
        match &self.from {
            From::Folder(_) => serde_json::Value::Null,
            From::Seed { recipe, .. } => serde_json::json!(recipe),
        }
    }
}

impl Scene {
    /// Makes or reads a scene; a folder may bring pictures from the surface.
    pub fn load(places: &Places, asked: &Asked) -> anyhow::Result<Self> {
        let name = &asked.name;
        match &asked.from {
            From::Folder(dir) => {
                let list = dir.join(SURFACE_LIST);
                let surface = match list.is_file() {
                    true => SurfaceView::load(&list)?,
                    false => Vec::new(),
                };
                if WorldFolder::is_world(dir) {
                    let scene = Self::of_world(name, WorldFolder::load(dir)?)?;
                    return Ok(Self { surface, ..scene });
                }
                let truth = Site::load(&dir.join("truth"))?;
                let site = Site::load(dir)?;
                Ok(Self {
                    name: name.clone(),
                    world: site.manifest.name.clone(),
                    unseen: None,
                    site,
                    truth: truth.layer(CLASSES)?.clone(),
                    folder: None,
                    surface,
                    classified: None,
                    seed: 0,
                })
            }
            From::Seed {
                seed,
                world,
                recipe,
            } => {
                let body = ground::body(places, "mars")?;
                let made = Self::of_world(name, generate(*seed, &body, recipe)?)?;
                Ok(Self {
                    world: world.clone(),
                    unseen: Some(!SEEN.contains(&world.as_str())),
                    ..made
                })
            }
        }
    }

    /// Longer side of its ground, metres.
    pub fn span_m(&self) -> f64 {
        let size = self.site.elevation().map_or([0.0; 2], Raster::size_m);
        size[0].max(size[1])
    }

    fn of_world(name: &str, folder: WorldFolder) -> anyhow::Result<Self> {
        Ok(Self {
            name: name.into(),
            world: folder.site.manifest.name.clone(),
            unseen: None,
            site: folder.site.clone(),
            truth: folder.truth.layer(CLASSES)?.clone(),
            surface: Vec::new(),
            classified: None,
            seed: folder.document.seed,
            folder: Some(folder),
        })
    }

    /// Start and goal on open ground that is no hazard, far apart on both sides of the middle.
    pub fn ends(&self, open: &Raster, course: Course) -> Option<[Xy; 2]> {
        let (o, s) = (open.origin_m(), open.size_m());
        let good = |p: Xy| {
            open.nearest(p[0], p[1]) == Some(1.0)
                && self
                    .truth
                    .nearest(p[0], p[1])
                    .and_then(|v| TerrainClass::from_code(v.round() as u8))
                    .is_some_and(|c| true_risk(c) < 3)
        };
        let [u, v] = course.direction(self.site.elevation().ok()?);
        let near = |share: f64| {
            // A little aside of the straight line through the middle, so that it does not follow rows of cells.
            let aim = [
                o[0] + (0.5 + share * u - 0.05 * share.signum() * v) * s[0],
                o[1] + (0.5 + share * v + 0.05 * share.signum() * u) * s[1],
            ];
            (0..400).find_map(|k| {
                // Outwards on a spiral.
                let (r, t) = (0.6 * f64::from(k).sqrt() * 2.0, f64::from(k) * 2.4);
                let p = [aim[0] + r * t.cos(), aim[1] + r * t.sin()];
                good(p).then_some(p)
            })
        };
        Some([near(-0.38)?, near(0.38)?])
    }

    /// The true hazards as labels: what a labeller without any error would give.
    pub fn true_labels(&self) -> Vec<Label> {
        rectangles(&self.truth)
            .into_iter()
            .enumerate()
            .map(|(k, (class, [lo, hi]))| Label {
                id: format!("T{}", k + 1),
                class,
                polygon: vec![lo, [hi[0], lo[1]], hi, [lo[0], hi[1]]],
                // As the classifier has it: dear, not forbidden.
                risk: HAZARD,
                action: Action::Skirt,
                confidence: Confidence::High,
                science: Science::None,
                views: Vec::new(),
                note: String::new(),
                source: format!("truth of {}", self.name),
            })
            .collect()
    }

    /// The same as a plan carries them.
    pub fn true_features(&self) -> Vec<Feature> {
        self.true_labels()
            .iter()
            .map(|l| l.feature("truth"))
            .collect()
    }
}

/// Hazardous cells as rectangles of one class that do not overlap, with their corners.
fn rectangles(truth: &Raster) -> Vec<(TerrainClass, [Xy; 2])> {
    let (cols, rows) = (truth.cols(), truth.rows());
    let mut left: Vec<Option<TerrainClass>> = truth
        .data()
        .iter()
        .map(|v| {
            (0.0..255.0)
                .contains(v)
                .then(|| TerrainClass::from_code(v.round() as u8))
                .flatten()
                .filter(|c| true_risk(*c) >= HAZARD)
        })
        .collect();
    let mut out = Vec::new();
    for first in 0..cols * rows {
        let Some(class) = left[first] else { continue };
        let (c, r) = (first % cols, first / cols);
        let same = |x: usize, y: usize| left[y * cols + x] == Some(class);
        let wide = (c..cols).take_while(|x| same(*x, r)).count();
        let high = (r..rows)
            .take_while(|y| (c..c + wide).all(|x| same(x, *y)))
            .count();
        for y in r..r + high {
            left[y * cols + c..y * cols + c + wide].fill(None);
        }
        let half_m = 0.5 * truth.resolution_m();
        let (a, b) = (
            truth.centre_m(c, r),
            truth.centre_m(c + wide - 1, r + high - 1),
        );
        let (lo, hi) = (
            [a[0].min(b[0]) - half_m, a[1].min(b[1]) - half_m],
            [a[0].max(b[0]) + half_m, a[1].max(b[1]) + half_m],
        );
        out.push((class, [lo, hi]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use sojourn_core::geometry::in_polygon;

    #[test]
    fn courses_follow_the_slope_of_the_whole() {
        let tilted = Raster::filled(40, 30, 2.0, [5.0, -3.0], 0.0).unwrap();
        let tilted = tilted.like(|c, r| {
            let [x, y] = tilted.centre_m(c, r);
            (0.03 * x + 0.04 * y + 0.2 * (x * 1.7).sin()) as f32
        });
        for (course, expected) in [
            (Course::East, [1.0, 0.0]),
            (Course::Up, [0.6, 0.8]),
            (Course::Down, [-0.6, -0.8]),
            (Course::Across, [-0.8, 0.6]),
        ] {
            let d = course.direction(&tilted);
            assert!(
                (d[0] - expected[0]).hypot(d[1] - expected[1]) < 0.05,
                "{course:?} {d:?}"
            );
        }
    }

    #[test]
    fn true_labels_cover_every_hazard_once_and_nothing_else() {
        let sand = f32::from(TerrainClass::SandRipples.code());
        let rock = f32::from(TerrainClass::BoulderField.code());
        let truth = Raster::filled(30, 20, 2.0, [100.0, 50.0], 0.0)
            .unwrap()
            .like(|c, r| match (c, r) {
                (0..3, 0..3) => f32::NAN,
                (5..15, 4..12) if (c + r) % 7 != 0 => sand,
                (15..20, 8..19) => rock,
                _ => f32::from(TerrainClass::SmoothRegolith.code()),
            });
        let found = rectangles(&truth);
        for r in 0..20 {
            for c in 0..30 {
                let p = truth.centre_m(c, r);
                let over: Vec<TerrainClass> = found
                    .iter()
                    .filter(|(_, [lo, hi])| {
                        in_polygon(p, &[*lo, [hi[0], lo[1]], *hi, [lo[0], hi[1]]])
                    })
                    .map(|(k, _)| *k)
                    .collect();
                let is = truth.get(c, r);
                let expected = if is == sand {
                    vec![TerrainClass::SandRipples]
                } else if is == rock {
                    vec![TerrainClass::BoulderField]
                } else {
                    vec![]
                };
                assert_eq!(over, expected, "{c} {r}");
            }
        }
        assert!(found.len() < 60, "{}", found.len());
    }
}
