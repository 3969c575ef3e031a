//! The network in Rust beside the network in Python, and what it says of images that are none.

use sojourn_core::classes::SurfaceClass;
use sojourn_perception::classes::net::{CLASSES, MULTIPLE};
use sojourn_perception::classes::weights::WeightsError;
use sojourn_perception::classes::{Classifier, GreyImage, ImageError};
use std::time::Instant;

const WEIGHTS: &[u8] = include_bytes!("../../models/terrain.safetensors");
/// A made-up picture and what `tools/train_terrain/export.py` says of it with the same weights.
const REFERENCE: &[u8] = include_bytes!("data/terrain_reference.safetensors");

/// The made-up picture of `export.py`.
fn made_up(height: usize, width: usize) -> Vec<u8> {
    let level = |y: usize, x: usize| (x * x * 3 + y * 7 + (x * y) % 61 + ((x / 9) % 2) * 80) % 251;
    (0..height)
        .flat_map(|y| (0..width).map(move |x| level(y, x) as u8))
        .collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

#[test]
fn rust_says_what_python_says() {
    let reference = safetensors::SafeTensors::deserialize(REFERENCE).unwrap();
    let grey = reference.tensor("grey").unwrap();
    let (height, width) = (grey.shape()[0], grey.shape()[1]);
    assert_eq!(grey.data(), made_up(height, width));
    let image = GreyImage {
        width,
        height,
        data: grey.data(),
    };
    let said = Classifier::shipped().unwrap().answer(&image).unwrap();

    let logits = reference.tensor("logits").unwrap();
    assert_eq!(logits.shape(), [CLASSES, height / 4, width / 4]);
    let expected = floats(logits.data());
    let spread = expected.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    assert!(spread > 0.5, "the reference says nothing: {spread}");
    for (a, b) in said.logits.data.iter().zip(&expected) {
        assert!((a - b).abs() < 1e-3 * spread, "{a}, Python says {b}");
    }
    let pooled = floats(reference.tensor("pooled").unwrap().data());
    assert_eq!(said.pooled.len(), pooled.len());
    for (a, b) in said.pooled.iter().zip(&pooled) {
        assert!((a - b).abs() < 1e-3, "{a}, Python says {b}");
    }
}

#[test]
fn probabilities_are_probabilities_and_black_white_or_noise_is_unknown() {
    use rand::{Rng, SeedableRng};
    let classifier = Classifier::shipped().unwrap();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let noise: Vec<u8> = (0..256 * 256).map(|_| rng.random()).collect();
    for (name, data) in [
        ("black", vec![0; 65_536]),
        ("white", vec![255; 65_536]),
        ("noise", noise),
    ] {
        let said = classifier
            .classify(&GreyImage {
                width: 256,
                height: 256,
                data: &data,
            })
            .unwrap();
        let p = &said.probabilities;
        for pixel in (0..65_536).step_by(997) {
            let all: f32 = (0..CLASSES).map(|c| p.channel(c)[pixel]).sum();
            assert!((all - 1.0).abs() < 1e-5);
            assert_eq!(said.class(pixel, 0.0), SurfaceClass::Unknown, "{name}");
        }
        assert!(said.is_unlike(), "{name}: {}", said.distance);
    }
}

#[test]
fn images_that_do_not_suit_are_refused() {
    let classifier = Classifier::shipped().unwrap();
    let ask = |width, height, bytes| {
        classifier
            .classify(&GreyImage {
                width,
                height,
                data: &vec![9; bytes],
            })
            .map(|_| ())
    };
    assert_eq!(ask(64, 32, 64 * 32), Ok(()));
    assert_eq!(
        ask(0, 0, 0),
        Err(ImageError::Size {
            width: 0,
            height: 0
        })
    );
    assert_eq!(
        ask(65, 64, 65 * 64),
        Err(ImageError::Size {
            width: 65,
            height: 64
        })
    );
    let huge = MULTIPLE << 20;
    assert_eq!(
        ask(huge, 32, 0),
        Err(ImageError::Size {
            width: huge,
            height: 32
        })
    );
    assert_eq!(
        ask(64, 64, 100),
        Err(ImageError::Bytes {
            found: 100,
            expected: 4096
        })
    );
}

#[test]
fn weights_that_are_none_are_refused() {
    let cut = Classifier::new(&WEIGHTS[..WEIGHTS.len() / 2]).unwrap_err();
    assert!(matches!(cut, WeightsError::NotSafetensors(_)), "{cut}");
    assert!(Classifier::new(b"").is_err());
    let other = Classifier::new(REFERENCE).unwrap_err();
    assert!(matches!(other, WeightsError::Format { .. }), "{other}");
    let mut broken = WEIGHTS.to_vec();
    let n = broken.len();
    broken[n - 4000..].fill(0xff);
    let broken = Classifier::new(&broken).unwrap_err();
    assert!(matches!(broken, WeightsError::Numbers { .. }), "{broken}");
}

/// Prints the time of one image on one core: the target is 60 ms.
#[test]
fn one_image_takes_a_fraction_of_a_second() {
    let classifier = Classifier::shipped().unwrap();
    let data = made_up(256, 256);
    let image = GreyImage {
        width: 256,
        height: 256,
        data: &data,
    };
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let started = Instant::now();
            let _ = classifier.classify(&image).unwrap();
            1e3 * started.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "256 x 256 with its mirror image: least {:.0} ms, median {:.0} ms",
        times[0], times[4]
    );
    assert!(times[0] < 1000.0);
}
