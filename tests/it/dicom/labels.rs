//! Photometric Interpretation against what the encoded stream proves.

use super::{codecs::*, common::*};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use ultramotion::dicom::{DicomError, DicomFinding, Window};

/// A JPEG stream without its application segments: nothing then says what its colours are.
fn unmarked(name: &str) -> Vec<u8> {
    let stream = fixture(name);
    let mut out = stream[..2].to_vec();
    let mut at = 2;
    while stream[at + 1] != 0xDA {
        let end = at + 2 + usize::from(u16::from_be_bytes([stream[at + 2], stream[at + 3]]));
        if !matches!(stream[at + 1], 0xE0..=0xEF) {
            out.extend(&stream[at..end]);
        }
        at = end;
    }
    out.extend(&stream[at..]);
    out
}

fn encoded(syntax: &'static str, photometric: &str, frame: Vec<u8>) -> Object {
    let mut o = Object::image(COLUMNS, ROWS);
    o.photometric(photometric, 3)
        .fragments(syntax, &[], &[frame]);
    o
}

/// How far the picture is from `smooth`, and what was found.
fn off(o: &Object) -> (f64, Vec<DicomFinding>) {
    let (shown, found) = shown_with_findings(o, Window::Auto);
    (
        mean_difference(
            &shown.data.iter().map(|&v| v.into()).collect::<Vec<_>>(),
            &smooth(8, 3),
        ),
        found,
    )
}

fn stream(stated: &'static str, found: &'static str, proof: &'static str) -> Vec<DicomFinding> {
    vec![DicomFinding::StreamColour {
        stated,
        found,
        proof,
    }]
}

#[test]
fn subsampled_chroma_proves_ycbcr_of_a_stream_labelled_rgb() {
    for name in ["baseline-ybr-420.jpg", "baseline-ybr-422.jpg"] {
        let (difference, found) = off(&encoded(BASELINE, "RGB", unmarked(name)));
        assert!(difference < 2.0, "{name}: {difference}");
        assert_eq!(
            found,
            stream("RGB", "YCbCr", "its chroma has fewer samples"),
            "{name}"
        );
        let (difference, found) = off(&encoded(BASELINE, "YBR_FULL_422", unmarked(name)));
        assert!(
            difference < 2.0 && found.is_empty(),
            "{name}: {difference} {found:?}"
        );
    }
}

#[test]
fn markers_win_over_the_label_and_are_told() {
    let (difference, found) = off(&encoded(
        BASELINE,
        "YBR_FULL_422",
        fixture("baseline-rgb.jpg"),
    ));
    assert!(
        difference < 2.0 && matches!(found[..], [DicomFinding::StreamColour { found: "RGB", .. }]),
        "{difference} {found:?}"
    );
    assert_eq!(
        off(&encoded(BASELINE, "RGB", fixture("baseline-rgb.jpg"))).1,
        []
    );
    let mut full = fixture("baseline-ybr-422.jpg");
    let jfif = full
        .windows(5)
        .position(|w| w == b"JFIF\0")
        .expect("a JFIF marker");
    let (difference, found) = off(&encoded(BASELINE, "RGB", full.clone()));
    assert!(
        difference < 2.0 && found.len() == 1,
        "{difference} {found:?}"
    );
    // Without the marker the label stands, as nothing in the stream speaks against it.
    full[jfif] = b'X';
    assert_eq!(off(&encoded(BASELINE, "YBR_FULL", full)).1, []);
}

#[test]
fn labels_of_jpeg_2000_on_other_data_are_told() {
    let (difference, found) = off(&encoded(
        BASELINE,
        "YBR_ICT",
        unmarked("baseline-ybr-422.jpg"),
    ));
    assert!(
        difference < 2.0 && found.len() == 1,
        "{difference} {found:?}"
    );
    let mut o = Object::image(2, 1);
    o.photometric("YBR_RCT", 3).bytes(&[1, 2, 3, 4, 5, 6]);
    let (shown, found) = shown_with_findings(&o, Window::Auto);
    assert_eq!(
        shown.data,
        [1, 2, 3, 4, 5, 6],
        "what a decompressor left without changing the label"
    );
    assert_eq!(found, [DicomFinding::NoTransform { stated: "YBR_RCT" }]);
}

#[test]
fn a_jpeg_2000_colour_transform_is_undone_once() {
    for label in ["YBR_FULL", "YBR_FULL_422"] {
        let o = encoded(JPEG_2000, label, fixture("j2k-rct.j2k"));
        let found = stream(label, "RGB", "by its colour transform, which is undone");
        assert_eq!(
            (values(&o.stored()), shown_with_findings(&o, Window::Auto).1),
            (rough(8, 3), found),
            "{label}"
        );
        let (difference, found) = off(&encoded(JPEG_2000_LOSSY, label, fixture("j2k-ict.j2k")));
        assert!(
            difference < 2.0 && found.len() == 1,
            "{label}: {difference} {found:?}"
        );
    }
    for label in ["YBR_RCT", "RGB"] {
        let o = encoded(JPEG_2000, label, fixture("j2k-rct.j2k"));
        assert_eq!(
            (values(&o.stored()), shown_with_findings(&o, Window::Auto).1),
            (rough(8, 3), vec![]),
            "{label}"
        );
    }
}

