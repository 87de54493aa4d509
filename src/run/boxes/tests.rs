mod files;
mod frames_by_name;

use super::*;
use crate::{
    coco::{COCO_NAMES, Classes},
    frame::{Frame, Pixels, SourceInfo, SourceKind},
    geometry::{BoxXyxy, Size},
    sinks::SinkError,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

const SIZE: Size = Size::new(100, 80);

fn read(text: &str, classes: &Classes) -> Result<BoxPrompts, SinkError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    BoxPrompts::read(file.path(), classes)
}

/// A source of a run: kind, path, name for outputs, files; and the number of its frames.
struct Given {
    kind: SourceKind,
    path: PathBuf,
    name: &'static str,
    files: Vec<PathBuf>,
    frames: u64,
}

fn given(kind: SourceKind, path: &str, name: &'static str, frames: u64) -> Given {
    Given {
        kind,
        path: path.into(),
        name,
        files: vec![path.into()],
        frames,
    }
}

fn still(path: &str, name: &'static str) -> Given {
    given(SourceKind::Image, path, name, 1)
}

fn sequence(folder: &str, name: &'static str, files: &[&str]) -> Given {
    let files: Vec<PathBuf> = files
        .iter()
        .map(|file| Path::new(folder).join(file))
        .collect();
    Given {
        kind: SourceKind::Sequence,
        path: folder.into(),
        name,
        frames: files.len() as u64,
        files,
    }
}

/// For each frame the left edges of its boxes; none where the file does not know it.
fn found(prompts: &BoxPrompts, sources: &[Given]) -> Vec<Option<Vec<f32>>> {
    let frames = sources.iter().map(|s| SourceFrames {
        kind: s.kind,
        path: &s.path,
        name: s.name,
        files: &s.files,
    });
    let boxes = prompts.for_sources(frames);
    let of_source = |(ordinal, s): (usize, &Given)| {
        let info = Arc::new(SourceInfo {
            ordinal,
            path: s.path.clone(),
            name: s.name.into(),
            kind: s.kind,
            folder: None,
            frame_count: Some(s.frames),
            frame_rate: None,
            attributes: Default::default(),
        });
        let own_files = s.kind == SourceKind::Sequence || s.files.len() > 1;
        let frame = |index: u64| Frame {
            source: info.clone(),
            index,
            timestamp: None,
            file: own_files.then(|| s.files[index as usize].clone()),
            pixels: Pixels::Released(SIZE),
            physical: None,
            stored: None,
            exif_orientation: None,
        };
        (0..s.frames)
            .map(frame)
            .map(|frame| {
                Some(
                    boxes
                        .of(&frame)
                        .unwrap()?
                        .iter()
                        .map(|b| b.bbox.x0)
                        .collect(),
                )
            })
            .collect::<Vec<_>>()
    };
    sources.iter().enumerate().flat_map(of_source).collect()
}

fn edges(edges: &[f32]) -> Vec<Option<Vec<f32>>> {
    edges.iter().map(|x| Some(vec![*x])).collect()
}

/// A COCO file of images with these names, each with a box whose left edge is its place in the list.
fn coco(names: &[&str]) -> BoxPrompts {
    let images = names
        .iter()
        .enumerate()
        .map(|(i, name)| serde_json::json!({ "id": 10 + i, "file_name": name }));
    let boxes = (0..names.len())
        .map(|i| serde_json::json!({ "image_id": 10 + i, "category_id": 1, "bbox": [i, 2, 3, 4] }))
        .collect::<Vec<_>>();
    let file = serde_json::json!({ "images": images.collect::<Vec<_>>(), "annotations": boxes, "categories": [{ "id": 1, "name": "bone" }] });
    read(&file.to_string(), &Classes::default()).unwrap()
}

#[test]
fn images_are_found_by_path_then_ending_then_stem() {
    let file = coco(&["a/x.png", "b/x.png", "b/y.png", "c/z.jpg"]);
    assert_eq!(
        found(&file, &[still("a/x.png", "x"), still("./b//x.png", "b/x")]),
        edges(&[0.0, 1.0])
    );
    assert_eq!(
        found(
            &file,
            &[still("/data/b/x.png", "x"), still("elsewhere/y.png", "y")]
        ),
        edges(&[1.0, 2.0])
    );
    assert_eq!(
        found(&file, &[still("x.png", "x"), still("z.png", "z")]),
        [None, Some(vec![3.0])],
        "two images are called x.png"
    );
    let frames = [
        sequence("a", "a", &["x.png"]),
        sequence("q", "q", &["w.png"]),
    ];
    assert_eq!(found(&file, &frames), [Some(vec![0.0]), None]);
}

