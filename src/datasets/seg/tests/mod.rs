//! Objects that are read back: what the tests share.

mod frames;
mod sources;

use super::{SegAlgorithm, SegOptions, SegWriter};
use crate::{
    coco::Classes,
    datasets::{
        Annotation, DatasetWriter, Item, VolumeNote, WriteOptions,
        volume::testing::{CINE, dicom_file, item, object},
    },
    geometry::Size,
};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::path::Path;

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
        masks: Default::default(),
        parts: Default::default(),
    };
    let mut writer = SegWriter::new(&to, options);
    items.iter().for_each(|item| writer.item(item).unwrap());
    writer.finish().unwrap();
    writer.take_volume_notes()
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

fn positions(object: &InMemDicomObject) -> Vec<String> {
    frames(object)
        .iter()
        .map(|frame| {
            let plane = first(frame, &[tags::PLANE_POSITION_SEQUENCE]);
            text(plane, tags::IMAGE_POSITION_PATIENT)
        })
        .collect()
}

fn all_segments(object: &InMemDicomObject) -> &[InMemDicomObject] {
    all(object, tags::SEGMENT_SEQUENCE)
}
