//! Boxes as distributions of their edges, and rows chosen by their numbers.

use super::{assert_close, random};
use crate::ops::{
    cpu::simd::for_each_isa, gather_queries, reference, refine_boxes, top_k, top_probabilities,
};
use candle_core::{D, Device, Tensor};

#[test]
fn boxes_are_moved_by_the_means_of_their_distributions() {
    let (bins, scale) = (33, 4.0);
    let logits = (random(&[2, 7, 4 * bins], 1) * 5.0).unwrap();
    let boxes = random(&[2, 7, 4], 2).affine(0.4, 0.5).unwrap();
    let offsets = random(&[1, bins], 3);
    let means = reference::softmax(&logits.reshape((2, 7, 4, bins)).unwrap())
        .and_then(|p| p.broadcast_mul(&offsets.reshape((1, 1, 1, bins))?))
        .and_then(|p| p.sum(D::Minus1)? + 0.5 * scale)
        .unwrap();
    let pair = |x: &Tensor, first| x.narrow(2, first, 2).unwrap();
    let unit = (pair(&boxes, 2) / scale).unwrap();
    let near = (pair(&boxes, 0) - (pair(&means, 0) * &unit).unwrap()).unwrap();
    let far = (pair(&boxes, 0) + (pair(&means, 2) * &unit).unwrap()).unwrap();
    let centre = ((&near + &far).unwrap() * 0.5).unwrap();
    let expected = Tensor::cat(&[centre, (far - near).unwrap()], 2).unwrap();
    for_each_isa(|isa| {
        let found = refine_boxes(&logits, &boxes, &offsets, scale).unwrap();
        assert_close(&found, &expected, 2e-6, &format!("{isa:?}"));
    });
    let fewer = boxes.narrow(1, 0, 6).unwrap();
    assert!(refine_boxes(&logits, &fewer, &offsets, scale).is_err());
    assert!(refine_boxes(&logits, &boxes, &random(&[1, 32], 3), scale).is_err());
}

#[test]
fn the_greatest_probabilities_come_first_and_then_their_mean() {
    let (bins, top) = (9, 4);
    let logits = (random(&[1, 5, 4 * bins], 1) * 3.0).unwrap();
    let all = reference::softmax(&logits.reshape((1, 5, 4, bins)).unwrap()).unwrap();
    let best = all.gather(&top_k(&all, top).unwrap(), D::Minus1).unwrap();
    let mean = best.mean_keepdim(D::Minus1).unwrap();
    let expected = Tensor::cat(&[best, mean], D::Minus1).unwrap();
    for_each_isa(|isa| {
        let found = top_probabilities(&logits, bins, top).unwrap();
        let expected = expected.reshape((1, 5, 4 * (top + 1))).unwrap();
        assert_close(&found, &expected, 1e-6, &format!("{isa:?}"));
    });
    assert!(top_probabilities(&logits, bins, bins + 1).is_err());
    assert!(top_probabilities(&logits, 8, top).is_err());
}

#[test]
fn queries_are_the_rows_of_their_tokens() {
    let new = |numbers: &[f32], shape: &[usize]| {
        Tensor::from_slice(numbers, shape, &Device::Cpu).unwrap()
    };
    let x = new(
        &[0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11.],
        &[2, 3, 2],
    );
    let anchors = new(&[0.5; 12], &[1, 3, 4]);
    let (valid, blank) = (new(&[1., 0., 1.], &[1, 3]), new(&[-1., -2.], &[1, 1, 2]));
    let index = |numbers: &[u32]| Tensor::from_slice(numbers, (2, 2), &Device::Cpu).unwrap();
    let (content, at) =
        gather_queries(&x, &index(&[2, 1, 0, 2]), &valid, &blank, &anchors).unwrap();
    let content = content.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(content, [4., 5., -1., -2., 6., 7., 10., 11.]);
    assert_eq!(at.dims(), [2, 2, 4]);
    assert!(gather_queries(&x, &index(&[0, 1, 2, 3]), &valid, &blank, &anchors).is_err());
}
