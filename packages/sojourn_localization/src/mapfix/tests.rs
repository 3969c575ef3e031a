//! The matcher as a whole, on small analytic ground: a map under one sun, a view under another.

use super::*;
use proptest::prelude::*;
use sojourn_core::raster::Raster;
use std::path::Path;

fn params() -> MapFixParams {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/mapfix.yaml");
    MapFixParams {
        search_m: 12.0,
        ..MapFixParams::load(&file).unwrap()
    }
}

/// A well mixed number from 0 to 1 for a lattice point.
fn lattice(seed: u64, i: i64, j: i64) -> f64 {
    let mut h = seed
        ^ (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (j as u64).wrapping_mul(0xd6e8_feb8_6659_fd93);
    for _ in 0..2 {
        h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        h ^= h >> 27;
    }
    (h >> 11) as f64 / (1u64 << 53) as f64
}

/// Smooth noise with features of about a length, −1 to 1.
fn noise(seed: u64, x: f64, y: f64, length: f64) -> f64 {
    let (fx, fy) = (x / length, y / length);
    let (i, j) = (fx.floor(), fy.floor());
    let fade = |t: f64| t * t * (3.0 - 2.0 * t);
    let (u, v) = (fade(fx - i), fade(fy - j));
    let at = |di: i64, dj: i64| lattice(seed, i as i64 + di, j as i64 + dj);
    let south = at(0, 0) * (1.0 - u) + at(1, 0) * u;
    let north = at(0, 1) * (1.0 - u) + at(1, 1) * u;
    2.0 * (south * (1.0 - v) + north * v) - 1.0
}

#[derive(Clone, Copy)]
struct Ground(u64);

impl Ground {
    fn height(self, x: f64, y: f64) -> f64 {
        0.8 * noise(self.0, x, y, 11.0)
            + 0.25 * noise(self.0 + 1, x, y, 3.7)
            + 0.06 * noise(self.0 + 2, x, y, 1.1)
    }

    fn light(self, x: f64, y: f64, sun: [f64; 2]) -> f64 {
        let h = 0.1;
        let gx = (self.height(x + h, y) - self.height(x - h, y)) / (2.0 * h);
        let gy = (self.height(x, y + h) - self.height(x, y - h)) / (2.0 * h);
        let albedo =
            0.25 * (1.0 + 0.15 * noise(self.0 + 3, x, y, 5.0) + 0.1 * noise(self.0 + 4, x, y, 0.9));
        let lambert = sun[1].sin() - sun[1].cos() * (gx * sun[0].cos() + gy * sun[0].sin());
        albedo * (0.2 + 0.8 * (lambert / (1.0 + gx * gx + gy * gy).sqrt()).max(0.0))
    }
}

const SIDE_M: f64 = 80.0;

/// Image and elevation of 80 m × 80 m, the sun in the west at 35°.
fn map(ground: Ground) -> (Raster, Raster) {
    let ortho = Raster::filled(
        (SIDE_M / 0.25) as usize,
        (SIDE_M / 0.25) as usize,
        0.25,
        [0.0, 0.0],
        0.0,
    )
    .unwrap();
    let ortho = ortho.like(|c, r| {
        let [x, y] = ortho.centre_m(c, r);
        let grain = 0.004 * (lattice(77, c as i64, r as i64) - 0.5);
        (ground.light(x, y, [3.0, 0.6]) + grain) as f32
    });
    let z = Raster::filled(SIDE_M as usize, SIDE_M as usize, 1.0, [0.0, 0.0], 0.0).unwrap();
    let z = z.like(|c, r| {
        let [x, y] = z.centre_m(c, r);
        ground.height(x, y) as f32
    });
    (ortho, z)
}

/// What is seen from a place within 14 m, the sun in the south-east at 55°, with a heading that lacks `yaw` radians.
fn view(ground: Ground, at: [f64; 2], yaw: f64) -> LocalPatch {
    let mut builder = PatchBuilder::new(18.0).unwrap();
    let (sin, cos) = yaw.sin_cos();
    let z0 = ground.height(at[0], at[1]);
    let mut points = Vec::new();
    for k in 0..40_000i64 {
        let (x, y) = (
            28.0 * (lattice(5, k, 0) - 0.5),
            28.0 * (lattice(6, k, 0) - 0.5),
        );
        if x.hypot(y) > 14.0 {
            continue;
        }
        let (px, py) = (at[0] + cos * x - sin * y, at[1] + sin * x + cos * y);
        points.push(LocalPoint {
            x_m: x as f32,
            y_m: y as f32,
            z_m: (ground.height(px, py) - z0 + 0.03 * (lattice(8, k, 0) - 0.5)) as f32,
            brightness: ground.light(px, py, [-0.8, 0.96]) as f32,
            range_sigma_m: 0.1,
        });
    }
    builder.add(&points);
    builder.finish()
}

fn prior(x_m: f64, y_m: f64) -> Prior {
    Prior {
        x_m,
        y_m,
        covariance: None,
    }
}

fn reason(outcome: &Outcome) -> Option<Reason> {
    outcome.fix.as_ref().err().map(|n| n.reason)
}

/// Few, for each takes half a second; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn shift_and_heading_are_found_to_a_fraction_of_a_cell(
        seed in 0u64..1000, dx in -11.0f64..11.0, dy in -11.0f64..11.0, yaw_deg in -3.8f64..3.8,
    ) {
        let ground = Ground(1 + 10 * seed);
        let (ortho, z) = map(ground);
        let at = [40.0 + dx, 40.0 + dy];
        let patch = view(ground, at, yaw_deg.to_radians());
        // In so small a search the peak itself is a good part of what counts as chance.
        let small = MapFixParams { least_significance: 4.0, ..params() };
        let outcome = fix(&ortho, &z, &patch, &prior(40.0, 40.0), &small);
        let fix = outcome.fix.map_err(|n| TestCaseError::fail(format!("{n:?}")))?;
        prop_assert!((fix.x_m - at[0]).hypot(fix.y_m - at[1]) < 0.12, "{fix:?} {at:?}");
        // On some ground the score hardly changes with the heading, and the covariance says so.
        let off_rad = (fix.yaw_correction_rad - yaw_deg.to_radians()).abs();
        let sigma_rad = fix.covariance[(2, 2)].sqrt();
        prop_assert!(off_rad < 0.006 || off_rad < 2.0 * sigma_rad && off_rad < 0.02, "{fix:?} {yaw_deg}");
        prop_assert!(fix.covariance.cholesky().is_some());
    }
}

