use super::*;
use crate::config::tests::rover;
use nalgebra::Isometry3;
use proptest::prelude::*;

const FLAT: SuspensionAngles = SuspensionAngles {
    differential_rad: 0.0,
    bogie_rad: [0.0; 2],
};

fn even(height_m: f32) -> Raster {
    Raster::filled(120, 120, 0.1, [-6.0, -6.0], height_m).unwrap()
}

fn layers(mean: &Raster) -> [Raster; 4] {
    let unknown = mean.like(|_, _| f32::NAN);
    [mean.clone(), mean.clone(), mean.clone(), unknown]
}

fn level() -> Transform<Odom, BaseLink> {
    Transform::new(Isometry3::identity())
}

#[test]
fn a_stone_under_a_wheel_that_stands_on_the_plain_is_none() {
    let r = rover("perseverance");
    let hub = r.hubs_m()[4];
    let plain = even(0.0);
    let near = |c: usize, row: usize| {
        let [x, y] = plain.centre_m(c, row);
        (x - hub[0]).hypot(y - hub[1])
    };
    let mut window = layers(&plain);
    // A point of 0.4 m under the wheel and one beside it, and a hole.
    window[2] = plain.like(|c, row| match near(c, row) {
        d if d < 0.08 => 0.4,
        d if (0.5..0.6).contains(&d) => 0.4,
        _ => 0.0,
    });
    window[0].set(3, 3, f32::NAN);
    let mut felt = Felt::new(&r);
    assert!(felt.stand(&r, &level(), &FLAT, &plain));
    let before = window.clone();
    felt.hold(&mut window);
    for row in 0..120 {
        for c in 0..120 {
            let (h, was) = (window[2].get(c, row), before[2].get(c, row));
            if near(c, row) < 0.08 {
                assert!(h < 0.07, "{h}");
            } else if near(c, row) > 0.4 {
                assert_eq!(h, was);
            }
        }
    }
    assert!(window[0].get(3, 3).is_nan());
    // Far away the map counts.
    felt.forget_far([50.0, 0.0]);
    let mut window = before.clone();
    felt.hold(&mut window);
    assert_eq!(window[2].data(), before[2].data());
}

#[test]
fn a_map_that_the_wheels_cannot_stand_on_is_left_alone() {
    let r = rover("perseverance");
    let mut felt = Felt::new(&r);
    assert!(
        !felt.stand(&r, &level(), &FLAT, &even(0.5)),
        "half a metre up"
    );
    assert!(!felt.stand(&r, &level(), &FLAT, &even(f32::NAN)), "unknown");
    let on_its_side = Transform::from_xyz_rpy([0.0; 3], 1.5, 0.0, 0.0);
    assert!(!felt.stand(&r, &on_its_side, &FLAT, &even(0.0)));
    let mut window = layers(&even(0.1));
    felt.hold(&mut window);
    assert!(window[0].data().iter().all(|h| *h == 0.1));
}

proptest! {
    /// Ground that a rover truly stands on is not lowered, wherever and however it stands, whatever the heights of pose and map
    /// have drifted apart; and nothing is ever raised.
    #[test]
    fn true_ground_stays_as_it_is(
        x in -1.0f64..1.0, y in -1.0f64..1.0, yaw in -3.1f64..3.1,
        wave in 0.0f64..0.12, phase in 0.0f64..6.0, slope in -0.2f64..0.2, apart in -0.15f64..0.15,
        stones in prop::collection::vec((0usize..120, 0usize..120, 0.05f32..0.5), 0..40),
    ) {
        let r = rover("perseverance");
        let ground = move |x: f64, y: f64| wave * ((1.7 * x + phase).sin() + (1.3 * y).cos()) + slope * x;
        let settler = sojourn_core::settle::Settler::new(&r, 0.05);
        let pose = sojourn_core::frames::Pose2::new(x, y, yaw);
        let s = settler.settle(&move |x: f64, y: f64| Some(ground(x, y)), pose).unwrap();
        let angles = SuspensionAngles { differential_rad: s.differential_rad, bogie_rad: s.bogie_rad };
        let stands = Transform::from_xyz_rpy([x, y, s.z_m + apart], s.roll_rad, s.pitch_rad, yaw);
        let plain = even(0.0);
        let truth = plain.like(|c, row| {
            let [x, y] = plain.centre_m(c, row);
            ground(x, y) as f32
        });
        let mut felt = Felt::new(&r);
        prop_assert!(felt.stand(&r, &stands, &angles, &truth));
        let mut window = layers(&truth);
        felt.hold(&mut window);
        for (h, t) in window[0].data().iter().zip(truth.data()) {
            prop_assert!((h - t).abs() < 0.02, "lowered by {}", t - h);
        }
        let mut stony = layers(&truth);
        for (c, row, h) in stones {
            stony[2].set(c, row, truth.get(c, row) + h);
        }
        let before = stony.clone();
        felt.hold(&mut stony);
        for (after, before) in stony.iter().zip(&before).take(3) {
            prop_assert!(after.data().iter().zip(before.data()).all(|(a, b)| a <= b));
        }
    }
}
