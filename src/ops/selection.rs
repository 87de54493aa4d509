//! Choosing among many tokens.

use super::{Result, cpu, cuda, torch_ties};
use candle_core::{CpuStorage, CustomOp1, D, Layout, Shape, Tensor};

/// Which of equal numbers [`top_k_with_ties`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ties {
    /// Those that come first.
    #[default]
    First,
    /// Those that PyTorch takes on the CPU, to be compared with it.
    Torch,
}

/// Positions of the `k` largest numbers in each row of x `[…, N]` f32, best first, equal ones by position: `[…, k]` u32.
///
/// Numbers are ordered as by IEEE 754's total order, so that a NaN does not make the result arbitrary.
///
/// # Errors
/// If x is not f32 or `k` is 0 or more than N (on a GPU: than 2,048).
pub fn top_k(x: &Tensor, k: usize) -> Result<Tensor> {
    top_k_with_ties(x, k, Ties::First)
}

/// As [`top_k`], where `ties` says which of equal numbers are taken.
///
/// # Errors
/// As [`top_k`], and on a GPU for [`Ties::Torch`].
pub fn top_k_with_ties(x: &Tensor, k: usize, ties: Ties) -> Result<Tensor> {
    match ties {
        _ if cpu::is_cpu(x) => x.contiguous()?.apply_op1_no_bwd(&TopK { k, ties }),
        Ties::First => cuda::top_k(x, k),
        Ties::Torch => {
            candle_core::bail!("top-k: ties as PyTorch breaks them are there on the CPU only")
        }
    }
}

/// The greatest number of each row of x `[B, N, K]`, that of `blank` `[1, 1]` where `valid` `[1, N]` is 0 and not 1: `[B, N]` f32.
///
/// # Errors
/// If the shapes do not fit.
pub fn best_scores(x: &Tensor, valid: &Tensor, blank: &Tensor) -> Result<Tensor> {
    if cpu::is_cpu(x) {
        blend(&x.max(D::Minus1)?, blank, valid)
    } else {
        cuda::best_scores(x, valid, blank)
    }
}

/// Rows of x `[B, N, C]` chosen by `index` `[B, k]`, `blank` `[1, 1, C]` f32 where `valid` `[1, N]` is 0 and not 1, and the same rows of
/// `anchors` `[1, N, 4]`: `[B, k, C]` and `[B, k, 4]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn gather_queries(
    x: &Tensor,
    index: &Tensor,
    valid: &Tensor,
    blank: &Tensor,
    anchors: &Tensor,
) -> Result<(Tensor, Tensor)> {
    if !cpu::is_cpu(x) {
        return cuda::gather_queries(x, index, valid, blank, anchors);
    }
    Ok((
        cpu::gather_rows(x, index, Some((valid, blank)))?,
        cpu::gather_rows(anchors, index, None)?,
    ))
}

/// `x` where `valid` is 1, `blank` where it is 0.
fn blend(x: &Tensor, blank: &Tensor, valid: &Tensor) -> Result<Tensor> {
    x.broadcast_mul(valid)?
        + valid
            .affine(-1.0, 1.0)?
            .broadcast_mul(blank)?
            .broadcast_as(x.shape())?
}

struct TopK {
    k: usize,
    ties: Ties,
}

impl CustomOp1 for TopK {
    fn name(&self) -> &'static str {
        "top-k"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let CpuStorage::F32(values) = storage else {
            candle_core::bail!("top-k takes f32")
        };
        let mut dims = layout.dims().to_vec();
        let (Some((start, end)), Some(last)) = (layout.contiguous_offsets(), dims.last_mut())
        else {
            candle_core::bail!("top-k takes contiguous rows")
        };
        let n = std::mem::replace(last, self.k);
        if self.k == 0 || self.k > n {
            candle_core::bail!("top-k: {} of {n} numbers", self.k);
        }
        let mut chosen = Vec::with_capacity(dims.iter().product());
        let mut keys = Vec::with_capacity(n);
        for row in values[start..end].chunks_exact(n) {
            let key = |at: u32| rank(row[at as usize], at);
            keys.clear();
            match self.ties {
                Ties::First => keys.extend((0..n as u32).map(key)),
                Ties::Torch => keys.extend(torch_ties::chosen(row, self.k).into_iter().map(key)),
            }
            if self.k < keys.len() {
                keys.select_nth_unstable(self.k - 1);
            }
            keys.truncate(self.k);
            keys.sort_unstable();
            chosen.extend(keys.iter().map(|&key| key as u32));
        }
        Ok((CpuStorage::U32(chosen), Shape::from(dims)))
    }
}

/// Orders numbers by IEEE 754's total order, the greatest first, equal ones by position, which is the lower half.
fn rank(number: f32, at: u32) -> u64 {
    let bits = number.to_bits();
    let descending = if number.is_sign_negative() {
        bits
    } else {
        !bits & !(1 << 31)
    };
    u64::from(descending) << 32 | u64::from(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn top_k_breaks_ties_by_position() {
        let x = Tensor::new(
            &[[1f32, 3.0, 3.0, 2.0, 3.0], [0.0, 0.0, 0.0, 0.0, -1.0]],
            &Device::Cpu,
        )
        .unwrap();
        let top = top_k(&x, 3).unwrap().to_vec2::<u32>().unwrap();
        assert_eq!(top, [[1, 2, 4], [0, 1, 2]]);
        assert!(top_k(&x, 6).is_err());
    }

    #[test]
    fn numbers_are_in_the_total_order() {
        let greatest_first = [
            f32::NAN,
            f32::INFINITY,
            2.0,
            1e-40,
            0.0,
            -0.0,
            -1e-40,
            -3.0,
            -f32::NAN,
        ];
        let x = Tensor::new(&greatest_first[..], &Device::Cpu).unwrap();
        let top = top_k(&x, 9).unwrap().to_vec1::<u32>().unwrap();
        assert_eq!(top, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
