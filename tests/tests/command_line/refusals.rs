//! What is refused, in one sentence and with nothing left behind.

use super::{LIMIT, ground, refused};
use sojourn_tests::tiff::{Crs, float_tiff};
use sojourn_tests::{run, sojourn};

#[test]
fn bad_rasters_are_refused_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out").join("plan.json");
    std::fs::create_dir(dir.path().join("out")).unwrap();
    let out_text = out.display().to_string();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let whole = float_tiff(120, 100, Crs::Utm34, |c, r| (c + r) as f32 * 0.01);
    let cases = [
        (write("text.tif", b"this is not a raster\n"), "text.tif"),
        (write("empty.tif", b""), "empty.tif"),
        (
            write("truncated.tif", &whole[..whole.len() / 2]),
            "truncated.tif",
        ),
        (
            write(
                "nodata.tif",
                &float_tiff(60, 60, Crs::Utm34, |_, _| -9999.0),
            ),
            "nodata.tif",
        ),
        (
            write("nan.tif", &float_tiff(60, 60, Crs::Utm34, |_, _| f32::NAN)),
            "nan.tif",
        ),
        (
            write("absurd.tif", &float_tiff(60, 60, Crs::Utm34, |_, _| 1.0e9)),
            "absurd.tif",
        ),
        (
            write("nocrs.tif", &float_tiff(60, 60, Crs::None, |_, _| 0.0)),
            "nocrs.tif",
        ),
        (
            dir.path().join("absent.tif").display().to_string(),
            "absent.tif",
        ),
    ];
    for (dtm, name) in &cases {
        refused(
            &[
                "plan", "--dtm", dtm, "--body", "earth", "--start", "20,20", "--goal", "40,40",
                "--out", &out_text,
            ],
            &[name],
            &out,
        );
    }
}

#[test]
fn bad_places_and_files_are_refused_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let dtm = ground(dir.path());
    let out = dir.path().join("plan.json");
    let out_text = out.display().to_string();
    let plan = |start: &str, goal: &str, words: &[&str]| {
        refused(
            &[
                "plan", "--dtm", &dtm, "--body", "earth", "--start", start, "--goal", goal,
                "--out", &out_text,
            ],
            words,
            &out,
        );
    };
    plan("-5,20", "40,40", &["start"]);
    plan("20,20", "4000,40", &["goal"]);
    plan("20,20", "112,50", &["goal", "slope"]);
    plan("20,20", "nan,50", &["goal"]);
    plan("20", "50,50", &["start"]);

    let mission = dir.path().join("mission.yaml");
    let shipped =
        std::fs::read_to_string(sojourn_tests::root().join("config/mission.yaml")).unwrap();
    let with_mission = |text: &str, words: &[&str]| {
        std::fs::write(&mission, text).unwrap();
        let mission = mission.display().to_string();
        refused(
            &[
                "plan",
                "--dtm",
                &dtm,
                "--body",
                "earth",
                "--start",
                "20,20",
                "--goal",
                "60,60",
                "--mission",
                &mission,
                "--out",
                &out_text,
            ],
            words,
            &out,
        );
    };
    with_mission(
        &format!("{shipped}\ncolour: red\n"),
        &["mission.yaml", "colour"],
    );
    with_mission(
        &shipped.replace("max_slope_deg: 15.0", "max_slope_deg: .nan"),
        &["mission.yaml", "max_slope_deg"],
    );
    with_mission(
        &shipped.replace(
            "keep_out: []",
            "keep_out: [[[40, -10], [50, -10], [50, 200], [40, 200]]]",
        ),
        &["goal"],
    );
    with_mission("", &["mission.yaml"]);
}

#[test]
fn a_seed_below_zero_is_refused_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("world");
    let out_text = out.display().to_string();
    let args = ["world", "generate", "--seed", "-1", "--out", &out_text];
    refused(&args, &["--seed", "-1"], &out);
}

#[test]
fn an_unwritable_place_is_refused_before_the_work() {
    let dir = tempfile::tempdir().unwrap();
    let dtm = ground(dir.path());
    // Root may write anywhere, so the place is made impossible instead of forbidden: a folder below a file.
    let out = dir.path().join("ground.tif").join("plan.json");
    let output = run(
        sojourn()
            .args([
                "plan", "--dtm", &dtm, "--body", "earth", "--start", "20,20", "--goal", "40,40",
                "--out",
            ])
            .arg(&out),
        LIMIT,
    )
    .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("ground.tif"));
}

#[test]
fn a_run_folder_that_cannot_be_made_is_refused_before_the_work() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    for out in [
        file.join("run"),
        file.clone(),
        "/proc/sojourn_run".into(),
        "/dev/null/run".into(),
    ] {
        let output = run(
            sojourn()
                .args(["demo", "--yes", "--json", "--seed", "1", "--out"])
                .arg(&out),
            LIMIT,
        )
        .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let lines: Vec<&str> = said.lines().collect();
        assert!(
            lines.len() == 1 && lines[0].contains(&out.display().to_string()),
            "one sentence that names {}: {said}",
            out.display()
        );
        assert!(output.stdout.is_empty());
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
