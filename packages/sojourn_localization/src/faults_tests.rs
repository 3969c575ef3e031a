//! The core with stereo pairs, and with pairs that go wrong: a drive over drawn ground whose slip only the pairs show.

use crate::{
    Config, ImuSample, Input, Localization, Output, Params, WheelSample,
    vo::{GrayImage, Seen, tests::Ground},
};
use nalgebra::Vector3;
use sojourn_core::{
    Stamp, body::Body, frames::Pose2, health::HealthLevel, kinematics::WheelMotion,
    params::load_node_params, rover::Rover,
};
use std::path::{Path, PathBuf};

const SPEED_MPS: f64 = 0.04;
const PERIOD_S: f64 = 0.5;
const SLIP: f64 = 0.4;
const SAND: Ground = Ground {
    seed: 5,
    tone: 160.0,
};

fn config(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../config")
        .join(name)
}

/// A rover on flat ground that drives straight on and slips.
struct Drive {
    node: Localization,
    t_s: f64,
    wheels_m: f64,
    way_m: f64,
    slip: f64,
    pairs: u64,
    outputs: Vec<Output>,
    refused: u64,
}

/// What happens to a pair on its way.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Fine,
    Dropped,
    Twice,
    Blind,
    Late(f64),
    NotANumber,
}

impl Drive {
    fn new() -> Self {
        let rover = Rover::load(&config("rovers/perseverance.yaml")).unwrap();
        let body = Body::load(&config("bodies/mars.yaml")).unwrap();
        let mut p: Params =
            load_node_params(&config("localization.param.yaml"), "localization").unwrap();
        p.visual.enabled = true;
        p.use_slip_prior = false;
        p.imu_timeout_s = 2.0;
        p.wheels_timeout_s = 2.0;
        p.visual_odometry.cell_px = 16;
        Self {
            node: Localization::new(Config::new(p, &body).unwrap(), &rover),
            t_s: 0.0,
            wheels_m: 0.0,
            way_m: 0.0,
            slip: SLIP,
            pairs: 0,
            outputs: Vec::new(),
            refused: 0,
        }
    }

    /// One period; a jump of one encoder comes on top.
    fn period(&mut self, speed_mps: f64, jump_m: f64) {
        self.t_s += PERIOD_S;
        self.wheels_m += speed_mps * PERIOD_S;
        self.way_m += speed_mps * PERIOD_S * (1.0 - self.slip);
        let now = Stamp::from_secs(self.t_s);
        let imu = ImuSample {
            gyro_radps: Vector3::zeros(),
            accel_mps2: Vector3::new(0.0, 0.0, 3.72076),
        };
        self.node.step(now, Input::Imu(now, imu));
        let mut travel_m = [self.wheels_m; 6];
        travel_m[1] += jump_m;
        let wheels = WheelSample {
            motion: WheelMotion {
                rim_mps: [speed_mps; 6],
                steer_rad: [0.0; 6],
            },
            travel_m,
        };
        self.node.step(now, Input::Wheels(now, wheels));
    }

    fn tick(&mut self) {
        let out = self.node.step(Stamp::from_secs(self.t_s), Input::Tick);
        self.outputs.push(out);
    }

    fn rest(&mut self) {
        for _ in 0..12 {
            self.period(0.0, 0.0);
            self.tick();
        }
    }

    /// Half a metre of the wheels and a pair at its end.
    fn leg(&mut self, fate: Fate) {
        for _ in 0..25 {
            self.period(SPEED_MPS, 0.0);
        }
        self.pair(fate);
        self.tick();
    }

    fn pair(&mut self, fate: Fate) {
        let now = Stamp::from_secs(self.t_s);
        let ground = if fate == Fate::Blind {
            Ground {
                tone: 0.0,
                seed: SAND.seed,
            }
        } else {
            SAND
        };
        let mut pair =
            Box::new(ground.pair(&crate::vo::tests::at(self.way_m, 0.0, 0.0), self.pairs));
        self.pairs += 1;
        let before = self.node.counts().refused.values().sum::<u64>();
        match fate {
            Fate::Dropped => {}
            Fate::Fine | Fate::Blind => {
                self.node.step(now, Input::Pair(now, pair));
            }
            Fate::Twice => {
                self.node.step(now, Input::Pair(now, pair.clone()));
                self.node.step(now, Input::Pair(now, pair));
            }
            Fate::Late(by_s) => {
                self.node.step(now, Input::Pair(now.plus_secs(-by_s), pair));
            }
            Fate::NotANumber => {
                pair.base_link_from_navcam.translation.x = f64::NAN;
                self.node.step(now, Input::Pair(now, pair));
            }
        }
        self.refused += self.node.counts().refused.values().sum::<u64>() - before;
    }

    fn error_m(&self) -> f64 {
        let e = self.node.estimate().unwrap();
        (e.odom_from_base_link.iso.translation.vector - Vector3::new(self.way_m, 0.0, 0.0)).norm()
    }

