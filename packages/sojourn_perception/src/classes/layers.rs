//! The few layers of the network, written for one core: a convolution is a copy of each pixel's neighbourhood
//! ("im2col") and one matrix product (nalgebra's, that is `matrixmultiply`), a strip of rows at a time so that the copy
//! stays in the cache; where each channel has a kernel of its own, rows are added up as they lie.
//!
//! An inference engine would be larger than the network: one that reads ONNX builds for seven minutes or wants a native
//! library beside the executable. The seven operations used here fit on a page.

use nalgebra::{DMatrixView, DMatrixViewMut, Dyn};
use wide::f32x4;

/// Pixels of one strip of a convolution.
const STRIP_PIXELS: usize = 256;

/// What follows a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// Nothing below zero.
    Relu,
    /// Nothing below zero, and nothing above six.
    Relu6,
}

impl Activation {
    fn apply(self, values: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Relu => values.iter_mut().for_each(|v| *v = v.max(0.0)),
            Self::Relu6 => values.iter_mut().for_each(|v| *v = v.clamp(0.0, 6.0)),
        }
    }
}

/// Rows and columns of zeros before the picture: with a stride of 1 as many as after it, with a stride of 2 and even
/// sides one fewer ("same" of TensorFlow).
fn zeros_before(size: usize, stride: usize) -> usize {
    size.saturating_sub(stride) / 2
}

/// A picture with many channels: channel by channel, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Number of channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Pixels a row.
    pub width: usize,
    /// `channels · height · width` values.
    pub data: Vec<f32>,
}

impl Map {
    /// All zero.
    #[must_use]
    pub fn zeros(channels: usize, height: usize, width: usize) -> Self {
        Self {
            channels,
            height,
            width,
            data: vec![0.0; channels * height * width],
        }
    }

    /// Pixels of one channel.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// One channel.
    #[must_use]
    pub fn channel(&self, index: usize) -> &[f32] {
        &self.data[index * self.pixels()..(index + 1) * self.pixels()]
    }

    /// The mean of every channel.
    #[must_use]
    pub fn means(&self) -> Vec<f32> {
        self.data
            .chunks_exact(self.pixels().max(1))
            .map(|c| (c.iter().map(|v| f64::from(*v)).sum::<f64>() / c.len() as f64) as f32)
            .collect()
    }

    /// Adds another map of the same size.
    pub fn add(&mut self, other: &Self) {
        for (a, b) in self.data.iter_mut().zip(&other.data) {
            *a += b;
        }
    }

    /// Adds another map of the same size, then cuts off what is negative.
    pub fn add_and_cut(&mut self, other: &Self) {
        for (a, b) in self.data.iter_mut().zip(&other.data) {
            *a = (*a + b).max(0.0);
        }
    }

    /// Adds one number to each channel.
    pub fn add_to_channels(&mut self, numbers: &[f32]) {
        let pixels = self.pixels().max(1);
        for (c, n) in self.data.chunks_exact_mut(pixels).zip(numbers) {
            for v in c {
                *v += n;
            }
        }
    }

    /// Cuts off what is negative.
    pub fn cut(&mut self) {
        Activation::Relu.apply(&mut self.data);
    }

    /// `times` as large in both directions, bilinear between pixel centres, edges repeated.
    #[must_use]
    pub fn enlarged(&self, times: usize) -> Self {
        let (h, w) = (self.height * times, self.width * times);
        let mut out = Self::zeros(self.channels, h, w);
        let across = taps(w, self.width, times);
        let down = taps(h, self.height, times);
        let (pixels_in, pixels_out) = (self.pixels(), h * w);
        let mut wide = vec![0.0_f32; self.height * w];
        for c in 0..self.channels {
            let from = &self.data[c * pixels_in..(c + 1) * pixels_in];
            for (row, wide) in from.chunks_exact(self.width).zip(wide.chunks_exact_mut(w)) {
                for (v, &(a, b, t)) in wide.iter_mut().zip(&across) {
                    *v = row[a] + t * (row[b] - row[a]);
                }
            }
            let to = &mut out.data[c * pixels_out..(c + 1) * pixels_out];
            for (row, &(a, b, t)) in to.chunks_exact_mut(w).zip(&down) {
                let (upper, lower) = (&wide[a * w..(a + 1) * w], &wide[b * w..(b + 1) * w]);
                for ((v, p), q) in row.iter_mut().zip(upper).zip(lower) {
                    *v = p + t * (q - p);
                }
            }
        }
        out
    }
}

