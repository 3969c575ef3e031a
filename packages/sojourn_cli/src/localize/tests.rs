//! Each reader on a small made recording, from the files to the score.

use super::made::{self, BASELINE_M, F, MOUNT, camera_yaml, png, text};
use super::recorded::Recorded;
use super::replay::{Replayed, best, replay};
use super::{folder, folder::Folder, katwijk, kitti, madmax};
use nalgebra::Isometry3;
use sojourn_core::{body::Body, params::load_node_params, rover::Rover};
use sojourn_localization::{
    Params,
    trajectory::{Score, score},
};
use std::path::{Path, PathBuf};

/// Pairs of a drive of 1.6 m, one every 10 s; the wheels roll a quarter more than that.
pub(super) const PLACES_M: [f64; 5] = [0.0, 0.4, 0.8, 1.2, 1.6];
const PAIR_S: f64 = 10.0;
const REST_S: f64 = 5.0;
pub(super) const SLIP: f64 = 0.2;

fn config(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../config")
        .join(name)
}

pub(super) fn rover() -> Rover {
    Rover::load(&config("rovers/perseverance.yaml")).unwrap()
}

pub(super) fn run(recorded: &dyn Recorded) -> anyhow::Result<Replayed> {
    let mut params: Params =
        load_node_params(&config("localization.param.yaml"), "localization").unwrap();
    // A quarter of the usual pixels.
    params.visual_odometry.cell_px = 16;
    params.use_slip_prior = false;
    let body = Body::load(&config("bodies/mars.yaml")).unwrap();
    replay(recorded, &params, &rover(), &body, &mut |_| {})
}

pub(super) fn judged(recorded: &dyn Recorded) -> (Replayed, Score) {
    let replayed = run(recorded).unwrap();
    let truth = recorded.truth().unwrap();
    let track = best(&replayed).moved(&truth.base_link_from_point);
    let (s, _) = score("t", &track, &truth.trajectory, truth.most_gap_s).unwrap();
    (replayed, s)
}

/// Inertial unit and wheels of the drive: time, way of the wheels, their speed.
pub(super) fn rolled() -> Vec<(f64, f64, f64)> {
    let end_s = REST_S + PAIR_S * (PLACES_M.len() - 1) as f64;
    let rate_mps = 0.4 / PAIR_S / (1.0 - SLIP);
    (0..)
        .map(|k| 0.1 * f64::from(k))
        .take_while(|t| *t <= end_s + 0.05)
        .map(|t| {
            let driven_s = (t - REST_S).max(0.0);
            let speed = if t >= REST_S { rate_mps } else { 0.0 };
            (t, driven_s * rate_mps, speed)
        })
        .collect()
}

pub(super) fn pair_time_s(k: usize) -> f64 {
    REST_S + PAIR_S * k as f64
}

fn make_folder(dir: &Path) {
    text(dir.join("camera.yaml"), &camera_yaml());
    let mut pairs = String::from("stamp_s,left,right\n");
    let mut truth = String::new();
    for (k, (left, right)) in made::drive(&PLACES_M, MOUNT).iter().enumerate() {
        png(&dir.join(format!("left/{k}.png")), left);
        png(&dir.join(format!("right/{k}.png")), right);
        pairs += &format!("{},left/{k}.png,right/{k}.png\n", pair_time_s(k));
    }
    let (mut imu, mut wheels) = (
        folder::IMU.join(",") + "\n",
        folder::wheels_header().join(",") + "\n",
    );
    let r = rover().wheel.radius_m;
    for (t, way, speed) in rolled() {
        imu += &format!("{t},0,0,0,0,0,3.72076\n");
        let (turned, turning) = (way / r, speed / r);
        wheels += &format!(
            "{t}{}{}{}\n",
            format!(",{turned}").repeat(6),
            format!(",{turning}").repeat(6),
            ",0".repeat(6)
        );
        truth += &format!("{t} {} 0 0 0 0 0 1\n", way * (1.0 - SLIP));
    }
    text(dir.join("timestamps.csv"), &pairs);
    text(dir.join("imu.csv"), &imu);
    text(dir.join("wheels.csv"), &wheels);
    text(dir.join("truth.tum"), &truth);
}

