//! Outputs of whole runs: what is in the folder, that a killed run resumes to the same bytes, that a full disk is reported.

use super::run::{Outcome, Stop, read_tree, run, sources};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use ultramotion::{
    coco::Classes,
    frame::Object,
    run::{BoxPrompts, OutputMode, Record, RunReport, RunStatus, SourceFrames},
    sinks::Layout,
};

const ALL: &str = "jsonl,coco,masks,instances,overlay,yolo,datumaro,cvat,labelme,voc,labelstudio,mot,mots,csv,report,frames";

fn whole_run(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    assert_eq!(
        run(root, OutputMode::Fresh, ALL, Stop::Never).unwrap(),
        Outcome::Completed
    );
    read_tree(root)
}

/// All but `run.json`, which holds times.
fn without_times(mut tree: BTreeMap<PathBuf, Vec<u8>>) -> BTreeMap<PathBuf, Vec<u8>> {
    tree.remove(Path::new("run.json"));
    tree
}

fn assert_same(a: &BTreeMap<PathBuf, Vec<u8>>, b: &BTreeMap<PathBuf, Vec<u8>>, when: &str) {
    assert_eq!(
        a.keys().collect::<Vec<_>>(),
        b.keys().collect::<Vec<_>>(),
        "{when}"
    );
    for (path, bytes) in a {
        assert!(bytes == &b[path], "{when}: {} differs", path.display());
    }
}

#[test]
fn every_output_is_where_the_layout_says() {
    let dir = tempfile::tempdir().unwrap();
    let tree = whole_run(dir.path());
    let expected = [
        "run.json",
        "detections.jsonl",
        "coco.json",
        "coco_results.json",
        "classes.txt",
        "data.yaml",
        ".ultramotion-state.jsonl",
        "masks/set/picture.png",
        "masks/walk/00001.png",
        "masks/clip/000011.png",
        "masks/cine/000003.png",
        "overlay/set/picture.png",
        "overlay/walk/00005.png",
        "overlay/clip.mp4",
        "overlay/cine.mp4",
        "masks/labels.json",
        "instances/clip/000011.png",
        "annotations/instances_default.json",
        "cvat/images.xml",
        "cvat/clip.xml",
        "labelme/set/picture.json",
        "labelme/clip/000000.json",
        "voc/Annotations/walk/00001.xml",
        "labelstudio.json",
        "labelstudio.xml",
        "mot/sequences/clip/gt/gt.txt",
        "mot/sequences/cine/seqinfo.ini",
        "mot/data/walk.txt",
        "mots/sequences/clip/instances/000012.png",
        "objects.csv",
        "report.html",
        "labels/set/picture.txt",
        "labels/clip/000000.txt",
        "frames/clip/000000.png",
        "frames/cine/000003.png",
    ];
    for path in expected {
        assert!(
            tree.contains_key(Path::new(path)),
            "{path} is missing from {:#?}",
            tree.keys()
        );
    }
    assert!(
        !tree
            .keys()
            .any(|p| p.starts_with("frames/set") || p.to_string_lossy().ends_with(".tmp")),
        "{:#?}",
        tree.keys()
    );
    assert!(
        tree[Path::new("labels/clip/000004.txt")].is_empty(),
        "a frame without objects has an empty label file"
    );
}

#[test]
fn the_report_tells_totals_and_errors() {
    let dir = tempfile::tempdir().unwrap();
    whole_run(dir.path());
    let report = RunReport::read(&Layout::new(dir.path())).unwrap().unwrap();
    assert_eq!(
        (report.status, report.exit_status),
        (RunStatus::Completed, Some(2))
    );
    assert_eq!((report.counts.sources, report.counts.frames), (5, 22));
    assert_eq!(
        report.counts.objects,
        report.counts.per_class.values().sum::<u64>()
    );
    assert_eq!(report.errors.first[0].input, "in/broken.mp4");
    assert!(report.timings["write"].count > 0);
}

#[test]
fn coco_lists_images_videos_and_categories() {
    let dir = tempfile::tempdir().unwrap();
    let tree = whole_run(dir.path());
    let coco: serde_json::Value = serde_json::from_slice(&tree[Path::new("coco.json")]).unwrap();
    let names: Vec<&str> = coco["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["file_name"].as_str().unwrap())
        .collect();
    assert_eq!(names[0], "set/picture.png");
    assert!(
        names.contains(&"walk/00001.jpg") && names.contains(&"clip/000011.png"),
        "{names:?}"
    );
    let videos: Vec<&str> = coco["videos"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["name"].as_str().unwrap())
        .collect();
    assert_eq!(videos, ["walk", "clip", "cine"]);
    let cine = &coco["videos"][2];
    assert_eq!(
        (
            cine["length"].as_u64(),
            cine["attributes"]["Modality"].as_str()
        ),
        (Some(4), Some("US"))
    );
    let categories: Vec<(u64, &str)> = coco["categories"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["id"].as_u64().unwrap(), c["name"].as_str().unwrap()))
        .collect();
    assert_eq!(
        categories[..3],
        [(1, "bone"), (2, "Schatten é"), (3, "class 2")]
    );
    assert_eq!((categories.len(), categories[7]), (8, (8, "beyond")));
    let last = coco["images"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (last["frame_id"].as_u64(), last["timestamp"].as_f64()),
        (Some(3), Some(0.100_000_001))
    );
    assert_eq!(last["physical"]["pixel_spacing_mm"][0].as_f64(), Some(0.1));
    let results: Vec<serde_json::Value> =
        serde_json::from_slice(&tree[Path::new("coco_results.json")]).unwrap();
    assert_eq!(results.len(), coco["annotations"].as_array().unwrap().len());
}

