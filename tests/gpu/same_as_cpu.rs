//! The commands on the device against the CPU in f32, for each kind of input.

use crate::{
    report::{Outcome, Report, text},
    runs::{Apart, Found, Input, LEGACY, Task, clip, detect, pipeline, run, segment},
};
use serde_json::Value;
use std::path::Path;
use ultramotion::{
    engine::{Engine, Precision},
    geometry::Size,
    phantom::{Phantom, PhantomOptions, dicom},
    session::{Execution, Mode},
    sources::Decode,
};

/// Least score of an object. Rounding may move one across it; in the inputs below none is so near.
const CONFIDENCE: f64 = 0.5;

/// A folder of images of several odd sizes, and a multi-frame DICOM file.
fn write_inputs(folder: &Path) -> Result<(), String> {
    let phantom = |seed, frames, (width, height)| {
        Phantom::new(PhantomOptions {
            seed,
            frames,
            size: Size::new(width, height),
            ..PhantomOptions::default()
        })
        .map_err(text)
    };
    let images = folder.join("images");
    std::fs::create_dir(&images).map_err(text)?;
    for (seed, size) in [
        (3, (421, 333)),
        (4, (640, 640)),
        (5, (333, 517)),
        (6, (1023, 767)),
    ] {
        for frame in phantom(seed, 2, size)?.frames() {
            let path = images.join(format!("{seed}-{}.png", frame.index));
            let (Size { width, height }, data) = (frame.image.size(), frame.image.data());
            let colour = if data.len() == (width * height) as usize {
                image::ColorType::L8
            } else {
                image::ColorType::Rgb8
            };
            image::save_buffer(path, data, width, height, colour).map_err(text)?;
        }
    }
    dicom::write(&phantom(1003, 8, (500, 381))?, &folder.join("cine.dcm")).map_err(text)
}

type MakeTask = fn(&Engine) -> Task;

const TASKS: [(&str, MakeTask); 3] = [
    ("detect", |engine| detect(engine, CONFIDENCE)),
    ("segment", segment),
    ("pipeline", |engine| pipeline(engine, CONFIDENCE, false)),
];

/// What `coco.json` says without the numbers that may differ: images, categories, and the category of each annotation.
fn outline(found: &Found) -> (Value, Value, Vec<Value>) {
    let annotations = found.coco["annotations"].as_array().into_iter().flatten();
    let facts = annotations
        .map(|a| {
            Value::from(vec![
                a["id"].clone(),
                a["image_id"].clone(),
                a["category_id"].clone(),
            ])
        })
        .collect();
    (
        found.coco["images"].clone(),
        found.coco["categories"].clone(),
        facts,
    )
}

pub(crate) fn commands(engine: &Engine) -> Outcome {
    let mut report = Report::new(engine);
    let folder = tempfile::tempdir().map_err(text)?;
    write_inputs(folder.path())?;
    let input = |path: &str| Input {
        path: folder.path().join(path),
        frames: "..",
        decode: Decode::Auto,
    };
    let inputs = [
        ("images", input("images")),
        ("DICOM", input("cine.dcm")),
        (
            "video decoded on the CPU",
            Input {
                decode: Decode::Cpu,
                ..clip("..12")
            },
        ),
        (
            "video decoded on the GPU",
            Input {
                decode: Decode::Gpu,
                ..clip("..12")
            },
        ),
    ];
    for (task, make) in TASKS {
        for (name, input) in &inputs {
            let expected = run(
                make(&Engine::cpu()),
                Vec::new(),
                LEGACY,
                &Input {
                    decode: Decode::Cpu,
                    ..input.clone()
                },
            )?;
            for (precision, batch, mode) in [
                (Precision::F16, 4, Mode::Resident),
                (Precision::F32, 1, Mode::Resident),
                (Precision::F16, 1, Mode::Staged),
            ] {
                let device = engine.clone().with_precision(precision).map_err(text)?;
                let found = run(
                    make(&device),
                    Vec::new(),
                    Execution {
                        mode,
                        batch,
                        latency: false,
                    },
                    input,
                )?;
                let apart = Apart::new(&found.results, &expected.results);
                let same = apart.frames
                    && apart.missing == 0
                    && apart.objects() > 0
                    && outline(&found) == outline(&expected);
                let what = format!(
                    "{task}, {name}, {precision:?}, {mode:?}: {} frames, {} objects, {} missing, boxes within {:.4} pixels (99%; {:.4} at most), \
                     masks' mean IoU {:.5}, least {:.5}",
                    found.results.len(),
                    apart.objects(),
                    apart.missing,
                    apart.p99(),
                    apart.most(),
                    apart.mean_iou(),
                    apart.least_iou()
                );
                // A box around a mask is of whole pixels: a logit near 0 at its edge moves it by one.
                let apart_at_most = if task == "segment" { 1.0 } else { 0.5 };
                report.check(
                    &what,
                    same && apart.p99() <= apart_at_most && apart.mean_iou() >= 0.995,
                );
            }
        }
    }
    report.finish()
}
