//! AutoNav in a closed loop with a double of rover and world.

use crate::double::{Senses, World, drive, rover};
use sojourn_core::plan::Mode;

#[test]
fn it_gets_through_rock_fields_without_breaking_a_limit() {
    let r = rover("perseverance");
    for (seed, cfa, slope_deg) in [(1, 0.03, 0.0), (2, 0.05, 0.0), (3, 0.03, 10.0)] {
        let world = World::new(seed, cfa, slope_deg, 15.0, 1.0);
        let o = drive(&world, &r, 5.0, 1.0, Mode::AvoidAll, Senses::Perfect);
        assert!(
            o.unsafe_events.is_empty(),
            "seed {seed}: {:?}",
            o.unsafe_events
        );
        assert!(o.reached, "seed {seed}: {}", o.last_reason);
        assert!(o.fastest <= 1.0 + 1e-9 && o.outside_m == 0.0);
        assert!(o.max_tilt_deg < r.limits.tilt_deg && o.min_clearance_m > r.limits.clearance_m);
    }
}

#[test]
fn it_drives_on_what_a_camera_sees_with_slip_and_noise() {
    let r = rover("perseverance");
    let world = World::new(5, 0.03, 5.0, 12.0, 1.0);
    let senses = Senses::Camera {
        seed: 7,
        slip: 0.08,
    };
    let o = drive(&world, &r, 5.0, 1.0, Mode::AvoidAll, senses);
    assert!(
        o.reached && o.unsafe_events.is_empty(),
        "{} {:?}",
        o.last_reason,
        o.unsafe_events
    );
}

#[test]
fn a_small_rover_drives_with_the_same_parameters() {
    let r = rover("testbed");
    let world = World::new(4, 0.03, 5.0, 4.0, 0.25);
    let o = drive(&world, &r, 1.25, 0.25, Mode::AvoidAll, Senses::Perfect);
    assert!(
        o.reached && o.unsafe_events.is_empty(),
        "{} {:?}",
        o.last_reason,
        o.unsafe_events
    );
}
