//! Where a way crosses ground about which the sources are apart, as the plan tells of it.

use super::{
    drive::{Course, Outcome},
    ledger::Place,
    montecarlo::spot,
};
use sojourn_core::{
    geometry::distance_m,
    plan::DisputedGround,
    report::{DisputedStretch, DisputedWay, Finding},
};

/// Spacing of the points at which the way is looked at, metres.
const STEP_M: f64 = 0.25;
/// Most stretches that become warnings; the report lists all.
const WARNED: usize = 20;
/// Name under which a stretch warns.
const CHANNEL: &str = "ground.disputed";

/// A stretch that is being followed.
struct Open<'a> {
    place: Place,
    length_m: f64,
    widest: &'a DisputedGround,
}

/// The way over disputed ground; `None` when the plan compares nobody.
pub(super) fn on_the_way(course: &Course, nominal: &Outcome) -> Option<DisputedWay> {
    let disputes = course.plan.disputes.as_ref()?;
    let mut stretches = Vec::new();
    let (mut way_m, mut time_s) = (0.0, 0.0);
    let mut open: Option<Open> = None;
    for (waypoint, ends) in course.plan.line().windows(2).enumerate() {
        let (a, b) = (ends[0], ends[1]);
        let length_m = distance_m(a, b);
        // A segment that was not driven has no time.
        let duration_s = nominal.segments.get(waypoint).map_or(0.0, |s| s.duration_s);
        let steps = (length_m / STEP_M).ceil().max(1.0) as usize;
        let step_m = length_m / steps as f64;
        for k in 0..steps {
            let share = (k as f64 + 0.5) / steps as f64;
            let at = [a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])];
            match (disputes.at(at), open.as_mut()) {
                (Some(ground), Some(o)) => {
                    o.length_m += step_m;
                    if ground.levels > o.widest.levels {
                        o.widest = ground;
                    }
                }
                (Some(ground), None) => {
                    open = Some(Open {
                        place: Place {
                            x_m: at[0],
                            y_m: at[1],
                            distance_m: way_m + share * length_m,
                            time_s: time_s + share * duration_s,
                            waypoint,
                        },
                        length_m: step_m,
                        widest: ground,
                    });
                }
                (None, _) => stretches.extend(open.take().map(|o| told(course, &o))),
            }
        }
        way_m += length_m;
        time_s += duration_s;
    }
    stretches.extend(open.map(|o| told(course, &o)));
    // From plus zero: the sum of nothing is minus zero.
    let length_m = stretches.iter().fold(0.0, |sum, s| sum + s.length_m);
    Some(DisputedWay {
        sources: disputes.sources.clone(),
        length_m,
        share: if way_m > 0.0 { length_m / way_m } else { 0.0 },
        stretches,
    })
}

fn told(course: &Course, open: &Open) -> DisputedStretch {
    let (p, g) = (open.place, open.widest);
    let levels = if g.levels == 1 { "level" } else { "levels" };
    DisputedStretch {
        at: spot(p),
        length_m: open.length_m,
        levels: g.levels,
        reason: format!(
            "over {:.1} m from ({:.1}, {:.1}) m, {:.1} m along the way to waypoint {}, the sources of what the ground is are {} {levels} of risk apart: {} is the most worried, {} the least; {:.0} % of the samples take it for the weakest class of its slope",
            open.length_m,
            p.x_m,
            p.y_m,
            p.distance_m,
            p.waypoint,
            g.levels,
            g.most_worried,
            g.least_worried,
            100.0 * course.soil.disputed_share([p.x_m, p.y_m]).unwrap_or(0.0)
        ),
    }
}