/// For each output pixel the two input pixels around it and the share of the second.
fn taps(out: usize, from: usize, times: usize) -> Vec<(usize, usize, f32)> {
    (0..out)
        .map(|k| {
            let at = ((k as f32 + 0.5) / times as f32 - 0.5).max(0.0);
            let a = (at as usize).min(from.saturating_sub(1));
            let b = (a + 1).min(from.saturating_sub(1));
            (a, b, at - a as f32)
        })
        .collect()
}

/// A convolution of 1 × 1 or 3 × 3 with its bias; batch normalization is already inside.
#[derive(Clone, Debug)]
pub struct Convolution {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Width of the kernel: 1 or 3.
    pub size: usize,
    /// `[outputs][inputs][size][size]`.
    pub weights: Vec<f32>,
    /// One for each channel out.
    pub bias: Vec<f32>,
}

impl Convolution {
    /// The convolution with a stride of 1 or 2, zero around the picture.
    #[must_use]
    pub fn apply(&self, x: &Map, stride: usize, then: Activation) -> Map {
        let (h, w) = (x.height.div_ceil(stride), x.width.div_ceil(stride));
        let mut out = Map::zeros(self.outputs, h, w);
        let pixels = h * w;
        for (channel, b) in out.data.chunks_exact_mut(pixels.max(1)).zip(&self.bias) {
            channel.fill(*b);
        }
        let taps = self.inputs * self.size * self.size;
        let weights = DMatrixView::from_slice(&self.weights, taps, self.outputs);
        let rows = (STRIP_PIXELS / w.max(1)).max(1);
        let mut copy = vec![0.0_f32; rows * w * taps];
        for first in (0..h).step_by(rows) {
            let some = rows.min(h - first);
            let n = some * w;
            if self.size > 1 || stride > 1 {
                self.neighbourhoods(x, stride, first, some, w, &mut copy[..n * taps]);
            }
            let columns = if self.size > 1 || stride > 1 {
                DMatrixView::from_slice_with_strides_generic(
                    &copy[..n * taps],
                    Dyn(n),
                    Dyn(taps),
                    nalgebra::U1,
                    Dyn(n),
                )
            } else {
                DMatrixView::from_slice_with_strides_generic(
                    &x.data[first * w..],
                    Dyn(n),
                    Dyn(taps),
                    nalgebra::U1,
                    Dyn(pixels),
                )
            };
            let mut strip = DMatrixViewMut::from_slice_with_strides_generic(
                &mut out.data[first * w..],
                Dyn(n),
                Dyn(self.outputs),
                nalgebra::U1,
                Dyn(pixels),
            );
            strip.gemm(1.0, &columns, &weights, 1.0);
        }
        then.apply(&mut out.data);
        out
    }

    /// For `some` output rows from `first` on: one column of values for each tap of the kernel.
    fn neighbourhoods(
        &self,
        x: &Map,
        stride: usize,
        first: usize,
        some: usize,
        width_out: usize,
        copy: &mut [f32],
    ) {
        let before = zeros_before(self.size, stride);
        let n = some * width_out;
        let mut columns = copy.chunks_exact_mut(n);
        for c in 0..self.inputs {
            let channel = x.channel(c);
            for ky in 0..self.size {
                for kx in 0..self.size {
                    let Some(column) = columns.next() else { return };
                    for (k, to) in column.chunks_exact_mut(width_out).enumerate() {
                        let y = ((first + k) * stride + ky).wrapping_sub(before);
                        if y >= x.height {
                            to.fill(0.0);
                            continue;
                        }
                        let row = &channel[y * x.width..(y + 1) * x.width];
                        shifted(row, stride, kx as isize - before as isize, to);
                    }
                }
            }
        }
    }
}

/// Every `stride`-th pixel of a row, moved by `by`; zero outside.
fn shifted(row: &[f32], stride: usize, by: isize, to: &mut [f32]) {
    if stride == 1 && to.len() == row.len() {
        let n = row.len();
        match by {
            -1 => {
                to[0] = 0.0;
                to[1..].copy_from_slice(&row[..n - 1]);
            }
            1 => {
                to[..n - 1].copy_from_slice(&row[1..]);
                to[n - 1] = 0.0;
            }
            _ => to.copy_from_slice(row),
        }
        return;
    }
    for (k, v) in to.iter_mut().enumerate() {
        let at = (k * stride).wrapping_add_signed(by);
        *v = row.get(at).copied().unwrap_or(0.0);
    }
}

