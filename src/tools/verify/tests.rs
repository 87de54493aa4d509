use super::*;
use candle_core::{DType, Device};

const QUERIES: usize = 5;
const CLASSES: usize = 3;

fn tensor(values: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Logits and boxes of two images; queries 1 and 2 of each score nearly the same.
fn outputs() -> (Tensor, Tensor) {
    let logit = |i: usize| ((i * 37 % 19) as f32 - 9.0) / 3.0;
    let mut logits: Vec<f32> = (0..2 * QUERIES * CLASSES).map(logit).collect();
    for image in 0..2 {
        for class in 0..CLASSES {
            logits[(image * QUERIES + 2) * CLASSES + class] =
                logits[(image * QUERIES + 1) * CLASSES + class] + 1e-7;
        }
    }
    let boxes = (0..2 * QUERIES * 4)
        .map(|i| (i * 13 % 29) as f32 / 29.0)
        .collect();
    (
        tensor(logits, &[2, QUERIES, CLASSES]),
        tensor(boxes, &[2, QUERIES, 4]),
    )
}

fn detector_reference() -> BTreeMap<String, Tensor> {
    let (logits, boxes) = outputs();
    let pixel_values = tensor(
        (0..2 * 3 * 4 * 5).map(|i| i as f32).collect(),
        &[2, 3, 4, 5],
    );
    [
        ("pixel_values", pixel_values),
        ("logits", logits),
        ("pred_boxes", boxes),
    ]
    .map(|(n, t)| (n.to_owned(), t))
    .into()
}

fn verify(
    tensors: BTreeMap<String, Tensor>,
    run: impl FnOnce(&Tensor) -> candle_core::Result<(Tensor, Tensor)>,
) -> Result<Vec<TensorComparison>, VerifyError> {
    verify_detector(
        &Reference::new("ref.safetensors", tensors, &Engine::cpu()),
        run,
    )
}

fn reorder(t: &Tensor, order: &[u32]) -> Tensor {
    t.index_select(&Tensor::new(order, &Device::Cpu).unwrap(), 1)
        .unwrap()
}

#[test]
fn the_model_gets_channels_last_and_equal_outputs_have_no_error() {
    let comparisons = verify(detector_reference(), |x| {
        assert_eq!(x.dims(), [2, 4, 5, 3]);
        // Image 1, row 2, column 3, channel 1 of the reference's layout.
        assert_eq!(
            x.get(1)?.get(2)?.get(3)?.get(1)?.to_scalar::<f32>()?,
            (60 + 20 + 13) as f32
        );
        Ok(outputs())
    });
    let comparisons = comparisons.unwrap();
    assert_eq!(
        comparisons.iter().map(|c| c.name).collect::<Vec<_>>(),
        ["logits", "pred_boxes"]
    );
    assert!(
        comparisons
            .iter()
            .all(|c| c.max_abs == 0.0 && c.is_within(0.0)),
        "{comparisons:?}"
    );
}

#[test]
fn swapped_queries_are_the_same_set() {
    for order in [[0, 2, 1, 3, 4], [4, 3, 2, 1, 0], [1, 2, 3, 4, 0]] {
        let (logits, boxes) = outputs();
        let comparisons = verify(detector_reference(), |_| {
            Ok((reorder(&logits, &order), reorder(&boxes, &order)))
        })
        .unwrap();
        assert!(
            comparisons.iter().all(|c| c.is_within(1e-6)),
            "{order:?}: {comparisons:?}"
        );
    }
}

#[test]
fn boxes_of_other_queries_are_not_excused_by_the_set() {
    let (logits, boxes) = outputs();
    let comparisons = verify(detector_reference(), |_| {
        Ok((logits, reorder(&boxes, &[0, 1, 2, 4, 3])))
    })
    .unwrap();
    assert!(
        comparisons.iter().any(|c| !c.is_within(0.1)),
        "{comparisons:?}"
    );
    // An object found twice does not stand for one that was not found.
    let (logits, boxes) = outputs();
    let twice = [0, 0, 2, 3, 4];
    let comparisons = verify(detector_reference(), |_| {
        Ok((reorder(&logits, &twice), reorder(&boxes, &twice)))
    })
    .unwrap();
    assert!(
        comparisons.iter().any(|c| !c.is_within(0.1)),
        "{comparisons:?}"
    );
}

#[test]
fn errors_are_measured() {
    let (logits, boxes) = outputs();
    let size: f64 = boxes
        .sqr()
        .unwrap()
        .sum_all()
        .unwrap()
        .to_scalar::<f32>()
        .unwrap()
        .into();
    let mut values = boxes.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values[7] += 0.01;
    let comparisons = verify(detector_reference(), |_| {
        Ok((logits, tensor(values, &[2, QUERIES, 4])))
    })
    .unwrap();
    assert_eq!(comparisons[0].relative, 0.0);
    assert!((comparisons[1].max_abs - 0.01).abs() < 1e-6);
    assert!((comparisons[1].relative - 0.01 / size.sqrt()).abs() < 1e-6);
    assert!(!comparisons[1].is_within(1e-4));
}

#[test]
fn what_is_not_finite_fails_on_either_side() {
    for bad in [f32::NAN, f32::INFINITY] {
        let spoil = |t: &Tensor| {
            let mut values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            values[3] = bad;
            tensor(values, t.dims())
        };
        let (logits, boxes) = outputs();
        let error = verify(detector_reference(), |_| {
            Ok((logits.clone(), spoil(&boxes)))
        })
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "pred_boxes: the model has a value that is not finite; nothing can be compared with it"
        );
        for name in ["pixel_values", "logits", "pred_boxes"] {
            let mut reference = detector_reference();
            let spoilt = spoil(&reference[name]);
            reference.insert(name.to_owned(), spoilt);
            let error = verify(reference, |_| Ok((logits.clone(), boxes.clone()))).unwrap_err();
            assert!(
                matches!(&error, VerifyError::NotFinite { name: n, whose } if *n == name && whose == "ref.safetensors"),
                "{error}"
            );
        }
    }
    let nan = TensorComparison {
        name: "logits",
        max_abs: 0.0,
        relative: f64::NAN,
    };
    assert!(!nan.is_within(f64::INFINITY));
}