#[test]
fn a_view_from_elsewhere_or_far_off_in_heading_gets_no_fix() {
    let ground = Ground(3);
    let (ortho, z) = map(ground);
    let other = view(Ground(900), [40.0, 40.0], 0.0);
    assert!(
        fix(&ortho, &z, &other, &prior(40.0, 40.0), &params())
            .fix
            .is_err()
    );
    let turned = view(ground, [40.0, 40.0], 0.2);
    assert!(
        fix(&ortho, &z, &turned, &prior(40.0, 40.0), &params())
            .fix
            .is_err()
    );
    // beyond the search to the east
    let far = view(ground, [62.0, 40.0], 0.0);
    assert!(
        fix(&ortho, &z, &far, &prior(40.0, 40.0), &params())
            .fix
            .is_err()
    );
}

#[test]
fn a_map_whose_relief_lies_beside_its_image_is_followed_by_its_image_and_the_relief_is_reported() {
    let ground = Ground(21);
    let (ortho, z) = map(ground);
    let beside = z.like(|c, r| {
        let [x, y] = z.centre_m(c, r);
        ground.height(x - 2.5, y + 2.5) as f32
    });
    let patch = view(ground, [42.0, 37.0], 0.02);
    let fix = fix(&ortho, &beside, &patch, &prior(40.0, 40.0), &params())
        .fix
        .unwrap();
    assert!((fix.x_m - 42.0).hypot(fix.y_m - 37.0) < 0.15, "{fix:?}");
    let [ex, ey] = fix.evidence.relief_offset_m.unwrap();
    assert!(
        (ex - 2.5).abs() < 0.6 && (ey + 2.5).abs() < 0.6,
        "{ex} {ey}"
    );
}

