//! Tracks and their states in the kinds of data sets that hold them.

use super::{
    CocoLayout, CocoWriter, CvatWriter, LabelmeWriter, ReportOptions, ReportWriter,
    item::{Annotation, Item},
    read_coco,
    record::RecordItems,
    samples::{self, options, write},
    writer::MaskForm,
};
use crate::frame::{Visibility, VisibilityChange};
use serde_json::{Value, json};
use std::{fs, path::Path, sync::Arc};

/// Frames of two sources, in both of which the track 7 is `relocalizing`, with a change in the third.
fn tracked() -> Vec<Item> {
    let mut first = samples::frames();
    for annotation in first.iter_mut().flat_map(|item| &mut item.annotations) {
        if annotation.track_id.is_some() {
            annotation.visibility = Some(Visibility::Relocalizing);
            annotation.visibility_score = Some(0.375);
        }
    }
    first[2].changes.push(VisibilityChange {
        track_id: Some(7),
        class: 1,
        label: Arc::from("Gefäß"),
        from: Some(Visibility::Visible),
        to: Visibility::Relocalizing,
        score: 0.375,
    });
    let mut second = first.clone();
    for item in &mut second {
        item.file_name = item.file_name.replace("Übung", "Second");
        if let Some(place) = &mut item.place {
            place.source = Arc::from("clips/Second");
        }
    }
    first.extend(second);
    first
}

fn without_tracks(items: &[Item]) -> Vec<Item> {
    let mut items = items.to_vec();
    for item in &mut items {
        item.changes.clear();
        for annotation in &mut item.annotations {
            annotation.track_id = None;
            (annotation.visibility, annotation.visibility_score) = (None, None);
        }
    }
    items
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn states(items: &[Item]) -> Vec<(Option<u64>, Option<Visibility>, Option<f32>)> {
    let all = items.iter().flat_map(|item| &item.annotations);
    let state = |a: &Annotation| (a.track_id, a.visibility, a.visibility_score);
    let mut all: Vec<_> = all.map(state).filter(|s| s.0.is_some()).collect();
    all.sort_by_key(|s| s.0);
    all
}

#[test]
fn coco_has_numbers_of_all_videos_and_those_of_the_source() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("coco.json");
    let items = tracked();
    write(
        CocoWriter::new(&options(dir.path()), CocoLayout::Plain).unwrap(),
        &items,
    );
    let file = json_of(&path);
    let annotations = file["annotations"].as_array().unwrap();
    let tracked: Vec<&Value> = (annotations.iter())
        .filter(|a| a.get("track_id").is_some())
        .collect();
    let numbers: Vec<u64> = (tracked.iter())
        .map(|a| a["track_id"].as_u64().unwrap())
        .collect();
    let half = numbers.len() / 2;
    assert!(half > 2 && numbers[..half].iter().all(|n| *n == 7));
    assert!(numbers[half..].iter().all(|n| *n == 14), "{numbers:?}");
    let attributes =
        json!({"track_id": 7, "visibility": "relocalizing", "visibility_score": 0.375});
    assert!(tracked.iter().all(|a| a["attributes"] == attributes));
    assert!(annotations.len() > tracked.len());
    assert_eq!(states(&read_coco(&path).unwrap().items), states(&items));

    let untracked = without_tracks(&items);
    write(
        CocoWriter::new(&options(dir.path()), CocoLayout::Plain).unwrap(),
        &untracked,
    );
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("track_id") && !text.contains("attributes\":{"));
}

#[test]
fn attributes_of_others_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("others.json");
    let file = |attributes: Value| {
        json!({"images": [{"id": 1, "file_name": "a.png", "width": 4, "height": 4}],
            "categories": [{"id": 1, "name": "a"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2],
                "track_id": 3, "attributes": attributes}]})
    };
    for (attributes, track, state) in [
        (
            json!({"occluded": false, "track_id": 5, "visibility": 0.5}),
            5,
            None,
        ),
        (json!({"visibility": "lost"}), 3, Some(Visibility::Lost)),
        (json!(["track_id"]), 3, None),
        (json!({"track_id": "x"}), 3, None),
    ] {
        fs::write(&path, file(attributes).to_string()).unwrap();
        let set = read_coco(&path).unwrap();
        let found = &set.items[0].annotations[0];
        assert_eq!((found.track_id, found.visibility), (Some(track), state));
    }
}