#[test]
fn a_folder_gives_the_way_with_the_slip_taken_off() {
    let dir = tempfile::tempdir().unwrap();
    make_folder(dir.path());
    let recorded = Folder::open(dir.path(), &rover()).unwrap();
    assert!(recorded.notes().is_empty(), "{:?}", recorded.notes());
    let (replayed, s) = judged(&recorded);
    assert_eq!((replayed.pairs.motions, replayed.pairs.looked_at), (4, 4));
    assert!(s.drift_end.unwrap() < 0.02, "{s:?}");
    assert!((s.way_m - 1.6).abs() < 0.05, "{}", s.way_m);
    assert!(
        replayed.slip.iter().all(|s| (s[1] - SLIP).abs() < 0.03),
        "{:?}",
        replayed.slip
    );
    // The wheels alone go a quarter too far.
    let truth = recorded.truth().unwrap();
    let (wheels, _) = score("t", &replayed.wheels, &truth.trajectory, 2.0).unwrap();
    assert!(
        (wheels.drift_end.unwrap() - 0.25).abs() < 0.02,
        "{wheels:?}"
    );
}

#[test]
fn a_folder_without_wheels_is_seen_and_one_without_pairs_is_rolled() {
    let dir = tempfile::tempdir().unwrap();
    make_folder(dir.path());
    std::fs::remove_file(dir.path().join("wheels.csv")).unwrap();
    let recorded = Folder::open(dir.path(), &rover()).unwrap();
    assert!(recorded.notes()[0].contains("no wheels"));
    let (replayed, s) = judged(&recorded);
    assert!(
        replayed.estimate.places().is_empty() && s.drift_end.unwrap() < 0.02,
        "{s:?}"
    );
    make_folder(dir.path());
    std::fs::remove_file(dir.path().join("timestamps.csv")).unwrap();
    let (replayed, s) = judged(&Folder::open(dir.path(), &rover()).unwrap());
    assert!(replayed.visual.places().is_empty() && (s.drift_end.unwrap() - 0.25).abs() < 0.02);
    std::fs::remove_file(dir.path().join("imu.csv")).unwrap();
    let why = run(&Folder::open(dir.path(), &rover()).unwrap())
        .unwrap_err()
        .to_string();
    assert!(
        why.contains("nothing to localize with") && why.contains("no stereo pairs"),
        "{why}"
    );
}

#[test]
fn bad_folders_are_told_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let broken = |name: &str, words: &str| {
        make_folder(dir.path());
        text(dir.path().join(name), words);
        match Folder::open(dir.path(), &rover()) {
            Err(e) => e.to_string(),
            Ok(recorded) => run(&recorded).unwrap_err().to_string(),
        }
    };
    for (name, words, told) in [
        ("imu.csv", "a,b\n", "expected the header stamp_s,wx_radps"),
        (
            "imu.csv",
            "stamp_s,wx_radps,wy_radps,wz_radps,fx_mps2,fy_mps2,fz_mps2\n1,2,x,4,5,6,7\n",
            "line 2 column 3",
        ),
        (
            "wheels.csv",
            "stamp_s\n",
            "expected the header stamp_s,lf_turned_rad",
        ),
        ("timestamps.csv", "stamp_s,left,right\n1,a.png\n", "line 2"),
        (
            "timestamps.csv",
            "stamp_s,left,right\n5,a.png,b.png\n",
            "a.png",
        ),
        ("camera.yaml", "{}", "camera.yaml"),
        ("left/0.png", "no picture", "left/0.png"),
        ("truth.tum", "1 2 3\n", "truth.tum"),
    ] {
        let why = broken(name, words);
        assert!(why.contains(told), "{name}: {why}");
    }
    let why = Folder::open(Path::new("/no/folder"), &rover())
        .err()
        .unwrap()
        .to_string();
    assert!(why.contains("/no/folder"), "{why}");
}

