use super::super::AutonavState;
use super::*;
use crate::fixtures::{plan, plan_along, report, rover, test_key};
use crate::gate::{self, Trust};
use crate::keys::{Purpose, TrustedKeys};
use crate::rules::RuleConfig;
use proptest::prelude::*;
use sojourn_core::frames::Transform;
use sojourn_core::geometry::in_polygon;
use sojourn_core::health::HealthLevel;
use sojourn_core::plan::Plan;

const NODES: [&str; 4] = ["perception", "localization", "autonav", "guard"];
const ORIGIN: [f64; 2] = [100.0, 200.0];

fn config() -> Config {
    Config {
        trust: Trust {
            keys: TrustedKeys::default(),
            allow_simulation_keys: true,
        },
        rules: RuleConfig {
            max_drive_m: 1000.0,
            max_segment_m: 12.5,
            allow_directed: false,
        },
        allow_replay: false,
        watched_nodes: NODES.map(String::from).to_vec(),
        heartbeat_timeout_s: 0.5,
        pose_timeout_s: 0.5,
        start_timeout_s: 5.0,
        start_tolerance_m: 2.0,
        progress_m: 0.5,
        progress_timeout_s: 20.0,
        autonav_stopped_s: 10.0,
        pose_jump_m: 0.5,
        waypoint_pass_m: 3.0,
        rest_s: 0.5,
        status_period_s: 1.0,
    }
}

fn bundle_of(plan: &Plan, purpose: Purpose) -> Bundle {
    let report = report(plan);
    let signed = gate::approve(plan, &report, &test_key(purpose, 1), "p", "t").unwrap();
    Bundle::new(plan, &report, &signed, None).unwrap()
}

/// The executive with well-behaved neighbours, each of which a test can spoil.
struct World {
    exec: Executive,
    now: Stamp,
    at: [f64; 2],
    silent: Vec<&'static str>,
    no_pose: bool,
    hold: bool,
    extra: Vec<Input>,
    last: Option<Decision>,
}

impl World {
    fn new(config: Config) -> Self {
        Self {
            exec: Executive::new(config, rover(), BTreeSet::new()),
            now: Stamp::from_secs(1.0),
            at: [0.0, 0.0],
            silent: vec![],
            no_pose: false,
            hold: false,
            extra: vec![],
            last: None,
        }
    }

    fn driving(plan: &Plan) -> Self {
        let mut world = Self::new(config());
        let bundle = bundle_of(plan, Purpose::Simulation);
        let id = bundle.id().to_string();
        world.exec.offer(bundle).unwrap();
        world.exec.execute(&id).unwrap();
        assert!(world.tick().goal.active);
        world
    }

    fn tick(&mut self) -> Decision {
        self.now = self.now.plus_secs(0.1);
        let mut inputs = vec![];
        for node in NODES {
            if !self.silent.contains(&node) {
                inputs.push(Input::Heartbeat {
                    stamp: self.now,
                    node: node.into(),
                    health: Health::ok(NodeState::Active),
                });
            }
        }
        if !self.no_pose {
            inputs.push(Input::Odometry {
                stamp: self.now,
                odom_from_base_link: Transform::from_xyz_rpy(
                    [self.at[0] - ORIGIN[0], self.at[1] - ORIGIN[1], 0.0],
                    0.0,
                    0.0,
                    0.0,
                ),
            });
            inputs.push(Input::MapFromOdom {
                stamp: self.now,
                map_from_odom: Transform::from_xyz_rpy([ORIGIN[0], ORIGIN[1], 0.0], 0.0, 0.0, 0.0),
            });
        }
        inputs.append(&mut self.extra);
        let decision = self.exec.tick(self.now, self.hold, &inputs);
        assert_eq!(decision.goal.active, decision.goal.waypoint.is_some());
        assert!(!decision.goal.active || decision.status.state == DriveState::Driving);
        self.last = Some(decision.clone());
        decision
    }

