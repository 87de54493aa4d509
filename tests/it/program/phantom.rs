//! `ultramotion phantom`: the same bytes for the same options, a ground truth that agrees with the label maps and with what
//! other commands write for the same sequence.

use crate::common::{program, stderr};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use ultramotion::coco::rle::decode_counts;

fn ultramotion(args: &[&str], paths: &[(&str, &Path)]) -> Output {
    let mut command = program();
    command.args(args);
    for (option, path) in paths {
        command.arg(option).arg(path);
    }
    command.output().unwrap()
}

fn phantom(output: &Path, more: &[&str]) -> Output {
    ultramotion(&[&["phantom"], more].concat(), &[("--output", output)])
}

fn done(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Every file below `root` by its path there.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.insert(
                    path.strip_prefix(root).unwrap().to_owned(),
                    fs::read(&path).unwrap(),
                );
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap()
}

/// Row-major pixels of an annotation's segmentation.
fn pixels(annotation: &Value) -> Vec<bool> {
    let size: Vec<usize> = list(&annotation["segmentation"], "size")
        .iter()
        .map(|v| v.as_u64().unwrap() as usize)
        .collect();
    let (height, width) = (size[0], size[1]);
    let counts = decode_counts(annotation["segmentation"]["counts"].as_str().unwrap()).unwrap();
    let columns: Vec<bool> = counts
        .iter()
        .enumerate()
        .flat_map(|(i, &n)| std::iter::repeat_n(i % 2 == 1, n as usize))
        .collect();
    assert_eq!(columns.len(), width * height);
    (0..width * height)
        .map(|i| columns[i % width * height + i / width])
        .collect()
}

/// `[x, y, width, height]` and number of the pixels inside.
fn measure(inside: &[bool], width: usize) -> ([f64; 4], u64) {
    let at: Vec<(usize, usize)> = (0..inside.len())
        .filter(|&i| inside[i])
        .map(|i| (i % width, i / width))
        .collect();
    let (xs, ys): (Vec<usize>, Vec<usize>) = at.iter().copied().unzip();
    let (x0, y0) = (*xs.iter().min().unwrap(), *ys.iter().min().unwrap());
    let (x1, y1) = (*xs.iter().max().unwrap() + 1, *ys.iter().max().unwrap() + 1);
    (
        [x0 as f64, y0 as f64, (x1 - x0) as f64, (y1 - y0) as f64],
        at.len() as u64,
    )
}

#[test]
fn the_same_options_give_the_same_bytes_of_every_file() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let options = [
        "--seed",
        "100",
        "--frames",
        "5",
        "--size",
        "131x96",
        "--write",
        "png,mp4,dicom",
    ];
    done(&phantom(&a, &options));
    done(&phantom(&b, &options));
    let (first, second) = (files(&a), files(&b));
    assert_eq!(first, second);
    let names: Vec<&str> = first.keys().map(|p| p.to_str().unwrap()).collect();
    let frames = ["000000", "000001", "000002", "000003", "000004"];
    let mut expected = vec![
        "clip.dcm".to_owned(),
        "clip.mp4".to_owned(),
        "coco.json".to_owned(),
        "phantom.json".to_owned(),
    ];
    expected.extend(
        ["frames", "labels"]
            .iter()
            .flat_map(|folder| frames.map(|n| format!("{folder}/{n}.png"))),
    );
    expected.sort();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), expected.len());
    assert!(
        names.iter().all(|n| expected.iter().any(|e| e == n)),
        "{names:?}"
    );
    // Again over the earlier ones, with fewer files; another's file stays.
    fs::write(a.join("notes.txt"), "mine").unwrap();
    done(&phantom(
        &a,
        &[
            "--seed",
            "101",
            "--frames",
            "2",
            "--size",
            "64x64",
            "--write",
            "dicom",
            "--overwrite",
        ],
    ));
    let left: Vec<PathBuf> = files(&a).into_keys().collect();
    assert_eq!(
        left,
        ["clip.dcm", "coco.json", "notes.txt", "phantom.json"].map(PathBuf::from)
    );
}