#[test]
fn a_run_stopped_anywhere_resumes_to_the_same_bytes() {
    let whole = tempfile::tempdir().unwrap();
    let expected = without_times(whole_run(whole.path()));
    for frames in [0, 1, 2, 6, 7, 13, 19, 20, 22] {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            run(
                dir.path(),
                OutputMode::Fresh,
                ALL,
                Stop::AfterFrames(frames)
            )
            .unwrap(),
            Outcome::Stopped
        );
        let layout = Layout::new(dir.path());
        // What a kill in the middle of a write leaves.
        append(&layout.record(), b"{\"source\":\"cl");
        append(&layout.state(), b"{\"source\":");
        fs::write(Layout::temporary(&layout.coco()), "[").unwrap();
        assert_eq!(
            run(dir.path(), OutputMode::Resume, ALL, Stop::Never).unwrap(),
            Outcome::Completed
        );
        assert_same(
            &expected,
            &without_times(read_tree(dir.path())),
            &format!("stopped after {frames} frames"),
        );
    }
    // A run that has ended can be resumed: nothing changes.
    assert_eq!(
        run(whole.path(), OutputMode::Resume, ALL, Stop::Never).unwrap(),
        Outcome::Completed
    );
    assert_same(
        &expected,
        &without_times(read_tree(whole.path())),
        "resumed after its end",
    );
    let report = RunReport::read(&Layout::new(whole.path()))
        .unwrap()
        .unwrap();
    assert_eq!((report.counts.frames, report.errors.count), (22, 1));
}

fn append(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap()
        .write_all(bytes)
        .unwrap();
}

#[test]
fn without_masks_boxes_take_their_place() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), OutputMode::Fresh, "coco,yolo", Stop::Never).unwrap();
    let tree = read_tree(dir.path());
    let coco: serde_json::Value = serde_json::from_slice(&tree[Path::new("coco.json")]).unwrap();
    for entry in coco["annotations"].as_array().unwrap() {
        let side = |i: usize| entry["bbox"][i].as_f64().unwrap();
        assert_eq!(
            (&entry["segmentation"], entry["area"].as_f64().unwrap()),
            (&serde_json::json!([]), side(2) * side(3))
        );
    }
    let labels = String::from_utf8(tree[Path::new("labels/set/picture.txt")].clone()).unwrap();
    assert_eq!(
        labels.lines().next(),
        Some("0 0.500000 0.500000 0.400000 0.500000")
    );
    assert!(
        !tree
            .keys()
            .any(|p| p.starts_with("masks") || p.starts_with("overlay"))
    );
}

#[test]
fn a_resumed_run_with_other_settings_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), OutputMode::Fresh, "coco", Stop::AfterFrames(3)).unwrap();
    let error = run(dir.path(), OutputMode::Resume, "coco,masks", Stop::Never)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cannot be resumed") && error.contains("coco,masks"),
        "{error}"
    );
    assert_eq!(
        run(dir.path(), OutputMode::Overwrite, "coco,masks", Stop::Never).unwrap(),
        Outcome::Completed
    );
}

#[test]
fn a_record_that_is_damaged_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), OutputMode::Fresh, "jsonl", Stop::AfterFrames(9)).unwrap();
    let layout = Layout::new(dir.path());
    let text = fs::read_to_string(layout.record()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let with = |lines: &[&str]| {
        fs::write(
            layout.record(),
            lines.iter().map(|l| format!("{l}\n")).collect::<String>(),
        )
        .unwrap();
        Record::resume(&layout).unwrap_err().to_string()
    };
    let swapped: Vec<&str> = lines[..7]
        .iter()
        .chain([&lines[8], &lines[7]])
        .copied()
        .collect();
    assert!(
        with(&swapped)
            .contains("line 9 is not a frame's result: frame 1 of source 2 after its frame 2"),
        "{}",
        with(&swapped)
    );
    let garbled: Vec<&str> = lines[..2]
        .iter()
        .chain([&"not JSON"])
        .chain(&lines[3..])
        .copied()
        .collect();
    assert!(with(&garbled).contains("line 3"), "{}", with(&garbled));
    assert!(
        with(&lines[..3]).contains("ended with 5 frames, but the record holds 2"),
        "{}",
        with(&lines[..3])
    );
}

