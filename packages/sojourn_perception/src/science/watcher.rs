//! Targets in the image of a view whose depth is known.

use super::{
    Kind, Memory, Sight, Target, Wants, odd_colours, odd_targets, outcrops, rank, rock_targets,
    small_targets,
};
use crate::{
    classes::GreyImage,
    rocks::Rock,
    small::{self, Rules},
    surface::View,
};
use nalgebra::Point3;
use sojourn_core::{CoreError, classes::TerrainClass, raster::Raster};

/// How far the depth image may differ from a rock's own depth, share of it: beyond that something stands before it.
const HIDDEN_SHARE: f64 = 0.15;
/// Share of a row's pixels that have a depth where the ground begins.
const GROUND_SHARE: f64 = 0.1;

/// What the terrain grid that holds a view knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Its rocks.
    pub rocks: &'a [Rock],
    /// Codes of [`TerrainClass`] in `odom`, where classes are told.
    pub class: Option<&'a Raster>,
    /// The image in colour, three bytes a pixel (red, green, blue), where it has any.
    pub rgb: Option<&'a [u8]>,
}

/// Looks for targets image by image and remembers what it has seen.
#[derive(Clone, Debug)]
pub struct Watcher {
    wants: Wants,
    rules: Rules,
    rocks: Memory,
    patches: Memory,
}

impl Watcher {
    /// With what the science team wants.
    ///
    /// # Errors
    /// [`CoreError`] when the shipped rules of veins and nodules were broken when this was built.
    pub fn new(wants: Wants) -> Result<Self, CoreError> {
        Ok(Self {
            wants,
            rules: Rules::shipped()?,
            rocks: Memory::default(),
            patches: Memory::default(),
        })
    }

    /// What the science team wants.
    #[must_use]
    pub fn wants(&self) -> &Wants {
        &self.wants
    }

    /// The best targets of an image, best first, with places in `odom`; `known` is what the grid that holds the view knows.
    /// Nothing without a depth is a target: there is no telling how far and how large it is. An image of another size than
    /// the view's holds none.
    pub fn look(&mut self, image: &GreyImage<'_>, view: &View, known: Known<'_>) -> Vec<Target> {
        let (width, height) = (view.image.width, view.image.height);
        let fits = (image.width, image.height) == (width, height)
            && image.data.len() == width * height
            && view.image.depth_m.len() == width * height;
        if !fits {
            return Vec::new();
        }
        let camera_from_odom = view.odom_from_camera.inverse();
        let sight = |p: [f64; 3]| {
            let at = camera_from_odom * Point3::from(p);
            let [u, v] = view.camera.project(at.coords)?;
            let inside = u >= 0.0 && v >= 0.0 && u < width as f64 && v < height as f64;
            let z = inside.then(|| depth_m(view, u as usize, v as usize))??;
            ((z - at.z).abs() <= HIDDEN_SHARE * at.z).then(|| Sight {
                u,
                v,
                distance_m: at.coords.norm(),
                px_per_m: view.camera.fx / at.z,
            })
        };
        let mut found = rock_targets(image, known.rocks, &self.wants, &mut self.rocks, sight);
        if [Kind::Vein, Kind::Nodule]
            .iter()
            .any(|k| self.wants.weight(*k) > 0.0)
        {
            let small = small::find(image, view, known.rocks, &self.rules);
            let small = small_targets(image, &small, &self.wants, &mut self.rocks, sight);
            found.extend(small);
        }
        let ground = (0..height).find(|v| {
            let seen = (0..width).filter(|u| depth_m(view, *u, *v).is_some());
            seen.count() as f64 >= GROUND_SHARE * width as f64
        });
        if let Some(below) = ground {
            let rock = known.class.map_or_else(Vec::new, |c| bedrock(view, c));
            let mut odd = outcrops(image, &rock, &self.wants, &self.patches);
            odd.extend(odd_targets(image, below, &self.wants, &mut self.patches));
            if let Some(rgb) = known.rgb {
                odd.extend(odd_colours(width, height, rgb, below, &self.wants));
            }
            let odd: Vec<Target> = odd
                .into_iter()
                .filter(|t| !found.iter().any(|r| holds(r, t)))
                .filter_map(|t| self.placed(t, view))
                .collect();
            found.extend(odd);
        }
        rank(&mut found);
        found.truncate(self.wants.most_targets);
        found
    }

