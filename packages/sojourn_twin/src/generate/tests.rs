use super::*;
use crate::{
    folder::View,
    stats::measure,
    testing::{mars, recipe},
    world::{TILE_CELLS, TILE_NODES},
};
use sojourn_core::raster::HeightField;

fn small(name: &str) -> Recipe {
    Recipe {
        size_m: [96.0, 80.0],
        ..recipe(name)
    }
}

#[test]
fn a_seed_is_a_world_on_any_number_of_threads() {
    let make = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let folder = generate(5, &mars(), &small("mixed")).unwrap();
            let world = folder.world(&View::everything()).unwrap();
            // Other tiles first for the other pool.
            let _ = world.window([60.0, 60.0, 90.0, 70.0]);
            let _ = (threads == 2).then(|| world.height_m(50.0, 3.0));
            let tile = world.tile(1, 2).unwrap();
            (folder, tile.as_ref().clone())
        })
    };
    let ((one, tile_one), (two, tile_two)) = (make(1), make(2));
    let bits = |r: &Raster| r.data().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for (name, layer) in &one.site.layers {
        assert_eq!(bits(layer), bits(&two.site.layers[name]), "{name}");
    }
    assert_eq!(one.document, two.document);
    assert_eq!(
        bits(&one.truth.layers[CLASSES]),
        bits(&two.truth.layers[CLASSES])
    );
    assert!(tile_one == tile_two);
    let other = generate(6, &mars(), &small("mixed")).unwrap();
    assert_ne!(one.document.terrain_digest, other.document.terrain_digest);
}

#[test]
fn slope_relief_and_shares_are_those_asked_for() {
    for (seed, slope, relief) in [(1, 0.0, 3.0), (2, 10.0, 3.0), (3, 5.0, 1.5)] {
        let mut r = Recipe {
            slope_deg: slope,
            relief_rms_deg: relief,
            ..recipe("mixed")
        };
        r.size_m = [240.0, 240.0];
        r.craters.per_km2_over_10m = 0.0;
        let site = terrain(seed, &mars(), &r).unwrap();
        let elevation = site.elevation().unwrap();
        let (regional, rms) = crate::stats::regional_and_rms_deg(elevation);
        assert!((regional - slope).abs() < 0.15, "{regional} for {slope}");
        assert!((rms / relief - 1.0).abs() < 0.05, "{rms} for {relief}");
        let shares = class_shares(&classes::spread(seed, elevation, &r, &[]));
        for (class, asked) in &r.cover.shares {
            let got = shares.get(class).copied().unwrap_or(0.0);
            // scarps take a little
            assert!(
                (got - asked).abs() < 0.02,
                "{}: {got} for {asked}",
                class.name()
            );
        }
    }
}

#[test]
fn the_slope_histogram_is_that_of_gaussian_relief() {
    let mut r = Recipe {
        slope_deg: 0.0,
        size_m: [300.0, 300.0],
        ..recipe("mixed")
    };
    r.craters.per_km2_over_10m = 0.0;
    let site = terrain(4, &mars(), &r).unwrap();
    let percentile = |p| crate::stats::slope_percentile_deg(site.elevation().unwrap(), p);
    // Two normal components of 3° each: Rayleigh's distribution.
    for (p, share) in [(25usize, 0.25f64), (50, 0.5), (75, 0.75), (95, 0.95)] {
        let expected = 3.0 * (-2.0 * (1.0 - share).ln()).sqrt();
        let got = percentile(p);
        assert!(
            (got / expected - 1.0).abs() < 0.08,
            "p{p}: {got} for {expected}"
        );
    }
}

#[test]
fn measured_cover_and_sizes_are_golombeks_and_the_ground_agrees() {
    let mut r = small("mixed");
    r.rocks.cfa = 0.1;
    let folder = generate(7, &mars(), &r).unwrap();
    let stats = measure(&folder).unwrap();
    // Few large rocks on a hectare: the cover wavers.
    assert!(
        (stats.cfa_measured / stats.cfa_expected - 1.0).abs() < 0.2,
        "{stats:?}"
    );
    assert!(stats.ks_distance < 0.02, "{stats:?}");
    // The same again, counted on the nodes.
    let world = folder.world(&View::everything()).unwrap();
    let (mut on, mut all) = (0.0, 0.0);
    for iy in 0..5 {
        for ix in 0..7 {
            let tile = world.tile(ix, iy).unwrap();
            for k in 0..TILE_CELLS * TILE_CELLS {
                on += f64::from(u8::from(tile.on_rock(k % TILE_CELLS, k / TILE_CELLS)));
                all += 1.0;
            }
        }
    }
    let inside = [0.0, 0.0, 7.0 * world.tile_m(), 5.0 * world.tile_m()];
    let area: f64 = world
        .rocks_in(inside)
        .iter()
        .filter(|r| r.x_m < inside[2] && r.y_m < inside[3])
        .map(|r| 0.25 * std::f64::consts::PI * r.diameter_m.powi(2))
        .sum();
    let by_outline = area / (inside[2] * inside[3]);
    assert!(
        (on / all / by_outline - 1.0).abs() < 0.05,
        "{} {by_outline}",
        on / all
    );
}

