//! Wheels that sink in.

use super::*;

/// Wheel way of half a leg: less than slip is measured over.
fn half_leg(d: &mut Drive) {
    for _ in 0..12 {
        d.period(SPEED_MPS, 0.0);
    }
    d.pair(Fate::Fine);
    d.tick();
}

fn slips(d: &Drive) -> Vec<f64> {
    let last = d.outputs.last().unwrap();
    let told = last.sightings.iter().filter_map(|s| s.slip);
    told.map(|s| s.slip).collect()
}

#[test]
fn a_wheel_that_sinks_in_is_told_with_the_first_pair_and_its_slip_with_it() {
    let mut d = driven(&[Fate::Fine; 2]);
    assert!(!d.warned("sinks in"));
    d.slip = 0.95;
    d.suspension = Some(SuspensionAngles {
        bogie_rad: [0.0, 0.2],
        ..SuspensionAngles::default()
    });
    half_leg(&mut d);
    assert!(d.warned("the right rear wheel sinks in"));
    let [slip] = slips(&d)[..] else {
        panic!("{:?}", slips(&d))
    };
    assert!((slip - 0.95).abs() < 0.05, "{slip}");
    assert!(d.error_m() < 0.05, "{} m", d.error_m());
}

#[test]
fn the_same_angles_on_the_way_are_relief() {
    let mut d = driven(&[Fate::Fine; 2]);
    d.suspension = Some(SuspensionAngles {
        bogie_rad: [0.0, 0.2],
        ..SuspensionAngles::default()
    });
    half_leg(&mut d);
    assert!(!d.warned("sinks in"));
    assert!(slips(&d).is_empty());
}

#[test]
fn a_body_that_goes_down_where_it_is_digs_itself_in() {
    let mut d = driven(&[Fate::Fine]);
    d.slip = 0.9;
    for _ in 0..3 {
        d.sunk_m += 0.035;
        half_leg(&mut d);
    }
    let told: Vec<_> = d
        .outputs
        .iter()
        .flat_map(|o| &o.sightings)
        .map(|s| s.fused)
        .collect();
    assert!(d.warned("sinks in"), "{told:?}");
    assert_eq!(d.verdicts().1, 0);
    // Out again: nothing is told any more.
    d.slip = 0.0;
    d.leg(Fate::Fine);
    d.leg(Fate::Fine);
    let last = d.outputs.last().unwrap().health.clone().unwrap();
    assert_eq!(last.level, HealthLevel::Ok, "{}", last.reason);
}
