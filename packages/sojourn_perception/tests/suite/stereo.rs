//! Stereo against pairs whose disparity is known, and what it says to pairs that are none.

use crate::common::{params, rover};
use sojourn_core::Stamp;
use sojourn_perception::stereo::{
    Disparity, Eye, GreyImage, Matcher, PairFault, RectifiedPair, Stage,
};

const W: usize = 640;
const H: usize = 480;

/// Smooth brightness without a period: octaves of hashed lattices.
fn brightness(x: f64, y: f64) -> f64 {
    let lattice = |i: i64, j: i64, k: i64| {
        let mut h = (i.wrapping_mul(0x9e37_79b9) ^ j.wrapping_mul(0x85eb_ca6b) ^ k) as u64;
        h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        ((h >> 40) as f64) / f64::from(1 << 24) - 0.5
    };
    let ease = |t: f64| t * t * (3.0 - 2.0 * t);
    let mut sum = 128.0;
    for (k, (step, gain)) in [(3.0, 50.0), (7.0, 60.0), (29.0, 60.0)].iter().enumerate() {
        let (gx, gy) = (x / step, y / step);
        let (i, j) = (gx.floor() as i64, gy.floor() as i64);
        let (s, t) = (ease(gx - gx.floor()), ease(gy - gy.floor()));
        let at = |a, b| lattice(i + a, j + b, k as i64);
        sum += gain
            * ((at(0, 0) * (1.0 - s) + at(1, 0) * s) * (1.0 - t)
                + (at(0, 1) * (1.0 - s) + at(1, 1) * s) * t);
    }
    sum
}

/// Disparity of a plane that rises towards the lower edge, as ground does.
fn plane(u: f64, v: f64) -> f64 {
    6.3 + 0.11 * v + 0.004 * u
}

fn image(stamp_s: f64, f: impl Fn(f64, f64) -> f64) -> GreyImage {
    let pixels = (0..W * H)
        .map(|i| f((i % W) as f64, (i / W) as f64).round().clamp(0.0, 255.0) as u8)
        .collect();
    GreyImage {
        stamp: Stamp::from_secs(stamp_s),
        width: W,
        height: H,
        pixels,
    }
}

fn pair() -> (GreyImage, GreyImage) {
    let right = image(1.0, brightness);
    // A point at u in the left image stands at u − d in the right one.
    let left = image(1.0, |u, v| brightness(u - plane(u, v), v));
    (left, right)
}

fn matcher() -> Matcher {
    let rover = rover("perseverance");
    let pair = RectifiedPair {
        camera: rover.navcam_pinhole(),
        baseline_m: rover.navcam.baseline_m,
    };
    Matcher::new(pair, &params().stereo).unwrap()
}

fn fault(matcher: &mut Matcher, left: &GreyImage, right: &GreyImage) -> Option<PairFault> {
    match matcher.step(left, right) {
        Ok(d) => {
            println!("matched {:.3}", d.valid_share());
            None
        }
        Err(fault) => Some(fault),
    }
}

fn errors(d: &Disparity) -> Vec<f64> {
    (0..W * H)
        .filter(|i| d.pixels[*i].is_finite())
        .map(|i| f64::from(d.pixels[i]) - plane((i % W) as f64, (i / W) as f64))
        .collect()
}

#[test]
fn a_plane_comes_out_to_hundredths_of_a_pixel() {
    let (left, right) = pair();
    let d = matcher().step(&left, &right).unwrap();
    let e = errors(&d);
    let good: Vec<f64> = e.iter().copied().filter(|x| x.abs() < 0.5).collect();
    let wrong = 1.0 - good.len() as f64 / e.len() as f64;
    let rms = (good.iter().map(|x| x * x).sum::<f64>() / good.len() as f64).sqrt();
    let mean = good.iter().sum::<f64>() / good.len() as f64;
    let valid = d.valid_share();
    println!(
        "rms {rms:.4} px, mean {mean:.4} px, beyond half a pixel {wrong:.4}, valid {valid:.3}"
    );
    // What lies left of the right image's edge has no like: at most the largest disparity of the 640 columns.
    assert!(valid > 0.88, "{valid}");
    assert!(
        rms < 0.06 && mean.abs() < 0.005 && wrong < 0.005,
        "{rms} {mean} {wrong}"
    );
    let within = d
        .pixels
        .iter()
        .zip(&d.sigma_px)
        .enumerate()
        .filter(|(_, (d, _))| d.is_finite())
        .filter(|(i, (d, s))| {
            let e = f64::from(**d) - plane((i % W) as f64, (i / W) as f64);
            e.abs() <= 2.0 * f64::from(**s)
        })
        .count();
    assert!(
        within as f64 > 0.95 * e.len() as f64,
        "{within} of {}",
        e.len()
    );
}