#[test]
fn jpeg_2000_with_chroma_of_half_the_width_is_read() {
    let (difference, found) = off(&encoded(JPEG_2000, "YBR_FULL_422", fixture("j2k-422.j2k")));
    assert!(
        difference < 2.0 && found.is_empty(),
        "{difference} {found:?}"
    );
    let (difference, found) = off(&encoded(JPEG_2000, "RGB", fixture("j2k-422.j2k")));
    assert!(difference < 2.0, "{difference}");
    assert_eq!(
        found,
        stream("RGB", "YCbCr", "its chroma has fewer samples")
    );
    // Luma of fewer samples than pixels, or an image that starts inside of a sample, is not guessed at.
    for (at, value) in [(43, 2), (19, 1)] {
        let mut frame = fixture("j2k-422.j2k");
        frame[at] = value;
        let error = encoded(JPEG_2000, "YBR_FULL_422", frame)
            .open()
            .and_then(|mut i| i.stored(0))
            .expect_err("another image");
        assert!(
            matches!(
                error,
                DicomError::Codec {
                    codec: "JPEG 2000",
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn lower_case_interpretations_are_understood() {
    let mut o = Object::image(2, 1);
    o.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "monochrome1")
        .bytes(&[0, 5]);
    assert_eq!(shown_quietly(&o).data, [255, 250]);
    o.photometric("Rgb", 3).bytes(&[1, 2, 3, 4, 5, 6]);
    assert_eq!(shown_quietly(&o).data, [1, 2, 3, 4, 5, 6]);
}

fn palette(bits: u16, entries: [u16; 2]) -> Object {
    let mut o = Object::image(2, 1);
    o.photometric("PALETTE COLOR", 1).bytes(&[0, 1]);
    let tables = [
        (
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
        (
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
        (
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
    ];
    for (descriptor, data) in tables {
        o.words(descriptor, VR::US, &[2, 0, bits])
            .words(data, VR::OW, &entries);
    }
    o
}

#[test]
fn palettes_have_the_bits_of_their_entries() {
    assert_eq!(
        shown_quietly(&palette(16, [0x1200, 0xff00])).data,
        [0x12, 0x12, 0x12, 255, 255, 255]
    );
    // 16-bit entries under a descriptor of 8 would wrap, 8-bit ones under 16 would be black.
    let (shown, found) = shown_with_findings(&palette(8, [0x1234, 0xff00]), Window::Auto);
    assert_eq!(
        (shown.data, found),
        (
            vec![0x12, 0x12, 0x12, 255, 255, 255],
            vec![DicomFinding::PaletteBits {
                stated: 8,
                found: 16
            }]
        )
    );
    let (shown, found) = shown_with_findings(&palette(16, [0x12, 0xff]), Window::Auto);
    assert_eq!(
        (shown.data, found),
        (
            vec![0x12, 0x12, 0x12, 255, 255, 255],
            vec![DicomFinding::PaletteBits {
                stated: 16,
                found: 8
            }]
        )
    );
}

#[test]
fn table_values_that_do_not_fit_16_bits_are_an_error_not_wrapped() {
    let mut o = palette(8, [1, 2]);
    o.text(
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        VR::IS,
        "2\\65536\\8",
    );
    let error = o
        .open()
        .and_then(|mut i| i.shown(0))
        .expect_err("a value of 17 bits");
    assert!(
        matches!(
            error,
            DicomError::Invalid {
                name: "RedPaletteColorLookupTableDescriptor",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn compressed_data_of_a_defined_length_are_read_and_told() {
    let jpeg = fixture("baseline-8.jpg");
    let mut whole = Object::image(COLUMNS, ROWS);
    whole.fragments(BASELINE, &[], std::slice::from_ref(&jpeg));
    let expected = shown_quietly(&whole).data;
    let items = [
        &b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0"[..],
        &(jpeg.len() as u32).to_le_bytes(),
        &jpeg,
    ]
    .concat();
    for (data, read) in [(items, "fragments"), (jpeg.clone(), "one frame")] {
        let mut o = Object::image(COLUMNS, ROWS);
        let bytes = o.bytes(&data).encoded();
        let mut image = open_bytes(&relabelled(&bytes, BASELINE), Window::Auto).expect(read);
        assert_eq!(image.shown(0).expect(read).data, expected, "{read}");
        assert_eq!(
            image.take_findings(),
            [DicomFinding::DefinedLength { read }]
        );
    }
}

/// A file of explicit little endian under another transfer syntax. The group length goes wrong, which readers ignore.
fn relabelled(bytes: &[u8], new: &str) -> Vec<u8> {
    let old = EXPLICIT.as_bytes();
    let at = bytes
        .windows(old.len())
        .position(|w| w == old)
        .expect("a transfer syntax");
    let new = if new.len() % 2 == 1 {
        format!("{new}\0")
    } else {
        new.to_owned()
    };
    let len = (new.len() as u16).to_le_bytes();
    [
        &bytes[..at - 2],
        &len,
        new.as_bytes(),
        &bytes[at + old.len().next_multiple_of(2)..],
    ]
    .concat()
}
