//! The segmentation network: the Rust side of `tools/train_terrain/net.py`.

use super::layers::{Activation, Convolution, Depthwise, Map};
use super::weights::{Tensors, WeightsError};

/// Channels at half the size.
const STEM: usize = 32;
/// The encoder of EfficientNet-lite0 (Tan and Le 2019, without squeeze-and-excitation and with `ReLU6`).
const STAGES: [Stage; 7] = [
    Stage::of(1, 16, 3, 1, 1),
    Stage::of(6, 24, 3, 2, 2),
    Stage::of(6, 40, 5, 2, 2),
    Stage::of(6, 80, 3, 2, 3),
    Stage::of(6, 112, 5, 1, 3),
    Stage::of(6, 192, 5, 2, 4),
    Stage::of(6, 320, 3, 1, 1),
];
/// The last block at 1/4, 1/8, 1/16 and 1/32 of the image.
const TAPS: [usize; 4] = [2, 4, 10, 15];
/// Channels of the decoder.
const DECODER: usize = 64;
/// Length of the pooled features, [`Answer::pooled`].
pub const POOLED: usize = 320;
/// Classes that the network tells apart: soil, bedrock, sand, big rock.
pub const CLASSES: usize = 4;
/// Both sides of an image are multiples of this.
pub const MULTIPLE: usize = 32;
/// The answer has a pixel for so many of the image in each direction.
pub const SHRINK: usize = 4;

/// Blocks of one kind, one after the other.
#[derive(Clone, Copy, Debug)]
struct Stage {
    /// How many times more channels inside a block than before it.
    wider: usize,
    outputs: usize,
    kernel: usize,
    /// Of the first block; 1 in the others.
    stride: usize,
    blocks: usize,
}

impl Stage {
    const fn of(wider: usize, outputs: usize, kernel: usize, stride: usize, blocks: usize) -> Self {
        Self {
            wider,
            outputs,
            kernel,
            stride,
            blocks,
        }
    }
}

/// Wider, each channel with its neighbourhood, narrower again; beside the identity where the size stays.
#[derive(Clone, Debug)]
struct Block {
    expand: Option<Convolution>,
    depth: Depthwise,
    stride: usize,
    project: Convolution,
    beside: bool,
}

impl Block {
    fn new(
        tensors: &Tensors,
        index: usize,
        inputs: usize,
        stage: &Stage,
        stride: usize,
    ) -> Result<Self, WeightsError> {
        let name = |part: &str| format!("block.{index}.{part}");
        let inside = inputs * stage.wider;
        let expand = (stage.wider > 1)
            .then(|| tensors.convolution(&name("expand"), inputs, inside, 1))
            .transpose()?;
        Ok(Self {
            expand,
            depth: tensors.depthwise(&name("depth"), inside, stage.kernel)?,
            stride,
            project: tensors.convolution(&name("project"), inside, stage.outputs, 1)?,
            beside: stride == 1 && inputs == stage.outputs,
        })
    }

    fn apply(&self, x: &Map) -> Map {
        let depth = |y: &Map| self.depth.apply(y, self.stride, Activation::Relu6);
        let inside = match &self.expand {
            Some(expand) => depth(&expand.apply(x, 1, Activation::Relu6)),
            None => depth(x),
        };
        let mut y = self.project.apply(&inside, 1, Activation::None);
        if self.beside {
            y.add(x);
        }
        y
    }
}

/// The network with its weights.
#[derive(Clone, Debug)]
pub struct Net {
    stem: Convolution,
    blocks: Vec<Block>,
    /// From the encoder at 1/4, 1/8, 1/16 and 1/32 across to the decoder.
    lateral: Vec<Convolution>,
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
        let (mut blocks, mut lateral, mut width) = (Vec::new(), Vec::new(), STEM);
        for stage in &STAGES {
            for n in 0..stage.blocks {
                let stride = if n == 0 { stage.stride } else { 1 };
                let index = blocks.len();
                blocks.push(Block::new(tensors, index, width, stage, stride)?);
                width = stage.outputs;
                if TAPS.contains(&index) {
                    let name = format!("lateral.{}", lateral.len());
                    lateral.push(tensors.convolution(&name, width, DECODER, 1)?);
                }
            }
        }
        Ok(Self {
            stem: tensors.convolution("stem", 1, STEM, 3)?,
            blocks,
            lateral,
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
        let mut x = self.stem.apply(image, 2, Activation::Relu6);
        let mut across = Vec::new();
        for (k, block) in self.blocks.iter().enumerate() {
            x = block.apply(&x);
            if TAPS.contains(&k)
                && let Some(lateral) = self.lateral.get(across.len())
            {
                across.push(lateral.apply(&x, 1, Activation::None));
            }
        }
        let pooled = x.means();
        if let Some(coarsest) = across.last_mut() {
            coarsest.add_to_channels(&self.of_the_whole(&pooled));
            coarsest.cut();
        }
        let mut y: Option<Map> = None;
        for (k, mut lateral) in across.into_iter().enumerate().rev() {
            if let Some(coarser) = y.take() {
                lateral.add_and_cut(&coarser.enlarged(2));
                if k > 0 {
                    lateral = self.smooth[2 - k].apply(&lateral, 1, Activation::Relu);
                }
            }
            y = Some(lateral);
        }
        let logits = match y {
            Some(y) => self.head.apply(&y, 1, Activation::None),
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
        self.whole.apply(&one, 1, Activation::None).data
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
