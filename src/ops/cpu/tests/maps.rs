//! Pooling, upsampling and channels put together.

use super::{assert_close, random};
use crate::ops::{
    Padding, concat_channels, cpu::simd::for_each_isa, max_pool2d, reference, upsample_nearest2x,
};
use candle_core::{D, Tensor};

#[test]
fn pooling_agrees() {
    let uneven = Padding {
        top: 0,
        bottom: 1,
        left: 0,
        right: 1,
    };
    for (shape, kernel, stride, padding) in [
        ([1, 9, 11, 16], 2, 1, uneven),
        ([2, 7, 6, 3], 2, 1, uneven),
        ([1, 12, 10, 37], 3, 2, Padding::all(1)),
        ([1, 1, 1, 5], 3, 1, Padding::all(1)),
        ([1, 8, 8, 64], 2, 2, Padding::default()),
        ([2, 5, 5, 8], 5, 1, Padding::all(2)),
    ] {
        let x = random(&shape, 1);
        let expected = reference::max_pool2d(&x, kernel, stride, padding).unwrap();
        for_each_isa(|isa| {
            assert_close(
                &max_pool2d(&x, kernel, stride, padding).unwrap(),
                &expected,
                0.0,
                &format!("{isa:?} {shape:?}"),
            )
        });
    }
    assert!(max_pool2d(&random(&[1, 2, 2, 4], 1), 3, 1, Padding::default()).is_err());
}

#[test]
fn upsampling_agrees() {
    for shape in [[1, 1, 1, 1], [2, 3, 5, 7], [1, 20, 20, 64]] {
        let x = random(&shape, 1);
        assert_close(
            &upsample_nearest2x(&x).unwrap(),
            &reference::upsample_nearest2x(&x).unwrap(),
            0.0,
            "whole",
        );
        let view = x.narrow(3, 0, shape[3].div_ceil(2)).unwrap();
        assert_close(
            &upsample_nearest2x(&view).unwrap(),
            &reference::upsample_nearest2x(&view).unwrap(),
            0.0,
            "view",
        );
    }
}

#[test]
fn channels_are_put_side_by_side() {
    let (a, b, c) = (
        random(&[2, 3, 4, 5], 1),
        random(&[2, 3, 4, 16], 2),
        random(&[2, 3, 4, 9], 3),
    );
    let view = b.narrow(3, 3, 8).unwrap();
    let turned = c
        .permute((0, 1, 2, 3))
        .unwrap()
        .transpose(1, 2)
        .unwrap()
        .contiguous()
        .unwrap()
        .transpose(1, 2)
        .unwrap();
    for parts in [vec![&a], vec![&a, &b, &c], vec![&view, &a, &turned]] {
        let expected = Tensor::cat(&parts, D::Minus1).unwrap();
        assert_close(&concat_channels(&parts).unwrap(), &expected, 0.0, "concat");
    }
    assert!(concat_channels(&[]).is_err());
    assert!(concat_channels(&[&a, &random(&[2, 3, 5, 5], 1)]).is_err());
}
