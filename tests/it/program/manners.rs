//! How the program behaves at a command line: help, versions, closed pipes, progress, neutral names, words.

use crate::common::{self, stderr, stdout};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

fn program(folder: &Path) -> Command {
    let mut command = common::program();
    // Nothing of the machine: no hub, no cache.
    command
        .current_dir(folder)
        .env("HF_ENDPOINT", "http://127.0.0.1:9")
        .env("HF_HOME", folder.join("cache"))
        .env_remove("HF_HUB_OFFLINE");
    command
}

fn run(folder: &Path, args: &[&str]) -> Output {
    program(folder).args(args).output().unwrap()
}

/// What is printed where all goes well.
fn done(folder: &Path, args: &[&str]) -> String {
    let output = run(folder, args);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{args:?}: {}",
        stderr(&output)
    );
    stdout(&output)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn picture(path: &Path, shade: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::from_fn(64, 48, |x, y| {
        image::Rgb([(x * 4) as u8, (y * 5) as u8, shade])
    })
    .save(path)
    .unwrap();
}

fn sequence(folder: &Path, name: &str, count: u32) {
    (0..count).for_each(|i| picture(&folder.join(format!("{name}{i:03}.png")), i as u8));
}

/// Paths of all files below `root`, those of folders left out.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path))
        } else {
            found.push(path)
        }
    }
    found
}

const COMMANDS: [&str; 14] = [
    "extract",
    "detect",
    "segment",
    "pipeline",
    "live",
    "serve",
    "phantom",
    "eval",
    "models",
    "bench",
    "audit",
    "doctor",
    "completions",
    "man",
];

#[test]
fn help_has_headings_and_examples() {
    let folder = tempfile::tempdir().unwrap();
    let runs = ["Input:", "Output:", "Models:", "Device:", "Global:"];
    let expected: [(&str, &[&str]); 6] = [
        ("extract", &["Input:", "Output:", "Global:"]),
        ("detect", &[&runs[..], &["Selection:"]].concat()),
        ("pipeline", &[&runs[..], &["Selection:"]].concat()),
        ("segment", &[&runs[..], &["Prompts:"]].concat()),
        ("bench", &["Input:", "Models:", "Device:", "Global:"]),
        (
            "audit",
            &[
                "Input:",
                "Audit:",
                "Models:",
                "Selection:",
                "Device:",
                "Global:",
            ],
        ),
    ];
    for (command, headings) in expected {
        let help = done(folder.path(), &[command, "--help"]);
        for heading in headings {
            assert_eq!(
                help.lines().filter(|line| line == heading).count(),
                1,
                "{command}: {heading}\n{help}"
            );
        }
    }
    for command in COMMANDS {
        let help = done(folder.path(), &[command, "--help"]);
        let examples = help.split("Examples:").nth(1).unwrap_or_default();
        assert!(
            examples.matches(&format!("ultramotion {command}")).count() >= 2,
            "{command}: {help}"
        );
    }
    assert!(done(folder.path(), &["--help"]).contains("Exit codes: 0 done"));
}

#[test]
fn values_are_shown_with_their_defaults_and_complete_in_shells() {
    let folder = tempfile::tempdir().unwrap();
    let help = done(folder.path(), &["pipeline", "-h"]);
    let squeezed = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for shown in [
        "[default: auto] [possible values: auto, cpu, cuda]",
        "[default: auto] [possible values: auto, f32, f16, bf16]",
        "[default: auto] [possible values: auto, gpu, cpu]",
        "[possible values: jsonl, coco, masks, instances, overlay, yolo, datumaro, nnunet, cvat, labelme, voc, labelstudio, mot, mots, seg, nrrd, csv, report, frames]",
        "[possible values: resident, legacy]",
        "[default: skip] [possible values: skip, stop]",
        "segment, pipeline: coco,masks,overlay]",
        "[default: 0.5]",
    ] {
        assert!(squeezed.contains(shown), "{shown}: {help}");
    }
    let phantom = done(folder.path(), &["phantom", "-h"])
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        phantom.contains(
            "[default: bone,cyst,vessel,needle] [possible values: bone, cyst, vessel, needle, none]"
        ),
        "{phantom}"
    );
    let completions = done(folder.path(), &["completions", "bash"]);
    for values in [
        "auto cpu cuda",
        "auto f32 f16 bf16",
        "auto gpu cpu",
        "resident legacy",
        "jsonl coco masks instances overlay yolo datumaro nnunet cvat labelme voc labelstudio mot mots seg nrrd csv report frames",
        "skip stop",
    ] {
        assert!(
            completions.contains(&format!("compgen -W \"{values}\"")),
            "{values}"
        );
    }
}

