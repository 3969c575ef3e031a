//! Pairs before the level is known.

use super::*;

#[test]
fn a_pair_taken_at_rest_before_the_level_shows_the_first_way() {
    let mut d = Drive::new();
    d.pair(Fate::Fine);
    d.rest();
    d.leg(Fate::Fine);
    // The wheels alone would be off by all the slip, 0.2 m.
    assert!(d.way_m > 0.25 && d.error_m() < 0.01, "{} m", d.error_m());
    let seen: Vec<&Seen> = d
        .outputs
        .iter()
        .flat_map(|o| o.sightings.iter().map(|s| &s.seen))
        .collect();
    assert!(
        matches!(seen[..], [Seen::First, Seen::Moved { .. }]),
        "{seen:?}"
    );
    assert_eq!(
        d.outputs
            .iter()
            .flat_map(|o| &o.sightings)
            .map(|s| s.stamp)
            .min(),
        Some(Stamp::from_secs(0.0))
    );
}

#[test]
fn a_pair_from_before_the_rover_came_to_rest_is_forgotten() {
    let mut d = Drive::new();
    d.period(0.0, 0.0);
    d.pair(Fate::Fine);
    d.tick();
    for _ in 0..4 {
        d.period(SPEED_MPS, 0.0);
        d.tick();
    }
    d.rest();
    d.rest();
    let seen = d.outputs.iter().flat_map(|o| &o.sightings).count();
    assert_eq!(seen, 0);
    assert!(d.node.estimate().is_some());
}