#[test]
fn flat_ground_ripples_and_nothing_are_refused() {
    let (ortho, z) = map(Ground(3));
    let flat = z.like(|_, _| 0.0);
    let grey = ortho.like(|_, _| 0.2);
    let plain = LocalPatch::from_cells(144, vec![0.0; 144 * 144], vec![0.2; 144 * 144]).unwrap();
    let at = prior(40.0, 40.0);
    assert_eq!(
        reason(&fix(&grey, &flat, &plain, &at, &params())),
        Some(Reason::Featureless)
    );
    // Ripples all alike: every second metre looks the same.
    let wave = |x: f64| 0.2 + 0.02 * (x * std::f64::consts::PI).sin();
    let rippled = ortho.like(|c, r| wave(ortho.centre_m(c, r)[0]) as f32);
    let seen = (0..144 * 144)
        .map(|k| wave((k % 144) as f64 * CELL_M) as f32)
        .collect();
    let patch = LocalPatch::from_cells(144, vec![0.0; 144 * 144], seen).unwrap();
    assert!(fix(&rippled, &flat, &patch, &at, &params()).fix.is_err());
    // Noise that has nothing to do with the map.
    let noise = (0..144 * 144)
        .map(|k| 0.2 + 0.02 * lattice(9, k, 1) as f32)
        .collect();
    let patch = LocalPatch::from_cells(144, vec![0.0; 144 * 144], noise).unwrap();
    assert!(fix(&ortho, &z, &patch, &at, &params()).fix.is_err());
}

#[test]
fn holes_and_numbers_that_are_none_are_refused_and_the_rest_is_used() {
    let ground = Ground(3);
    let (ortho, z) = map(ground);
    let patch = view(ground, [41.0, 43.0], 0.0);
    let at = prior(40.0, 40.0);
    let nothing = |r: &Raster| r.like(|_, _| f32::NAN);
    assert_eq!(
        reason(&fix(&nothing(&ortho), &z, &patch, &at, &params())),
        Some(Reason::LittleMap)
    );
    assert_eq!(
        reason(&fix(&ortho, &z, &patch, &prior(f64::NAN, 0.0), &params())),
        Some(Reason::BadInput)
    );
    assert_eq!(
        reason(&fix(&ortho, &z, &patch, &prior(1e7, 0.0), &params())),
        Some(Reason::LittleMap)
    );
    let empty = PatchBuilder::new(18.0).unwrap().finish();
    assert_eq!(
        reason(&fix(&ortho, &z, &empty, &at, &params())),
        Some(Reason::LittleSeen)
    );
    let mut builder = PatchBuilder::new(18.0).unwrap();
    let bad = LocalPoint {
        x_m: f32::NAN,
        y_m: 0.0,
        z_m: 0.0,
        brightness: 1.0,
        range_sigma_m: 0.1,
    };
    builder.add(&[
        bad,
        LocalPoint {
            x_m: 0.0,
            brightness: -1.0,
            ..bad
        },
    ]);
    assert_eq!(builder.refused(), 2);
    // A map with stripes of no data, and one without any relief, still do.
    let striped = ortho.like(|c, r| {
        if c % 40 < 3 {
            f32::NAN
        } else {
            ortho.get(c, r)
        }
    });
    for (ortho, z) in [(&striped, &z), (&ortho, &nothing(&z))] {
        let fix = fix(ortho, z, &patch, &at, &params()).fix.unwrap();
        assert!((fix.x_m - 41.0).hypot(fix.y_m - 43.0) < 0.2, "{fix:?}");
    }
}