#[test]
fn hazards_of_the_ground_do_not_show_in_the_elevation_model() {
    let folder = generate(3, &mars(), &small("hazard")).unwrap();
    let world = folder.world(&View::everything()).unwrap();
    let elevation = folder.site.elevation().unwrap();
    let rms = |class: TerrainClass| {
        let (mut n, mut sum) = (0.0, 0.0);
        for k in 0..40_000 {
            let (x, y) = (
                3.0 + 0.45 * f64::from(k % 200),
                3.0 + 0.37 * f64::from(k / 200),
            );
            if world.class_at(x, y) == Some(class) && world.on_rock(x, y) == Some(false) {
                let d = world.height_m(x, y).unwrap() - elevation.sample(x, y).unwrap();
                sum += d * d;
                n += 1.0;
            }
        }
        assert!(n > 500.0, "{}: {n}", class.name());
        f64::sqrt(sum / n)
    };
    let (ripples, loose) = (rms(TerrainClass::SandRipples), rms(TerrainClass::LooseSoil));
    assert!(ripples > 0.04 && ripples > 2.0 * loose, "{ripples} {loose}");
    // Firm ground of the same seed has the same shape in the data.
    let firm = generate(3, &mars(), &small("firm")).unwrap();
    let e = |f: &WorldFolder| f.site.elevation().unwrap().data().to_vec();
    assert_eq!(e(&folder), e(&firm));
}

#[test]
fn a_world_on_a_site_keeps_the_sites_shape() {
    let mut site = crate::testing::site_from(90, |x, y| 0.08 * x - 0.03 * y + (0.2 * x).sin());
    site.layers.remove(ORTHO);
    site.manifest.layers.remove(ORTHO);
    let folder = from_site(2, site.clone(), &recipe("mixed")).unwrap();
    assert_eq!(folder.site.elevation().unwrap(), site.elevation().unwrap());
    assert_eq!(
        folder.site.terrain_digest().unwrap(),
        folder.document.terrain_digest
    );
    assert!(folder.site.layer(ORTHO).unwrap().cols() == 360);
    let world = folder.world(&View::everything()).unwrap();
    let (mut n, mut sum) = (0.0, 0.0);
    for k in 0..10_000 {
        let (x, y) = (
            3.0 + 0.83 * f64::from(k % 100),
            3.0 + 0.83 * f64::from(k / 100),
        );
        sum += world.height_m(x, y).unwrap() - site.elevation().unwrap().sample(x, y).unwrap();
        n += 1.0;
    }
    assert!((sum / n).abs() < 0.03, "{}", sum / n);
}

#[test]
fn a_folder_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = generate(8, &mars(), &small("mixed")).unwrap();
    folder.save(dir.path()).unwrap();
    assert!(WorldFolder::is_world(dir.path()));
    let back = WorldFolder::load(dir.path()).unwrap();
    let (a, b) = (
        folder.world(&View::everything()).unwrap(),
        back.world(&View::everything()).unwrap(),
    );
    assert!(a.tile(2, 3) == b.tile(2, 3));
    assert_eq!(back.document, folder.document);
    let table = std::fs::read_to_string(dir.path().join("truth/rocks.csv")).unwrap();
    let listed = back.document.rocks.as_ref().unwrap();
    assert_eq!(table.lines().count(), listed.listed + 1);
    assert_eq!(listed.rocks, a.rocks_in(a.region_m()).len());
    assert!(dir.path().join("truth/rocks.vrt").is_file());
    assert_eq!(back.soils, folder.soils);
    // Truth of other terrain is refused.
    let mut other = generate(9, &mars(), &small("mixed")).unwrap();
    other.site.save(dir.path()).unwrap();
    let message = WorldFolder::load(dir.path()).unwrap_err().to_string();
    assert!(message.contains("terrain_digest"), "{message}");
    other.document.schema_version = 99;
}

