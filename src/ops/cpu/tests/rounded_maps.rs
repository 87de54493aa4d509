//! Maps kept in bf16 between layers that multiply in it: the layers give what they give of the same maps in f32.

use super::{assert_close, random};
use crate::ops::{
    Activation, Conv2d, Conv2dOptions, Padding, Part, Products, cpu::simd::for_each_isa_of_bf16,
};
use candle_core::{DType, Tensor};
use candle_nn::Module;

fn layer(
    [out, inner, kernel, stride, groups]: [usize; 5],
    activation: Activation,
    products: Products,
) -> Conv2d {
    let options = Conv2dOptions {
        stride,
        padding: Padding::all(kernel / 2),
        groups,
        activation,
        affine: Some((1.25, -0.1)),
    };
    let weight = random(&[out, inner / groups, kernel, kernel], 5);
    Conv2d::new_in(&weight, Some(&random(&[out], 6)), options, products).unwrap()
}

/// Fails unless `found` is `expected`, rounded to bf16 where it is `kept` so.
#[track_caller]
fn assert_kept(found: &Tensor, expected: &Tensor, kept: DType, what: &str) {
    assert_eq!(found.dtype(), kept, "{what}");
    let rounded = expected.to_dtype(kept).unwrap();
    let single = |x: &Tensor| x.to_dtype(DType::F32).unwrap();
    assert_close(&single(found), &single(&rounded), 0.0, what);
}

#[test]
fn layers_round_what_only_products_read() {
    use Activation::{Identity, Relu, Silu};
    use Products::{Bf16, F32};
    let kinds = [
        ([32, 24, 1, 1, 1], Relu, Bf16, DType::BF16),
        ([48, 24, 1, 1, 1], Identity, Bf16, DType::BF16),
        ([32, 24, 1, 1, 1], Silu, Bf16, DType::BF16),
        ([1024, 2048, 1, 1, 1], Silu, Bf16, DType::BF16),
        ([40, 24, 1, 1, 1], Relu, Bf16, DType::F32),
        ([32, 24, 1, 1, 1], Relu, F32, DType::F32),
        ([32, 16, 3, 1, 1], Silu, Bf16, DType::BF16),
        ([24, 16, 3, 1, 1], Silu, Bf16, DType::F32),
        ([32, 16, 3, 1, 1], Silu, F32, DType::F32),
        ([32, 32, 5, 1, 32], Relu, Bf16, DType::BF16),
        ([32, 32, 3, 2, 32], Identity, Bf16, DType::BF16),
        ([24, 24, 3, 1, 24], Relu, Bf16, DType::F32),
        ([32, 32, 3, 1, 32], Silu, Bf16, DType::F32),
        ([32, 32, 3, 1, 32], Relu, F32, DType::F32),
        ([32, 24, 3, 2, 1], Relu, Bf16, DType::F32),
    ];
    for (shape, activation, products, kept) in kinds {
        for side in [3, 13] {
            let x = random(&[2, side, side, shape[1]], 7);
            for_each_isa_of_bf16(|isa| {
                let layer = layer(shape, activation, products);
                let found = layer.forward_to_products(&x).unwrap();
                let what = format!("{isa:?} {shape:?} {activation:?} {products:?}");
                let kept = match shape[2] {
                    3.. if !isa.has_pairs() => DType::F32,
                    _ => kept,
                };
                assert_kept(&found, &layer.forward(&x).unwrap(), kept, &what);
            });
        }
    }
}

#[test]
fn layers_give_of_rounded_maps_what_they_give_of_f32() {
    let [a, b, c] = [(32, 1), (16, 2), (7, 3)].map(|(c, seed)| random(&[2, 6, 10, c], seed));
    let small = random(&[2, 3, 5, 32], 4);
    let rounded = |x: &Tensor| x.to_dtype(DType::BF16).unwrap();
    for_each_isa_of_bf16(|isa| {
        for products in [Products::F32, Products::Bf16] {
            let what = format!("{isa:?} {products:?}");
            // Products in f32 read what was rounded as it is.
            let exact = |x: &Tensor| match products {
                Products::F32 => rounded(x).to_dtype(DType::F32).unwrap(),
                Products::Bf16 => x.clone(),
            };
            let check = |maps: &[&Tensor], halves: &[bool], given: &[Tensor]| {
                let exact: Vec<_> = maps.iter().map(|x| exact(x)).collect();
                let mut known = Vec::new();
                for (exact, (map, given)) in exact.iter().zip(maps.iter().zip(given)) {
                    known.push(if given.dtype() == DType::BF16 {
                        exact
                    } else {
                        *map
                    });
                }
                let channels = maps.iter().map(|x| x.dim(3).unwrap()).sum();
                let layer = layer([48, channels, 1, 1, 1], Activation::Relu, products);
                let part = |(map, &doubled)| Part { map, doubled };
                let expected: Vec<_> = known.iter().copied().zip(halves).map(part).collect();
                let found: Vec<_> = given.iter().zip(halves).map(part).collect();
                let expected = layer.forward_parts(&expected).unwrap();
                let found = layer.forward_parts(&found).unwrap();
                assert_close(&found, &expected, 0.0, &what);
            };
            check(&[&a], &[false], &[rounded(&a)]);
            check(&[&a, &b], &[false; 2], &[rounded(&a), rounded(&b)]);
            // One as it is; one behind an odd number of channels, and one with such a number.
            check(&[&a, &b], &[false; 2], &[a.clone(), rounded(&b)]);
            check(&[&c, &b], &[false; 2], &[c.clone(), rounded(&b)]);
            check(&[&b, &c], &[false; 2], &[rounded(&b), rounded(&c)]);
            check(
                &[&small, &b],
                &[true, false],
                &[rounded(&small), rounded(&b)],
            );
            let half = rounded(&a).narrow(3, 16, 16).unwrap();
            check(&[&a.narrow(3, 16, 16).unwrap()], &[false], &[half]);
            // Convolutions of other kinds, and a residual.
            let plain = layer([48, 32, 3, 1, 1], Activation::Relu, products);
            let single = rounded(&a).to_dtype(DType::F32).unwrap();
            let found = plain.forward(&rounded(&a)).unwrap();
            assert_close(&found, &plain.forward(&single).unwrap(), 0.0, &what);
            let pointwise = layer([16, 32, 1, 1, 1], Activation::Relu, products);
            let found = pointwise.forward_then_add(&rounded(&a), &b).unwrap();
            let expected = pointwise.forward_then_add(&exact(&a), &b).unwrap();
            assert_close(&found, &expected, 0.0, &what);
        }
    });
}
