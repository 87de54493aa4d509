//! Sources and items for tests.

use crate::{
    datasets::{Annotation, DatasetWriter, Item, Outline, Place},
    frame::{Mask, Physical, SourceKind},
    geometry::{BoxXyxy, Size},
    sinks::RecordLine,
};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use std::path::Path;

/// Ultrasound Multi-frame Image Storage.
pub(in crate::datasets) const CINE: &str = uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE;
/// CT Image Storage.
pub(in crate::datasets) const CT: &str = uids::CT_IMAGE_STORAGE;

/// A DICOM file of frames of `size` without light, with what `more` adds.
pub(in crate::datasets) fn dicom_file(
    path: &Path,
    class: &str,
    instance: &str,
    size: Size,
    frames: Option<u32>,
    more: &[(Tag, VR, &str)],
) {
    let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let word = |tag, value: u32| DataElement::new(tag, VR::US, PrimitiveValue::from(value as u16));
    let mut object = InMemDicomObject::from_element_iter([
        text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        text(tags::SOP_CLASS_UID, VR::UI, class),
        text(tags::SOP_INSTANCE_UID, VR::UI, instance),
        text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.4"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.4.5"),
        text(tags::PATIENT_NAME, VR::PN, "Ünal^A\\B"),
        text(tags::PATIENT_ID, VR::LO, "P1"),
        text(tags::PATIENT_SEX, VR::CS, "female"),
        text(tags::STUDY_DATE, VR::DA, "20260102"),
        text(tags::STUDY_TIME, VR::TM, "1011"),
        text(tags::SERIES_NUMBER, VR::IS, "7"),
        word(tags::ROWS, size.height),
        word(tags::COLUMNS, size.width),
        word(tags::BITS_ALLOCATED, 8),
        word(tags::BITS_STORED, 8),
        word(tags::SAMPLES_PER_PIXEL, 1),
    ]);
    if let Some(frames) = frames {
        object.put(text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.to_string()));
    }
    for (tag, vr, value) in more {
        object.put(text(*tag, *vr, value));
    }
    let bytes = vec![0u8; (size.pixels() * u64::from(frames.unwrap_or(1))) as usize & !1];
    object.put(DataElement::new(
        tags::PIXEL_DATA,
        VR::OB,
        PrimitiveValue::from(bytes),
    ));
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    object.with_meta(meta).unwrap().write_to_file(path).unwrap();
}

/// An object of class `class`, whose mask is a rectangle `[x, y, width, height]`.
pub(in crate::datasets) fn object(
    size: Size,
    class: u32,
    label: &str,
    track: Option<u64>,
    rectangle: [u32; 4],
) -> Annotation {
    let [x, y, w, h] = rectangle;
    let inside = |at: u32| {
        let (px, py) = (at % size.width, at / size.width);
        u8::from((x..x + w).contains(&px) && (y..y + h).contains(&py))
    };
    let pixels: Vec<u8> = (0..size.pixels() as u32).map(inside).collect();
    let mask = Mask::from_row_major(size, &pixels).unwrap();
    Annotation {
        class,
        label: label.into(),
        bbox: mask.bounds().unwrap_or(BoxXyxy::new(0., 0., 1., 1.)),
        outline: Some(Outline::Mask(mask)),
        score: Some(0.9),
        mask_score: None,
        track_id: track,
        visibility: None,
        visibility_score: None,
    }
}

/// A frame of a DICOM source.
pub(in crate::datasets) fn item(
    source: &str,
    path: &Path,
    file: Option<&Path>,
    frame: u64,
    size: Size,
    annotations: Vec<Annotation>,
) -> Item {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    Item {
        file_name: format!("{source}/{frame:06}.png"),
        size,
        place: Some(Place {
            source: source.into(),
            kind: SourceKind::Dicom,
            path: text(path).into(),
            file: file.map(text),
            frame,
            timestamp: None,
            frame_rate: None,
            attributes: Default::default(),
        }),
        annotations,
        physical: Some(Physical {
            pixel_spacing_mm: Some([0.2, 0.3]),
            ..Physical::default()
        }),
        exif_orientation: None,
        changes: Vec::new(),
        original: None,
    }
}

/// Writes the frames of a record (`detections.jsonl`), whose objects of one class are numbered as tracks in `tracks`.
pub(in crate::datasets) fn write_record(record: &Path, tracks: bool, to: &mut dyn DatasetWriter) {
    for line in std::fs::read_to_string(record).unwrap().lines() {
        let line: RecordLine<'_> = serde_json::from_str(line).unwrap();
        let found = line.detections().unwrap();
        let annotations = found
            .objects
            .iter()
            .enumerate()
            .map(|(n, object)| Annotation {
                class: object.class,
                label: object.label.clone(),
                bbox: object.bbox,
                outline: object.mask.clone().map(Outline::Mask),
                score: Some(object.score),
                mask_score: object.mask_score,
                track_id: tracks.then_some(n as u64),
                visibility: None,
                visibility_score: None,
            });
        let item = Item {
            file_name: format!("{}.png", line.source),
            size: found.size,
            place: Some(Place {
                source: line.source.as_ref().into(),
                kind: line.kind,
                path: line.path.as_ref().into(),
                file: line.file.as_ref().map(|file| file.to_string()),
                frame: line.frame,
                timestamp: line.timestamp,
                frame_rate: None,
                attributes: Default::default(),
            }),
            annotations: annotations.collect(),
            physical: line.physical.as_deref().cloned(),
            exif_orientation: None,
            changes: Vec::new(),
            original: None,
        };
        to.item(&item).unwrap();
    }
    to.finish().unwrap();
}