    /// Drives 0.1 m per tick towards the waypoint of the goal, up to `ticks`, while the goal is active.
    fn follow(&mut self, ticks: usize) -> Decision {
        let mut decision = self.tick();
        for _ in 0..ticks {
            let Some(w) = &decision.goal.waypoint else {
                break;
            };
            let (dx, dy) = (w.x_m - self.at[0], w.y_m - self.at[1]);
            let d = dx.hypot(dy);
            if d > 0.1 {
                self.at = [self.at[0] + 0.1 * dx / d, self.at[1] + 0.1 * dy / d];
            }
            decision = self.tick();
        }
        decision
    }

    fn autonav(&mut self, state: AutonavState, reason: &str) {
        self.extra.push(Input::Autonav {
            stamp: self.now,
            state,
            reason: reason.into(),
        });
    }

    #[track_caller]
    fn stopped_with(&mut self, ticks: usize, words: &str) {
        let mut decision = self.tick();
        for _ in 0..ticks {
            if !decision.goal.active {
                break;
            }
            decision = self.tick();
        }
        assert_eq!(
            decision.status.state,
            DriveState::Stopped,
            "{}",
            decision.status.reason
        );
        assert!(!decision.goal.active);
        assert!(
            decision.status.reason.contains(words),
            "{}",
            decision.status.reason
        );
        assert!(decision.status_due);
        for _ in 0..20 {
            assert!(!self.tick().goal.active, "a stopped drive stays stopped");
        }
    }
}

#[test]
fn a_drive_from_bundle_to_goal() {
    let plan = plan();
    let mut world = World::new(config());
    assert_eq!(world.tick().status.state, DriveState::Idle);
    let bundle = bundle_of(&plan, Purpose::Simulation);
    let id = bundle.id().to_string();
    world.exec.offer(bundle).unwrap();
    let decision = world.tick();
    assert_eq!(decision.status.state, DriveState::Ready);
    assert!(!decision.goal.active && decision.status_due);
    assert_eq!(decision.health.state, NodeState::Idle);
    world.exec.execute(&id).unwrap();
    let decision = world.tick();
    assert!(decision.goal.active);
    assert_eq!(decision.health.state, NodeState::Active);
    assert_eq!(decision.goal.next_corridor, plan.waypoints[1].corridor);
    let mut last = decision;
    let mut seen = vec![];
    let mut outcome = None;
    for _ in 0..2000 {
        last = world.follow(0);
        if let Some(w) = &last.goal.waypoint {
            let (dx, dy) = (w.x_m - world.at[0], w.y_m - world.at[1]);
            let d = dx.hypot(dy);
            world.at = [world.at[0] + 0.1 * dx / d, world.at[1] + 0.1 * dy / d];
            if seen.last() != Some(&last.goal.waypoint_index) {
                seen.push(last.goal.waypoint_index);
            }
        }
        outcome = outcome.or(last.outcome.clone());
        if outcome.is_some() {
            break;
        }
    }
    assert_eq!(seen, [0, 1, 2]);
    assert_eq!(
        last.status.state,
        DriveState::Reached,
        "{}",
        last.status.reason
    );
    let outcome = outcome.unwrap();
    assert!(outcome.goal_error_estimate_m <= plan.goal.tolerance_m);
    assert!(
        (outcome.distance_driven_m - plan.distance_m).abs() < 3.0,
        "{}",
        outcome.distance_driven_m
    );
    assert_eq!(world.tick().health.state, NodeState::Idle);
    // Driven once.
    assert!(
        world
            .exec
            .execute(&id)
            .unwrap_err()
            .to_string()
            .contains("driven before")
    );
    let again = world
        .exec
        .offer(bundle_of(&plan, Purpose::Simulation))
        .unwrap_err()
        .to_string();
    assert!(again.contains("driven before"), "{again}");
}

