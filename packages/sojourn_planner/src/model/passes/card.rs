//! The calibration card: how far a model's coordinates are off.

use super::super::prompts::system;
use super::super::schemas;
use super::super::talk::{NoAnswer, Talk, read};
use super::super::turn::{Block, Purpose};
use super::super::view::{SIDE_PX, calibration_card};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sojourn_core::geometry::Xy;
use std::sync::Arc;

/// How far a model's coordinates are off, from the card.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calibration {
    /// Root mean square distance from the true places, pixels.
    pub rms_px: f64,
    /// Greatest distance, pixels.
    pub worst_px: f64,
    /// Scale of the model's coordinates by the true ones, right and down; negative when an axis is turned over.
    pub scale: [f64; 2],
    /// Whether coordinates of this model are used.
    pub good: bool,
    /// One sentence.
    pub text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardAnswer {
    crosses: Vec<Cross>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cross {
    name: String,
    x: f64,
    y: f64,
}

/// Asks for the crosses of the card.
pub(crate) fn calibrate(talk: &mut Talk<'_>) -> Result<Calibration, NoAnswer> {
    let (card, truth) = calibration_card().map_err(NoAnswer::own)?;
    let request = talk.request(
        Purpose::Calibrate,
        &system(Purpose::Calibrate),
        vec![
            Block::Image(card),
            Block::Text(
                json!({"width_px": SIDE_PX, "height_px": SIDE_PX, "crosses": truth.len()})
                    .to_string(),
            ),
        ],
        ("card", schemas::card()),
        Arc::default(),
    );
    let reply = talk.ask(&request)?;
    let answer: CardAnswer = read(&reply, talk.limits).map_err(NoAnswer::Unreadable)?;
    let p = &talk.config.protocol;
    let out = fit(
        &answer,
        &truth,
        p.calibration_residual_px,
        p.calibration_scale,
    );
    talk.note("calibration", out.text.clone());
    Ok(out)
}

fn fit(answer: &CardAnswer, truth: &[(String, Xy)], most_px: f64, most_scale: f64) -> Calibration {
    let mut pairs: Vec<(Xy, Xy)> = Vec::new();
    for (name, t) in truth {
        if let Some(c) = answer
            .crosses
            .iter()
            .find(|c| c.name.trim().eq_ignore_ascii_case(name))
        {
            pairs.push(([c.x, c.y], *t));
        }
    }
    let n = pairs.len() as f64;
    let off: Vec<f64> = pairs
        .iter()
        .map(|(a, t)| (a[0] - t[0]).hypot(a[1] - t[1]))
        .collect();
    let worst_px = off.iter().copied().fold(0.0, f64::max);
    let rms_px = (off.iter().map(|d| d * d).sum::<f64>() / n.max(1.0)).sqrt();
    // Least squares of what was said over what is true, each axis by itself.
    let scale = [0, 1].map(|k| {
        let mean = |f: &dyn Fn(&(Xy, Xy)) -> f64| pairs.iter().map(f).sum::<f64>() / n.max(1.0);
        let (ma, mt) = (mean(&|p| p.0[k]), mean(&|p| p.1[k]));
        let var = mean(&|p| (p.1[k] - mt) * (p.1[k] - mt));
        mean(&|p| (p.0[k] - ma) * (p.1[k] - mt)) / var.max(1e-9)
    });
    let all = pairs.len() == truth.len();
    let good = all && rms_px <= most_px && scale.iter().all(|s| (s - 1.0).abs() <= most_scale);
    let verdict = if good {
        "its coordinates are used"
    } else {
        "its coordinates are not used; it labels numbered cells and picks among routes"
    };
    Calibration {
        rms_px,
        worst_px,
        scale,
        good,
        text: format!(
            "the model placed {} of {} crosses, {rms_px:.1} px off (RMS, limit {most_px}), scale {:.3} and {:.3}: {verdict}",
            pairs.len(),
            truth.len(),
            scale[0],
            scale[1]
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(f: impl Fn(Xy) -> Xy) -> Calibration {
        let (_, truth) = calibration_card().unwrap();
        let crosses = truth
            .iter()
            .map(|(name, p)| {
                let [x, y] = f(*p);
                Cross {
                    name: name.to_lowercase(),
                    x,
                    y,
                }
            })
            .collect();
        fit(&CardAnswer { crosses }, &truth, 5.0, 0.01)
    }

    #[test]
    fn the_card_finds_wrong_coordinates_out() {
        assert!(card(|p| p).good);
        assert!(card(|p| [p[0] + 2.0, p[1] - 2.0]).good);
        let flipped = card(|p| [p[0], 1000.0 - p[1]]);
        assert!(
            !flipped.good && (flipped.scale[1] + 1.0).abs() < 1e-9,
            "{flipped:?}"
        );
        let scaled = card(|p| [p[0] * 0.75, p[1] * 0.75]);
        assert!(!scaled.good && (scaled.scale[0] - 0.75).abs() < 1e-9);
        assert!(!card(|p| [p[1], p[0]]).good);
        assert!(!card(|_| [500.0, 500.0]).good);
        let (_, truth) = calibration_card().unwrap();
        assert!(!fit(&CardAnswer { crosses: vec![] }, &truth, 5.0, 0.01).good);
    }
}
