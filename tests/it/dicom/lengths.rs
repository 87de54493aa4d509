//! What the length of the pixel data proves: 4:2:2 or 4:4:4, and how many frames there are.

use super::{common::*, native::rle};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use ultramotion::{
    dicom::{DicomError, DicomFinding, DicomOptions, Window},
    sources::{DicomSource, Source},
};

/// Luma and chroma of `pixels` pixels, no two the same.
fn ybr(pixels: u8) -> Vec<u8> {
    (0..pixels)
        .flat_map(|i| [40 + 9 * i, 100 + 3 * i, 160 - 5 * i])
        .collect()
}

/// The picture of `columns` by `rows` pixels of [`ybr`] data, said as they are.
fn picture(columns: u16, rows: u16, data: &[u8]) -> Vec<u8> {
    let mut o = Object::image(columns, rows);
    o.photometric("YBR_FULL", 3).bytes(data);
    shown_quietly(&o).data
}

fn planes(data: &[u8]) -> Vec<u8> {
    (0..3)
        .flat_map(|c| data.iter().skip(c).step_by(3).copied())
        .collect()
}

const FULL: DicomFinding = DicomFinding::ChromaFormat {
    stated: "YBR_FULL_422",
    found: "4:4:4",
};

#[test]
fn data_of_three_bytes_a_pixel_are_444_whatever_is_stated() {
    let data = ybr(8);
    let expected = picture(4, 2, &data);
    let mut o = Object::image(4, 2);
    o.photometric("YBR_FULL_422", 3).bytes(&data);
    let (shown, found) = shown_with_findings(&o, Window::Auto);
    assert_eq!(
        (shown.data, found),
        (expected.clone(), vec![FULL]),
        "pixel by pixel"
    );
    o.u16(tags::PLANAR_CONFIGURATION, 1).bytes(&planes(&data));
    let (shown, found) = shown_with_findings(&o, Window::Auto);
    assert_eq!(
        (shown.data, found),
        (expected, vec![FULL]),
        "plane by plane"
    );
}

#[test]
fn a_cine_of_444_labelled_422_is_right_in_every_frame_and_where_it_is_cut() {
    let frames = [
        ybr(8),
        ybr(8).iter().map(|v| v / 2 + 60).collect(),
        ybr(8).iter().map(|v| 255 - v).collect(),
    ];
    let mut o = Object::image(4, 2);
    o.photometric("YBR_FULL_422", 3)
        .text(tags::NUMBER_OF_FRAMES, VR::IS, "3")
        .bytes(&frames.concat());
    let bytes = o.encoded();
    let mut image = open_bytes(&bytes, Window::Auto).expect("an image");
    for (i, frame) in frames.iter().enumerate() {
        assert_eq!(
            image.shown(i as u64).expect("a frame").data,
            picture(4, 2, frame),
            "frame {i}"
        );
    }
    assert_eq!(image.take_findings(), [FULL], "once");
    // The length that the element states counts, not what is left of it: 2.4 frames here, 3.6 in 4:2:2.
    let mut cut = open_bytes(&bytes[..bytes.len() - 14], Window::Auto).expect("an image");
    assert_eq!(
        cut.shown(1).expect("frame 1").data,
        picture(4, 2, &frames[1])
    );
    assert!(matches!(
        cut.shown(2),
        Err(DicomError::Truncated {
            frame: 2,
            cut_off: true,
            ..
        })
    ));
}

#[test]
fn data_of_two_bytes_a_pixel_are_422_whatever_is_stated() {
    let half = [10, 20, 100, 150, 30, 40, 160, 90];
    let full: Vec<u8> = half
        .as_chunks::<4>()
        .0
        .iter()
        .flat_map(|&[a, b, cb, cr]| [a, cb, cr, b, cb, cr])
        .collect();
    let expected = picture(2, 2, &full);
    let mut o = Object::image(2, 2);
    o.photometric("YBR_FULL_422", 3).bytes(&half);
    assert_eq!(shown_quietly(&o).data, expected);
    o.photometric("YBR_FULL", 3);
    let stated = DicomFinding::ChromaFormat {
        stated: "YBR_FULL",
        found: "4:2:2",
    };
    assert_eq!(shown_with_findings(&o, Window::Auto).1, [stated]);
    assert_eq!(o.shown().data, expected);
    o.photometric("YBR_FULL_422", 3)
        .u16(tags::PLANAR_CONFIGURATION, 1);
    let (shown, found) = shown_with_findings(&o, Window::Auto);
    assert_eq!(
        (shown.data, found),
        (expected, vec![DicomFinding::PlanarChroma])
    );
}

