//! `eval`: figures against pycocotools' and scipy's (tests/fixtures/eval/make.py), files that cannot be evaluated, exit codes.

use crate::common::program;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};
use tempfile::TempDir;
use ultramotion::eval::{EvalOptions, Evaluation, evaluate};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/eval")
        .join(name)
}

fn close(found: &Value, wanted: &Value, place: &str) {
    match (found.as_f64(), wanted.as_f64()) {
        (Some(a), Some(b)) => assert!((a - b).abs() < 1e-6, "{place}: {a} instead of {b}"),
        _ => assert_eq!(found, wanted, "{place}"),
    }
}

#[test]
fn figures_equal_those_of_pycocotools_and_scipy() {
    let expected: Value =
        serde_json::from_str(&fs::read_to_string(fixture("expected.json")).unwrap()).unwrap();
    let (mut tables, mut figures) = (0, 0);
    for (name, wanted) in expected.as_object().unwrap() {
        let max_detections = wanted["max_detections"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_u64().unwrap() as usize)
            .collect();
        let files = ["gt", "predictions"].map(|part| fixture(&format!("{name}_{part}.json")));
        let found = evaluate(
            &files[0],
            &files[1],
            &EvalOptions {
                max_detections,
                ..EvalOptions::default()
            },
        )
        .unwrap();
        let found = serde_json::to_value(found).unwrap();
        for kind in ["bbox", "segm"] {
            assert_eq!(
                found[kind].is_null(),
                wanted[kind].is_null(),
                "{name}: {kind}"
            );
            if wanted[kind].is_null() {
                continue;
            }
            tables += 1;
            let classes = found[kind]["per_class"].as_array().unwrap();
            let named = classes
                .iter()
                .map(|class| (class["category"].as_str().unwrap(), class));
            let all = std::iter::once(("all", &found[kind]["overall"])).chain(named);
            for (class, row) in all {
                let target = if class == "all" {
                    &wanted[kind]["overall"]
                } else {
                    &wanted[kind]["per_class"][class]
                };
                for (figure, value) in target.as_object().unwrap() {
                    close(
                        &row[figure],
                        value,
                        &format!("{name}, {kind}, {class}, {figure}"),
                    );
                    figures += 1;
                }
            }
        }
        for row in found["matched_per_class"].as_array().unwrap() {
            let class = row["category"].as_str().unwrap();
            for (figure, value) in wanted["matched"][class].as_object().unwrap() {
                // Boxes made of masks are equal now and then; of pairs that cost the same any is right.
                if name != "masks" || !["mean_mask_iou", "mean_dice"].contains(&figure.as_str()) {
                    close(
                        &row[figure],
                        value,
                        &format!("{name}, matched, {class}, {figure}"),
                    );
                }
            }
        }
    }
    assert!(
        tables >= 13 && figures > 500,
        "{tables} tables, {figures} figures"
    );
}

/// One image of 100×80 with a bone of 20×10 at (10, 10), and a cyst that is empty.
fn truth() -> Value {
    json!({
        "images": [{ "id": 1, "file_name": "frames/000000.png", "width": 100, "height": 80 },
                   { "id": 2, "file_name": "frames/000001.png", "width": 100, "height": 80 }],
        "annotations": [{ "id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 10], "area": 200, "iscrowd": 0,
                          "segmentation": [[10, 10, 30, 10, 30, 20, 10, 20]] }],
        "categories": [{ "id": 1, "name": "bone" }, { "id": 2, "name": "cyst" }],
    })
}

