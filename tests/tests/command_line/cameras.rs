//! `sojourn camera check`.

use super::{LIMIT, refused};
use sojourn_tests::{run, run_json, sojourn};
use std::path::Path;

/// A barrel lens of 320 x 240.
const LENS: &str = "model: plumb_bob\nwidth: 320\nheight: 240\nfx: 180\nfy: 180\ncx: 162\ncy: 118\n\
    d: [-0.28, 0.09, 0.0005, -0.0003, -0.01]\n";

/// A pair taken through a lens is rectified, measured and drawn; what is no pair is refused.
#[test]
fn a_pair_of_cameras_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (lens, small, images) = (at("lens.yaml"), at("small.yaml"), at("images"));
    std::fs::write(&lens, LENS).unwrap();
    std::fs::write(&small, LENS.replace("width: 320", "width: 300")).unwrap();
    run_json(
        sojourn()
            .args(["camera", "render", "--camera", &lens, "--sun", "100,40"])
            .args(["--range", "12", "--resolution", "0.1", "--seed", "2"])
            .args(["--out", &images, "--json"]),
        LIMIT,
    )
    .unwrap();
    let (left, right) = (at("images/sun1_left.png"), at("images/sun1_right.png"));
    let check = |args: &[&str]| {
        let mut command = sojourn();
        run_json(
            command.args(["camera", "check", "--json"]).args(args),
            LIMIT,
        )
        .unwrap()
    };
    let of = |json: &serde_json::Value, key: &str| json[key].as_f64().unwrap();
    let drawn = at("drawn.png");
    let by_lens = ["--left-camera", &lens, "--beside", "0.424"];
    let found = check(&[&[&left, &right, "--out", &drawn], &by_lens[..]].concat());
    assert!(of(&found, "corners") >= 20.0, "{found}");
    assert!(
        of(&found, "median_px") < 0.3 && of(&found, "p90_px") < 1.0,
        "{found}"
    );
    assert_eq!(found["swapped"], false, "{found}");
    assert_eq!(found["baseline_m"], 0.424, "{found}");
    // Both images beside each other, with coloured crosses on grey.
    let png = std::fs::read(&drawn).unwrap();
    let side = |k: usize| u32::from_be_bytes(png[k..k + 4].try_into().unwrap());
    assert_eq!((side(16), side(20), png[25]), (640, 240, 2));

    // Without the lens the rows do not meet.
    let raw = check(&[&left, &right]);
    assert_eq!(raw["rectified"], false, "{raw}");
    assert!(of(&raw, "p90_px") > 3.0 * of(&found, "p90_px"), "{raw}");
    let turned = check(&[&[&*right, &*left][..], &by_lens].concat());
    assert_eq!(turned["swapped"], true, "{turned}");
    let mut command = sojourn();
    let said = run(
        command
            .args(["camera", "check", &right, &left])
            .args(by_lens),
        LIMIT,
    )
    .unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("baseline 0.424 m") && said.contains("px off their rows"),
        "{said}"
    );
    assert!(said.contains("left and right are exchanged"), "{said}");

    let out = dir.path().join("none.png");
    let bad = |l: &str, r: &str, more: &[&str], words: &[&str]| {
        let out = out.display().to_string();
        let args = ["camera", "check", l, r, "--out", &out];
        refused(&[&args[..], more].concat(), words, Path::new(&out));
    };
    bad(&left, &at("nowhere.png"), &[], &["nowhere.png"]);
    bad(
        &left,
        &at("images/depth.png"),
        &[],
        &["depth.png", "grey PNG"],
    );
    bad(&left, &lens, &[], &["lens.yaml"]);
    bad(&left, &right, &["--left-camera", &lens], &["--beside"]);
    let wrong = ["--left-camera", &lens, "--beside", "-1"];
    bad(&left, &right, &wrong, &["--beside", "-1"]);
    let wrong = ["--left-camera", &small, "--beside", "0.4"];
    bad(&left, &right, &wrong, &["320 x 240", "300 x 240"]);
    let wrong = ["--left-camera", &lens, "--right-camera", &lens];
    bad(&left, &right, &wrong, &["lens.yaml", "has no place"]);
    let wrong = ["--left-camera", &left, "--beside", "0.4"];
    bad(&left, &right, &wrong, &["sun1_left.png"]);
}