#[test]
fn leading_folders_that_an_editor_left_out_do_not_matter() {
    // As CVAT gives back `two/a/000000.png`: base names are not unique.
    let file = coco(&["a/000000.png", "a/000001.png", "b/000000.png"]);
    let two = [
        sequence("two/a", "a", &["000000.png", "000001.png"]),
        sequence("two/b", "b", &["000000.png"]),
    ];
    assert_eq!(found(&file, &two), edges(&[0.0, 1.0, 2.0]));
}

#[test]
fn frames_of_videos_are_found_by_the_names_this_program_gives_them() {
    let file = coco(&[
        "frames/videos/clip/000000.png",
        "frames/videos/clip/000002.png",
        "frames/other/000001.png",
    ]);
    let clip = |path| given(SourceKind::Video, path, "clip", 3);
    assert_eq!(
        found(&file, &[clip("in/videos/clip.mp4")]),
        [Some(vec![0.0]), None, Some(vec![1.0])]
    );
    let named = [
        given(SourceKind::Video, "in/other.mp4", "other", 2),
        given(SourceKind::Dicom, "in/clip.dcm", "videos/clip", 1),
    ];
    assert_eq!(
        found(&file, &named),
        [None, Some(vec![2.0]), Some(vec![0.0])]
    );
    // Numbers that may count from 1 say nothing.
    assert_eq!(
        found(
            &coco(&["clip/000001.png", "clip/000002.png"]),
            &[clip("clip.mp4")]
        ),
        [None, None, None]
    );
    assert_eq!(
        found(
            &coco(&["clip/000000.png", "clip/000002.png"]),
            &[clip("clip.mp4")]
        ),
        [Some(vec![0.0]), None, Some(vec![1.0])]
    );
    assert_eq!(
        found(&coco(&["000000.png", "000001.png"]), &[clip("clip.mp4")]),
        [Some(vec![0.0]), Some(vec![1.0]), None]
    );
}

/// A line of a record, with one box whose left edge is `x`.
fn line(source: &str, kind: &str, path: &str, file: Option<&str>, frame: u64, x: f32) -> String {
    let object = serde_json::json!({ "box": [x, 2, x + 3.0, 6], "score": 0.5, "class": 0, "label": "bone", "area": 12 });
    let mut line = serde_json::json!({ "source": source, "source_index": 0, "kind": kind, "path": path, "frame": frame,
        "width": 100, "height": 80, "objects": [object] });
    if let Some(file) = file {
        line["file"] = file.into();
    }
    format!("{line}\n")
}

#[test]
fn a_record_knows_sources_under_other_names_and_paths() {
    let lines = [
        line("v/clip", "video", "in/v/clip.mp4", None, 0, 1.0),
        line("v/clip", "video", "in/v/clip.mp4", None, 5, 2.0),
    ];
    let record = read(&lines.concat(), &Classes::default()).unwrap();
    let expected = [Some(vec![1.0]), None, None, None, None, Some(vec![2.0])];
    for (path, name) in [
        ("in/v/clip.mp4", "clip"),
        ("/data/clip.mp4", "x"),
        ("moved/other.mp4", "v/clip"),
        ("clip.mkv", "y"),
    ] {
        assert_eq!(
            found(&record, &[given(SourceKind::Video, path, name, 6)]),
            expected,
            "{path}"
        );
    }
    assert_eq!(
        found(
            &record,
            &[given(SourceKind::Video, "other.mp4", "other", 1)]
        ),
        [None]
    );
    assert_eq!(
        found(&record, &[still("in/v/clip.png", "v/clip")]),
        [None],
        "a picture is no frame of a video"
    );
    // Its frames as pictures: the files say which.
    assert_eq!(
        found(
            &record,
            &[sequence(
                "out/frames/v/clip",
                "clip",
                &["000005.png", "000007.png"]
            )]
        ),
        [Some(vec![2.0]), None]
    );
}

