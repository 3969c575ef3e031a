//! The command `sojourn` without ROS: what works, and that what cannot work says so in one sentence.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use sojourn_tests::tiff::{Crs, float_tiff};
use sojourn_tests::{Running, data, parse_json, read_json, run, run_json, signal, sojourn};
use std::path::Path;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);

/// Gentle ground of 120 m × 100 m with a cliff of 60 m along its eastern edge.
fn ground(dir: &Path) -> String {
    let path = dir.join("ground.tif");
    let height = |col: u32, row: u32| {
        let hills = ((col as f32) * 0.07).sin() * 0.8 + ((row as f32) * 0.05).cos() * 0.7;
        if col > 100 {
            hills + (col - 100) as f32 * 6.0
        } else {
            hills
        }
    };
    std::fs::write(&path, float_tiff(120, 100, Crs::Utm34, height)).unwrap();
    path.display().to_string()
}

/// Runs a command that has to fail with one sentence that holds all of `words`, and has to leave `out` unwritten.
fn refused(args: &[&str], words: &[&str], out: &Path) {
    let output = run(sojourn().args(args), LIMIT).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{args:?} succeeded");
    assert!(
        output.status.code().is_some_and(|c| c != 101),
        "{args:?} panicked: {said}"
    );
    for word in words {
        assert!(
            said.to_lowercase().contains(&word.to_lowercase()),
            "{args:?}: \"{word}\" is not in: {said}"
        );
    }
    let sentences = said
        .lines()
        .filter(|l| l.to_lowercase().contains("error"))
        .count();
    assert_eq!(sentences, 1, "{args:?} should say one sentence: {said}");
    assert!(!out.exists(), "{args:?} left {}", out.display());
    let left: Vec<_> = out
        .parent()
        .map(|p| {
            std::fs::read_dir(p)
                .unwrap()
                .flatten()
                .map(|e| e.file_name())
                .collect()
        })
        .unwrap_or_default();
    assert!(
        !left.iter().any(|n| n.to_string_lossy().ends_with(".tmp")),
        "{args:?} left {left:?}"
    );
}

#[test]
fn plan_verify_approve_on_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let dtm = ground(dir.path());
    let (plan, xml, report, key, bundle) = (
        at("plan.json"),
        at("plan.xml"),
        at("report.json"),
        at("key.json"),
        at("bundle"),
    );
    let planned = run_json(
        sojourn()
            .args([
                "plan", "--dtm", &dtm, "--body", "earth", "--start", "20,20", "--goal", "80,75",
            ])
            .args(["--out", &plan, "--xml", &xml, "--json"]),
        LIMIT,
    )
    .unwrap();
    assert!(planned["distance_m"].as_f64().unwrap() > 75.0, "{planned}");
    let document = read_json(Path::new(&plan)).unwrap();
    let waypoints = document["waypoints"].as_array().unwrap();
    assert!(waypoints.len() >= 7);
    for w in waypoints {
        for field in [
            "x_m",
            "y_m",
            "tolerance_m",
            "mode",
            "corridor",
            "limits",
            "timeout_s",
            "risk",
            "reasons",
        ] {
            assert!(!w[field].is_null(), "{field} is missing in {w}");
        }
    }
    let text = std::fs::read_to_string(&xml).unwrap();
    assert!(
        text.contains(planned["digest"].as_str().unwrap()),
        "the XML carries the plan's digest"
    );

    let verdict = run_json(
        sojourn().args([
            "verify", "--dtm", &dtm, "--body", "earth", "--plan", &plan, "--out", &report, "--json",
        ]),
        LIMIT,
    )
    .unwrap();
    assert_eq!(verdict["passed"], true, "{verdict}");
    assert!(
        verdict["values_checked"].as_u64().unwrap() > 100_000,
        "{verdict}"
    );

    run_json(
        sojourn().args(["key", "new", "--out", &key, "--json"]),
        LIMIT,
    )
    .unwrap();
    run_json(
        sojourn()
            .args([
                "approve", "--plan", &plan, "--report", &report, "--key", &key,
            ])
            .args(["--out", &bundle, "--yes", "--json"]),
        LIMIT,
    )
    .unwrap();
    let checked = run_json(
        sojourn().args(["bundle", "check", &bundle, "--json"]),
        LIMIT,
    )
    .unwrap();
    assert_eq!(checked["ok"], true, "{checked}");

    // One flipped bit in any file of the bundle.
    for entry in std::fs::read_dir(&bundle).unwrap() {
        let path = entry.unwrap().path();
        let whole = std::fs::read(&path).unwrap();
        let mut spoilt = whole.clone();
        let middle = spoilt.len() / 2;
        spoilt[middle] ^= 4;
        std::fs::write(&path, spoilt).unwrap();
        let output = run(sojourn().args(["bundle", "check", &bundle]), LIMIT).unwrap();
        assert!(
            !output.status.success(),
            "a flipped bit in {} went unnoticed",
            path.display()
        );
        std::fs::write(&path, whole).unwrap();
    }
    assert!(
        run(sojourn().args(["bundle", "check", &bundle]), LIMIT)
            .unwrap()
            .status
            .success()
    );
}