#[test]
fn odd_columns_are_padded_by_row_or_run_on_as_the_length_says() {
    let pixels = [
        [10, 100, 150],
        [20, 100, 150],
        [30, 110, 140],
        [40, 120, 130],
        [50, 120, 130],
        [60, 90, 160],
    ];
    let expected = picture(3, 2, &pixels.concat());
    let by_row = [
        10, 20, 100, 150, 30, 0, 110, 140, 40, 50, 120, 130, 60, 0, 90, 160,
    ];
    let mut o = Object::image(3, 2);
    o.photometric("YBR_FULL_422", 3).bytes(&by_row);
    assert_eq!(shown_quietly(&o).data, expected);
    // Two frames of it.
    o.text(tags::NUMBER_OF_FRAMES, VR::IS, "2")
        .bytes(&[by_row, by_row].concat());
    assert_eq!(
        o.open().and_then(|mut i| i.shown(1)).expect("frame 1").data,
        expected
    );
    let mut o = Object::image(3, 2);
    o.photometric("YBR_FULL_422", 3)
        .bytes(&[10, 20, 100, 150, 30, 40, 110, 140, 50, 60, 120, 130]);
    let running = [
        [10, 100, 150],
        [20, 100, 150],
        [30, 110, 140],
        [40, 110, 140],
        [50, 120, 130],
        [60, 120, 130],
    ];
    assert_eq!(shown_quietly(&o).data, picture(3, 2, &running.concat()));
    o.bytes(&pixels.concat());
    let (shown, found) = shown_with_findings(&o, Window::Auto);
    assert_eq!((shown.data, found), (expected, vec![FULL]));
}

#[test]
fn sixteen_bit_chroma_is_decided_alike() {
    let mut o = Object::image(2, 1);
    o.bits(16, 12)
        .photometric("YBR_FULL", 3)
        .pixel_words(&[3000, 2100, 1900, 1000, 2000, 2200]);
    let expected = shown_quietly(&o).data;
    o.photometric("YBR_FULL_422", 3);
    assert_eq!(o.shown().data, expected);
    o.photometric("YBR_FULL", 3).bits(32, 32);
    assert!(matches!(
        o.open().map(|_| ()),
        Err(DicomError::Invalid {
            name: "BitsAllocated",
            ..
        })
    ));
}

#[test]
fn a_length_that_fits_no_reading_is_an_error_with_both_lengths() {
    for (photometric, len) in [
        ("YBR_FULL_422", 20),
        ("YBR_FULL_422", 30),
        ("YBR_FULL", 22),
        ("YBR_FULL_422", 6),
    ] {
        let mut o = Object::image(4, 2);
        o.photometric(photometric, 3).bytes(&vec![7; len]);
        let error = o.open().map(|_| ()).expect_err(photometric);
        let found = len as u64;
        assert_eq!(
            error,
            DicomError::PixelLength {
                columns: 4,
                rows: 2,
                frames: 1,
                found,
                full: 24,
                half: 16
            }
        );
        assert!(
            error.to_string().contains(&format!("{len} bytes"))
                && error.to_string().contains("24 in 4:4:4 and 16 in 4:2:2"),
            "{error}"
        );
    }
    // Other interpretations have one reading: what is short gives both lengths as well, what is long is read and said.
    let mut o = Object::image(4, 2);
    o.photometric("RGB", 3).bytes(&[7; 16]);
    let error = o
        .open()
        .and_then(|mut i| i.shown(0))
        .expect_err("too short");
    assert_eq!(
        error,
        DicomError::Truncated {
            frame: 0,
            available: 16,
            needed: 24,
            cut_off: false
        }
    );
    assert!(
        !error.remedy().expect("a remedy").contains("fetch"),
        "the file is whole: {error}"
    );
    o.bytes(&[7; 30]);
    assert_eq!(
        shown_with_findings(&o, Window::Auto).1,
        [DicomFinding::LongerData {
            found: 30,
            taken: 24
        }]
    );
    o.photometric("YBR_FULL", 3);
    assert_eq!(
        shown_with_findings(&o, Window::Auto).1,
        [DicomFinding::LongerData {
            found: 30,
            taken: 24
        }]
    );
}

#[test]
fn a_pad_byte_is_no_finding() {
    let mut o = Object::image(3, 1);
    o.bytes(&[1, 2, 3]);
    assert_eq!(shown_quietly(&o).data, [1, 2, 3]);
    let mut o = Object::image(1, 1);
    o.bytes(&[5]);
    assert_eq!(
        shown_quietly(&o).data,
        [5],
        "a second frame of one byte is a pad byte"
    );
}

/// The warnings of a source, without what is said of burned-in annotation.
fn warnings(o: &Object) -> Vec<String> {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let path = folder.path().join("some");
    let mut o = Object {
        data: o.data.clone(),
        syntax: o.syntax,
    };
    o.text(tags::BURNED_IN_ANNOTATION, VR::CS, "NO")
        .write(&path);
    let mut source =
        DicomSource::open(&path, 0, "some", DicomOptions::default()).expect("a source");
    while source.next_frame().expect("a frame").is_some() {}
    source
        .take_warnings()
        .iter()
        .map(|w| w.to_string().replace(&path.display().to_string(), "some"))
        .collect()
}