#[test]
fn the_truth_agrees_with_the_label_maps() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    done(&phantom(
        &out,
        &[
            "--seed",
            "100",
            "--sequences",
            "4",
            "--frames",
            "6",
            "--size",
            "180x140",
            "--write",
            "png",
        ],
    ));
    let (mut objects, mut empty) = (0, 0);
    for seed in 100..104 {
        let folder = out.join(format!("seed-{seed:06}"));
        let truth = json(&folder.join("coco.json"));
        let names: Vec<&str> = list(&truth, "categories")
            .iter()
            .map(|c| c["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["bone", "cyst", "vessel", "needle"]);
        assert_eq!(list(&truth, "images").len(), 6);
        let ids = list(&truth, "annotations")
            .iter()
            .map(|a| a["id"].as_u64().unwrap());
        assert!(ids.eq(1..=list(&truth, "annotations").len() as u64));
        for (index, image) in list(&truth, "images").iter().enumerate() {
            assert_eq!(
                (image["id"].as_u64(), image["frame_id"].as_u64()),
                (Some(index as u64 + 1), Some(index as u64))
            );
            let frame = image::open(folder.join(image["file_name"].as_str().unwrap())).unwrap();
            assert_eq!(
                (frame.width(), frame.height(), frame.color()),
                (180, 140, image::ColorType::L8)
            );
            let labels = image::open(folder.join(format!("labels/{index:06}.png")))
                .unwrap()
                .into_luma8()
                .into_raw();
            let mut covered = vec![0u8; labels.len()];
            let of_image = list(&truth, "annotations")
                .iter()
                .filter(|a| a["image_id"] == image["id"]);
            let before = objects;
            for annotation in of_image {
                objects += 1;
                let inside = pixels(annotation);
                let (bbox, area) = measure(&inside, 180);
                let stated: Vec<f64> = list(annotation, "bbox")
                    .iter()
                    .map(|v| v.as_f64().unwrap())
                    .collect();
                assert_eq!(
                    (stated.as_slice(), annotation["area"].as_u64()),
                    (bbox.as_slice(), Some(area))
                );
                let category = annotation["category_id"].as_u64().unwrap();
                assert!(
                    (1..=4).contains(&category)
                        && annotation["iscrowd"] == 0
                        && annotation["track_id"].as_u64() >= Some(1)
                );
                assert!((0.0..=1.0).contains(&annotation["visible_fraction"].as_f64().unwrap()));
                covered
                    .iter_mut()
                    .zip(inside)
                    .for_each(|(bits, inside)| *bits |= u8::from(inside) << category);
            }
            empty += usize::from(before == objects);
            for (label, bits) in labels.into_iter().zip(covered) {
                assert!(if label == 0 {
                    bits == 0
                } else {
                    bits >> label & 1 == 1
                });
            }
        }
    }
    assert!(
        objects > 10 && empty > 0,
        "{objects} objects, {empty} empty frames: choose other seeds"
    );
}

#[test]
fn several_sequences_are_those_of_their_seeds() {
    let dir = tempfile::tempdir().unwrap();
    let (all, one) = (dir.path().join("all"), dir.path().join("one"));
    let options = [
        "--frames",
        "3",
        "--size",
        "64x48",
        "--write",
        "png",
        "--targets",
        "bone,vessel",
    ];
    let output = phantom(
        &all,
        &[
            &options,
            ["--seed", "15", "--sequences", "5", "--json"].as_slice(),
        ]
        .concat(),
    );
    done(&output);
    let lines: Vec<Value> = output
        .stdout
        .split(|&b| b == b'\n')
        .filter_map(|l| serde_json::from_slice(l).ok())
        .collect();
    let seeds: BTreeSet<u64> = lines
        .iter()
        .filter(|l| l["type"] == "sequence")
        .map(|l| l["seed"].as_u64().unwrap())
        .collect();
    assert_eq!(seeds, (15..20).collect());
    let summary = lines.last().unwrap();
    assert_eq!(
        (&summary["type"], &summary["sequences"], &summary["frames"]),
        (&"summary".into(), &5.into(), &15.into())
    );
    done(&phantom(
        &one,
        &[&options, ["--seed", "17"].as_slice()].concat(),
    ));
    let mut alone = files(&one);
    alone.remove(Path::new("phantom.json"));
    assert_eq!(files(&all.join("seed-000017")), alone);
    assert_eq!(files(&all).len(), 5 * alone.len() + 2);
    let (merged, own) = (json(&all.join("coco.json")), json(&one.join("coco.json")));
    let images = list(&merged, "images");
    assert!(images.iter().map(|i| i["id"].as_u64().unwrap()).eq(1..=15));
    assert_eq!(
        (&images[7]["file_name"], &images[7]["frame_id"]),
        (&"seed-000017/frames/000001.png".into(), &1.into())
    );
    assert_eq!(
        (&images[7]["video_id"], &list(&merged, "videos")[2]["name"]),
        (&3.into(), &"seed-000017/clip".into())
    );
    let annotations = list(&merged, "annotations");
    assert!(
        annotations
            .iter()
            .map(|a| a["id"].as_u64().unwrap())
            .eq(1..=annotations.len() as u64)
    );
    let outline = |a: &Value, before: u64| {
        (
            a["image_id"].as_u64().unwrap() - before,
            a["segmentation"].clone(),
            a["track_id"].clone(),
        )
    };
    let of_seed: Vec<_> = annotations
        .iter()
        .filter(|a| (7..10).contains(&a["image_id"].as_u64().unwrap()))
        .map(|a| outline(a, 6))
        .collect();
    assert_eq!(
        of_seed,
        list(&own, "annotations")
            .iter()
            .map(|a| outline(a, 0))
            .collect::<Vec<_>>()
    );
    assert!(!of_seed.is_empty(), "choose another seed");
}

#[test]
fn nonsense_is_a_usage_error_and_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    for (options, names) in [
        (["--size", "8x64"], "--size"),
        (["--size", "64x5000"], "--size"),
        (["--size", "64"], "--size"),
        (["--size", "64x"], "--size"),
        (["--targets", "bone,liver"], "bone, cyst, vessel, needle"),
        (["--targets", "none,bone"], "--targets"),
        (["--write", "gif"], "--write"),
        (["--motion", "wild"], "--motion"),
        (["--frames", "0"], "--frames"),
        (["--frame-rate", "0"], "--frame-rate"),
        (["--frame-rate", "nan"], "--frame-rate"),
        (["--sequences", "0"], "--sequences"),
        (["--seed", "x"], "--seed"),
    ] {
        let output = phantom(&out, &options);
        assert_eq!(
            output.status.code(),
            Some(64),
            "{options:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(names),
            "{options:?}: {}",
            stderr(&output)
        );
    }
    let beyond = phantom(
        &out,
        &["--seed", "18446744073709551615", "--sequences", "2"],
    );
    assert_eq!(beyond.status.code(), Some(64), "{}", stderr(&beyond));
    assert!(!out.exists());
}