#[test]
fn the_same_pair_gives_the_same_bits_on_one_and_on_two_threads() {
    let (left, right) = pair();
    let run = |threads| {
        opencv::core::set_num_threads(threads).unwrap();
        let d = matcher().step(&left, &right).unwrap();
        d.pixels.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn exchanged_eyes_are_noticed() {
    let (left, right) = pair();
    assert_eq!(
        fault(&mut matcher(), &right, &left),
        Some(PairFault::Swapped)
    );
}

#[test]
fn bad_pairs_are_refused_with_their_reason() {
    let (left, right) = pair();
    let mut m = matcher();
    let with = |f: fn(&mut GreyImage)| {
        let mut image = right.clone();
        f(&mut image);
        image
    };
    let cases: [(GreyImage, PairFault); 6] = [
        (with(|i| i.stamp = Stamp::from_secs(1.1)), PairFault::Stamps),
        (with(|i| i.pixels.truncate(7)), PairFault::Size),
        (with(|i| i.width = usize::MAX), PairFault::Size),
        (with(|i| i.height = 0), PairFault::Empty),
        (with(|i| i.pixels.fill(0)), PairFault::Black),
        (with(|i| i.pixels.fill(255)), PairFault::White),
    ];
    for (image, expected) in cases {
        assert_eq!(fault(&mut m, &left, &image), Some(expected));
    }
    // A smaller pair than the calibration's, and two images of different ground.
    let small = |image: &GreyImage| GreyImage {
        height: H / 2,
        pixels: image.pixels[..W * H / 2].to_vec(),
        ..image.clone()
    };
    let smaller = fault(&mut m, &small(&left), &small(&right));
    assert_eq!(smaller, Some(PairFault::Size));
    let other = image(1.0, |u, v| brightness(u + 5000.0, v + 900.0));
    assert_eq!(fault(&mut m, &left, &other), Some(PairFault::Unmatched));
    // Even grey ground matches nowhere.
    let grey = image(1.0, |_, _| 120.0);
    assert_eq!(fault(&mut m, &grey, &grey), Some(PairFault::Unmatched));
    // And after all that a good pair still works.
    assert_eq!(fault(&mut m, &left, &right), None);
}

fn stage() -> Stage {
    let rover = rover("perseverance");
    let mut stage = Stage::new(params().stereo);
    stage.left_info(rover.navcam_pinhole());
    stage.right_info(rover.navcam_pinhole(), rover.navcam.baseline_m);
    stage
}

#[test]
fn a_frozen_camera_is_noticed_with_its_second_frame_and_forgiven_when_it_lives() {
    let (left, right) = pair();
    let mut stage = stage();
    let mut show = |t_s: f64, l: &GreyImage, r: &GreyImage| {
        let at = |image: &GreyImage| GreyImage {
            stamp: Stamp::from_secs(t_s),
            ..image.clone()
        };
        stage.image(Eye::Left, at(l));
        stage.image(Eye::Right, at(r));
        stage.tick().pop().unwrap().err()
    };
    let mut other = (left.clone(), right.clone());
    other.0.pixels[7] ^= 1;
    other.1.pixels[7] ^= 1;
    assert_eq!(show(1.0, &left, &right), None);
    assert_eq!(show(2.0, &left, &other.1), Some(PairFault::Frozen));
    assert_eq!(show(3.0, &other.0, &right), None);
}

#[test]
fn images_without_partner_calibration_or_time_are_counted_and_newer_ones_used() {
    let (left, right) = pair();
    let at = |image: &GreyImage, t_s: f64| GreyImage {
        stamp: Stamp::from_secs(t_s),
        ..image.clone()
    };
    let mut blind = Stage::new(params().stereo);
    blind.image(Eye::Left, left.clone());
    blind.image(Eye::Right, right.clone());
    assert_eq!(
        blind.tick()[0].as_ref().err(),
        Some(&PairFault::Uncalibrated)
    );
    let rover = rover("perseverance");
    let mut wide = rover.navcam_pinhole();
    wide.fx *= 1.1;
    blind.left_info(rover.navcam_pinhole());
    blind.right_info(wide, rover.navcam.baseline_m);
    blind.image(Eye::Left, left.clone());
    blind.image(Eye::Right, right.clone());
    assert_eq!(
        blind.tick()[0].as_ref().err(),
        Some(&PairFault::Contradiction)
    );

    let mut stage = stage();
    stage.image(Eye::Left, at(&left, 1.0));
    stage.image(Eye::Left, at(&left, 2.0));
    stage.image(Eye::Right, at(&right, 2.0));
    let out = stage.tick();
    assert_eq!(out[0].as_ref().err(), Some(&PairFault::Stamps));
    assert_eq!(out[1].as_ref().unwrap().stamp, Stamp::from_secs(2.0));
    // More pairs than one tick has time for: the oldest go.
    for i in 0..9 {
        let mut images = [left.clone(), right.clone()];
        for image in &mut images {
            image.stamp = Stamp::from_secs(3.0 + f64::from(i));
            image.pixels[5] = i as u8;
        }
        let [l, r] = images;
        stage.image(Eye::Left, l);
        stage.image(Eye::Right, r);
    }
    let out = stage.tick();
    assert_eq!((out.len(), stage.dropped()), (6, 3));
    assert_eq!(out[5].as_ref().unwrap().stamp, Stamp::from_secs(11.0));
}