#[test]
fn the_executive_stays_active_until_the_rover_has_come_to_rest() {
    let mut world = World::driving(&plan());
    world.exec.cancel("asked to");
    let decision = world.tick();
    assert!(!decision.goal.active && decision.status.state == DriveState::Cancelled);
    assert!(decision.outcome.is_none());
    assert_eq!(decision.health.state, NodeState::Active);
    let outcomes: Vec<_> = (0..20).filter_map(|_| world.tick().outcome).collect();
    assert_eq!(outcomes.len(), 1, "told once");
    assert_eq!(outcomes[0].reason, "asked to");
    assert_eq!(world.last.unwrap().health.state, NodeState::Idle);
}

#[test]
fn a_missing_or_faulty_neighbour_stops_the_drive() {
    for node in NODES {
        let mut world = World::driving(&plan());
        world.silent.push(node);
        let begin = world.now;
        world.stopped_with(8, &format!("no heartbeat of {node}"));
        assert!(world.now.since(begin) < 1.0 + 2.1);
        for health in [
            Health::error(NodeState::Fault, "camera dead"),
            Health::error(NodeState::Active, "camera dead"),
            Health {
                reason: "camera dead".into(),
                ..Health::ok(NodeState::Starting)
            },
        ] {
            let mut world = World::driving(&plan());
            world.extra.push(Input::Heartbeat {
                stamp: world.now,
                node: node.into(),
                health,
            });
            world.stopped_with(0, "camera dead");
        }
    }
    // A warning does not stop it, nor a fault of a node that is not watched.
    let mut world = World::driving(&plan());
    world.extra.push(Input::Heartbeat {
        stamp: world.now,
        node: "autonav".into(),
        health: Health::warn(NodeState::Active, "slow"),
    });
    world.extra.push(Input::Heartbeat {
        stamp: world.now,
        node: "recorder".into(),
        health: Health::error(NodeState::Fault, "disk full"),
    });
    assert!(world.tick().goal.active);
}

#[test]
fn a_silent_neighbour_stops_the_goal_within_the_timeout() {
    let mut world = World::driving(&plan());
    world.silent.push("perception");
    let begin = world.now;
    while world.tick().goal.active {}
    assert!(world.now.since(begin) <= 0.7, "{}", world.now.since(begin));
}

#[test]
fn what_falls_silent_together_is_told_together() {
    let mut world = World::driving(&plan());
    world.silent.push("localization");
    world.no_pose = true;
    world.stopped_with(8, "no heartbeat of localization for");
    let said = world.exec.reason.as_str();
    let order = [
        said.find("no heartbeat of localization for"),
        said.find("; no odometry for"),
    ];
    assert!(order[0].is_some() && order[0] < order[1], "{said}");
}

#[test]
fn poses_that_are_missing_jump_or_are_not_numbers_stop_the_drive() {
    let mut world = World::driving(&plan());
    world.no_pose = true;
    world.stopped_with(8, "no odometry for");

    let mut world = World::driving(&plan());
    world.at = [0.8, 0.0];
    world.stopped_with(0, "jumped");

    let mut world = World::driving(&plan());
    world.extra.push(Input::MapFromOdom {
        stamp: world.now,
        map_from_odom: Transform::from_xyz_rpy([ORIGIN[0] + 0.7, ORIGIN[1], 0.0], 0.0, 0.0, 0.0),
    });
    world.stopped_with(0, "map to odom moved");

    let mut world = World::driving(&plan());
    world.extra.push(Input::Odometry {
        stamp: world.now,
        odom_from_base_link: Transform::from_xyz_rpy([f64::NAN, 0.0, 0.0], 0.0, 0.0, 0.0),
    });
    world.stopped_with(0, "not finite");
}

#[test]
fn keep_outs_near_the_corridors_go_with_the_goal() {
    let square = |x: f64| vec![[x, 6.0], [x + 1.0, 6.0], [x + 1.0, 7.0], [x, 7.0]];
    let mut plan = plan();
    plan.keep_out = vec![square(5.0), square(15.0), square(60.0), square(-60.0)];
    let mut world = World::driving(&plan);
    assert_eq!(world.tick().goal.keep_out, plan.keep_out[..2]);
}

