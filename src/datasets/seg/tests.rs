//! Objects that are read back.

use super::{SegAlgorithm, SegGeometry, SegOptions, SegType, SegWriter, uid::uid};
use crate::{
    coco::Classes,
    datasets::{
        Annotation, DatasetWriter, Item, VolumeNote, WriteOptions,
        volume::testing::{CINE, CT, dicom_file, item, object, write_record},
    },
    geometry::Size,
};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{InMemDicomObject, open_file};
use std::{fs, path::Path};

/// Its pixels are no multiple of 8.
const SIZE: Size = Size::new(13, 7);

fn options(change: impl FnOnce(&mut SegOptions)) -> SegOptions {
    let mut options = SegOptions {
        algorithm: Some(SegAlgorithm::new("found", "1.0").with_model("detector", "sha256:ab")),
        ..SegOptions::default()
    };
    change(&mut options);
    options
}

fn write(root: &Path, items: &[Item], options: SegOptions) -> Vec<VolumeNote> {
    let to = WriteOptions {
        root: root.to_path_buf(),
        classes: Classes::new(["bone", "cyst"]),
        images: None,
    };
    let mut writer = SegWriter::new(&to, options);
    items.iter().for_each(|item| writer.item(item).unwrap());
    writer.finish().unwrap();
    writer.take_notes()
}

fn bone(rectangle: [u32; 4]) -> Annotation {
    object(SIZE, 0, "bone", None, rectangle)
}

fn cyst(rectangle: [u32; 4]) -> Annotation {
    object(SIZE, 1, "cyst", None, rectangle)
}

/// A cine of five frames: bone in frames 0 and 1 (in two parts), a cyst over bone in frame 1, nothing in the others.
fn cine(folder: &Path, more: &[(Tag, VR, &str)]) -> Vec<Item> {
    let path = folder.join("cine.dcm");
    dicom_file(&path, CINE, "1.2.3.4.5.6", SIZE, Some(5), more);
    let objects = [
        vec![bone([0, 0, 1, 1]), bone([12, 6, 1, 1])],
        vec![cyst([2, 2, 3, 3]), bone([3, 3, 3, 3])],
        vec![],
        vec![bone([0, 0, 0, 0])],
        vec![],
    ];
    let frames = objects.into_iter().enumerate();
    frames
        .map(|(frame, found)| item("a/cine", &path, None, frame as u64, SIZE, found))
        .collect()
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().into_owned()
}

fn all(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.element(tag).unwrap().items().unwrap()
}

fn first<'a>(object: &'a InMemDicomObject, tags: &[Tag]) -> &'a InMemDicomObject {
    tags.iter()
        .fold(object, |object, tag| &all(object, *tag)[0])
}

fn frames(object: &InMemDicomObject) -> &[InMemDicomObject] {
    all(object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
}

fn indices(object: &InMemDicomObject) -> Vec<Vec<u32>> {
    frames(object)
        .iter()
        .map(|frame| {
            let content = first(frame, &[tags::FRAME_CONTENT_SEQUENCE]);
            let values = content.element(tags::DIMENSION_INDEX_VALUES).unwrap();
            values.to_multi_int::<u32>().unwrap()
        })
        .collect()
}

fn references(object: &InMemDicomObject) -> Vec<(String, Option<String>)> {
    let image = [tags::DERIVATION_IMAGE_SEQUENCE, tags::SOURCE_IMAGE_SEQUENCE];
    frames(object)
        .iter()
        .map(|frame| {
            let image = first(frame, &image);
            let number = image.element_opt(tags::REFERENCED_FRAME_NUMBER).unwrap();
            (
                text(image, tags::REFERENCED_SOP_INSTANCE_UID),
                number.map(|n| n.to_str().unwrap().into_owned()),
            )
        })
        .collect()
}

fn pixels(object: &InMemDicomObject) -> Vec<u8> {
    object
        .element(tags::PIXEL_DATA)
        .unwrap()
        .to_bytes()
        .unwrap()
        .into_owned()
}

/// The places of set bits, frame by frame.
fn bits(object: &InMemDicomObject) -> Vec<Vec<u64>> {
    let bytes = pixels(object);
    assert_eq!(bytes.len() % 2, 0);
    let frames = frames(object).len() as u64;
    let set = |at: u64| bytes[at as usize / 8] >> (at % 8) & 1 == 1;
    assert!((frames * SIZE.pixels()..bytes.len() as u64 * 8).all(|at| !set(at)));
    (0..frames)
        .map(|frame| {
            let start = frame * SIZE.pixels();
            (0..SIZE.pixels()).filter(|at| set(start + at)).collect()
        })
        .collect()
}

fn rectangle([x, y, w, h]: [u64; 4]) -> Vec<u64> {
    (y..y + h)
        .flat_map(|y| (x..x + w).map(move |x| y * 13 + x))
        .collect()
}

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

fn positions(object: &InMemDicomObject) -> Vec<String> {
    frames(object)
        .iter()
        .map(|frame| {
            let plane = first(frame, &[tags::PLANE_POSITION_SEQUENCE]);
            text(plane, tags::IMAGE_POSITION_PATIENT)
        })
        .collect()
}

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

fn all_segments(object: &InMemDicomObject) -> &[InMemDicomObject] {
    all(object, tags::SEGMENT_SEQUENCE)
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
        };
        let mut writer = SegWriter::new(&to, options);
        write_record(Path::new(&record), tracks, &mut writer);
        for note in writer.take_notes() {
            println!("{name}: {note}");
        }
    }
}
