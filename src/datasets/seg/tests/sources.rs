//! What an object takes over from its source, and which sources have none.

use super::*;
use crate::datasets::{
    seg::{SegGeometry, SegType},
    volume::testing::{CT, write_record},
};
use dicom_object::open_file;
use std::fs;

/// A series of one file a slice, whose positions are `z`, with bone in all slices but the first.
fn series(folder: &Path, z: &[&str]) -> Vec<Item> {
    let mut items = Vec::new();
    for (n, z) in z.iter().enumerate() {
        let path = folder.join(format!("{n}.dcm"));
        let position = format!("-1.5\\2\\{z}");
        let geometry = [
            (tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.9"),
            (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
            (tags::IMAGE_POSITION_PATIENT, VR::DS, position.as_str()),
            (tags::PIXEL_SPACING, VR::DS, "0.4\\0.5"),
            (tags::SLICE_THICKNESS, VR::DS, "2"),
        ];
        dicom_file(&path, CT, &format!("1.2.3.{n}"), SIZE, None, &geometry);
        let found = if n == 0 {
            vec![]
        } else {
            vec![bone([1, 1, 2, 2])]
        };
        items.push(item("ct", folder, Some(&path), n as u64, SIZE, found));
    }
    items
}

#[test]
fn a_series_keeps_its_geometry_and_slices_refer_to_their_files() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &series(dir.path(), &["10", "12.5", "15"]),
        options(|_| ()),
    );
    let object = open_file(dir.path().join("seg/ct.dcm")).unwrap();
    assert_eq!(text(&object, tags::FRAME_OF_REFERENCE_UID), "1.9");
    let instance = |n: usize| (format!("1.2.3.{n}"), None);
    assert_eq!(references(&object), [0, 1, 2].map(instance));
    assert_eq!(
        positions(&object),
        ["-1.5\\2\\10", "-1.5\\2\\12.5", "-1.5\\2\\15"]
    );
    assert_eq!(indices(&object), [[1, 1], [1, 2], [1, 3]]);
    let shared = first(&object, &[tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE]);
    let measures = first(shared, &[tags::PIXEL_MEASURES_SEQUENCE]);
    assert_eq!(text(measures, tags::PIXEL_SPACING), "0.4\\0.5");
    assert_eq!(text(measures, tags::SPACING_BETWEEN_SLICES), "2.5");
    assert_eq!(text(measures, tags::SLICE_THICKNESS), "2");
    let series = first(&object, &[tags::REFERENCED_SERIES_SEQUENCE]);
    assert_eq!(all(series, tags::REFERENCED_INSTANCE_SEQUENCE).len(), 3);
}

#[test]
fn times_at_one_place_are_numbered() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &series(dir.path(), &["1", "1", "3", "3"]),
        options(|_| ()),
    );
    let object = open_file(dir.path().join("seg/ct.dcm")).unwrap();
    assert_eq!(
        indices(&object),
        [[1, 1, 1], [1, 1, 2], [1, 2, 1], [1, 2, 2]]
    );
}

#[test]
fn patient_attributes_are_copied_on_request_as_their_vr_allows() {
    let dir = tempfile::tempdir().unwrap();
    let items = cine(dir.path(), &[(tags::STUDY_ID, VR::SH, "42")]);
    write(&dir.path().join("not"), &items, options(|_| ()));
    let object = open_file(dir.path().join("not/seg/a/cine.dcm")).unwrap();
    let shown = |object: &InMemDicomObject| {
        [
            tags::PATIENT_NAME,
            tags::PATIENT_SEX,
            tags::STUDY_ID,
            tags::STUDY_DATE,
            tags::CONTENT_DATE,
            tags::CONTENT_TIME,
            tags::SERIES_NUMBER,
        ]
        .map(|tag| text(object, tag))
    };
    assert_eq!(
        shown(&object),
        ["", "", "1", "19000101", "19000101", "000000", "1000"]
    );
    assert!(text(&object, tags::PATIENT_ID).starts_with("ANON-"));
    assert_eq!(text(&object, tags::STUDY_INSTANCE_UID), "1.2.3.4");
    write(dir.path(), &items, options(|o| o.keep_patient_data = true));
    let object = open_file(dir.path().join("seg/a/cine.dcm")).unwrap();
    assert_eq!(
        shown(&object),
        ["Ünal^A/B", "", "42", "20260102", "20260102", "1011", "1007"]
    );
    assert_eq!(text(&object, tags::PATIENT_ID), "P1");
}

