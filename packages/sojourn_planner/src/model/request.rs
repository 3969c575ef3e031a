//! The request in the form of the Messages API: one image, one question, an answer bound to a schema.

use super::provider::ModelRequest;
use super::render::View;
use crate::error::PlanError;
use crate::route::PlanRequest;
use base64::Engine;
use serde_json::{Value, json};
use sojourn_core::CoreError;
use sojourn_core::classes::CLASSES;
use sojourn_core::constraints::Constraints;
use sojourn_core::plan::sha256_hex;

/// Room for the answer, tokens.
const MAX_TOKENS: u32 = 16_000;

/// The schema of the answer. Ranges and counts are not in it: the documented subset has none, so they are checked when
/// the answer is read.
#[must_use]
pub fn answer_schema() -> Value {
    let classes: Vec<&str> = CLASSES.iter().map(|c| c.name).collect();
    json!({
        "type": "object",
        "properties": {
            "summary": {"type": "string", "description": "One sentence on the ground between start and goal."},
            "labels": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "class": {"type": "string", "enum": classes},
                        "polygon": {
                            "type": "array",
                            "description": "Outline in pixels of the image, x right, y down, at least three points.",
                            "items": {
                                "type": "object",
                                "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
                                "required": ["x", "y"],
                                "additionalProperties": false
                            }
                        },
                        "confidence": {"type": "number", "description": "0 to 1."},
                        "reason": {"type": "string", "description": "What in the image says so."}
                    },
                    "required": ["class", "polygon", "confidence", "reason"],
                    "additionalProperties": false
                }
            }
        },
        "required": ["summary", "labels"],
        "additionalProperties": false
    })
}

/// The request for a view.
///
/// # Errors
/// [`PlanError::Core`] when it cannot be written as JSON.
pub fn build(
    view: &View,
    model: &str,
    request: &PlanRequest,
    constraints: &Constraints,
) -> Result<ModelRequest, PlanError> {
    let image = base64::engine::general_purpose::STANDARD.encode(&view.png);
    let [s, g] = [request.start_m, request.goal_m].map(|p| view.px_from_map(p));
    let classes: Vec<&str> = CLASSES.iter().map(|c| c.name).collect();
    let kind = if view.image {
        "an orbital image"
    } else {
        "a hillshade of the elevation model, lit from the north-west"
    };
    let system = "You label terrain for a rover's route planner. Slope and roughness are measured already; \
                  you add what shape alone does not tell: sand, ripples, boulder fields, outcrop, scarps. \
                  Your labels can only add cost or forbid ground. Label what you see with the confidence you have; \
                  when nothing stands out, return no label.";
    let question = format!(
        "The image is {kind}, north up, {} x {} pixels, {:.3} metres per pixel; the light lines are {} metres apart. \
         The rover starts at the green cross, pixel ({:.0}, {:.0}), and goes to the red ring, pixel ({:.0}, {:.0}). \
         Ground steeper than {:.0} degrees is closed already. Give polygons in pixels for ground of the classes {} \
         between and around them, at most {} labels.",
        view.width_px,
        view.height_px,
        view.metres_per_px,
        view.grid_m,
        s[0],
        s[1],
        g[0],
        g[1],
        constraints.max_slope_deg,
        classes.join(", "),
        super::MAX_LABELS,
    );
    let body = json!({
        "model": model,
        "max_tokens": MAX_TOKENS,
        "system": system,
        "messages": [{
            "role": "user",
            "content": [
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": image},
                    // A picture that is scaled on the way would shift every coordinate.
                    "transformations": {"oversized_image": "error"}
                },
                {"type": "text", "text": question}
            ]
        }],
        "output_config": {
            "effort": "high",
            "format": {"type": "json_schema", "schema": answer_schema()}
        }
    });
    let body = serde_json::to_string(&body)
        .map_err(|e| CoreError::format("model request", e.to_string()))?;
    let sha256 = sha256_hex(body.as_bytes());
    Ok(ModelRequest { body, sha256 })
}
