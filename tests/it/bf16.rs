//! `Precision::Bf16` on the CPU with the built-in pair: what it finds is what f32 finds. Skipped, with a word, where the processor has no
//! AVX512-BF16.
#![cfg(feature = "embedded-models")]

use std::path::Path;
use ultramotion::{
    Detections, Session,
    engine::{DeviceSpec, Precision, multiplies_bf16},
    frame::Frame,
    sources::{self, ExpandOptions, SourceOptions, expand},
};

fn frames(range: &str) -> Vec<Frame> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/phantom-demo.mp4");
    let none = &mut std::io::empty();
    let inputs = expand(&[path.into_os_string()], ExpandOptions::default(), none);
    let spec = inputs.sources.into_iter().next().unwrap().unwrap();
    let options = SourceOptions {
        selection: range.parse().unwrap(),
        ..SourceOptions::default()
    };
    let mut source = sources::open(&spec, 0, &options).unwrap();
    std::iter::from_fn(|| source.next_frame().unwrap()).collect()
}

fn found(frames: &[Frame], precision: Precision) -> Vec<Detections> {
    let builder = Session::builder()
        .device(DeviceSpec::Cpu)
        .precision(precision);
    let mut session = builder.confidence(0.5).build().unwrap();
    session.run_batch(frames).unwrap()
}

#[test]
fn what_is_found_is_what_f32_finds() {
    if !multiplies_bf16() {
        println!("skipped: this processor has no AVX512-BF16");
        return;
    }
    let frames = frames("16..20");
    let exact = found(&frames, Precision::F32);
    let rounded = found(&frames, Precision::Bf16);
    assert!(exact.iter().any(|found| !found.is_empty()));
    assert_ne!(exact, rounded, "nothing was rounded");
    for (exact, rounded) in exact.iter().zip(&rounded) {
        assert_eq!(exact.len(), rounded.len());
        for object in exact {
            // Objects of nearly one score may change places.
            let same = rounded.iter().find(|other| {
                let sides = [
                    other.bbox.x0 - object.bbox.x0,
                    other.bbox.y0 - object.bbox.y0,
                    other.bbox.x1 - object.bbox.x1,
                    other.bbox.y1 - object.bbox.y1,
                ];
                other.label == object.label && sides.iter().all(|side| side.abs() <= 2.0)
            });
            let same = same.unwrap_or_else(|| panic!("nothing like {object:?} in {rounded:?}"));
            assert!(
                (same.score - object.score).abs() <= 0.05,
                "{same:?} {object:?}"
            );
            let area = |mask: &ultramotion::frame::Mask| mask.area() as f64;
            let (a, b) = (object.mask.as_ref().unwrap(), same.mask.as_ref().unwrap());
            let (in_a, in_b) = (a.to_row_major(), b.to_row_major());
            let pixels = in_a.iter().zip(&in_b);
            let both = pixels.filter(|(a, b)| **a != 0 && **b != 0).count() as f64;
            let iou = both / (area(a) + area(b) - both);
            assert!(iou >= 0.95, "masks with an IoU of {iou}");
        }
    }
}
