//! A sweep from its file to its table: shards, resuming, faults.

use sojourn_sweep::{
    closed_loop::Outcome,
    config::SweepConfig,
    journal::{Journal, gather},
    orbit::OrbitalView,
    plan::Shard,
    report::{Report, html},
    row::Row,
    run::Sweep,
    table,
    workers::work,
};
use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

fn config_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

fn config(name: &str) -> SweepConfig {
    SweepConfig::load(&config_dir().join(format!("sweeps/{name}.yaml"))).unwrap()
}

fn do_shard(sweep: &Sweep, dir: &Path, shard: &str, resume: bool) {
    let shard = Shard::parse(shard).unwrap();
    let mut journal = Journal::open(dir, sweep, shard, resume).unwrap();
    let stop = AtomicBool::new(false);
    work(sweep, shard, &mut journal, 2, &stop, &mut |_| ()).unwrap();
}

/// A row without what depends on the machine's speed.
fn timeless(row: &Row) -> Row {
    Row {
        cycle_ms: Vec::new(),
        cycle_ms_mean: 0.0,
        cycle_ms_p50: 0.0,
        cycle_ms_p99: 0.0,
        cpu_s: 0.0,
        wall_s: 0.0,
        realtime_factor: 0.0,
        ..row.clone()
    }
}

#[test]
fn every_shipped_sweep_is_right() {
    for entry in std::fs::read_dir(config_dir().join("sweeps")).unwrap() {
        let path = entry.unwrap().path();
        let config = SweepConfig::load(&path).unwrap();
        assert_eq!(config.name, path.file_stem().unwrap().to_string_lossy());
        assert!(!Sweep::new(config, &config_dir()).unwrap().runs().is_empty());
    }
}

