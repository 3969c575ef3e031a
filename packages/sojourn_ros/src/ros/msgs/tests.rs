use super::*;
use proptest::prelude::*;
use r2r::sensor_msgs::msg::Image;
use sojourn_core::camera::Pinhole;
use sojourn_core::frames::Map;
use sojourn_core::raster::Raster;

fn at() -> Stamp {
    Stamp::from_secs(12.5)
}

#[test]
fn frames_numbers_and_ages_are_checked() {
    let mut m = twist_to_msg(at(), 0.03, 0.01);
    assert_eq!(twist(&m).unwrap(), (at(), 0.03, 0.01));
    m.twist.linear.z = f64::NAN;
    assert!(twist(&m).unwrap_err().0.contains("NaN"));
    let mut m = twist_to_msg(at(), 0.0, 0.0);
    m.header.frame_id = "map".into();
    let why = twist(&m).unwrap_err().0;
    assert!(
        why.contains("\"map\"") && why.contains("\"base_link\""),
        "{why}"
    );
    assert!(twist(&twist_to_msg(Stamp(0), 0.0, 0.0)).is_err());
}

#[test]
fn a_tree_is_fed_from_messages() {
    let mut tree = FrameTree::new(10.0);
    let map_from_odom: Transform<Map, Odom> =
        Transform::from_xyz_rpy([1.0, 2.0, 0.0], 0.0, 0.0, 0.5);
    let mut bad = transform_to_msg(at(), &map_from_odom);
    bad.transform.rotation.w = f64::NAN;
    let transforms = vec![bad, transform_to_msg(at(), &map_from_odom)];
    let m = r2r::tf2_msgs::msg::TFMessage { transforms };
    assert!(feed_tree(&mut tree, &m, false).is_err());
    assert!((tree.lookup("map", "odom", at()).unwrap().translation.x - 1.0).abs() < 1e-12);
}

#[test]
fn a_quaternion_of_zeros_is_refused() {
    let zero = geometry::Quaternion {
        x: 0.0,
        y: 0.0,
        z: 0.0,
        w: 0.0,
    };
    assert!(rotation(&zero).is_err());
}

#[test]
fn images_of_the_wrong_shape_are_refused() {
    let good = depth_to_msg(at(), "cam", 2, &[1.0, f32::NAN, f32::INFINITY, 4.0]);
    let (_, width, height, depth_m) = depth_image(&good, "cam").unwrap();
    assert_eq!((width, height, depth_m[0], depth_m[3]), (2, 2, 1.0, 4.0));
    assert!(depth_m[1].is_nan() && depth_m[2].is_nan());
    for broken in [
        Image {
            step: 4,
            ..good.clone()
        },
        Image {
            height: 3,
            ..good.clone()
        },
        Image {
            width: 0,
            ..good.clone()
        },
        Image {
            width: u32::MAX,
            ..good.clone()
        },
        Image {
            encoding: "mono8".into(),
            ..good.clone()
        },
        Image {
            data: Vec::new(),
            ..good.clone()
        },
    ] {
        assert!(depth_image(&broken, "cam").is_err(), "{broken:?}");
    }
}

#[test]
fn colours_come_in_one_order_and_grey_has_none() {
    let image = |encoding: &str, data: &[u8]| Image {
        header: header(at(), "cam"),
        width: 1,
        height: 2,
        step: (data.len() / 2) as u32,
        encoding: encoding.into(),
        data: data.to_vec(),
        ..Image::default()
    };
    for (encoding, data) in [
        ("rgb8", &[1u8, 2, 3, 4, 5, 6][..]),
        ("bgr8", &[3, 2, 1, 6, 5, 4]),
        ("rgba8", &[1, 2, 3, 9, 4, 5, 6, 9]),
        ("bgra8", &[3, 2, 1, 9, 6, 5, 4, 9]),
    ] {
        assert_eq!(
            colours(&image(encoding, data)),
            Some(vec![1, 2, 3, 4, 5, 6]),
            "{encoding}"
        );
    }
    assert_eq!(colours(&image("mono8", &[1, 2])), None);
    assert_eq!(colours(&image("rgb8", &[1, 2])), None);
}

#[test]
fn joints_come_in_the_order_asked_for() {
    let m = joints_to_msg(
        at(),
        &[("b", 1.0, 2.0), ("x", f64::NAN, 0.0), ("a", 3.0, 4.0)],
    );
    assert_eq!(
        joints(&m, &["a", "b"]).unwrap(),
        (at(), [3.0, 1.0], [4.0, 2.0])
    );
    assert!(joints(&m, &["a", "x"]).is_err());
    assert!(
        joints(&m, &["c"])
            .unwrap_err()
            .0
            .contains("joint c is missing")
    );
}

#[test]
fn a_camera_survives_the_wire() {
    let camera = Pinhole::from_fov(640, 480, 1.6, 1.2);
    let (_, back) = camera_info(&camera_to_msg(at(), "cam", &camera, 0.0), "cam").unwrap();
    assert!((back.fx - camera.fx).abs() < 1e-12 && back.width == 640);
}