#[test]
fn the_long_version_tells_commit_and_features() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        done(folder.path(), &["-V"]),
        concat!("ultramotion ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let long = done(folder.path(), &["--version"]);
    let cuda = if cfg!(feature = "cuda") {
        "+cuda"
    } else {
        "-cuda"
    };
    let models = if cfg!(feature = "embedded-models") {
        "+embedded-models"
    } else {
        "-embedded-models"
    };
    assert!(
        long.contains("\ncommit: ")
            && long.contains(&format!("\nfeatures: {cuda} {models}\n"))
            && long.contains("\ntarget: "),
        "{long}"
    );
}

#[test]
fn manual_pages_name_the_values_of_options() {
    let folder = tempfile::tempdir().unwrap();
    done(folder.path(), &["man", "--output", "man"]);
    let page = fs::read_to_string(folder.path().join("man/ultramotion-detect.1")).unwrap();
    let synopsis = page
        .split(".SH SYNOPSIS")
        .nth(1)
        .unwrap()
        .split(".SH")
        .next()
        .unwrap();
    for usage in [
        "[\\fB\\-\\-stride\\fR \\fIN\\fR]",
        "[\\fB\\-o\\fR|\\fB\\-\\-output\\fR \\fIDIR\\fR]",
        "[\\fB\\-i\\fR|\\fB\\-\\-input\\fR \\fIPATH\\fR]...",
        "[\\fB\\-\\-resume\\fR] ",
        "[\\fIINPUT\\fR]...",
    ] {
        assert!(synopsis.contains(usage), "{usage}: {synopsis}");
    }
    assert!(
        page.contains(".SH SELECTION") && page.contains("Examples:"),
        "{page}"
    );
    assert!(folder.path().join("man/ultramotion-models-init.1").exists());
    assert!(done(folder.path(), &["man"]).contains("\\fBultramotion\\fR"));
}

/// Runs with a standard output that its reader closes after `lines`.
fn closed_after(folder: &Path, args: &[&str], lines: usize) -> (Option<i32>, String) {
    let mut child = program(folder)
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..lines {
        reader.read_line(&mut String::new()).unwrap();
    }
    drop(reader);
    let output = child.wait_with_output().unwrap();
    (output.status.code(), stderr(&output))
}

#[test]
fn a_closed_pipe_is_silent_and_no_error() {
    let folder = tempfile::tempdir().unwrap();
    picture(&folder.path().join("a.png"), 1);
    let commands: [&[&str]; 9] = [
        &["models", "list"],
        &["models", "inspect", "dfine-n-phantom", "--tensors"],
        &["completions", "zsh"],
        &["man"],
        &["--help"],
        &["extract", "--help"],
        &["extract", "a.png", "--output", "out"],
        &[
            "phantom", "--output", "p", "--frames", "3", "--size", "64x64", "--write", "png",
            "--json",
        ],
        &["doctor", "--device", "cuda:99"],
    ];
    for command in commands {
        assert_eq!(
            closed_after(folder.path(), command, 0),
            (Some(0), String::new()),
            "{command:?}"
        );
    }
}