#[test]
fn the_filter_may_refuse_and_the_same_gives_the_same() {
    let ground = Ground(3);
    let (ortho, z) = map(ground);
    let patch = view(ground, [46.0, 40.0], 0.0);
    let sure = Prior {
        covariance: Some(Matrix3::from_diagonal(&nalgebra::Vector3::new(
            0.25, 0.25, 1e-4,
        ))),
        ..prior(40.0, 40.0)
    };
    assert_eq!(
        reason(&fix(&ortho, &z, &patch, &sure, &params())),
        Some(Reason::AgainstPrior)
    );
    let a = fix(&ortho, &z, &patch, &prior(40.0, 40.0), &params());
    assert_eq!(a, fix(&ortho, &z, &patch, &prior(40.0, 40.0), &params()));
}

#[test]
fn parameters_out_of_range_are_named() {
    let mut p = params();
    p.least_peak_ratio = f64::NAN;
    let said = p.check("mapfix.yaml").unwrap_err().to_string();
    assert!(
        said.contains("mapfix.yaml") && said.contains("least_peak_ratio"),
        "{said}"
    );
    assert!(PatchBuilder::new(f64::NAN).is_err());
    assert!(LocalPatch::from_cells(41, vec![], vec![]).is_err());
}

#[test]
fn a_candidate_that_starts_far_off_in_heading_climbs_to_the_top() {
    // The best score is reached from a neighbouring candidate here, more than two degrees away.
    let ground = Ground(9701);
    let (ortho, z) = map(ground);
    let at = [46.973, 44.296];
    let fix = fix(
        &ortho,
        &z,
        &view(ground, at, 0.0),
        &prior(40.0, 40.0),
        &params(),
    );
    let fix = fix.fix.unwrap();
    assert!(
        (fix.x_m - at[0]).hypot(fix.y_m - at[1]) < 0.12,
        "{fix:?} {at:?}"
    );
    assert!(
        fix.yaw_correction_rad.abs().to_degrees() < 0.3,
        "{fix:?} {at:?}"
    );
}

/// The map with its relief put beside its image.
fn beside(z: &Raster, ground: Ground, by_m: [f64; 2]) -> Raster {
    z.like(|c, r| {
        let [x, y] = z.centre_m(c, r);
        ground.height(x - by_m[0], y - by_m[1]) as f32
    })
}

#[test]
fn a_map_ties_its_relief_to_its_image_unless_they_have_nothing_in_common() {
    let ground = Ground(21);
    let (ortho, z) = map(ground);
    for by_m in [[0.0, 0.0], [2.5, -1.5]] {
        let common = tie(&ortho, &beside(&z, ground, by_m), [40.0, 40.0], 25.0);
        let found = common.tie.unwrap();
        let off = [0, 1].map(|k: usize| found.shift_m[k] - by_m[k]);
        assert!(off[0].hypot(off[1]) < 0.4, "{by_m:?} {found:?}");
        assert!(found.sigma_m < 0.5, "{found:?}");
    }
    let (other, _) = map(Ground(900));
    assert_eq!(tie(&other, &z, [40.0, 40.0], 25.0).tie, None);
    let grey = ortho.like(|_, _| 0.2);
    assert_eq!(tie(&grey, &z, [40.0, 40.0], 25.0).tie, None);
    assert_eq!(tie(&ortho, &z, [1e6, 40.0], 25.0), Common::default());
    let nothing = z.like(|_, _| f32::NAN);
    assert_eq!(tie(&ortho, &nothing, [40.0, 40.0], 25.0).tie, None);
}