/// A convolution with a kernel for each channel alone ("depthwise"), with its bias.
#[derive(Clone, Debug)]
pub struct Depthwise {
    /// Channels in and out.
    pub channels: usize,
    /// Width of the kernels: 3 or 5.
    pub size: usize,
    /// `[channels][size][size]`.
    pub weights: Vec<f32>,
    /// One for each channel.
    pub bias: Vec<f32>,
}

impl Depthwise {
    /// The convolution with a stride of 1 or 2, zero around the picture.
    #[must_use]
    pub fn apply(&self, x: &Map, stride: usize, then: Activation) -> Map {
        let (h, w) = (x.height.div_ceil(stride), x.width.div_ceil(stride));
        let mut out = Map::zeros(self.channels, h, w);
        let (pixels, taps) = ((h * w).max(1), self.size * self.size);
        let mut phases = Phases::new(x.height, w, self.size, stride);
        let kernels = self.weights.chunks_exact(taps).zip(&self.bias);
        for (c, (to, (kernel, bias))) in out.data.chunks_exact_mut(pixels).zip(kernels).enumerate()
        {
            phases.fill(x.channel(c), x.width);
            for (oy, row) in to.chunks_exact_mut(w).enumerate() {
                self.row(&phases, oy, kernel, *bias, row);
            }
            then.apply(to);
        }
        out
    }

    /// One row of one channel, sixteen pixels at a time, so that their sums stay in registers over all taps.
    fn row(&self, phases: &Phases, row: usize, kernel: &[f32], bias: f32, to: &mut [f32]) {
        for (chunk, to) in to.chunks_mut(CHUNK).enumerate() {
            let mut sums = [f32x4::splat(bias); CHUNK / 4];
            for (ky, along) in kernel.chunks_exact(self.size).enumerate() {
                let y = (row * phases.stride + ky).wrapping_sub(phases.before);
                if y >= phases.height {
                    continue;
                }
                let first = y * phases.stride * phases.length + chunk * CHUNK;
                for (weight, offset) in along.iter().zip(&phases.offsets) {
                    let pixels = phases.values.get(first + offset..);
                    let Some(pixels) = pixels.and_then(|v| v.first_chunk::<CHUNK>()) else {
                        continue;
                    };
                    let weight = f32x4::splat(*weight);
                    let [a, b, c, d] = &mut sums;
                    *a += weight * four(pixels, 0);
                    *b += weight * four(pixels, 4);
                    *c += weight * four(pixels, 8);
                    *d += weight * four(pixels, 12);
                }
            }
            for (to, sum) in to.chunks_mut(4).zip(sums) {
                to.copy_from_slice(&sum.to_array()[..to.len()]);
            }
        }
    }
}

/// Pixels whose sums are made together.
const CHUNK: usize = 16;

/// Four of them.
#[inline]
fn four(pixels: &[f32; CHUNK], at: usize) -> f32x4 {
    f32x4::from([pixels[at], pixels[at + 1], pixels[at + 2], pixels[at + 3]])
}

/// The rows of one channel with zeros beside them, every `stride`-th pixel together, so that each tap of a kernel reads
/// neighbours.
struct Phases {
    before: usize,
    stride: usize,
    height: usize,
    /// Values of one phase of one row.
    length: usize,
    /// Where along a row each tap of a kernel's row begins.
    offsets: Vec<usize>,
    values: Vec<f32>,
}

impl Phases {
    fn new(height: usize, width_out: usize, size: usize, stride: usize) -> Self {
        let length = width_out.next_multiple_of(CHUNK) + size.div_ceil(stride);
        Self {
            before: zeros_before(size, stride),
            stride,
            height,
            length,
            offsets: (0..size)
                .map(|kx| (kx % stride) * length + kx / stride)
                .collect(),
            values: vec![0.0; height * stride * length],
        }
    }

