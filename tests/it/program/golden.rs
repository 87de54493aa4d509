//! The bundled clip against what it gave when `tests/fixtures/golden/phantom-demo.jsonl` was written.
//!
//! Exact everywhere: frames and their times, objects and their order, classes, and that `coco.json` and
//! `detections.jsonl` say the same. Boxes, scores and masks come out of sums whose order depends on the width of the
//! processor's vectors (AVX-512, AVX2, others): boxes may differ by a twentieth of a pixel, scores by a thousandth, and a
//! mask by two in a thousand of its pixels.
//!
//! To write the file anew after an intended change, from the root of the repository:
//! `ultramotion pipeline assets/phantom-demo.mp4 --stride 24 --output out`, then copy `out/detections.jsonl`.

use crate::common::{program, stderr};
use serde_json::Value;
use std::{fs, path::Path};
use ultramotion::{coco::rle, frame::Mask, geometry::Size};

const STRIDE: &str = "24";

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines.map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// What a line says beside its objects, without the folder of the clip.
fn facts(line: &Value) -> Value {
    let mut facts = line.clone();
    facts["objects"] = Value::Null;
    facts["path"] = Value::Null;
    facts
}

fn objects(line: &Value) -> &[Value] {
    line["objects"].as_array().unwrap()
}

fn pixels(object: &Value) -> Vec<bool> {
    let side = |at: usize| object["mask"]["size"][at].as_u64().unwrap() as u32;
    let counts = object["mask"]["counts"].as_str().unwrap();
    let runs = rle::decode_counts(counts).unwrap();
    let mask = Mask::from_counts(Size::new(side(1), side(0)), runs).unwrap();
    assert_eq!(object["area"].as_f64(), Some(mask.area() as f64));
    let shown = mask.to_row_major();
    shown.iter().map(|&pixel| pixel != 0).collect()
}

fn assert_near(found: &Value, expected: &Value, tolerance: f64, what: &str) {
    let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
    let difference = (found - expected).abs();
    assert!(difference <= tolerance, "{what}: {found}, not {expected}");
}

fn assert_same_object(found: &Value, expected: &Value, what: &str) {
    assert_eq!(found["label"], expected["label"], "{what}");
    assert_eq!(found["class"], expected["class"], "{what}");
    for side in 0..4 {
        assert_near(&found["box"][side], &expected["box"][side], 0.05, what);
    }
    assert_near(&found["score"], &expected["score"], 1e-3, what);
    assert_near(&found["mask_score"], &expected["mask_score"], 2e-3, what);
    let (found, expected) = (pixels(found), pixels(expected));
    let differ = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
    let area = expected.iter().filter(|&&inside| inside).count();
    assert!(
        differ * 500 <= area,
        "{what}: {differ} pixels of {area} differ"
    );
}

#[test]
fn the_bundled_clip_gives_what_it_gave() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().unwrap();
    let run = program()
        .current_dir(root)
        .args(["pipeline", "assets/phantom-demo.mp4", "--stride", STRIDE])
        .args([
            "--device",
            "cpu",
            "--write",
            "coco",
            "--overwrite",
            "--output",
        ])
        .arg(out.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", stderr(&run));
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let found = lines(&read(&out.path().join("detections.jsonl")));
    let expected = lines(&read(
        &root.join("tests/fixtures/golden/phantom-demo.jsonl"),
    ));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(facts(found), facts(expected));
        let (of, to) = (objects(found), objects(expected));
        assert_eq!(of.len(), to.len(), "{}", facts(found));
        for (n, (found_object, object)) in of.iter().zip(to).enumerate() {
            let what = format!("frame {}, object {n}", found["frame"]);
            assert_same_object(found_object, object, &what);
        }
    }
    let coco: Value = serde_json::from_str(&read(&out.path().join("coco.json"))).unwrap();
    let all: Vec<&Value> = found.iter().flat_map(objects).collect();
    let annotations = coco["annotations"].as_array().unwrap();
    assert_eq!(annotations.len(), all.len());
    for (annotation, object) in annotations.iter().zip(all) {
        assert_eq!(annotation["segmentation"], object["mask"]);
        assert_eq!(annotation["score"], object["score"]);
        assert_eq!(annotation["area"], object["area"]);
    }
}