#[test]
fn classes_without_codes_are_tissue_and_named_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut items = cine(dir.path(), &[]);
    for annotation in items.iter_mut().flat_map(|item| &mut item.annotations) {
        if annotation.class == 1 {
            annotation.label = "shadow".into();
        }
    }
    let other = items.iter().cloned().map(|mut item| {
        item.place.as_mut().unwrap().source = "b".into();
        item
    });
    let all: Vec<Item> = items.iter().cloned().chain(other).collect();
    let notes = write(dir.path(), &all, options(|_| ()));
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0]
            .to_string()
            .starts_with("a/cine: no code is known for \"shadow\": ")
    );
    let object = open_file(dir.path().join("seg/b.dcm")).unwrap();
    let segment = &all_segments(&object)[1];
    let kind = first(segment, &[tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE]);
    assert_eq!(text(kind, tags::CODE_MEANING), "Tissue");
}

#[test]
fn sources_without_masks_have_no_object_and_a_note() {
    let dir = tempfile::tempdir().unwrap();
    let mut items = cine(dir.path(), &[]);
    items
        .iter_mut()
        .flat_map(|i| &mut i.annotations)
        .for_each(|a| a.outline = None);
    let notes = write(dir.path(), &items, options(|_| ()));
    assert_eq!(notes.len(), 1);
    assert_eq!(
        notes[0].to_string(),
        "a/cine: its 5 objects have boxes and no masks"
    );
    assert!(notes[0].skipped && !dir.path().join("seg").exists());
    fs::remove_file(dir.path().join("cine.dcm")).unwrap();
    let mut writer = SegWriter::new(
        &WriteOptions {
            root: dir.path().into(),
            classes: Classes::default(),
            images: None,
            masks: Default::default(),
            parts: Default::default(),
        },
        options(|_| ()),
    );
    let gone = item(
        "a/cine",
        &dir.path().join("cine.dcm"),
        None,
        0,
        SIZE,
        vec![bone([0, 0, 2, 2])],
    );
    writer.item(&gone).unwrap();
    let error = writer.finish().unwrap_err();
    assert!(
        error.path.ends_with("cine.dcm") && error.remedy.is_some(),
        "{error}"
    );
}

/// Writes the variants of the record of a run, `ULTRAMOTION_RECORD`, below `ULTRAMOTION_TO`, for the judges of
/// `tests/interop/seg.py`.
#[test]
#[ignore = "needs a run"]
fn variants_of_a_record() {
    let [record, to] =
        ["ULTRAMOTION_RECORD", "ULTRAMOTION_TO"].map(|name| std::env::var(name).unwrap());
    let variants = [
        ("binary", false, options(|_| ())),
        (
            "labelmap",
            false,
            options(|o| o.seg_type = SegType::LabelMap),
        ),
        (
            "geometry",
            false,
            options(|o| o.geometry = SegGeometry::Frames),
        ),
        (
            "labelmap-geometry",
            true,
            options(|o| (o.seg_type, o.geometry) = (SegType::LabelMap, SegGeometry::Frames)),
        ),
        ("deflated", false, options(|o| o.deflate = true)),
        ("patient", false, options(|o| o.keep_patient_data = true)),
        ("tracks", true, options(|_| ())),
        ("manual", false, options(|o| o.algorithm = None)),
    ];
    for (name, tracks, options) in variants {
        let to = WriteOptions {
            root: Path::new(&to).join(name),
            classes: Classes::default(),
            images: None,
            masks: Default::default(),
            parts: Default::default(),
        };
        let mut writer = SegWriter::new(&to, options);
        write_record(Path::new(&record), tracks, &mut writer);
        for note in writer.take_volume_notes() {
            println!("{name}: {note}");
        }
    }
}