#[test]
fn the_soils_of_the_folder_are_what_wheels_meet() {
    use sojourn_core::soil::Soil;
    let dir = tempfile::tempdir().unwrap();
    let mut folder = generate(8, &mars(), &small("mixed")).unwrap();
    folder.save(dir.path()).unwrap();
    let file = dir.path().join("truth/soils.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let world = || {
        WorldFolder::load(dir.path())
            .unwrap()
            .world(&View::everything())
            .unwrap()
    };
    let place = |class| world().soils().table().weakness(class).unwrap();
    let sand = place(TerrainClass::SandRipples);
    let Soil::Deformable(drawn) = world().soils().of_classes()[sand] else {
        panic!("sand is rock");
    };
    // What a person writes there holds, whatever the seed.
    let line = format!("dig: {}", drawn.dig);
    assert_eq!(text.matches(&line).count(), 1, "{text}");
    std::fs::write(&file, text.replace(&line, "dig: 0.345")).unwrap();
    let Soil::Deformable(changed) = world().soils().of_classes()[sand] else {
        panic!("sand is rock");
    };
    assert!((changed.dig - 0.345).abs() < 1e-12 && (drawn.dig - 0.345).abs() > 1e-6);
    // A class that the world has and the table has not is refused, with the file's name.
    let mut table = folder.soils.clone();
    table
        .classes
        .retain(|c| c.class != TerrainClass::BoulderField);
    std::fs::write(&file, serde_yaml::to_string(&table).unwrap()).unwrap();
    let message = WorldFolder::load(dir.path()).unwrap_err().to_string();
    assert!(
        message.contains("soils.yaml") && message.contains("boulder_field"),
        "{message}"
    );
}

#[test]
fn relief_grows_with_length_as_hurst_says() {
    let mut r = small("firm");
    r.slope_deg = 0.0;
    r.cover.shares.clear();
    r.craters.per_km2_over_10m = 0.0;
    r.rocks.cfa = 0.0;
    let folder = generate(11, &mars(), &r).unwrap();
    let world = folder.world(&View::everything()).unwrap();
    // RMS of the difference over a lag, from a quarter of the elevation model's cells to four of them: far below the
    // longest wavelength, where the law ends.
    let mut points = Vec::new();
    for lag in [0.25f64, 0.5, 1.0, 2.0, 4.0] {
        let (mut sum, mut n) = (0.0, 0.0);
        for k in 0..6000 {
            let (x, y) = (
                3.0 + 0.87 * f64::from(k % 80),
                3.0 + 0.91 * f64::from(k / 80),
            );
            let d = world.height_m(x + lag, y).unwrap() - world.height_m(x, y).unwrap();
            sum += d * d;
            n += 1.0;
        }
        points.push((lag.ln(), 0.5 * (sum / n).ln()));
    }
    let n = points.len() as f64;
    let mean = points
        .iter()
        .fold((0.0, 0.0), |m, p| (m.0 + p.0 / n, m.1 + p.1 / n));
    let (mut over, mut under) = (0.0, 0.0);
    for p in &points {
        over += (p.0 - mean.0) * (p.1 - mean.1);
        under += (p.0 - mean.0) * (p.0 - mean.0);
    }
    let hurst = over / under;
    assert!(
        (hurst - crate::world::HURST).abs() < 0.1,
        "{hurst} {points:?}"
    );
}

#[test]
fn a_square_kilometre_needs_no_gigabyte() {
    let mut r = Recipe {
        size_m: [1000.0, 1000.0],
        ..recipe("mixed")
    };
    r.craters.per_km2_over_10m = 5.0;
    let site = terrain(1, &mars(), &r).unwrap();
    let params = crate::world::WorldParams {
        resolution_m: 0.05,
        rock_cfa: 0.0,
        ..crate::world::WorldParams::demo(1, [0.0, 0.0, 1000.0, 1000.0], [5.0, 5.0])
    };
    let world = crate::world::World::from_site(&site, &params).unwrap();
    // More tiles are asked for than are kept.
    let side = (1000.0 / world.tile_m()) as i32;
    assert!(side * side > 6000);
    for k in 0..40 {
        assert!(world.tile((k * 31) % side, (k * 17) % side).is_some());
    }
    assert!(world.tiles_kept() <= 40);
    assert!(world.most_tiles() * crate::world::Tile::BYTES <= 512 << 20);
    let tile = world.tile(3, 3).unwrap();
    assert_eq!(
        (tile.heights_m().len(), tile.albedo().len()),
        (TILE_NODES * TILE_NODES, TILE_NODES * TILE_NODES)
    );
}

#[test]
fn one_cell_is_no_world() {
    let mut site = crate::testing::site_from(1, |_, _| 0.0);
    site.layers.remove(ORTHO);
    let message = from_site(1, site, &recipe("mixed"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("1 x 1 cells"), "{message}");
}
