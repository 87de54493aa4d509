//! Boxes that a run found come back to the frames they were found in: detect, export, `segment --boxes`.

use crate::common::program;
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path, process::Output};
use ultramotion::{
    coco::Classes,
    geometry::BoxXyxy,
    run::{BoxPrompts, SourceFrames},
    sources::{ExpandOptions, SourceOptions, expand, open},
};

fn ultramotion(folder: &Path, arguments: &[&str]) -> Output {
    program()
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = ultramotion(folder, arguments);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {text}");
    text
}

fn failed(folder: &Path, arguments: &[&str]) -> String {
    let output = ultramotion(folder, arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    text
}

/// The boxes of each frame, and their labels, by what the frame is called: its file or source, and its number.
fn boxes(run: &Path) -> BTreeMap<String, Vec<(String, Vec<i64>)>> {
    let text = fs::read_to_string(run.join("detections.jsonl")).unwrap();
    let lines = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let file = line["file"].as_str().or(line["path"].as_str()).unwrap();
        let name = format!(
            "{}#{}",
            Path::new(file).file_name().unwrap().to_string_lossy(),
            line["frame"]
        );
        let object = |object: &Value| {
            // In thousandths of a pixel: a width and a sum lie between.
            let sides = object["box"]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| (v.as_f64().unwrap() * 1000.0).round() as i64);
            (
                object["label"].as_str().unwrap().to_owned(),
                sides.collect(),
            )
        };
        let mut objects: Vec<_> = line["objects"]
            .as_array()
            .unwrap()
            .iter()
            .map(object)
            .collect();
        objects.sort();
        (name, objects)
    });
    lines.collect()
}

fn close(
    found: &BTreeMap<String, Vec<(String, Vec<i64>)>>,
    wanted: &BTreeMap<String, Vec<(String, Vec<i64>)>>,
) {
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        wanted.keys().collect::<Vec<_>>()
    );
    for (name, objects) in found {
        let others = &wanted[name];
        assert_eq!(
            objects.len(),
            others.len(),
            "{name}: {objects:?} instead of {others:?}"
        );
        for (a, b) in objects.iter().zip(others) {
            let near = a.1.iter().zip(&b.1).all(|(a, b)| (a - b).abs() <= 1);
            assert!(a.0 == b.0 && near, "{name}: {a:?} instead of {b:?}");
        }
    }
}

/// Pictures whose detections differ: a bright block somewhere else in each.
fn picture(path: &Path, place: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let shade = |x: u32, y: u32| {
        if x / 16 == place % 5 && y / 16 == place / 5 {
            230
        } else {
            (x * 7 + y * 13 + place * 5) as u8 % 60
        }
    };
    image::GrayImage::from_fn(96, 80, |x, y| image::Luma([shade(x, y)]))
        .save(path)
        .unwrap();
}

/// In `in/`: pictures in folders, of which two have one name, a folder of numbered ones, a video, a DICOM file.
fn inputs(folder: &Path) {
    let phantom = [
        "phantom",
        "--seed",
        "5",
        "--frames",
        "2",
        "--size",
        "96x80",
        "--write",
        "mp4,dicom",
        "--output",
        "made",
    ];
    done(folder, &phantom);
    fs::create_dir_all(folder.join("in/v")).unwrap();
    fs::rename(folder.join("made/clip.mp4"), folder.join("in/v/scan.mp4")).unwrap();
    fs::rename(folder.join("made/clip.dcm"), folder.join("in/v/cine.dcm")).unwrap();
    for (at, name) in ["a/x.png", "b/y.png", "s/000001.png", "s/000002.png"]
        .iter()
        .enumerate()
    {
        picture(&folder.join("in").join(name), 3 * at as u32);
    }
}