#[test]
fn folders_of_others_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("frames")).unwrap();
    fs::write(dir.path().join("frames/holiday.png"), "x").unwrap();
    let options = ["--frames", "1", "--size", "32x32"];
    let refused = phantom(dir.path(), &options);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("not empty") && stderr(&refused).contains("--overwrite"),
        "{}",
        stderr(&refused)
    );
    let refused = phantom(dir.path(), &[options.as_slice(), &["--overwrite"]].concat());
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("phantom.json"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(files(dir.path()).len(), 1);
}

#[test]
fn no_targets_is_tissue_alone() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    done(&phantom(
        &out,
        &[
            "--frames",
            "2",
            "--size",
            "40x40",
            "--targets",
            "none",
            "--write",
            "png",
            "--quiet",
        ],
    ));
    let truth = json(&out.join("coco.json"));
    assert_eq!(
        (
            list(&truth, "images").len(),
            list(&truth, "annotations").len()
        ),
        (2, 0)
    );
}

#[test]
fn images_are_numbered_as_in_a_run_over_the_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let (out, model) = (dir.path().join("out"), dir.path().join("model"));
    done(&phantom(
        &out,
        &[
            "--seed",
            "100",
            "--frames",
            "4",
            "--size",
            "96x80",
            "--write",
            "png,mp4,dicom",
        ],
    ));
    let init = [
        "models",
        "init",
        "dfine-n",
        "--size",
        "320",
        "--classes",
        "bone,cyst,vessel,needle",
    ];
    done(&ultramotion(&init, &[("--output", &model)]));
    let truth = json(&out.join("coco.json"));
    let key = |image: &Value| {
        let name = image["file_name"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        (
            image["id"].as_u64(),
            image["frame_id"].as_u64(),
            image["width"].as_u64(),
            image["height"].as_u64(),
            name,
        )
    };
    let expected: Vec<_> = list(&truth, "images").iter().map(key).collect();
    for (name, first_file) in [
        ("frames", None),
        ("clip.mp4", Some("clip/000000.png")),
        ("clip.dcm", Some("clip/000000.png")),
    ] {
        let results = dir.path().join(format!("results of {name}"));
        let input = out.join(name);
        done(&ultramotion(
            &["detect", "--write", "coco"],
            &[
                ("--detector", &model),
                ("--input", &input),
                ("--output", &results),
            ],
        ));
        let found = json(&results.join("coco.json"));
        assert_eq!(
            list(&found, "images").iter().map(key).collect::<Vec<_>>(),
            expected,
            "{name}"
        );
        assert_eq!(found["categories"], truth["categories"], "{name}");
        let image = &found["images"][0];
        match first_file {
            Some(file) => assert_eq!(image["file_name"], file),
            None => assert_eq!(
                image["original"],
                input.join("000000.png").display().to_string()
            ),
        }
        if name != "frames" {
            assert_eq!(found["videos"][0]["name"], truth["videos"][0]["name"]);
        }
    }
}

