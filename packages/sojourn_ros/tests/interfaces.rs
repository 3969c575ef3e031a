//! The interface packages: hashes as in the official ones, bindings that fit, usable from rclpy.
#![cfg(feature = "ros")]

mod support;

use sojourn_ros::msgdef::Definitions;
use support::{Domain, both};

/// RIHS01 hashes of the official packages (Jazzy), computed from their published definitions.
const OFFICIAL: &[(&str, &str)] = &[
    (
        "tf2_msgs/msg/TFMessage",
        "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
    ),
    (
        "tf2_msgs/msg/TF2Error",
        "RIHS01_db2485e7d6a0ec75bf087e058ee45df682acc3a621ca7780503d10aac141809a",
    ),
    (
        "grid_map_msgs/msg/GridMapInfo",
        "RIHS01_0a36d6b5bc9af8463d1d5a5008ef9fcac0c1373ba090f80c3594e47cc565b745",
    ),
    (
        "grid_map_msgs/msg/GridMap",
        "RIHS01_343b0e72887541beda6b035cc053f2d6fffaad9d6dcb2773c15a808dfca31fde",
    ),
    (
        "std_msgs/msg/Header",
        "RIHS01_f49fb3ae2cf070f793645ff749683ac6b06203e41c891e17701b1cb597ce6a01",
    ),
    (
        "sensor_msgs/msg/Image",
        "RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47",
    ),
];

#[test]
fn hashes_are_the_official_ones() {
    let definitions = Definitions::find();
    for (kind, hash) in OFFICIAL {
        assert_eq!(
            definitions.of(kind).unwrap().hash.as_deref(),
            Some(*hash),
            "{kind}"
        );
    }
}

#[test]
fn definitions_nest_all_they_need() {
    let text = Definitions::find()
        .of("sojourn_msgs/msg/Plan")
        .unwrap()
        .text;
    for nested in [
        "sojourn_msgs/Waypoint",
        "std_msgs/Header",
        "geometry_msgs/Point",
        "builtin_interfaces/Time",
    ] {
        assert!(
            text.contains(&format!("MSG: {nested}\n")),
            "{nested} is missing in:\n{text}"
        );
    }
}

#[test]
fn the_table_of_topics_names_types_that_exist() {
    let definitions = Definitions::find();
    for topic in sojourn_core::topics::TOPICS {
        assert!(
            definitions.of(topic.message).is_ok(),
            "{}: {}",
            topic.name,
            topic.message
        );
    }
}

#[test]
fn rclpy_and_rust_agree_on_every_field() {
    let domain = Domain::claim();
    let node = domain.start(
        &support::example("template_node"),
        &[
            "--ros-args",
            "--params-file",
            &format!(
                "{}/examples/template_node.param.yaml",
                env!("CARGO_MANIFEST_DIR")
            ),
        ],
    );
    let output = domain.python("peer.py", &["limiter", &node.id().to_string()]);
    assert!(output.status.success(), "{}", both(&output));
    let ended = node.wait(std::time::Duration::from_secs(2));
    assert!(ended.status.success(), "{}", both(&ended));
}
