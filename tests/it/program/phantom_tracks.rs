//! `ultramotion phantom --motion`: tracks as text say what `coco.json` says, and clips show frames when they were taken.

use crate::common::{program, stderr};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use ultramotion::{
    coco::rle::decode_counts,
    sources::{ExpandOptions, SourceOptions, expand, open},
};

fn phantom(output: &Path, more: &[&str]) {
    let mut command = program();
    command.args(["phantom", "--quiet", "--size", "96x80", "--output"]);
    let output = command.arg(output).args(more).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap()
}

/// Fields of a file's lines.
fn rows(path: &Path, separator: char) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| line.split(separator).map(str::to_owned).collect())
        .collect()
}

fn numbers(row: &[String]) -> Vec<f64> {
    row.iter().map(|field| field.parse().unwrap()).collect()
}

const HARD: [&str; 8] = [
    "--motion",
    "hard",
    "--seed",
    "5",
    "--frames",
    "27",
    "--frame-rate",
    "10",
];

#[test]
fn tracks_as_text_agree_with_coco_json() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    phantom(&out, &[HARD.as_slice(), &["--write", "mot,mots"]].concat());
    let truth = json(&out.join("coco.json"));
    let annotations = list(&truth, "annotations");
    assert!(annotations.len() > 30, "{}", annotations.len());
    assert_eq!(
        (&truth["info"]["motion"], list(&truth, "videos").len()),
        (&"hard".into(), 1)
    );
    let number = |a: &Value, name: &str| a[name].as_f64().unwrap();
    let boxes: Vec<Vec<f64>> = rows(&out.join("gt/gt.txt"), ',')
        .iter()
        .map(|row| numbers(row))
        .collect();
    let expected: Vec<Vec<f64>> = annotations
        .iter()
        .map(|a| {
            let bbox = list(a, "bbox").iter().map(|v| v.as_f64().unwrap());
            [number(a, "image_id"), number(a, "track_id")]
                .into_iter()
                .chain(bbox)
                .chain([1.0, number(a, "category_id"), number(a, "visibility")])
                .collect()
        })
        .collect();
    assert_eq!(boxes, expected);
    assert!(
        boxes.iter().all(|row| (0.2..=1.0).contains(&row[8])) && boxes.iter().any(|r| r[8] < 0.9)
    );
    for folder in ["gt", "mots"] {
        let names = fs::read_to_string(out.join(folder).join("labels.txt")).unwrap();
        let categories = list(&truth, "categories").iter();
        let expected: Vec<&str> = categories.map(|c| c["name"].as_str().unwrap()).collect();
        assert_eq!(names.lines().collect::<Vec<_>>(), expected, "{folder}");
    }
    let info = fs::read_to_string(out.join("seqinfo.ini")).unwrap();
    assert!(info.starts_with("[Sequence]\n") && info.contains("\nseqLength=27\n"));
    let mut covered: BTreeMap<u64, Vec<bool>> = BTreeMap::new();
    let mut objects = 0;
    for row in rows(&out.join("mots/gt.txt"), ' ') {
        let fields = numbers(&row[..5]);
        assert_eq!((fields[3], fields[4]), (80.0, 96.0), "height, then width");
        assert!(
            annotations
                .iter()
                .any(|a| number(a, "image_id") == fields[0]
                    && 1000.0 * fields[2] + number(a, "track_id") == fields[1]
                    && number(a, "category_id") == fields[2]),
            "{row:?}"
        );
        let pixels = covered
            .entry(fields[0] as u64)
            .or_insert_with(|| vec![false; 96 * 80]);
        let mut at = 0;
        for (i, run) in decode_counts(&row[5]).unwrap().into_iter().enumerate() {
            let run = at..at + run as usize;
            at = run.end;
            for pixel in pixels[run].iter_mut().filter(|_| i % 2 == 1) {
                assert!(!std::mem::replace(pixel, true), "masks overlap: {row:?}");
            }
        }
        assert_eq!(at, 96 * 80);
        objects += 1;
    }
    assert!(
        objects > 30 && objects <= annotations.len(),
        "{objects} of {}",
        annotations.len()
    );
    // Again over the earlier ones, calm: what it does not write is gone, and nothing tells of motion.
    phantom(&out, &["--frames", "2", "--write", "png", "--overwrite"]);
    assert!(
        ["gt", "mots", "seqinfo.ini"]
            .iter()
            .all(|n| !out.join(n).exists())
    );
    for name in ["coco.json", "phantom.json"] {
        let text = fs::read_to_string(out.join(name)).unwrap();
        assert!(
            !text.contains("motion\"") && !text.contains("visibility"),
            "{name}"
        );
    }
}

/// Times of all frames of a clip, in seconds.
fn times(path: PathBuf) -> Vec<f64> {
    let expanded = expand(
        &[path.into_os_string()],
        ExpandOptions::default(),
        &mut std::io::empty(),
    );
    let spec = expanded.sources[0].as_ref().unwrap();
    let mut source = open(spec, 0, &SourceOptions::default()).unwrap();
    std::iter::from_fn(|| source.next_frame().unwrap())
        .map(|frame| frame.timestamp.unwrap().as_secs_f64())
        .collect()
}

#[test]
fn clips_with_lost_frames_show_each_when_it_was_taken() {
    let dir = tempfile::tempdir().unwrap();
    phantom(
        dir.path(),
        &[HARD.as_slice(), &["--write", "mp4,dicom"]].concat(),
    );
    let truth = json(&dir.path().join("coco.json"));
    let stated: Vec<f64> = list(&truth, "images")
        .iter()
        .map(|image| image["timestamp"].as_f64().unwrap())
        .collect();
    let steps: Vec<f64> = stated.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().all(|&s| s > 0.099) && steps.iter().any(|&s| s > 0.15));
    for name in ["clip.mp4", "clip.dcm"] {
        let shown = times(dir.path().join(name));
        assert_eq!(shown.len(), stated.len(), "{name}");
        for (shown, stated) in shown.iter().zip(&stated) {
            assert!((shown - stated).abs() < 1e-4, "{name}: {shown}, {stated}");
        }
    }
}
