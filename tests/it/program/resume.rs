//! Runs and exports killed at random moments and resumed end with the bytes of an unbroken run.
//!
//! `ULTRAMOTION_KILLS=50 cargo test --release --test it resume` kills more often; `ULTRAMOTION_KILL_PIPELINE=1` also runs the segmenter.

use crate::common::program;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Numbers that look random, the same in every run of the test.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }
}

/// All files of a folder by path; `run.json` apart, which holds times.
pub(super) fn contents(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != "run.json" {
                files.insert(
                    path.strip_prefix(root).unwrap().to_owned(),
                    fs::read(&path).unwrap(),
                );
            }
        }
    }
    files
}

pub(super) fn init(model: &str, more: &[&str], folder: &Path) {
    let output = folder.to_str().unwrap();
    let done = program()
        .args(["models", "init", model, "--seed", "3", "--output", output])
        .args(more)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// Pictures of their own, six at most, and a sequence of the rest, so that sources end at many moments.
pub(super) fn pictures(folder: &Path, count: u32) {
    for i in 0..count {
        let shade = |x: u32, y: u32| {
            image::Rgb([
                (x * 3 + i * 11) as u8,
                (y * 5) as u8,
                ((x ^ y) * 7 + i * 29) as u8,
            ])
        };
        let name = if i < 6.min(count / 2) {
            format!("{}.png", (b'a' + i as u8) as char)
        } else {
            format!("cine/frame{i:03}.png")
        };
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::from_fn(150 + i * 5, 120, shade)
            .save(path)
            .unwrap();
    }
}

struct Job {
    arguments: Vec<String>,
}

impl Job {
    fn start(&self, output: &Path, mode: &str) -> Child {
        let mut command = program();
        command
            .args(&self.arguments)
            .arg("--output")
            .arg(output)
            .arg("--quiet");
        if !mode.is_empty() {
            command.arg(mode);
        }
        command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn finish(child: Child) {
        let done = child.wait_with_output().unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
}

fn kills() -> u64 {
    std::env::var("ULTRAMOTION_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(5)
}

fn killed_and_resumed(job: &Job, folder: &Path) {
    let whole = folder.join("whole");
    let start = Instant::now();
    Job::finish(job.start(&whole, ""));
    let took = start.elapsed().as_millis() as u64;
    let expected = contents(&whole);
    assert!(expected.len() > 20, "{:?}", expected.keys());
    let mut random = Random(7);
    for run in 0..kills() {
        let output = folder.join(format!("killed-{run}"));
        // The first part is killed at a random moment, and every third run also while it resumes.
        for part in 0..if run % 3 == 0 { 2 } else { 1 } {
            let mut child = job.start(&output, if part == 0 { "" } else { "--resume" });
            thread::sleep(Duration::from_millis(random.below(took)));
            // It may have ended by itself; then resuming must change nothing.
            child.kill().unwrap();
            child.wait().unwrap();
        }
        Job::finish(job.start(&output, "--resume"));
        let found = contents(&output);
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>(),
            "run {run}"
        );
        for (path, bytes) in &expected {
            assert!(
                found[path] == *bytes,
                "run {run}: {} differs",
                path.display()
            );
        }
        fs::remove_dir_all(output).unwrap();
    }
}

fn job(command: &str, folder: &Path, more: &[&str]) -> Job {
    let detector = folder.join("dfine-n");
    init(
        "dfine-n",
        &["--size", "320", "--classes", "left,right"],
        &detector,
    );
    let input = folder.join("in");
    // The segmenter takes most of a second a frame.
    pictures(&input, if command == "pipeline" { 6 } else { 16 });
    let fixed = [
        "--detector",
        detector.to_str().unwrap(),
        "--confidence",
        "0",
        "--max-objects",
        "3",
    ];
    let outputs = if command == "pipeline" {
        "jsonl,coco,masks,instances,overlay,yolo,datumaro,nnunet,cvat,labelme,voc,labelstudio,mot,mots,seg,nrrd,csv,report,frames"
    } else {
        "jsonl,coco,overlay,yolo,datumaro,cvat,labelme,voc,labelstudio,mot,csv,report,frames"
    };
    let all = ["--input", input.to_str().unwrap(), "--write", outputs];
    Job {
        arguments: [&[command][..], &fixed, &all, more]
            .concat()
            .iter()
            .map(|s| (*s).to_owned())
            .collect(),
    }
}

#[test]
fn a_killed_detection_resumes_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    killed_and_resumed(&job("detect", dir.path(), &[]), dir.path());
}

#[test]
fn a_killed_pipeline_resumes_to_the_same_bytes() {
    if std::env::var_os("ULTRAMOTION_KILL_PIPELINE").is_none() {
        eprintln!("left out: set ULTRAMOTION_KILL_PIPELINE=1 (minutes)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    init("mobile-sam", &[], &dir.path().join("sam"));
    let segmenter = dir.path().join("sam/mobile_sam.safetensors");
    killed_and_resumed(
        &job(
            "pipeline",
            dir.path(),
            &["--segmenter", segmenter.to_str().unwrap()],
        ),
        dir.path(),
    );
}

/// An object as a record has it: a rectangle with a part apart from it, in a picture of 256 by 256.
fn object() -> String {
    // Runs go down the columns: 40 of them with 50 pixels from row 60 on, and a pixel in column 200.
    let mut counts = vec![80 * 256 + 60];
    (0..39).for_each(|_| counts.extend([50, 206]));
    let before: u32 = counts.iter().sum::<u32>() + 50;
    counts.extend([50, 200 * 256 + 30 - before, 1]);
    counts.push(256 * 256 - counts.iter().sum::<u32>());
    let counts = serde_json::Value::from(ultramotion::coco::rle::encode_counts(&counts));
    format!(
        "{{\"box\":[80.0,30.0,201.0,110.0],\"score\":0.9,\"class\":0,\"label\":\"bone\",\"area\":2001,\
         \"mask\":{{\"size\":[256,256],\"counts\":{counts}}},\"mask_score\":0.8}}"
    )
}

#[test]
fn a_killed_export_of_every_kind_is_completed_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let done = |arguments: &[&str]| {
        let done = program().args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{said}");
    };
    let (phantom, run) = (path("phantom"), path("run"));
    let made = ["--frames", "5", "--size", "256x256", "--write", "mp4,dicom"];
    done(&[&["phantom", "--output", &phantom][..], &made].concat());
    let clips = [path("phantom/clip.mp4"), path("phantom/clip.dcm")];
    let to = ["--write", "jsonl", "--output", &run];
    done(&[&["extract", &clips[0], &clips[1]], &to[..]].concat());
    // A run without models finds nothing; the record of one that did is the same with objects.
    let record = dir.path().join("run/detections.jsonl");
    let lines = fs::read_to_string(&record).unwrap();
    let found = format!("\"objects\":[{}]", object());
    let with_objects = lines.replace("\"objects\":[]", &found);
    assert_eq!(with_objects.matches("counts").count(), 10, "{lines}");
    fs::write(record, with_objects).unwrap();
    let kinds = "coco,masks,instances,yolo,datumaro,nnunet,cvat,labelme,voc,labelstudio,seg,nrrd,csv,report";
    let arguments = ["export", "--run", &run, "--to", kinds, "--split", "0.5,0.5"];
    let arguments = arguments.map(str::to_owned).to_vec();
    killed_and_resumed(&Job { arguments }, dir.path());
}

#[test]
fn another_runs_folder_is_refused_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    pictures(&dir.path().join("in"), 16);
    let run = |more: &[&str]| {
        let input = dir.path().join("in");
        let output = dir.path().join("out");
        program()
            .arg("extract")
            .arg("--input")
            .arg(input)
            .arg("--output")
            .arg(output)
            .args(more)
            .output()
            .unwrap()
    };
    assert_eq!(run(&[]).status.code(), Some(0));
    let refused = run(&[]);
    assert_eq!(refused.status.code(), Some(2));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        text.contains("not empty") && text.contains("--resume") && text.contains("--overwrite"),
        "{text}"
    );
    assert_eq!(run(&["--overwrite"]).status.code(), Some(0));
    // Other settings are another run.
    let other = run(&["--resume", "--stride", "2"]);
    assert_eq!(
        other.status.code(),
        Some(2),
        "{}",
        String::from_utf8_lossy(&other.stderr)
    );
}
