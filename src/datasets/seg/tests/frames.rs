//! Segments, frames and pixels.

use super::*;
use crate::datasets::seg::{SegGeometry, SegType, uid::uid};
use dicom_dictionary_std::uids;
use dicom_object::open_file;
use std::fs;

#[test]
fn frames_of_a_cine_are_referred_to_by_number_and_bits_run_over_frame_borders() {
    let dir = tempfile::tempdir().unwrap();
    let notes = write(dir.path(), &cine(dir.path(), &[]), options(|_| ()));
    assert_eq!(notes, []);
    let object = open_file(dir.path().join("seg/a/cine.dcm")).unwrap();
    assert_eq!(
        text(&object, tags::SOP_CLASS_UID),
        uids::SEGMENTATION_STORAGE
    );
    assert_eq!(text(&object, tags::NUMBER_OF_FRAMES), "3");
    assert_eq!(text(&object, tags::SEGMENTS_OVERLAP), "YES");
    let uid = "1.2.3.4.5.6".to_owned();
    let number = |n: &str| (uid.clone(), Some(n.to_owned()));
    assert_eq!(references(&object), [number("1"), number("2"), number("2")]);
    assert_eq!(indices(&object), [[1, 1], [1, 2], [2, 2]]);
    assert_eq!(
        bits(&object),
        [
            vec![0, 90],
            rectangle([3, 3, 3, 3]),
            rectangle([2, 2, 3, 3])
        ]
    );
    let series = first(&object, &[tags::REFERENCED_SERIES_SEQUENCE]);
    assert_eq!(text(series, tags::SERIES_INSTANCE_UID), "1.2.3.4.5");
    assert!(
        object
            .element_opt(tags::FRAME_OF_REFERENCE_UID)
            .unwrap()
            .is_none()
    );
    assert_eq!(
        all(&object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).len(),
        1
    );
    let segment = first(&object, &[tags::SEGMENT_SEQUENCE]);
    let kind = first(segment, &[tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE]);
    assert_eq!(text(kind, tags::CODE_VALUE), "272673000");
    let algorithm = first(
        segment,
        &[tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE],
    );
    assert_eq!(
        text(algorithm, tags::ALGORITHM_PARAMETERS),
        "detector=sha256:ab"
    );
}

#[test]
fn the_same_input_gives_the_same_bytes_and_other_masks_another_object() {
    let dir = tempfile::tempdir().unwrap();
    let items = cine(dir.path(), &[]);
    let file = |name: &str, items: &[Item], options: SegOptions| {
        let root = dir.path().join(name);
        write(&root, items, options);
        fs::read(root.join("seg/a/cine.dcm")).unwrap()
    };
    let first = file("1", &items, options(|_| ()));
    assert_eq!(first, file("2", &items, options(|_| ())));
    file("3", &items[1..], options(|_| ()));
    let own = |name: &str| {
        let object = open_file(dir.path().join(name).join("seg/a/cine.dcm")).unwrap();
        [tags::SOP_INSTANCE_UID, tags::SERIES_INSTANCE_UID].map(|tag| text(&object, tag))
    };
    assert_ne!(own("1"), own("3"));
    // The file meta information ends where the length in its first element says.
    let body = |file: &[u8]| {
        let length = u32::from_le_bytes(file[140..144].try_into().unwrap());
        file[144 + length as usize..].to_vec()
    };
    let deflated = file("4", &items, options(|o| o.deflate = true));
    assert_eq!(deflated.len() % 2, 0);
    let mut inflated = Vec::new();
    std::io::Read::read_to_end(
        &mut flate2::read::DeflateDecoder::new(&body(&deflated)[..]),
        &mut inflated,
    )
    .unwrap();
    assert_eq!(inflated, body(&first));
    let opened = crate::dicom::DicomFile::open(&dir.path().join("4/seg/a/cine.dcm")).unwrap();
    assert_eq!(
        opened.transfer_syntax_uid(),
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    );
}

#[test]
fn a_label_map_gives_shared_pixels_to_the_better_score_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let kind = options(|o| o.seg_type = SegType::LabelMap);
    let notes = write(dir.path(), &cine(dir.path(), &[]), kind);
    assert!(
        notes[0].to_string().starts_with("a/cine: objects overlap"),
        "{notes:?}"
    );
    assert!(!notes[0].skipped);
    let object = open_file(dir.path().join("seg/a/cine.dcm")).unwrap();
    assert_eq!(text(&object, tags::SEGMENTATION_TYPE), "LABELMAP");
    assert_eq!(text(&object, tags::SEGMENTS_OVERLAP), "NO");
    assert_eq!(indices(&object), [[1], [2]]);
    let map = pixels(&object);
    assert_eq!(map.len(), 2 * 91);
    // The cyst comes first, that is with the better score.
    let at = |x: usize, y: usize| map[91 + y * 13 + x];
    assert_eq!([at(2, 2), at(3, 3), at(5, 5), at(6, 6)], [2, 2, 1, 0]);
}

#[test]
fn a_made_up_geometry_places_frames_along_z_with_the_items_spacing() {
    let dir = tempfile::tempdir().unwrap();
    let kind = options(|o| o.geometry = SegGeometry::Frames);
    write(dir.path(), &cine(dir.path(), &[]), kind);
    let object = open_file(dir.path().join("seg/a/cine.dcm")).unwrap();
    let shared = first(&object, &[tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE]);
    let measures = first(shared, &[tags::PIXEL_MEASURES_SEQUENCE]);
    assert_eq!(text(measures, tags::PIXEL_SPACING), "0.2\\0.3");
    // Frames without masks are there too, as the first segment's: a gap would stretch the volume.
    let z: Vec<String> = [0, 1, 2, 3, 4, 1].map(|z| format!("0\\0\\{z}")).into();
    assert_eq!(positions(&object), z);
    assert!(bits(&object)[2].is_empty());
    assert!(text(&object, tags::CONTENT_DESCRIPTION).contains("z is the frame number"));
    assert_eq!(
        text(&object, tags::FRAME_OF_REFERENCE_UID),
        uid(&[b"frame of reference", b"1.2.3.4.5.6"])
    );
}

#[test]
fn tracked_objects_are_segments_with_lasting_uids() {
    let dir = tempfile::tempdir().unwrap();
    let mut items = cine(dir.path(), &[]);
    for item in &mut items {
        item.annotations
            .iter_mut()
            .enumerate()
            .for_each(|(n, a)| a.track_id = Some(n as u64 + 3));
    }
    let tracks = |root: &Path, items: &[Item]| {
        write(root, items, options(|_| ()));
        let object = open_file(root.join("seg/a/cine.dcm")).unwrap();
        all(&object, tags::SEGMENT_SEQUENCE)
            .iter()
            .map(|segment| [tags::TRACKING_ID, tags::TRACKING_UID].map(|tag| text(segment, tag)))
            .collect::<Vec<_>>()
    };
    let found = tracks(dir.path(), &items);
    let names: Vec<&str> = found.iter().map(|track| track[0].as_str()).collect();
    assert_eq!(names, ["bone 3", "bone 4", "cyst 3"]);
    assert_eq!(tracks(&dir.path().join("later"), &items[..1]), found[..2]);
}