#[test]
fn cvat_has_the_state_where_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cvat/clips/Übung 1.b.xml");
    let frames = &tracked()[..6];
    let writer = || CvatWriter::new(options(dir.path()), MaskForm::Polygon);
    write(writer(), frames);
    let set = super::cvat::read(&path, &mut Vec::new()).unwrap();
    let only_state = |items| -> Vec<_> {
        let states = states(items).into_iter();
        states.map(|(track, state, _)| (track, state)).collect()
    };
    assert_eq!(only_state(&set.items), only_state(frames));
    assert!(
        fs::read_to_string(&path)
            .unwrap()
            .contains("<name>visibility</name>")
    );
    write(writer(), &without_tracks(frames));
    assert!(!fs::read_to_string(&path).unwrap().contains("visibility"));
}

#[test]
fn labelme_groups_the_shapes_of_a_track() {
    let dir = tempfile::tempdir().unwrap();
    let items = tracked();
    write(
        LabelmeWriter::new(options(dir.path()), MaskForm::Polygon),
        &items[2..3],
    );
    let file = json_of(&dir.path().join("labelme/clips/Übung 1.b/000002.json"));
    let shapes = file["shapes"].as_array().unwrap();
    let (mut of_track, mut of_parts) = (0, 0);
    for shape in shapes {
        match (shape.get("track_id"), shape["group_id"].as_u64()) {
            (Some(_), group) => {
                assert_eq!(group, Some(7));
                of_track += 1;
            }
            (None, Some(group)) => {
                assert!(group > 7, "{group} is that of a track");
                of_parts += 1;
            }
            (None, None) => {}
        }
    }
    assert!(of_track > 0 && of_parts > 0);
}

#[test]
fn the_page_has_states_and_changes() {
    let dir = tempfile::tempdir().unwrap();
    let text = |items: &[Item]| {
        let report = ReportOptions::new("a", 0.5);
        write(
            ReportWriter::new(&options(dir.path()), &report).unwrap(),
            items,
        );
        fs::read_to_string(dir.path().join(ReportWriter::FILE)).unwrap()
    };
    let items = tracked();
    let page = text(&items);
    assert!(page.contains("0.625,0.77,7,1]"), "an object with its state");
    assert_eq!(page.matches("\ne[[7,1,0,1,0.375]]\n").count(), 2);
    let page = text(&without_tracks(&items));
    assert!(page.contains("0.625,0.77,null]") && !page.contains("\ne[["));
}

#[test]
fn the_record_gives_states_and_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("detections.jsonl");
    let line = json!({"source": "a", "source_index": 0, "kind": "video", "path": "a.mp4", "frame": 0, "timestamp": 0.5,
        "width": 8, "height": 8,
        "objects": [{"box": [0.0, 0.0, 2.0, 2.0], "score": 0.5, "class": 0, "label": "x", "area": 4,
            "track_id": 7, "visibility": "lost", "visibility_score": 0.25}],
        "visibility_changes": [{"class": 0, "label": "x", "from": null, "to": "lost", "score": 0.25}]});
    fs::write(&path, format!("{line}\n")).unwrap();
    let mut items = RecordItems::open(&path).unwrap();
    let item = items.next().unwrap().unwrap();
    assert_eq!(
        states(std::slice::from_ref(&item)),
        [(Some(7), Some(Visibility::Lost), Some(0.25))]
    );
    let change = &item.changes[0];
    assert_eq!(
        (change.track_id, change.from, change.to),
        (None, None, Visibility::Lost)
    );
    assert!(items.next().unwrap().is_none());
}
