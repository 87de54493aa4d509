//! The built-in models on phantom sequences they were not trained on, measured by `ultramotion eval`.

use crate::common::program;
use std::path::Path;

fn ultramotion(arguments: &[&str], folder: &Path) -> (Option<i32>, String) {
    let run = program()
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    (
        run.status.code(),
        format!(
            "{}{}",
            String::from_utf8_lossy(&run.stdout),
            String::from_utf8_lossy(&run.stderr)
        ),
    )
}

/// Training takes seeds from 100,000 on.
#[test]
fn boxes_and_masks_on_an_unseen_sequence_are_good() {
    let folder = tempfile::tempdir().unwrap();
    let run =
        |arguments: &str| ultramotion(&arguments.split(' ').collect::<Vec<_>>(), folder.path());
    let done = |arguments: &str| {
        let (code, output) = run(arguments);
        assert_eq!(code, Some(0), "{arguments}: {output}");
    };
    done("phantom --seed 435 --sequences 3 --frames 4 --frame-rate 1 --write png --output truth");
    done("detect --input truth/*/frames --confidence 0.01 --write coco --output boxes");
    done(
        "eval --ground-truth truth/coco.json --predictions boxes/coco.json --boxes-only --min-ap 0.8",
    );
    done("pipeline --input truth/*/frames --write coco --output masks");
    done("eval --ground-truth truth/coco.json --predictions masks/coco.json --min-mask-iou 0.85");
    let (code, output) = run(
        "eval --ground-truth truth/coco.json --predictions boxes/coco.json --boxes-only --min-ap 1",
    );
    assert_eq!(code, Some(1), "a gate that cannot hold: {output}");
}
