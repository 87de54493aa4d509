//! Every operation on every instruction set of the processor against its reference.

mod amx;
mod attention;
mod bands;
mod bench;
mod bf16;
mod boxes;
mod layers;
mod maps;
mod math;
mod pixels;
mod rounded_maps;
mod tokens;

use candle_core::{Device, Tensor};

/// Numbers in -1..1 by a fixed generator, different for each `seed`.
pub(crate) fn random(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| next()).collect();
    Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
}

/// Fails unless both have the same shape and differ by at most `tolerance` of the larger of 1 and the greatest number.
#[track_caller]
pub(crate) fn assert_close(found: &Tensor, expected: &Tensor, tolerance: f32, what: &str) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let (found, expected): (Vec<f32>, Vec<f32>) = (
        found.flatten_all().unwrap().to_vec1().unwrap(),
        expected.flatten_all().unwrap().to_vec1().unwrap(),
    );
    let scale = expected.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
        assert!(
            (f - e).abs() <= tolerance * scale,
            "{what}: number {i} is {f}, expected {e}"
        );
    }
}
