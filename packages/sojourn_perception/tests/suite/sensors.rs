//! Further sensors: hazard cameras, depth cameras and scanners see into one grid, each with its own health.

use crate::common::{cast, params, rover};
use nalgebra::{Isometry3, Vector3};
use sojourn_core::{
    Stamp,
    camera::Pinhole,
    frames::{BaseLink, Odom, Transform},
    health::{HealthLevel, NodeState},
};
use sojourn_perception::{
    Config, DepthImage, DepthNoise, Input, Perception, Source,
    cloud::PointCloud,
    sensors::{Sensed, SensorKind, SensorParams},
    stereo::CameraFiles,
};

const BUMP: [f64; 2] = [-2.5, 0.4];

fn ground(x: f64, y: f64) -> f64 {
    if (x - BUMP[0]).hypot(y - BUMP[1]) < 0.3 {
        0.3
    } else {
        0.05 * x
    }
}

fn sensor(kind: SensorKind, xyz_m: [f64; 3], rpy_deg: [f64; 3]) -> SensorParams {
    let depth = kind == SensorKind::Depth;
    SensorParams {
        kind,
        topic: "somewhere".into(),
        info: if depth { "somewhere/camera_info" } else { "" }.into(),
        frame: "somewhere_frame".into(),
        xyz_m,
        rpy_deg,
        range_min_m: 0.2,
        range_max_m: 8.0,
        sigma_m: 0.01,
        sigma_per_m2: if depth { 0.002 } else { 0.0 },
        silence_s: 3.0,
        cameras: CameraFiles::default(),
    }
}

/// A camera at the back that looks backwards and down, and a scanner on a post with x ahead.
fn core(source: Source) -> Perception {
    let mut p = params();
    p.source = source;
    // Optical frame: z backwards and 30° down, x to the rover's left.
    let back = sensor(SensorKind::Depth, [-0.6, 0.0, 0.8], [-120.0, 0.0, 90.0]);
    let scanner = sensor(SensorKind::Cloud, [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]);
    p.sensors.insert("a_rear_hazcam".into(), back);
    p.sensors.insert("b_scanner".into(), scanner);
    let rover = rover("testbed");
    Perception::new(Config::new(p, &rover).unwrap(), &rover)
}

fn stood(t_s: f64) -> Input {
    let pose: Transform<Odom, BaseLink> = Transform::identity();
    Input::Odometry(Stamp::from_secs(t_s), pose)
}

fn rear(t_s: f64) -> Input {
    let camera = Pinhole::from_fov(160, 120, 1.2, 0.9);
    let at = sensor(SensorKind::Depth, [-0.6, 0.0, 0.8], [-120.0, 0.0, 90.0]);
    let depth_m = cast(&camera, &at.base_link_from_sensor(), &ground, 0.0, 1);
    let image = DepthImage {
        stamp: Stamp::from_secs(t_s),
        width: 160,
        height: 120,
        depth_m,
        noise: DepthNoise::Rover,
    };
    Input::Sensed(0, Sensed::Depth(image, camera))
}

/// A ring scanner's cloud: rays in all directions, down by 5 to 50 degrees.
fn scan(t_s: f64) -> Input {
    let from = Isometry3::translation(0.0, 0.0, 1.0);
    let mut points_m = Vec::new();
    for ring in 0..40 {
        let down = (5.0 + 45.0 * f64::from(ring) / 39.0f64).to_radians();
        for k in 0..720 {
            let a = (0.5 * f64::from(k)).to_radians();
            let ray = Vector3::new(down.cos() * a.cos(), down.cos() * a.sin(), -down.sin());
            let mut d = 0.3;
            while d < 9.0 {
                let p = from.transform_point(&(ray * d).into());
                if p.z <= ground(p.x, p.y) {
                    points_m.push([(ray.x * d) as f32, (ray.y * d) as f32, (ray.z * d) as f32]);
                    break;
                }
                d += 0.01;
            }
        }
    }
    let stamp = Stamp::from_secs(t_s);
    Input::Sensed(
        1,
        Sensed::Cloud(PointCloud {
            stamp,
            points_m,
            missing: 7,
        }),
    )
}

fn near(grid: &sojourn_perception::TerrainGrid, x: f64, y: f64) -> f64 {
    grid.elevation.nearest(x, y).unwrap_or(f64::NAN)
}

