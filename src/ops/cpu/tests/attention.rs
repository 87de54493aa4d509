//! Attention, plain and in windows.

use super::{assert_close, random};
use crate::ops::{
    Products, attention,
    cpu::{simd::for_each_isa, window_attention},
    reference,
};

#[test]
fn attention_agrees() {
    // Batch, heads, queries, keys, channels of a head, of a value.
    for (b, heads, nq, nk, d, dv) in [
        (1, 1, 1, 1, 1, 1),
        (2, 3, 5, 7, 8, 8),
        (7, 4, 49, 49, 32, 32),
        (2, 5, 196, 196, 32, 32),
        (1, 8, 300, 400, 16, 16),
        (2, 8, 10, 513, 16, 16),
        (2, 8, 513, 10, 16, 16),
        (1, 2, 33, 17, 20, 9),
        (3, 1, 13, 16, 40, 64),
        (1, 2, 90, 31, 5, 33),
    ] {
        let (q, k, v) = (
            random(&[b, nq, heads * d], 1),
            random(&[b, nk, heads * d], 2),
            random(&[b, nk, heads * dv], 3),
        );
        let bias = random(&[heads, nq, nk], 4);
        for bias in [None, Some(&bias)] {
            let expected = reference::attention(&q, &k, &v, heads, 0.7, bias).unwrap();
            for_each_isa(|isa| {
                let found = attention(&q, &k, &v, heads, 0.7, bias).unwrap();
                assert_close(
                    &found,
                    &expected,
                    2e-6,
                    &format!(
                        "{isa:?} {b}×{heads} heads {nq}×{nk} d {d} {dv} {}",
                        bias.is_some()
                    ),
                );
            });
        }
    }
}

#[test]
fn attention_takes_views_of_joined_projections() {
    let qkv = random(&[2, 20, 96], 1);
    let part = |i: usize| qkv.narrow(2, 32 * i, 32).unwrap();
    let expected = reference::attention(&part(0), &part(1), &part(2), 2, 0.3, None).unwrap();
    for_each_isa(|isa| {
        let found = attention(&part(0), &part(1), &part(2), 2, 0.3, None).unwrap();
        assert_close(&found, &expected, 2e-6, &format!("{isa:?}"));
    });
}

#[test]
fn large_scores_do_not_overflow() {
    let q = (random(&[1, 9, 16], 1) * 200.0).unwrap();
    let v = random(&[1, 9, 16], 2);
    let expected = reference::attention(&q, &q, &v, 1, 1.0, None).unwrap();
    for_each_isa(|isa| {
        assert_close(
            &attention(&q, &q, &v, 1, 1.0, None).unwrap(),
            &expected,
            2e-6,
            &format!("{isa:?}"),
        )
    });
}

#[test]
fn window_attention_agrees() {
    for (b, h, w, window, heads, d) in [
        (1, 7, 7, 7, 2, 32),
        (2, 9, 13, 4, 3, 8),
        (1, 3, 2, 7, 1, 16),
        (1, 15, 28, 14, 5, 32),
    ] {
        let qkv = random(&[b, h, w, 3 * heads * d], 1);
        let padding = random(&[3 * heads * d], 2);
        let n = window * window;
        let bias = random(&[heads, n, n], 3);
        for bias in [None, Some(&bias)] {
            let expected =
                reference::window_attention(&qkv, &padding, window, heads, 0.2, bias).unwrap();
            for_each_isa(|isa| {
                let found =
                    window_attention(&qkv, &padding, window, heads, 0.2, bias, Products::F32)
                        .unwrap();
                // Where most keys are padding, equal terms add up and so do their rounding errors, in either code.
                assert_close(
                    &found,
                    &expected,
                    5e-6,
                    &format!("{isa:?} {b}×{h}×{w} window {window} heads {heads}"),
                );
            });
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let (q, k) = (random(&[1, 4, 8], 1), random(&[1, 5, 8], 2));
    assert!(attention(&q, &k, &q, 2, 1.0, None).is_err());
    assert!(attention(&q, &k, &k, 3, 1.0, None).is_err());
    assert!(attention(&q, &k, &k, 2, 1.0, Some(&random(&[2, 5, 4], 3))).is_err());
    assert!(
        window_attention(
            &random(&[1, 4, 4, 24], 1),
            &random(&[12], 2),
            2,
            2,
            1.0,
            None,
            Products::F32,
        )
        .is_err()
    );
}
