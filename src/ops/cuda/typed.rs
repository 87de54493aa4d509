//! A constant of a layer in each type that inputs come in.

use crate::ops::Result;
use candle_core::{DType, Tensor};
use std::sync::OnceLock;

/// Numbers in f32, and what they are in the types that were asked for so far.
#[derive(Debug)]
pub(super) struct Typed {
    f32: Tensor,
    f16: OnceLock<Tensor>,
    bf16: OnceLock<Tensor>,
}

impl Typed {
    /// Of contiguous f32 numbers.
    pub(super) fn new(f32: Tensor) -> Self {
        Self { f32, f16: OnceLock::new(), bf16: OnceLock::new() }
    }

    /// The numbers in `dtype`. They are converted at the first call, which must come before a graph capture.
    pub(super) fn get(&self, dtype: DType) -> Result<&Tensor> {
        let cell = match dtype {
            DType::F32 => return Ok(&self.f32),
            DType::F16 => &self.f16,
            DType::BF16 => &self.bf16,
            _ => candle_core::bail!("no constants of {dtype:?}"),
        };
        if cell.get().is_none() {
            let converted = self.f32.to_dtype(dtype)?;
            let _ = cell.set(converted);
        }
        cell.get().ok_or_else(|| candle_core::Error::Msg("a constant that was set is not there".to_owned()))
    }
}
