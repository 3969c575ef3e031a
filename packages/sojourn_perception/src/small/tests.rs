use super::*;
use crate::{DepthImage, DepthNoise};
use nalgebra::{Isometry3, Translation3, UnitQuaternion};
use sojourn_core::{Stamp, camera::Pinhole};

const CAMERA: Pinhole = Pinhole {
    width: 320,
    height: 240,
    fx: 200.0,
    fy: 200.0,
    cx: 160.0,
    cy: 120.0,
};
const UP_M: f64 = 2.5;

/// A camera over level ground that looks straight down: x to the right, y up in the image.
fn view() -> View {
    let turn = UnitQuaternion::from_basis_unchecked(&[Vector3::x(), -Vector3::y(), -Vector3::z()]);
    View {
        image: DepthImage {
            stamp: Stamp::from_secs(1.0),
            width: 320,
            height: 240,
            depth_m: vec![UP_M as f32; 320 * 240],
            noise: DepthNoise::Rover,
        },
        camera: CAMERA,
        odom_from_camera: Isometry3::from_parts(Translation3::new(0.0, 0.0, UP_M), turn),
        odom_from_base: Isometry3::identity(),
    }
}

/// Brightness of ground with grain, times what is painted on it by place, metres.
fn picture(tone: impl Fn(f64, f64) -> f64) -> Vec<u8> {
    (0..320 * 240)
        .map(|i| {
            let (u, v) = ((i % 320) as f64, (i / 320) as f64);
            let (x, y) = ((u - 160.0) * UP_M / 200.0, (120.0 - v) * UP_M / 200.0);
            let h = (i % 320 * 73_856_093) ^ (i / 320 * 19_349_663);
            (80.0 * tone(x, y) + (h / 64 % 9) as f64).round() as u8
        })
        .collect()
}

fn looked(data: &[u8]) -> Vec<Candidate> {
    let image = GreyImage {
        width: 320,
        height: 240,
        data,
    };
    look(&image, &view(), &[]).1
}

/// Places of a field of nodules: a grid of them, moved about.
fn spots() -> Vec<[f64; 2]> {
    (0..16)
        .map(|k| {
            let (c, r) = (f64::from(k % 4), f64::from(k / 4));
            [
                0.6 + 0.12 * c + 0.02 * (r * 2.0).sin(),
                -0.3 + 0.13 * r + 0.02 * c.cos(),
            ]
        })
        .collect()
}

#[test]
fn a_vein_and_a_field_of_nodules_are_candidates_where_they_lie() {
    let spots = spots();
    let data = picture(|x, y| {
        let vein = (y - 0.4 - 0.3 * x).abs() < 0.018 && (-1.2..0.3).contains(&x);
        let nodule = spots.iter().any(|[a, b]| (x - a).hypot(y - b) < 0.026);
        if vein {
            1.7
        } else if nodule {
            0.5
        } else {
            1.0
        }
    });
    let found = looked(&data);
    let of = |class| found.iter().filter(move |f| f.class == class);
    let vein = of(SurfaceClass::Vein)
        .max_by(|a, b| a.size_m.total_cmp(&b.size_m))
        .unwrap();
    assert!((vein.size_m - 1.56).abs() < 0.1, "{}", vein.size_m);
    let [x, y, z] = vein.position_m;
    assert!((x + 0.45).abs() < 0.05 && (y - 0.265).abs() < 0.05 && z.abs() < 1e-6);
    let field = of(SurfaceClass::Nodule)
        .max_by(|a, b| a.pixels.len().cmp(&b.pixels.len()))
        .unwrap();
    let [x, y, _] = field.position_m;
    assert!((x - 0.78).abs() < 0.08 && (y + 0.1).abs() < 0.08, "{x} {y}");
}

#[test]
fn edges_bands_short_lines_and_lone_spots_are_no_candidates() {
    for (name, data) in [
        ("plain", picture(|_, _| 1.0)),
        (
            "an edge",
            picture(|x, y| if y > 0.2 * x { 1.8 } else { 1.0 }),
        ),
        (
            "a broad band",
            picture(|x, _| if x.abs() < 0.15 { 1.7 } else { 1.0 }),
        ),
        (
            "a short line",
            picture(|x, y| {
                if y.abs() < 0.02 && x.abs() < 0.1 {
                    1.7
                } else {
                    1.0
                }
            }),
        ),
        (
            "two spots",
            picture(|x, y| {
                let near = |a: f64| (x - a).hypot(y) < 0.026;
                if near(0.0) || near(0.15) { 0.5 } else { 1.0 }
            }),
        ),
    ] {
        let long: Vec<_> = looked(&data)
            .into_iter()
            .filter(|c| c.class == SurfaceClass::Nodule || c.size_m > 0.3)
            .collect();
        assert_eq!(long, vec![], "{name}");
    }
}

#[test]
fn a_rock_of_the_grid_is_a_float_rock_where_its_pixels_stand_out_of_the_ground() {
    let rock = Rock {
        x_m: 0.5,
        y_m: 0.2,
        ground_m: 0.0,
        diameter_m: 0.4,
        height_m: 0.3,
        height_sigma_m: 0.01,
    };
    let data = picture(|_, _| 1.0);
    let rules = Rules::shipped().unwrap();
    let image = GreyImage {
        width: 320,
        height: 240,
        data: &data,
    };
    let flat = find(&image, &view(), &[rock], &rules);
    assert_eq!(flat, vec![], "nothing stands out");
    let mut tall = view();
    for (i, z) in tall.image.depth_m.iter_mut().enumerate() {
        let (u, v) = ((i % 320) as f64, (i / 320) as f64);
        let up = UP_M - 0.3;
        let (x, y) = ((u - 160.0) * up / 200.0, (120.0 - v) * up / 200.0);
        if (x - 0.5).hypot(y - 0.2) < 0.2 {
            *z = up as f32;
        }
    }
    let found = find(&image, &tall, &[rock, Rock { x_m: 9.0, ..rock }], &rules);
    let found: Vec<_> = found
        .into_iter()
        .filter(|f| f.class == SurfaceClass::FloatRock)
        .collect();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].class, found[0].size_m),
        (SurfaceClass::FloatRock, 0.4)
    );
    let area_px = std::f64::consts::PI * (0.2 * 200.0 / (UP_M - 0.3)).powi(2);
    assert!((found[0].pixels.len() as f64 / area_px - 1.0).abs() < 0.05);
}

#[test]
fn an_image_that_does_not_fit_holds_nothing() {
    let data = picture(|_, _| 1.0);
    let image = GreyImage {
        width: 320,
        height: 239,
        data: &data,
    };
    assert_eq!(look(&image, &view(), &[]), (vec![], vec![]));
    let mut blind = view();
    blind.image.depth_m.fill(f32::NAN);
    let image = GreyImage {
        width: 320,
        height: 240,
        data: &data,
    };
    assert_eq!(look(&image, &blind, &[]), (vec![], vec![]));
}