/// A camera whose raw image is distorted and whose driver bins by two within a part of the detector.
#[test]
fn the_camera_of_a_rectified_image_is_in_p() {
    let camera = Pinhole::from_fov(640, 480, 1.6, 1.2);
    let mut m = camera_to_msg(at(), "cam", &camera, 0.2);
    m.d = vec![-0.3, 0.1, 0.0, 0.0, 0.0];
    m.k[0] = 1.0;
    (m.binning_x, m.binning_y) = (2, 2);
    (m.roi.x_offset, m.roi.width, m.roi.height) = (100, 400, 480);
    let (_, got) = camera_info(&m, "cam").unwrap();
    assert_eq!((got.width, got.height), (200, 240));
    assert!((got.fx - camera.fx / 2.0).abs() < 1e-12);
    assert!((got.cx - (camera.cx - 100.0) / 2.0).abs() < 1e-12);
    assert!((baseline(&m).unwrap() - 0.2).abs() < 1e-12);
    m.p = vec![0.0; 12];
    let said = camera_info(&m, "cam").unwrap_err().0;
    assert!(said.contains("calibrated"), "{said}");
    m.p.clear();
    assert!(camera_info(&m, "cam").is_err());
}

/// What drivers of labs send: 16-bit depth, colours, rows with padding.
#[test]
fn images_come_in_the_encodings_of_drivers() {
    let mut m = depth_to_msg(at(), "cam", 2, &[1.5, f32::INFINITY, -1.0, 3.0]);
    let (_, w, h, depth) = depth_image(&m, "cam").unwrap();
    assert!((w, h) == (2, 2) && depth[0] == 1.5 && depth[1].is_nan() && depth[2].is_nan());
    // Two pixels of 16 bits and two bytes of padding a row.
    m.encoding = "16UC1".into();
    (m.step, m.data) = (6, vec![0xdc, 0x05, 0, 0, 9, 9, 0xff, 0xff, 1, 0, 9, 9]);
    let (_, _, _, depth) = depth_image(&m, "cam").unwrap();
    assert!(depth[0] == 1.5 && depth[1].is_nan(), "{depth:?}");
    assert!((depth[2] - 65.535).abs() < 1e-5 && (depth[3] - 0.001).abs() < 1e-9);
    m.is_bigendian = 1;
    assert!((depth_image(&m, "cam").unwrap().3[0] - 56.325).abs() < 1e-4);
    m.encoding = "64FC1".into();
    assert!(depth_image(&m, "cam").unwrap_err().0.contains("64FC1"));

    let mut m = mono_to_msg(at(), "cam", 3, &[200, 10, 10, 10, 10, 200]);
    assert_eq!(mono_image(&m, "cam").unwrap().3, [200, 10, 10, 10, 10, 200]);
    (m.width, m.height, m.step) = (1, 2, 3);
    m.encoding = "rgb8".into();
    let rgb = mono_image(&m, "cam").unwrap().3;
    m.encoding = "bgr8".into();
    let bgr = mono_image(&m, "cam").unwrap().3;
    assert_eq!((rgb[0], rgb[1]), (bgr[1], bgr[0]));
    assert_eq!(rgb, [67, 32]);
    m.step = 2;
    assert!(mono_image(&m, "cam").is_err());
    (m.step, m.encoding) = (3, "bayer_rggb8".into());
    assert!(mono_image(&m, "cam").unwrap_err().0.contains("bayer"));
}

#[test]
fn a_grid_survives_the_wire() {
    let raster = Raster::filled(3, 2, 0.5, [10.0, 20.0], 0.0)
        .unwrap()
        .like(|c, r| (10 * r + c) as f32);
    let m = grid_to_msg(
        at(),
        "odom",
        &[("elevation", &raster), ("variance", &raster)],
    );
    let (stamp, [back]) = grid_layers(&m, "odom", &["elevation"]).unwrap();
    assert_eq!((stamp, back.data()), (at(), raster.data()));
    assert!(
        grid_layers(&m, "odom", &["age"])
            .unwrap_err()
            .0
            .contains("age")
    );
    assert!(grid_layers(&m, "map", &["elevation"]).is_err());
}

proptest! {
    #[test]
    fn transforms_survive_the_wire(x in -1e4..1e4, y in -1e4..1e4, z in -1e3..1e3,
                                   roll in -1.0..1.0, pitch in -1.0..1.0, yaw in -3.0..3.0) {
        let t: Transform<Map, Odom> = Transform::from_xyz_rpy([x, y, z], roll, pitch, yaw);
        let (_, back) = transform::<Map, Odom>(&transform_to_msg(at(), &t)).unwrap();
        prop_assert!((back.iso.translation.vector - t.iso.translation.vector).norm() < 1e-9);
        prop_assert!(back.iso.rotation.angle_to(&t.iso.rotation) < 1e-6);
        prop_assert!(transform::<Odom, Map>(&transform_to_msg(at(), &t)).is_err());
    }
}