#[test]
fn a_camera_behind_and_a_scanner_see_one_ground() {
    let mut core = core(Source::None);
    let now = Stamp::from_secs(1.0);
    for input in [stood(1.0), rear(1.0)] {
        core.step(now, input);
    }
    let out = core.step(now, Input::Tick);
    let grid = out.grid.expect("the rear camera has seen ground");
    assert!(
        (near(&grid, -2.0, -0.5) + 0.1).abs() < 0.02,
        "{}",
        near(&grid, -2.0, -0.5)
    );
    assert!(near(&grid, BUMP[0] + 0.1, BUMP[1]) > 0.2);
    assert!(near(&grid, 2.0, 0.5).is_nan(), "nobody has looked ahead");
    // Nothing of the scanner yet, but its time has not run out.
    assert_eq!(out.health.unwrap().level, HealthLevel::Ok);

    let now = Stamp::from_secs(2.0);
    core.step(now, stood(2.0));
    core.step(now, scan(2.0));
    let grid = core.step(now, Input::Tick).grid.unwrap();
    assert!(
        (near(&grid, 2.0, 0.5) - 0.1).abs() < 0.03,
        "{}",
        near(&grid, 2.0, 0.5)
    );
    assert!((near(&grid, -2.0, -0.5) + 0.1).abs() < 0.03);
    let used: Vec<u64> = core.sensors().map(|(_, s)| s.used).collect();
    assert_eq!(used, [1, 1]);
}

#[test]
fn each_sensor_has_its_own_health() {
    let mut core = core(Source::None);
    let (camera, stamp) = (Pinhole::from_fov(160, 120, 1.2, 0.9), Stamp::from_secs(1.0));
    let wrong = DepthImage {
        stamp,
        width: 4,
        height: 4,
        depth_m: vec![1.0; 16],
        noise: DepthNoise::Rover,
    };
    let input = Input::Sensed(0, Sensed::Depth(wrong, camera));
    core.step(stamp, stood(1.0));
    core.step(stamp, input);
    core.step(stamp, scan(1.0));
    core.step(stamp, Input::NotSensed(9, "no such sensor".into()));
    let health = core.step(stamp, Input::Tick).health.unwrap();
    assert_eq!(
        (health.state, health.level),
        (NodeState::Active, HealthLevel::Warn)
    );
    assert!(health.reason.contains("a_rear_hazcam"), "{}", health.reason);
    assert!(health.reason.contains("another size"), "{}", health.reason);
    assert!(!health.reason.contains("b_scanner"), "{}", health.reason);
    // The scanner falls silent, the camera comes back.
    let now = Stamp::from_secs(5.0);
    core.step(now, stood(5.0));
    let input = rear(5.0);
    core.step(now, input);
    let health = core.step(now, Input::Tick).health.unwrap();
    assert!(
        health
            .reason
            .contains("b_scanner gave nothing usable for 4.0 s"),
        "{}",
        health.reason
    );
    assert!(
        !health.reason.contains("a_rear_hazcam"),
        "{}",
        health.reason
    );
    // All silent: nothing is known any more of what lies ahead.
    let health = core
        .step(Stamp::from_secs(60.0), Input::Tick)
        .health
        .unwrap();
    assert_eq!(health.level, HealthLevel::Error);
}

#[test]
fn a_living_scanner_does_not_hide_a_dead_navigation_camera() {
    let mut core = core(Source::Depth);
    for t in 1..=60 {
        let now = Stamp::from_secs(f64::from(t));
        core.step(now, stood(f64::from(t)));
        if t % 20 == 0 {
            core.step(now, scan(f64::from(t)));
        }
        core.step(now, Input::Tick);
    }
    let health = core
        .step(Stamp::from_secs(60.0), Input::Tick)
        .health
        .unwrap();
    assert_eq!(health.level, HealthLevel::Error);
    assert!(
        health.reason.contains("never a usable depth image"),
        "{}",
        health.reason
    );
}

#[test]
fn the_newest_of_too_many_win_and_empty_clouds_are_refused() {
    let mut core = core(Source::None);
    let now = Stamp::from_secs(1.0);
    for k in 0..30 {
        let cloud = PointCloud {
            stamp: Stamp(now.0 + k),
            points_m: Vec::new(),
            missing: 10,
        };
        core.step(now, Input::Sensed(1, Sensed::Cloud(cloud)));
    }
    core.step(now, stood(0.9));
    core.step(now, stood(1.01));
    assert!(core.step(now, Input::Tick).grid.is_none());
    let (_, status) = core.sensors().nth(1).unwrap();
    assert_eq!((status.dropped, status.refused, status.used), (24, 6, 0));
    assert!(status.reason.contains("usable depth"), "{}", status.reason);
}

#[test]
fn parameters_of_a_sensor_that_make_no_sense_name_their_key() {
    let rover = rover("testbed");
    let said = |change: fn(&mut SensorParams)| {
        let mut p = params();
        let mut s = sensor(SensorKind::Depth, [0.0; 3], [0.0; 3]);
        change(&mut s);
        p.sensors.insert("rear".into(), s);
        Config::new(p, &rover).unwrap_err().to_string()
    };
    assert!(said(|s| s.info.clear()).contains("sensors.rear.info"));
    assert!(said(|s| s.range_max_m = 0.1).contains("sensors.rear.range_max_m"));
    assert!(said(|s| s.rpy_deg[1] = f64::NAN).contains("sensors.rear.rpy_deg.y"));
    assert!(said(|s| s.frame.clear()).contains("sensors.rear.frame"));
    let mut p = params();
    p.source = Source::None;
    let alone = Config::new(p, &rover).unwrap_err().to_string();
    assert!(alone.contains("source: none"), "{alone}");
}