    fn fill(&mut self, channel: &[f32], width: usize) {
        let (before, stride, length) = (self.before, self.stride, self.length);
        let rows = self.values.chunks_exact_mut(stride * length);
        for (row, to) in channel.chunks_exact(width.max(1)).zip(rows) {
            // Pixel x stands in phase (x + before) % stride.
            for (phase, to) in to.chunks_exact_mut(length).enumerate() {
                let first = (phase + stride - before % stride) % stride;
                let to = &mut to[(first + before) / stride..];
                for (v, p) in to.iter_mut().zip(row.iter().skip(first).step_by(stride)) {
                    *v = *p;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The convolution as its formula says it.
    fn plain(conv: &Convolution, x: &Map, stride: usize) -> Map {
        let (h, w) = (x.height.div_ceil(stride), x.width.div_ceil(stride));
        let mut out = Map::zeros(conv.outputs, h, w);
        let reach = zeros_before(conv.size, stride) as isize;
        for o in 0..conv.outputs {
            for oy in 0..h {
                for ox in 0..w {
                    let mut sum = f64::from(conv.bias[o]);
                    for c in 0..conv.inputs {
                        for ky in 0..conv.size {
                            for kx in 0..conv.size {
                                let y = (oy * stride + ky) as isize - reach;
                                let xx = (ox * stride + kx) as isize - reach;
                                if y < 0
                                    || xx < 0
                                    || y >= x.height as isize
                                    || xx >= x.width as isize
                                {
                                    continue;
                                }
                                let v = x.channel(c)[y as usize * x.width + xx as usize];
                                let k = ((o * conv.inputs + c) * conv.size + ky) * conv.size + kx;
                                sum += f64::from(v) * f64::from(conv.weights[k]);
                            }
                        }
                    }
                    out.data[(o * h + oy) * w + ox] = sum as f32;
                }
            }
        }
        out
    }

    fn noise(n: usize, seed: u64) -> Vec<f32> {
        use rand::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| rng.random::<f32>() - 0.5).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn strips_and_products_are_the_formula(
            inputs in 1_usize..7, outputs in 1_usize..9, h in 1_usize..40, w in 1_usize..40,
            wide in any::<bool>(), stride in 1_usize..3, seed in any::<u64>(),
        ) {
            let size = if wide { 3 } else { 1 };
            let conv = Convolution {
                inputs, outputs, size,
                weights: noise(outputs * inputs * size * size, seed),
                bias: noise(outputs, seed ^ 1),
            };
            let x = Map { channels: inputs, height: h, width: w, data: noise(inputs * h * w, seed ^ 2) };
            let (fast, slow) = (conv.apply(&x, stride, Activation::None), plain(&conv, &x, stride));
            prop_assert_eq!((fast.height, fast.width), (slow.height, slow.width));
            for (a, b) in fast.data.iter().zip(&slow.data) {
                prop_assert!((a - b).abs() < 1e-4, "{} {}", a, b);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn kernels_of_single_channels_are_the_formula(
            channels in 1_usize..5, h in 1_usize..24, w in 1_usize..24,
            wide in any::<bool>(), stride in 1_usize..3, seed in any::<u64>(),
        ) {
            let size = if wide { 5 } else { 3 };
            let depthwise = Depthwise {
                channels, size,
                weights: noise(channels * size * size, seed),
                bias: noise(channels, seed ^ 1),
            };
            // As a convolution over all channels whose other weights are none.
            let mut all = vec![0.0; channels * channels * size * size];
            for (c, kernel) in depthwise.weights.chunks_exact(size * size).enumerate() {
                let at = c * (channels + 1) * size * size;
                all[at..at + size * size].copy_from_slice(kernel);
            }
            let conv = Convolution {
                inputs: channels, outputs: channels, size, weights: all, bias: depthwise.bias.clone(),
            };
            let x = Map { channels, height: h, width: w, data: noise(channels * h * w, seed ^ 2) };
            let (fast, mut slow) = (depthwise.apply(&x, stride, Activation::Relu6), plain(&conv, &x, stride));
            Activation::Relu6.apply(&mut slow.data);
            prop_assert_eq!((fast.height, fast.width), (slow.height, slow.width));
            for (a, b) in fast.data.iter().zip(&slow.data) {
                prop_assert!((a - b).abs() < 1e-4, "{} {}", a, b);
            }
        }
    }

    #[test]
    fn nothing_is_below_zero_or_above_six() {
        let cut = |then: Activation| {
            let mut v = [-2.0, 3.0, 9.0];
            then.apply(&mut v);
            v
        };
        assert_eq!(cut(Activation::None), [-2.0, 3.0, 9.0]);
        assert_eq!(cut(Activation::Relu), [0.0, 3.0, 9.0]);
        assert_eq!(cut(Activation::Relu6), [0.0, 3.0, 6.0]);
    }

    #[test]
    fn doubling_keeps_planes_and_repeats_edges() {
        let x = Map {
            channels: 1,
            height: 2,
            width: 3,
            data: vec![0.0, 1.0, 2.0, 10.0, 11.0, 12.0],
        };
        let y = x.enlarged(2);
        assert_eq!((y.height, y.width), (4, 6));
        assert_eq!(y.data[..6], [0.0, 0.25, 0.75, 1.25, 1.75, 2.0]);
        assert_eq!(y.data[6], 2.5);
        assert_eq!(y.means(), vec![6.0]);
    }
}
