use super::*;
use crate::{
    testing::{perseverance, small_site},
    world::{Unlabelled, WorldParams},
};
use proptest::prelude::*;
use sojourn_core::{
    camera::{CahvModel, CameraModel, Coefficients, Distortion, Lens, Pinhole, Projection},
    frames::{BaseLink, Map, NavcamOptical, Transform},
    raster::HeightField,
};

const SUN: Sun = Sun {
    azimuth_rad: -2.3,
    elevation_rad: 0.6,
};

fn shot(number: u64) -> Shot {
    Shot {
        sun: SUN,
        seed: 4,
        number,
        right: true,
        depth_noise: None,
    }
}

fn rocky(seed: u64) -> World {
    let params = WorldParams {
        rock_cfa: 0.1,
        ..WorldParams::demo(seed, [5.0, 5.0, 85.0, 85.0], [40.0, 40.0])
    };
    World::from_site(&small_site(7), &params).unwrap()
}

fn standing(world: &World, x: f64, y: f64, yaw: f64) -> Transform<Map, NavcamOptical> {
    let z = world.height_m(x, y).unwrap();
    Transform::<Map, BaseLink>::from_xyz_rpy([x, y, z], 0.02, -0.03, yaw)
        * perseverance().base_link_from_navcam()
}

fn small(width: usize, height: usize) -> Pinhole {
    let camera = CameraModel::from(perseverance().navcam_pinhole()).resized(width, height);
    match camera.projection {
        Projection::Pinhole(p) => p,
        other => panic!("{other:?}"),
    }
}

fn renderer(camera: CameraModel, range_m: f64) -> Renderer {
    let rig = StereoRig::beside(camera, 0.424);
    Renderer::new(rig, SensorParams::navcam(), range_m, 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Bundles change nothing: the depths are the plain caster's, wherever one looks from.
    #[test]
    fn depths_are_the_plain_casters(x in 20.0f64..70.0, y in 20.0f64..70.0, yaw in -3.1f64..3.1, roll in -0.4f64..0.4, pitch in -0.3f64..0.9) {
        let world = rocky(5);
        let z = world.height_m(x, y).unwrap() + 0.4;
        let pose = Transform::<Map, BaseLink>::from_xyz_rpy([x, y, z], roll, pitch, yaw) * perseverance().base_link_from_navcam();
        let camera = small(120, 90);
        let expected = plain::render(&world, &camera, &pose, 25.0);
        let mut renderer = renderer(camera.into(), 25.0);
        let frame = renderer.shoot(&world, &pose.iso, &shot(0));
        let mut differ = 0;
        for (got, expected) in frame.depth_m.iter().zip(&expected.depth_m) {
            let same = (got - expected).abs() <= 1e-3 * expected.max(1.0) || (got.is_nan() && expected.is_nan());
            differ += usize::from(!same);
        }
        // A ray that grazes a crest may be told either way by the last bit.
        prop_assert!(differ <= 4, "{differ} of {} differ", expected.depth_m.len());
    }
}

#[test]
fn threads_do_not_show() {
    let world = rocky(2);
    let pose = standing(&world, 40.0, 40.0, 0.5);
    let shoot = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| renderer(small(320, 240).into(), 30.0).shoot(&world, &pose.iso, &shot(3)))
    };
    let (one, three) = (shoot(1), shoot(3));
    let bits = |f: &Frame| f.depth_m.iter().map(|d| d.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&one), bits(&three));
    assert_eq!(
        (&one.left, &one.right, &one.class),
        (&three.left, &three.right, &three.class)
    );
}

#[test]
fn the_way_to_a_place_does_not_show() {
    let world = rocky(2);
    let (here, before) = (
        standing(&world, 40.0, 40.0, 0.5),
        standing(&world, 33.0, 47.0, -2.0),
    );
    let mut came = renderer(small(160, 120).into(), 20.0);
    came.shoot(&world, &before.iso, &shot(0));
    let fresh = renderer(small(160, 120).into(), 20.0).shoot(&world, &here.iso, &shot(1));
    assert_eq!(came.shoot(&world, &here.iso, &shot(1)).left, fresh.left);
}

