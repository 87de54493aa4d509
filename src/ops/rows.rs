//! How tensors lie in memory: evenly spaced rows, which kernels take instead of contiguous ones, copies without gaps, and other types.

use super::{activation::concat_channels, cpu, cuda, types::result::Result};
use candle_core::{DType, Tensor};

/// The tensor itself where it is contiguous, else a contiguous copy.
///
/// # Errors
/// If memory ran out.
pub fn contiguous(x: &Tensor) -> Result<Tensor> {
    if cpu::is_cpu(x) {
        x.contiguous()
    } else {
        cuda::contiguous(x)
    }
}

/// The tensor itself where it is of `dtype`, else its numbers, f32, rounded to `dtype`.
///
/// # Errors
/// On a GPU for other types than f32 to f16 or bf16.
pub fn convert(x: &Tensor, dtype: DType) -> Result<Tensor> {
    match x.dtype() == dtype {
        true => Ok(x.clone()),
        false if cpu::is_cpu(x) => x.to_dtype(dtype),
        false => cuda::converted(x, dtype),
    }
}

/// The images of x `[B, …]` that `which` `[N]` u32 names: `[N, …]`. On a GPU a number beyond the last image stands for the last, and an image is
/// a multiple of 16 bytes.
///
/// # Errors
/// If there are no images, or on the CPU a number is beyond the last.
pub fn take_images(x: &Tensor, which: &Tensor) -> Result<Tensor> {
    if cpu::is_cpu(x) {
        return x.index_select(which, 0);
    }
    cuda::take_images(x, which)
}

/// Tensors of the same sizes but for the first dimension one after the other in it.
///
/// # Errors
/// If there are none, or other sizes differ.
pub fn concat_batches(parts: &[Tensor]) -> Result<Tensor> {
    let one = |x: &Tensor| contiguous(x)?.reshape((1, ()));
    let (sizes, mut count) = (
        parts
            .first()
            .map_or(&[][..], |x| x.dims().get(1..).unwrap_or(&[])),
        0,
    );
    for part in parts {
        match part.dims().split_first() {
            Some((first, rest)) if rest == sizes => count += first,
            _ => candle_core::bail!(
                "concat_batches: {:?} after {:?}",
                part.shape(),
                parts[0].shape()
            ),
        }
    }
    let rows = parts.iter().map(one).collect::<Result<Vec<_>>>()?;
    let shape: Vec<usize> = std::iter::once(count)
        .chain(sizes.iter().copied())
        .collect();
    concat_channels(&rows.iter().collect::<Vec<_>>())?.reshape(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::types::strides::merged;
    use candle_core::Device;

    #[test]
    fn batches_follow_each_other() {
        let x = Tensor::arange(0f32, 24.0, &Device::Cpu)
            .unwrap()
            .reshape((4, 2, 3))
            .unwrap();
        let parts = [x.narrow(0, 2, 2).unwrap(), x.narrow(0, 0, 1).unwrap()];
        let expected = Tensor::cat(&parts, 0).unwrap().to_vec3::<f32>().unwrap();
        assert_eq!(
            concat_batches(&parts).unwrap().to_vec3::<f32>().unwrap(),
            expected
        );
        assert!(
            concat_batches(&[x.clone(), x.narrow(1, 0, 1).unwrap()]).is_err()
                && concat_batches(&[]).is_err()
        );
    }

    #[test]
    fn merged_dimensions_reach_the_same_numbers_in_the_same_order() {
        let x = Tensor::arange(0u32, 240, &Device::Cpu)
            .unwrap()
            .reshape((4, 1, 5, 12))
            .unwrap();
        let views = [
            (x.clone(), 1),
            (x.permute((3, 0, 1, 2)).unwrap(), 2),
            (x.transpose(0, 2).unwrap(), 3),
            (x.narrow(3, 4, 6).unwrap(), 2),
            (x.broadcast_as((4, 3, 5, 12)).unwrap(), 3),
            (
                x.narrow(0, 1, 1)
                    .unwrap()
                    .broadcast_as((6, 1, 5, 12))
                    .unwrap(),
                2,
            ),
        ];
        for (view, count) in views {
            let (storage, layout) = view.storage_and_layout();
            let candle_core::Storage::Cpu(storage) = &*storage else {
                panic!("on the CPU")
            };
            let numbers = storage.as_slice::<u32>().unwrap();
            let merged = merged(view.dims(), view.stride());
            assert_eq!(merged.len(), count, "{:?}", view.layout());
            let at = |i: usize| {
                let step = |(rest, at): (usize, usize), &(size, stride): &(usize, usize)| {
                    (rest / size, at + rest % size * stride)
                };
                numbers[layout.start_offset() + merged.iter().rev().fold((i, 0), step).1]
            };
            let found: Vec<u32> = (0..view.elem_count()).map(at).collect();
            assert_eq!(found, view.flatten_all().unwrap().to_vec1::<u32>().unwrap());
        }
    }
}