#[test]
fn two_plans_of_one_seed_are_one_plan() {
    let dir = tempfile::tempdir().unwrap();
    let dtm = ground(dir.path());
    let digest = |name: &str| {
        let out = dir.path().join(name).display().to_string();
        let planned = run_json(
            sojourn()
                .args([
                    "plan", "--dtm", &dtm, "--body", "earth", "--start", "20,20", "--goal", "80,75",
                ])
                .args(["--seed", "7", "--out", &out, "--json"]),
            LIMIT,
        );
        planned.unwrap()["digest"].as_str().unwrap().to_string()
    };
    assert_eq!(digest("a.json"), digest("b.json"));
}

#[test]
fn a_plan_over_the_cliff_is_rejected_with_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let dtm = ground(dir.path());
    let plan = dir.path().join("plan.json");
    let report = dir.path().join("report.json");
    let args = [
        "plan", "--dtm", &dtm, "--body", "earth", "--start", "20,50", "--goal", "80,50",
    ];
    run_json(
        sojourn()
            .args(args)
            .args(["--out", &plan.display().to_string(), "--json"]),
        LIMIT,
    )
    .unwrap();
    // Move the whole end of the way onto the cliff.
    let mut document = read_json(&plan).unwrap();
    let waypoints = document["waypoints"].as_array_mut().unwrap();
    let n = waypoints.len();
    let last = &mut waypoints[n - 1];
    last["x_m"] = 110.0.into();
    last["corridor"] =
        serde_json::json!([[60.0, 30.0], [118.0, 30.0], [118.0, 70.0], [60.0, 70.0]]);
    let y = last["y_m"].as_f64().unwrap();
    document["goal"]["x_m"] = 110.0.into();
    document["goal"]["y_m"] = y.into();
    let points: Vec<(f64, f64)> = std::iter::once((
        document["start"]["x_m"].as_f64(),
        document["start"]["y_m"].as_f64(),
    ))
    .chain(
        document["waypoints"]
            .as_array()
            .unwrap()
            .iter()
            .map(|w| (w["x_m"].as_f64(), w["y_m"].as_f64())),
    )
    .map(|(x, y)| (x.unwrap(), y.unwrap()))
    .collect();
    let length: f64 = points
        .windows(2)
        .map(|w| (w[1].0 - w[0].0).hypot(w[1].1 - w[0].1))
        .sum();
    document["distance_m"] = length.into();
    std::fs::write(&plan, document.to_string()).unwrap();
    let output = run(
        sojourn()
            .args([
                "verify",
                "--dtm",
                &dtm,
                "--body",
                "earth",
                "--plan",
                &plan.display().to_string(),
            ])
            .args(["--out", &report.display().to_string(), "--json"]),
        LIMIT,
    )
    .unwrap();
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let verdict = parse_json(&String::from_utf8_lossy(&output.stdout)).unwrap();
    assert_eq!(verdict["passed"], false);
    let written = read_json(&report).unwrap();
    // The last segment is too long as well; what the cliff does to the rover stands beside it.
    let findings = written["findings"].as_array().unwrap();
    let on_the_cliff = |f: &&serde_json::Value| {
        f["x_m"].as_f64().unwrap() > 90.0 && f["channel"].as_str().unwrap() != "route.segment_m"
    };
    let finding = findings
        .iter()
        .find(on_the_cliff)
        .unwrap_or_else(|| panic!("one is on the cliff: {findings:?}"));
    assert!(!finding["reason"].as_str().unwrap().is_empty());
}

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