    fn warned(&self, words: &str) -> bool {
        self.outputs.iter().any(|o| {
            o.health
                .as_ref()
                .is_some_and(|h| h.level == HealthLevel::Warn && h.reason.contains(words))
        })
    }
}

fn driven(fates: &[Fate]) -> Drive {
    let mut d = Drive::new();
    d.rest();
    d.pair(Fate::Fine);
    d.tick();
    for fate in fates {
        d.leg(*fate);
    }
    d
}

#[test]
fn slip_that_only_the_pairs_show_is_taken_off_and_told() {
    let d = driven(&[Fate::Fine; 4]);
    assert!(d.error_m() < 0.03, "{} m after {} m", d.error_m(), d.way_m);
    let slips: Vec<f64> = d
        .outputs
        .iter()
        .flat_map(|o| o.sightings.iter().filter_map(|s| s.slip.map(|s| s.slip)))
        .collect();
    assert!(
        slips.len() >= 3 && slips.iter().all(|s| (s - SLIP).abs() < 0.03),
        "{slips:?}"
    );
    assert!(!d.warned("dig in") && !d.warned("no visual odometry"));
}

#[test]
fn lost_pairs_cost_nothing_and_doubled_ones_are_refused() {
    let d = driven(&[
        Fate::Fine,
        Fate::Dropped,
        Fate::Fine,
        Fate::Twice,
        Fate::Fine,
    ]);
    assert_eq!(d.refused, 1);
    assert!(d.error_m() < 0.04, "{} m", d.error_m());
}

#[test]
fn a_stamp_before_the_last_is_refused() {
    let d = driven(&[Fate::Fine, Fate::Late(20.0), Fate::Fine]);
    assert_eq!(d.refused, 1);
    assert!(d.error_m() < 0.04, "{} m", d.error_m());
}

#[test]
fn a_number_that_is_none_is_refused() {
    let d = driven(&[Fate::Fine, Fate::NotANumber, Fate::Fine]);
    assert_eq!(d.refused, 1);
    assert!(d.error_m() < 0.04, "{} m", d.error_m());
}

#[test]
fn featureless_sand_is_driven_with_the_slip_seen_last_and_told() {
    let d = driven(&[
        Fate::Fine,
        Fate::Fine,
        Fate::Blind,
        Fate::Blind,
        Fate::Fine,
        Fate::Fine,
    ]);
    assert!(d.warned("no visual odometry in 2 pairs"));
    let failed = d.outputs.iter().flat_map(|o| &o.sightings);
    assert!(
        failed
            .filter(|s| matches!(s.seen, Seen::Failed { .. }))
            .count()
            >= 2
    );
    // With the wheels alone it would be 0.4 m for each metre.
    assert!(d.error_m() < 0.1, "{} m after {} m", d.error_m(), d.way_m);
}

#[test]
fn wheels_that_dig_in_are_told_after_two_measurements() {
    let mut d = Drive::new();
    d.slip = 0.9;
    d.rest();
    d.pair(Fate::Fine);
    d.tick();
    d.leg(Fate::Fine);
    assert!(!d.warned("dig in"));
    d.leg(Fate::Fine);
    assert!(d.warned("dig in"));
}

#[test]
fn an_encoder_that_jumps_is_put_right_by_the_next_pair() {
    let mut d = driven(&[Fate::Fine, Fate::Fine]);
    // One of six wheels claims half a metre at once: more than any rim can do.
    for _ in 0..25 {
        d.period(SPEED_MPS, 0.5);
    }
    d.pair(Fate::Fine);
    d.tick();
    assert!(d.error_m() < 0.04, "{} m", d.error_m());
}

#[test]
fn somebody_says_where_it_is() {
    let mut d = driven(&[Fate::Fine]);
    let now = Stamp::from_secs(d.t_s);
    let there = Pose2::new(100.0, 50.0, 1.0);
    d.node.step(now, Input::InitialPose(there));
    let e = d.node.estimate().unwrap();
    let p = (e.map_from_odom * e.odom_from_base_link).planar();
    assert!(
        (p.x_m - 100.0).abs() < 1e-9
            && (p.y_m - 50.0).abs() < 1e-9
            && (p.yaw_rad - 1.0).abs() < 1e-9
    );
    d.node
        .step(now, Input::InitialPose(Pose2::new(f64::NAN, 0.0, 0.0)));
    assert_eq!(d.node.estimate().unwrap().map_from_odom, e.map_from_odom);
}

#[test]
fn images_of_another_size_are_no_measurement() {
    let mut d = driven(&[Fate::Fine]);
    let now = Stamp::from_secs(d.t_s + 0.1);
    let mut pair = Box::new(SAND.pair(&crate::vo::tests::at(0.0, 0.0, 0.0), 9));
    pair.right = GrayImage::new(2, 2, vec![0; 4]).unwrap();
    d.node.step(now, Input::Pair(now, pair));
    d.period(0.0, 0.0);
    d.tick();
    let told = d.outputs.last().unwrap();
    assert!(
        matches!(told.sightings[0].seen, Seen::Failed { .. }),
        "{told:?}"
    );
}