#[test]
fn depth_noise_has_its_size_and_the_numbers_differ() {
    let world = rocky(2);
    let pose = standing(&world, 40.0, 40.0, 0.5);
    let camera = perseverance().navcam_pinhole();
    let mut renderer = renderer(camera.into(), 30.0);
    let clean = renderer.shoot(&world, &pose.iso, &shot(9));
    let noise = DepthNoise {
        seed: 4,
        frame: 9,
        per_m: 0.25 / (camera.fx * 0.424),
    };
    let noisy = renderer.shoot(
        &world,
        &pose.iso,
        &Shot {
            depth_noise: Some(noise),
            ..shot(9)
        },
    );
    assert_eq!(clean.left, noisy.left);
    assert_ne!(
        renderer.shoot(&world, &pose.iso, &shot(10)).left,
        clean.left
    );
    let (mut n, mut sum) = (0.0f64, 0.0);
    for (a, b) in noisy
        .depth_m
        .iter()
        .zip(&clean.depth_m)
        .filter(|(a, _)| !a.is_nan())
    {
        let sigma = f64::from(*b).powi(2) * noise.per_m;
        sum += (f64::from(a - b) / sigma).powi(2);
        n += 1.0;
    }
    assert!(
        n > 1e5 && ((sum / n).sqrt() - 1.0).abs() < 0.02,
        "{n} {}",
        (sum / n).sqrt()
    );
}

/// Every point that the left camera sees lies in the right image where its depth says.
#[test]
fn the_right_image_is_the_left_one_shifted_by_its_depth() {
    let world = rocky(3);
    let pose = standing(&world, 40.0, 40.0, 1.0);
    let camera = perseverance().navcam_pinhole();
    let quiet = SensorParams {
        full_well_e: 1e7,
        read_noise_e: 0.0,
        ..SensorParams::navcam()
    };
    let mut renderer = Renderer::new(StereoRig::beside(camera.into(), 0.424), quiet, 30.0, 1);
    let frame = renderer.shoot(&world, &pose.iso, &shot(0));
    // Correlation of rows of patches along the disparity of their depth, against the same without it.
    let (mut with, mut without, mut n) = (0.0, 0.0, 0);
    for v in (200..460).step_by(20) {
        for u in (200..600).step_by(20) {
            let depth = f64::from(frame.depth_m[v * 640 + u]);
            if !(depth < 8.0) {
                continue;
            }
            let disparity = (camera.fx * 0.424 / depth).round() as usize;
            let patch = |image: &[u8], u: usize| -> Vec<f64> {
                let p: Vec<f64> = (0..49)
                    .map(|k| f64::from(image[(v + k / 7) * 640 + u + k % 7]))
                    .collect();
                let mean = p.iter().sum::<f64>() / 49.0;
                let size = p
                    .iter()
                    .map(|x| (x - mean).powi(2))
                    .sum::<f64>()
                    .sqrt()
                    .max(1e-9);
                p.iter().map(|x| (x - mean) / size).collect()
            };
            let corr = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
            let left = patch(&frame.left, u);
            with += corr(&left, &patch(&frame.right, u - disparity));
            without += corr(&left, &patch(&frame.right, u - disparity - 9));
            n += 1;
        }
    }
    let n = f64::from(n);
    assert!(
        n > 50.0 && with / n > 0.6 && without / n < 0.3,
        "{n} {} {}",
        with / n,
        without / n
    );
}

/// On a plane the depth is the one of plane geometry, for every kind of lens.
#[test]
fn lenses_look_where_their_models_say() {
    let flat = WorldParams {
        rock_cfa: 0.0,
        ..WorldParams::demo(1, [-40.0, -40.0, 40.0, 40.0], [0.0, 0.0])
    };
    let world = World::from_fn(&flat, |x, y| 0.1 * x - 0.05 * y).unwrap();
    let pin = small(160, 120);
    let fish = Distortion::new("f", Coefficients::Equidistant([-0.02, 0.003, 0.0, 0.0])).unwrap();
    let brown = Distortion::new(
        "b",
        Coefficients::PlumbBob([-0.1, 0.01, 0.001, -0.001, 0.0]),
    )
    .unwrap();
    let pupil = CahvModel {
        c: Vector3::new(0.5, 0.4, -1.9),
        a: Vector3::z(),
        h: Vector3::new(pin.fx, 0.0, pin.cx),
        v: Vector3::new(0.0, pin.fy, pin.cy),
        lens: Lens::Pupil {
            o: Vector3::new(0.01, 0.0, 1.0).normalize(),
            r: [0.0, 0.04, -0.01],
            e: [-0.003, 0.013, -0.02],
            linearity: 0.0,
        },
    };
    let of = |projection| CameraModel {
        width: 160,
        height: 120,
        projection,
    };
    for camera in [
        of(Projection::Distorted(pin, fish)),
        of(Projection::Distorted(pin, brown)),
        of(Projection::Cahv(pupil)),
    ] {
        let mut renderer = renderer(camera, 25.0);
        let own = renderer.rig().left;
        let pose = standing(&world, 0.0, 0.0, 0.4).iso;
        let frame = renderer.shoot(&world, &pose, &shot(0));
        let normal = Vector3::new(-0.1, 0.05, 1.0);
        let mut seen = 0;
        for k in (0..160 * 120).step_by(7) {
            let got = f64::from(frame.depth_m[k]);
            let Some(ray) = own.ray([(k % 160) as f64, (k / 160) as f64]) else {
                continue;
            };
            let origin = pose.transform_point(&ray.origin.into()).coords;
            let direction = pose.rotation * ray.direction;
            let way = -normal.dot(&origin) / normal.dot(&direction);
            let depth = way * ray.direction.z;
            if got.is_finite() && depth > 0.5 {
                assert!((got - depth).abs() < 1e-3 * (1.0 + depth), "{got} {depth}");
                seen += 1;
            }
        }
        assert!(seen > 1000, "{seen}");
    }
}