#[test]
fn no_process_outlives_a_launcher_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let launch = dir.path().join("two.launch.xml");
    let pid_file = |name: &str| dir.path().join(name);
    let process = |name: &str| {
        format!(
            r#"<executable name="{name}" cmd="sh -c 'echo $$ &gt; {}; exec sleep 600'"/>"#,
            pid_file(name).display()
        )
    };
    std::fs::write(
        &launch,
        format!("<launch>{}{}</launch>", process("a"), process("b")),
    )
    .unwrap();
    let mut running = Running::start(sojourn().arg("launch").arg(&launch)).unwrap();
    let pids: Vec<String> = ["a", "b"]
        .map(|name| {
            let end = Instant::now() + LIMIT;
            loop {
                let text = std::fs::read_to_string(pid_file(name)).unwrap_or_default();
                if text.ends_with('\n') {
                    break text.trim().to_string();
                }
                assert!(Instant::now() < end, "{name} was not started");
                std::thread::sleep(Duration::from_millis(5));
            }
        })
        .into();
    signal(running.pid(), "KILL").unwrap();
    running.wait(LIMIT).unwrap();
    // A process that nobody waits for stays as a zombie, whose memory is gone.
    let lives = |pid: &String| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|c| !c.is_empty())
    };
    let end = Instant::now() + Duration::from_secs(5);
    while pids.iter().any(lives) {
        assert!(Instant::now() < end, "{pids:?} outlived the launcher");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_doctor_answers_in_json() {
    let output = run(sojourn().args(["doctor", "--json"]), LIMIT).unwrap();
    let said = parse_json(&String::from_utf8_lossy(&output.stdout)).unwrap();
    let checks = said["checks"].as_array().unwrap();
    assert!(checks.len() >= 5, "{said}");
    let all_ok = checks.iter().all(|c| c["ok"] == true);
    assert_eq!(
        output.status.code(),
        Some(i32::from(!(said["ok"] == true))),
        "{said}"
    );
    assert_eq!(said["ok"] == true, all_ok, "{said}");
}

#[test]
fn real_terrain_is_planned_and_verified() {
    let Some(dtm) = data("hirise_dtm_crops/jezero_neretva_neretva_center_2m.tif") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (plan, report) = (dir.path().join("plan.json"), dir.path().join("report.json"));
    let dtm = dtm.display().to_string();
    let planned = run_json(
        sojourn()
            .args([
                "plan", "--dtm", &dtm, "--start", "300,300", "--goal", "480,420", "--json", "--out",
            ])
            .arg(&plan),
        LIMIT,
    )
    .unwrap();
    assert!(
        planned["distance_m"].as_f64().unwrap() >= 216.0,
        "{planned}"
    );
    let output = run(
        sojourn()
            .args(["verify", "--dtm", &dtm, "--json", "--plan"])
            .arg(&plan)
            .arg("--out")
            .arg(&report),
        LIMIT,
    )
    .unwrap();
    let written = read_json(&report).unwrap();
    assert_eq!(
        output.status.code(),
        Some(if written["passed"] == true { 0 } else { 3 })
    );
    assert!(
        written["values_checked"].as_u64().unwrap() > 500_000,
        "{}",
        written["values_checked"]
    );
}

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
