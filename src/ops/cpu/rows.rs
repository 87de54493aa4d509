//! Rows of tensors, chosen by their numbers.

use super::memory::{Input, even};
use crate::ops::types::result::Result;
use candle_core::Tensor;

/// Rows of x `[B, N, C]` chosen by `index` `[B, k]` u32, `blank` `[1, 1, C]` where `valid` `[1, N]` is 0: `[B, k, C]`. A batch of 1 of x stands
/// for all.
pub(crate) fn gather_rows(
    x: &Tensor,
    index: &Tensor,
    blank: Option<(&Tensor, &Tensor)>,
) -> Result<Tensor> {
    let ((images, n, c), (b, k)) = (x.dims3()?, index.dims2()?);
    let fits =
        |(valid, blank): (&Tensor, &Tensor)| valid.dims() == [1, n] && blank.dims() == [1, 1, c];
    if (images != b && images != 1) || !blank.is_none_or(fits) {
        candle_core::bail!("gather_rows: {:?} by {:?}", x.shape(), index.shape());
    }
    let (x, index) = (even(x)?, index.contiguous()?);
    let (rows, index) = (
        Input::<f32>::new(&x, "gather_rows")?,
        Input::<u32>::new(&index, "gather_rows")?,
    );
    let blank = match blank {
        Some((valid, blank)) => Some((
            valid.to_vec2::<f32>()?.concat(),
            blank.flatten_all()?.to_vec1::<f32>()?,
        )),
        None => None,
    };
    let mut out = Vec::with_capacity(b * k * c);
    for (at, &row) in index.slice().iter().take(b * k).enumerate() {
        let row = row as usize;
        if row >= n {
            candle_core::bail!("gather_rows: row {row} of {n}");
        }
        let image = if images == 1 { 0 } else { at / k };
        match &blank {
            Some((valid, blank)) if valid[row] == 0.0 => out.extend_from_slice(blank),
            _ => out.extend_from_slice(&rows.slice()[(image * n + row) * rows.stride..][..c]),
        }
    }
    Tensor::from_vec(out, (b, k, c), x.device())
}
