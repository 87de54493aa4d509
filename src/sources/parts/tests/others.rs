//! Parts of sequences, pages and DICOM.

use super::{assert_same, clip, fixtures, in_parts, options, reason, spec, until_irregular, whole};
use crate::{
    frame::SourceKind,
    sources::{FrameSelection, SourceOptions, SourceSpec},
};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use std::{
    fs,
    num::NonZeroU64,
    path::{Path, PathBuf},
};

#[test]
fn parts_of_other_sources_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut files: Vec<PathBuf> = (0..23u8)
        .map(|n| {
            let path = folder.path().join(format!("{n:02}.png"));
            image::GrayImage::from_pixel(5, 4, image::Luma([n]))
                .save(&path)
                .unwrap();
            path
        })
        .collect();
    // Of frames that cannot be decoded the whole source has errors.
    fs::write(&files[9], b"nothing").unwrap();
    files.insert(15, folder.path().join("missing.png"));
    let sequence = SourceSpec {
        files: files.clone(),
        ..spec(folder.path(), SourceKind::Sequence)
    };
    let pages = spec(&fixtures().join("media/pages.tif"), SourceKind::Image);
    for (spec, least) in [(&sequence, 1), (&sequence, 7), (&pages, 1), (&pages, 3)] {
        for stride in [1, 3] {
            let selection = FrameSelection::default().with_stride(NonZeroU64::new(stride).unwrap());
            let options = SourceOptions {
                selection,
                ..options()
            };
            let whole = whole(spec, &options);
            for decoders in [1, 3] {
                let parts = in_parts(spec, &options, least, decoders, &[2, 0, 1]);
                assert_same(&parts, &whole, &format!("{} {stride}", spec.path.display()));
            }
        }
    }
    assert_eq!(reason(&sequence, 24), None);
    let single = fixtures().join("media/rgb8.png");
    assert_eq!(reason(&spec(&single, SourceKind::Image), 1), None);
    let spooled = SourceSpec {
        path: "-".into(),
        ..clip("closed.mp4")
    };
    assert!(reason(&spooled, 10).unwrap().contains("standard input"));
}

/// A DICOM file of frames of 4 × 2, of which `there` are there.
fn dicom(path: &Path, bits: u16, frames: u32, there: u32, first: u8) -> SourceSpec {
    let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    let word = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let mut object = InMemDicomObject::from_element_iter([
        text(
            tags::SOP_CLASS_UID,
            VR::UI,
            uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE,
        ),
        text(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.4"),
        text(tags::MODALITY, VR::CS, "US"),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        text(tags::FRAME_TIME, VR::DS, "40"),
        word(tags::SAMPLES_PER_PIXEL, 1),
        word(tags::ROWS, 2),
        word(tags::COLUMNS, 4),
        word(tags::BITS_ALLOCATED, bits),
        word(tags::BITS_STORED, bits),
        word(tags::HIGH_BIT, bits - 1),
        word(tags::PIXEL_REPRESENTATION, 0),
    ]);
    if frames > 1 {
        object.put(text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.to_string()));
    }
    let bytes: Vec<u8> = (0..there * 8 * u32::from(bits / 8))
        .map(|n| (n as u8).wrapping_mul(7).wrapping_add(first))
        .collect();
    let value = PrimitiveValue::from(bytes);
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, value));
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    object.with_meta(meta).unwrap().write_to_file(path).unwrap();
    spec(path, SourceKind::Dicom)
}

#[test]
fn parts_of_dicom_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let cine = dicom(&file("cine.dcm"), 8, 30, 30, 0);
    // Without a window, greys of the series depend on all its files; one of them is none.
    let mut slices: Vec<PathBuf> = (0..9u8)
        .map(|n| {
            let path = file(&format!("slice{n}.dcm"));
            dicom(&path, 16, 1, 1, 20 * n);
            path
        })
        .collect();
    slices.insert(4, file("none.dcm"));
    fs::write(file("none.dcm"), b"nothing").unwrap();
    let series = SourceSpec {
        path: folder.path().to_owned(),
        files: slices,
        ..cine.clone()
    };
    for (spec, frames) in [(&cine, 30u64), (&series, 10)] {
        for stride in [1, 3] {
            let selection = FrameSelection::default().with_stride(NonZeroU64::new(stride).unwrap());
            let options = SourceOptions {
                selection,
                ..options()
            };
            let whole = whole(spec, &options);
            assert_eq!(whole.len() as u64, frames.div_ceil(stride));
            for (least, decoders) in [(1, 1), (4, 2), (7, 3)] {
                let parts = in_parts(spec, &options, least, decoders, &[1, 0]);
                assert_same(&parts, &whole, &format!("{}, {least}", spec.path.display()));
            }
        }
    }
    // Greys by the range of all frames; too short; one frame.
    let scaled = dicom(&file("scaled.dcm"), 16, 30, 30, 0);
    assert!(
        reason(&scaled, 10)
            .unwrap()
            .contains("range of all its frames")
    );
    assert_eq!(reason(&cine, 30), None);
    assert_eq!(reason(&dicom(&file("one.dcm"), 8, 1, 1, 0), 1), None);
}

#[test]
fn a_dicom_file_that_lacks_frames_ends_as_the_whole_does() {
    let folder = tempfile::tempdir().unwrap();
    let short = dicom(&folder.path().join("short.dcm"), 8, 30, 14, 0);
    let mut whole = whole(&short, &options());
    assert!(whole.len() == 15 && whole[14].is_err());
    for reuse in [false, true] {
        let (parts, irregular) = until_irregular(&short, 5, reuse).unwrap();
        assert!(irregular && parts.len() == 14);
        whole.truncate(14);
        assert_same(&parts, &whole, "short");
    }
}
