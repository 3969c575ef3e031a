//! The reader of MCAP on a small made recording.

use super::bag::Bag;
use super::made::{self, BASELINE_M, F, MOUNT};
use super::recorded::Recorded;
use super::tests::{PLACES_M, SLIP, judged, pair_time_s, rolled, rover, run};
use crate::report::cdr::tests::Writer;
use sojourn_core::{Stamp, topics};
use std::path::Path;

/// CDR of the messages of the made drive.
fn stamped(t: f64, frame: &str) -> Writer {
    let (sec, nanosec) = Stamp::from_secs(100.0 + t).to_parts();
    Writer::default().u32(sec as u32).u32(nanosec).text(frame)
}

fn floats(w: Writer, values: &[f64]) -> Writer {
    values.iter().fold(w, |w, v| w.f64(*v))
}

fn image(t: f64, levels: &[u8]) -> Vec<u8> {
    let w = stamped(t, "navcam_left_optical_frame")
        .u32(made::HEIGHT as u32)
        .u32(made::WIDTH as u32)
        .text("mono8")
        .u8(0)
        .u32(made::WIDTH as u32)
        .u32(levels.len() as u32);
    levels.iter().fold(w, |w, l| w.u8(*l)).done()
}

fn make_bag(path: &Path, with: &dyn Fn(&str) -> bool, prefix: &str) {
    let mut messages: Vec<(f64, &str, Vec<u8>)> = Vec::new();
    let mount = super::recorded::looking_ahead(MOUNT.0, MOUNT.1);
    let q = mount.rotation.coords;
    for (k, (left, right)) in made::drive(&PLACES_M, MOUNT).iter().enumerate() {
        let t = pair_time_s(k);
        let info = stamped(t, "f").u32(240).u32(320).text("plumb_bob").u32(0);
        let mut p = [
            F,
            0.0,
            159.5,
            -F * BASELINE_M,
            0.0,
            F,
            119.5,
            0.0,
            0.0,
            0.0,
            1.0,
            0.0,
        ];
        p[10] = 1.0;
        let info = floats(floats(info, &[0.0; 18]), &p).u32(0).u32(0);
        messages.push((t, topics::RIGHT_INFO.name, info.done()));
        let pose = floats(
            stamped(t, "base_link"),
            &[0.0, 0.0, MOUNT.0, q.x, q.y, q.z, q.w],
        );
        messages.push((t, topics::NAVCAM_POSE.name, pose.done()));
        messages.push((t, topics::LEFT_IMAGE.name, image(t, left)));
        messages.push((t, topics::RIGHT_IMAGE.name, image(t, right)));
    }
    let r = rover().wheel.radius_m;
    for (t, way, speed) in rolled() {
        let imu = floats(stamped(t, "base_link"), &[0.0; 13]);
        let imu = floats(floats(imu, &[0.0; 12]), &[0.0, 0.0, 3.72076]);
        messages.push((t, topics::IMU.name, floats(imu, &[0.0; 9]).done()));
        let mut w = stamped(t, "").u32(12);
        for name in topics::DRIVE_JOINTS.iter().chain(&topics::STEER_JOINTS) {
            w = w.text(name);
        }
        let values = |drive: f64| -> Vec<f64> { [[drive; 6], [0.0; 6]].concat() };
        let w = floats(w.u32(12), &values(way / r));
        let w = floats(w.u32(12), &values(speed / r)).u32(0);
        messages.push((t, topics::WHEELS.name, w.done()));
        let truth = floats(
            stamped(t, "map").text("base_link"),
            &[way * (1.0 - SLIP), 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        );
        messages.push((t, topics::TRUTH.name, floats(truth, &[0.0; 78]).done()));
    }
    messages.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut writer = mcap::Writer::new(std::fs::File::create(path).unwrap()).unwrap();
    for (t, topic, data) in &messages {
        if !with(topic) {
            continue;
        }
        let channel = writer
            .add_channel(0, &format!("{prefix}{topic}"), "cdr", &Default::default())
            .unwrap();
        let log = Stamp::from_secs(100.0 + t).0 as u64;
        let header = mcap::records::MessageHeader {
            channel_id: channel,
            sequence: 0,
            log_time: log,
            publish_time: log,
        };
        writer.write_to_known_channel(&header, data).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn a_recording_gives_what_the_node_would_have_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("recording.mcap");
    make_bag(&path, &|_| true, "/");
    let recorded = Bag::open(&path, &rover(), &[]).unwrap();
    assert!(recorded.notes().is_empty(), "{:?}", recorded.notes());
    let (replayed, s) = judged(&recorded);
    assert_eq!((replayed.pairs.motions, replayed.pairs.looked_at), (4, 4));
    assert!(s.drift_end.unwrap() < 0.02, "{s:?}");
    assert!(replayed.refused.is_empty(), "{:?}", replayed.refused);
}

#[test]
fn what_a_recording_lacks_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("recording.mcap");
    // As the demo's recorder has it: the left images only.
    let demo = |t: &str| {
        ![
            "navcam/right/image_rect",
            "navcam/right/camera_info",
            "navcam/pose",
        ]
        .contains(&t)
    };
    make_bag(&path, &demo, "/");
    let recorded = Bag::open(&path, &rover(), &[]).unwrap();
    assert!(
        recorded.notes()[0]
            .contains("navcam/right/image_rect, navcam/right/camera_info not recorded"),
        "{:?}",
        recorded.notes()
    );
    let (replayed, s) = judged(&recorded);
    assert!(
        replayed.visual.places().is_empty() && (s.drift_end.unwrap() - 0.25).abs() < 0.02,
        "{s:?}"
    );
    // Under other names.
    make_bag(&path, &|_| true, "/rover1/");
    let recorded = Bag::open(&path, &rover(), &[]).unwrap();
    assert!(
        run(&recorded)
            .unwrap_err()
            .to_string()
            .contains("nothing to localize with")
    );
    let named: Vec<_> = ["imu/data_raw", "wheel_states"]
        .map(|n| (n.to_string(), format!("/rover1/{n}")))
        .to_vec();
    let recorded = Bag::open(&path, &rover(), &named).unwrap();
    assert_eq!(
        (recorded.contents()["imu"], recorded.contents()["pairs"]),
        (rolled().len() as u64, 0)
    );
    let unknown = [("navcam/middle".to_string(), "x".to_string())];
    assert!(
        Bag::open(&path, &rover(), &unknown)
            .err()
            .unwrap()
            .to_string()
            .contains("no such topic")
    );
}

#[test]
fn a_folder_of_ros2_bag_is_one_recording_in_the_order_of_its_messages() {
    let dir = tempfile::tempdir().unwrap();
    let bag = dir.path().join("drive");
    std::fs::create_dir(&bag).unwrap();
    let why = |bag: &Path| Bag::open(bag, &rover(), &[]).err().unwrap().to_string();
    assert!(why(&bag).contains("drive: holds no .mcap file"));
    std::fs::write(bag.join("drive_0.db3"), "").unwrap();
    assert!(why(&bag).contains("ros2 bag convert"), "{}", why(&bag));
    std::fs::write(bag.join("metadata.yaml"), "rosbag2_bagfile_information: {}").unwrap();
    make_bag(&bag.join("drive_0.mcap"), &|_| true, "/");
    let (alone, _) = judged(&Bag::open(&bag, &rover(), &[]).unwrap());
    assert_eq!(alone.pairs.motions, 4);
    // The images in a file of their own, beside one that says nothing.
    make_bag(
        &bag.join("drive_0.mcap"),
        &|t| !t.starts_with("navcam"),
        "/",
    );
    make_bag(&bag.join("drive_1.mcap"), &|t| t.starts_with("navcam"), "/");
    make_bag(&bag.join("drive_10.mcap"), &|_| false, "/");
    let recorded = Bag::open(&bag, &rover(), &[]).unwrap();
    assert_eq!(
        (recorded.contents()["imu"] > 0, recorded.contents()["pairs"]),
        (true, 5)
    );
    std::fs::write(bag.join("drive_2.mcap"), "no recording").unwrap();
    assert!(
        why(&bag).contains("drive_2.mcap: not a whole MCAP"),
        "{}",
        why(&bag)
    );
}

#[test]
fn broken_recordings_are_told_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("recording.mcap");
    std::fs::write(&path, "no recording").unwrap();
    let why = Bag::open(&path, &rover(), &[]).err().unwrap().to_string();
    assert!(
        why.contains("recording.mcap: not a whole MCAP recording"),
        "{why}"
    );
    make_bag(&path, &|_| true, "/");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(Bag::open(&path, &rover(), &[]).is_err());
    let why = Bag::open(Path::new("/no/such.mcap"), &rover(), &[])
        .err()
        .unwrap()
        .to_string();
    assert!(why.contains("/no/such.mcap"), "{why}");
}