#[test]
fn frames_of_a_sequence_are_known_by_their_files_not_by_their_numbers() {
    let lines = [
        line("s", "sequence", "s", Some("s/3.png"), 0, 3.0),
        line("s", "sequence", "s", Some("s/4.png"), 1, 4.0),
    ];
    let record = read(&lines.concat(), &Classes::default()).unwrap();
    assert_eq!(
        found(&record, &[sequence("s", "s", &["2.png", "3.png", "4.png"])]),
        [None, Some(vec![3.0]), Some(vec![4.0])]
    );
    assert_eq!(
        found(&record, &[given(SourceKind::Video, "s.mp4", "s", 2)]),
        [None, None]
    );
    let data = r#"{"images":[{"id":1,"file_name":"s/3.png","video_id":1,"frame_id":0},{"id":2,"file_name":"t.tif","video_id":2,"frame_id":0},
        {"id":3,"file_name":"t.tif","video_id":2,"frame_id":1}],"videos":[{"id":1,"name":"s","file_name":"s"},{"id":2,"name":"t","file_name":"t.tif"}],
        "annotations":[{"image_id":1,"category_id":1,"bbox":[7,2,3,4]},{"image_id":3,"category_id":1,"bbox":[8,2,3,4]}],"categories":[{"id":1,"name":"bone"}]}"#;
    let data = read(data, &Classes::default()).unwrap();
    assert_eq!(
        found(
            &data,
            &[
                given(SourceKind::Video, "s.mp4", "s", 1),
                sequence("x/s", "s", &["3.png"])
            ]
        ),
        [None, Some(vec![7.0])]
    );
    assert_eq!(
        found(&data, &[given(SourceKind::Image, "in/t.tif", "t", 2)]),
        [Some(vec![]), Some(vec![8.0])],
        "pages of a TIFF"
    );
}

#[test]
fn series_of_files_are_found_by_files_or_by_numbers() {
    let mut series = given(SourceKind::Dicom, "ct", "ct", 2);
    series.files = vec!["ct/IM1".into(), "ct/IM2".into()];
    let lines = [
        line("ct", "dicom", "ct", Some("ct/IM1"), 0, 1.0),
        line("ct", "dicom", "ct", Some("ct/IM2"), 1, 2.0),
    ];
    assert_eq!(
        found(
            &read(&lines.concat(), &Classes::default()).unwrap(),
            std::slice::from_ref(&series)
        ),
        edges(&[1.0, 2.0])
    );
    let data = r#"{"images":[{"id":1,"file_name":"frames/ct/000000.png","video_id":1,"frame_id":0},
        {"id":2,"file_name":"frames/ct/000001.png","video_id":1,"frame_id":1}],"videos":[{"id":1,"name":"ct","file_name":"ct"}],
        "annotations":[{"image_id":1,"category_id":1,"bbox":[1,2,3,4]},{"image_id":2,"category_id":1,"bbox":[2,2,3,4]}],"categories":[{"id":1,"name":"bone"}]}"#;
    assert_eq!(
        found(&read(data, &Classes::default()).unwrap(), &[series]),
        edges(&[1.0, 2.0])
    );
}

#[test]
fn a_picture_of_another_size_is_an_error_of_its_frame() {
    let text = line("a", "image", "a.png", None, 0, 1.0).replace("\"width\":100", "\"width\":200");
    let prompts = read(&text, &Classes::default()).unwrap();
    let a = still("a.png", "a");
    let boxes = prompts.for_sources([SourceFrames {
        kind: a.kind,
        path: &a.path,
        name: a.name,
        files: &a.files,
    }]);
    assert!(!boxes.match_nothing());
    let info = SourceInfo {
        ordinal: 0,
        path: "a.png".into(),
        name: "a".into(),
        kind: SourceKind::Image,
        folder: None,
        frame_count: Some(1),
        frame_rate: None,
        attributes: Default::default(),
    };
    let pixels = Pixels::Released(SIZE);
    let frame = Frame {
        source: Arc::new(info),
        index: 0,
        timestamp: None,
        file: None,
        pixels,
        physical: None,
        stored: None,
        exif_orientation: None,
    };
    assert_eq!(
        boxes.of(&frame),
        Err(OtherSize {
            expected: Size::new(200, 80),
            found: SIZE
        })
    );
}

#[test]
fn nothing_in_common_and_doubts_are_told() {
    let file = coco(&["a/x.png", "b/x.png"]);
    let told = |sources: &[Given]| {
        let boxes = file.for_sources(sources.iter().map(|s| SourceFrames {
            kind: s.kind,
            path: &s.path,
            name: s.name,
            files: &s.files,
        }));
        (
            boxes.match_nothing(),
            boxes.mismatch(),
            boxes.doubtful().to_vec(),
        )
    };
    let (nothing, text, _) = told(&[still("in/q.png", "q")]);
    assert!(
        nothing && text.contains("a/x.png") && text.contains("in/q.png"),
        "{text}"
    );
    let (nothing, text, _) = told(&[still("c/x.png", "x")]);
    assert!(
        nothing && text.contains("c/x.png could be several"),
        "{text}"
    );
    let file = coco(&["b/x.png"]);
    let c = still("c/x.png", "x");
    let boxes = file.for_sources([SourceFrames {
        kind: c.kind,
        path: &c.path,
        name: c.name,
        files: &c.files,
    }]);
    assert_eq!(
        boxes.doubtful(),
        [("c/x.png".to_owned(), "b/x.png".to_owned())]
    );
}