#[test]
fn outside_the_corridor_is_the_end() {
    let mut world = World::driving(&plan());
    // The corridor is 5 m wide to each side: 4.8 m are inside, 5.2 m are not.
    for _ in 0..12 {
        world.at[1] += 0.4;
        assert!(world.tick().goal.active, "{:?}", world.at);
    }
    world.at[1] += 0.4;
    world.stopped_with(0, "left the corridor");
}

#[test]
fn no_progress_stops_and_timeouts_stop() {
    let mut world = World::driving(&plan());
    world.autonav(AutonavState::Driving, "thinking");
    world.stopped_with(
        300,
        "no progress of 0.50 m within 20.0 s; AutoNav says: thinking",
    );

    let mut slow = plan();
    slow.waypoints[0].timeout_s = 5.0;
    let mut world = World::driving(&slow);
    world.stopped_with(100, "waypoint 0 was not reached within 5.0 s");
}

#[test]
fn autonav_without_a_way_stops_the_drive_with_its_reason() {
    let mut world = World::driving(&plan());
    world.autonav(AutonavState::Stopped, "a wall of rocks");
    for _ in 0..50 {
        assert!(world.tick().goal.active);
    }
    world.autonav(AutonavState::Driving, "");
    for _ in 0..50 {
        assert!(world.tick().goal.active, "it found a way again");
    }
    world.autonav(AutonavState::Stopped, "a wall of rocks");
    world.stopped_with(110, "a wall of rocks");
}

#[test]
fn a_drive_begins_only_at_the_start_and_with_everybody_there() {
    let bundle = bundle_of(&plan(), Purpose::Simulation);
    let id = bundle.id().to_string();
    let mut world = World::new(config());
    world.at = [3.0, 0.0];
    world.exec.offer(bundle.clone()).unwrap();
    world.exec.execute(&id).unwrap();
    world.stopped_with(0, "3.00 m from the plan's start");

    let mut world = World::new(config());
    world.silent.push("guard");
    world.exec.offer(bundle.clone()).unwrap();
    world.exec.execute(&id).unwrap();
    for _ in 0..40 {
        let decision = world.tick();
        assert!(!decision.goal.active && decision.health.state == NodeState::Active);
        assert!(
            decision.status.reason.contains("waiting to start"),
            "{}",
            decision.status.reason
        );
    }
    world.silent.clear();
    assert!(world.tick().goal.active, "late is not too late");

    let mut world = World::new(config());
    world.silent.push("guard");
    world.exec.offer(bundle).unwrap();
    world.exec.execute(&id).unwrap();
    let reason = (0..70).map(|_| world.tick().status.reason).last().unwrap();
    assert!(
        reason.contains("cannot start: no heartbeat of guard"),
        "{reason}"
    );
}

#[test]
fn a_drive_does_not_begin_while_the_simulator_holds() {
    let bundle = bundle_of(&plan(), Purpose::Simulation);
    let id = bundle.id().to_string();
    let mut world = World::new(config());
    world.hold = true;
    world.exec.offer(bundle).unwrap();
    world.exec.execute(&id).unwrap();
    for _ in 0..200 {
        let decision = world.tick();
        assert!(!decision.goal.active && decision.health.state == NodeState::Active);
    }
    world.hold = false;
    assert!(
        world.tick().goal.active,
        "holding does not count as waiting"
    );
    world.hold = true;
    assert!(world.tick().goal.active, "once begun, a drive goes on");
}

#[test]
fn what_may_not_be_driven_is_refused() {
    let mut exec = Executive::new(config(), rover(), BTreeSet::new());
    assert!(
        exec.execute("0123456789abcdef")
            .unwrap_err()
            .to_string()
            .contains("no bundle")
    );
    let message = exec
        .offer(bundle_of(&plan(), Purpose::Flight))
        .unwrap_err()
        .to_string();
    assert!(message.contains("trusted keys"), "{message}");
    let mut other = plan();
    other.rover = "testbed".into();
    assert!(
        exec.offer(bundle_of(&other, Purpose::Simulation))
            .unwrap_err()
            .to_string()
            .contains("FR-01")
    );
    assert_eq!(exec.state(), DriveState::Idle);

    let mut real = rover();
    real.hardware = true;
    let mut exec = Executive::new(config(), real, BTreeSet::new());
    let message = exec
        .offer(bundle_of(&plan(), Purpose::Simulation))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("simulation") && message.contains("real"),
        "{message}"
    );

    let bundle = bundle_of(&plan(), Purpose::Simulation);
    let mut exec = Executive::new(config(), rover(), BTreeSet::from([bundle.id().to_string()]));
    assert!(
        exec.offer(bundle)
            .unwrap_err()
            .to_string()
            .contains("driven before")
    );
}

