//! The grid against ground that is known exactly.

use crate::common::{Look, coarse, look, node, rover, stand};
use sojourn_core::{Stamp, rover::Rover};
use sojourn_perception::{Input, Perception, TerrainGrid};

fn hills(x: f64, y: f64) -> f64 {
    0.15 * (0.7 * x).sin() * (0.5 * y).cos() + 0.03 * (3.1 * x + 1.7 * y).sin() + 0.08 * x
}

fn tick(node: &mut Perception, t_s: f64) -> TerrainGrid {
    let out = node.step(Stamp::from_secs(t_s), Input::Tick);
    out.grid.expect("an image has changed the grid")
}

/// (RMSE, cells known, cells in all) within a distance of a place, with or without the cells that were filled.
fn compare(
    grid: &TerrainGrid,
    at: [f64; 2],
    within_m: f64,
    filled: bool,
    ground: &dyn Fn(f64, f64) -> f64,
) -> (f64, usize, usize) {
    let e = &grid.elevation;
    let (mut sum, mut known, mut all) = (0.0, 0, 0);
    for row in 0..e.rows() {
        for col in 0..e.cols() {
            let [x, y] = e.centre_m(col, row);
            if (x - at[0]).hypot(y - at[1]) > within_m {
                continue;
            }
            all += 1;
            let h = f64::from(e.get(col, row));
            if !h.is_nan() && (filled || grid.count.get(col, row) > 0.0) {
                known += 1;
                sum += (h - ground(x, y)).powi(2);
            }
        }
    }
    ((sum / known as f64).sqrt(), known, all)
}

fn pans(rover: &Rover, node: &mut Perception, at: [f64; 3], t_s: f64) {
    for pan_deg in [0.0f64, 80.0, -80.0] {
        let pose = stand(at[0], at[1], at[2], &hills);
        look(
            node,
            rover,
            &Look {
                t_s,
                odom_from_base_link: pose,
                pan_rad: pan_deg.to_radians(),
            },
            &hills,
        );
    }
}

#[test]
fn heights_are_right_within_three_centimetres_at_six_metres() {
    let rover = rover("perseverance");
    let mut node = node(&rover);
    pans(&rover, &mut node, [0.0, 0.0, 0.3], 1.0);
    let grid = tick(&mut node, 1.1);
    let (rmse, known, all) = compare(&grid, [0.0, 0.0], 6.0, false, &hills);
    println!("one stop, within 6 m: RMSE {rmse:.4} m, {known} of {all} cells");
    assert!(rmse < 0.03, "RMSE {rmse}");
    assert!(known * 10 > all * 6, "{known} of {all} cells");
    let (with_filled, ..) = compare(&grid, [0.0, 0.0], 6.0, true, &hills);
    println!("with filled cells: RMSE {with_filled:.4} m");
    let (rmse, ..) = compare(&grid, [0.0, 0.0], 10.0, true, &hills);
    println!("one stop, within 10 m: RMSE {rmse:.4} m");
    assert!(rmse < 0.08, "RMSE {rmse}");
}

#[test]
fn driving_keeps_the_grid_right_and_centred() {
    let rover = coarse(rover("perseverance"));
    let mut node = node(&rover);
    pans(&rover, &mut node, [0.0, 0.0, 0.0], 1.0);
    tick(&mut node, 1.1);
    let mut last = None;
    for i in 1..=6 {
        let (t_s, x) = (1.0 + 12.0 * f64::from(i), 0.5 * f64::from(i));
        let pose = stand(x, 0.0, 0.0, &hills);
        look(
            &mut node,
            &rover,
            &Look {
                t_s,
                odom_from_base_link: pose,
                pan_rad: 0.0,
            },
            &hills,
        );
        last = Some((tick(&mut node, t_s + 0.1), x));
    }
    let (grid, x) = last.unwrap();
    let [ox, oy] = grid.elevation.origin_m();
    let [w, h] = grid.elevation.size_m();
    assert!((ox + 0.5 * w - x).abs() <= 0.11 && (oy + 0.5 * h).abs() <= 0.11);
    let (rmse, known, all) = compare(&grid, [x + 3.0, 0.0], 3.0, true, &hills);
    println!("after 3 m: RMSE {rmse:.4} m, {known} of {all} cells");
    assert!(
        rmse < 0.03 && known * 10 > all * 8,
        "RMSE {rmse}, {known} of {all}"
    );
}

