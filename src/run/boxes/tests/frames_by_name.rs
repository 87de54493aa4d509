//! Data sets whose images say by their names alone which frames they are.

use super::*;
use crate::sinks::SinkErrorKind;

#[test]
fn frames_of_a_data_set_without_videos_are_those_of_another_file_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, value: serde_json::Value| {
        let path = dir.path().join(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path
    };
    let image = |id: u64, name: &str, frame: Option<u64>| match frame {
        Some(frame) => {
            serde_json::json!({ "id": id, "file_name": name, "video_id": 1, "frame_id": frame })
        }
        None => serde_json::json!({ "id": id, "file_name": name }),
    };
    let original = serde_json::json!({
        "videos": [{ "id": 1, "name": "clip", "file_name": "in/clip.mp4" }],
        "images": [image(1, "clip/000001.png", Some(1)), image(2, "clip/000002.png", Some(2))],
        "annotations": [], "categories": [],
    });
    let corrected = serde_json::json!({
        "images": [image(7, "images/clip/000002.png", None), image(9, "new.png", None)],
        "annotations": [
            { "image_id": 7, "category_id": 1, "bbox": [5, 2, 3, 4] },
            { "image_id": 9, "category_id": 1, "bbox": [6, 2, 3, 4] },
        ],
        "categories": [{ "id": 1, "name": "bone" }],
    });
    let (original, corrected) = (write("coco.json", original), write("new.json", corrected));
    let clip = || given(SourceKind::Video, "in/clip.mp4", "clip", 3);
    let classes = Classes::default();
    let alone = BoxPrompts::read(&corrected, &classes).unwrap();
    assert_eq!(found(&alone, &[clip()]), [None, None, None]);
    let with = BoxPrompts::read_with_images(&corrected, Some(&original), &classes).unwrap();
    assert_eq!(found(&with, &[clip()]), [None, None, Some(vec![5.0])]);
    assert_eq!(found(&with, &[still("new.png", "new")]), edges(&[6.0]));
    // In the folder of a run its coco.json is looked at without being named.
    write("run.json", serde_json::json!({ "program": "ultramotion" }));
    let beside = BoxPrompts::read(&corrected, &classes).unwrap();
    assert_eq!(found(&beside, &[clip()]), [None, None, Some(vec![5.0])]);
    let error = BoxPrompts::read_with_images(&original, Some(&corrected), &classes).unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::ImagesNotNeeded);
}
