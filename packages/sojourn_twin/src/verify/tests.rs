use super::*;
use crate::testing::{mars, perseverance, plan_over, site_from, small_site};
use proptest::prelude::*;

fn run(plan: &Plan, site: &Site) -> Report {
    verify(plan, site, &perseverance(), VerifyOptions::standard()).unwrap()
}

#[test]
fn a_gentle_drive_passes_with_half_a_million_values() {
    let site = site_from(260, |x, y| 0.03 * x + 0.02 * y);
    let plan = plan_over(
        &site,
        &perseverance(),
        &[[20.0, 20.0], [110.0, 60.0], [200.0, 20.0], [225.0, 40.0]],
    );
    assert!(plan.distance_m > 210.0);
    let report = run(&plan, &site);
    assert!(report.passed, "{}", report.reason);
    assert!(report.values_checked > 500_000, "{}", report.values_checked);
    assert!(report.channels.len() >= 110 && report.channels.len() == table::channel_count());
    assert!((report.distance_m - plan.distance_m).abs() < 0.01);
    assert!(report.duration_s > 210.0 / 0.042 && report.duration_s < 7000.0);
    let total: u64 = report.channels.iter().map(|c| c.samples).sum();
    assert_eq!(total, report.values_checked);
    assert!(
        report
            .channels
            .iter()
            .all(|c| c.lower_limit.is_some() || c.upper_limit.is_some())
    );
    assert_eq!(
        report,
        Report::parse("r", &serde_json::to_string(&report).unwrap()).unwrap()
    );
}

#[test]
fn the_models_give_the_figures_of_the_plane() {
    let site = site_from(60, |x, _| 10f64.to_radians().tan() * x);
    let plan = plan_over(&site, &perseverance(), &[[15.0, 30.0], [45.0, 30.0]]);
    let report = run(&plan, &site);
    let range = |name: &str| {
        report
            .channels
            .iter()
            .find(|c| c.name == name)
            .map(|c| (c.min, c.max))
            .unwrap()
    };
    assert!((report.max_tilt_deg - 10.0).abs() < 0.2);
    assert!((report.max_slip - 0.22).abs() < 0.01);
    let weight_n = 1025.0 * 3.72076;
    let pull: f64 = table::WHEELS
        .iter()
        .map(|w| range(&format!("wheel.{w}.pull_n")).1)
        .sum();
    assert!(
        pull > weight_n * 10f64.to_radians().tan()
            && pull < 2.0 * weight_n * 10f64.to_radians().sin()
    );
    assert!(range("wheel.lr.motor_c").1 > -40.0);
}

#[test]
fn a_cliff_is_refused_with_its_place() {
    let site = site_from(80, |x, _| if x > 50.0 { 6.0 } else { 0.0 });
    let plan = plan_over(
        &site,
        &perseverance(),
        &[[20.0, 40.0], [30.0, 40.0], [60.0, 40.0]],
    );
    let report = run(&plan, &site);
    assert!(!report.passed);
    let first = &report.findings[0];
    assert!(
        (first.x_m - 50.0).abs() < 4.0 && first.waypoint == 1,
        "{first:?}"
    );
    assert!(
        report.reason.contains("m along the way"),
        "{}",
        report.reason
    );
}

#[test]
fn a_hole_in_the_data_is_no_ground() {
    let site = site_from(80, |x, _| if x > 50.0 { f64::NAN } else { 0.0 });
    let report = run(
        &plan_over(&site, &perseverance(), &[[20.0, 40.0], [60.0, 40.0]]),
        &site,
    );
    assert!(
        !report.passed && report.reason.contains("without data"),
        "{}",
        report.reason
    );
    let report = run(
        &plan_over(&site, &perseverance(), &[[20.0, 40.0], [49.0, 40.0]]),
        &site,
    );
    assert!(
        !report.passed && report.reason.contains("no ground"),
        "{}",
        report.reason
    );
    assert!((report.findings[0].x_m - 48.5).abs() < 2.0);
}