#[test]
fn images_of_several_sequences_are_numbered_as_in_a_run_over_all() {
    let dir = tempfile::tempdir().unwrap();
    let (out, model) = (dir.path().join("out"), dir.path().join("model"));
    done(&phantom(
        &out,
        &[
            "--seed",
            "98",
            "--sequences",
            "3",
            "--frames",
            "2",
            "--size",
            "64x48",
        ],
    ));
    done(&ultramotion(
        &["models", "init", "dfine-n", "--size", "320"],
        &[("--output", &model)],
    ));
    let truth = json(&out.join("coco.json"));
    let key = |image: &Value| {
        (
            image["id"].clone(),
            image["video_id"].clone(),
            image["frame_id"].clone(),
        )
    };
    for pattern in ["*/clip.mp4", "*/frames"] {
        let results = dir.path().join(pattern.replace(['*', '/'], "_"));
        let input = out.join(pattern);
        done(&ultramotion(
            &["detect", "--write", "coco"],
            &[
                ("--detector", &model),
                ("--input", &input),
                ("--output", &results),
            ],
        ));
        let found = json(&results.join("coco.json"));
        let keys = |value: &Value| list(value, "images").iter().map(key).collect::<Vec<_>>();
        assert_eq!(keys(&found), keys(&truth), "{pattern}");
        let names = |value: &Value| {
            list(value, "videos")
                .iter()
                .map(|v| v["name"].clone())
                .collect::<Vec<_>>()
        };
        if pattern.ends_with("mp4") {
            assert_eq!(names(&found), names(&truth));
            assert_eq!(
                found["images"][2]["file_name"],
                "seed-000099/clip/000000.png"
            );
        }
    }
}

#[test]
fn the_truth_prompts_a_segmenter_on_frames_and_clips() {
    use ultramotion::{
        coco::Classes,
        run::{BoxPrompts, SourceFrames},
        sources::{ExpandOptions, SourceOptions, expand, open},
    };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    done(&phantom(
        &out,
        &[
            "--seed", "100", "--frames", "4", "--size", "96x80", "--write", "png,mp4",
        ],
    ));
    let truth = json(&out.join("coco.json"));
    let prompts = BoxPrompts::read(&out.join("coco.json"), &Classes::default()).unwrap();
    for name in ["frames", "clip.mp4"] {
        let expanded = expand(
            &[out.join(name).into_os_string()],
            ExpandOptions::default(),
            &mut std::io::empty(),
        );
        let spec = expanded.sources[0].as_ref().unwrap();
        let boxes = prompts.for_sources([SourceFrames {
            kind: spec.kind,
            path: &spec.path,
            name: &spec.name,
            files: &spec.files,
        }]);
        let mut source = open(spec, 0, &SourceOptions::default()).unwrap();
        let mut frames = 0;
        while let Some(frame) = source.next_frame().unwrap() {
            let expected = list(&truth, "annotations")
                .iter()
                .filter(|a| a["image_id"].as_u64() == Some(frame.index + 1))
                .count();
            assert_eq!(
                boxes.of(&frame).unwrap().unwrap().len(),
                expected,
                "{name}, frame {}",
                frame.index
            );
            frames += 1;
        }
        assert_eq!(frames, 4);
    }
}

#[test]
fn the_dicom_file_passes_the_validator() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    done(&phantom(
        &out,
        &[
            "--seed", "3", "--frames", "3", "--size", "97x61", "--write", "dicom",
        ],
    ));
    let Ok(output) = Command::new("dciodvfy").arg(out.join("clip.dcm")).output() else {
        eprintln!("skipped: dciodvfy (Debian's dicom3tools) is not installed");
        return;
    };
    let report = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        stderr(&output)
    );
    assert!(!report.contains("Error"), "{report}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_so_and_leaves_no_truth() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut run = program()
        .args([
            "phantom", "--frames", "40000", "--size", "64x64", "--write", "png", "--output",
        ])
        .arg(&out)
        .spawn()
        .unwrap();
    while !out.join("frames/000003.png").exists() {
        assert!(run.try_wait().unwrap().is_none(), "ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Command::new("kill")
        .args(["-INT", &run.id().to_string()])
        .status()
        .unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert!(!out.join("coco.json").exists() && out.join("phantom.json").exists());
    done(&phantom(
        &out,
        &[
            "--frames",
            "1",
            "--size",
            "32x32",
            "--write",
            "png",
            "--overwrite",
        ],
    ));
    assert_eq!(files(&out).len(), 4);
}