fn make_kitti(root: &Path) -> PathBuf {
    let dir = root.join("sequences/07");
    // Cameras as the set has them: level, 1.65 m over the road.
    let (mut times, mut poses) = (String::new(), String::new());
    for (k, (left, right)) in made::drive(&PLACES_M, (1.65, 0.0)).iter().enumerate() {
        png(&dir.join(format!("image_0/{k:06}.png")), left);
        png(&dir.join(format!("image_1/{k:06}.png")), right);
        times += &format!("{}\n", 0.1 * k as f64);
        poses += &format!("1 0 0 0 0 1 0 0 0 0 1 {}\n", PLACES_M[k]);
    }
    let p = |shift: f64| format!("{F} 0 159.5 {shift} 0 {F} 119.5 0 0 0 1 0");
    text(dir.join("times.txt"), &times);
    text(
        dir.join("calib.txt"),
        &format!("P0: {}\nP1: {}\n", p(0.0), p(-F * BASELINE_M)),
    );
    text(root.join("poses/07.txt"), &poses);
    dir
}

#[test]
fn a_kitti_sequence_is_seen() {
    let root = tempfile::tempdir().unwrap();
    let dir = make_kitti(root.path());
    let recorded = kitti::open(&dir).unwrap();
    let (replayed, s) = judged(&recorded);
    assert_eq!(replayed.pairs.motions, 4, "{:?}", replayed.pairs);
    assert!(s.drift_end.unwrap() < 0.03 && s.ate_rmse_m < 0.03, "{s:?}");
    for (name, words, told) in [
        (
            "sequences/07/calib.txt",
            "P0: 1 2 3\n",
            "line 1 has 4 columns",
        ),
        (
            "sequences/07/calib.txt",
            "P0: 9 0 1 0 0 9 1 0 0 0 1 0\n",
            "no line P1:",
        ),
        ("sequences/07/times.txt", "0\nx\n", "line 2 column 1"),
        ("poses/07.txt", "1 0 0 0 0 1 0 0 0 0 1 0\n", "expected 5"),
        (
            "poses/07.txt",
            &"2 0 0 0 0 1 0 0 0 0 1 0\n".repeat(5),
            "no rotation",
        ),
    ] {
        make_kitti(root.path());
        text(root.path().join(name), words);
        let why = kitti::open(&dir).err().unwrap().to_string();
        assert!(why.contains(told), "{name}: {why}");
    }
}

#[test]
fn a_madmax_run_is_seen() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("B-0");
    let carried = madmax::Carried {
        height_m: MOUNT.0,
        down_rad: MOUNT.1,
    };
    let begin_ns = 1_543_920_000_000_000_000i64;
    let mut truth = String::from(
        "% by somebody\n% UNIX time, x-enu(m), y-enu(m), z-enu(m), lat, lon, alt, orientation.w, orientation.x, orientation.y, orientation.z\n",
    );
    // B looks as base_link does; the inertial unit stands as the camera does.
    let b_from_left = super::recorded::looking_ahead(MOUNT.0, MOUNT.1);
    for (k, (left, right)) in made::drive(&PLACES_M, MOUNT).iter().enumerate() {
        let ns = begin_ns + 100_000_000 * k as i64;
        png(
            &dir.join(format!("img_rect_left/img_rect_left_{ns}.png")),
            left,
        );
        if k != 4 {
            png(
                &dir.join(format!("img_rect_right/img_rect_right_{ns}.png")),
                right,
            );
        }
        truth += &format!(
            "{:.4}, {}, 5, 1, 0, 0, 0, 1, 0, 0, 0\n",
            ns as f64 * 1e-9,
            PLACES_M[k]
        );
    }
    text(dir.join("ground_truth/gt_6DoF_gnss_and_imu.csv"), &truth);
    let p = |shift: f64| {
        format!("width: 320\nP: [{F}, 0, 159.5, {shift}, 0, {F}, 119.5, 0, 0, 0, 1, 0]\n")
    };
    let calibration = root.path().join("calibration");
    text(calibration.join("camera_rect_left_info.txt"), &p(0.0));
    text(
        calibration.join("camera_rect_right_info.txt"),
        &p(-F * BASELINE_M),
    );
    text(
        calibration.join("tf__imu_to_camera_left.csv"),
        "x,y,z,qx,qy,qz,qw\n0,0,0,0,0,0,1\n",
    );
    let to_b: Isometry3<f64> = b_from_left.inverse();
    let (t, q) = (to_b.translation.vector, to_b.rotation.coords);
    let line = format!(
        "x,y,z,qx,qy,qz,qw\n{},{},{},{},{},{},{}\n",
        t.x, t.y, t.z, q.x, q.y, q.z, q.w
    );
    text(calibration.join("tf__imu_to_B.csv"), &line);
    let recorded = madmax::open(&dir, carried).unwrap();
    assert!(
        recorded.notes()[0].contains("1 images of the left eye"),
        "{:?}",
        recorded.notes()
    );
    let (replayed, s) = judged(&recorded);
    assert_eq!(replayed.pairs.motions, 3);
    assert!(s.drift_end.unwrap() < 0.02, "{s:?}");
    text(
        calibration.join("camera_rect_right_info.txt"),
        "P: [1, 2]\n",
    );
    let why = madmax::open(&dir, carried).err().unwrap().to_string();
    assert!(why.contains("P has 2 numbers"), "{why}");
    text(dir.join("ground_truth/gt_6DoF_gnss_and_imu.csv"), "1, 2\n");
    text(
        calibration.join("camera_rect_right_info.txt"),
        &p(-F * BASELINE_M),
    );
    let why = madmax::open(&dir, carried).err().unwrap().to_string();
    assert!(why.contains("UNIX time"), "{why}");
}