    /// A patch with its place and size, if it is wanted where it is.
    fn placed(&self, mut target: Target, view: &View) -> Option<Target> {
        let c = target.crop;
        let mut depths: Vec<f64> = (c.row..c.row + c.height)
            .flat_map(|v| (c.col..c.col + c.width).filter_map(move |u| depth_m(view, u, v)))
            .collect();
        depths.sort_by(f64::total_cmp);
        let z = *depths.get(depths.len() / 2)?;
        let middle = |first: usize, n: usize| first as f64 + 0.5 * n as f64;
        let ray = view
            .camera
            .ray(middle(c.col, c.width), middle(c.row, c.height))
            * z;
        let size_m = c.width.max(c.height) as f64 * z / view.camera.fx;
        let [least_m, farthest_m] = [self.wants.size_m[0], self.wants.distance_m[1]];
        if size_m < least_m || ray.norm() > farthest_m {
            return None;
        }
        let at = view.odom_from_camera * Point3::from(ray);
        target.position_m = Some([at.x, at.y, at.z]);
        target.size_m = Some(size_m);
        target.reason += &format!(", {size_m:.1} m across, {:.1} m away", ray.norm());
        Some(target)
    }
}

impl Wants {
    /// How much a target's score is of the greatest there can be, 0 to 1.
    #[must_use]
    pub fn share_of_best(&self, score: f64) -> f64 {
        let best = Kind::ALL.iter().fold(0.0f64, |b, k| b.max(self.weight(*k)));
        let most = best * (1.0 + self.novelty_weight);
        if most > 0.0 {
            (score / most).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }
}

/// Which pixels of a view lie in cells of bedrock.
fn bedrock(view: &View, class: &Raster) -> Vec<bool> {
    let rock = [TerrainClass::Bedrock, TerrainClass::Outcrop].map(|c| f64::from(c.code()));
    let width = view.image.width;
    (0..view.image.depth_m.len())
        .map(|i| {
            let (u, v) = (i % width, i / width);
            let at = depth_m(view, u, v).map(|z| {
                view.odom_from_camera * Point3::from(view.camera.ray(u as f64, v as f64) * z)
            });
            let here = at.and_then(|p| class.nearest(p.x, p.y));
            here.is_some_and(|c| rock.contains(&c))
        })
        .collect()
}

/// The depth of a pixel, metres.
fn depth_m(view: &View, col: usize, row: usize) -> Option<f64> {
    let z = f64::from(*view.image.depth_m.get(row * view.image.width + col)?);
    (z.is_finite() && z > 0.0).then_some(z)
}

/// Whether the middle of one target's crop lies in another's.
fn holds(outer: &Target, inner: &Target) -> bool {
    let (o, i) = (outer.crop, inner.crop);
    let (u, v) = (i.col + i.width / 2, i.row + i.height / 2);
    (o.col..o.col + o.width).contains(&u) && (o.row..o.row + o.height).contains(&v)
}

/// The first row of the ground in an image without depth: above it the rows are half as rough as a
/// rough row of the image at most, as a sky is. 0 where the image begins with ground, and where all of it is as smooth.
#[must_use]
pub fn horizon(image: &GreyImage<'_>) -> usize {
    /// Rows that are judged together.
    const BAND: usize = 8;
    if image.width < 2 || image.data.len() != image.width * image.height {
        return 0;
    }
    let rough: Vec<f64> = image
        .data
        .chunks_exact(BAND * image.width)
        .map(|band| {
            let lines = band.chunks_exact(image.width);
            let steps = lines.flat_map(|l| l.windows(2).map(|w| f64::from(w[0].abs_diff(w[1]))));
            steps.sum::<f64>() / (BAND * (image.width - 1)) as f64
        })
        .collect();
    let mut sorted = rough.clone();
    sorted.sort_by(f64::total_cmp);
    // A sky may fill more than half of the image.
    let typical = sorted.get(3 * sorted.len() / 4).copied().unwrap_or(0.0);
    let first = rough.iter().position(|r| *r >= 0.5 * typical);
    first.map_or(0, |band| band * BAND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DepthImage, DepthNoise};
    use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};
    use sojourn_core::{Stamp, camera::Pinhole};