/// The first stretches as warnings.
pub(super) fn warnings(way: &DisputedWay, from_levels: u8) -> Vec<Finding> {
    way.stretches
        .iter()
        .take(WARNED)
        .map(|s| Finding {
            channel: CHANNEL.into(),
            rule: "soil".into(),
            category: "soil".into(),
            value: f64::from(s.levels),
            limit: f64::from(from_levels),
            x_m: s.at.x_m,
            y_m: s.at.y_m,
            distance_m: s.at.distance_m,
            time_s: s.at.time_s,
            waypoint: s.at.waypoint,
            reason: s.reason.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{VerifyOptions, verify};
    use crate::testing::{perseverance, plan_over, setup, site_from};
    use sojourn_core::plan::{DisputedGround, Disputes};
    use sojourn_core::report::{Report, Verdict};

    fn ground(min_m: [f64; 2], max_m: [f64; 2], levels: u8) -> DisputedGround {
        DisputedGround {
            min_m,
            max_m,
            levels,
            most_worried: "model".into(),
            least_worried: "orbital classifier".into(),
        }
    }

    /// A drive of 40 m east over a gentle slope with disputed ground.
    fn report(grounds: Option<Vec<DisputedGround>>) -> Report {
        let site = site_from(80, |x, _| 0.12 * x);
        let mut plan = plan_over(&site, &perseverance(), &[[20.0, 40.0], [60.0, 40.0]]);
        plan.disputes = grounds.map(|grounds| Disputes {
            sources: vec!["model".into(), "orbital classifier".into()],
            from_levels: 2,
            within_m: 10.0,
            compared_m: 40.0,
            disputed_m: 13.0,
            grounds,
        });
        let mut setup = setup();
        setup.settings.monte_carlo.samples = 24;
        let rover = perseverance();
        verify(&plan, &site, &rover, &setup, VerifyOptions::standard()).unwrap()
    }

    #[test]
    fn stretches_are_listed_with_place_and_reason() {
        let plain = report(None);
        assert_eq!(plain.disputed, None);
        let agreed = report(Some(vec![])).disputed.unwrap();
        assert!(agreed.stretches.is_empty());
        assert_eq!(agreed.length_m.to_bits(), 0.0f64.to_bits());
        let told = report(Some(vec![
            ground([30.0, 35.0], [36.0, 45.0], 2),
            ground([36.0, 35.0], [40.0, 45.0], 3),
            ground([50.0, 39.0], [53.0, 41.0], 4),
            // Beside the way, and too small a difference.
            ground([30.0, 50.0], [40.0, 60.0], 4),
            ground([22.0, 35.0], [24.0, 45.0], 1),
        ]));
        let way = told.disputed.as_ref().unwrap();
        assert_eq!(way.stretches.len(), 2);
        assert!((way.length_m - 13.0).abs() < 0.5, "{}", way.length_m);
        assert!((way.share - 13.0 / 40.0).abs() < 0.02);
        let first = &way.stretches[0];
        assert_eq!((first.levels, first.at.waypoint), (3, 1));
        assert!((first.at.distance_m - 10.0).abs() < 0.3 && first.at.time_s > 0.0);
        assert!((first.length_m - 10.0).abs() < 0.3);
        assert!(first.reason.contains("orbital classifier the least"));
        let warned: Vec<_> = told
            .warnings
            .iter()
            .filter(|f| f.channel == super::CHANNEL)
            .collect();
        assert_eq!(warned.len(), 2);
        assert_ne!(told.verdict, Verdict::Pass);
        let text = serde_json::to_string(&told).unwrap();
        assert_eq!(Report::parse("r", &text).unwrap(), told);
    }

    #[test]
    fn disputed_ground_makes_samples_slower_and_breaks_no_fewer_limits() {
        let samples = |r: &Report| r.monte_carlo.clone().unwrap();
        let everywhere = |levels| vec![ground([0.0, 0.0], [80.0, 80.0], levels)];
        let (plain, apart) = (report(None), report(Some(everywhere(4))));
        let (less, more) = (samples(&plain), samples(&apart));
        let took = (less.duration_s, more.duration_s);
        assert!(took.1[0] > 1.1 * took.0[0], "{took:?}");
        let broken = (less.any.violations, more.any.violations);
        assert!(broken.1 >= broken.0, "{broken:?}");
        // A dispute says nothing about the nominal run.
        assert_eq!(plain.max_slip, apart.max_slip);
        assert_eq!(plain.findings, apart.findings);
    }
}