#[test]
fn one_drive_at_a_time() {
    let mut world = World::driving(&plan());
    let other = bundle_of(&plan_along(&[[8.0, 0.0]], 4.0), Purpose::Simulation);
    let other_id = other.id().to_string();
    assert!(
        world
            .exec
            .offer(other.clone())
            .unwrap_err()
            .to_string()
            .contains("under way")
    );
    assert!(
        world
            .exec
            .execute(&other_id)
            .unwrap_err()
            .to_string()
            .contains("under way")
    );
    world.exec.cancel("enough");
    assert!(
        world.exec.offer(other.clone()).is_err(),
        "not before the rover has come to rest"
    );
    for _ in 0..10 {
        world.tick();
    }
    world.exec.offer(other).unwrap();
    world.exec.execute(&other_id).unwrap();
    assert!(world.tick().goal.active);
    assert_eq!(world.exec.driven().len(), 2);
}

#[test]
fn a_rock_on_a_waypoint_does_not_end_the_drive_but_the_goal_must_be_reached() {
    let mut world = World::driving(&plan_along(&[[10.0, 0.0], [20.0, 0.0]], 5.0));
    // Passes both waypoints 2 m to the left.
    let mut index = 0;
    for step in 0..230 {
        world.at = [0.1 * f64::from(step), (0.1 * f64::from(step)).min(2.0)];
        let decision = world.tick();
        assert_ne!(decision.status.state, DriveState::Reached);
        index = decision.status.waypoint_index;
    }
    assert_eq!(index, 1);
}

#[test]
fn time_that_runs_backwards_aborts() {
    let mut world = World::driving(&plan());
    world.now = Stamp::from_secs(0.5);
    let decision = world.tick();
    assert_eq!(decision.status.state, DriveState::Aborted);
    assert!(!decision.goal.active);
}

#[test]
fn status_comes_once_a_second_and_on_change() {
    let mut world = World::driving(&plan());
    let due = (0..30).filter(|_| world.tick().status_due).count();
    assert_eq!(due, 3);
    world.exec.cancel("x");
    assert!(world.tick().status_due);
}

#[test]
fn the_last_waypoint_is_sent_with_what_the_goal_leaves_of_its_tolerance() {
    let mut p = plan_along(&[[10.0, 0.0]], 5.0);
    p.goal.x_m = 10.6;
    let world = World::driving(&p);
    let waypoint = world.last.unwrap().goal.waypoint.unwrap();
    assert!(
        (waypoint.tolerance_m - 0.4).abs() < 1e-9,
        "{}",
        waypoint.tolerance_m
    );
}

