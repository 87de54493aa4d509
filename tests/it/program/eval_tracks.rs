//! `eval --tracks`: table, JSON, bounds, usage. The figures themselves are tested beside the code.

use crate::common::program;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Output,
};

fn fixture(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/track_eval")
        .join(format!("phantom_{part}.json"))
}

fn run(options: &[&str]) -> Output {
    let mut command = program();
    command.args(["eval", "--tracks", "--ground-truth"]);
    command.arg(fixture("gt")).arg("--predictions");
    command.arg(fixture("predictions")).args(options);
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_program_prints_a_table_or_one_json_object() {
    let output = run(&[]);
    let table = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for says in [
        "6 sequences, 144 frames, IoU of masks, rules of classes",
        "HOTA over IoU 0.05 to 0.95",
        "CLEAR at IoU 0.5",
        "Identity at IoU 0.5",
        "all, by detections",
        "seed-000021/clip",
    ] {
        assert!(table.contains(says), "{says}: {table}");
    }
    let output = run(&["--json", "--iou", "boxes", "--iou-threshold", "0.7"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&found["iou"], &found["iou_threshold"]),
        (&"boxes".into(), &0.7.into())
    );
    let all = &found["detection_averaged"];
    assert_eq!(all["hota"]["alphas"].as_array().unwrap().len(), 19);
    assert!(all["hota"]["HOTA"].as_f64().unwrap() > 0.1 && all["clear"]["IDSW"].is_u64());
    let classes = found["per_class"].as_array().unwrap();
    let names: Vec<&str> = classes
        .iter()
        .filter_map(|c| c["category"].as_str())
        .collect();
    assert_eq!(names, ["bone", "cyst", "vessel", "needle"]);
    assert_eq!(classes[0]["sequences"].as_array().unwrap().len(), 6);
}

#[test]
fn exit_codes_tell_bounds_and_usage_apart() {
    let passed = [
        "--min-hota",
        "0.1",
        "--min-mota",
        "-2",
        "--max-switches",
        "4",
    ];
    assert_eq!(run(&passed).status.code(), Some(0));
    let output = run(&[
        "--min-idf1",
        "0.9",
        "--min-assa",
        "0.1",
        "--max-switches",
        "3",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.starts_with("error: --min-idf1 0.9: IDF1 is too low: 0.1"),
        "{said}"
    );
    assert!(
        said.contains("--max-switches 3: identity switches are too many: 4"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 2, "{said}");
    for options in [
        ["--min-hota", "1.5"],
        ["--min-mota", "1.5"],
        ["--min-ap", "0.5"],
        ["--iou", "circles"],
        ["--rules", "mot99"],
    ] {
        assert_eq!(run(&options).status.code(), Some(64), "{options:?}");
    }
    let output = run(&["--rules", "mot17"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("is no MOTChallenge text") && said.contains("(--rules)"),
        "{said}"
    );
}
