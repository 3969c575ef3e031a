//! Reads network weights: the safetensors format, numbers in half or single precision.

use super::layers::{Convolution, Depthwise};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// The key in a weights file's metadata that this version reads; its value is the card, JSON.
pub const FORMAT: &str = "sojourn terrain 2";

/// Why weights cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// Not a safetensors file, or a truncated one.
    #[error("weights: not a safetensors file: {0}")]
    NotSafetensors(String),
    /// Made for something else.
    #[error("weights: metadata {found:?}, expected {FORMAT:?}")]
    Format {
        /// The keys of its metadata.
        found: Vec<String>,
    },
    /// A tensor is missing.
    #[error("weights: no tensor {0:?}")]
    Missing(String),
    /// A tensor has another shape.
    #[error("weights: tensor {name:?} has the shape {found:?}, expected {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The network's.
        expected: Vec<usize>,
    },
    /// A tensor holds something else than f16 or f32, or something that is not finite.
    #[error("weights: tensor {name:?} holds {found}, expected finite numbers as F16 or F32")]
    Numbers {
        /// The tensor.
        name: String,
        /// What it holds.
        found: String,
    },
}

/// The tensors of a file.
pub struct Tensors<'a> {
    tensors: SafeTensors<'a>,
    card: String,
}

impl<'a> Tensors<'a> {
    /// Reads the file's head; the tensors themselves are read when asked for.
    ///
    /// # Errors
    /// [`WeightsError::NotSafetensors`] or [`WeightsError::Format`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, WeightsError> {
        let bad = |e: safetensors::SafeTensorError| WeightsError::NotSafetensors(e.to_string());
        let (_, head) = SafeTensors::read_metadata(bytes).map_err(bad)?;
        let facts = head.metadata().clone().unwrap_or_default();
        let Some(card) = facts.get(FORMAT).cloned() else {
            let mut found: Vec<String> = facts.into_keys().collect();
            found.sort();
            return Err(WeightsError::Format { found });
        };
        Ok(Self {
            tensors: SafeTensors::deserialize(bytes).map_err(bad)?,
            card,
        })
    }

    /// What the export wrote about the training, as JSON.
    #[must_use]
    pub fn card(&self) -> &str {
        &self.card
    }

    /// One tensor of exactly this shape.
    ///
    /// # Errors
    /// [`WeightsError`] that names it.
    pub fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let tensor = self
            .tensors
            .tensor(name)
            .map_err(|_| WeightsError::Missing(name.into()))?;
        if tensor.shape() != shape {
            return Err(WeightsError::Shape {
                name: name.into(),
                found: tensor.shape().to_vec(),
                expected: shape.to_vec(),
            });
        }
        let numbers = read(&tensor).ok_or_else(|| WeightsError::Numbers {
            name: name.into(),
            found: format!("{:?}", tensor.dtype()),
        })?;
        match numbers.iter().find(|v| !v.is_finite()) {
            Some(v) => Err(WeightsError::Numbers {
                name: name.into(),
                found: v.to_string(),
            }),
            None => Ok(numbers),
        }
    }

    /// One convolution: `<name>.weight` and `<name>.bias`.
    ///
    /// # Errors
    /// [`WeightsError`] that names the tensor.
    pub fn convolution(
        &self,
        name: &str,
        inputs: usize,
        outputs: usize,
        size: usize,
    ) -> Result<Convolution, WeightsError> {
        Ok(Convolution {
            inputs,
            outputs,
            size,
            weights: self.numbers(&format!("{name}.weight"), &[outputs, inputs, size, size])?,
            bias: self.numbers(&format!("{name}.bias"), &[outputs])?,
        })
    }

    /// One convolution with a kernel for each channel alone: `<name>.weight` and `<name>.bias`.
    ///
    /// # Errors
    /// [`WeightsError`] that names the tensor.
    pub fn depthwise(
        &self,
        name: &str,
        channels: usize,
        size: usize,
    ) -> Result<Depthwise, WeightsError> {
        Ok(Depthwise {
            channels,
            size,
            weights: self.numbers(&format!("{name}.weight"), &[channels, 1, size, size])?,
            bias: self.numbers(&format!("{name}.bias"), &[channels])?,
        })
    }
}

/// The numbers of a tensor in half or single precision, little-endian.
fn read(tensor: &TensorView<'_>) -> Option<Vec<f32>> {
    let bytes = tensor.data();
    match tensor.dtype() {
        Dtype::F32 => Some(
            bytes
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        ),
        Dtype::F16 => Some(
            bytes
                .chunks_exact(2)
                .map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())
                .collect(),
        ),
        _ => None,
    }
}