#[test]
fn corridors_keep_outs_and_timers_are_watched() {
    let site = site_from(80, |_, _| 0.0);
    let good = plan_over(&site, &perseverance(), &[[20.0, 40.0], [50.0, 40.0]]);
    assert!(run(&good, &site).passed);
    type Spoil = fn(&mut Plan);
    let cases: [(&str, Spoil); 5] = [
        ("timer.segment_s", |p| p.waypoints[0].timeout_s = 100.0),
        ("route.keep_out_m", |p| {
            p.keep_out = vec![vec![[30.0, 30.0], [34.0, 30.0], [34.0, 50.0], [30.0, 50.0]]]
        }),
        ("plan.limits.tilt_deg", |p| {
            p.waypoints[0].limits.tilt_deg = 40.0
        }),
        ("motion.slip", |p| p.waypoints[0].limits.slip = 0.01),
        ("route.corridor_margin_m", |p| {
            // holds both ends, but not the middle
            p.waypoints[0].corridor = vec![
                [18.0, 38.0],
                [22.0, 38.0],
                [22.0, 45.0],
                [48.0, 45.0],
                [48.0, 38.0],
                [52.0, 38.0],
                [52.0, 50.0],
                [18.0, 50.0],
            ];
        }),
    ];
    for (channel, spoil) in cases {
        let mut plan = good.clone();
        spoil(&mut plan);
        let report = run(&plan, &site);
        assert!(
            !report.passed && report.findings.iter().any(|f| f.channel == channel),
            "{channel}: {}",
            report.reason
        );
    }
}

#[test]
fn a_plan_for_something_else_is_an_error() {
    let site = small_site(1);
    let plan = plan_over(&site, &perseverance(), &[[20.0, 20.0], [30.0, 20.0]]);
    let error = |plan: &Plan, site: &Site, rover: &Rover| {
        verify(plan, site, rover, VerifyOptions::standard())
            .unwrap_err()
            .to_string()
    };
    assert!(error(&plan, &small_site(2), &perseverance()).contains("site_digest"));
    let mut other = perseverance();
    other.mass_kg += 1.0;
    assert!(error(&plan, &site, &other).contains("rover_digest"));
    let mut spoiled = plan.clone();
    spoiled.waypoints[0].x_m = f64::NAN;
    assert!(error(&spoiled, &site, &perseverance()).contains("waypoints[0].x_m"));
    assert_eq!(mars(), site.manifest.body);
}

#[test]
fn the_table_holds_every_value() {
    let site = site_from(60, |_, _| 0.0);
    let plan = plan_over(&site, &perseverance(), &[[20.0, 30.0], [23.0, 31.0]]);
    let mut csv = Vec::new();
    let options = VerifyOptions {
        channels_csv: Some(&mut csv),
        ..VerifyOptions::standard()
    };
    let report = verify(&plan, &site, &perseverance(), options).unwrap();
    let text = String::from_utf8(csv).unwrap();
    let values: usize = text.lines().skip(1).map(|l| l.split(',').count() - 1).sum();
    assert_eq!(values as u64, report.values_checked);
    assert!(text.starts_with("time_s,attitude.tilt_deg"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// However a short plan lies on a plane, the way driven is the way planned and tilt is the plane's.
    #[test]
    fn the_way_is_the_plan(angle in -3.1f64..3.1, length in 2.0f64..20.0, slope in 0.0f64..8.0) {
        let g = slope.to_radians().tan();
        let site = site_from(80, move |x, y| g * (0.6 * x + 0.8 * y));
        let to = [40.0 + length * angle.cos(), 40.0 + length * angle.sin()];
        let report = run(&plan_over(&site, &perseverance(), &[[40.0, 40.0], to]), &site);
        prop_assert!(report.passed, "{}", report.reason);
        prop_assert!((report.distance_m - length).abs() < 1e-6);
        prop_assert!((report.max_tilt_deg - slope).abs() < 0.3);
    }
}