#[test]
fn a_part_of_katwijk_is_read() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("Traverse1/Part1");
    let camera = root.path().join("camera.yaml");
    text(camera.clone(), &camera_yaml());
    let name = |t: f64| {
        let milli = (t * 1000.0).round() as u64;
        format!(
            "2015_11_26_12_{:02}_{:02}_{:03}",
            milli / 60_000,
            milli / 1000 % 60,
            milli % 1000
        )
    };
    let mut gps = String::new();
    for (k, (left, right)) in made::drive(&PLACES_M, MOUNT).iter().enumerate() {
        let t = pair_time_s(k);
        png(&dir.join(format!("LocCam/LocCam_{}_0.png", name(t))), left);
        png(&dir.join(format!("LocCam/LocCam_{}_1.png", name(t))), right);
        // North by metres, with the meridian's radius at that latitude.
        let lat = 52.217 + (PLACES_M[k] / 6_375_500.0f64).to_degrees();
        gps += &format!(
            "{} RTK_FIXED {lat:.10} 4.403 40.0 0.01 0.01 0.02\n",
            name(t)
        );
    }
    let (mut imu, mut wheels) = (String::new(), String::new());
    let r = rover().wheel.radius_m;
    for (t, way, speed) in rolled() {
        imu += &format!("{} 0 0 3.72076 0 0 0 0 0 3.7\n", name(t));
        let drive = format!(" {} {} 9.9", way / r, speed / r);
        wheels += &format!(
            "{}{}{} 0 0 0\n",
            name(t),
            drive.repeat(6),
            " 0 0 9.9".repeat(4)
        );
    }
    text(dir.join("gps-latlong.txt"), &gps);
    text(dir.join("imu.txt"), &imu);
    text(dir.join("odometry.txt"), &wheels);
    let rover = rover();
    let recorded = katwijk::Part::open(&dir, &camera, Some(&rover)).unwrap();
    let replayed = run(&recorded).unwrap();
    assert_eq!(replayed.pairs.motions, 4);
    let truth = recorded.truth().unwrap();
    let mut sparse = truth.clone();
    sparse.most_gap_s = 11.0;
    let (s, _) = score(
        "t",
        &replayed.estimate,
        &sparse.trajectory,
        sparse.most_gap_s,
    )
    .unwrap();
    assert!(
        s.ate_rmse_m < 0.03 && s.drift_end.is_none() && (s.way_m - 1.6).abs() < 0.05,
        "{s:?}"
    );
    // Without a rover's file there are pairs only.
    let lone = katwijk::Part::open(&dir, &camera, None).unwrap();
    assert!(lone.notes().iter().any(|n| n.contains("--rover")) && lone.contents()["wheels"] == 0);
    assert_eq!(run(&lone).unwrap().pairs.motions, 4);
    text(dir.join("imu.txt"), "yesterday 0 0 0 0 0 0 0 0 0\n");
    let why = katwijk::Part::open(&dir, &camera, Some(&rover))
        .err()
        .unwrap()
        .to_string();
    assert!(why.contains("line 1") && why.contains("yesterday"), "{why}");
}
