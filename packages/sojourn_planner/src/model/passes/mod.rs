//! Questions with one answer each: the calibration card, labels, cells, the pick, the critic.

mod card;
mod labels;
mod routes;

use super::desk::Desk;
use super::surface::SurfaceView;
use super::turn::Block;
use super::view::View;
use std::sync::Arc;

pub use card::Calibration;
pub(crate) use card::calibrate;
pub(crate) use labels::{Labelled, cells, scan, show_ground};
pub use routes::Criticism;
pub(crate) use routes::{criticise, pick};

fn pictures(desk: &Desk<'_>, views: &[&View]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for v in views {
        blocks.push(Block::Image(Arc::clone(&v.picture)));
        blocks.push(Block::Text(desk.caption(v).to_string()));
    }
    blocks
}

/// Pictures from the surface, each with what is told of it.
fn from_the_surface<'v>(
    desk: &Desk<'_>,
    views: impl IntoIterator<Item = &'v SurfaceView>,
) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for v in views {
        blocks.push(Block::Image(Arc::clone(&v.picture)));
        blocks.push(Block::Text(desk.surface_caption(v).to_string()));
    }
    blocks
}