/// What `segment --boxes file` would outline in the frames of `input`, by the names of [`boxes`].
fn given_back(
    folder: &Path,
    inputs: &[&str],
    file: &str,
    images_of: Option<&str>,
) -> BTreeMap<String, Vec<(String, Vec<i64>)>> {
    let images_of = images_of.map(|name| folder.join(name));
    let prompts = BoxPrompts::read_with_images(
        &folder.join(file),
        images_of.as_deref(),
        &Classes::default(),
    )
    .unwrap();
    let inputs: Vec<_> = inputs
        .iter()
        .map(|input| folder.join(input).into_os_string())
        .collect();
    let specs: Vec<_> = expand(&inputs, ExpandOptions::default(), &mut std::io::empty())
        .sources
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let frames = prompts.for_sources(specs.iter().map(|s| SourceFrames {
        kind: s.kind,
        path: &s.path,
        name: &s.name,
        files: &s.files,
    }));
    let mut found = BTreeMap::new();
    for (ordinal, spec) in specs.iter().enumerate() {
        let mut source = open(spec, ordinal, &SourceOptions::default()).unwrap();
        while let Some(frame) = source.next_frame().unwrap() {
            let file = frame.file.as_ref().unwrap_or(&frame.source.path);
            let thousandths = |v: f32| (f64::from(v) * 1000.0).round() as i64;
            let sides = |b: &BoxXyxy| [b.x0, b.y0, b.x1, b.y1].map(thousandths).to_vec();
            let known = frames.of(&frame).unwrap().unwrap_or_default();
            let mut objects: Vec<_> = known
                .iter()
                .map(|p| (p.label.to_string(), sides(&p.bbox)))
                .collect();
            objects.sort();
            found.insert(
                format!(
                    "{}#{}",
                    file.file_name().unwrap().to_string_lossy(),
                    frame.index
                ),
                objects,
            );
        }
    }
    found
}

#[test]
fn every_export_gives_each_frame_its_own_boxes_back() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    inputs(at);
    done(
        at,
        &[&DETECT[..], &["--input", "in", "--output", "found"]].concat(),
    );
    let found = boxes(&at.join("found"));
    let distinct: std::collections::BTreeSet<_> = found.values().collect();
    assert_eq!(
        (found.len(), distinct.len()),
        (8, 8),
        "frames that look alike would prove nothing: {found:?}"
    );
    for export in ["coco_results.json", "coco.json", "detections.jsonl"] {
        let file = format!("found/{export}");
        close(&given_back(at, &["in"], &file, None), &found);
        // One by one they have other names, without folders.
        let one_by_one = [
            "in/a/x.png",
            "in/b/y.png",
            "in/s",
            "in/v/scan.mp4",
            "in/v/cine.dcm",
        ];
        close(&given_back(at, &one_by_one, &file, None), &found);
    }
    // As an editor gives the images back, by their names in the data set alone.
    let text = fs::read_to_string(at.join("found/coco.json")).unwrap();
    let mut edited: Value = serde_json::from_str(&text).unwrap();
    edited.as_object_mut().unwrap().remove("videos");
    for image in edited["images"].as_array_mut().unwrap() {
        let name = image["file_name"].as_str().unwrap().to_owned();
        let fields = image.as_object_mut().unwrap();
        fields.retain(|key, _| ["id", "width", "height"].contains(&key.as_str()));
        fields.insert("file_name".into(), name.into());
    }
    fs::write(at.join("edited.json"), format!("\u{feff}{edited}")).unwrap();
    close(&given_back(at, &["in"], "edited.json", None), &found);
    // A list without its run belongs to whose images it is said to number.
    fs::copy(at.join("found/coco_results.json"), at.join("list.json")).unwrap();
    assert!(
        given_back(at, &["in"], "list.json", None)
            .values()
            .all(Vec::is_empty)
    );
    close(
        &given_back(at, &["in"], "list.json", Some("found/coco.json")),
        &found,
    );
}

const DETECT: [&str; 7] = [
    "detect",
    "--confidence",
    "0",
    "--max-objects",
    "2",
    "--write",
    "coco",
];