#[derive(Clone, Debug)]
enum Act {
    Offer(u8),
    Execute(u8),
    Cancel,
    Abort,
    Tick(f64),
    Step(f64, f64),
    Silence(usize),
    Speak,
    Fault(usize),
    Autonav(u8),
    Nan,
    MapJump(f64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0u8..3).prop_map(Act::Offer),
        (0u8..3).prop_map(Act::Execute),
        Just(Act::Cancel),
        Just(Act::Abort),
        (-0.2f64..1.0).prop_map(Act::Tick),
        (-0.6f64..0.6, -0.6f64..0.6).prop_map(|(x, y)| Act::Step(x, y)),
        (0usize..4).prop_map(Act::Silence),
        Just(Act::Speak),
        (0usize..4).prop_map(Act::Fault),
        (0u8..5).prop_map(Act::Autonav),
        Just(Act::Nan),
        (0.0f64..2.0).prop_map(Act::MapJump),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens in whatever order: the goal is active only in a drive of an accepted bundle that was ordered, with
    /// everybody well and the rover in its corridor; and no drive comes back to life.
    #[test]
    fn never_active_without_right(acts in proptest::collection::vec(act(), 1..120)) {
        let plans = [plan(), plan_along(&[[5.0, 0.0]], 4.0), plan_along(&[[4.0, 1.0], [9.0, 1.0]], 3.0)];
        let bundles: Vec<Bundle> = plans.iter().map(|p| bundle_of(p, Purpose::Simulation)).collect();
        let mut world = World::new(config());
        let mut accepted: Option<usize> = None;
        let mut ordered: Option<usize> = None;
        let mut finished: BTreeSet<String> = BTreeSet::new();
        let mut faulty = false;
        for act in acts {
            match act {
                Act::Offer(i) => {
                    let i = i as usize;
                    if world.exec.offer(bundles[i].clone()).is_ok() { accepted = Some(i); ordered = None; }
                }
                Act::Execute(i) => {
                    let i = i as usize;
                    let result = world.exec.execute(bundles[i].id());
                    if result.is_ok() {
                        prop_assert_eq!(accepted, Some(i));
                        prop_assert!(!finished.contains(bundles[i].id()));
                        ordered = Some(i);
                    }
                }
                Act::Cancel => world.exec.cancel("c"),
                Act::Abort => world.exec.abort("a"),
                Act::Tick(dt) => world.now = world.now.plus_secs(dt - 0.1),
                Act::Step(dx, dy) => world.at = [world.at[0] + dx, world.at[1] + dy],
                Act::Silence(i) => world.silent.push(NODES[i]),
                Act::Speak => { world.silent.clear(); faulty = false; }
                Act::Fault(i) => {
                    world.extra.push(Input::Heartbeat {
                        stamp: world.now.plus_secs(0.1),
                        node: NODES[i].into(),
                        health: Health::error(NodeState::Fault, "f"),
                    });
                    faulty = true;
                }
                Act::Autonav(n) => {
                    let state = AutonavState::from_number(n).unwrap();
                    world.autonav(state, "r");
                }
                Act::Nan => world.extra.push(Input::Odometry {
                    stamp: world.now,
                    odom_from_base_link: Transform::from_xyz_rpy([f64::NAN; 3], 0.0, 0.0, 0.0),
                }),
                Act::MapJump(d) => world.extra.push(Input::MapFromOdom {
                    stamp: world.now,
                    map_from_odom: Transform::from_xyz_rpy([ORIGIN[0] + d, ORIGIN[1], 0.0], 0.0, 0.0, 0.0),
                }),
            }
            let was_faulty = faulty;
            faulty = false;
            let jumped = world.extra.iter().any(|i| matches!(i, Input::MapFromOdom { .. }));
            let decision = world.tick();
            prop_assert!(decision.status.distance_driven_m.is_finite());
            prop_assert!(decision.status.distance_to_goal_m.is_finite());
            if decision.goal.active {
                let i = ordered.unwrap();
                prop_assert_eq!(accepted, Some(i));
                prop_assert_eq!(decision.goal.bundle_id.as_str(), bundles[i].id());
                prop_assert!(!finished.contains(bundles[i].id()));
                prop_assert!(!was_faulty, "a fault was heard in this very tick");
                prop_assert_eq!(decision.health.state, NodeState::Active);
                let p = &plans[i];
                let k = decision.goal.waypoint_index;
                // The map jump of this tick is not in `world.at`.
                if !jumped {
                    prop_assert!(
                        in_polygon(world.at, &p.waypoints[k].corridor)
                            || p.waypoints.get(k + 1).is_some_and(|w| in_polygon(world.at, &w.corridor))
                    );
                }
            }
            if decision.status.state.is_end() {
                finished.insert(decision.status.bundle_id.clone());
                prop_assert!(decision.health.level <= HealthLevel::Warn);
            }
        }
    }
}
