//! The segmentation network: the Rust side of `tools/train_terrain/net.py`.

use super::layers::{Convolution, Map};
use super::weights::{Tensors, WeightsError};

/// Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image.
const WIDTHS: [usize; 5] = [16, 24, 48, 96, 160];
/// Residual blocks at 1/4, 1/8, 1/16 and 1/32.
const BLOCKS: [usize; 4] = [1, 2, 2, 2];
/// Channels of the decoder.
const DECODER: usize = 48;
/// Length of the pooled features, [`Answer::pooled`].
pub const POOLED: usize = WIDTHS[4];
/// Classes that the network tells apart: soil, bedrock, sand, big rock.
pub const CLASSES: usize = 4;
/// Both sides of an image are multiples of this.
pub const MULTIPLE: usize = 32;
/// The answer has a pixel for so many of the image in each direction.
pub const SHRINK: usize = 4;

/// Two convolutions beside the identity.
#[derive(Clone, Debug)]
struct Block {
    a: Convolution,
    b: Convolution,
}

/// One resolution: down to it, its blocks, and the way across to the decoder.
#[derive(Clone, Debug)]
struct Level {
    down: Convolution,
    blocks: Vec<Block>,
    lateral: Convolution,
}

/// The network with its weights.
#[derive(Clone, Debug)]
pub struct Net {
    stem: Convolution,
    levels: Vec<Level>,
    /// From the pooled features to an offset of the coarsest decoder level.
    whole: Convolution,
    /// After the levels 1/16 and 1/8.
    smooth: [Convolution; 2],
    head: Convolution,
}

/// What the network says of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Logits of the four classes at a quarter of the size.
    pub logits: Map,
    /// Mean of the coarsest features over the image: what kind of picture it is.
    pub pooled: Vec<f32>,
}

impl Net {
    /// Takes the weights out of a file's tensors.
    ///
    /// # Errors
    /// [`WeightsError`] that names the tensor that is missing, of another shape, or not finite.
    pub fn new(tensors: &Tensors) -> Result<Self, WeightsError> {
        let mut levels = Vec::new();
        for (k, count) in BLOCKS.into_iter().enumerate() {
            let (from, width) = (WIDTHS[k], WIDTHS[k + 1]);
            let blocks = (0..count)
                .map(|b| {
                    Ok(Block {
                        a: tensors.convolution(&format!("block.{k}.{b}.a"), width, width, 3)?,
                        b: tensors.convolution(&format!("block.{k}.{b}.b"), width, width, 3)?,
                    })
                })
                .collect::<Result<_, _>>()?;
            levels.push(Level {
                down: tensors.convolution(&format!("down.{k}"), from, width, 3)?,
                blocks,
                lateral: tensors.convolution(&format!("lateral.{k}"), width, DECODER, 1)?,
            });
        }
        Ok(Self {
            stem: tensors.convolution("stem", 1, WIDTHS[0], 3)?,
            levels,
            whole: tensors.convolution("whole", POOLED, DECODER, 1)?,
            smooth: [
                tensors.convolution("smooth.0", DECODER, DECODER, 3)?,
                tensors.convolution("smooth.1", DECODER, DECODER, 3)?,
            ],
            head: tensors.convolution("head", DECODER, CLASSES, 1)?,
        })
    }

    /// The answer to one standardized image of one channel, whose sides are multiples of [`MULTIPLE`].
    #[must_use]
    pub fn answer(&self, image: &Map) -> Answer {
        let mut x = self.stem.apply(image, 2, true);
        let mut across = Vec::new();
        let mut pooled = Vec::new();
        for (k, level) in self.levels.iter().enumerate() {
            x = level.down.apply(&x, 2, true);
            for block in &level.blocks {
                let a = block.a.apply(&x, 1, true);
                x.add_and_cut(&block.b.apply(&a, 1, false));
            }
            let mut lateral = level.lateral.apply(&x, 1, false);
            if k + 1 == self.levels.len() {
                pooled = x.means();
                lateral.add_to_channels(&self.of_the_whole(&pooled));
                lateral.cut();
            }
            across.push(lateral);
        }
        let mut y: Option<Map> = None;
        for (k, mut lateral) in across.into_iter().enumerate().rev() {
            if let Some(coarser) = y.take() {
                lateral.add_and_cut(&coarser.enlarged(2));
                if k > 0 {
                    lateral = self.smooth[2 - k].apply(&lateral, 1, true);
                }
            }
            y = Some(lateral);
        }
        let logits = match y {
            Some(y) => self.head.apply(&y, 1, false),
            None => Map::zeros(CLASSES, 0, 0),
        };
        Answer { logits, pooled }
    }

    /// The mean of the answers to an image and to its mirror image.
    #[must_use]
    pub fn answer_both_ways(&self, image: &Map) -> Answer {
        let mut a = self.answer(image);
        let mut b = self.answer(&mirrored(image));
        b.logits = mirrored(&b.logits);
        for (v, w) in a.logits.data.iter_mut().zip(&b.logits.data) {
            *v = 0.5 * (*v + w);
        }
        for (v, w) in a.pooled.iter_mut().zip(&b.pooled) {
            *v = 0.5 * (*v + w);
        }
        a
    }

    /// Offset of the coarsest decoder level.
    fn of_the_whole(&self, pooled: &[f32]) -> Vec<f32> {
        let one = Map {
            channels: pooled.len(),
            height: 1,
            width: 1,
            data: pooled.to_vec(),
        };
        self.whole.apply(&one, 1, false).data
    }
}

/// Left and right exchanged.
fn mirrored(x: &Map) -> Map {
    let mut out = x.clone();
    for row in out.data.chunks_exact_mut(x.width.max(1)) {
        row.reverse();
    }
    out
}