#[test]
fn shards_and_a_resumed_journal_are_the_same_sweep_as_one_that_ran_through() {
    let mut c = config("ci");
    c.rendered_again = 0.0;
    c.scene.distance_m = 6.0;
    let sweep = Sweep::new(c, &config_dir()).unwrap();
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    do_shard(&sweep, whole.path(), "1/1", false);
    do_shard(&sweep, parts.path(), "2/2", false);
    do_shard(&sweep, parts.path(), "1/2", false);
    // The last line of a journal is cut short, as by a crash: its run is done again.
    let journal = parts.path().join("runs-1of2.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    let mut file = std::fs::File::create(&journal).unwrap();
    file.write_all(&text.as_bytes()[..text.len() - 40]).unwrap();
    drop(file);
    assert!(Journal::open(parts.path(), &sweep, Shard { index: 1, count: 2 }, false).is_err());
    do_shard(&sweep, parts.path(), "1/2", true);
    let (manifest, a) = gather(&[whole.path().into()]).unwrap();
    let (_, b) = gather(&[parts.path().into()]).unwrap();
    assert_eq!(a.len(), sweep.runs().len());
    assert_eq!(
        a.iter().map(timeless).collect::<Vec<_>>(),
        b.iter().map(timeless).collect::<Vec<_>>()
    );
    let report = Report::new(&manifest, &a);
    assert_eq!(
        report.rows.iter().map(|c| c.runs).sum::<u64>(),
        a.len() as u64
    );
    assert!(html::page(&report).unwrap().contains("Every cell"));
    let file = whole.path().join("runs.parquet");
    table::write(&file, &a).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    // Other parameters are another sweep: its runs are not mixed in.
    let mut other = config("ci");
    other.first_seed = 2;
    let other = Sweep::new(other, &config_dir()).unwrap();
    let e = Journal::open(whole.path(), &other, Shard::WHOLE, true)
        .err()
        .unwrap();
    assert!(e.to_string().contains("digest"), "{e}");
}

/// Packs a file as `gzip` does.
fn pack(path: &Path) {
    let text = std::fs::read(path).unwrap();
    let packed = std::fs::File::create(path.with_extension("jsonl.gz")).unwrap();
    let mut gz = flate2::write::GzEncoder::new(packed, flate2::Compression::default());
    gz.write_all(&text).unwrap();
    gz.finish().unwrap();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_a_packed_journal_holds_is_read_and_not_done_again() {
    let mut c = config("ci");
    c.rendered_again = 0.0;
    c.scene.distance_m = 6.0;
    let sweep = Sweep::new(c, &config_dir()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    do_shard(&sweep, dir.path(), "1/2", false);
    let (_, first) = gather(&[dir.path().into()]).unwrap();
    assert!(!first.is_empty() && first.len() < sweep.runs().len());
    pack(&dir.path().join("runs-1of2.jsonl"));
    let (_, packed) = gather(&[dir.path().into()]).unwrap();
    assert_eq!(packed, first);
    // Nobody begins anew over it by accident, another share counts its runs as done, and only the rest is driven.
    assert!(Journal::open(dir.path(), &sweep, Shard::WHOLE, false).is_err());
    do_shard(&sweep, dir.path(), "1/1", true);
    let own = std::fs::read_to_string(dir.path().join("runs-1of1.jsonl")).unwrap();
    assert_eq!(own.lines().count(), sweep.runs().len() - first.len());
    let (_, all) = gather(&[dir.path().into()]).unwrap();
    assert_eq!(all.len(), sweep.runs().len());
    // The first are still those that were packed, times and all.
    for row in &first {
        assert_eq!(all.iter().find(|r| r.run == row.run), Some(row));
    }
    // One that was cut short is no journal, and its name is told.
    let file = dir.path().join("runs-1of2.jsonl.gz");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let e = gather(&[dir.path().into()]).unwrap_err().to_string();
    assert!(e.contains("runs-1of2.jsonl.gz"), "{e}");
}

#[test]
fn an_elevation_model_from_orbit_is_part_of_a_sweep_only_where_it_is_asked_for() {
    let plain = config("ci");
    let asked = SweepConfig {
        orbital: Some(OrbitalView { resolution_m: 1.0 }),
        ..plain.clone()
    };
    let digest = |c: &SweepConfig| {
        let sweep = Sweep::new(c.clone(), &config_dir()).unwrap();
        sweep.digest().to_string()
    };
    assert_ne!(digest(&plain), digest(&asked));
    // A folder from before there was one is still that sweep.
    assert!(!serde_json::to_string(&plain).unwrap().contains("orbital"));
    let run = |c: SweepConfig| {
        let sweep = Sweep::new(c, &config_dir()).unwrap();
        let row = sweep.row(&sweep.runs()[0], &mut ());
        timeless(&row)
    };
    let row = run(asked.clone());
    assert!(row.success, "{}", row.reason);
    assert_eq!(row, run(asked));
    let far_too_coarse = SweepConfig {
        orbital: Some(OrbitalView {
            resolution_m: 100.0,
        }),
        ..plain
    };
    let row = run(far_too_coarse);
    assert_eq!(row.outcome, Outcome::NotBegun);
    assert!(row.reason.contains("raster"), "{}", row.reason);
}

#[test]
fn whatever_breaks_nothing_becomes_unsafe_and_every_stop_has_its_reason() {
    let mut c = config("faults");
    c.cells.cfa = vec![0.05];
    c.scene.distance_m = 11.0;
    let sweep = Sweep::new(c, &config_dir()).unwrap();
    for spec in sweep
        .runs()
        .iter()
        .filter(|s| s.seed_number == 1 && !s.fault.is_empty())
    {
        let row = sweep.row(spec, &mut ());
        println!("{}: {:?}: {}", row.fault, row.outcome, row.reason);
        assert_eq!(row.unsafe_events, 0, "{}: {}", row.fault, row.first_unsafe);
        assert_ne!(row.outcome, Outcome::NotBegun, "{}", row.reason);
        assert!(!row.reason.is_empty());
        let (outcome, says) = match row.fault.as_str() {
            "camera_blinded" => (Outcome::Stopped, "perception"),
            "pose_jump" => (Outcome::Stopped, "jumped"),
            "stuck_wheel" => (Outcome::Stopped, "drive_lf stood"),
            _ => continue,
        };
        assert_eq!(row.outcome, outcome, "{}: {}", row.fault, row.reason);
        assert!(row.reason.contains(says), "{}: {}", row.fault, row.reason);
    }
}

#[test]
fn what_is_wrong_in_a_file_is_named() {
    type Case = (&'static str, fn(&mut SweepConfig));
    let cases: [Case; 7] = [
        ("cells.cfa", |c| c.cells.cfa = vec![f64::NAN]),
        ("scene.distance_m", |c| c.scene.distance_m = -1.0),
        ("planners", |c| c.planners.clear()),
        ("planners.seeds", |c| c.planners[0].seeds = u64::MAX),
        ("rendered_again", |c| c.rendered_again = 2.0),
        ("orbital.resolution_m", |c| {
            c.orbital = Some(OrbitalView {
                resolution_m: f64::NAN,
            });
        }),
        ("limit_s", |c| c.limit_s = 0.0),
    ];
    for (key, spoil) in cases {
        let mut c = config("ci");
        spoil(&mut c);
        let e = c.check("a.yaml").unwrap_err().to_string();
        assert!(e.contains(key) && e.contains("a.yaml"), "{key}: {e}");
    }
    let mut c = config("ci");
    c.planners[0]
        .autonav
        .insert("no_such_key".into(), serde_json::json!(1.0));
    let e = Sweep::new(c, &config_dir()).err().unwrap().to_string();
    assert!(e.contains("no_such_key"), "{e}");
}
