//! What a trial holds localization against.

use super::*;
use std::path::Path;

struct Nobody;

impl PairObserver for Nobody {
    fn pair(&mut self, _: Stamp, _: &StereoPair, _: &Isometry3<f64>) {}
}

#[test]
fn slip_is_held_against_the_wheels_that_the_rover_has() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let rover = Rover::load(&config.join("rovers/leo.yaml")).unwrap();
    let body = Body::load(&config.join("bodies/mars.yaml")).unwrap();
    let settings = Settings::load(&config).unwrap();
    let trial = Trial {
        seed: 1,
        distance_m: 2.0,
        cfa: 0.05,
        extra_slip: 0.2,
        slope_deg: 0.0,
        sun_deg: 40.0,
    };
    let course = Course::plain(&trial, &body).unwrap();
    let (mut none, mut told) = (Nobody, |_: f64| {});
    let r = run(
        &trial, course, &settings, &rover, &body, &mut none, &mut told,
    )
    .unwrap();
    let worst = r.slip_errors.iter().fold(0.0, |w: f64, e| w.max(e.abs()));
    assert!(r.slip_errors.len() >= 3 && worst < 0.05, "{worst} {r:?}");
    assert!(r.slip > 0.02 && r.slip < 0.4, "{}", r.slip);
}
