//! `live`, and streams as inputs of runs. Streams are those of a device that FFmpeg makes up.

use super::resume::init;
use crate::common::{program, stderr, stdout};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

const STREAM: &str = "lavfi:testsrc2=s=64x48:r=20,realtime";

/// A command with a small detector in `folder`.
fn command(folder: &Path, name: &str) -> Command {
    let model = folder.join("model");
    if !model.exists() {
        init("dfine-n", &["--size", "256"], &model);
    }
    let mut command = program();
    command.arg(name).arg("--detector").arg(&model);
    command.args(["--device", "cpu", "--confidence", "0.01"]);
    command
}

fn live(folder: &Path, more: &[&str]) -> Output {
    let mut command = command(folder, "live");
    command.arg("--no-segmenter").args(more);
    command.current_dir(folder).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = stdout(output);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn frames_come_as_lines_with_their_latency_and_are_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--json", "--record", "out", "--write", "coco"];
    let kpi = ["--kpi", "k.jsonl"];
    let output = live(
        folder.path(),
        &[&[STREAM, "--max-frames", "3"], &args[..], &kpi].concat(),
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = lines(&output);
    let of =
        |kind: &str| -> Vec<&Value> { lines.iter().filter(|line| line["type"] == kind).collect() };
    let frames = of("frame");
    assert_eq!(frames.len(), 3, "{lines:?}");
    for frame in &frames {
        let live = &frame["live"];
        let parts: f64 = ["decode_ms", "wait_ms", "models_ms"]
            .iter()
            .map(|part| live[part].as_f64().unwrap())
            .sum();
        let latency = live["latency_ms"].as_f64().unwrap();
        assert!((parts - latency).abs() < 0.01, "{live}");
        assert!(live["arrival"].as_f64().unwrap() > 1.7e9);
    }
    let summary = of("summary")[0];
    assert_eq!(summary["figures"]["done"], 3);
    assert_eq!(summary["latency"]["result"]["count"], 3);
    assert_eq!(of("connected").len(), 1);
    let record = fs::read_to_string(folder.path().join("out/detections.jsonl")).unwrap();
    assert_eq!(record.lines().count(), 3);
    assert!(folder.path().join("out/coco.json").exists());
    let kpi = fs::read_to_string(folder.path().join("k.jsonl")).unwrap();
    assert!(
        kpi.contains(r#""event":"connected""#) && kpi.contains("models_ms"),
        "{kpi}"
    );
}

#[cfg(unix)]
#[test]
fn a_killed_recording_has_every_frame_that_was_written_and_can_be_exported() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path(), "live");
    command.args(["--no-segmenter", STREAM, "--json", "--record", "out"]);
    let mut child = command
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut written = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if line["type"] == "written" {
            written.push(line["frame"].as_u64().unwrap());
        }
        if written.len() == 3 {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let record = fs::read_to_string(folder.path().join("out/detections.jsonl")).unwrap();
    let there: Vec<u64> = record
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["frame"].as_u64())
        .collect();
    assert_eq!(there[..3], written, "{there:?}");
    let export = program()
        .args(["export", "--run", "out", "--to", "coco", "--output", "set"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(export.status.success(), "{}", stderr(&export));
    let coco = fs::read(folder.path().join("set/coco.json")).unwrap();
    let coco: Value = serde_json::from_slice(&coco).unwrap();
    assert_eq!(coco["images"].as_array().unwrap().len(), there.len());
}

#[test]
fn runs_record_streams_for_as_long_as_they_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let output = program()
        .args([
            "extract",
            "lavfi:testsrc2=s=64x48:r=20,realtime",
            "--duration",
            "1s",
        ])
        .args(["--output", "out"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let frames = folder
        .path()
        .join("out/frames/lavfi-testsrc2-s-64x48-r-20-realtime");
    let count = fs::read_dir(frames).unwrap().count();
    assert!((15..=60).contains(&count), "{count}");
}

#[test]
fn what_makes_no_sense_is_refused_and_passwords_are_kept_secret() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let output = program()
            .args(args)
            .current_dir(folder.path())
            .output()
            .unwrap();
        (output.status.code(), stderr(&output))
    };
    for (args, expected) in [
        (&["live", "clip.mp4"][..], "--realtime plays it at its own"),
        (
            &["live", "ftp://me:secret@host/x"],
            "ftp://host/x: not the address of a stream",
        ),
        (
            &["live", "rtsp://host/x", "--realtime"],
            "has a pace of its own",
        ),
        (
            &["extract", "rtsp://me:secret@host/x", "--resume"],
            "--resume: rtsp://host/x is a stream",
        ),
        (
            &["extract", "a.png", "--duration", "3s"],
            "--duration: is the time of streams",
        ),
    ] {
        let (code, text) = run(args);
        assert_eq!(code, Some(64), "{args:?}: {text}");
        assert!(
            text.contains(expected) && !text.contains("secret"),
            "{args:?}: {text}"
        );
    }
    let (code, text) = run(&[
        "extract",
        "rtsp://me:secret@127.0.0.1:9/x",
        "--timeout",
        "5s",
    ]);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("rtsp://127.0.0.1:9/x: cannot be opened"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}