    const CAMERA: Pinhole = Pinhole {
        width: 320,
        height: 240,
        fx: 300.0,
        fy: 300.0,
        cx: 160.0,
        cy: 40.0,
    };

    /// A camera 2 m over level ground that looks along x; the sky begins at the 40th row.
    fn view() -> View {
        let turn =
            UnitQuaternion::from_basis_unchecked(&[-Vector3::y(), -Vector3::z(), Vector3::x()]);
        let depth = |i: usize| {
            let down = ((i / 320) as f64 - 40.0) / 300.0;
            if down > 0.02 {
                (2.0 / down) as f32
            } else {
                f32::NAN
            }
        };
        View {
            image: DepthImage {
                stamp: Stamp(1),
                width: 320,
                height: 240,
                depth_m: (0..320 * 240).map(depth).collect(),
                noise: DepthNoise::Rover,
            },
            camera: CAMERA,
            odom_from_camera: Isometry3::from_parts(Translation3::new(1.0, 0.0, 2.0), turn),
            odom_from_base: Isometry3::identity(),
        }
    }

    fn on(rocks: &[Rock]) -> Known<'_> {
        Known {
            rocks,
            ..Known::default()
        }
    }

    fn picture(of: impl Fn(usize, usize) -> u8) -> Vec<u8> {
        (0..320 * 240).map(|i| of(i % 320, i / 320)).collect()
    }

    fn ground(c: usize, r: usize) -> u8 {
        let h = (c * 73_856_093) ^ (r * 19_349_663);
        if r < 40 {
            200
        } else {
            100 + (h / 64 % 17) as u8
        }
    }

    #[test]
    fn targets_stand_where_their_depth_says_and_the_sky_holds_none() {
        let data = picture(|c, r| match (c, r) {
            (160..208, 128..176) => 220,
            (60..90, 4..20) => 90,
            _ => ground(c, r),
        });
        let image = GreyImage {
            width: 320,
            height: 240,
            data: &data,
        };
        let mut watcher = Watcher::new(Wants::shipped().unwrap()).unwrap();
        let found = watcher.look(&image, &view(), Known::default());
        let best = found.first().unwrap();
        assert_eq!(best.kind, Kind::OddTone);
        let [x, y, z] = best.position_m.unwrap();
        // Rows 128 to 176 are 2 m below, 152 - 40 pixels down: 5.4 m ahead of the camera.
        assert!(
            (x - 6.4).abs() < 0.6 && (y + 0.45).abs() < 0.2 && z.abs() < 0.2,
            "{x} {y} {z}"
        );
        assert!(found.iter().all(|t| t.crop.row >= 32 && t.size_m.is_some()));
        let share = watcher.wants().share_of_best(best.score);
        assert!(share > 0.0 && share <= 1.0);
        assert_eq!(watcher.wants().share_of_best(1e9), 1.0);
    }

    #[test]
    fn rocks_are_targets_unless_something_hides_them_or_nothing_fits() {
        let data = picture(ground);
        let image = GreyImage {
            width: 320,
            height: 240,
            data: &data,
        };
        let rock = |x_m: f64, ground_m: f64| Rock {
            x_m,
            y_m: 0.0,
            ground_m,
            diameter_m: 0.6,
            height_m: 0.3,
            height_sigma_m: 0.01,
        };
        let mut watcher = Watcher::new(Wants::shipped().unwrap()).unwrap();
        // The second one lies beyond the ground that its pixel shows.
        let found = watcher.look(&image, &view(), on(&[rock(7.0, 0.0), rock(9.0, -3.0)]));
        let rocks: Vec<_> = found.iter().filter(|t| t.kind == Kind::FloatRock).collect();
        assert_eq!(rocks.len(), 1);
        assert_eq!(rocks[0].position_m.unwrap()[0], 7.0);
        let small = GreyImage {
            width: 320,
            height: 120,
            data: &data[..320 * 120],
        };
        assert_eq!(watcher.look(&small, &view(), on(&[rock(7.0, 0.0)])), vec![]);
        let mut blind = view();
        blind.image.depth_m.fill(f32::NAN);
        assert_eq!(watcher.look(&image, &blind, on(&[rock(7.0, 0.0)])), vec![]);
    }

    #[test]
    fn bedrock_of_the_grid_is_an_outcrop_and_a_vein_a_vein() {
        let data = picture(|c, r| {
            let vein = (150..154).contains(&r) && (40..120).contains(&c);
            if vein { 230 } else { ground(c, r) }
        });
        let image = GreyImage {
            width: 320,
            height: 240,
            data: &data,
        };
        let code = |c: TerrainClass| f32::from(c.code());
        // Bedrock on the right side, 4 m to 8 m ahead.
        let cells = (0..100 * 100)
            .map(|i| {
                let (x, y) = (0.1 * f64::from(i % 100), 0.1 * f64::from(i / 100) - 5.0);
                let rock = (5.0..9.0).contains(&x) && (-2.5..-0.5).contains(&y);
                code(if rock {
                    TerrainClass::Bedrock
                } else {
                    TerrainClass::SmoothRegolith
                })
            })
            .collect();
        let class = Raster::new(100, 100, 0.1, [0.0, -5.0], cells).unwrap();
        let mut watcher = Watcher::new(Wants::shipped().unwrap()).unwrap();
        let known = Known {
            rocks: &[],
            class: Some(&class),
            rgb: None,
        };
        let found = watcher.look(&image, &view(), known);
        let outcrop = found.iter().find(|t| t.kind == Kind::Outcrop).unwrap();
        let [x, y, _] = outcrop.position_m.unwrap();
        assert!(
            (4.5..9.0).contains(&x) && (-2.5..-0.5).contains(&y),
            "{x} {y}"
        );
        let without = watcher.look(&image, &view(), Known::default());
        assert!(without.iter().all(|t| t.kind != Kind::Outcrop));
    }

    #[test]
    fn another_hue_is_a_target_where_the_image_has_colour() {
        let data = picture(ground);
        let image = GreyImage {
            width: 320,
            height: 240,
            data: &data,
        };
        let inside = |i: usize| (160..208).contains(&(i % 320)) && (128..176).contains(&(i / 320));
        let rgb: Vec<u8> = (0..data.len())
            .flat_map(|i| {
                let tint = if inside(i) { [0.9; 3] } else { [1.2, 0.9, 0.6] };
                tint.map(|t| (t * f64::from(data[i])).min(254.0) as u8)
            })
            .collect();
        let look = |rgb: Option<&[u8]>| {
            let known = Known {
                rgb,
                ..Known::default()
            };
            let mut watcher = Watcher::new(Wants::shipped().unwrap()).unwrap();
            let found = watcher.look(&image, &view(), known);
            found.into_iter().find(|t| t.kind == Kind::OddColour)
        };
        let [x, _, z] = look(Some(&rgb)).unwrap().position_m.unwrap();
        assert!((x - 6.4).abs() < 0.6 && z.abs() < 0.2, "{x} {z}");
        assert_eq!(look(None), None);
        assert_eq!(look(Some(&rgb[3..])), None);
    }

    #[test]
    fn the_horizon_is_where_the_rows_get_rough() {
        let data = picture(ground);
        let image = GreyImage {
            width: 320,
            height: 240,
            data: &data,
        };
        assert_eq!(horizon(&image), 40);
        let all: Vec<u8> = picture(|c, r| ground(c, r + 40));
        let all = GreyImage {
            data: &all,
            ..image
        };
        assert_eq!(horizon(&all), 0);
        let even = vec![9; 320 * 240];
        let even = GreyImage {
            data: &even,
            ..image
        };
        assert_eq!(horizon(&even), 0);
    }
}
