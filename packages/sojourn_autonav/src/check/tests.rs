use super::*;
use crate::config::tests::{params, rover};

#[test]
fn steep_rocky_and_unknown_are_told_apart() {
    let r = rover("perseverance");
    let mut check = Checker::new(&Config::new(&params(), &r).unwrap(), &r);
    let flat = Raster::filled(80, 80, 0.1, [-4.0, -4.0], 0.0).unwrap();
    let at = Pose2::default();
    let mut verdict = |raster: &Raster, pose| {
        check.verdict(
            &Ground::of(raster, None, 0.1).with_images(
                &r,
                &Settler::new(&r, 0.05),
                0.09,
                PlannerKind::Tiered,
            ),
            &r.limits,
            0.8.into(),
            pose,
            1.0,
        )
    };
    assert!(matches!(verdict(&flat, at), Verdict::Safe { .. }));
    assert_eq!(verdict(&flat, Pose2::new(3.5, 0.0, 0.0)), Verdict::Unknown);
    let steep = flat.like(|c, r| (flat.centre_m(c, r)[0] * 23f64.to_radians().tan()) as f32);
    assert!(
        matches!(verdict(&steep, at), Verdict::Unsafe(e) if e.limit == "tilt_deg"),
        "{:?}",
        verdict(&steep, at)
    );
    let slippery = flat.like(|c, r| (flat.centre_m(c, r)[0] * 16f64.to_radians().tan()) as f32);
    assert!(matches!(verdict(&slippery, at), Verdict::Unsafe(e) if e.limit == "slip"));
    let hub = r.hubs_m()[0];
    let rock = flat.like(|c, row| {
        let [x, y] = flat.centre_m(c, row);
        if (x - hub[0]).hypot(y - hub[1]) < 0.25 {
            0.45
        } else {
            0.0
        }
    });
    assert!(matches!(verdict(&rock, at), Verdict::Unsafe(_)));
}

#[test]
fn approximate_clearance_alone_tells_which_limit() {
    let r = rover("perseverance");
    let config = Config {
        planner: PlannerKind::EnavLike,
        ..Config::new(&params(), &r).unwrap()
    };
    let mut check = Checker::new(&config, &r);
    let flat = Raster::filled(80, 80, 0.1, [-4.0, -4.0], 0.0).unwrap();
    let mut verdict =
        |raster: &Raster| {
            let ground = Ground::of_means(raster, &flat.like(|_, _| f32::NAN), None, 0.0)
                .with_images(&r, &Settler::new(&r, 0.05), 0.12, PlannerKind::EnavLike);
            check.verdict(&ground, &r.limits, 0.8.into(), Pose2::default(), 1.0)
        };
    assert!(matches!(verdict(&flat), Verdict::Safe { .. }));
    let steep = flat.like(|c, r| (flat.centre_m(c, r)[0] * 23f64.to_radians().tan()) as f32);
    let told = verdict(&steep);
    assert!(
        matches!(told, Verdict::Unsafe(e) if e.limit == "tilt_deg" && e.value > 22.0),
        "{told:?}"
    );
}

#[test]
fn a_waypoint_can_only_tighten() {
    let r = rover("perseverance");
    let t = tightened(
        &r.limits,
        &WaypointLimits {
            tilt_deg: 40.0,
            slip: 0.3,
            speed_mps: 9.0,
        },
    );
    assert!(t.tilt_deg == r.limits.tilt_deg && t.slip == 0.3);
    assert!(t.wheel_speed_mps == r.limits.wheel_speed_mps);
}

/// A wheel that stands on a step's edge, as the map has it, hangs over it when the rover stands a little beside.
#[test]
fn what_is_safe_only_where_the_map_has_it_is_not_safe() {
    let r = rover("perseverance");
    let mut check = Checker::new(&Config::new(&params(), &r).unwrap(), &r);
    let flat = Raster::filled(120, 120, 0.1, [-6.0, -6.0], 0.0).unwrap();
    // A stone as high as the drop allows; seen from the side of it the wheel only just misses it.
    let hub = r.hubs_m()[0];
    let stone = flat.like(|c, row| {
        let [x, y] = flat.centre_m(c, row);
        if (x - hub[0]).abs() < 0.3 && y > hub[1] + 0.22 && y < hub[1] + 0.9 {
            0.4
        } else {
            0.0
        }
    });
    let mut verdict = |inflate_m: f64| {
        let ground = Ground::of(&stone, None, inflate_m);
        check.settled_verdict(&ground, &r.limits, 1.0.into(), Pose2::default(), 0.0)
    };
    assert!(
        matches!(verdict(0.0), Verdict::Safe { .. }),
        "{:?}",
        verdict(0.0)
    );
    assert!(
        matches!(verdict(0.25), Verdict::Unsafe(_)),
        "{:?}",
        verdict(0.25)
    );
}

#[test]
fn where_too_much_was_felt_no_way_leads_again() {
    let r = rover("perseverance");
    let mut check = Checker::new(&Config::new(&params(), &r).unwrap(), &r);
    let flat = Raster::filled(120, 120, 0.1, [-6.0, -6.0], 0.0).unwrap();
    let ground = Ground::of(&flat, None, 0.1);
    let excess = Excess {
        limit: "bogie_deg",
        value: 16.5,
        allowed: 17.0,
    };
    check.remember_felt(Pose2::new(1.0, 0.0, 0.0), excess);
    let mut at = |x: f64, yaw: f64, direction: f64| {
        check.verdict(
            &ground,
            &r.limits,
            1.0.into(),
            Pose2::new(x, 0.0, yaw),
            direction,
        )
    };
    assert_eq!(at(1.05, 0.02, 1.0), Verdict::Unsafe(excess));
    assert!(
        matches!(at(1.05, 0.02, -1.0), Verdict::Safe { .. }),
        "back is the way out"
    );
    assert!(matches!(at(1.3, 0.0, 1.0), Verdict::Safe { .. }));
    assert!(matches!(at(1.0, 0.3, 0.0), Verdict::Safe { .. }));
}