#[test]
fn a_closed_pipe_ends_the_run_and_it_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    sequence(&folder.path().join("in"), "frame", 300);
    let args = ["extract", "in", "--output", "out", "--json"];
    assert_eq!(
        closed_after(folder.path(), &args, 1),
        (Some(0), String::new())
    );
    let report = json(&folder.path().join("out/run.json"));
    assert_eq!(report["status"], "interrupted", "{report}");
    assert!(
        report["counts"]["frames"].as_u64().unwrap() < 300,
        "{report}"
    );
    let resumed = done(
        folder.path(),
        &["extract", "in", "--output", "out", "--resume"],
    );
    assert!(
        resumed.starts_with("out: 300 frames of 1 source, 0 objects, 0 errors; see out/frames"),
        "{resumed}"
    );
}

#[test]
fn inputs_need_no_option() {
    let folder = tempfile::tempdir().unwrap();
    ["a.png", "b.png", "c.png"]
        .iter()
        .for_each(|name| picture(&folder.path().join(name), 7));
    let both = done(
        folder.path(),
        &[
            "extract", "a.png", "--input", "b.png", "c.png", "--output", "out",
        ],
    );
    assert_eq!(
        both,
        "out: 3 frames of 3 sources, 0 objects, 0 errors; see out/frames\n"
    );
    let text = fs::read_to_string(folder.path().join("out/detections.jsonl")).unwrap();
    let sources: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["source"].clone())
        .collect();
    assert_eq!(sources, ["b", "a", "c"]);
    let one = done(folder.path(), &["extract", "a.png", "--output", "one"]);
    assert_eq!(
        one,
        "one: 1 frame of 1 source, 0 objects, 0 errors; see one/frames\n"
    );
    let none = run(folder.path(), &["extract", "--output", "none"]);
    assert_eq!(none.status.code(), Some(64));
    assert!(stderr(&none).contains("INPUT"), "{}", stderr(&none));
}

#[test]
fn progress_counts_frames_where_stderr_is_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    sequence(&folder.path().join("in/cine"), "frame", 20);
    ["a.png", "b.png"]
        .iter()
        .for_each(|name| picture(&folder.path().join("in").join(name), 7));
    let media = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/media/moving_h264.mp4"
    );
    let args = [
        "extract", "in", media, "--output", "out", "--frames", "..15",
    ];
    let output = program(folder.path())
        .args(args)
        .env("ULTRAMOTION_PROGRESS_SECONDS", "0")
        .output()
        .unwrap();
    let text = stderr(&output);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("progress: "))
        .collect();
    let frames = stdout(&output).split(' ').nth(1).unwrap().to_owned();
    let last = format!("progress: {frames}/{frames} frames");
    assert!(
        lines
            .last()
            .is_some_and(|line| line.starts_with(&last) && line.ends_with("; 4 of 4 sources done")),
        "{text}"
    );
    // 15 of the 20 of the sequence: the selection counts.
    assert!(lines.iter().all(|line| !line.contains("/20 ")), "{text}");
    let calm = run(folder.path(), &["extract", "in", "--output", "calm"]);
    assert_eq!(stderr(&calm), "");
    let quiet = ["extract", "in", "--output", "quiet", "--quiet"];
    let quiet = program(folder.path())
        .args(quiet)
        .env("ULTRAMOTION_PROGRESS_SECONDS", "0")
        .output()
        .unwrap();
    assert_eq!(stderr(&quiet), "");
}

#[test]
fn exports_and_conversions_count_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let picture_names = ["a", "b", "c"].map(|name| format!("in/{name}.png"));
    picture_names
        .iter()
        .for_each(|name| picture(&folder.path().join(name), 7));
    let extract = ["extract", "in", "--as-images", "--output", "out"];
    done(folder.path(), &extract);
    for (name, from, to) in [
        ("export", &["--run", "out"][..], "labelme"),
        ("convert", &["export/labelme"], "coco"),
    ] {
        let command = |more: &[&str]| {
            let output = program(folder.path())
                .arg(name)
                .args(from)
                .args(["--to", to, "--output"])
                .args(more)
                .env("ULTRAMOTION_PROGRESS_SECONDS", "0")
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
            stderr(&output)
        };
        let said = command(&[name]);
        let last = format!("progress: {name}: 3/3 pictures");
        assert!(said.lines().any(|line| line.starts_with(&last)), "{said}");
        assert_eq!(command(&["quiet", "--quiet", "--overwrite"]), "");
    }
}