#[test]
fn references_and_outputs_that_do_not_fit_are_named() {
    let run = |_: &Tensor| Ok(outputs());
    let without = |name: &str| {
        let mut tensors = detector_reference();
        tensors.remove(name);
        tensors
    };
    let with = |name: &str, t: Tensor| {
        let mut tensors = detector_reference();
        tensors.insert(name.to_owned(), t);
        tensors
    };
    let zeros = |shape: &[usize], dtype| Tensor::zeros(shape, dtype, &Device::Cpu).unwrap();
    let message = |tensors| verify(tensors, run).unwrap_err().to_string();
    assert!(
        message(without("pred_boxes"))
            .starts_with("ref.safetensors: tensor pred_boxes of shape [B, Q, 4] is missing")
    );
    let misshapen = message(with("pred_boxes", zeros(&[2, QUERIES, 5], DType::F32)));
    assert_eq!(
        misshapen,
        "ref.safetensors: tensor pred_boxes is of shape [2, 5, 5], it should be of shape [B, Q, 4]"
    );
    assert!(
        message(with("logits", zeros(&[2, 0, 3], DType::F32))).contains("is of shape [2, 0, 3]")
    );
    assert!(
        message(with("logits", zeros(&[2, QUERIES, CLASSES], DType::U8)))
            .contains("is of type u8, it should be of a float type")
    );
    assert!(
        message(with("logits", zeros(&[3, QUERIES, CLASSES], DType::F32)))
            .contains("is of shape [3, 5, 3]")
    );

    let error = verify(detector_reference(), |_| {
        Ok((outputs().0.narrow(2, 0, 2)?, outputs().1))
    })
    .unwrap_err()
    .to_string();
    assert!(
        error.starts_with("logits: the model gives [2, 5, 2], ref.safetensors has [2, 5, 3]"),
        "{error}"
    );
    let error = verify(detector_reference(), |_| {
        candle_core::bail!("no such layer")
    })
    .unwrap_err()
    .to_string();
    assert!(error.contains("no such layer"), "{error}");
}

#[test]
fn a_segmenter_is_compared_in_the_references_layout() {
    let ramp = |shape: &[usize]| {
        let n: usize = shape.iter().product();
        tensor(
            (0..n).map(|i| (i % 1009) as f32 / 1009.0 - 0.3).collect(),
            shape,
        )
    };
    let [embeddings, masks, iou] = [
        ramp(&[1, 256, 64, 64]),
        ramp(&[2, 1, 256, 256]),
        ramp(&[2, 1]),
    ];
    let tensors = [
        ("pixel_values", ramp(&[1, 3, 1024, 1024])),
        ("image_embeddings", embeddings.clone()),
        ("boxes", ramp(&[2, 4])),
        ("low_res_masks", masks.clone()),
        ("iou_predictions", iou.clone()),
    ];
    let reference = Reference::new(
        "ref.safetensors",
        tensors.map(|(n, t)| (n.to_owned(), t)).into(),
        &Engine::cpu(),
    );
    let image_embeddings = embeddings
        .permute((0, 2, 3, 1))
        .unwrap()
        .contiguous()
        .unwrap();
    let run = |low_res_masks: Tensor| {
        verify_segmenter(&reference, |x, boxes| -> candle_core::Result<_> {
            assert_eq!(
                (x.dims(), boxes.dims()),
                (&[1, 1024, 1024, 3][..], &[2, 4][..])
            );
            Ok(SegmenterOutput {
                image_embeddings: image_embeddings.clone(),
                low_res_masks,
                iou_predictions: iou.clone(),
            })
        })
    };
    let same = run(masks.clone()).unwrap();
    assert_eq!(
        same.iter()
            .map(|c| (c.name, c.relative))
            .collect::<Vec<_>>(),
        [
            ("image_embeddings", 0.0),
            ("low_res_masks", 0.0),
            ("iou_predictions", 0.0)
        ]
    );
    let scaled = run((masks * 1.001).unwrap()).unwrap();
    assert!(
        (scaled[1].relative - 1e-3).abs() < 1e-6 && scaled[0].relative == 0.0,
        "{scaled:?}"
    );
}
