use super::*;
use crate::testing::{mars, perseverance, plan_over, setup, site_from, small_site};
use proptest::prelude::*;

fn run(plan: &Plan, site: &Site) -> Report {
    verify(
        plan,
        site,
        &perseverance(),
        &setup(),
        VerifyOptions::nominal(),
    )
    .unwrap()
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
    assert!(report.channels.len() >= 300 && report.uncounted.len() < 10);
    assert!((report.distance_m - plan.distance_m).abs() < 0.01);
    assert!(report.duration_s > 210.0 / 0.042 && report.duration_s < 7000.0);
    let total: u64 = report.channels.iter().map(|c| c.samples).sum();
    assert_eq!(total, report.values_checked);
    assert!(report.channels.iter().all(|c| {
        [
            c.lower_limit,
            c.upper_limit,
            c.lower_warning,
            c.upper_warning,
        ]
        .iter()
        .any(Option::is_some)
    }));
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
    let pull: f64 = quantities::WHEELS
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
        (first.x_m - 50.0).abs() < 4.0 && first.waypoint >= 2,
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
        !report.passed && report.reason.contains("no ground is known"),
        "{}",
        report.reason
    );
    let report = run(
        &plan_over(&site, &perseverance(), &[[20.0, 40.0], [49.0, 40.0]]),
        &site,
    );
    assert!(
        !report.passed && report.reason.contains("no ground is known"),
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
        ("plan.tilt_deg", |p| p.waypoints[0].limits.tilt_deg = 40.0),
        ("motion.slip", |p| p.waypoints[0].limits.slip = 0.01),
        ("route.corridor_margin_m", |p| {
            // holds both ends, but not the middle
            p.waypoints[1].corridor = vec![
                [29.0, 38.0],
                [32.0, 38.0],
                [32.0, 45.0],
                [38.0, 45.0],
                [38.0, 38.0],
                [42.0, 38.0],
                [42.0, 50.0],
                [29.0, 50.0],
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
        verify(plan, site, rover, &setup(), VerifyOptions::nominal())
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
        ..VerifyOptions::nominal()
    };
    let report = verify(&plan, &site, &perseverance(), &setup(), options).unwrap();
    let text = String::from_utf8(csv).unwrap();
    let columns = text.lines().next().unwrap().split(',').count() - 1;
    assert_eq!(columns, report.channels.len() + report.uncounted.len());
    assert!(text.lines().all(|l| l.split(',').count() == columns + 1));
    let tilt = text
        .lines()
        .next()
        .unwrap()
        .split(',')
        .position(|n| n == "attitude.tilt_deg")
        .unwrap();
    let least = text
        .lines()
        .skip(1)
        .map(|l| l.split(',').nth(tilt).unwrap().parse::<f64>().unwrap())
        .fold(f64::INFINITY, f64::min);
    let channel = report
        .channels
        .iter()
        .find(|c| c.name == "attitude.tilt_deg")
        .unwrap();
    assert!(
        (channel.min - least).abs() < 1e-9 && channel.samples == text.lines().count() as u64 - 1
    );
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

#[test]
fn samples_are_the_same_on_any_number_of_threads() {
    let site = site_from(80, |x, y| 0.05 * x + 0.3 * (0.4 * y).sin());
    let plan = plan_over(&site, &perseverance(), &[[15.0, 15.0], [60.0, 40.0]]);
    let mut setup = setup();
    setup.settings.monte_carlo.samples = 24;
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            verify(
                &plan,
                &site,
                &perseverance(),
                &setup,
                VerifyOptions::standard(),
            )
            .unwrap()
        })
    };
    let (one, three) = (on(1), on(3));
    assert_eq!(one.digest().unwrap(), three.digest().unwrap());
    let m = one.monte_carlo.as_ref().unwrap();
    assert!(m.samples == 24 && m.limits.len() > 150);
    assert!(
        m.limits
            .iter()
            .all(|l| l.lower <= l.probability && l.probability <= l.upper)
    );
    assert!(one.passed, "{}", one.reason);
    let mut settings = setup.settings.clone();
    settings.monte_carlo.seed = 2;
    let other = Setup::new(
        setup.dictionary.clone(),
        settings,
        setup.soils.clone(),
        setup.power.clone(),
    )
    .unwrap();
    let other = verify(
        &plan,
        &site,
        &perseverance(),
        &other,
        VerifyOptions::standard(),
    )
    .unwrap();
    assert_ne!(other.setup_digest, one.setup_digest);
    assert_ne!(
        other.monte_carlo.unwrap().duration_s,
        one.monte_carlo.unwrap().duration_s
    );
}

