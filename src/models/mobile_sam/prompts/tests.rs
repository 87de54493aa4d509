use super::*;
use candle_core::{DType, Device};

const BOX: BoxXyxy = BoxXyxy::new(1.0, 2.0, 3.0, 4.0);

fn point(x: f32, label: PointLabel) -> PointPrompt {
    PointPrompt { x, y: 7.0, label }
}

#[test]
fn prompts_are_grouped_by_number_of_tokens_in_order() {
    let one = ObjectPrompt::from_points(vec![point(5.0, PointLabel::Foreground)]);
    let both = ObjectPrompt {
        bounds: Some(BOX),
        points: vec![point(6.0, PointLabel::Background)],
    };
    let groups = PackedPrompts::pack(&[ObjectPrompt::from_box(BOX), both, one]).unwrap();
    // A single point takes two tokens as a box does: itself and the one that stands for the absent box.
    assert_eq!(
        groups.iter().map(|g| g.objects()).collect::<Vec<_>>(),
        [&[0, 2][..], &[1]]
    );
    let box_rows = [1., 2., 0., 0., 0., 1., 0., 3., 4., 0., 0., 0., 0., 1.];
    let point_rows = [5., 7., 0., 0., 1., 0., 0., 0., 0., 1., 0., 0., 0., 0.];
    assert_eq!(groups[0].values, [box_rows, point_rows].concat());
    let (values, shape) = groups[1].values();
    let tokens = Tensor::from_slice(values, &shape, &Device::Cpu).unwrap();
    let prompts = Prompts::from_packed(&tokens).unwrap();
    assert!(matches!(&prompts.sparse, Sparse::Tokens(t) if t.dims() == [1, 3, TOKEN_WIDTH]));
}

#[test]
fn bad_prompts_are_refused_with_their_place() {
    let bad = |prompt| {
        PackedPrompts::pack(&[ObjectPrompt::from_box(BOX), prompt])
            .unwrap_err()
            .to_string()
    };
    assert!(bad(ObjectPrompt::default()).starts_with("prompt 1: has neither"));
    assert!(
        bad(ObjectPrompt::from_box(BoxXyxy::new(3.0, 0.0, 3.0, 9.0)))
            .starts_with("prompt 1: box 3,0,3,9 has no extent")
    );
    assert!(
        bad(ObjectPrompt::from_box(BoxXyxy::new(
            0.0,
            0.0,
            f32::INFINITY,
            9.0
        )))
        .starts_with("prompt 1: box")
    );
    assert!(
        bad(ObjectPrompt::from_points(vec![point(
            f32::NAN,
            PointLabel::Foreground
        )]))
        .starts_with("prompt 1: point NaN,7")
    );
    assert_eq!(PointLabel::try_from(2), Err(PromptError::Label(2)));
}

#[test]
fn tensors_of_other_shapes_are_refused() {
    let zeros = |s: &[usize]| Tensor::zeros(s, DType::F32, &Device::Cpu).unwrap();
    assert!(matches!(
        Prompts::from_boxes(&zeros(&[4])),
        Err(PromptError::Shape { what: "boxes", .. })
    ));
    let boxes = Prompts::from_boxes(&zeros(&[2, 4])).unwrap();
    let error = boxes
        .with_masks(&zeros(&[3, 1, 256, 256]))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "mask prompts: has shape [3, 1, 256, 256], MobileSAM takes [2, 1, 256, 256]"
    );
}