#[test]
fn a_rock_is_seen_and_its_shadow_is_not_invented() {
    let rover = coarse(rover("perseverance"));
    let mut node = node(&rover);
    // a block 0.4 m wide and 0.5 m high, 5 m ahead
    let ground = |x: f64, y: f64| {
        if (x - 5.0).abs() < 0.2 && y.abs() < 0.2 {
            0.5
        } else {
            0.0
        }
    };
    let pose = stand(0.0, 0.0, 0.0, &|_, _| 0.0);
    look(
        &mut node,
        &rover,
        &Look {
            t_s: 1.0,
            odom_from_base_link: pose,
            pan_rad: 0.0,
        },
        &ground,
    );
    let grid = tick(&mut node, 1.1);
    let top = grid.elevation.nearest(5.05, 0.05).unwrap();
    assert!((top - 0.5).abs() < 0.06, "top {top}");
    let face = grid.elevation.nearest(4.85, 0.05).unwrap();
    assert!(face > 0.3, "front {face}");
    assert_eq!(grid.elevation.nearest(5.65, 0.05), None, "shadow");
    assert!(grid.elevation.nearest(8.0, 0.05).unwrap().abs() < 0.05);
    assert!(grid.elevation.nearest(5.05, 1.05).unwrap().abs() < 0.03);
}

#[test]
fn ground_seen_again_after_driving_replaces_what_slip_has_displaced() {
    let rover = coarse(rover("perseverance"));
    let mut node = node(&rover);
    let ground = |_: f64, _: f64| 0.0;
    let pose = stand(0.0, 0.0, 0.0, &ground);
    look(
        &mut node,
        &rover,
        &Look {
            t_s: 1.0,
            odom_from_base_link: pose,
            pan_rad: 0.0,
        },
        &ground,
    );
    tick(&mut node, 1.1);
    // odometry has drifted: the same ground now seems 0.2 m higher
    let raised = |_: f64, _: f64| 0.2;
    let pose = stand(0.6, 0.0, 0.0, &raised);
    look(
        &mut node,
        &rover,
        &Look {
            t_s: 20.0,
            odom_from_base_link: pose,
            pan_rad: 0.0,
        },
        &raised,
    );
    let grid = tick(&mut node, 20.1);
    assert!((grid.elevation.nearest(5.0, 0.0).unwrap() - 0.2).abs() < 0.03);
}

#[test]
fn the_ground_under_the_rover_is_known_by_touch_from_the_start() {
    let rover = rover("testbed");
    let mut node = node(&rover);
    let slope = |x: f64, _: f64| 0.2 * x;
    let pose = stand(0.0, 0.0, 0.0, &slope);
    look(
        &mut node,
        &rover,
        &Look {
            t_s: 1.0,
            odom_from_base_link: pose,
            pan_rad: 0.0,
        },
        &slope,
    );
    let grid = tick(&mut node, 1.1);
    assert_eq!(grid.elevation.resolution_m(), 0.05);
    for hub in rover.hubs_m() {
        let h = grid.elevation.nearest(hub[0], hub[1]).unwrap();
        assert!((h - 0.2 * hub[0]).abs() < 0.03, "{h} under {hub:?}");
        assert_eq!(grid.count.nearest(hub[0], hub[1]), Some(0.0));
    }
    assert_eq!(grid.elevation.nearest(-2.0, 0.0), None);
    assert!(grid.variance.nearest(-2.0, 0.0).is_none() && grid.age.nearest(-2.0, 0.0).is_none());
}

#[test]
fn the_same_inputs_give_the_same_bits() {
    let rover = rover("testbed");
    let run = || {
        let mut node = node(&rover);
        let pose = stand(0.3, 0.2, 0.4, &hills);
        look(
            &mut node,
            &rover,
            &Look {
                t_s: 1.0,
                odom_from_base_link: pose,
                pan_rad: 0.2,
            },
            &hills,
        );
        let grid = tick(&mut node, 1.1);
        let bits = |r: &sojourn_core::raster::Raster| {
            r.data().iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        };
        (
            bits(&grid.elevation),
            bits(&grid.variance),
            bits(&grid.count),
            bits(&grid.age),
        )
    };
    assert_eq!(run(), run());
}

#[test]
fn flat_ground_without_noise_is_flat_up_to_the_edge() {
    let rover = coarse(rover("perseverance"));
    let mut node = node(&rover);
    let camera = rover.navcam_pinhole();
    let pose = rover.base_link_from_navcam();
    let depth_m = crate::common::cast(&camera, &pose.iso, &|_, _| 0.0, 0.0, 1);
    let stamp = Stamp::from_secs(1.0);
    for input in [
        Input::CameraInfo(camera),
        Input::CameraPose(stamp, pose),
        Input::Odometry(stamp, sojourn_core::frames::Transform::identity()),
        Input::Depth(sojourn_perception::DepthImage {
            stamp,
            width: 320,
            height: 240,
            depth_m,
            noise: sojourn_perception::DepthNoise::Rover,
        }),
    ] {
        node.step(stamp, input);
    }
    let grid = tick(&mut node, 1.1);
    let (low, high) = grid.elevation.min_max().unwrap();
    assert!(low > -1e-3 && high < 1e-3, "{low} to {high}");
}