#[test]
fn thresholds_are_kept_as_typed() {
    let folder = tempfile::tempdir().unwrap();
    picture(&folder.path().join("a.png"), 7);
    done(
        folder.path(),
        &[
            "detect",
            "a.png",
            "--confidence",
            "0.4",
            "--kpi",
            "run.kpi",
            "--device",
            "cpu",
            "--output",
            "out",
        ],
    );
    let text = fs::read_to_string(folder.path().join("out/run.json")).unwrap();
    assert!(text.contains("\"confidence\": 0.4,"), "{text}");
    let kpi = fs::read_to_string(folder.path().join("run.kpi")).unwrap();
    assert!(
        kpi.contains("event=frame source=a ") && kpi.contains("detect_ms="),
        "{kpi}"
    );
    let other = run(
        folder.path(),
        &[
            "detect",
            "a.png",
            "--confidence",
            "0.9",
            "--device",
            "cpu",
            "--output",
            "out",
            "--resume",
        ],
    );
    assert!(
        stderr(&other).contains("confidence 0.4, this run has 0.9"),
        "{}",
        stderr(&other)
    );
}

#[test]
fn bench_without_an_input_has_objects() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(
        folder.path(),
        &[
            "bench",
            "--stage",
            "pipeline",
            "--warm-up",
            "0",
            "--repeats",
            "1",
            "--device",
            "cpu",
            "--json",
        ],
    );
    assert!(
        output.status.success() && stderr(&output).contains("4 objects forced"),
        "{}",
        stderr(&output)
    );
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let stage = &report["stages"][0];
    assert_eq!(
        (stage["stage"].as_str(), stage["objects"].as_f64()),
        (Some("pipeline (frame to masks)"), Some(4.0)),
        "{report}"
    );
}

#[test]
fn doctor_tells_what_was_built_and_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["doctor", "--device", "cpu", "--json"]);
    let findings: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let found = |subject: &str| {
        findings
            .iter()
            .find(|f| f["subject"] == subject)
            .unwrap_or_else(|| panic!("{subject}: {findings:?}"))
    };
    assert_eq!(
        found("CUDA")["found"]
            .as_str()
            .unwrap()
            .starts_with("in this build"),
        cfg!(feature = "cuda")
    );
    assert!(
        found("current folder")["found"]
            .as_str()
            .unwrap()
            .ends_with("can be written"),
        "{findings:?}"
    );
    assert!(found("encoder of overlay videos")["ok"].is_boolean());
    // A hub that does not answer is no fault of this machine.
    let hub = found("model hub");
    assert!(
        hub["ok"] == true && hub["found"].as_str().unwrap().contains("cannot be reached"),
        "{hub}"
    );
    if cfg!(feature = "embedded-models") {
        assert_eq!(
            found("built-in models")["found"],
            "dfine-n-phantom, mobile-sam-phantom"
        );
        assert!(
            found("speed of the built-in models")["found"]
                .as_str()
                .unwrap()
                .contains(" frames a second (cpu"),
            "{findings:?}"
        );
    }
    assert_eq!(
        files(folder.path()),
        Vec::<PathBuf>::new(),
        "nothing is left behind"
    );
}