fn prediction() -> Value {
    json!({ "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 10], "score": 0.9 })
}

/// A whole file with ids of its own that agrees with [`truth`].
fn whole() -> Value {
    json!({
        "images": [{ "id": 7, "file_name": "out/frames/000000.png", "width": 100, "height": 80 },
                   { "id": 8, "file_name": "out/frames/000001.png", "width": 100, "height": 80 }],
        "annotations": [{ "id": 1, "image_id": 7, "category_id": 5, "bbox": [10, 10, 20, 10], "score": 0.9 }],
        "categories": [{ "id": 5, "name": "bone" }],
    })
}

struct Files(TempDir);

impl Files {
    fn new(truth: &str, predictions: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("gt.json"), truth).unwrap();
        fs::write(folder.path().join("predictions.json"), predictions).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn evaluate(&self, options: &EvalOptions) -> Result<Evaluation, String> {
        evaluate(
            &self.path("gt.json"),
            &self.path("predictions.json"),
            options,
        )
        .map_err(|e| e.to_string())
    }

    fn run(&self, options: &[&str]) -> Output {
        let mut command = program();
        command
            .arg("eval")
            .arg("--ground-truth")
            .arg(self.path("gt.json"));
        command
            .arg("--predictions")
            .arg(self.path("predictions.json"))
            .args(options)
            .output()
            .unwrap()
    }
}

fn with(mut value: Value, pointer: &str, new: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Array(list) => list.push(new),
        Value::Object(map) => drop(map.insert(key.to_owned(), new)),
        other => panic!("{other}"),
    }
    value
}

fn problem(truth: &Value, predictions: &Value) -> String {
    Files::new(&truth.to_string(), &predictions.to_string())
        .evaluate(&EvalOptions::default())
        .unwrap_err()
}

#[test]
fn ground_truth_that_contradicts_itself_is_refused() {
    let annotation =
        |key: &str, value: Value| with(truth(), &format!("/annotations/0/{key}"), value);
    let rle = |size: [i64; 2], counts: Value| {
        annotation("segmentation", json!({ "size": size, "counts": counts }))
    };
    let cases = [
        (
            with(truth(), "/images/+", json!({ "id": 1 })),
            "several images have the same id: 1",
        ),
        (
            with(truth(), "/categories/+", json!({ "id": 2, "name": "x" })),
            "several categories have the same id: 2",
        ),
        (
            with(truth(), "/annotations/+", truth()["annotations"][0].clone()),
            "several annotations have the same id: 1",
        ),
        (
            annotation("image_id", json!(99)),
            "images that its lists do not have: 99",
        ),
        (
            annotation("category_id", json!(99)),
            "categories that its lists do not have: 99",
        ),
        (
            annotation("image_id", json!("1")),
            "expected a whole number",
        ),
        (
            annotation("image_id", json!(1.5)),
            "expected a whole number",
        ),
        (
            annotation("bbox", json!([1, 2, -3, 4])),
            "annotation 1 (image 1): its bbox [1.0, 2.0, -3.0, 4.0] has a negative width",
        ),
        (annotation("bbox", json!([1, 2, 3])), "3 numbers"),
        (
            annotation("bbox", json!([0, 0, 1e300, 1e300])),
            "beyond any picture",
        ),
        (annotation("area", json!(-1)), "area -1"),
        (
            rle([80, 100], json!([8000, 1])),
            "add up to 8001 pixels instead of 100×80",
        ),
        (
            rle(
                [80, 100],
                json!([4294967295u32, 4294967295u32, 4294967295u32]),
            ),
            "add up to 12884901885",
        ),
        (
            rle([80, 100], json!([-1, 8001])),
            "invalid value: integer `-1`",
        ),
        (
            rle([80, 100], json!("oooooooooooooooooooo")),
            "counts are broken",
        ),
        (rle([-80, 100], json!("")), "invalid value: integer `-80`"),
        (
            rle([100, 80], json!([8000])),
            "its mask is 80×100, its image 100×80",
        ),
        (
            annotation("segmentation", json!([[1, 2, 3, 4]])),
            "4 numbers",
        ),
        (
            annotation("segmentation", json!("mask")),
            "polygons or an RLE",
        ),
        (
            with(truth(), "/images/0/width", json!(-5)),
            "invalid value: integer `-5`",
        ),
        (with(truth(), "/images/0/width", json!(5e9)), "invalid"),
        (
            with(truth(), "/images/0/width", json!(4_000_000_000u32)),
            "larger than COCO's run lengths",
        ),
        (
            json!({ "images": [], "annotations": [] }),
            "missing field `categories`",
        ),
        (json!([]), "is no COCO ground truth"),
    ];
    for (truth, says) in cases {
        let found = problem(&truth, &json!([prediction()]));
        assert!(
            found.contains("gt.json: ") && found.contains(says),
            "{found}"
        );
    }
}

#[test]
fn predictions_that_cannot_be_compared_are_refused() {
    let one = |key: &str, value: Value| json!([with(prediction(), &format!("/{key}"), value)]);
    let whole_with = |pointer: &str, value: Value| with(whole(), pointer, value);
    let mask = json!({ "size": [80, 100], "counts": [8000] });
    let cases = [
        (
            one("image_id", json!(3)),
            "images that the ground truth does not have: 3",
        ),
        (
            one("category_id", json!(-4)),
            "categories that the ground truth does not have: -4",
        ),
        (
            one("score", json!(null)),
            "annotation 0 of the list (image 1): it has no score",
        ),
        (one("score", json!("high")), "expected f64"),
        (
            json!([prediction(), with(prediction(), "/segmentation", mask)]),
            "has a mask, unlike those before it; evaluate boxes alone",
        ),
        (
            json!([{ "image_id": 1, "category_id": 1, "score": 1 }]),
            "neither a box nor a mask",
        ),
        (
            whole_with("/annotations/0/score", json!(null)),
            "annotation 1 (image 7): it has no score; is this ground truth?",
        ),
        (
            whole_with("/images/0/file_name", json!("out/other.png")),
            "1 image is not in the ground truth, of 2 in it: out/other.png; evaluate only",
        ),
        (
            whole_with("/images/1/file_name", json!("000000.png")),
            "could be several",
        ),
        (
            whole_with("/images/0/width", json!(200)),
            "out/frames/000000.png is 200×80, and 100×80 in the ground truth",
        ),
        (
            whole_with("/images", json!([whole()["images"][0]])),
            "1 image of the ground truth is not in it, of 2: frames/000001.png",
        ),
        (
            whole_with("/categories/0/name", json!("Bone")),
            "objects of categories that the ground truth does not have: Bone",
        ),
        (
            json!({ "images": whole()["images"], "annotations": [], "categories": [] }),
            "objects of categories that it does not have: bone",
        ),
        (json!("text"), "holds no COCO predictions"),
        (json!({}), "missing field `images`"),
    ];
    for (predictions, says) in cases {
        let found = problem(&truth(), &predictions);
        assert!(
            found.contains("predictions.json: ") && found.contains(says),
            "{found}"
        );
    }
    for text in [
        r#"[{"image_id":1,"category_id":1,"bbox":[0,0,1,1],"score":NaN}]"#,
        r#"[{"image_id":1,"score":-Infinity}]"#,
    ] {
        let found = Files::new(&truth().to_string(), text)
            .evaluate(&EvalOptions::default())
            .unwrap_err();
        assert!(
            found.contains("NaN and Infinity are not JSON numbers"),
            "{found}"
        );
    }
    for text in [
        "",
        "[1e999]",
        &"[".repeat(100_000),
        r#"[{"image_id":1,"category_id":1,"bbox":[0,0,1,1],"score":1e999}]"#,
    ] {
        let found = Files::new(&truth().to_string(), text)
            .evaluate(&EvalOptions::default())
            .unwrap_err();
        assert!(found.contains("holds no COCO predictions"), "{found}");
    }
}

#[test]
fn whole_files_are_matched_by_names_and_lists_by_ids() {
    for predictions in [
        whole(),
        json!([prediction()]),
        with(
            whole(),
            "/images/0/file_name",
            json!("C:\\x\\frames\\000000.png"),
        ),
    ] {
        let found = Files::new(&truth().to_string(), &predictions.to_string())
            .evaluate(&EvalOptions::default())
            .unwrap();
        assert_eq!((found.images, found.objects, found.predictions), (2, 1, 1));
        assert_eq!(
            found.bbox.overall.get("AP").map(|ap| (ap * 1e6).round()),
            Some(1e6),
            "{predictions}"
        );
        assert_eq!(
            (
                found.matched.precision,
                found.matched.recall,
                found.matched.mean_box_iou
            ),
            (Some(1.0), Some(1.0), Some(1.0))
        );
        assert_eq!(
            (found.empty_images.images, found.empty_images.share),
            (1, Some(1.0))
        );
        assert!(found.segm.is_none());
    }
    let common = EvalOptions {
        common_only: true,
        ..EvalOptions::default()
    };
    let fewer = with(
        whole(),
        "/images",
        json!([whole()["images"][0], { "id": 9, "file_name": "elsewhere.png" }]),
    );
    let found = Files::new(&truth().to_string(), &fewer.to_string())
        .evaluate(&common)
        .unwrap();
    assert_eq!(
        (found.images, found.objects, found.bbox.per_class.len()),
        (1, 1, 1)
    );
}

#[test]
fn lists_are_matched_by_the_images_that_they_number() {
    let options = |images_of: Option<PathBuf>| EvalOptions {
        images_of,
        ..EvalOptions::default()
    };
    let ap = |found: Evaluation| found.bbox.overall.get("AP").map(|ap| (ap * 1e6).round());
    // The numbers of a run over the same frames in another order.
    let list = json!([with(
        with(prediction(), "/image_id", json!(8)),
        "/category_id",
        json!(5)
    )]);
    let images = with(
        with(whole(), "/images/0/file_name", json!("clip/000001.png")),
        "/images/1/file_name",
        json!("clip/000000.png"),
    );
    let images = format!("\u{feff}{}", with(images, "/annotations", json!([])));
    let files = Files::new(&format!("\u{feff}{}", truth()), &format!("\u{feff}{list}"));
    assert!(
        files
            .evaluate(&options(None))
            .unwrap_err()
            .contains("images that the ground truth does not have: 8")
    );
    fs::write(files.path("coco.json"), &images).unwrap();
    assert!(
        files.evaluate(&options(None)).is_err(),
        "whose file it is nobody says"
    );
    assert_eq!(
        ap(files
            .evaluate(&options(Some(files.path("coco.json"))))
            .unwrap()),
        Some(1e6)
    );
    fs::write(files.path("run.json"), r#"{"program":"ultramotion"}"#).unwrap();
    assert_eq!(
        ap(files.evaluate(&options(None)).unwrap()),
        Some(1e6),
        "it lies in the folder of its run"
    );
    assert_eq!(
        files
            .run(&[
                "--images-of",
                files.path("coco.json").to_str().unwrap(),
                "--min-ap",
                "0.99"
            ])
            .status
            .code(),
        Some(0)
    );
    let own = Files::new(&truth().to_string(), &whole().to_string());
    assert!(
        own.evaluate(&options(Some(files.path("coco.json"))))
            .unwrap_err()
            .contains("leave the file of images out")
    );
}

#[test]
fn images_without_telling_names_are_matched_by_video_and_number_and_without_extension() {
    let videos = |value: Value, names: [&str; 2]| {
        let videos = names.map(|name| json!({ "id": name.len(), "name": name }));
        let mut value = with(value, "/videos", json!(videos));
        for (image, name) in value["images"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .zip(names)
        {
            (image["video_id"], image["frame_id"], image["file_name"]) = (
                json!(name.len()),
                json!(0),
                json!(format!("{}/0.png", image["id"])),
            );
        }
        value
    };
    let (truth_file, run) = (
        videos(truth(), ["s1/clip", "long2/clip"]),
        videos(whole(), ["s1/clip", "long2/clip"]),
    );
    let found = Files::new(&truth_file.to_string(), &run.to_string())
        .evaluate(&EvalOptions::default())
        .unwrap();
    assert_eq!((found.images, found.matched.recall), (2, Some(1.0)));
    let swapped = videos(whole(), ["long2/clip", "s1/clip"]);
    let found = Files::new(&truth_file.to_string(), &swapped.to_string())
        .evaluate(&EvalOptions::default())
        .unwrap();
    assert_eq!(
        found.matched.recall,
        Some(0.0),
        "the object is in the other video"
    );
    let jpeg = with(
        with(whole(), "/images/0/file_name", json!("a/000000.jpg")),
        "/images/1/file_name",
        json!("a/000001.jpg"),
    );
    let found = Files::new(&truth().to_string(), &jpeg.to_string())
        .evaluate(&EvalOptions::default())
        .unwrap();
    assert_eq!(found.matched.recall, Some(1.0));
}

#[test]
fn confusions_and_false_alarms_are_counted() {
    let predictions = json!([
        { "image_id": 1, "category_id": 2, "bbox": [10, 10, 20, 11], "score": 0.9 },
        { "image_id": 2, "category_id": 1, "bbox": [50, 50, 20, 11], "score": 0.8 },
        { "image_id": 2, "category_id": 1, "bbox": [50, 50, 20, 11], "score": 0.1 },
    ]);
    let files = Files::new(&truth().to_string(), &predictions.to_string());
    let found = files.evaluate(&EvalOptions::default()).unwrap();
    let matched = &found.matched;
    assert_eq!(
        (
            matched.true_positives,
            matched.false_positives,
            matched.false_negatives
        ),
        (0, 2, 1)
    );
    let cells: Vec<_> = found
        .confusion
        .iter()
        .map(|c| (c.truth.as_deref(), c.prediction.as_deref(), c.count))
        .collect();
    assert_eq!(
        cells,
        [(Some("bone"), Some("cyst"), 1), (None, Some("bone"), 1)]
    );
    assert_eq!(
        (
            found.empty_images.without_predictions,
            found.empty_images.share
        ),
        (0, Some(0.0))
    );
    let sure = files
        .evaluate(&EvalOptions {
            confidence: 0.85,
            ..EvalOptions::default()
        })
        .unwrap();
    assert_eq!(
        (sure.matched.false_positives, sure.empty_images.share),
        (1, Some(1.0))
    );
}

#[test]
fn crowds_are_no_objects_and_excuse_what_lies_in_them() {
    let crowd = json!({ "id": 2, "image_id": 2, "category_id": 1, "bbox": [0, 0, 100, 80], "area": 8000, "iscrowd": 1,
                        "segmentation": { "size": [80, 100], "counts": [0, 8000] } });
    let inside = json!([prediction(), with(prediction(), "/image_id", json!(2))]);
    let found = Files::new(
        &with(truth(), "/annotations/+", crowd).to_string(),
        &inside.to_string(),
    );
    let found = found.evaluate(&EvalOptions::default()).unwrap();
    assert_eq!(
        (found.objects, found.crowds, found.empty_images.images),
        (1, 1, 0)
    );
    assert_eq!(
        (found.matched.false_positives, found.matched.precision),
        (0, Some(1.0))
    );
    assert_eq!(found.confusion.len(), 1);
}

#[test]
fn an_image_with_more_than_can_be_matched_is_refused() {
    let object = |id: usize| json!({ "id": id, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 0 });
    let truth = with(truth(), "/annotations", (1..2100).map(object).collect());
    let predictions: Value = (0..2100).map(|_| prediction()).collect();
    let found = problem(&truth, &predictions);
    assert!(
        found.contains("frames/000000.png has 2100 predictions and 2099 objects, too many"),
        "{found}"
    );
}

#[test]
fn damaged_files_never_panic() {
    let sources = [
        "whole_gt.json",
        "masks_predictions.json",
        "masks_gt.json",
        "whole_predictions.json",
    ];
    let originals = sources.map(|name| fs::read(fixture(name)).unwrap());
    let mut state = 5u64;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut refused = 0;
    for round in 0..400 {
        let mut pair = if round % 2 == 0 {
            [&originals[0], &originals[3]]
        } else {
            [&originals[2], &originals[1]]
        }
        .map(Clone::clone);
        let text = &mut pair[random(2)];
        for _ in 0..=random(3) {
            let at = random(text.len());
            match random(4) {
                0 => text[at] = b"0123456789-e.,[]{}\"n"[random(20)],
                1 => drop(text.splice(at..at, b"99999999".iter().copied())),
                2 => drop(text.splice(at..(at + 9).min(text.len()), [])),
                _ => text[at] = random(256) as u8,
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let paths = ["gt.json", "predictions.json"].map(|name| folder.path().join(name));
        paths
            .iter()
            .zip(&pair)
            .for_each(|(path, text)| fs::write(path, text).unwrap());
        refused += usize::from(evaluate(&paths[0], &paths[1], &EvalOptions::default()).is_err());
    }
    assert!(
        refused > 100 && refused < 400,
        "{refused} of 400 were refused"
    );
}

#[test]
fn the_program_prints_a_table_or_one_json_object() {
    let files = Files::new(&truth().to_string(), &whole().to_string());
    let table = files.run(&[]);
    assert_eq!(table.status.code(), Some(0));
    let text = String::from_utf8(table.stdout).unwrap();
    for line in [
        " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 1.000",
        " Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = -1.000",
        "IoU of masks: left out, not all objects and predictions have masks",
        "  bone    1   0   0      1.000   1.000  1.000    1.000         -     -",
        "Images without ground truth: 1, of which 1 without predictions (100.0%)",
    ] {
        assert!(
            text.lines().any(|l| l == line),
            "{line:?} is not in\n{text}"
        );
    }
    let json = files.run(&["--json", "--max-detections", "3,1"]);
    let value: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(value["bbox"]["overall"]["AR3"], 1.0);
    assert_eq!(
        (&value["segm"], &value["matched"]["mean_dice"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        value["confusion"],
        json!([{ "truth": "bone", "prediction": "bone", "count": 1 }])
    );
}

#[test]
fn exit_codes_tell_gates_files_and_usage_apart() {
    let files = Files::new(&truth().to_string(), &whole().to_string());
    let run = |options: &[&str]| {
        let output = files.run(options);
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(
        run(&["--min-ap", "0.99", "--min-empty-share", "1"]),
        (Some(0), String::new())
    );
    let (code, said) = run(&["--min-ap", "0.5", "--min-mask-iou", "0.85"]);
    assert_eq!(code, Some(1));
    assert_eq!(
        said,
        "error: --min-mask-iou 0.85: mean mask IoU of matched objects is too low: there is none\n"
    );
    for options in [
        ["--iou-threshold", "0"],
        ["--confidence", "NaN"],
        ["--max-detections", "0"],
        ["--min-ap", "2"],
        ["--x", "1"],
    ] {
        assert_eq!(run(&options).0, Some(64), "{options:?}");
    }
    fs::remove_file(files.path("predictions.json")).unwrap();
    let (code, said) = run(&[]);
    assert!(
        code == Some(2) && said.contains("predictions.json: cannot be read"),
        "{said}"
    );
}