#[test]
fn more_native_frames_than_stated_are_a_warning_with_both_counts() {
    let mut o = Object::image(2, 1);
    o.bytes(&[1, 2, 3, 4, 5, 6]);
    let expected = "some: NumberOfFrames is absent, but the pixel data hold 3 frames: only the first is read; \
                    to read all, set NumberOfFrames to 3, for example with dcmodify";
    assert_eq!(warnings(&o), [expected]);
    o.text(tags::NUMBER_OF_FRAMES, VR::IS, "2");
    assert!(warnings(&o)[0].contains(
        "NumberOfFrames is 2, but the pixel data hold 3 frames: only the first 2 are read"
    ));
    assert_eq!(o.open().expect("an image").frames(), 2);
    o.text(tags::NUMBER_OF_FRAMES, VR::IS, "3");
    assert_eq!(warnings(&o), [""; 0]);
    o.photometric("YBR_FULL_422", 3)
        .text(tags::NUMBER_OF_FRAMES, VR::IS, "1")
        .bytes(&[9; 12]);
    assert_eq!(
        shown_with_findings(&o, Window::Auto).1,
        [DicomFinding::MoreFrames {
            stated: Some(1),
            present: 3
        }]
    );
}

#[test]
fn more_encoded_frames_than_stated_are_a_warning_with_both_counts() {
    let jpeg = fixture("baseline-8.jpg");
    let several = |n: usize| vec![jpeg.clone(); n];
    let mut o = Object::image(40, 30);
    o.fragments("1.2.840.10008.1.2.4.50", &[], &several(4));
    let found = |o: &Object| shown_with_findings(o, Window::Auto).1;
    assert_eq!(
        found(&o),
        [DicomFinding::MoreFrames {
            stated: None,
            present: 4
        }]
    );
    o.text(tags::NUMBER_OF_FRAMES, VR::IS, "2");
    assert_eq!(
        found(&o),
        [DicomFinding::MoreFrames {
            stated: Some(2),
            present: 4
        }]
    );
    let step = jpeg.len().next_multiple_of(2) as u32 + 8;
    o.fragments("1.2.840.10008.1.2.4.50", &[0, step, 2 * step], &several(3));
    assert_eq!(
        found(&o),
        [DicomFinding::MoreFrames {
            stated: Some(2),
            present: 3
        }],
        "by the offset table"
    );
    assert_eq!(
        values(&o.open().and_then(|mut i| i.stored(1)).expect("frame 1")),
        values(&o.stored())
    );
    let mut o = Object::image(3, 1);
    o.fragments(RLE, &[], &[rle(&[vec![1, 2, 3]]), rle(&[vec![4, 5, 6]])]);
    assert_eq!(
        found(&o),
        [DicomFinding::MoreFrames {
            stated: None,
            present: 2
        }]
    );
}

#[test]
fn one_frame_in_several_fragments_is_no_finding() {
    let jpeg = fixture("baseline-8.jpg");
    let (first, second) = jpeg.split_at((jpeg.len() / 2) & !1);
    let parts = [first.to_vec(), second.to_vec()];
    let whole = {
        let mut o = Object::image(40, 30);
        o.fragments("1.2.840.10008.1.2.4.50", &[], std::slice::from_ref(&jpeg));
        shown_quietly(&o).data
    };
    for table in [vec![], vec![0], vec![0, first.len() as u32 + 8]] {
        let mut o = Object::image(40, 30);
        o.fragments("1.2.840.10008.1.2.4.50", &table, &parts);
        assert_eq!(shown_quietly(&o).data, whole, "{table:?}");
    }
}

/// Encapsulated Uncompressed, and frames deflated one by one: each frame has a length of its own.
#[test]
fn frames_in_fragments_are_decided_alike() {
    use std::io::Write;
    let deflated = |data: &[u8]| {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).expect("memory");
        encoder.finish().expect("memory")
    };
    let data = ybr(8);
    let expected = picture(4, 2, &data);
    for (syntax, frame) in [
        ("1.2.840.10008.1.2.1.98", data.clone()),
        ("1.2.840.10008.1.2.8.1", deflated(&data)),
    ] {
        let mut o = Object::image(4, 2);
        o.photometric("YBR_FULL", 3)
            .text(tags::NUMBER_OF_FRAMES, VR::IS, "2");
        o.fragments(syntax, &[], &[frame.clone(), frame]);
        assert_eq!(
            o.open().and_then(|mut i| i.shown(1)).expect("frame 1").data,
            expected,
            "{syntax}"
        );
        o.photometric("YBR_FULL_422", 3);
        let (shown, found) = shown_with_findings(&o, Window::Auto);
        assert_eq!(
            (shown.data, found),
            (expected.clone(), vec![FULL]),
            "{syntax}"
        );
    }
    let mut o = Object::image(4, 2);
    o.photometric("YBR_FULL_422", 3).fragments(
        "1.2.840.10008.1.2.8.1",
        &[],
        &[deflated(&data[..20])],
    );
    assert!(matches!(
        o.open().and_then(|mut i| i.shown(0)),
        Err(DicomError::PixelLength {
            found: 20,
            full: 24,
            half: 16,
            ..
        })
    ));
}