#[test]
fn the_views_shape_finds_its_place_on_the_relief_and_no_other() {
    let ground = Ground(21);
    let (_, z) = map(ground);
    let (at, yaw) = ([44.3, 35.6], 0.03);
    let found = shape::search(&z, &view(ground, at, yaw), [40.0, 40.0], &params()).unwrap();
    let off = [0, 1].map(|k: usize| 40.0 + found.from_prior_m[k] - at[k]);
    assert!(off[0].hypot(off[1]) < 0.3, "{found:?}");
    assert!((found.yaw_rad - yaw).abs() < 0.015, "{found:?}");
    assert!(
        found.inside && found.evidence.halves_off_m.iter().all(|v| *v < 2.5),
        "{found:?}"
    );
    // Another place, and a heading beyond the search.
    let other = shape::search(&z, &view(Ground(900), at, 0.0), [40.0, 40.0], &params());
    assert!(
        other.is_none_or(|s| s.evidence.lead < params().least_shape_lead),
        "{other:?}"
    );
    let turned = shape::search(&z, &view(ground, at, 0.2), [40.0, 40.0], &params());
    let limit = 5f64.to_radians();
    assert!(
        turned.is_none_or(|s| !s.inside || s.yaw_rad.abs() > limit),
        "{turned:?}"
    );
}

#[test]
fn where_the_image_shows_too_little_the_relief_says_the_place_and_the_image_where_it_lies() {
    // The image shows the broad shape only, under tone and grain of its own, and lies beside the relief.
    let ground = Ground(21);
    let (ortho, z) = map(ground);
    let broad = |x: f64, y: f64| 0.8 * noise(21, x, y, 11.0) + 0.25 * noise(22, x, y, 3.7);
    let ortho = ortho.like(|c, r| {
        let [x, y] = ortho.centre_m(c, r);
        let shade = broad(x + 0.5, y) - broad(x - 0.5, y);
        (0.2 * (1.0
            + shade
            + 0.3 * (lattice(5, c as i64, r as i64) - 0.5)
            + 0.05 * noise(555, x, y, 2.0))) as f32
    });
    let by_m = [2.0, -1.0];
    let z = beside(&z, ground, by_m);
    let at = [43.0, 37.0];
    let small = MapFixParams {
        least_shape_significance: 3.0,
        tie_m: 25.0,
        // The image alone never suffices here.
        least_significance: 100.0,
        ..params()
    };
    let outcome = fix(
        &ortho,
        &z,
        &view(ground, at, 0.02),
        &prior(40.0, 40.0),
        &small,
    );
    let found = outcome.fix.unwrap();
    assert!(found.evidence.by_relief, "{found:?}");
    assert!(
        (found.x_m - at[0]).hypot(found.y_m - at[1]) < 0.8,
        "{found:?}"
    );
    let [east, north] = found.evidence.relief_offset_m.unwrap();
    assert!((east - by_m[0]).hypot(north - by_m[1]) < 0.8, "{found:?}");
    // A view of other ground gets none.
    let other = view(Ground(900), at, 0.02);
    assert!(
        fix(&ortho, &z, &other, &prior(40.0, 40.0), &small)
            .fix
            .is_err()
    );
}

#[test]
fn where_the_image_contradicts_itself_the_relief_is_not_asked() {
    let ground = Ground(21);
    let (ortho, z) = map(ground);
    let at = [43.0, 37.0];
    let looked = |params: &MapFixParams| {
        let view = view(ground, at, 0.02);
        fix(&ortho, &z, &view, &prior(40.0, 40.0), params)
    };
    let open = MapFixParams {
        least_shape_significance: 3.0,
        tie_m: 25.0,
        ..params()
    };
    // The relief would say the place where the image shows none …
    let blind = MapFixParams {
        least_significance: 100.0,
        ..open
    };
    assert!(looked(&blind).fix.unwrap().evidence.by_relief);
    // … and where its two halves are found apart, it has no word.
    let apart = MapFixParams {
        greatest_halves_gap_m: 0.01,
        ..open
    };
    assert_eq!(reason(&looked(&apart)), Some(Reason::HalvesDisagree));
}