#[test]
fn boxes_are_read_back_from_every_form() {
    let dir = tempfile::tempdir().unwrap();
    whole_run(dir.path());
    let layout = Layout::new(dir.path());
    let classes = Classes::new(["bone", "Schatten é"]);
    let all = sources();
    let files: Vec<Vec<PathBuf>> = all
        .iter()
        .map(|source| {
            source
                .frames(true)
                .filter_map(|(frame, _)| frame.file)
                .collect()
        })
        .collect();
    for path in [layout.record(), layout.coco(), layout.coco_results()] {
        let prompts = BoxPrompts::read(&path, &classes).unwrap();
        let given = all.iter().zip(&files).map(|(source, files)| {
            let info = &source.info;
            SourceFrames {
                kind: info.kind,
                path: &info.path,
                name: &info.name,
                files: if files.is_empty() {
                    std::slice::from_ref(&info.path)
                } else {
                    files
                },
            }
        });
        let boxes = prompts.for_sources(given);
        for source in &all {
            for (frame, result) in source.frames(true) {
                let found = boxes
                    .of(&frame)
                    .unwrap()
                    .unwrap_or_else(|| panic!("{}: {:?}", path.display(), frame.source.name));
                let in_list = path == layout.coco_results();
                // Entries of a results list have no box beside their mask, and an empty mask has none.
                let kept = |o: &&Object| {
                    o.mask
                        .as_ref()
                        .is_some_and(|mask| !in_list || mask.bounds().is_some())
                };
                let masked: Vec<_> = result.objects.iter().filter(kept).collect();
                let expected = if in_list {
                    masked.len()
                } else {
                    result.objects.len()
                };
                assert_eq!(found.len(), expected, "{}", path.display());
                for (prompt, object) in found.iter().zip(masked) {
                    assert_eq!((prompt.score, &prompt.label), (object.score, &object.label));
                }
            }
        }
    }
    let bad = dir.path().join("bad.json");
    fs::write(&bad, "{\"images\": 3}").unwrap();
    assert!(
        BoxPrompts::read(&bad, &classes)
            .unwrap_err()
            .to_string()
            .contains("COCO")
    );
}

/// Not a test of its own: the process that the tests below kill or starve.
#[test]
#[ignore = "run by other tests in a process of its own"]
fn child() {
    let Ok(root) = std::env::var("SINKS_TEST_ROOT") else {
        return;
    };
    let mode = if Path::new(&root).join("run.json").exists() {
        OutputMode::Resume
    } else {
        OutputMode::Fresh
    };
    let outputs = std::env::var("SINKS_TEST_OUTPUTS").unwrap_or_else(|_| ALL.to_owned());
    match run(
        Path::new(&root),
        mode,
        &outputs,
        Stop::Slowly(Duration::from_millis(3)),
    ) {
        Ok(outcome) => println!("outcome: {outcome:?}"),
        Err(error) => println!("error: {error}"),
    }
}

fn child_command(shell_prefix: &str, root: &Path) -> Command {
    let mut command = Command::new("sh");
    let this = std::env::current_exe().unwrap();
    command
        .arg("-c")
        .arg(format!(
            "{shell_prefix} exec \"$0\" --exact files::child --ignored --nocapture"
        ))
        .arg(this);
    command
        .env("SINKS_TEST_ROOT", root)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

#[test]
fn a_killed_process_resumes_to_the_same_bytes() {
    let whole = tempfile::tempdir().unwrap();
    let expected = without_times(whole_run(whole.path()));
    let dir = tempfile::tempdir().unwrap();
    for millis in [15, 40, 60, 25, 80, 50] {
        let mut child = child_command("", dir.path()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(millis));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = child_command("", dir.path()).output().unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("outcome: Completed"),
        "{output:?}"
    );
    assert_same(
        &expected,
        &without_times(read_tree(dir.path())),
        "killed six times",
    );
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    // So few that run.json, which names them, is below the least limit.
    const FEW: &str = "jsonl,coco,masks,overlay,yolo,frames";
    // A limit on the size of files stands for the end of the disk; blocks are 512 bytes or 1 KiB.
    let mut seen = Vec::new();
    for blocks in [1, 3, 6, 10, 20] {
        let dir = tempfile::tempdir().unwrap();
        let output = child_command(&format!("trap '' XFSZ; ulimit -f {blocks};"), dir.path())
            .env("SINKS_TEST_OUTPUTS", FEW)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let Some(error) = text.lines().find_map(|l| l.split_once("error: ")) else {
            panic!("{blocks} blocks: {text}")
        };
        assert!(
            error.1.contains(dir.path().to_str().unwrap()) && error.1.contains("File too large"),
            "{}",
            error.1
        );
        seen.push(error.1.to_owned());
        // With room again the run goes on and ends as any other.
        let mut again = child_command("", dir.path());
        let output = again.env("SINKS_TEST_OUTPUTS", FEW).output().unwrap();
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("outcome: Completed"),
            "{output:?}"
        );
    }
    assert!(
        seen.iter().any(|e| e.contains(".mp4")) && seen.iter().any(|e| e.contains(".jsonl")),
        "{seen:#?}"
    );
}