#[test]
fn what_is_too_likely_to_break_is_rejected() {
    // 15 degrees uphill: the nominal rover climbs it, on loose ground it does not.
    let site = site_from(60, |x, _| 15f64.to_radians().tan() * x);
    let plan = plan_over(&site, &perseverance(), &[[12.0, 30.0], [48.0, 30.0]]);
    let mut setup = setup();
    setup.settings.monte_carlo.samples = 60;
    let mut plan = plan;
    plan.waypoints.iter_mut().for_each(|w| w.limits.slip = 0.6);
    let run = |setup: &Setup, samples| {
        verify(
            &plan,
            &site,
            &perseverance(),
            setup,
            VerifyOptions {
                samples,
                ..VerifyOptions::standard()
            },
        )
        .unwrap()
    };
    let nominal = run(&setup, Samples::Never);
    assert!(nominal.passed, "{}", nominal.reason);
    let report = run(&setup, Samples::WhenNominalPasses);
    let slip = report
        .monte_carlo
        .as_ref()
        .unwrap()
        .limits
        .iter()
        .find(|l| l.channel == "motion.slip")
        .unwrap();
    assert!(slip.violations > 0, "sand is plausible here");
    setup.settings.thresholds.warn = 0.0;
    setup.settings.thresholds.reject = slip.probability;
    let strict = run(&setup, Samples::Always);
    assert!(!strict.passed && strict.first_failure.unwrap().probability >= slip.probability);
}

#[test]
fn a_way_down_that_cannot_be_climbed_is_named() {
    // Gentle, then 19 degrees downhill: slip 53 % downhill as expected, but no way back up.
    let site = site_from(80, |x, _| {
        -(0.05 * x.min(40.0) + 19f64.to_radians().tan() * (x - 40.0).max(0.0))
    });
    let mut plan = plan_over(&site, &perseverance(), &[[15.0, 40.0], [65.0, 40.0]]);
    plan.waypoints.iter_mut().for_each(|w| {
        w.limits.slip = 0.6;
        w.limits.tilt_deg = 25.0;
    });
    let report = run(&plan, &site);
    let back: Vec<bool> = report.segments.iter().map(|s| s.retreat_possible).collect();
    assert_eq!(back, [true, true, false, false, false], "{report:?}");
    let first = &report.points_of_no_return[0];
    assert!(
        first.at.x_m > 38.0 && first.reason.contains("driving back"),
        "{first:?}"
    );
    assert!(report.segments[0].soil.why.contains("unlabelled"));
}

#[test]
fn spoilt_heights_are_refused() {
    let site = site_from(60, |x, _| if x > 50.0 { 1e9 } else { 0.0 });
    let plan = plan_over(&site, &perseverance(), &[[12.0, 30.0], [30.0, 30.0]]);
    let said = verify(
        &plan,
        &site,
        &perseverance(),
        &setup(),
        VerifyOptions::nominal(),
    )
    .unwrap_err()
    .to_string();
    assert!(said.contains("elevation"), "{said}");
}

#[test]
fn every_rover_of_the_suite_can_be_verified() {
    let site = site_from(60, |x, y| 0.03 * x + 0.02 * y);
    let mut counts = Vec::new();
    for name in ["perseverance", "testbed", "osr", "leo", "husky"] {
        let rover = Rover::load(&crate::testing::config(&format!("rovers/{name}.yaml"))).unwrap();
        let plan = plan_over(&site, &rover, &[[20.0, 20.0], [30.0, 24.0], [38.0, 20.0]]);
        let report = verify(&plan, &site, &rover, &setup(), VerifyOptions::nominal()).unwrap();
        assert!(report.passed, "{name}: {}", report.reason);
        counts.push(report.channels.len());
    }
    assert!(counts[0] > 300 && counts[4] < counts[0] - 50, "{counts:?}");
}

#[test]
fn panels_give_by_the_time_of_sol_and_the_dust() {
    let site = site_from(60, |_, _| 0.0);
    let plan = plan_over(&site, &perseverance(), &[[15.0, 30.0], [45.0, 30.0]]);
    let left = |start_hour: f64, opacity: f64, solar: bool| {
        let mut setup = setup();
        let mars = setup.settings.environment.get_mut("mars").unwrap();
        (mars.start_hour, mars.opacity) = (start_hour, opacity);
        // the heaters are not what this is about
        (mars.warmest_c, mars.coldest_c) = (-30.0, -30.0);
        if solar {
            let file = setup.power.get_mut("perseverance").unwrap();
            file.source = crate::power::Source::Solar {
                area_m2: 3.0,
                efficiency: 0.25,
                flux_wpm2: 590.0,
            };
        }
        let report = verify(
            &plan,
            &site,
            &perseverance(),
            &setup,
            VerifyOptions::nominal(),
        )
        .unwrap();
        let charge = report.channels.iter().find(|c| c.name == "battery.charge");
        charge.unwrap().min
    };
    let (noon, night) = (left(12.0, 0.5, true), left(23.0, 0.5, true));
    assert!(noon > left(12.0, 3.0, true) && left(12.0, 3.0, true) > night - 1e-12);
    assert!(noon > night + 0.01, "{noon} {night}");
    // a generator does not care
    assert!((left(12.0, 0.5, false) - left(23.0, 0.5, false)).abs() < 1e-9);
}
