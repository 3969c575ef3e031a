//! Tests of the clock: who is waited for, and when.

use super::*;

const MS: Duration = Duration::from_millis(1);

fn config(lockstep: bool) -> ClockConfig {
    ClockConfig {
        participants: vec!["a".into(), "executive".into()],
        lockstep,
        period: Duration::from_millis(100),
        start: Stamp::from_secs(1.0),
        factor: None,
        hold_until_active: None,
        hold_at_tick: 1,
        heartbeat_limit: Duration::from_secs(10),
        roll_call_limit: Duration::from_secs(30),
    }
}

fn beat(node: &str, tick: u64, state: NodeState, published: u64) -> Beat {
    Beat {
        node: node.into(),
        tick,
        state,
        counts: [
            (format!("/{node}_out"), published),
            ("/heartbeat".into(), published),
        ]
        .into(),
        subscriptions: vec!["/sim_tick".into(), "/a_out".into()],
        ready: true,
    }
}

fn called(config: ClockConfig) -> LockstepServer {
    let mut server = LockstepServer::new(config, "simulator", "/heartbeat");
    assert!(matches!(
        server.poll(Duration::ZERO),
        Step::Send(TickOut { tick: 0, .. })
    ));
    server.own_ready(true);
    server.on_beat(&beat("a", 0, NodeState::Starting, 0));
    assert!(server.subscriber_counts().is_empty());
    server.on_beat(&beat("executive", 0, NodeState::Starting, 0));
    assert_eq!(server.subscriber_counts().get("/sim_tick"), Some(&2));
    server
}

/// The first tick, after everybody has been ready for long enough.
fn first_tick(server: &mut LockstepServer) -> TickOut {
    assert!(matches!(
        server.poll(MS),
        Step::Wait(_) | Step::Send(TickOut { tick: 0, .. })
    ));
    tick_of(server.poll(SETTLE + MS))
}

fn tick_of(step: Step) -> TickOut {
    match step {
        Step::Send(tick) => tick,
        other => panic!("expected a tick, got {other:?}"),
    }
}

#[test]
fn waits_for_everybody_and_adds_up_what_they_published() {
    let mut server = called(config(true));
    let first = first_tick(&mut server);
    assert_eq!((first.tick, first.stamp), (1, Stamp::from_secs(1.0)));
    assert_eq!(
        first.counts.get("/a_out"),
        Some(&0),
        "announced before anybody has published"
    );
    server.own_done([("/clock".to_string(), 1)].into());
    server.on_beat(&beat("a", 1, NodeState::Idle, 1));
    assert!(matches!(server.poll(MS), Step::Wait(_)));
    assert_eq!(server.missing(), ["executive"]);
    server.on_beat(&beat("executive", 1, NodeState::Idle, 1));
    let second = tick_of(server.poll(MS));
    assert_eq!(second.stamp, Stamp::from_secs(1.1));
    assert_eq!(second.counts.get("/heartbeat"), Some(&2));
    assert_eq!(second.counts.get("/clock"), Some(&1));
}

#[test]
fn names_the_node_that_stays_silent() {
    let mut server = called(config(true));
    first_tick(&mut server);
    server.own_done(Announced::new());
    server.on_beat(&beat("a", 1, NodeState::Idle, 1));
    let Step::Fail(why) = server.poll(Duration::from_secs(11)) else {
        panic!("should have failed")
    };
    assert!(why.contains("executive") && !why.contains("a,"), "{why}");
}

#[test]
fn roll_call_names_the_absent() {
    let mut server = LockstepServer::new(config(true), "simulator", "/heartbeat");
    server.poll(Duration::ZERO);
    server.on_beat(&beat("a", 0, NodeState::Starting, 0));
    let Step::Fail(why) = server.poll(Duration::from_secs(31)) else {
        panic!("should have failed")
    };
    assert!(why.contains("not heard: [executive]"), "{why}");
}

#[test]
fn a_topic_has_one_publisher() {
    let mut server = called(config(true));
    server.own_interfaces(["/a_out".to_string()], Vec::new());
    let Step::Fail(why) = server.poll(MS) else {
        panic!("should have failed")
    };
    assert!(why.contains("/a_out") && why.contains("simulator"), "{why}");
}

#[test]
fn time_stands_still_until_the_executive_is_active_and_again_afterwards() {
    let mut server = called(ClockConfig {
        hold_until_active: Some("executive".into()),
        hold_at_tick: 2,
        ..config(true)
    });
    let answer = |server: &mut LockstepServer, tick, state| {
        server.own_done(Announced::new());
        server.on_beat(&beat("a", tick, NodeState::Active, tick));
        server.on_beat(&beat("executive", tick, state, tick));
    };
    assert!(first_tick(&mut server).hold);
    answer(&mut server, 1, NodeState::Idle);
    assert_eq!(tick_of(server.poll(MS)).tick, 2);
    answer(&mut server, 2, NodeState::Idle);
    assert!(matches!(server.poll(MS), Step::Wait(_)));
    assert!(
        matches!(server.poll(Duration::from_secs(100)), Step::Wait(_)),
        "holding has no time limit"
    );
    assert!(server.holding());
    server.on_beat(&beat("executive", 0, NodeState::Active, 2));
    let third = tick_of(server.poll(Duration::from_secs(100)));
    assert!(third.tick == 3 && !third.hold);
    answer(&mut server, 3, NodeState::Idle);
    assert!(matches!(
        server.poll(Duration::from_secs(100)),
        Step::Wait(_)
    ));
}

#[test]
fn a_drive_asked_for_early_begins_at_the_same_tick() {
    let mut server = called(ClockConfig {
        hold_until_active: Some("executive".into()),
        hold_at_tick: 3,
        ..config(true)
    });
    server.on_beat(&beat("executive", 0, NodeState::Active, 0));
    let mut holds = vec![first_tick(&mut server).hold];
    for tick in 1..5 {
        server.own_done(Announced::new());
        server.on_beat(&beat("a", tick, NodeState::Active, tick));
        server.on_beat(&beat("executive", tick, NodeState::Active, tick));
        holds.push(tick_of(server.poll(SETTLE + MS)).hold);
    }
    assert_eq!(holds, [true, true, true, false, false]);
}

#[test]
fn free_running_waits_for_the_wall_clock_only() {
    let mut server = called(ClockConfig {
        factor: Some(2.0),
        ..config(false)
    });
    assert_eq!(first_tick(&mut server).tick, 1);
    server.own_done(Announced::new());
    assert!(matches!(server.poll(SETTLE + 20 * MS), Step::Wait(_)));
    let second = tick_of(server.poll(SETTLE + 52 * MS));
    assert!(second.tick == 2 && second.counts.is_empty() && !second.lockstep);
}
