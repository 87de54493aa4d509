//! Runs that share the inputs, and their merge, have the bytes of a run of all.

use super::resume::{contents, init, pictures};
use crate::common::{program, stderr, stdout};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Output,
};

struct Job {
    folder: tempfile::TempDir,
    arguments: Vec<String>,
}

impl Job {
    fn new(arguments: &[&str]) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            arguments: arguments.iter().map(|&a| a.to_owned()).collect(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command over `in`, its results in the folder `output`.
    fn run(&self, output: &str, more: &[&str]) -> Output {
        let mut command = program();
        command.args(&self.arguments);
        command.arg(self.path("in")).arg("--output");
        command.arg(self.path(output)).args(more);
        command.output().unwrap()
    }

    fn shards(&self, output: &str, of: u32, more: &[&str]) {
        for number in 1..=of {
            let shard = format!("{number}/{of}");
            let done = self.run(output, &[&["--shard", &shard], more].concat());
            assert!(done.status.success(), "{}", stderr(&done));
        }
    }

    fn merge(&self, output: &str, more: &[&str]) -> Output {
        let folder = self.path(output);
        let mut command = program();
        command.arg("merge").arg(folder).args(more);
        command.output().unwrap()
    }

    /// Whether the shards of `output`, merged, are the run `whole`.
    fn assert_same(&self, output: &str, whole: &str) {
        let merged = self.merge(output, &[]);
        assert!(merged.status.success(), "{}", stderr(&merged));
        let (found, expected) = (
            without_shards(&self.path(output)),
            contents(&self.path(whole)),
        );
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| -> Vec<PathBuf> {
            files.keys().cloned().collect()
        };
        assert_eq!(names(&found), names(&expected));
        for (path, bytes) in &expected {
            assert!(found[path] == *bytes, "{} differs", path.display());
        }
    }
}

fn without_shards(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = contents(root);
    files.retain(|path, _| !path.starts_with("shards"));
    files
}

fn refused(done: &Output, problem: &str) {
    let said = stderr(done);
    assert!(
        !done.status.success() && said.contains(problem),
        "not {problem:?}: {said}"
    );
}

#[test]
fn detections_of_shards_merge_to_those_of_one_run() {
    let job = Job::new(&[
        "detect",
        "--confidence",
        "0",
        "--max-objects",
        "3",
        "--write",
        "coco,yolo,datumaro,voc,csv,report,overlay",
        "--split",
        "0.5,0.5",
    ]);
    pictures(&job.path("in"), 9);
    let detector = job.path("dfine-n");
    init("dfine-n", &["--size", "320", "--classes", "a,b"], &detector);
    let with = ["--detector", detector.to_str().unwrap(), "--quiet"];
    assert!(job.run("whole", &with).status.success());
    job.shards("out", 3, &with);
    job.assert_same("out", "whole");
    // Again: what is complete stays, and merging again changes nothing.
    job.shards("out", 3, &with);
    job.assert_same("out", "whole");
    // The merged run is one: it can be resumed and exported.
    let resumed = job.run("out", &[&with[..], &["--resume"]].concat());
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    let tracked = [&with[..], &["--track", "--shard", "1/2"]].concat();
    let by_frames = job.run(
        "tracked",
        &[&tracked[..], &["--shard-by", "frames"]].concat(),
    );
    refused(&by_frames, "a track would break");
}

#[test]
fn masks_of_shards_merge_to_those_of_one_run() {
    let job = Job::new(&[
        "segment",
        "--box",
        "20,20,90,70",
        "--write",
        "coco,masks,instances,nnunet",
        "--quiet",
    ]);
    pictures(&job.path("in"), 3);
    let segmenter = job.path("sam");
    init("mobile-sam", &[], &segmenter);
    let segmenter = segmenter.join("mobile_sam.safetensors");
    let with = ["--segmenter", segmenter.to_str().unwrap()];
    assert!(job.run("whole", &with).status.success());
    job.shards("out", 2, &with);
    job.assert_same("out", "whole");
}

#[test]
fn frames_of_videos_and_links_to_pictures_merge_to_those_of_one_run() {
    let job = Job::new(&[
        "extract",
        "--write",
        "frames,coco,yolo",
        "--images",
        "link",
        "--quiet",
    ]);
    pictures(&job.path("in"), 10);
    let phantom = job.path("phantom");
    let made = program()
        .args(["phantom", "--frames", "11", "--size", "128x96"])
        .args(["--write", "mp4,dicom", "--quiet", "--output"])
        .arg(&phantom)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    for clip in ["clip.mp4", "clip.dcm"] {
        fs::copy(phantom.join(clip), job.path("in").join(clip)).unwrap();
    }
    // Ranges begin at key frames before them, or all is decoded from the start.
    let parts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/media/parts");
    for video in [
        "closed.mp4",
        "hevc_leading.mp4",
        "vfr.mp4",
        "edited.mp4",
        "open.mp4",
    ] {
        fs::copy(parts.join(video), job.path("in").join(video)).unwrap();
    }
    assert!(job.run("whole", &[]).status.success());
    job.shards("by-source", 4, &[]);
    job.assert_same("by-source", "whole");
    job.shards("by-frames", 3, &["--shard-by", "frames=2"]);
    job.assert_same("by-frames", "whole");
    #[cfg(unix)]
    assert!(job.path("by-frames/images/a.png").is_symlink());
    let of_two = fs::read_dir(job.path("by-frames/shards/0001-of-0003/frames/clip~2"))
        .or_else(|_| fs::read_dir(job.path("by-frames/shards/0001-of-0003/frames/clip.mp4")));
    let count = of_two.map(|files| files.count()).unwrap_or_default();
    assert!(count < 11, "all {count} frames are in one shard");
    let overlay = [
        "--write",
        "overlay",
        "--shard",
        "1/3",
        "--shard-by",
        "frames",
    ];
    let job = Job::new(&["extract"]);
    fs::create_dir(job.path("in")).unwrap();
    fs::copy(phantom.join("clip.mp4"), job.path("in/clip.mp4")).unwrap();
    refused(
        &job.run("x", &overlay),
        "the overlay of a video is one file",
    );
}

#[test]
fn shards_that_do_not_fit_are_refused_and_missing_ones_are_named() {
    let job = Job::new(&["extract", "--as-images"]);
    pictures(&job.path("in"), 12);
    refused(&job.merge("out", &["--missing"]), "holds no shards");
    assert!(job.run("out", &["--shard", "2/5"]).status.success());
    refused(
        &job.run("out", &["--shard", "2/4"]),
        "one of 5, this is shard 2 of 4",
    );
    refused(
        &job.run("out", &["--shard", "1/5", "--stride", "2"]),
        "stride 1, this run has 2",
    );
    refused(
        &job.run("out", &["--shard", "1/5", "--shard-by", "frames"]),
        "dealt out by source, this one by frames=10000",
    );
    refused(&job.run("x", &["--shard", "0/5"]), "numbered from 1 to 5");
    refused(
        &job.run("x", &["--shard-offset", "3"]),
        "give --shard or --shards too",
    );
    assert!(!job.path("x").exists());
    let key = job.path("key.csv");
    let key = ["--shard", "1/5", "--rename-sources", key.to_str().unwrap()];
    refused(&job.run("out", &key), "would each write the key");

    // A picture more, a picture less.
    fs::copy(job.path("in/a.png"), job.path("in/new.png")).unwrap();
    let more = job.run("out", &["--shard", "1/5"]);
    refused(&more, "new was not among them");
    fs::rename(job.path("in/new.png"), job.path("spare.png")).unwrap();
    fs::rename(job.path("in/b.png"), job.path("b.png")).unwrap();
    let less = job.run("out", &["--shard", "1/5"]);
    refused(&less, "b was among them and is not any more");
    fs::rename(job.path("b.png"), job.path("in/b.png")).unwrap();

    assert!(job.run("out", &["--shard", "5/5"]).status.success());
    let missing = job.merge("out", &["--missing"]);
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(stdout(&missing), "1,3-4\n");
    let window = job.merge(
        "out",
        &["--missing", "--shard-offset", "2", "--array-size", "2"],
    );
    assert_eq!(stdout(&window), "1\n");
    let merged = job.merge("out", &[]);
    refused(&merged, "3 of 5 shards are not complete: 1,3-4");
    assert!(!job.path("out/run.json").exists());
    job.shards("out", 5, &[]);
    let missing = job.merge("out", &["--missing"]);
    assert_eq!(
        (missing.status.code(), stdout(&missing)),
        (Some(0), String::new())
    );
    assert!(job.run("whole", &[]).status.success());
    job.assert_same("out", "whole");

    // A run that is not made of shards is left alone.
    refused(&job.run("whole", &["--shard", "1/5"]), "not made of shards");
}

#[test]
fn lists_may_change_their_order() {
    let job = Job::new(&["extract"]);
    pictures(&job.path("pictures"), 12);
    let names: Vec<String> = ["c", "a", "f", "b", "e", "d"]
        .map(|name| format!("pictures/{name}.png"))
        .to_vec();
    let list = job.path("in");
    // A list by its extension; the tests' input is called `in`.
    let run = |names: &[String], output: &str, more: &[&str]| {
        let list = list.with_extension("txt");
        fs::write(&list, names.join("\n")).unwrap();
        let mut command = program();
        command.arg("extract").arg(&list).arg("--output");
        let done = command.arg(job.path(output)).args(more).output().unwrap();
        assert!(done.status.success(), "{}", stderr(&done));
    };
    run(&names, "whole", &[]);
    let mut turned = names.clone();
    for number in ["1/3", "2/3", "3/3"] {
        run(&turned, "out", &["--shard", number]);
        turned.rotate_left(2);
        turned.swap(0, 1);
    }
    job.assert_same("out", "whole");
}

#[test]
fn schedulers_say_which_shard_it_is() {
    let job = Job::new(&["extract", "--as-images", "--quiet"]);
    pictures(&job.path("in"), 8);
    let task = |output: &str, variables: &[(&str, &str)], more: &[&str]| {
        let mut command = program();
        command.args(&job.arguments).arg(job.path("in"));
        command.arg("--output").arg(job.path(output)).args(more);
        command.envs(variables.iter().copied());
        command.output().unwrap()
    };
    let slurm = |id: &'static str, min: &'static str, max: &'static str, count: &'static str| {
        [
            ("SLURM_ARRAY_TASK_ID", id),
            ("SLURM_ARRAY_TASK_MIN", min),
            ("SLURM_ARRAY_TASK_MAX", max),
            ("SLURM_ARRAY_TASK_COUNT", count),
        ]
    };
    let auto = ["--shard", "auto"];
    refused(&task("out", &[], &auto), "neither SLURM_ARRAY_TASK_ID nor");
    for id in ["1", "4"] {
        let done = task("out", &slurm(id, "1", "4", "4"), &auto);
        assert!(done.status.success(), "{}", stderr(&done));
    }
    assert!(job.path("out/shards/0004-of-0004/run.json").exists());
    let missing = job.merge("out", &["--missing"]);
    assert_eq!(stdout(&missing), "2-3\n");
    // An array of the missing ones has other bounds.
    for id in ["2", "3"] {
        let done = task("out", &slurm(id, "2", "3", "2"), &auto);
        assert!(done.status.success(), "{}", stderr(&done));
    }
    assert!(job.run("whole", &[]).status.success());
    job.assert_same("out", "whole");

    for index in ["0", "1", "2"] {
        let job = [("JOB_COMPLETION_INDEX", index)];
        let done = task("indexed", &job, &["--shards", "3"]);
        assert!(done.status.success(), "{}", stderr(&done));
    }
    job.assert_same("indexed", "whole");
    let beyond = task(
        "indexed",
        &[("JOB_COMPLETION_INDEX", "3")],
        &["--shards", "3"],
    );
    refused(
        &beyond,
        "task 3 of the scheduler: the 3 shards are its tasks 0 to 2",
    );
}
