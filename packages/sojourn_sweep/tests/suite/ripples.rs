//! Ripples that perception finds on the true ground of worlds whose ripples are known.

use sojourn_core::{
    Stamp,
    body::Body,
    classes::TerrainClass,
    params::load_node_params,
    raster::{HeightField, Raster},
};
use sojourn_perception::{Params, TerrainGrid, ripples};
use sojourn_twin::{folder::View, generate::generate, recipe::Recipe, world::World};
use std::{f64::consts::PI, path::Path};

/// Side of a world and of the grids that are cut out of it, metres.
const SIDE_M: f64 = 96.0;
const GRID_M: f64 = 32.0;

fn grid(world: &World, origin_m: [f64; 2]) -> TerrainGrid {
    let n = (GRID_M / 0.1).round() as usize;
    let blank = Raster::filled(n, n, 0.1, origin_m, 0.0).unwrap();
    let elevation = blank.like(|c, r| {
        let [x, y] = blank.centre_m(c, r);
        world.height_m(x, y).map_or(f32::NAN, |z| z as f32)
    });
    let layer = |v: f32| blank.like(|_, _| v);
    TerrainGrid {
        stamp: Stamp(1),
        low: elevation.clone(),
        high: elevation.clone(),
        elevation,
        variance: layer(1e-4),
        count: layer(5.0),
        age: layer(0.0),
    }
}

/// Share of a window's ground that is rippled sand.
fn sand(world: &World, [x, y]: [f64; 2], side_m: f64) -> f64 {
    let at = |k: usize| side_m * ((k as f64 + 0.5) / 9.0 - 0.5);
    let is =
        |i: &usize| world.class_at(x + at(i % 9), y + at(i / 9)) == Some(TerrainClass::SandRipples);
    (0..81).filter(is).count() as f64 / 81.0
}

#[test]
fn ripples_of_generated_worlds_are_measured_and_other_ground_has_none() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let params: Params =
        load_node_params(&config.join("perception.param.yaml"), "perception").unwrap();
    let p = params.ripples;
    let body = Body::load(&config.join("bodies/mars.yaml")).unwrap();
    let mut recipe = Recipe::load(&config.join("worlds/sandy.yaml")).unwrap();
    recipe.size_m = [SIDE_M, SIDE_M];
    let (mut rippled, mut found_there, mut plain, mut found_elsewhere) = (0, Vec::new(), 0, 0);
    for seed in 1..=3 {
        recipe.ripples.wavelength_m = [1.4, 1.8, 2.2][seed as usize - 1];
        recipe.ripples.across_deg = 50.0 * seed as f64;
        let truth = recipe.ripples;
        let world = generate(seed, &body, &recipe)
            .unwrap()
            .world(&View::everything())
            .unwrap();
        for k in 0..4 {
            let origin = [
                14.0 + 34.0 * f64::from(k % 2),
                14.0 + 34.0 * f64::from(k / 2),
            ];
            let g = grid(&world, origin);
            let found = ripples::find(&g, None, &p);
            let windows = ((GRID_M - p.window_m) / p.step_m).floor() as usize + 1;
            for i in 0..windows * windows {
                let at = |k: usize| p.step_m * k as f64 + 0.5 * p.window_m;
                let middle = [origin[0] + at(i % windows), origin[1] + at(i / windows)];
                let here = found
                    .iter()
                    .find(|r| (r.x_m - middle[0]).abs() < 0.2 && (r.y_m - middle[1]).abs() < 0.2);
                let share = sand(&world, middle, p.window_m);
                if share > 0.99 {
                    rippled += 1;
                    found_there.extend(here.map(|r| (*r, truth)));
                } else if share < 0.01 {
                    plain += 1;
                    found_elsewhere += usize::from(here.is_some());
                }
            }
        }
    }
    assert!(rippled > 20 && plain > 100, "{rippled} {plain}");
    let median = |mut v: Vec<f64>| {
        v.sort_by(f64::total_cmp);
        v[v.len() / 2]
    };
    let off = |of: &dyn Fn(&ripples::Ripples, &sojourn_twin::surface::RippleParams) -> f64| {
        median(found_there.iter().map(|(r, t)| of(r, t)).collect())
    };
    let length = off(&|r, t| (r.wavelength_m / t.wavelength_m - 1.0).abs());
    // Ripples of the worlds swell to 0.85 of their nominal height in the middle.
    let height = off(&|r, t| r.height_m / (0.85 * t.height_ratio * t.wavelength_m));
    let across = off(&|r, t| {
        let d = (r.across_rad - t.across_deg.to_radians()).rem_euclid(PI);
        d.min(PI - d).to_degrees()
    });
    let recall = found_there.len() as f64 / f64::from(rippled);
    println!(
        "found in {:.0} % of {rippled} rippled windows and {found_elsewhere} of {plain} others; wavelength {:.0} % off, height \
         {height:.2} of the true one, direction {across:.1} deg off (medians)",
        100.0 * recall,
        100.0 * length
    );
    assert!(recall >= 0.7, "{recall}");
    assert!(found_elsewhere as f64 <= 0.03 * f64::from(plain));
    assert!(length < 0.1 && (0.75..1.2).contains(&height) && across < 8.0);
}