#[test]
fn audit_on_a_cpu_says_first_that_it_proves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["audit", "missing.png", "--device", "cpu"]);
    assert!(
        stderr(&output).starts_with("warning: audit needs an NVIDIA GPU"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_readmes_phantom_has_objects() {
    let folder = tempfile::tempdir().unwrap();
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let line = readme
        .lines()
        .find(|line| line.contains("phantom --output phantom"))
        .unwrap();
    let typed: Vec<&str> = line
        .split('#')
        .next()
        .unwrap()
        .split_whitespace()
        .skip(1)
        .collect();
    let printed = done(folder.path(), &typed);
    assert!(
        printed.starts_with("phantom: 1 sequence, 100 frames ("),
        "{printed}"
    );
    let objects = json(&folder.path().join("phantom/coco.json"))["annotations"]
        .as_array()
        .unwrap()
        .len();
    assert!(objects > 50, "{objects} objects: {printed}");
    assert!(
        ["clip.mp4", "clip.dcm", "frames/000099.png"]
            .iter()
            .all(|name| folder.path().join("phantom").join(name).exists())
    );
}

/// Fails where a name of the patient is in an output, its path, or what was printed.
fn no_names(folder: &Path, outputs: &[&str], output: &Output) {
    let hidden = ["meier", "hans", "geb1960"];
    let check = |what: &str, text: &str| {
        let text = text.to_lowercase();
        hidden
            .iter()
            .for_each(|name| assert!(!text.contains(name), "{name} in {what}: {text}"));
    };
    check("stdout", &stdout(output));
    check("stderr", &stderr(output));
    for out in outputs {
        let root = folder.join(out);
        for file in if root.is_dir() {
            files(&root)
        } else {
            vec![root]
        } {
            check(
                "a path",
                &file.strip_prefix(folder).unwrap().to_string_lossy(),
            );
            check(
                &file.to_string_lossy(),
                &String::from_utf8_lossy(&fs::read(&file).unwrap()),
            );
        }
    }
}

/// Inputs that have a patient's name in all the ways there are.
fn named_inputs(folder: &Path) {
    sequence(&folder.join("Meier_geb1960"), "Hans", 3);
    picture(&folder.join("Meier.png"), 9);
    picture(&folder.join("list/Hans Meier.png"), 9);
    fs::write(
        folder.join("list/Meier cut.png"),
        &fs::read(folder.join("Meier.png")).unwrap()[..60],
    )
    .unwrap();
    fs::copy(
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/media/h264.mp4"),
        folder.join("Meier geb1960.mp4"),
    )
    .unwrap();
}

const RENAMED: [&str; 17] = [
    "extract",
    "Meier_geb1960",
    "Meier.png",
    "--input=Meier geb1960.mp4",
    "list",
    "Hans missing.png",
    "--frames",
    "..3",
    "--write",
    "frames,coco,overlay,jsonl",
    "--output",
    "out",
    "--kpi",
    "run.kpi",
    "--json",
    "--verbose",
    "--rename-sources=Meier key.csv",
];

#[test]
fn renamed_sources_leave_no_name_in_any_output() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    named_inputs(folder);
    let output = run(folder, &RENAMED);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    no_names(folder, &["out", "run.kpi"], &output);
    let key = fs::read_to_string(folder.join("Meier key.csv")).unwrap();
    let line = |alias: &str, path: &str| {
        let found = key
            .lines()
            .any(|line| line.starts_with(&format!("{alias},")) && line.ends_with(path));
        assert!(found, "{alias} is {path}: {key}");
    };
    line("source-000001.mp4", "Meier geb1960.mp4");
    line("source-000002", "Meier_geb1960");
    line("source-000002/000002.png", "Hans002.png");
    line("source-000003.png", "Meier.png");
    let coco = json(&folder.join("out/coco.json"));
    let names: Vec<&str> = coco["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["file_name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"source-000002/000001.png") && names.contains(&"source-000003.png"),
        "{names:?}"
    );
    assert!(
        folder.join("out/overlay/source-000001.mp4").exists()
            && folder.join("out/overlay/source-000002/000000.png").exists()
    );
    let report = json(&folder.join("out/run.json"));
    assert_eq!(report["settings"]["rename-sources"], true);
    assert!(report["errors"]["count"].as_u64().unwrap() >= 2, "{report}");
    assert!(
        report["arguments"]
            .as_array()
            .unwrap()
            .iter()
            .any(|argument| argument == "--input=(input 1)"),
        "{report}"
    );
    // The run goes on, and another run has the same names for the same files.
    let lines = fs::read(folder.join("out/detections.jsonl")).unwrap();
    let resumed = run(folder, &[&RENAMED[..], &["--resume"]].concat());
    assert_eq!(resumed.status.code(), Some(2), "{}", stderr(&resumed));
    assert_eq!(
        fs::read(folder.join("out/detections.jsonl")).unwrap(),
        lines
    );
    assert_eq!(
        fs::read_to_string(folder.join("Meier key.csv")).unwrap(),
        key
    );
    sequence(&folder.join("Aaron"), "Hans", 2);
    let more = [
        "extract",
        "Aaron",
        "Meier.png",
        "Meier_geb1960",
        "--output",
        "more",
        "--write",
        "coco",
        "--rename-sources",
        "Meier key.csv",
    ];
    let more = run(folder, &more);
    no_names(folder, &["more"], &more);
    let text = fs::read_to_string(folder.join("more/detections.jsonl")).unwrap();
    let sources: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["source"].clone())
        .collect();
    let new = key
        .lines()
        .filter(|line| line.starts_with("source-") && !line.contains('/'))
        .count();
    assert_eq!(sources[2], "source-000003", "{text}");
    assert_eq!(sources[3], "source-000002", "{text}");
    assert!(
        !key.contains(sources[0].as_str().unwrap()),
        "{text}: {new} sources in {key}"
    );
}