/// Between nodes lie slopes, albedo and class of the ground as the world has them.
#[test]
fn a_spot_is_what_the_world_says() {
    let flat = WorldParams {
        rock_cfa: 0.0,
        unlabelled: Unlabelled::Class(TerrainClass::SmoothRegolith),
        resolution_m: 0.05,
        ..WorldParams::demo(1, [-20.0, -20.0, 20.0, 20.0], [0.0, 0.0])
    };
    let world = World::from_fn(&flat, |x, y| 0.2 * x - 0.1 * y).unwrap();
    let scene = Scene::new(&world, [-10.0, -10.0, 10.0, 10.0], 0.0, SUN);
    let last = [scene.cells[0] - 1, scene.cells[1] - 1];
    for (i, j) in [
        (0, 0),
        (31, 32),
        (200, 0),
        (last[0], 77),
        (last[0], last[1]),
    ] {
        let spot = scene.spot(i, j, 0.3, 0.8);
        let [sx, sy] = spot.slopes;
        assert!(
            (sx - 0.2).abs() < 1e-4 && (sy + 0.1).abs() < 1e-4,
            "{i} {j}: {sx} {sy}"
        );
        assert_eq!(spot.code, TerrainClass::SmoothRegolith.code());
        assert!(spot.albedo > 20.0 && spot.shadow_m < 0.0);
    }
}

/// A wall throws the shadow that geometry gives it, and the sun's place moves it.
#[test]
fn shadows_are_as_long_as_the_sun_is_low() {
    let flat = WorldParams {
        rock_cfa: 0.0,
        resolution_m: 0.05,
        ..WorldParams::demo(1, [-20.0, -20.0, 20.0, 20.0], [0.0, 0.0])
    };
    // A wall of 0.5 m along x = 5 m; the sun stands in the east behind it.
    let world =
        World::from_fn(&flat, |x, _| if (x - 5.0).abs() < 0.11 { 0.5 } else { 0.0 }).unwrap();
    for elevation in [0.3f64, 0.6] {
        let sun = Sun {
            azimuth_rad: 0.0,
            elevation_rad: elevation,
        };
        let scene = Scene::new(&world, [-10.0, -10.0, 10.0, 10.0], 0.0, sun);
        let in_shadow = |x: f64| {
            let (i, j, u, v) = cell_of(
                &scene,
                x / 0.05 - scene.first[0] as f64,
                0.013 / 0.05 - scene.first[1] as f64,
            );
            scene.spot(i, j, u, v).shadow_m > 0.0
        };
        let end = 4.9 - 0.5 / elevation.tan();
        assert!(in_shadow(end + 0.1) && in_shadow(4.8), "{elevation}");
        assert!(!in_shadow(end - 0.1) && !in_shadow(5.5), "{elevation}");
    }
}

#[test]
fn the_sun_and_the_sky_show_and_holes_do_not() {
    let flat = WorldParams {
        rock_cfa: 0.0,
        ..WorldParams::demo(1, [-5.0, -20.0, 30.0, 20.0], [0.0, 0.0])
    };
    let world = World::from_fn(&flat, |x, _| if x > 6.0 { f64::NAN } else { 0.0 }).unwrap();
    let mut renderer = renderer(small(160, 120).into(), 30.0);
    let pose = standing(&world, 0.0, 0.0, 0.0);
    let frame = renderer.shoot(&world, &pose.iso, &shot(0));
    assert!(frame.depth_m[80].is_nan());
    assert_eq!(frame.class[80], TerrainClass::ShadowOrNoData.code());
    assert!(frame.depth_m.iter().any(|d| d.is_finite()));
    assert!(
        frame
            .depth_m
            .iter()
            .filter(|d| d.is_finite())
            .all(|&d| d < 8.0)
    );
    assert!(frame.class.contains(&TerrainClass::SmoothRegolith.code()));
    let low = Sun {
        elevation_rad: 0.15,
        ..SUN
    };
    let evening = renderer.shoot(
        &world,
        &pose.iso,
        &Shot {
            sun: low,
            right: false,
            ..shot(0)
        },
    );
    assert_ne!(evening.left, frame.left);
    assert!(evening.right.is_empty());
}