#[test]
fn each_frame_gets_its_own_boxes_back() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    inputs(at);
    done(
        at,
        &[&DETECT[..], &["--input", "in", "--output", "found"]].concat(),
    );
    let found = boxes(&at.join("found"));
    let distinct: std::collections::BTreeSet<_> = found.values().collect();
    assert_eq!(
        (found.len(), distinct.len()),
        (8, 8),
        "frames that look alike would prove nothing: {found:?}"
    );
    assert!(found.values().all(|objects| objects.len() == 2));

    // By the results list, whose images are numbered by the coco.json beside it, over the same inputs.
    let text = done(
        at,
        &[
            "segment",
            "--input",
            "in",
            "--boxes",
            "found/coco_results.json",
            "--write",
            "coco",
            "--output",
            "again",
        ],
    );
    close(&boxes(&at.join("again")), &found);
    assert!(
        !text.contains("boxes for") && !text.contains("warning"),
        "{text}"
    );

    // Elsewhere, the list without its run, the inputs by names without folders, and not all of them.
    fs::create_dir(at.join("moved")).unwrap();
    for (from, to) in [
        ("found/coco_results.json", "moved/list.json"),
        ("found/coco.json", "moved/images.json"),
        ("in/a/x.png", "moved/x.png"),
    ] {
        fs::copy(at.join(from), at.join(to)).unwrap();
    }
    fs::copy(at.join("in/v/scan.mp4"), at.join("moved/scan.mp4")).unwrap();
    fs::write(
        at.join("moved/new.png"),
        fs::read(at.join("in/b/y.png")).unwrap(),
    )
    .unwrap();
    let arguments = [
        "segment",
        "--boxes",
        "list.json",
        "--images-of",
        "images.json",
        "--write",
        "coco",
        "--output",
        "out",
        "--json",
    ];
    let inputs = [
        "--input", "scan.mp4", "--input", "x.png", "--input", "new.png",
    ];
    let output = ultramotion(&at.join("moved"), &[&arguments[..], &inputs].concat());
    let (text, said) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success() && said.contains("boxes for 3 of 4 frames"),
        "{said}"
    );
    let summary: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(
        summary["boxes"],
        serde_json::json!({ "matched": 3, "frames": 4 })
    );
    let mut wanted: BTreeMap<_, _> = found
        .iter()
        .filter(|(name, _)| name.starts_with("scan") || name.starts_with("x."))
        .collect();
    let none = Vec::new();
    let new = "new.png#0".to_owned();
    wanted.insert(&new, &none);
    close(
        &boxes(&at.join("moved/out")),
        &wanted
            .into_iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
    );
}

#[test]
fn a_file_that_knows_no_frame_is_an_error_and_leaves_no_folder() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    picture(&at.join("in/q.png"), 1);
    let coco = |names: &[&str]| {
        let images: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(id, name)| serde_json::json!({ "id": id, "file_name": name }))
            .collect();
        serde_json::json!({ "images": images, "annotations": [], "categories": [] }).to_string()
    };
    let list = r#"[{"image_id":1,"category_id":1,"bbox":[1,2,3,4],"score":0.5}]"#.to_owned();
    let cases = [
        (
            coco(&["frames/w/000000.png"]),
            "it has frames/w/000000.png, the inputs have in/q.png",
        ),
        (
            coco(&["a/q.png", "b/q.png"]),
            "in/q.png could be several of its images",
        ),
        (list, "--images-of"),
        (String::new(), "holds no image"),
    ];
    for (text, said) in cases {
        fs::write(at.join("boxes.json"), &text).unwrap();
        let error = failed(
            at,
            &[
                "segment",
                "--input",
                "in/q.png",
                "--boxes",
                "boxes.json",
                "--output",
                "out",
            ],
        );
        assert!(
            error.contains("boxes.json: ") && error.contains(said),
            "{error}"
        );
        assert!(!at.join("out").exists(), "{error}");
    }
    // The source is known, and none of its frames: seen when they have come.
    let line = r#"{"source":"s","source_index":0,"kind":"sequence","path":"s.tif","frame":7,"width":96,"height":80,"objects":[]}"#;
    fs::write(at.join("boxes.jsonl"), line).unwrap();
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/media/pages.tif"),
        at.join("s.tif"),
    )
    .unwrap();
    let error = failed(
        at,
        &[
            "segment",
            "--input",
            "s.tif",
            "--boxes",
            "boxes.jsonl",
            "--output",
            "out",
        ],
    );
    assert!(
        error.contains("frame 7 of s.tif") && !at.join("out").exists(),
        "{error}"
    );
}

#[test]
fn prompts_outside_of_the_picture_are_errors_of_the_frame() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    picture(&at.join("q.png"), 1);
    let cases = [
        ("--box", "96,10,120,40"),
        ("--box", "-9,-9,0,0"),
        ("--point", "96,10"),
        ("--point", "5,-1,0"),
        ("--point", "562,10"),
    ];
    for (option, value) in cases {
        let error = failed(
            at,
            &[
                "segment", "--input", "q.png", option, value, "--output", "out",
            ],
        );
        assert!(
            error.contains("q.png, frame 0: the")
                && error.contains("outside of the picture, which is 96×80"),
            "{error}"
        );
        assert!(!at.join("out").exists());
    }
    let coco = r#"{"images":[{"id":1,"file_name":"q.png","width":192,"height":160}],"annotations":[],"categories":[]}"#;
    fs::write(at.join("large.json"), coco).unwrap();
    let error = failed(
        at,
        &[
            "segment",
            "--input",
            "q.png",
            "--boxes",
            "large.json",
            "--output",
            "out",
        ],
    );
    assert!(
        error.contains("its boxes are of a picture of 192×160, and it is 96×80"),
        "{error}"
    );
}