#[test]
fn a_key_in_the_output_folder_or_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    picture(&folder.path().join("a.png"), 9);
    fs::create_dir(folder.path().join("out")).unwrap();
    for key in ["out/key.csv", "out/deeper/key.csv", "./x/../out/key.csv"] {
        let refused = run(
            folder.path(),
            &[
                "extract",
                "a.png",
                "--output",
                "out",
                "--rename-sources",
                key,
            ],
        );
        assert_eq!(
            refused.status.code(),
            Some(64),
            "{key}: {}",
            stderr(&refused)
        );
    }
    fs::write(folder.path().join("notes.csv"), "name,age\nx,3\n").unwrap();
    let refused = run(
        folder.path(),
        &[
            "extract",
            "a.png",
            "--output",
            "out",
            "--rename-sources",
            "notes.csv",
        ],
    );
    assert!(
        refused.status.code() == Some(64) && stderr(&refused).contains("is not a key of sources"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(
        fs::read_to_string(folder.path().join("notes.csv")).unwrap(),
        "name,age\nx,3\n"
    );
}

#[test]
fn uids_can_be_kept_without_names() {
    let folder = tempfile::tempdir().unwrap();
    done(
        folder.path(),
        &[
            "phantom", "--output", "p", "--frames", "2", "--size", "64x64", "--write", "dicom",
        ],
    );
    let run = |more: &[&str], out: &str| {
        done(
            folder.path(),
            &[
                &["extract", "p/clip.dcm", "--write", "coco", "--output", out],
                more,
            ]
            .concat(),
        );
        ["detections.jsonl", "coco.json"]
            .map(|name| fs::read_to_string(folder.path().join(out).join(name)).unwrap())
    };
    for text in run(&["--keep-uids"], "kept") {
        for key in [
            "StudyInstanceUID",
            "SeriesInstanceUID",
            "SOPInstanceUID",
            "sop_instance_uid",
        ] {
            assert!(text.contains(key), "{key}: {text}");
        }
        assert!(
            !text.contains("PatientName")
                && !text.contains("PatientID")
                && !text.contains("StudyDate"),
            "{text}"
        );
    }
    for text in run(&[], "plain") {
        assert!(
            !text.contains("InstanceUID") && !text.contains("sop_instance_uid"),
            "{text}"
        );
    }
}
